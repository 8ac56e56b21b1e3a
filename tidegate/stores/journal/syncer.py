"""The one thread that syncs: it alone publishes how far the disk is, and it alone closes segments."""

import contextlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

from tidegate.stores.journal.directory import MarkFile, segment_path
from tidegate.stores.journal.disk import Disk
from tidegate.stores.journal.frames import Position
from tidegate.stores.journal.segment import Segment

log = logging.getLogger(__name__)

MARK_SYNC_EVERY_S = 1.0


class Written(NamedTuple):
    """How far one segment is written, and the highest mark in it."""

    segment: Segment
    offset: int
    mark: int


class Syncer:
    """Syncs what `target` names, for all waiters at once.

    The loop sets `target` after each write, appends a full segment's last target itself to `finished` before
    it sets one in the next segment, and calls `wake`. After a failure no file is touched until `restart`.
    The callbacks run in this thread.
    """

    def __init__(
        self,
        directory: Path,
        disk: Disk,
        start: Written,
        *,
        on_synced: Callable[[], None],
        on_failed: Callable[[OSError], None],
        on_stopped: Callable[[], None],
    ) -> None:
        self.target = start
        self.finished: deque[Written] = deque()
        self.synced = start.mark
        self.published = Position(start.segment.number, start.offset)
        self.waited_for = False
        self.failing = False
        self.failures = 0
        self.syncs = 0
        self.slowest_us = 0
        self._directory, self._disk = directory, disk
        self._mark_file = MarkFile(directory)
        self._mark_synced_s = time.monotonic()
        self._on_synced, self._on_failed, self._on_stopped = on_synced, on_failed, on_stopped
        self._tokens: SimpleQueue[None] = SimpleQueue()
        self._idle = self._halted = self._stopping = False
        self._write_error: OSError | None = None
        self._dropped: deque[tuple[Segment, bool]] = deque()  # and whether to remove the file
        self._kept: list[Segment] = []
        self._done = start
        self._thread = threading.Thread(target=self._run, name="journal-sync", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Make the thread look at `target`; nothing when it is busy, since it looks again before it rests."""
        if self._idle:
            self._idle = False
            self._tokens.put(None)

    def fail(self, error: OSError) -> None:
        """Report that a write failed: the thread comes to rest, then calls `on_failed`."""
        self._write_error = error
        self.wake()

    def restart(self, dropped: list[Segment]) -> None:
        """Go on after `on_failed`, with the next `target`; `dropped` is closed, never synced again."""
        self._done = self.target  # the last one before the failure: there is nothing to do about it
        self._drop(dropped)
        self._write_error = None
        self._halted = False
        self._tokens.put(None)

    def stop(self, *, keep: list[Segment], drop: list[Segment]) -> None:
        """Sync what is left if that works, close all of these, remove `drop`; then `on_stopped`."""
        self._kept = keep
        self._drop(drop)
        self._stopping = True
        self._tokens.put(None)

    def _run(self) -> None:
        try:
            while self._step():
                pass
            self._close_dropped()
            self._tidy()
        except Exception:
            self.failing = True
            log.exception("journal %s: the sync thread ended; nothing new is taken", self._directory.name)
        self._on_stopped()

    def _step(self) -> bool:
        """Do one thing or rest; return False at the end."""
        target = self.target  # read before `finished`: a roll in between must not overtake the full segment
        if self._halted:
            if self._stopping:
                return False
            self._tokens.get()
        elif self._write_error is not None:
            self._halt(self._write_error)
        elif self.finished:
            if self._sync(self.finished[0]):
                self._done = self.finished.popleft()
                os.close(self._done.segment.fd)
                self._sync_mark()
        elif target is not self._done:
            if self._sync(target):
                self._done = target
                if time.monotonic() - self._mark_synced_s > MARK_SYNC_EVERY_S:
                    self._sync_mark()
        elif self._stopping:
            return False
        else:
            self._close_dropped()
            self._rest()
        return True

    def _rest(self) -> None:
        self._idle = True
        if self.target is self._done and not self.finished and not self._stopping and not self._write_error:
            self._tokens.get()
        self._idle = False

    def _sync(self, written: Written) -> bool:
        began = time.perf_counter_ns()
        try:
            self._disk.sync(written.segment.fd)
        except OSError as error:
            self._halt(error)
            return False
        self.syncs += 1
        self.slowest_us = max(self.slowest_us, (time.perf_counter_ns() - began) // 1000)
        self.published = Position(written.segment.number, written.offset)
        try:
            self._mark_file.write(self.published)
        except OSError as error:
            log.error("journal %s: the mark cannot be published: %s", self._directory.name, error)  # noqa: TRY400
        self.synced = written.mark  # after the mark: who waited for it can read its record at once
        self.failing, self.failures = False, 0
        if self.waited_for:
            self._on_synced()
        return True

    def _halt(self, error: OSError) -> None:
        self.failing, self._halted = True, True
        self.failures += 1
        self._on_failed(error)

    def _sync_mark(self) -> None:
        self._mark_synced_s = time.monotonic()
        with contextlib.suppress(OSError):
            self._mark_file.sync(self._disk)

    def _drop(self, segments: list[Segment]) -> None:
        """Have these closed, and removed where nothing of them was ever published."""
        last = self.published.segment
        self._dropped.extend((segment, segment.number > last) for segment in segments)

    def _close_dropped(self) -> None:
        while self._dropped:
            segment, remove = self._dropped.popleft()
            with contextlib.suppress(OSError):
                os.close(segment.fd)
            if remove:
                with contextlib.suppress(OSError):
                    segment_path(self._directory, segment.number).unlink()

    def _tidy(self) -> None:
        self._sync_mark()
        self._mark_file.close()
        for segment in (*self._kept, *(written.segment for written in self.finished)):
            with contextlib.suppress(OSError):
                os.close(segment.fd)
