"""What a call sends and where it goes, over real sockets."""

from pathlib import Path

import pytest

from tests.support.raw_server import Peer, RawServer, echo
from tests.support.tls import contexts
from tests.support.transport_session import (
    BODY,
    GROUNDS,
    HEADERS,
    LIMITS,
    SECRET,
    Ground,
    facts,
    failure,
    fetch,
    run,
)
from tidegate.providers.transport import Transport, TransportError

pytestmark = pytest.mark.parametrize("ground", GROUNDS)


def test_a_post_carries_its_headers_and_body_and_nothing_of_the_client_library(ground: Ground) -> None:
    seen: list[tuple[bytes, bytes]] = []

    def serve(peer: Peer) -> None:
        seen.append(peer.request())
        peer.answer(b'{"ok":1}', head=b"X-Request-Id: r-1\r\n")

    async def session(transport: Transport) -> None:
        headers = {**HEADERS, "Accept-Encoding": "gzip, br"}
        async with transport.post(
            server.url + "/v1/x?api-version=1", headers=headers, body=BODY, limits=LIMITS
        ) as r:
            assert (r.status, r.headers["x-request-id"]) == (200, "r-1")
            assert [piece async for piece in r.chunks()] == [b'{"ok":1}']

    with RawServer(serve) as server:
        run(ground, session)
    head, body = seen[0]
    lines = {line.lower() for line in head.split(b"\r\n")[1:]}
    assert head.startswith(b"POST /v1/x?api-version=1 HTTP/1.1\r\n")
    assert body == BODY
    assert lines == {
        b"host: 127.0.0.1:%d" % server.port,
        b"authorization: bearer " + SECRET.encode(),
        b"content-type: application/json",
        b"accept-encoding: identity",
        b"content-length: 13",
    }


def test_a_get_has_no_body(ground: Ground) -> None:
    seen: list[bytes] = []

    def serve(peer: Peer) -> None:
        seen.append(peer.request()[0])
        peer.answer(b"{}")

    async def session(transport: Transport) -> None:
        async with transport.get(server.url + "/v1/models", headers={}, limits=LIMITS) as reply:
            assert await reply.read(10) == b"{}"

    with RawServer(serve) as server:
        run(ground, session)
    assert seen[0].startswith(b"GET /v1/models HTTP/1.1\r\n")
    assert b"content-length" not in seen[0].lower()


@pytest.mark.parametrize(
    ("method", "body"), [("PUT", b"x"), ("PATCH", b"x"), ("DELETE", None), ("GET", None)]
)
def test_any_method_is_sent_as_it_is(ground: Ground, method: str, body: bytes | None) -> None:
    seen: list[tuple[bytes, bytes]] = []

    def serve(peer: Peer) -> None:
        seen.append(peer.request())
        peer.answer(b"{}")

    async def session(transport: Transport) -> None:
        call = transport.send(method, server.url + "/v1/x", headers={}, body=body, limits=LIMITS)
        async with call as reply:
            assert await reply.read(10) == b"{}"

    with RawServer(serve) as server:
        run(ground, session)
    head, sent = seen[0]
    assert head.startswith(f"{method} /v1/x HTTP/1.1\r\n".encode())
    assert sent == (body or b"")


