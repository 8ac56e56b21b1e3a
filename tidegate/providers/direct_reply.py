"""A reply read from our own client's connection, with its idle and total limits."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Self

from tidegate.providers import direct_failure as words
from tidegate.providers.direct_connection import Connection
from tidegate.providers.direct_framing import Framing, InterimError, MalformedError
from tidegate.providers.inflating_reply import InflatingReply
from tidegate.providers.transport import Phase, PhaseLimits, TransportError

MAX_UNREAD_BYTES = 256 * 1024
_NO_HEADERS: Mapping[str, str] = {}


class DirectReply(InflatingReply):
    """See Reply. It is made with its request; `head` waits until status and headers are there.

    The idle limit runs only while somebody waits for the provider. Once the body is whole the connection is
    back in its pool, be it read or not.
    """

    def __init__(
        self, connection: Connection, *, url: str, limits: PhaseLimits, deadline_s: float | None
    ) -> None:
        self._url = url
        self._connection: Connection | None = connection
        self._framing = Framing()
        self._idle_s = limits.idle_s
        self._deadline_s = float("inf") if deadline_s is None else deadline_s
        self._loop = connection.loop
        self._waiter: asyncio.Future[None] | None = None
        self._failure: TransportError | None = None
        self._paused = False
        self.status = 0
        self.headers = _NO_HEADERS

    def expect_no_body(self) -> None:
        """Take the reply for whole with its head, whatever length that says: it answers HEAD."""
        self._framing.bodiless = True

    async def head(self) -> TransportError | None:
        """Wait for the head; give what kept it from coming."""
        framing = self._framing
        while not framing.has_head and self._failure is None:
            self._waiter = self._loop.create_future()
            await self._waiter
        if not framing.has_head:
            return self._failure
        self.status, self.headers = framing.status, framing.headers
        if self._connection is not None:
            self._connection.unwatch(self._deadline_s)
        return None

    async def read(self, limit_bytes: int) -> bytes:
        """See Reply.read."""
        framing = self._framing
        if framing.whole and framing.unread_bytes <= limit_bytes and self._inflater is None:
            return framing.take()
        return await super().read(limit_bytes)

    def chunks(self) -> AsyncIterator[bytes]:
        """See Reply.chunks."""
        return self if self._inflater is None else super().chunks()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        framing = self._framing
        while not framing.pieces:
            if self._failure is not None:
                raise self._failure
            if framing.whole:
                raise StopAsyncIteration
            if self._connection is None:
                raise words.in_reply(self._url, "was left", phase="read")
            self._connection.watch(min(self._loop.time() + self._idle_s, self._deadline_s))
            self._waiter = waiter = self._loop.create_future()
            await waiter
        if self._paused and self._connection is not None:
            self._paused = False
            self._connection.resume()
        return framing.take()

    async def next_piece(self) -> bytes:
        """Give what has come, or wait for it; empty at the end."""
        return await anext(self, b"")

    def give_up(self, phase: Phase, what: str) -> None:
        """Close the connection at once; a reader gets a TransportError."""
        if self._failure is None:
            self._failure = words.in_reply(self._url, what, phase=phase)
        self._framing.drop_unread()
        self.leave()
        self._wake()

    def leave(self) -> None:
        """Close the connection, unless the body is whole."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._framing.stop()
            connection.drop()

    def received(self, data: bytes) -> None:
        """Connection: bytes of this reply."""
        framing = self._framing
        try:
            framing.feed(data)
        except MalformedError as error:
            self._refuse(error)
        if framing.whole:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.finish(reusable=framing.reusable)
        elif framing.unread_bytes >= MAX_UNREAD_BYTES and self._connection is not None:
            self._paused = True
            self._connection.pause()
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def lost(self, error: Exception | None) -> None:
        """Connection: it has ended."""
        connection, self._connection = self._connection, None
        framing = self._framing
        framing.stop()
        if self._failure is None and not framing.whole and not (error is None and framing.end()):
            if framing.has_head:
                self._failure = words.broken_off(error, self._url)
            else:
                uploaded = connection is not None and connection.uploaded
                self._failure = words.lost_before_head(
                    error, self._url, uploaded=uploaded, got_bytes=framing.got_bytes
                )
        self._wake()

    def expired(self, now_s: float) -> None:
        """Connection: a time limit has passed."""
        framing, connection = self._framing, self._connection
        if connection is None:
            return
        if not framing.has_head:
            self._failure = words.no_head_in_time(
                self._url, uploaded=connection.uploaded, got_bytes=framing.got_bytes
            )
            self.leave()
            self._wake()
        elif now_s >= self._deadline_s:
            self.give_up("total", "is not whole within the limit of the call")
        elif self._waiter is None:  # it is our side that has not asked for more
            connection.watch(min(now_s + self._idle_s, self._deadline_s))
        else:
            self.give_up("idle", f"paused for more than {self._idle_s:g} s")

    def _refuse(self, error: MalformedError) -> None:
        phase: Phase = "first_byte" if isinstance(error, InterimError) else "read"
        got_bytes = self._framing.got_bytes
        self._failure = words.in_reply(self._url, str(error), phase=phase, got_bytes=got_bytes)
        self.leave()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
