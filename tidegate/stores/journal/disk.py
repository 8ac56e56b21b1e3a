"""The calls to the operating system that may fail, in one value that a test can replace."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ZEROS = bytes(1 << 20)


def sync_data(fd: int) -> None:
    """Return when the file's data is on the medium, the drive's own cache included. Raises OSError."""
    if sys.platform == "darwin":
        import fcntl  # noqa: PLC0415 - F_FULLFSYNC exists here only

        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    else:
        os.fdatasync(fd)


def preallocate(fd: int, size_bytes: int) -> None:
    """Give the file `size_bytes` of real disk that read as zeros. Raises OSError (ENOSPC)."""
    if sys.platform == "darwin":
        for at in range(0, size_bytes, len(ZEROS)):
            os.pwrite(fd, ZEROS[: size_bytes - at], at)
    else:
        os.posix_fallocate(fd, 0, size_bytes)


def sync_directory(path: Path) -> None:
    """Return when the names in `path` are on disk."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@dataclass(frozen=True, slots=True)
class Disk:
    """What the writers ask of the operating system."""

    preallocate: Callable[[int, int], None] = preallocate
    sync: Callable[[int], None] = sync_data
    writev: Callable[[int, Sequence[bytes]], int] = os.writev

    def write_all(self, fd: int, buffers: Sequence[bytes]) -> int:
        """Write every buffer, through short writes; return how many bytes that were. Raises OSError."""
        total = sum(map(len, buffers))
        wrote = self.writev(fd, buffers)
        if wrote == total:
            return total
        rest = memoryview(b"".join(buffers))[wrote:]
        while rest:
            rest = rest[os.write(fd, rest) :]
        return total
