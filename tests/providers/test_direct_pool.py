"""Which connection a call of our own client gets, over real sockets."""

import asyncio
import contextlib
import socket
import ssl
import threading
from pathlib import Path

import pytest

from tests.support.loops import run_on
from tests.support.raw_server import PATIENCE_S, Peer, RawServer, echo
from tests.support.tls import contexts
from tests.support.transport_session import (
    BODY,
    CHUNKED,
    HEADERS,
    LIMITS,
    facts,
    failure,
    fetch,
    run_with,
    wait_for,
)
from tidegate.providers.direct_connection import Connection
from tidegate.providers.direct_failure import LookupFailedError, connect_failure
from tidegate.providers.direct_pool import Pool
from tidegate.providers.direct_request import Origin
from tidegate.providers.direct_transport import DirectTransport
from tidegate.providers.transport import PhaseLimits, Transport, TransportError

pytestmark = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


class LosingPool(Pool):
    """Closes the first `losses` connections between handing them out and the write."""

    losses = 0

    def take(self) -> Connection | None:
        return self._lose(super().take())

    async def connection(self, until_s: float) -> Connection | TransportError:
        made = await super().connection(until_s)
        return made if isinstance(made, TransportError) else self._lose(made) or made

    def _lose(self, connection: Connection | None) -> Connection | None:
        if connection is not None and self.losses > 0:
            self.losses -= 1
            connection.close()
        return connection


class LosingTransport(DirectTransport):
    def __init__(self, losses: int) -> None:
        super().__init__()
        self.losses = losses
        self.made: LosingPool | None = None

    def pool(self, origin: Origin) -> Pool:
        if self.made is None:
            loop = asyncio.get_running_loop()
            self.made = LosingPool(origin, limit=2, keepalive_s=15, tls=None, loop=loop)
            self.made.losses = self.losses
            self._pools[origin] = self.made
        return self.made


def test_a_post_lost_before_its_write_is_sent_once_more(loop: str) -> None:
    async def session(transport: Transport) -> None:
        assert await fetch(transport, server.url, body=b"again") == b"again"
        assert await fetch(transport, server.url, body=b"and again") == b"and again"

    with RawServer(echo) as server:
        run_with(LosingTransport(losses=1), loop, session)


def test_a_post_lost_twice_before_its_write_is_given_up_unsent(loop: str) -> None:
    async def session(transport: Transport) -> None:
        assert facts(await failure(transport, server.url)) == ("send", "no", False)
        assert await fetch(transport, server.url, body=b"later") == b"later"

    with RawServer(echo) as server:
        run_with(LosingTransport(losses=2), loop, session)


def test_a_reused_connection_that_is_closed_after_the_write_is_not_sent_again(loop: str) -> None:
    # the provider may have begun to answer, and to bill
    def serve(peer: Peer) -> None:
        peer.answer(peer.request()[1])
        peer.request()

    async def session(transport: Transport) -> None:
        await fetch(transport, server.url)
        assert facts(await failure(transport, server.url)) == ("first_byte", "maybe", False)

    with RawServer(serve) as server:
        run_with(DirectTransport(), loop, session)
    assert server.connections == 1


def test_no_more_connections_are_open_than_allowed(loop: str) -> None:
    async def session(transport: Transport) -> None:
        bodies = [b"%d" % number for number in range(30)]
        replies = await asyncio.gather(*(fetch(transport, server.url, body=body) for body in bodies))
        assert replies == bodies

    with RawServer(echo) as server:
        run_with(DirectTransport(limit_per_host=3), loop, session)
    assert 1 <= server.connections <= 3


def test_who_stops_waiting_for_a_place_leaves_it_to_the_next(loop: str) -> None:
    # every moment of the wait, the one of being woken among them
    async def session(transport: Transport) -> None:
        for turns in range(12):
            async with transport.post(server.url, headers=HEADERS, body=BODY, limits=LIMITS) as reply:
                waiting = [asyncio.ensure_future(fetch(transport, server.url, body=BODY)) for _ in range(3)]
                await asyncio.sleep(0)
                await reply.read(1000)
            for _ in range(turns):
                await asyncio.sleep(0)
            for task in waiting[:2]:
                task.cancel()
            assert await waiting[2] == BODY
            await asyncio.gather(*waiting, return_exceptions=True)
        assert await fetch(transport, server.url) == BODY

    with RawServer(echo) as server:
        run_with(DirectTransport(limit_per_host=1), loop, session)