def test_the_reply_to_head_has_no_body_and_its_connection_goes_on(ground: Ground) -> None:
    def serve(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        peer.request()
        peer.answer(b"{}")

    async def session(transport: Transport) -> None:
        url = server.url + "/v1/x"
        async with transport.send("HEAD", url, headers={}, body=None, limits=LIMITS) as reply:
            assert (reply.headers["content-length"], await reply.read(10)) == ("1000", b"")
        async with transport.get(url, headers={}, limits=LIMITS) as reply:
            assert await reply.read(10) == b"{}"

    with RawServer(serve) as server:
        run(ground, session)


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 3_000_000])
def test_a_body_of_any_size_arrives_whole(ground: Ground, size: int) -> None:
    body = b"ab" * (size // 2) + b"c" * (size % 2)
    seen: list[bytes] = []

    def serve(peer: Peer) -> None:
        seen.append(peer.request()[1])
        peer.answer(b"")

    async def session(transport: Transport) -> None:
        await fetch(transport, server.url, body=body)

    with RawServer(serve) as server:
        run(ground, session)
    assert seen == [body]


def test_a_refused_connection_was_surely_not_sent(ground: Ground) -> None:
    with RawServer(lambda _peer: None) as server:
        pass

    async def session(transport: Transport) -> None:
        assert facts(await failure(transport, server.url)) == ("connect", "no", False)

    run(ground, session)


@pytest.mark.parametrize("url", ["http://", "ftp://127.0.0.1/", "127.0.0.1:1/x", "http://[::1/"])
def test_an_address_that_is_none_is_an_error_before_anything_is_sent(ground: Ground, url: str) -> None:
    async def session(transport: Transport) -> None:
        assert facts(await failure(transport, url)) == ("connect", "no", False)

    run(ground, session)


def test_redirects_are_not_followed(ground: Ground) -> None:
    def serve(peer: Peer) -> None:
        peer.request()
        peer.answer(b"", status="307 Temporary Redirect", head=b"location: /elsewhere\r\n")
        assert peer.drain() == 0

    async def session(transport: Transport) -> None:
        async with transport.post(server.url, headers=HEADERS, body=BODY, limits=LIMITS) as reply:
            assert reply.status == 307

    with RawServer(serve) as server:
        run(ground, session)
    assert server.connections == 1


def test_cookies_are_not_carried_to_the_next_call(ground: Ground) -> None:
    heads: list[bytes] = []

    def serve(peer: Peer) -> None:
        while True:
            heads.append(peer.request()[0].lower())
            peer.answer(b"", head=b"set-cookie: tenant=a; path=/\r\n")

    async def session(transport: Transport) -> None:
        await fetch(transport, server.url)
        await fetch(transport, server.url)

    with RawServer(serve) as server:
        run(ground, session)
    assert len(heads) == 2
    assert b"cookie" not in heads[1]


def test_a_proxy_of_the_environment_is_ignored(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    def serve(peer: Peer) -> None:
        peer.request()
        peer.answer(b"direct")

    async def session(transport: Transport) -> None:
        assert await fetch(transport, server.url) == b"direct"

    with RawServer(serve) as server:
        run(ground, session)


def test_a_header_that_would_break_the_head_is_refused_unsent(ground: Ground) -> None:
    # case 14
    async def session(transport: Transport) -> None:
        headers = {"x-user": "a\r\nx-admin: 1"}
        with pytest.raises(TransportError) as caught:
            async with transport.post(server.url, headers=headers, body=b"{}", limits=LIMITS):
                pass
        assert caught.value.sent == "no"

    def serve(peer: Peer) -> None:
        assert peer.drain() == 0

    with RawServer(serve) as server:
        run(ground, session)


def test_a_closed_transport_takes_no_call(ground: Ground) -> None:
    async def session(transport: Transport) -> None:
        await transport.close()
        with pytest.raises(RuntimeError, match="closed"):
            transport.post("http://127.0.0.1:1/", headers={}, body=b"", limits=LIMITS)

    run(ground, session)


def test_a_certificate_of_a_private_authority_needs_its_context(ground: Ground, tmp_path: Path) -> None:
    server_side, client_side = contexts(tmp_path)

    async def refused(transport: Transport) -> None:
        with pytest.raises(TransportError, match="not accepted") as caught:
            await fetch(transport, server.url)
        assert (caught.value.phase, caught.value.sent) == ("tls", "no")

    async def served(transport: Transport) -> None:
        for _ in range(3):
            assert await fetch(transport, server.url, body=b"tls") == b"tls"

    with RawServer(echo, tls=server_side) as server:
        run(ground, refused)
        run(ground, served, tls=client_side)
    assert server.connections == 2


def test_plain_text_on_a_tls_port_is_a_tls_error(ground: Ground) -> None:
    def serve(peer: Peer) -> None:
        peer.sock.recv(100)
        peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async def session(transport: Transport) -> None:
        with pytest.raises(TransportError) as caught:
            await fetch(transport, server.url.replace("http://", "https://"))
        assert (caught.value.phase, caught.value.sent) == ("tls", "no")

    with RawServer(serve) as server:
        run(ground, session)


def test_a_reply_without_a_body_is_whole(ground: Ground) -> None:
    def serve(peer: Peer) -> None:
        for _ in range(2):
            peer.request()
            peer.send(b"HTTP/1.1 204 No Content\r\n\r\n")

    async def session(transport: Transport) -> None:
        for _ in range(2):
            assert await fetch(transport, server.url) == b""

    with RawServer(serve) as server:
        run(ground, session)
    assert server.connections == 1
