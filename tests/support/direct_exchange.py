"""One exchange of our own client without a socket: bytes in, what the reader got out."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tidegate.providers.direct_connection import Connection
from tidegate.providers.direct_reply import DirectReply
from tidegate.providers.transport import PhaseLimits, TransportError

LIMITS = PhaseLimits(connect_s=60, first_byte_s=60, idle_s=60)
URL = "http://127.0.0.1:1/"


class FakeTransport(asyncio.Transport):
    """Remembers what a connection does to its transport."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False
        self.reading = True

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def pause_reading(self) -> None:
        assert self.reading
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading
        self.reading = True

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        self.closed = True


class Shelf:
    """A pool that only writes down."""

    def __init__(self) -> None:
        self.held: list[Connection] = []

    def give(self, connection: Connection) -> None:
        assert connection not in self.held
        self.held.append(connection)

    def forget(self, connection: Connection) -> None:
        if connection in self.held:
            self.held.remove(connection)


@dataclass(frozen=True)
class Outcome:
    """What one exchange came to. `pooled`: the connection was there for the next call before it ended."""

    status: int
    headers: dict[str, str]
    body: bytes
    error: tuple[str, str, bool] | None
    pooled: bool


def opened() -> tuple[Connection, FakeTransport, Shelf]:
    """Return a connection on a fake transport."""
    shelf, transport = Shelf(), FakeTransport()
    connection = Connection(shelf, asyncio.get_running_loop())
    connection.connection_made(transport)
    return connection, transport, shelf


async def exchange(pieces: Iterable[bytes], *, end: Exception | None = None, turns: bool = False) -> Outcome:
    """Feed a reply in pieces, then the connection's end; `turns`: let the reader run in between."""
    connection, transport, shelf = opened()
    reply = DirectReply(connection, url=URL, limits=LIMITS, deadline_s=None)
    assert connection.send(b"GET / HTTP/1.1\r\n\r\n", b"", reply)
    body: list[bytes] = []

    async def read() -> TransportError | None:
        failure = await reply.head()
        try:
            while failure is None and (piece := await reply.next_piece()):
                body.append(piece)
        except TransportError as error:
            return error
        return failure

    reader = asyncio.ensure_future(read())
    await asyncio.sleep(0)
    for piece in pieces:
        if transport.closed:
            break
        connection.data_received(piece)
        if turns or not transport.reading:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
    pooled = bool(shelf.held)
    if not transport.closed and end is None:
        connection.eof_received()
    connection.connection_lost(end)
    failure = await asyncio.wait_for(reader, 5)
    assert not shelf.held
    error = None if failure is None else (failure.phase, failure.sent, failure.got_bytes)
    headers = dict(reply.headers.items())
    return Outcome(reply.status, headers, b"".join(body), error, pooled)


def cut(raw: bytes, places: Sequence[int]) -> list[bytes]:
    """Cut at places, which may be unsorted and repeat."""
    marks = sorted({place % (len(raw) + 1) for place in places} | {0, len(raw)})
    return [raw[start:stop] for start, stop in pairwise(marks)]
