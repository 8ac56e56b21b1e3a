"""A boot directory: `lock`, `mark`, numbered segments, and `sealed` once nobody will write to it again."""

import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from struct import Struct
from zlib import crc32

import msgspec

from tidegate.stores.journal.disk import Disk, sync_directory
from tidegate.stores.journal.errors import StillLive
from tidegate.stores.journal.frames import Position

LOCK, MARK, SEALED = "lock", "mark", "sealed"
_NEW = ".new-"
_BOOT = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,63}")
_SEGMENT = re.compile(r"(\d{8})\.seg(\.zst)?")

_mark = Struct("<QQI")
_mark_crc = Struct("<I")
MARK_BYTES = _mark.size + _mark_crc.size


class Sealed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a sealed directory ends, and what sealing did to it."""

    version: int = 1
    segment: int
    end: int
    closed: int = 0


def boots(root: Path) -> list[Path]:
    """Return the boot directories under `root`, oldest first (boot ids are UUIDv7 and sort by time)."""
    if not root.is_dir():
        return []
    return sorted(path for path in root.iterdir() if _BOOT.fullmatch(path.name) and path.is_dir())


def is_live(directory: Path) -> bool:
    """Return whether somebody holds the directory's lock now."""
    try:
        with locked(directory, shared=True):
            return False
    except StillLive:
        return True


@contextmanager
def locked(directory: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock of an existing directory. Raises StillLive when another holds it."""
    fd = os.open(directory / LOCK, os.O_RDWR)
    try:
        _flock(fd, directory, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _flock(fd: int, directory: Path, how: int) -> None:
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StillLive(f"the lock of {directory} is held") from error


def create(root: Path, boot: str) -> tuple[Path, int]:
    """Make a boot directory under a name that `boots` does not list; return it and its held lock.

    `publish` gives it its name. So nobody ever sees a directory whose owner has not locked it yet.
    Raises FileExistsError when the boot exists, ValueError for a name that is none.
    """
    if not _BOOT.fullmatch(boot):
        raise ValueError(f"{boot!r} cannot name a boot directory")
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    if (root / boot).exists():
        raise FileExistsError(f"{root / boot} exists; each start opens a directory of its own")
    path = root / (_NEW + boot)
    path.mkdir(mode=0o700)
    fd = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    _flock(fd, path, fcntl.LOCK_EX)
    return path, fd


def publish(path: Path) -> Path:
    """Give a directory from `create` its name, durably; return it under that name."""
    final = path.with_name(path.name.removeprefix(_NEW))
    sync_directory(path)
    path.rename(final)
    sync_directory(final.parent)
    return final


def remove_leftovers(root: Path, older_than_s: float = 3600) -> int:
    """Remove directories that a start left half made `older_than_s` ago or more; return how many."""
    if not root.is_dir():
        return 0
    limit = time.time() - older_than_s
    left = [path for path in root.iterdir() if path.name.startswith(_NEW) and path.stat().st_mtime <= limit]
    for path in left:
        shutil.rmtree(path)
    return len(left)


def segment_path(directory: Path, number: int) -> Path:
    """Return where segment `number` lies while it is not compressed."""
    return directory / f"{number:08d}.seg"


def compressed_path(directory: Path, number: int) -> Path:
    """Return where segment `number` lies when it is compressed."""
    return directory / f"{number:08d}.seg.zst"


def segments(directory: Path) -> list[int]:
    """Return the numbers of the segments present, compressed or not, ascending."""
    found = (_SEGMENT.fullmatch(path.name) for path in directory.iterdir())
    return sorted({int(match[1]) for match in found if match})


class MarkFile:
    """How far the owner has synced, for readers in other processes: 24 bytes with a CRC of their own."""

    def __init__(self, directory: Path) -> None:
        self._fd = os.open(directory / MARK, os.O_RDWR | os.O_CREAT, 0o600)
        self._turn = 0

    def write(self, position: Position) -> None:
        """Publish `position`. Not synced: after a power cut an older mark may stand. Raises OSError."""
        self._turn = (self._turn + 1) & 0xFFFFFFFF
        body = _mark.pack(position.segment, position.offset, self._turn)
        os.pwrite(self._fd, body + _mark_crc.pack(crc32(body)), 0)

    def sync(self, disk: Disk) -> None:
        """Return when the published mark is on disk. Raises OSError."""
        disk.sync(self._fd)

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._fd)


def read_mark(directory: Path, tries: int = 4) -> Position | None:
    """Return the published mark; None when none reads, also after a second look at a torn one."""
    try:
        fd = os.open(directory / MARK, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        for _ in range(tries):
            raw = os.pread(fd, MARK_BYTES, 0)
            body = raw[: _mark.size]
            if len(raw) == MARK_BYTES and raw[_mark.size :] == _mark_crc.pack(crc32(body)):
                segment, offset, _turn = _mark.unpack(body)
                return Position(segment, offset)
    finally:
        os.close(fd)
    return None


def read_sealed(directory: Path) -> Sealed | None:
    """Return how the directory was sealed; None when it is not, or the file is damaged (seal it again)."""
    try:
        return msgspec.json.decode((directory / SEALED).read_bytes(), type=Sealed)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def write_sealed(directory: Path, sealed: Sealed) -> None:
    """Mark the directory as sealed: all at once, and durably."""
    path = directory / (SEALED + ".new")
    with path.open("wb") as file:
        file.write(msgspec.json.encode(sealed))
        file.flush()
        os.fsync(file.fileno())
    path.rename(directory / SEALED)
    sync_directory(directory)
