"""Providers that compress although we ask for plain bytes."""

import gzip
import zlib
from collections.abc import Callable

import pytest

from tests.support.raw_server import Peer, RawServer
from tests.support.transport_session import GROUNDS, LIMITS, Ground, run
from tidegate.providers.inflate import MAX_RATIO
from tidegate.providers.transport import ReplyTooLargeError, Transport, TransportError

pytestmark = pytest.mark.parametrize("ground", GROUNDS)

TEXT = b'data: {"n": 1}\n\n' * 1000
GZIP = gzip.compress(TEXT)


def packed(encoding: bytes, body: bytes) -> Callable[[Peer], None]:
    def serve(peer: Peer) -> None:
        while True:
            peer.request()
            peer.answer(body, head=b"content-encoding: " + encoding + b"\r\n")

    return serve


@pytest.mark.parametrize(
    ("encoding", "body"),
    [(b"gzip", GZIP), (b"X-GZIP", GZIP), (b"deflate", zlib.compress(TEXT))],
    ids=["gzip", "X-GZIP", "deflate"],
)
def test_a_reply_packed_unasked_is_unpacked_and_says_so_no_more(
    ground: Ground, encoding: bytes, body: bytes
) -> None:
    async def session(transport: Transport) -> None:
        for _ in range(2):
            async with transport.post(server.url, headers={}, body=b"{}", limits=LIMITS) as reply:
                assert "content-encoding" not in reply.headers
                assert "content-length" not in reply.headers
                assert await reply.read(100_000) == TEXT

    with RawServer(packed(encoding, body)) as server:
        run(ground, session)
    assert server.connections == 1


def test_identity_is_no_encoding(ground: Ground) -> None:
    async def session(transport: Transport) -> None:
        async with transport.post(server.url, headers={}, body=b"{}", limits=LIMITS) as reply:
            assert await reply.read(100_000) == TEXT

    with RawServer(packed(b"identity", TEXT)) as server:
        run(ground, session)


@pytest.mark.parametrize("encoding", [b"br", b"zstd", b"gzip, gzip", b"unknown"])
def test_an_unknown_encoding_is_an_error_before_anyone_reads(ground: Ground, encoding: bytes) -> None:
    async def session(transport: Transport) -> None:
        with pytest.raises(TransportError, match="not asked for") as caught:
            async with transport.post(server.url, headers={}, body=b"{}", limits=LIMITS):
                pass
        assert (caught.value.phase, caught.value.got_bytes) == ("read", True)

    with RawServer(packed(encoding, b"?")) as server:
        run(ground, session)


def test_a_bomb_stops_and_its_connection_is_closed(ground: Ground) -> None:
    # security-cases, section 2: gzip bomb from upstream
    bomb = gzip.compress(bytes(32 * 1024 * 1024))
    given = 0

    async def read(transport: Transport) -> None:
        nonlocal given
        async with transport.post(server.url, headers={}, body=b"{}", limits=LIMITS) as reply:
            async for piece in reply.chunks():
                given += len(piece)

    async def session(transport: Transport) -> None:
        with pytest.raises(ReplyTooLargeError):
            await read(transport)

    with RawServer(packed(b"gzip", bomb)) as server:
        run(ground, session)
    assert given <= len(bomb) * MAX_RATIO


def test_the_total_limit_of_the_transport_holds(ground: Ground) -> None:
    async def session(transport: Transport) -> None:
        async with transport.post(server.url, headers={}, body=b"{}", limits=LIMITS) as reply:
            with pytest.raises(ReplyTooLargeError) as caught:
                await reply.read(1_000_000)
            assert caught.value.limit_bytes == 1000

    with RawServer(packed(b"gzip", GZIP)) as server:
        run(ground, session, inflated_limit_bytes=1000)


@pytest.mark.parametrize("body", [GZIP[:-9], TEXT], ids=["cut", "not packed"])
def test_bad_packed_data_is_an_error(ground: Ground, body: bytes) -> None:
    async def session(transport: Transport) -> None:
        async with transport.post(server.url, headers={}, body=b"{}", limits=LIMITS) as reply:
            with pytest.raises(TransportError, match="cannot be inflated") as caught:
                await reply.read(1_000_000)
        assert caught.value.phase == "read"

    with RawServer(packed(b"gzip", body)) as server:
        run(ground, session)
