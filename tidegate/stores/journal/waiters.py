"""Who waits for a mark to be reached, each for a bounded time."""

import asyncio
from collections.abc import Callable

from tidegate.stores.journal.errors import JournalStalled


class Waiters:
    """Futures by mark, on one loop. `reached` may grow in another thread."""

    def __init__(self, reached: Callable[[], int], patience_s: float) -> None:
        self._reached, self._patience_s = reached, patience_s
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    def __bool__(self) -> bool:
        return bool(self._waiting)

    async def wait(self, mark: int, listed: Callable[[], None]) -> None:
        """Return once `mark` is reached; `listed` is called once it is known. Raises JournalStalled."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._waiting.append((mark, future))
        listed()
        if mark <= self._reached():  # looked at after being listed: a thread may have passed in between
            future.set_result(None)
        timer = self._loop.call_later(self._patience_s, self._give_up, mark, future)
        try:
            await future
        finally:
            timer.cancel()

    def wake(self) -> None:
        """Wake those whose mark is reached."""
        reached, waiting = self._reached(), self._waiting
        self._waiting = [(mark, future) for mark, future in waiting if mark > reached and not future.done()]
        for mark, future in waiting:
            if mark <= reached and not future.done():
                future.set_result(None)

    def give_up(self) -> None:
        """Fail everybody who still waits."""
        for mark, future in self._waiting:
            self._give_up(mark, future)

    def _give_up(self, mark: int, future: asyncio.Future[None]) -> None:
        if not future.done():
            future.set_exception(JournalStalled(mark, self._patience_s))
