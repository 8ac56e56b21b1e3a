"""A new boot directory, complete before anybody else can see it: locked, with its first segment and mark."""

import os
import shutil
from pathlib import Path
from typing import NamedTuple

from tidegate.stores.journal import directory as directories
from tidegate.stores.journal.disk import Disk
from tidegate.stores.journal.frames import MAX_FRAME_BYTES, VERSION, Header, Position, header_frame
from tidegate.stores.journal.segment import HEADER_BYTES, Segment, make_segment

FIRST = 1


class Opened(NamedTuple):
    """A boot directory ready for its owner: written and synced up to `offset` of its first segment."""

    path: Path
    lock_fd: int
    segment: Segment
    offset: int


def open_boot(root: Path, boot: str, segment_bytes: int, disk: Disk) -> Opened:
    """Make `root/<boot>/` and hold its lock. Raises OSError (FileExistsError: that boot was), ValueError."""
    if segment_bytes < 2 * MAX_FRAME_BYTES + HEADER_BYTES:
        raise ValueError(f"a segment of {segment_bytes} bytes has no room for a begin and its end")
    path, lock_fd = directories.create(root, boot)
    segment: Segment | None = None
    try:
        segment = make_segment(path, boot, FIRST, segment_bytes, disk)
        header = header_frame(Header(version=VERSION, boot=boot, segment=FIRST, open_from=FIRST))
        disk.write_all(segment.fd, [header])
        disk.sync(segment.fd)
        mark = directories.MarkFile(path)
        try:
            mark.write(Position(FIRST, len(header)))
            mark.sync(disk)
        finally:
            mark.close()
        return Opened(directories.publish(path), lock_fd, segment, len(header))
    except BaseException:
        if segment is not None:
            os.close(segment.fd)
        os.close(lock_fd)
        shutil.rmtree(path, ignore_errors=True)
        raise
