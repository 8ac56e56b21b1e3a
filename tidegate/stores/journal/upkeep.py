"""What the control process does with segments that are read: compress them, and remove them in the end."""

import os
import shutil
from pathlib import Path

from tidegate.stores.journal.directory import (
    compressed_path,
    locked,
    read_mark,
    read_sealed,
    segment_path,
    segments,
)
from tidegate.stores.journal.disk import sync_directory
from tidegate.stores.journal.reader import Reader
from tidegate.stores.journal.segment import SegmentBytes, fold, header_of


def finished_segments(directory: Path) -> list[int]:
    """Return the segments that nobody writes to any more, oldest first."""
    sealed = read_sealed(directory)
    if sealed is not None:
        return segments(directory)
    mark = read_mark(directory)
    return [number for number in segments(directory) if mark is not None and number < mark.segment]


def removable_segments(directory: Path) -> list[int]:
    """Return the finished segments that sealing will not need: no call that began in them is open."""
    finished = finished_segments(directory)
    if read_sealed(directory) is not None:
        return finished
    mark = read_mark(directory)
    newest = header_of(directory, mark.segment) if mark is not None else None
    return [number for number in finished if newest is not None and number < newest.open_from]


def remove_segments(directory: Path, upto: int) -> list[int]:
    """Remove the removable segments up to and with `upto`, oldest first; return which."""
    gone = [number for number in removable_segments(directory) if number <= upto]
    for number in gone:
        segment_path(directory, number).unlink(missing_ok=True)
        compressed_path(directory, number).unlink(missing_ok=True)
    if gone:
        sync_directory(directory)
    return gone


def remove_boot(directory: Path) -> bool:
    """Remove a sealed directory that has no segment left; return whether it was one. Raises StillLive."""
    with locked(directory):
        if read_sealed(directory) is None or segments(directory):
            return False
        shutil.rmtree(directory)
    sync_directory(directory.parent)
    return True


def compress(directory: Path, number: int) -> int:
    """Compress one finished segment in place; return the bytes saved, 0 when it was done before.

    Takes about 0.1 s of CPU for 16 MiB: call it in a thread. Raises ValueError for a segment in use.
    """
    if number not in finished_segments(directory):
        raise ValueError(f"segment {number} of {directory} is missing or in use")
    path, packed = segment_path(directory, number), compressed_path(directory, number)
    if not path.exists():
        return 0
    with Reader(directory) as reader, SegmentBytes(directory, number) as source:
        size = source.size_bytes
        folded = fold(source.read(0, reader.end_of(number)))
    written_ns = path.stat().st_mtime_ns
    fresh = packed.with_suffix(".new")
    with fresh.open("wb") as file:
        file.write(folded)
        file.flush()
        os.fsync(file.fileno())
    os.utime(fresh, ns=(written_ns, written_ns))  # its age is that of its records
    fresh.rename(packed)
    sync_directory(directory)
    path.unlink()
    return size - len(folded)
