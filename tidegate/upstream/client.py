"""The other end of one exchange: whether it is still there, and time passing while it is."""

import asyncio
from typing import Any

from tidegate.upstream.asgi_types import Receive


class Client:
    """Watches for the client's leaving, from the first wait on; close it on every way out."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._watch: asyncio.Task[None] | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.gone = False

    async def sleep(self, seconds: float | None) -> bool:
        """Wait, for ever where `seconds` is None; return early, and False, when the client is gone."""
        if self._watch is None:
            self._watch = asyncio.create_task(self._listen())
        if self.gone:
            return False
        loop = asyncio.get_running_loop()
        self._waiter = waiter = loop.create_future()
        timer = None if seconds is None else loop.call_later(seconds, _wake, waiter)
        try:
            await waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()
        return not self.gone

    def close(self) -> None:
        """Stop watching."""
        if self._watch is not None:
            self._watch.cancel()

    async def _listen(self) -> None:
        message: dict[str, Any] = {}
        while message.get("type") != "http.disconnect":
            message = await self._receive()
        self.gone = True
        if self._waiter is not None:
            _wake(self._waiter)


def _wake(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)
