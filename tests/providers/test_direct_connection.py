"""A connection's timer, upload and back-pressure, without a socket."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest

from tests.support.direct_exchange import LIMITS, URL, FakeTransport, Shelf, opened
from tidegate.providers.direct_connection import SMALL_BODY_BYTES, Connection
from tidegate.providers.direct_reply import MAX_UNREAD_BYTES, DirectReply
from tidegate.providers.transport import TransportError

HEAD = b"POST / HTTP/1.1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\n"


class Handle:
    def __init__(self, due_s: float, ring: Callable[[], None]) -> None:
        self.due_s, self.ring = due_s, ring
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    """As much of an event loop as a connection's timer needs."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.handles: list[Handle] = []

    def time(self) -> float:
        return self.now_s

    def create_future(self) -> Any:
        return None

    def call_at(self, due_s: float, ring: Callable[[], None]) -> Handle:
        self.handles.append(Handle(due_s, ring))
        return self.handles[-1]

    def set(self, now_s: float) -> None:
        """Ring what is due."""
        self.now_s = now_s
        for handle in tuple(self.handles):
            if not handle.cancelled and handle.due_s <= now_s:
                self.handles.remove(handle)
                handle.ring()


class Listener:
    def __init__(self) -> None:
        self.rung: list[float] = []
        self.errors: list[Exception | None] = []

    def received(self, data: bytes) -> None:
        raise AssertionError

    def lost(self, error: Exception | None) -> None:
        self.errors.append(error)

    def expired(self, now_s: float) -> None:
        self.rung.append(now_s)


def timed() -> tuple[Clock, Connection, Listener]:
    clock, listener = Clock(), Listener()
    connection = Connection(Shelf(), cast("asyncio.AbstractEventLoop", clock))
    connection.connection_made(FakeTransport())
    assert connection.send(HEAD, b"", listener)
    return clock, connection, listener


def run(main: Coroutine[Any, Any, None]) -> None:
    asyncio.run(main)


def test_a_later_deadline_does_not_move_the_timer() -> None:
    clock, connection, listener = timed()
    for due_s in (10.0, 11.0, 12.0):
        connection.watch(due_s)
    assert len(clock.handles) == 1
    clock.set(10.0)
    assert (listener.rung, len(clock.handles)) == ([], 1)
    clock.set(12.0)
    assert (listener.rung, len(clock.handles)) == ([12.0], 0)


def test_an_earlier_deadline_moves_the_timer() -> None:
    clock, connection, listener = timed()
    connection.watch(300.0)
    connection.watch(60.0)
    assert [handle.cancelled for handle in clock.handles] == [True, False]
    clock.set(60.0)
    assert listener.rung == [60.0]


def test_a_deadline_put_off_does_not_ring() -> None:
    clock, connection, listener = timed()
    connection.watch(10.0)
    connection.unwatch(float("inf"))
    clock.set(10.0)
    assert (listener.rung, clock.handles) == ([], [])


def test_an_idle_connection_needs_no_timer_of_the_next_call() -> None:
    clock, connection, listener = timed()
    connection.watch(10.0)
    connection.finish(reusable=True)
    assert connection.send(HEAD, b"", listener)
    connection.watch(15.0)
    assert len(clock.handles) == 1
    clock.set(10.0)
    clock.set(15.0)
    assert listener.rung == [15.0]


def test_a_lost_connection_has_no_timer() -> None:
    async def session() -> None:
        connection, _, _ = opened()
        listener = Listener()
        connection.send(HEAD, b"", listener)
        connection.watch(asyncio.get_running_loop().time() + 60)
        connection.connection_lost(None)
        assert listener.errors == [None]
        assert connection.gone
        assert not connection.send(HEAD, b"", listener)

    run(session())


@pytest.mark.parametrize("size", [0, 1, SMALL_BODY_BYTES])
def test_a_small_body_is_one_write_with_its_head(size: int) -> None:
    async def session() -> None:
        connection, transport, _ = opened()
        connection.send(HEAD, bytes(size), Listener())
        assert transport.written == [HEAD + bytes(size)]
        assert connection.uploaded

    run(session())


def test_a_large_body_goes_out_while_the_socket_takes_it() -> None:
    body = bytes(range(256)) * 1024

    async def session() -> None:
        connection, transport, _ = opened()
        connection.pause_writing()
        connection.send(HEAD, body, Listener())
        assert (b"".join(transport.written), connection.uploaded) == (HEAD, False)
        connection.resume_writing()
        assert (b"".join(transport.written), connection.uploaded) == (HEAD + body, True)
        assert max(map(len, transport.written)) <= SMALL_BODY_BYTES

    run(session())


