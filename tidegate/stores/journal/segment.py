"""One segment file: made with its room set aside for writing, or opened for reading, compressed or not."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tidegate.stores.journal.directory import compressed_path, segment_path
from tidegate.stores.journal.disk import Disk, sync_directory
from tidegate.stores.journal.frames import MAX_FRAME_BYTES, Header, Position, read_header, seed_of

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAX_SEGMENT_BYTES = 256 << 20
"""More than any segment grows to; what a compressed one may unfold to."""

HEADER_BYTES = 512
"""Room set aside for a segment's header frame."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment that its writer has open."""

    number: int
    fd: int
    seed: int


def make_segment(directory: Path, boot: str, number: int, size_bytes: int, disk: Disk) -> Segment:
    """Make a segment of zeros with its room on disk and its name durable. Raises OSError, leaving nothing."""
    path = segment_path(directory, number)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        disk.preallocate(fd, size_bytes)
        os.fsync(fd)
        sync_directory(directory)
    except OSError:
        os.close(fd)
        path.unlink(missing_ok=True)
        raise
    return Segment(number, fd, seed_of(boot, number))


class SegmentBytes:
    """The bytes of one segment, for reading. A context manager.

    Raises FileNotFoundError, and ValueError where a compressed one does not unfold.
    """

    def __init__(self, directory: Path, number: int) -> None:
        self.number = number
        self.boot = directory.name
        self.seed = seed_of(directory.name, number)
        self._raw: bytes | None = None
        self._fd = -1
        try:
            self._fd = os.open(segment_path(directory, number), os.O_RDONLY)
        except FileNotFoundError:
            self._raw = _unfold(compressed_path(directory, number))

    @property
    def size_bytes(self) -> int:
        """How long the file is, room behind the last record included."""
        return os.fstat(self._fd).st_size if self._raw is None else len(self._raw)

    def read(self, offset: int, size_bytes: int) -> bytes:
        """Return up to `size_bytes` from `offset`; fewer only at the end of the file."""
        if self._raw is None:
            return os.pread(self._fd, max(0, size_bytes), offset)
        return self._raw[offset : offset + max(0, size_bytes)]

    def header(self) -> Header | None:
        """Return the segment's header, or None where it does not read."""
        return read_header(self.read(0, MAX_FRAME_BYTES), self.boot, self.number)

    def close(self) -> None:
        """Give the descriptor back."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def header_of(directory: Path, number: int) -> Header | None:
    """Return the header of a segment, or None where the file is missing or its header does not read."""
    try:
        with SegmentBytes(directory, number) as segment:
            return segment.header()
    except (FileNotFoundError, ValueError):
        return None


def previous_of(header: Header) -> Position | None:
    """Return where the journal stands before the segment of `header`."""
    return Position(*header.previous) if header.previous else None


def fold(raw: bytes) -> bytes:
    """Return `raw` compressed."""
    return zstd.compress(raw)


def _unfold(path: Path) -> bytes:
    unfolder = zstd.ZstdDecompressor()
    try:
        raw = unfolder.decompress(path.read_bytes(), max_length=MAX_SEGMENT_BYTES)
    except zstd.ZstdError as error:
        raise ValueError(f"{path} does not unfold: {error}") from error
    if not unfolder.eof:
        raise ValueError(f"{path} does not unfold to one whole segment")
    return raw