def pool_of(server: RawServer) -> Pool:
    origin = (False, "127.0.0.1", server.port)
    return Pool(origin, limit=1, keepalive_s=15, tls=None, loop=asyncio.get_running_loop())


@pytest.mark.parametrize("given", ["connection", "place"])
def test_what_a_cancelled_call_was_just_given_goes_to_the_next(loop: str, given: str) -> None:
    async def main() -> None:
        pool = pool_of(server)
        until_s = asyncio.get_running_loop().time() + 5
        held = await pool.connection(until_s)
        assert isinstance(held, Connection)
        first, second = (asyncio.ensure_future(pool.connection(until_s)) for _ in range(2))
        await asyncio.sleep(0)
        if given == "connection":
            pool.give(held)
        else:
            held.close()
        first.cancel()
        got = await second
        assert isinstance(got, Connection)
        assert (got is held) == (given == "connection")
        assert first.cancelled()
        await pool.close()

    with RawServer(echo) as server:
        run_on(loop, main())


def test_a_connection_lost_on_its_way_to_who_waits_is_replaced(loop: str) -> None:
    async def main() -> None:
        pool = pool_of(server)
        until_s = asyncio.get_running_loop().time() + 5
        held = await pool.connection(until_s)
        assert isinstance(held, Connection)
        waiting = asyncio.ensure_future(pool.connection(until_s))
        await asyncio.sleep(0)
        pool.give(held)
        held.close()
        got = await waiting
        assert isinstance(got, Connection)
        assert got is not held
        assert not got.gone
        await pool.close()

    with RawServer(echo) as server:
        run_on(loop, main())


def test_a_cancelled_call_is_a_reset_for_the_provider(loop: str) -> None:
    asked = threading.Event()

    def serve(peer: Peer) -> None:
        peer.request()
        asked.set()
        with pytest.raises(ConnectionResetError):
            peer.sock.recv(1)

    async def session(transport: Transport) -> None:
        task = asyncio.ensure_future(fetch(transport, server.url))
        await wait_for(asked)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with RawServer(serve) as server:
        run_with(DirectTransport(), loop, session)


def test_closing_ends_a_call_that_connects(loop: str, tmp_path: Path) -> None:
    server_side, client_side = contexts(tmp_path)
    reached, go_on = threading.Event(), threading.Event()

    def serve(peer: Peer) -> None:
        reached.set()
        assert go_on.wait(PATIENCE_S)
        with contextlib.suppress(OSError):
            peer.sock = server_side.wrap_socket(peer.sock, server_side=True)
            with peer.sock:
                assert peer.drain() == 0

    async def session(transport: Transport) -> None:
        call = asyncio.ensure_future(failure(transport, server.url.replace("http:", "https:")))
        await wait_for(reached)
        await transport.close()
        go_on.set()
        assert (await call).sent == "no"

    with RawServer(serve) as server:
        run_with(DirectTransport(tls=client_side), loop, session)


def test_a_place_comes_back_after_each_way_a_call_can_fail(loop: str) -> None:
    def serve(peer: Peer) -> None:
        _, body = peer.request()
        if body == b"cut":
            peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\ncut")
        elif body == b"reset":
            peer.reset()
        elif body == b"malformed":
            peer.send(b"SMTP\r\n\r\n")
        elif body == b"closing":
            peer.answer(body, head=b"connection: close\r\n")
        elif body == b"extra":
            peer.answer(body)
            peer.send(b"!")
        elif body == b"kept":
            peer.answer(body)
            assert peer.request()[1] == b"left"
            peer.send(CHUNKED)
            peer.drain()
        else:
            peer.answer(body)

    async def session(transport: Transport) -> None:
        limits = PhaseLimits(connect_s=5, first_byte_s=5, idle_s=5)
        for body in (b"cut", b"reset", b"malformed", b"closing", b"extra", b"kept"):
            with contextlib.suppress(TransportError):
                async with transport.post(server.url, headers={}, body=body, limits=limits) as reply:
                    await reply.read(100)
        with contextlib.suppress(ZeroDivisionError):
            async with transport.post(server.url, headers={}, body=b"left", limits=limits) as reply:
                raise ZeroDivisionError

    with RawServer(serve) as server:
        run_with(DirectTransport(limit_per_host=1), loop, session)


