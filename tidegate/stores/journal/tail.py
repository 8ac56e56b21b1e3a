"""Where a journal grows: records become frames in a list, the list becomes one write per turn of the loop.

After a failed write or sync nothing more goes to that segment. What is not known to be synced, and every call
still open, is parked and written again into a new segment, so that a record may stand twice.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from zlib import crc32

from tidegate.stores.journal.calls import OpenCalls
from tidegate.stores.journal.disk import Disk
from tidegate.stores.journal.frames import (
    MAX_FRAME_BYTES,
    PREFIX_BYTES,
    VERSION,
    Header,
    Position,
    header_frame,
    pack_prefix,
    unsynced_records,
)
from tidegate.stores.journal.opening import Opened
from tidegate.stores.journal.segment import HEADER_BYTES, Segment
from tidegate.stores.journal.spares import Spares
from tidegate.stores.journal.syncer import Syncer, Written

log = logging.getLogger(__name__)

MAX_BUFFERS = 1024
"""Buffers of one writev; the limit of Linux and macOS (IOV_MAX)."""
FIRST_BACKOFF_S, MAX_BACKOFF_S = 0.05, 5.0


class Tail:
    """Frames, writes, rolls and recovers; lives on one loop. Marks count the records.

    `on_written` and `on_synced` run on the loop; the latter only while `syncer.waited_for`.
    """

    def __init__(
        self,
        opened: Opened,
        *,
        segment_bytes: int,
        retry_s: float,
        disk: Disk,
        calls: OpenCalls,
        on_written: Callable[[], None],
        on_synced: Callable[[], None],
    ) -> None:
        self.mark = self.written = self.written_bytes = self.failed_syncs = 0
        self.per_segment = (segment_bytes - HEADER_BYTES) // MAX_FRAME_BYTES
        self.number = opened.segment.number
        self._boot, self._bytes, self._disk = opened.path.name, segment_bytes, disk
        self._calls, self._on_written = calls, on_written
        self._loop = asyncio.get_running_loop()
        self._segment: Segment | None = opened.segment
        self._seed, self._offset = opened.segment.seed, opened.offset
        self._limit = segment_bytes  # 0 while something is parked: then everything goes the slow way
        self._frames: list[bytes] = []
        self._placed = 0
        self._floors = {opened.segment.number: opened.segment.number}  # segment -> its header's open_from
        self._scheduled = self._released = self._resuming = False
        self._unsynced: deque[tuple[int, list[bytes]]] = deque()
        self._parked: deque[tuple[int, bytes]] = deque()
        self._dropped: list[Segment] = []
        self._stopped = asyncio.Event()
        self.spares = Spares(
            opened.path,
            segment_bytes,
            disk,
            next_number=opened.segment.number + 1,
            retry_s=retry_s,
            on_ready=self._on_spare,
            wanted=self._is_short,
        )
        self.syncer = Syncer(
            opened.path,
            disk,
            Written(opened.segment, opened.offset, 0),
            on_synced=lambda: self._call(on_synced),
            on_failed=lambda error: self._call(self._on_failed, error),
            on_stopped=lambda: self._call(self._stopped.set),
        )
        self.syncer.start()
        self.spares.want()

    def slots(self) -> int:
        """How many frames of the largest size are sure to fit; a frame written takes at most one."""
        here = (self._bytes - self._offset) // MAX_FRAME_BYTES if self._segment is not None else 0
        return here + len(self.spares) * self.per_segment

    @property
    def steady(self) -> bool:
        """Whether records go to disk as they should: nothing is parked, no write or sync fails."""
        return self._limit > 0 and not self.syncer.failing

    def put(self, payload: bytes) -> int:
        """Append one record of checked size; return its mark. Never fails: at worst it is parked."""
        mark = self.mark = self.mark + 1
        offset, size = self._offset, len(payload)
        end = offset + PREFIX_BYTES + size
        if end > self._limit:
            if self._parked or not self._place(mark, payload):
                self._parked.append((mark, payload))
                self._limit = 0
                self.spares.want()
            return mark
        self._frames.append(pack_prefix(size, crc32(payload, (self._seed + offset) ^ size)) + payload)
        self._offset, self._placed = end, mark
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn)
        elif len(self._frames) >= MAX_BUFFERS:
            self.flush()
        return mark

    def flush(self) -> None:
        """Write the list. It wakes the sync thread itself, whoever calls it."""
        frames, segment = self._frames, self._segment
        if not frames or segment is None:
            return
        self._frames = []
        unsynced, synced = self._unsynced, self.syncer.synced
        while unsynced and unsynced[0][0] <= synced:
            unsynced.popleft()
        unsynced.append((self._placed, frames))
        try:
            self.written_bytes += self._disk.write_all(segment.fd, frames)
        except OSError as error:
            self._segment, self._limit = None, 0
            self._dropped.append(segment)
            self.syncer.fail(error)
            return
        self.written = max(self.written, self._placed)
        self.syncer.target = Written(segment, self._offset, self._placed)
        self.syncer.wake()
        self._on_written()

    async def close(self, patience_s: float) -> bool:
        """Write and sync what can be, give everything back; False when the disk hangs longer than that."""
        self._released, self._limit = True, 0
        unused = await self.spares.close(patience_s)
        self.flush()
        current = [self._segment] if self._segment is not None else []
        self.syncer.stop(keep=[*current, *self._dropped], drop=unused)
        try:
            async with asyncio.timeout(patience_s):
                await self._stopped.wait()
        except TimeoutError:
            return False
        return True

    def _turn(self) -> None:
        self._scheduled = False
        self.flush()

    def _place(self, mark: int, payload: bytes) -> bool:
        """Frame one record wherever there is room, a new segment included; False when there is none."""
        size = len(payload)
        if self._segment is not None and self._offset + PREFIX_BYTES + size > self._bytes:
            self._roll()
        if self._segment is None or self._offset + PREFIX_BYTES + size > self._bytes:
            return False
        self._frames.append(pack_prefix(size, crc32(payload, (self._seed + self._offset) ^ size)) + payload)
        self._offset += PREFIX_BYTES + size
        self._placed = max(self._placed, mark)
        if len(self._frames) >= MAX_BUFFERS:
            self.flush()
        elif not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn)
        return True

    def _roll(self) -> None:
        """Finish the segment and go on in a spare one, if there is one."""
        if not len(self.spares):
            self.spares.want()
            return
        self.flush()
        full = self._segment
        if full is None:
            return
        self.syncer.finished.append(self.syncer.target)
        floor = self._floors[full.number] if self._parked else None
        self._use(self.spares.take(), Position(full.number, self._offset), floor)
        if self._is_short():
            self.spares.want()

    def _use(self, segment: Segment, previous: Position, floor: int | None) -> None:
        """Begin a segment behind `previous`.

        `floor`: records are written again here, so the ends among them are not on disk yet, and sealing may
        still need whatever the segment before needed.
        """
        published = self.syncer.published.segment
        self._floors = {number: low for number, low in self._floors.items() if number >= published}
        open_from = self._calls.open_from(segment.number) if floor is None else floor
        self._floors[segment.number] = open_from
        header = Header(
            version=VERSION,
            boot=self._boot,
            segment=segment.number,
            previous=previous,
            open_from=open_from,
        )
        self._frames.append(header_frame(header))
        self._segment, self.number, self._seed = segment, segment.number, segment.seed
        self._offset, self._limit = len(self._frames[-1]), self._bytes

    def _is_short(self) -> bool:
        return not len(self.spares) or self.slots() - len(self._calls) < self.per_segment

    def _on_failed(self, error: OSError) -> None:
        """Give up every segment that is not synced; the sync thread rests until `_resume`."""
        self.failed_syncs += 1
        log.error("journal %s: %s; its open calls are written again in a new segment", self._boot, error)
        self._dropped.extend(written.segment for written in self.syncer.finished)
        self.syncer.finished.clear()
        if self._segment is not None:
            self._dropped.append(self._segment)
        self._segment, self._limit = None, 0
        batches = [*self._unsynced, (self._placed, self._frames)]
        unsynced = unsynced_records(batches, self.syncer.synced)
        standing = {payload for _, payload in (*unsynced, *self._parked)}
        again = [(0, payload) for payload in self._calls.payloads() if payload not in standing]
        self._parked = deque([*again, *unsynced, *self._parked])
        self._unsynced.clear()
        self._frames = []
        self._placed = self.syncer.synced
        failures = self.syncer.failures
        backoff_s = min(MAX_BACKOFF_S, FIRST_BACKOFF_S * 2 ** min(failures - 2, 10)) if failures > 1 else 0
        self._loop.call_later(backoff_s, self._resume)

    def _resume(self) -> None:
        """Go on in a new segment behind what was published, as soon as there is one."""
        self._resuming = not len(self.spares)
        if self._released:
            return
        if self._resuming:
            self.spares.want()
            return
        published = self.syncer.published
        self._use(self.spares.take(), published, self._floors[published.segment])
        dropped, self._dropped = self._dropped, []
        self.syncer.restart(dropped)
        self._drain()
        self.flush()

    def _on_spare(self) -> None:
        if self._resuming:
            self._resume()
        elif self._parked and self._segment is not None:
            self._drain()

    def _drain(self) -> None:
        while self._parked:
            mark, payload = self._parked[0]
            if not self._place(mark, payload):
                self._limit = 0
                return
            self._parked.popleft()

    def _call(self, call: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(call, *arguments)
