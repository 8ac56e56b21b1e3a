"""A call that is given up closes its connection at once, as the provider sees it."""

import asyncio
import threading

import pytest

from tests.support.raw_server import PATIENCE_S, Peer, RawServer
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


def test_a_task_cancelled_before_the_head_closes_the_connection_at_once(ground: Ground) -> None:
    # fault F10
    asked, closed = threading.Event(), threading.Event()

    def serve(peer: Peer) -> None:
        peer.request()
        asked.set()
        assert peer.drain() == 0
        closed.set()

    async def session(transport: Transport) -> None:
        task = asyncio.create_task(fetch(transport, server.url))
        await wait_for(asked)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await wait_for(closed)

    with RawServer(serve) as server:
        run(ground, session)


def test_a_task_cancelled_in_mid_stream_closes_the_connection_at_once(ground: Ground) -> None:
    # fault F10
    closed = threading.Event()

    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(CHUNKED)
        peer.chunk(b"data: 1\n\n")
        assert peer.drain() == 0
        closed.set()

    async def session(transport: Transport) -> None:
        got = asyncio.Event()

        async def read() -> None:
            async with transport.post(server.url, headers=HEADERS, body=b"{}", limits=LIMITS) as reply:
                async for _ in reply.chunks():
                    got.set()

        task = asyncio.create_task(read())
        await got.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await wait_for(closed)

    with RawServer(serve) as server:
        run(ground, session)


def test_abort_closes_at_once_and_ends_a_waiting_reader(ground: Ground) -> None:
    closed = threading.Event()

    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(CHUNKED)
        peer.chunk(b"data: 1\n\n")
        assert peer.drain() == 0
        closed.set()

    async def session(transport: Transport) -> None:
        async with transport.post(server.url, headers=HEADERS, body=b"{}", limits=LIMITS) as reply:
            pieces = reply.chunks()
            await anext(pieces)
            waiting = asyncio.ensure_future(anext(pieces))
            await asyncio.sleep(0)
            reply.abort()
            reply.abort()
            with pytest.raises(TransportError):
                await waiting
            await wait_for(closed)
            with pytest.raises(TransportError):
                await anext(pieces)

    with RawServer(serve) as server:
        run(ground, session)


def test_a_cancelled_upload_is_not_delivered_whole(ground: Ground) -> None:
    size = 64_000_000
    accepted, cancelled = threading.Event(), threading.Event()
    received: list[int] = []

    def serve(peer: Peer) -> None:
        accepted.set()
        assert cancelled.wait(PATIENCE_S)
        received.append(peer.drain())

    async def session(transport: Transport) -> None:
        task = asyncio.create_task(fetch(transport, server.url, body=bytes(size)))
        await wait_for(accepted)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        cancelled.set()

    with RawServer(serve) as server:
        run(ground, session)
    assert received[0] < size


def test_a_provider_that_does_not_read_is_left_at_the_first_byte_limit(ground: Ground) -> None:
    done = threading.Event()

    async def session(transport: Transport) -> None:
        limits = PhaseLimits(connect_s=5, first_byte_s=1, idle_s=5)
        with pytest.raises(TransportError) as caught:
            async with transport.post(server.url, headers=HEADERS, body=bytes(64_000_000), limits=limits):
                pass
        done.set()
        assert (caught.value.phase, caught.value.sent) == ("send", "maybe")

    with RawServer(lambda _peer: _hold(done)) as server:
        run(ground, session)


def _hold(done: threading.Event) -> None:
    assert done.wait(PATIENCE_S)


def test_a_refusal_that_comes_before_the_upload_ends_is_read(ground: Ground) -> None:
    def serve(peer: Peer) -> None:
        peer.sock.recv(1)
        peer.answer(b"too large", status="413 Content Too Large")
        peer.drain()

    async def session(transport: Transport) -> None:
        async with transport.post(
            server.url, headers=HEADERS, body=bytes(64_000_000), limits=LIMITS
        ) as reply:
            assert reply.status == 413
            assert await reply.read(100) == b"too large"

    with RawServer(serve) as server:
        run(ground, session)
