"""What a faulty provider may do, and what the caller is told."""

import asyncio
import threading
import traceback
from collections.abc import Callable

import pytest

from tests.support.raw_server import PATIENCE_S, Peer, RawServer
from tests.support.transport_session import (
    BODY,
    CHUNKED,
    GROUNDS,
    HEADERS,
    LIMITS,
    SECRET,
    SHORT_S,
    Ground,
    facts,
    failure,
    fetch,
    run,
)
from tidegate.providers.transport import PhaseLimits, ReplyTooLargeError, Transport, TransportError

pytestmark = pytest.mark.parametrize("ground", GROUNDS)


def test_a_reset_after_sending_may_have_been_sent(ground: Ground) -> None:
    def serve(peer: Peer) -> None:
        peer.request()
        peer.reset()

    async def session(transport: Transport) -> None:
        assert facts(await failure(transport, server.url)) == ("first_byte", "maybe", False)

    with RawServer(serve) as server:
        run(ground, session)
    assert server.connections == 1


def test_a_close_inside_the_head_says_that_bytes_came(ground: Ground) -> None:
    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-ty")

    async def session(transport: Transport) -> None:
        assert facts(await failure(transport, server.url)) == ("read", "maybe", True)

    with RawServer(serve) as server:
        run(ground, session)


def test_a_server_that_never_answers_is_left_at_the_first_byte_limit(ground: Ground) -> None:
    # fault F1, trap R5
    left: list[int] = []

    def serve(peer: Peer) -> None:
        peer.request()
        left.append(peer.drain())

    async def session(transport: Transport) -> None:
        limits = PhaseLimits(connect_s=5, first_byte_s=SHORT_S, idle_s=5)
        assert facts(await failure(transport, server.url, limits=limits)) == ("first_byte", "maybe", False)

    with RawServer(serve) as server:
        run(ground, session)
    assert left == [0]


def test_the_idle_limit_does_not_shorten_the_wait_for_the_first_byte(ground: Ground) -> None:
    def serve(peer: Peer) -> None:
        peer.request()
        threading.Event().wait(SHORT_S * 3)
        peer.answer(b"late")

    async def session(transport: Transport) -> None:
        limits = PhaseLimits(connect_s=5, first_byte_s=5, idle_s=SHORT_S)
        assert await fetch(transport, server.url, limits=limits) == b"late"

    with RawServer(serve) as server:
        run(ground, session)


def test_interim_replies_without_end_do_not_prolong_the_wait(ground: Ground) -> None:
    def serve(peer: Peer) -> None:
        peer.request()
        try:
            while True:
                peer.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 50)
        except OSError:
            pass

    async def session(transport: Transport) -> None:
        limits = PhaseLimits(connect_s=5, first_byte_s=0.2, idle_s=5)
        assert facts(await failure(transport, server.url, limits=limits)) == ("first_byte", "maybe", False)

    with RawServer(serve) as server:
        run(ground, session)


def test_an_interim_reply_is_passed_over(ground: Ground) -> None:
    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n")
        peer.answer(b"body")

    async def session(transport: Transport) -> None:
        assert await fetch(transport, server.url) == b"body"

    with RawServer(serve) as server:
        run(ground, session)


HEADS = {
    "not HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "a huge field": b"HTTP/1.1 200 OK\r\nx: " + b"a" * 1_000_000 + b"\r\n\r\n",
    "too many fields": b"HTTP/1.1 200 OK\r\n" + b"x: 1\r\n" * 10_000 + b"\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
}


@pytest.mark.parametrize("name", HEADS)
def test_a_head_that_is_malformed_or_too_large_is_no_status_of_the_provider(
    ground: Ground, name: str
) -> None:
    def serve(peer: Peer) -> None:
        peer.request()
        try:
            peer.send(HEADS[name])
        except OSError:
            return
        peer.drain()

    async def session(transport: Transport) -> None:
        assert facts(await failure(transport, server.url)) == ("read", "maybe", True)

    with RawServer(serve) as server:
        run(ground, session)


def test_a_stream_that_stalls_is_cut_at_the_idle_limit(ground: Ground) -> None:
    # fault F2
    left: list[int] = []

    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(CHUNKED)
        peer.chunk(b"data: 1\n\n")
        left.append(peer.drain())

    async def session(transport: Transport) -> None:
        limits = PhaseLimits(connect_s=5, first_byte_s=5, idle_s=SHORT_S)
        async with transport.post(server.url, headers=HEADERS, body=BODY, limits=limits) as reply:
            pieces = reply.chunks()
            assert await anext(pieces) == b"data: 1\n\n"
            with pytest.raises(TransportError) as caught:
                await anext(pieces)
        assert facts(caught.value) == ("idle", "maybe", True)

    with RawServer(serve) as server:
        run(ground, session)
    assert left == [0]