def test_a_refused_connection_gives_its_place_back(loop: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    async def session(transport: Transport) -> None:
        url = f"http://127.0.0.1:{port}"
        failures = await asyncio.gather(*(failure(transport, url) for _ in range(5)))
        assert {facts(error) for error in failures} == {("connect", "no", False)}

    run_with(DirectTransport(limit_per_host=1), loop, session)


def test_the_connection_used_last_is_used_first(loop: str) -> None:
    def serve(peer: Peer) -> None:
        with contextlib.suppress(ConnectionResetError):
            while True:
                peer.request()
                peer.answer(b"%d" % peer.number)

    async def session(transport: Transport) -> None:
        async with transport.post(server.url, headers=HEADERS, body=BODY, limits=LIMITS) as first:
            async with transport.post(server.url, headers=HEADERS, body=BODY, limits=LIMITS) as second:
                pass
            numbers = [await reply.read(10) for reply in (first, second)]
        assert await fetch(transport, server.url) in numbers

    async def ordered(transport: Transport) -> None:
        release = await asyncio.gather(*(fetch(transport, server.url) for _ in range(3)))
        again = [await fetch(transport, server.url) for _ in range(3)]
        assert set(again) <= set(release)
        assert len(set(again)) == 1

    with RawServer(serve) as server:
        run_with(DirectTransport(), loop, session)
        run_with(DirectTransport(), loop, ordered)


def test_an_idle_connection_is_closed_after_its_time(loop: str) -> None:
    closed = threading.Event()

    def serve(peer: Peer) -> None:
        peer.answer(peer.request()[1])
        assert peer.drain() == 0
        closed.set()

    async def session(transport: Transport) -> None:
        await asyncio.gather(*(fetch(transport, server.url) for _ in range(3)))
        await wait_for(closed)

    with RawServer(serve) as server:
        run_with(DirectTransport(keepalive_s=0.05), loop, session)


@pytest.mark.parametrize("noticed", [True, False])
def test_bytes_that_nobody_asked_for_answer_no_call(loop: str, *, noticed: bool) -> None:
    go_on, sent = threading.Event(), threading.Event()
    stray = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret"

    def serve(peer: Peer) -> None:
        peer.answer(peer.request()[1])
        if peer.number == 0:
            assert go_on.wait(PATIENCE_S)
            peer.send(stray)
            sent.set()
            peer.drain()

    async def session(transport: Transport) -> None:
        await fetch(transport, server.url)
        go_on.set()
        assert sent.wait(PATIENCE_S)  # in the loop's own thread, so that it cannot notice by itself
        if noticed:
            await asyncio.sleep(0.01)
        assert await fetch(transport, server.url, body=b"mine") == b"mine"

    with RawServer(serve) as server:
        run_with(DirectTransport(), loop, session)
    assert server.connections == 2


def test_closing_ends_calls_under_way_and_those_that_wait_for_a_place(loop: str) -> None:
    asked = threading.Event()

    def serve(peer: Peer) -> None:
        peer.request()
        asked.set()
        peer.drain()

    async def session(transport: Transport) -> None:
        calls = [asyncio.ensure_future(failure(transport, server.url)) for _ in range(3)]
        await wait_for(asked)
        await transport.close()
        errors = await asyncio.gather(*calls)
        assert sorted(facts(error) for error in errors) == [
            ("connect", "no", False),
            ("connect", "no", False),
            ("first_byte", "maybe", False),
        ]

    with RawServer(serve) as server:
        run_with(DirectTransport(limit_per_host=1), loop, session)


def test_closing_ends_a_stream_under_way(loop: str) -> None:
    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(CHUNKED)
        peer.chunk(b"one")
        peer.drain()

    async def session(transport: Transport) -> None:
        async with transport.post(server.url, headers=HEADERS, body=BODY, limits=LIMITS) as reply:
            pieces = reply.chunks()
            assert await anext(pieces) == b"one"
            await transport.close()
            with pytest.raises(TransportError):
                await anext(pieces)

    with RawServer(serve) as server:
        run_with(DirectTransport(), loop, session)


def test_a_call_cancelled_while_it_connects_gives_its_place_back(loop: str, tmp_path: Path) -> None:
    server_side, client_side = contexts(tmp_path)
    reached, go_on = threading.Event(), threading.Event()

    def serve(peer: Peer) -> None:
        if peer.number == 0:
            reached.set()
            assert go_on.wait(PATIENCE_S)
            return
        peer.sock = server_side.wrap_socket(peer.sock, server_side=True)
        with peer.sock:
            echo(peer)

    async def session(transport: Transport) -> None:
        url = server.url.replace("http:", "https:")
        task = asyncio.ensure_future(fetch(transport, url))
        await wait_for(reached)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()
        assert await fetch(transport, url, body=b"next") == b"next"

    with RawServer(serve) as server:
        run_with(DirectTransport(limit_per_host=1, tls=client_side), loop, session)


def test_a_name_with_two_addresses_is_reached_on_the_one_that_answers(loop: str) -> None:
    async def session(transport: Transport) -> None:
        url = server.url.replace("127.0.0.1", "localhost")
        assert await fetch(transport, url) == BODY

    with RawServer(echo) as server:
        run_with(DirectTransport(), loop, session)


def test_a_name_without_an_address_says_so(loop: str) -> None:
    error = connect_failure(LookupFailedError(), "h:1", connected=False)
    assert (str(error), *facts(error)) == ("the name of h:1 is not found", "connect", "no", False)


@pytest.mark.parametrize("farewell", [True, False])
def test_over_tls_a_body_without_length_ends_with_its_connection(
    loop: str, tmp_path: Path, *, farewell: bool
) -> None:
    server_side, client_side = contexts(tmp_path)

    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        if farewell and isinstance(peer.sock, ssl.SSLSocket):
            with contextlib.suppress(OSError):
                peer.sock.unwrap()

    async def session(transport: Transport) -> None:
        assert await fetch(transport, server.url) == b"all of it"

    with RawServer(serve, tls=server_side) as server:
        run_with(DirectTransport(tls=client_side), loop, session)


def test_over_tls_bodies_of_any_size_go_both_ways(loop: str, tmp_path: Path) -> None:
    server_side, client_side = contexts(tmp_path)

    async def session(transport: Transport) -> None:
        for size in (0, 65_536, 65_537, 900_000):
            assert await fetch(transport, server.url, body=b"x" * size) == b"x" * size

    with RawServer(echo, tls=server_side) as server:
        run_with(DirectTransport(tls=client_side), loop, session)
    assert server.connections == 1


def test_over_tls_a_cancelled_call_closes_at_once(loop: str, tmp_path: Path) -> None:
    server_side, client_side = contexts(tmp_path)
    asked, closed = threading.Event(), threading.Event()

    def serve(peer: Peer) -> None:
        peer.request()
        asked.set()
        with contextlib.suppress(ssl.SSLError):
            peer.drain()
        closed.set()

    async def session(transport: Transport) -> None:
        task = asyncio.ensure_future(fetch(transport, server.url))
        await wait_for(asked)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await wait_for(closed)

    with RawServer(serve, tls=server_side) as server:
        run_with(DirectTransport(tls=client_side), loop, session)


def test_the_name_in_the_certificate_must_be_the_hosts(loop: str, tmp_path: Path) -> None:
    server_side, client_side = contexts(tmp_path)

    async def session(transport: Transport) -> None:
        error = await failure(transport, server.url.replace("127.0.0.1", "localhost"))
        assert (error.phase, error.sent) == ("tls", "no")

    with RawServer(echo, tls=server_side) as server:
        run_with(DirectTransport(tls=client_side), loop, session)
