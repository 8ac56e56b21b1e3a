"""Providers that compress although we ask for plain bytes."""

import gzip
import zlib
from collections.abc import Awaitable, Callable

import pytest

from tests.support.loops import run_on
from tests.support.raw_server import Peer, RawServer
from tidegate.providers.aiohttp_transport import AiohttpTransport
from tidegate.providers.inflate import MAX_RATIO
from tidegate.providers.transport import PhaseLimits, ReplyTooLargeError, TransportError

LIMITS = PhaseLimits(connect_s=5, first_byte_s=5, idle_s=5)
TEXT = b'data: {"n": 1}\n\n' * 1000
GZIP = gzip.compress(TEXT)


def run(transport: AiohttpTransport, session: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        try:
            await session()
        finally:
            await transport.close()

    run_on("uvloop", main())


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
def test_a_reply_packed_unasked_is_unpacked_and_says_so_no_more(encoding: bytes, body: bytes) -> None:
    transport = AiohttpTransport()

    async def session() -> None:
        for _ in range(2):
            async with transport.post(server.url, headers={}, body=b"{}", limits=LIMITS) as reply:
                assert "content-encoding" not in reply.headers
                assert "content-length" not in reply.headers
                assert await reply.read(100_000) == TEXT

    with RawServer(packed(encoding, body)) as server:
        run(transport, session)
    assert server.connections == 1


def test_identity_is_no_encoding() -> None:
    transport = AiohttpTransport()

    async def session() -> None:
        async with transport.post(server.url, headers={}, body=b"{}", limits=LIMITS) as reply:
            assert await reply.read(100_000) == TEXT

    with RawServer(packed(b"identity", TEXT)) as server:
        run(transport, session)


@pytest.mark.parametrize("encoding", [b"br", b"zstd", b"gzip, gzip", b"unknown"])
def test_an_unknown_encoding_is_an_error_before_anyone_reads(encoding: bytes) -> None:
    transport = AiohttpTransport()

    async def session() -> None:
        with pytest.raises(TransportError, match="not asked for") as caught:
            async with transport.post(server.url, headers={}, body=b"{}", limits=LIMITS):
                pass
        assert (caught.value.phase, caught.value.got_bytes) == ("read", True)

    with RawServer(packed(encoding, b"?")) as server:
        run(transport, session)


def test_a_bomb_stops_and_its_connection_is_closed() -> None:
    # security-cases, section 2: gzip bomb from upstream
    transport = AiohttpTransport()
    bomb = gzip.compress(bytes(32 * 1024 * 1024))
    given = 0

    async def read() -> None:
        nonlocal given
        async with transport.post(server.url, headers={}, body=b"{}", limits=LIMITS) as reply:
            async for piece in reply.chunks():
                given += len(piece)

    async def session() -> None:
        with pytest.raises(ReplyTooLargeError):
            await read()

    with RawServer(packed(b"gzip", bomb)) as server:
        run(transport, session)
    assert given <= len(bomb) * MAX_RATIO


def test_the_total_limit_of_the_transport_holds() -> None:
    transport = AiohttpTransport(inflated_limit_bytes=1000)

    async def session() -> None:
        async with transport.post(server.url, headers={}, body=b"{}", limits=LIMITS) as reply:
            with pytest.raises(ReplyTooLargeError) as caught:
                await reply.read(1_000_000)
            assert caught.value.limit_bytes == 1000

    with RawServer(packed(b"gzip", GZIP)) as server:
        run(transport, session)


@pytest.mark.parametrize("body", [GZIP[:-9], TEXT], ids=["cut", "not packed"])
def test_bad_packed_data_is_an_error(body: bytes) -> None:
    transport = AiohttpTransport()

    async def session() -> None:
        async with transport.post(server.url, headers={}, body=b"{}", limits=LIMITS) as reply:
            with pytest.raises(TransportError, match="cannot be inflated") as caught:
                await reply.read(1_000_000)
        assert caught.value.phase == "read"

    with RawServer(packed(b"gzip", body)) as server:
        run(transport, session)