def test_a_slow_reader_is_no_idle_provider(ground: Ground) -> None:
    go_on = threading.Event()

    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(CHUNKED)
        peer.chunk(b"one")
        assert go_on.wait(PATIENCE_S)
        peer.chunk(b"two")
        peer.send(b"0\r\n\r\n")

    async def session(transport: Transport) -> None:
        limits = PhaseLimits(connect_s=5, first_byte_s=5, idle_s=0.4)
        async with transport.post(server.url, headers=HEADERS, body=BODY, limits=limits) as reply:
            pieces = reply.chunks()
            first = await anext(pieces)
            await asyncio.sleep(0.5)
            go_on.set()
            assert [first, *[piece async for piece in pieces]] == [b"one", b"two"]

    with RawServer(serve) as server:
        run(ground, session)


def test_a_stream_that_drips_is_cut_at_the_total_limit(ground: Ground) -> None:
    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(CHUNKED)
        try:
            while True:
                peer.chunk(b": ping\n\n")
                threading.Event().wait(0.01)
        except OSError:
            pass

    async def session(transport: Transport) -> None:
        limits = PhaseLimits(connect_s=5, first_byte_s=5, idle_s=5, total_s=0.2)
        assert facts(await failure(transport, server.url, limits=limits)) == ("total", "maybe", True)

    with RawServer(serve) as server:
        run(ground, session)


CUT = {
    "chunked": CHUNKED + b"9\r\ndata: 1\n\n\r\n",
    "inside a chunk": CHUNKED + b"9\r\ndata",
    "content-length": b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf",
}


@pytest.mark.parametrize("name", CUT)
@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_cut_body_is_an_error(ground: Ground, name: str, how: str) -> None:
    # fault F3
    read = threading.Event()

    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(CUT[name])
        assert read.wait(PATIENCE_S)
        if how == "reset":
            peer.reset()

    async def session(transport: Transport) -> None:
        async with transport.post(server.url, headers=HEADERS, body=BODY, limits=LIMITS) as reply:
            pieces = reply.chunks()
            assert await anext(pieces)
            read.set()
            with pytest.raises(TransportError) as caught:
                await anext(pieces)
        assert facts(caught.value) == ("read", "maybe", True)

    with RawServer(serve) as server:
        run(ground, session)


def test_a_body_without_length_ends_with_its_connection(ground: Ground) -> None:
    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nall of it")

    async def session(transport: Transport) -> None:
        assert await fetch(transport, server.url) == b"all of it"

    with RawServer(serve) as server:
        run(ground, session)


def test_a_body_without_length_that_is_reset_is_cut(ground: Ground) -> None:
    read = threading.Event()

    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nhalf")
        assert read.wait(PATIENCE_S)
        peer.reset()

    async def session(transport: Transport) -> None:
        async with transport.post(server.url, headers=HEADERS, body=BODY, limits=LIMITS) as reply:
            pieces = reply.chunks()
            assert await anext(pieces) == b"half"
            read.set()
            with pytest.raises(TransportError) as caught:
                await anext(pieces)
        assert facts(caught.value) == ("read", "maybe", True)

    with RawServer(serve) as server:
        run(ground, session)


def test_a_body_over_the_readers_limit_is_a_typed_error_and_closes_the_connection(ground: Ground) -> None:
    # fault F8, trap V2
    def serve(peer: Peer) -> None:
        peer.request()
        try:
            peer.answer(b"x" * 50_000_000, status="500 Internal Server Error")
        except OSError:
            return
        peer.drain()

    async def session(transport: Transport) -> None:
        async with transport.post(server.url, headers=HEADERS, body=BODY, limits=LIMITS) as reply:
            with pytest.raises(ReplyTooLargeError) as caught:
                await reply.read(1_000_000)
        assert caught.value.limit_bytes == 1_000_000

    with RawServer(serve) as server:
        run(ground, session)


def _reset(peer: Peer) -> None:
    peer.request()
    peer.reset()


def _silence(peer: Peer) -> None:
    peer.request()
    peer.drain()


FAULTS: dict[str, Callable[[Peer], None]] = {
    "close": lambda peer: peer.sock.close(),
    "reset": _reset,
    "silence": _silence,
    "echo": lambda peer: peer.send(peer.request()[0] + b"\r\n\r\n"),
    "echoed header": lambda peer: peer.send(b"HTTP/1.1 200 OK\r\nbad " + peer.request()[0] + b"\r\n\r\n"),
    "cut": lambda peer: peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n" + peer.request()[0]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_no_error_holds_a_header_a_query_or_what_the_provider_said(ground: Ground, fault: str) -> None:
    # case 42, trap V5
    texts: list[str] = []

    async def session(transport: Transport) -> None:
        limits = PhaseLimits(connect_s=1, first_byte_s=0.2, idle_s=0.2)
        url = f"{server.url}/v1/chat?api-key={SECRET}"
        with pytest.raises(TransportError) as caught:
            async with transport.post(url, headers=HEADERS, body=SECRET.encode(), limits=limits) as reply:
                await reply.read(1000)
        error: BaseException | None = caught.value
        texts.extend(traceback.format_exception(error))
        while error is not None:
            texts.extend((str(error), repr(error)))
            error = error.__cause__ or error.__context__

    with RawServer(FAULTS[fault]) as server:
        run(ground, session)
    assert not any(SECRET in text for text in texts)
