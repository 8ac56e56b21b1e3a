"""The one way to a streaming client: whole frames, and keep-alives between them while it is quiet (S8)."""

import asyncio

from tidegate.exchange.call import Client
from tidegate.services.clock import Clock


class Lane:
    """Sends whole frames only, so a keep-alive always stands between two of them.

    A write that waits for a slow client holds the next one back; nothing is buffered here (trap S13).
    """

    def __init__(self, client: Client, keep_alive: bytes, every_s: float, clock: Clock) -> None:
        self._client = client
        self._keep_alive = keep_alive
        self._every_s = every_s
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._last_s = clock.mono_s()
        self._sending = False
        self._pinging: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(every_s, self._tick)
        self.bytes_out = 0

    async def send(self, data: bytes) -> None:
        """Send whole frames; waits while the client does not read."""
        if self._pinging is not None:
            await self._pinging
            self._pinging = None
        self._last_s = self._clock.mono_s()
        self.bytes_out += len(data)
        self._sending = True
        await self._client.write(data, more=True)
        self._sending = False

    async def finish(self) -> None:
        """End the body."""
        self._timer.cancel()
        if self._pinging is not None:
            await self._pinging
        await self._client.write(b"", more=False)

    def stop(self) -> None:
        """End keep-alives; safe on every way out, and a second time."""
        self._timer.cancel()
        if self._pinging is not None:
            self._pinging.cancel()

    def _tick(self) -> None:
        quiet_s = self._clock.mono_s() - self._last_s
        wait_s = self._every_s - quiet_s
        if wait_s <= 0:
            if not self._sending and (self._pinging is None or self._pinging.done()):
                self._pinging = self._loop.create_task(self._client.write(self._keep_alive, more=True))
            self._last_s = self._clock.mono_s()
            wait_s = self._every_s
        self._timer = self._loop.call_later(wait_s, self._tick)
