"""The control process's own journal: few records, each on disk before anything is made of it."""

import logging
import os
import threading
from pathlib import Path
from typing import Self

from tidegate.stores.journal.directory import MarkFile
from tidegate.stores.journal.disk import Disk
from tidegate.stores.journal.errors import JournalFull
from tidegate.stores.journal.frames import VERSION, Header, Position, frame, header_frame
from tidegate.stores.journal.opening import Opened, open_boot
from tidegate.stores.journal.segment import Segment, make_segment

log = logging.getLogger(__name__)

SEGMENT_BYTES = 1 << 20


class ControlJournal:
    """The single writer of one boot directory, from any thread, without an event loop. A context manager."""

    def __init__(self, opened: Opened, *, segment_bytes: int, disk: Disk) -> None:
        self.path = opened.path
        self._lock_fd, self._bytes, self._disk = opened.lock_fd, segment_bytes, disk
        self._segment: Segment | None = opened.segment
        self._offset, self._number = opened.offset, opened.segment.number
        self._published = Position(opened.segment.number, opened.offset)
        self._mark = MarkFile(opened.path)
        self._turn = threading.Lock()
        self._closed = False

    @classmethod
    def open(
        cls, root: Path, *, boot: str, segment_bytes: int = SEGMENT_BYTES, disk: Disk | None = None
    ) -> Self:
        """Make `root/<boot>/` and lock it. Raises OSError, and FileExistsError for a boot opened before."""
        disk = disk or Disk()
        return cls(open_boot(root, boot, segment_bytes, disk), segment_bytes=segment_bytes, disk=disk)

    def append(self, payload: bytes) -> None:
        """Return once the record is on disk.

        Raises RecordTooLarge, and JournalFull when the disk takes it in no segment, old or new: then it is
        not part of the journal, unless the process ends before a later append succeeds.
        """
        with self._turn:
            if self._closed:
                raise JournalFull("it is closed")
            for last_try in (False, True):
                try:
                    self._write(payload)
                except OSError as error:
                    self._give_up(error)
                    if last_try:
                        raise JournalFull(f"the disk fails: {error}") from error
                else:
                    return

    def close(self) -> None:
        """Release the directory; everything in it is on disk already."""
        with self._turn:
            if self._closed:
                return
            self._closed = True
            if self._segment is not None:
                os.close(self._segment.fd)
            self._mark.close()
            os.close(self._lock_fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self, payload: bytes) -> None:
        segment = self._segment
        if segment is not None:
            framed = frame(payload, segment.seed, self._offset)
        if segment is None or self._offset + len(framed) > self._bytes:
            segment = self._next_segment()
            framed = frame(payload, segment.seed, self._offset)
        self._disk.write_all(segment.fd, [framed])
        self._disk.sync(segment.fd)
        self._offset += len(framed)
        self._published = Position(segment.number, self._offset)
        try:
            self._mark.write(self._published)
        except OSError as error:
            log.error("journal %s: the mark cannot be published: %s", self.path.name, error)  # noqa: TRY400

    def _next_segment(self) -> Segment:
        """Make the next segment and begin it behind what was published; the one before it is done with."""
        self._number += 1
        segment = make_segment(self.path, self.path.name, self._number, self._bytes, self._disk)
        if self._segment is not None:
            os.close(self._segment.fd)
        self._segment = segment
        header = header_frame(
            Header(
                version=VERSION,
                boot=self.path.name,
                segment=segment.number,
                previous=self._published,
                open_from=segment.number,
            )
        )
        self._disk.write_all(segment.fd, [header])
        self._offset = len(header)
        return segment

    def _give_up(self, error: OSError) -> None:
        log.error("journal %s: %s; going on in a new segment", self.path.name, error)
        if self._segment is not None:
            os.close(self._segment.fd)
            self._segment = None
