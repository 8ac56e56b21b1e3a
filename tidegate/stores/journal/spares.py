"""Segments made ahead of time, in a thread, so that the loop never waits for the disk's allocator."""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

from tidegate.stores.journal.disk import Disk
from tidegate.stores.journal.segment import Segment, make_segment

log = logging.getLogger(__name__)


class Spares:
    """A queue of ready segments; one is made at a time. Lives on the loop, but for the making itself.

    `on_ready` runs on the loop after each new one. After a failure (a full disk) the next try comes by itself
    after `retry_s` for as long as `wanted` says so.
    """

    def __init__(
        self,
        directory: Path,
        size_bytes: int,
        disk: Disk,
        *,
        next_number: int,
        retry_s: float,
        on_ready: Callable[[], None],
        wanted: Callable[[], bool],
    ) -> None:
        self._directory, self._size_bytes, self._disk = directory, size_bytes, disk
        self._next, self._retry_s = next_number, retry_s
        self._on_ready, self._wanted = on_ready, wanted
        self._loop = asyncio.get_running_loop()
        self._ready: deque[Segment] = deque()
        self._busy: threading.Thread | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._closed = False
        self._idle = asyncio.Event()
        self._idle.set()
        self.failures = 0

    def __len__(self) -> int:
        return len(self._ready)

    def take(self) -> Segment:
        """Return the oldest ready segment."""
        return self._ready.popleft()

    def want(self) -> None:
        """Have one more made, unless one is being made or a failed try is waiting for its turn."""
        if self._busy is None and self._retry is None and not self._closed:
            number, self._next = self._next, self._next + 1
            self._idle.clear()
            self._busy = threading.Thread(
                target=self._make, args=(number,), name="journal-spare", daemon=True
            )
            self._busy.start()

    async def close(self, timeout_s: float) -> list[Segment]:
        """Make no more; return what was ready, for the caller to give up."""
        self._closed = True
        if self._retry is not None:
            self._retry.cancel()
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            log.error("journal %s: a segment is still being made; left behind", self._directory.name)  # noqa: TRY400
        left = list(self._ready)
        self._ready.clear()
        return left

    def _make(self, number: int) -> None:
        made: Segment | None = None
        failure: OSError | None = None
        try:
            made = make_segment(self._directory, self._directory.name, number, self._size_bytes, self._disk)
        except OSError as error:
            failure = error
        self._loop.call_soon_threadsafe(self._made, made, failure)

    def _made(self, made: Segment | None, failure: OSError | None) -> None:
        self._busy = None
        self._idle.set()
        if made is not None:
            self._ready.append(made)
            if not self._closed:
                self._on_ready()
                self._again()
            return
        self.failures += 1
        log.warning("journal %s: no new segment: %s", self._directory.name, failure)
        if not self._closed:
            self._retry = self._loop.call_later(self._retry_s, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self._again()

    def _again(self) -> None:
        if self._wanted():
            self.want()
