"""The connections to one origin: the last one used is used first, and no more are open than allowed."""

import asyncio
import ssl
from collections import deque

from tidegate.providers import direct_failure as words
from tidegate.providers.direct_connection import Connection
from tidegate.providers.direct_dial import Dialer
from tidegate.providers.direct_request import Origin
from tidegate.providers.transport import TransportError


class Pool:
    """A place is a connection that is open or being opened; `limit` bounds them."""

    def __init__(
        self,
        origin: Origin,
        *,
        limit: int,
        keepalive_s: float,
        tls: ssl.SSLContext | None,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._dialer = Dialer(origin, tls=tls)
        self._limit = limit
        self._keepalive_s = keepalive_s
        self._loop = loop
        self._places = 0
        self._open: set[Connection] = set()
        self._idle: list[Connection] = []
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def take(self) -> Connection | None:
        """Give an idle connection that the provider has not closed or written to, if there is one."""
        idle = self._idle
        if not idle:
            return None
        oldest_s = self._loop.time() - self._keepalive_s
        while idle:
            connection = idle.pop()
            if connection.idle_since_s < oldest_s:
                connection.close()
            elif connection.stale():
                connection.drop()
            else:
                return connection
        return None

    async def connection(self, until_s: float) -> Connection | TransportError:
        """Give an idle connection, or wait for a place and open one; a failure is returned."""
        try:
            async with asyncio.timeout_at(until_s):
                return await self._get()
        except TimeoutError:
            return words.no_connection_in_time(self._dialer.place)

    def give(self, connection: Connection) -> None:
        """Take back a connection whose exchange is whole."""
        if self._closed:
            connection.close()
            return
        waiter = self._next_waiter()
        if waiter is not None:
            waiter.set_result(connection)
            return
        connection.idle_since_s = self._loop.time()
        self._idle.append(connection)
        if self._timer is None:
            self._timer = self._loop.call_at(connection.idle_since_s + self._keepalive_s, self._expire)

    def forget(self, connection: Connection) -> None:
        """Hear that a connection is gone."""
        if connection in self._open:
            self._open.remove(connection)
            if connection in self._idle:
                self._idle.remove(connection)
            self._free()
            if not self._open and not self._idle and self._timer is not None:
                self._timer.cancel()
                self._timer = None

    async def close(self) -> None:
        """Close every connection, those in use too, and let nobody wait any more."""
        self._closed = True
        while (waiter := self._next_waiter()) is not None:
            self._places += 1
            waiter.set_result(None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lost = [connection.lost for connection in self._open]
        for connection in tuple(self._open):
            connection.cut()
        if lost:
            await asyncio.wait(lost, timeout=1.0)

    async def _get(self) -> Connection | TransportError:
        while not self._closed:
            connection = self.take()
            if connection is not None:
                return connection
            if self._places < self._limit:
                self._places += 1
            else:
                connection = await self._wait()
                if connection is not None:
                    if connection.stale():
                        connection.drop()
                        continue
                    return connection
            if not self._closed:
                return await self._dial()
            self._free()
        return words.no_connection_in_time(self._dialer.place)

    async def _wait(self) -> Connection | None:
        """Wait for a connection, or for a place (None) that is then ours."""
        waiter: asyncio.Future[Connection | None] = self._loop.create_future()
        self._waiters.append(waiter)
        try:
            return await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled():
                self._pass_on(waiter.result())
            else:
                self._waiters.remove(waiter)
            raise

    async def _dial(self) -> Connection | TransportError:
        """Open a connection on a place that is ours."""
        made: Connection | TransportError | None = None
        try:
            made = await self._dialer.dial(self, self._loop)
        finally:
            if not isinstance(made, Connection) or made.gone:
                self._free()
            else:
                self._open.add(made)
        if self._closed and isinstance(made, Connection):
            made.drop()
        return made

    def _pass_on(self, given: Connection | None) -> None:
        """Hand on what a call got that has been cancelled meanwhile."""
        if given is None:
            self._free()
        elif given.stale():
            given.drop()
        else:
            self.give(given)

    def _free(self) -> None:
        """Give a place away: to who waits longest, or back."""
        waiter = self._next_waiter()
        if waiter is None:
            self._places -= 1
        else:
            waiter.set_result(None)

    def _next_waiter(self) -> asyncio.Future[Connection | None] | None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                return waiter
        return None

    def _expire(self) -> None:
        """Close what has been idle too long; the oldest is first in the list."""
        self._timer = None
        idle = self._idle
        oldest_s = self._loop.time() - self._keepalive_s
        while idle and idle[0].idle_since_s <= oldest_s:
            idle.pop(0).close()
        if idle:
            self._timer = self._loop.call_at(idle[0].idle_since_s + self._keepalive_s, self._expire)
