"""A changed configuration comes into force whole, or not at all."""

from pathlib import Path

from tidegate.config.settings import Settings
from tidegate.control.reload import Reloader
from tidegate.model.errors import Unavailable
from tidegate.providers.catalog import load
from tidegate.services.clock import Clock
from tidegate.services.configuration import bytes_of, configuration_of
from tidegate.stores.layout import Layout

CATALOG = load()
ROW = '[[deployments]]\nname = "{0}"\nprovider = "vllm"\nmodel = "{0}"\nbase_url = "http://127.0.0.1:1/v1"\n'


class Stage:
    def __init__(self, root: Path) -> None:
        self.path, self.layout = root / "tidegate.toml", Layout(root / "state")
        self.layout.make()
        self.path.write_text(ROW.format("a"))
        self.taken: list[Settings] = []
        self.fails = False
        self.reloader = Reloader(
            configuration_of(self.path, bytes_of(self.path), CATALOG),
            CATALOG,
            self.layout,
            Clock(wall_us=lambda: 7),
            self.take,
            snapshot=1,
        )
        self.looks(2)

    def take(self, settings: Settings) -> int:
        if self.fails:
            raise Unavailable("the disk is full")
        self.taken.append(settings)
        return len(self.taken) + 1

    def looks(self, times: int) -> None:
        for _ in range(times):
            self.reloader.look()

    def write(self, text: str) -> None:
        """Write as an editor does: another file in its place, so that the change shows at any clock."""
        new = self.path.with_suffix(".new")
        new.write_text(text)
        new.replace(self.path)

    @property
    def names(self) -> list[list[str]]:
        return [[row.name for row in settings.deployments] for settings in self.taken]


def test_a_change_is_taken_once_it_has_settled(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.write(ROW.format("b"))
    stage.looks(1)
    assert stage.names == []
    stage.write(ROW.format("b") + ROW.format("c"))
    stage.looks(1)
    assert stage.names == []
    stage.looks(3)
    assert stage.names == [["b", "c"]]
    assert stage.reloader.status.snapshot == 2


def test_a_file_that_was_only_touched_changes_nothing(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.write(stage.path.read_text())
    stage.looks(3)
    assert stage.taken == []


def test_asked_to_it_takes_the_same_file_again(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    assert stage.reloader.reload().snapshot == 2
    assert stage.names == [["a"]]


def test_a_wrong_file_is_refused_with_every_line_and_kept_out(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.write(ROW.format("b").replace("vllm", "nobody") + '[aliases]\nfast = ["c"]\n')
    stage.looks(5)
    assert stage.taken == []
    refused = stage.reloader.status.refused
    assert f"{stage.path}:3: error: deployments[0].provider" in refused
    assert f"{stage.path}:7: error: aliases.fast" in refused
    assert stage.layout.kept_configuration.read_text() == ROW.format("a")
    stage.write(ROW.format("a"))
    stage.looks(2)
    assert (stage.reloader.status.refused, stage.reloader.status.refused_at_us) == ("", None)
    assert stage.taken == []


def test_a_file_that_went_away_is_refused_until_it_is_back(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.path.unlink()
    stage.looks(2)
    assert "there is no" in stage.reloader.status.refused
    stage.path.write_text(ROW.format("b"))
    stage.looks(2)
    assert (stage.names, stage.reloader.status.refused) == ([["b"]], "")


def test_what_could_not_be_taken_is_tried_again(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.fails = True
    stage.write(ROW.format("b"))
    stage.looks(3)
    assert stage.reloader.status.refused == "the disk is full"
    stage.fails = False
    stage.looks(2)
    assert (stage.names, stage.reloader.status.refused) == ([["b"]], "")


def test_settings_that_wait_are_named_by_what_they_wait_for(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    server = '[server]\nlisten = "127.0.0.1:1"\ntransport = "aiohttp"\n'
    stage.write(server + "[policy]\nkeep_alive_s = 5\nrefused_records_per_minute = 5\n" + ROW.format("a"))
    status = stage.reloader.reload()
    assert status.upgrade == ("server.transport", "policy.refused_records_per_minute")
    assert status.restart == ("server.listen",)