@pytest.mark.parametrize("way", ["drop", "lost", "closing"])
def test_nothing_more_is_written_once_a_call_is_given_up(way: str) -> None:
    async def session() -> None:
        connection, transport, _ = opened()
        connection.pause_writing()
        connection.send(HEAD, bytes(1_000_000), Listener())
        if way == "drop":
            connection.drop()
        elif way == "lost":
            connection.connection_lost(None)
        else:
            transport.closed = True
        connection.resume_writing()
        assert (transport.written, connection.uploaded) == ([HEAD], False)

    run(session())


def test_a_reply_ahead_of_the_upload_closes_the_connection() -> None:
    async def session() -> None:
        connection, transport, shelf = opened()
        reply = DirectReply(connection, url=URL, limits=LIMITS, deadline_s=None)
        connection.pause_writing()
        connection.send(HEAD, bytes(1_000_000), reply)
        connection.data_received(b"HTTP/1.1 413 x\r\ncontent-length: 2\r\n\r\nno")
        assert await reply.head() is None
        assert (reply.status, await reply.read(10)) == (413, b"no")
        assert (transport.closed, shelf.held) == (True, [])

    run(session())


def test_what_comes_to_an_idle_connection_ends_it() -> None:
    async def session() -> None:
        for event in ("bytes", "end", "loss"):
            connection, _, shelf = opened()
            shelf.give(connection)
            if event == "bytes":
                connection.data_received(b"x")
            elif event == "end":
                connection.eof_received()
            else:
                connection.connection_lost(None)
            assert (connection.gone, shelf.held) == (True, [])

    run(session())


def test_unread_bytes_pause_the_provider_and_reading_goes_on_after() -> None:
    # trap S13
    async def session() -> None:
        connection, transport, shelf = opened()
        reply = DirectReply(connection, url=URL, limits=LIMITS, deadline_s=None)
        connection.send(HEAD, b"", reply)
        connection.data_received(OK + b"content-length: %d\r\n\r\n" % (MAX_UNREAD_BYTES + 1))
        connection.data_received(bytes(MAX_UNREAD_BYTES - 1))
        assert transport.reading
        connection.data_received(b"1")
        assert not transport.reading
        assert len(await reply.next_piece()) == MAX_UNREAD_BYTES
        assert transport.reading
        connection.data_received(b"2")
        assert shelf.held == [connection]
        assert await reply.next_piece() == b"2"
        assert await reply.next_piece() == b""

    run(session())


def test_a_reader_of_one_call_does_not_touch_the_next_on_its_connection() -> None:
    async def session() -> None:
        connection, transport, shelf = opened()
        first = DirectReply(connection, url=URL, limits=LIMITS, deadline_s=None)
        connection.send(HEAD, b"", first)
        connection.data_received(OK + b"content-length: 2\r\n\r\na")
        assert await first.next_piece() == b"a"
        waiting = asyncio.ensure_future(first.next_piece())
        await asyncio.sleep(0)
        connection.data_received(b"b")
        second = DirectReply(connection, url=URL, limits=LIMITS, deadline_s=None)
        connection.send(HEAD, b"", second)
        connection.watch(asyncio.get_running_loop().time())
        assert await waiting == b"b"
        first.abort()
        first.leave()
        failure = await asyncio.wait_for(second.head(), 5)
        assert failure is not None
        assert failure.phase == "first_byte"
        assert (transport.closed, shelf.held) == (True, [])

    run(session())


def test_the_first_byte_limit_ends_with_the_head() -> None:
    async def session() -> None:
        connection, transport, _ = opened()
        reply = DirectReply(connection, url=URL, limits=LIMITS, deadline_s=None)
        connection.send(HEAD, b"", reply)
        due_s = asyncio.get_running_loop().time() + 0.01
        connection.watch(due_s)
        connection.data_received(OK + b"content-length: 1\r\n\r\n")
        assert await reply.head() is None
        await asyncio.sleep(0.02)
        assert not transport.closed
        connection.data_received(b"!")
        assert await reply.read(1) == b"!"
        connection.connection_lost(None)

    run(session())


def test_a_cut_body_gives_what_came_before_its_error() -> None:
    async def session() -> None:
        connection, _, _ = opened()
        reply = DirectReply(connection, url=URL, limits=LIMITS, deadline_s=None)
        connection.send(HEAD, b"", reply)
        connection.data_received(OK + b"content-length: 10\r\n\r\nabc")
        connection.connection_lost(ConnectionResetError(104, "x"))
        assert await reply.next_piece() == b"abc"
        for _ in range(2):
            with pytest.raises(TransportError, match="broke off"):
                await reply.next_piece()

    run(session())


def test_an_aborted_reply_gives_nothing_more() -> None:
    async def session() -> None:
        connection, transport, _ = opened()
        reply = DirectReply(connection, url=URL, limits=LIMITS, deadline_s=None)
        connection.send(HEAD, b"", reply)
        connection.data_received(OK + b"content-length: 10\r\n\r\nabc")
        reply.abort()
        with pytest.raises(TransportError, match="given up"):
            await reply.next_piece()
        assert transport.closed

    run(session())
