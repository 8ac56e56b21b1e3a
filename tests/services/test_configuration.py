"""What a process serves: the file, or the last good one where the file is wrong."""

from pathlib import Path

import pytest

from tidegate.config.settings import Breaker, LastResort, LimitRow, Policy, Resilience, Server, Settings
from tidegate.model.errors import ConfigError
from tidegate.providers.catalog import load
from tidegate.services.configuration import Waiting, keep, to_serve, waiting
from tidegate.stores.layout import Layout

CATALOG = load()
GOOD = '[server]\nstate_dir = "state"\n'
WRONG = GOOD + "[policy]\nunknown = 1\n"


def written(directory: Path, text: str) -> Path:
    path = directory / "tidegate.toml"
    path.write_text(text)
    return path


def test_without_a_supervisor_a_wrong_file_is_an_error(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "state")
    layout.make()
    keep(layout, GOOD.encode())
    with pytest.raises(ConfigError, match=r"tidegate\.toml:4: error: policy\.unknown"):
        to_serve(written(tmp_path, WRONG), CATALOG)


def test_under_a_supervisor_the_last_good_one_serves(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "state")
    layout.make()
    path = written(tmp_path, WRONG)
    with pytest.raises(ConfigError):
        to_serve(path, CATALOG, str(layout.root))
    keep(layout, (GOOD + "max_connections = 7\n").encode())
    found = to_serve(path, CATALOG, str(layout.root))
    assert found.settings.server.max_connections == 7
    assert layout.kept_configuration.stat().st_mode & 0o077 == 0


def test_the_supervisors_state_directory_holds(tmp_path: Path) -> None:
    path = written(tmp_path, GOOD)
    assert to_serve(path, CATALOG).settings.server.state_dir == str(tmp_path / "state")
    assert to_serve(path, CATALOG, "/elsewhere").settings.server.state_dir == "/elsewhere"


CASES = {
    "nothing": (Settings(), Waiting()),
    "what a reload brings": (Settings(aliases={"a": ("b",)}, policy=Policy(unpriced="flag")), Waiting()),
    "staying up": (
        Settings(
            resilience=Resilience(attempts=1),
            breaker=Breaker(enabled=False),
            limits=(LimitRow(scope="key", name="*", concurrent=1),),
            last_resort={"a": LastResort(message="Later.")},
            policy=Policy(keep_alive_s=5),
        ),
        Waiting(),
    ),
    "a rule of the start": (
        Settings(policy=Policy(refused_records_per_minute=1)),
        Waiting(upgrade=("policy.refused_records_per_minute",)),
    ),
    "a limit": (Settings(server=Server(max_connections=9)), Waiting(upgrade=("server.max_connections",))),
    "the address": (Settings(server=Server(listen="[::1]:1")), Waiting(restart=("server.listen",))),
}


@pytest.mark.parametrize("what", CASES)
def test_what_waits_is_named(what: str) -> None:
    now, expected = CASES[what]
    assert waiting(Settings(), now) == expected
