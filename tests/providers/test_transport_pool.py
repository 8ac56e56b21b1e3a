"""Which connection a call gets, and when it is kept."""

import contextlib
import threading

import pytest

from tests.support.raw_server import PATIENCE_S, Peer, RawServer, echo
from tests.support.transport_session import (
    CHUNKED,
    GROUNDS,
    HEADERS,
    LIMITS,
    Ground,
    fetch,
    run,
    wait_for,
)
from tidegate.providers.transport import PhaseLimits, Transport, TransportError

pytestmark = pytest.mark.parametrize("ground", GROUNDS)


def test_a_reply_read_to_its_end_gives_the_connection_back(ground: Ground) -> None:
    async def session(transport: Transport) -> None:
        for number in range(5):
            assert await fetch(transport, server.url, body=b"%d" % number) == b"%d" % number

    with RawServer(echo) as server:
        run(ground, session)
    assert server.connections == 1


def test_a_stream_read_to_its_end_gives_the_connection_back(ground: Ground) -> None:
    def serve(peer: Peer) -> None:
        while True:
            peer.request()
            peer.send(CHUNKED)
            peer.chunk(b"data: [DONE]\n\n")
            peer.send(b"0\r\n\r\n")

    async def session(transport: Transport) -> None:
        for _ in range(3):
            assert await fetch(transport, server.url) == b"data: [DONE]\n\n"

    with RawServer(serve) as server:
        run(ground, session)
    assert server.connections == 1


def test_a_reply_that_is_not_read_to_its_end_closes_its_connection(ground: Ground) -> None:
    closed = threading.Event()

    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(CHUNKED)
        peer.chunk(b"data: 1\n\n")
        if peer.number == 0:
            peer.drain()
            closed.set()
        else:
            peer.send(b"0\r\n\r\n")

    async def session(transport: Transport) -> None:
        async with transport.post(server.url, headers=HEADERS, body=b"{}", limits=LIMITS) as reply:
            assert await anext(reply.chunks()) == b"data: 1\n\n"
        await wait_for(closed)
        await fetch(transport, server.url)

    with RawServer(serve) as server:
        run(ground, session)
    assert server.connections == 2


@pytest.mark.parametrize("size", [2, 100_000])
def test_a_pooled_connection_that_was_just_closed_is_replaced(ground: Ground, size: int) -> None:
    closed = threading.Event()
    body = b"x" * size

    def serve(peer: Peer) -> None:
        peer.answer(peer.request()[1])
        if peer.number == 0:
            peer.sock.close()
            closed.set()

    async def session(transport: Transport) -> None:
        assert await fetch(transport, server.url, body=body) == body
        assert closed.wait(PATIENCE_S)  # in the loop's own thread, so that it cannot notice by itself
        assert await fetch(transport, server.url, body=body) == body

    with RawServer(serve) as server:
        run(ground, session)
    assert server.connections == 2


def test_abort_after_the_end_leaves_the_pool_alone(ground: Ground) -> None:
    async def session(transport: Transport) -> None:
        async with transport.post(server.url, headers=HEADERS, body=b"{}", limits=LIMITS) as first:
            await first.read(10)
            async with transport.post(server.url, headers=HEADERS, body=b"{}", limits=LIMITS) as second:
                first.abort()
                assert await second.read(10) == b"{}"

    with RawServer(echo) as server:
        run(ground, session)
    assert server.connections == 1


@pytest.mark.parametrize(("connect_s", "first_byte_s"), [(0.05, 5), (5, 0.05)])
def test_a_call_waits_for_a_place_only_as_long_as_its_limits(
    ground: Ground, connect_s: float, first_byte_s: float
) -> None:
    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(CHUNKED)
        peer.drain()

    async def session(transport: Transport) -> None:
        async with transport.post(server.url, headers=HEADERS, body=b"{}", limits=LIMITS):
            short = PhaseLimits(connect_s=connect_s, first_byte_s=first_byte_s, idle_s=5)
            with pytest.raises(TransportError) as caught:
                async with transport.post(server.url, headers=HEADERS, body=b"{}", limits=short):
                    pass
        assert (caught.value.phase, caught.value.sent) == ("connect", "no")

    with RawServer(serve) as server:
        run(ground, session, limit_per_host=1)


def test_a_reader_that_pauses_pauses_the_provider(ground: Ground) -> None:
    # trap S13
    size = 100_000_000
    sent: list[int] = []
    blocked, closed = threading.Event(), threading.Event()

    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        peer.sock.settimeout(0.3)
        total = 0
        with contextlib.suppress(TimeoutError):
            while total < size:
                total += peer.sock.send(bytes(65_536))
        sent.append(total)
        blocked.set()
        assert closed.wait(PATIENCE_S)

    async def session(transport: Transport) -> None:
        async with transport.post(server.url, headers=HEADERS, body=b"{}", limits=LIMITS) as reply:
            assert len(await anext(reply.chunks())) <= 512 * 1024
            await wait_for(blocked)
        closed.set()

    with RawServer(serve) as server:
        run(ground, session)
    assert sent[0] < 30_000_000
