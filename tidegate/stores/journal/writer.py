"""The gateway's journal: appending is a list in memory, one write a turn, one thread that syncs.

Nothing that appends ever awaits. `written` and `synced` wait for what was appended to be on its way.
"""

import asyncio
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tidegate.stores.journal.calls import OpenCalls
from tidegate.stores.journal.disk import Disk
from tidegate.stores.journal.errors import JournalFull, JournalStalled, RecordTooLarge
from tidegate.stores.journal.frames import MAX_PAYLOAD_BYTES
from tidegate.stores.journal.opening import Opened, open_boot
from tidegate.stores.journal.shorten import shorten_end
from tidegate.stores.journal.tail import Tail
from tidegate.stores.journal.waiters import Waiters

log = logging.getLogger(__name__)

SEGMENT_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class JournalStats:
    """What the journal did since it was opened. `slots` is the room left, in frames of the largest size."""

    appended: int
    written_bytes: int
    syncs: int
    sync_max_us: int
    open_begins: int
    slots: int
    failed_syncs: int
    failed_preallocations: int
    ignored_ends: int


class Journal:
    """The single writer of one boot directory; lives on one event loop.

    A mark is a record's number in this boot: larger is later. Room for the `end` of every open `begin` is set
    aside in segments that are on disk already, each end counted as a frame of the largest size.

    After a failed write or sync, open calls and whatever is not known to be synced are written again into a
    new segment, so a record may stand twice; until a sync succeeds only ends are taken.
    """

    def __init__(
        self, opened: Opened, *, segment_bytes: int, patience_s: float, retry_s: float, disk: Disk
    ) -> None:
        self.path = opened.path
        self._lock_fd, self._patience_s = opened.lock_fd, patience_s
        self._calls = OpenCalls()
        self._closed = False
        self._ignored_ends = 0
        self._write_waiters = Waiters(lambda: self._tail.written, patience_s)
        self._sync_waiters = Waiters(lambda: self._tail.syncer.synced, patience_s)
        self._tail = Tail(
            opened,
            segment_bytes=segment_bytes,
            retry_s=retry_s,
            disk=disk,
            calls=self._calls,
            on_written=self._write_waiters.wake,
            on_synced=self._on_synced,
        )

    @classmethod
    def open(
        cls,
        root: Path,
        *,
        boot: str,
        segment_bytes: int = SEGMENT_BYTES,
        patience_s: float = 5.0,
        retry_s: float = 1.0,
        disk: Disk | None = None,
    ) -> Self:
        """Make `root/<boot>/`, lock it and set room aside; call it on the running loop.

        `patience_s` bounds every wait; after `retry_s` a full disk is tried again. Raises OSError, and
        FileExistsError for a boot that was opened before.
        """
        asyncio.get_running_loop()  # before anything is made
        disk = disk or Disk()
        opened = open_boot(root, boot, segment_bytes, disk)
        return cls(opened, segment_bytes=segment_bytes, patience_s=patience_s, retry_s=retry_s, disk=disk)

    def begin(self, id: str, payload: bytes) -> int:  # noqa: A002 - the record's own word
        """Append a `begin` and set room aside for its `end`; return its mark.

        Raises JournalFull when the room cannot be had, RecordTooLarge, ValueError for an id that is open.
        """
        begins = self._calls.begins
        if id in begins:
            raise ValueError(f"{id} is open already")
        self._admit(payload, len(begins) + 2)
        begins[id] = (self._tail.number, payload)
        return self._tail.put(payload)

    def append(self, payload: bytes, *, of: str = "") -> int:
        """Append any other record; return its mark. Raises JournalFull and RecordTooLarge.

        With `of`, the id of an open `begin`, it is an attempt and is written again with it after a failure.
        """
        self._admit(payload, len(self._calls) + 1)
        if of in self._calls.begins:
            self._calls.attempts.setdefault(of, []).append(payload)
        return self._tail.put(payload)

    def end(self, id: str, payload: bytes) -> int:  # noqa: A002 - the record's own word
        """Append the `end` of `id` into the room set aside; return its mark, or 0 if `id` is not open.

        So a second end changes nothing (0 counts as synced). One that is too long is shortened and flagged.
        """
        if self._closed or id not in self._calls.begins:
            self._ignored_ends += 1
            return 0
        if len(payload) > MAX_PAYLOAD_BYTES:
            payload = shorten_end(payload)
        mark = self._tail.put(payload)
        self._calls.end(id)  # only now: a segment that this end opens must count the call as open
        return mark

    def is_synced(self, mark: int) -> bool:
        """Return whether the record is on disk."""
        return mark <= self._tail.syncer.synced

    async def written(self, mark: int) -> None:
        """Return once the record is with the operating system: it survives `kill -9`.

        Raises JournalStalled after `patience_s`.
        """
        if mark <= self._tail.written:
            return
        await asyncio.sleep(0)  # the write was scheduled before this task's next step
        if mark > self._tail.written:
            await self._write_waiters.wait(mark, lambda: None)

    async def synced(self, mark: int) -> None:
        """Return once the record is on disk: it survives a power cut. Raises JournalStalled."""
        if mark > self._tail.syncer.synced:
            await self._sync_waiters.wait(mark, self._note_waiters)

    def _on_synced(self) -> None:
        self._sync_waiters.wake()
        self._note_waiters()

    def _note_waiters(self) -> None:
        self._tail.syncer.waited_for = bool(self._sync_waiters)

    @property
    def stats(self) -> JournalStats:
        """What happened so far."""
        return JournalStats(
            appended=self._tail.mark,
            written_bytes=self._tail.written_bytes,
            syncs=self._tail.syncer.syncs,
            sync_max_us=self._tail.syncer.slowest_us,
            open_begins=len(self._calls),
            slots=self._tail.slots(),
            failed_syncs=self._tail.failed_syncs,
            failed_preallocations=self._tail.spares.failures,
            ignored_ends=self._ignored_ends,
        )

    async def close(self) -> None:
        """Take nothing more, sync what was taken, and release the directory; calls still open stay open.

        Takes a few times `patience_s` at most; where the disk hangs longer the lock is kept until the
        process ends.
        """
        if self._closed:
            return
        self._closed = True
        try:
            await self.synced(self._tail.mark)
        except JournalStalled as error:
            log.error("journal %s: closed unsynced: %s", self.path.name, error)  # noqa: TRY400
        if await self._tail.close(self._patience_s):
            os.close(self._lock_fd)
        else:
            log.error("journal %s: a sync hangs; the lock stays until this process ends", self.path.name)
        self._write_waiters.give_up()
        self._sync_waiters.give_up()

    def _admit(self, payload: bytes, needed: int) -> None:
        """Raise JournalFull unless `needed` more frames of the largest size are sure to fit."""
        if not 0 < len(payload) <= MAX_PAYLOAD_BYTES:
            raise RecordTooLarge(len(payload), MAX_PAYLOAD_BYTES)
        tail = self._tail
        slots = tail.slots()
        if slots - needed < tail.per_segment // 2:
            tail.spares.want()
        if self._closed:
            raise JournalFull("it is closed")
        if not tail.steady:
            raise JournalFull("the disk fails")
        if slots < needed:
            raise JournalFull(f"no room beside the ends of {len(self._calls)} open calls")
