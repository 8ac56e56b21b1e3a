"""Heads over raw sockets: what is refused before the application runs, and how."""

import json

import pytest

from tests.support.guarded_server import HOST, Seen, run, site, status
from tidegate.gateway.limits import Limits

CL4 = b"content-length: 4\r\n\r\nabcd"


def head(*lines: bytes, line: bytes = b"POST /v1/x HTTP/1.1", host: bytes = HOST) -> bytes:
    return line + b"\r\n" + host + b"".join(each + b"\r\n" for each in lines) + b"\r\n"


def post(*lines: bytes, host: bytes = HOST) -> bytes:
    return head(*lines, b"content-length: 4", host=host) + b"abcd"


def get(target: bytes, *, method: bytes = b"GET", version: bytes = b"HTTP/1.1") -> bytes:
    return head(line=method + b" " + target + b" " + version)


def refused(raw: bytes, limits: Limits | None = None) -> tuple[bytes, Seen]:
    async def main() -> tuple[bytes, Seen]:
        async with site(limits) as here:
            return await here.talk(raw), here.seen

    return run(main())


REFUSALS = {
    # case 10
    "no host": (post(host=b""), 400),
    "two hosts": (post(b"host: other.test"), 400),
    "host with a path": (post(host=b"host: x/admin?\r\n"), 400),
    "host with a user": (post(host=b"host: a@b\r\n"), 400),
    "host empty": (post(host=b"host: \r\n"), 400),
    "host with a bad port": (post(host=b"host: x:80a\r\n"), 400),
    # case 11
    "encoded slash": (get(b"/v1%2f..%2fadmin/keys"), 400),
    "encoded slash in upper case": (get(b"/v1%2Fadmin"), 400),
    "encoded backslash": (get(b"/v1%5cadmin"), 400),
    "backslash": (get(b"/v1\\admin"), 400),
    "dot segment": (get(b"/v1/../admin/keys"), 400),
    "encoded dot segment": (get(b"/v1/%2e%2E/admin"), 400),
    "single dot segment": (get(b"/v1/./x"), 400),
    "dot segment at the end": (get(b"/v1/.."), 400),
    "leading double slash": (get(b"//admin"), 400),
    "encoded nul": (get(b"/v1/%00"), 400),
    "nul": (get(b"/v1/\x00"), 400),
    "encoded line feed": (get(b"/v1/%0a"), 400),
    "non-ascii": (get(b"/v1/\xc3\xa9"), 400),
    "encoded non-ascii": (get(b"/v1/%c3%a9"), 400),
    "double encoding": (get(b"/v1/%252e%252e/x"), 400),
    "fragment": (get(b"/v1/x#y"), 400),
    "fragment behind a query": (get(b"/v1/x?a#y"), 400),
    # case 12
    "absolute form": (get(b"http://evil.test/admin"), 400),
    "asterisk": (get(b"*", method=b"OPTIONS"), 400),
    "connect": (get(b"evil.test:443", method=b"CONNECT"), 405),
    "trace": (get(b"/v1/x", method=b"TRACE"), 405),
    "http/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "http/2 version": (get(b"/v1/x", version=b"HTTP/2.0"), 400),
    "http/0.9": (b"GET /v1/x\r\n\r\n", 400),
    "unknown method": (get(b"/v1/x", method=b"FOO"), 400),
    "a tls hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01", 400),
    # case 13
    "length and chunked": (head(b"content-length: 4", b"transfer-encoding: chunked") + b"0\r\n\r\n", 400),
    "chunked and length": (head(b"transfer-encoding: chunked", b"content-length: 4") + b"0\r\n\r\n", 400),
    "two lengths": (head(b"content-length: 4", b"content-length: 4") + b"abcd", 400),
    "length with a sign": (head(b"content-length: +4") + b"abcd", 400),
    "length as a list": (head(b"content-length: 4, 4") + b"abcd", 400),
    "length overflow": (head(b"content-length: 99999999999999999999") + b"abcd", 400),
    "other transfer coding": (head(b"transfer-encoding: xchunked") + b"0\r\n\r\n", 501),
    "coding before chunked": (head(b"transfer-encoding: gzip, chunked") + b"0\r\n\r\n", 501),
    "two transfer codings": (
        head(b"transfer-encoding: chunked", b"transfer-encoding: chunked") + b"0\r\n\r\n",
        400,
    ),
    "chunked in http/1.0": (
        head(b"transfer-encoding: chunked", line=b"POST /v1/x HTTP/1.0") + b"0\r\n\r\n",
        501,
    ),
    "space before the colon": (post(b"x-a : 1"), 400),
    "bare line feeds": (b"POST /v1/x HTTP/1.1\nhost: gate.test\n" + CL4, 400),
    "a bare line feed in a header": (post(b"x-a: 1\nx-b: 2"), 400),
    "a folded line": (post(b"x-a: 1\r\n  2"), 400),
    "chunk size overflow": (head(b"transfer-encoding: chunked") + b"fffffffffffffffff\r\nab", 400),
    # case 14
    "nul in a value": (post(b"x-a: a\x00b"), 400),
    "cr in a value": (post(b"x-a: a\rb"), 400),
    "control in a value": (post(b"x-a: a\x01b"), 400),
    "delete in a value": (post(b"x-a: a\x7fb"), 400),
    "latin-1 in a value": (post(b"tidegate-customer: M\xfcller"), 400),
    "utf-8 in a value": (post(b"tidegate-customer: M\xc3\xbcller"), 400),
    # case 4
    "two authorizations": (post(b"authorization: Bearer a", b"authorization: Bearer a"), 400),
    "two x-api-keys": (post(b"x-api-key: a", b"X-Api-Key: b"), 400),
    "two content types": (post(b"content-type: a/b", b"content-type: a/b"), 400),
    # cases 16 and 3
    "200 kB header": (post(b"x-a: " + b"a" * 200_000), 431),
    "1 MB of key": (post(b"authorization: Bearer " + b"a" * 1_000_000), 431),
    "5,000 headers": (post(*(b"x-%d: 1" % number for number in range(5_000))), 431),
    "20 kB target": (get(b"/v1/" + b"a" * 20_000), 414),
    "20 kB query": (get(b"/v1/x?" + b"a" * 20_000), 414),
    # case 18
    "1e12 of length": (head(b"content-length: 1000000000000"), 413),
    # case 21
    "gzip": (post(b"content-encoding: gzip"), 415),
    "double gzip": (post(b"content-encoding: gzip, gzip"), 415),
    "zstd": (post(b"content-encoding: zstd"), 415),
    # case 45
    "websocket": (
        get(b"/v1/x").removesuffix(b"\r\n")
        + b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: eA==\r\n\r\n",
        400,
    ),
    "h2c": (post(b"connection: Upgrade, HTTP2-Settings", b"upgrade: h2c", b"http2-settings: AAA"), 400),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refused_before_the_application_runs(name: str) -> None:  # trap V2
    raw, expected = REFUSALS[name]
    reply, seen = refused(raw)
    assert (status(reply), seen.calls) == (expected, 0)


@pytest.mark.parametrize("name", REFUSALS)
def test_refusal_is_json_and_closes(name: str) -> None:
    reply, seen = refused(REFUSALS[name][0])
    lines, _, body = reply.partition(b"\r\n\r\n")
    assert b"connection: close" in lines
    assert b"content-length: %d" % len(body) in lines
    assert json.loads(body)["code"] == seen.refusals[0][0]


@pytest.mark.parametrize("name", ["two hosts", "nul in a value", "encoded non-ascii", "a folded line"])
def test_refusal_does_not_depend_on_how_the_bytes_are_cut(name: str) -> None:
    raw, expected = REFUSALS[name]

    async def main() -> tuple[bytes, int]:
        async with site() as here:
            return await here.talk(*(raw[i : i + 1] for i in range(len(raw)))), here.seen.calls

    reply, calls = run(main())
    assert (status(reply), calls) == (expected, 0)


def test_refused_upgrade_says_what_to_do() -> None:  # case 45
    for name in ("websocket", "h2c"):
        reply, _ = refused(REFUSALS[name][0])
        assert b"make the client use plain HTTP/1.1" in reply


def test_refusal_never_quotes_the_request() -> None:  # trap V5
    for raw, _ in REFUSALS.values():
        reply, _ = refused(raw)
        assert b"evil" not in reply
        assert b"admin" not in reply


def test_renderer_is_told_path_and_headers_for_the_dialect() -> None:
    raw = head(
        b"anthropic-version: 2023-06-01", b"content-encoding: br", line=b"POST /v1/messages?a=b HTTP/1.1"
    )
    _, seen = refused(raw)
    code, path, headers = seen.refusals[0]
    assert (code, path) == ("unsupported_media_type", "/v1/messages")
    assert (b"anthropic-version", b"2023-06-01") in headers


def test_refused_head_request_gets_no_body() -> None:
    reply, _ = refused(get(b"//x", method=b"HEAD"))
    assert status(reply) == 400
    assert reply.endswith(b"\r\n\r\n")


TAKEN = {
    "a plain get": get(b"/healthz"),
    "a head": get(b"/", method=b"HEAD"),
    "a query": get(b"/v1/messages?beta=true"),
    "an encoded space": get(b"/v1/models/a%20b"),
    "a colon and dots": get(b"/v1beta/models/gemini-3.1:streamGenerateContent"),
    "http/1.0": get(b"/healthz", version=b"HTTP/1.0"),
    "host with a port": post(host=b"host: gate.test:4180\r\n"),
    "ipv6 host": post(host=b"host: [::1]:4180\r\n"),
    "host with an underscore": post(host=b"host: my_gateway\r\n"),
    "identity encoding": post(b"content-encoding: identity"),
    "other repeated headers": post(b"accept: a/b", b"accept: c/d"),
    "a tab in a value": post(b"x-a: a\tb"),
    "an upgrade nobody asked for": post(b"upgrade: h2c"),
    "a chunked body": head(b"transfer-encoding: Chunked") + b"4\r\nabcd\r\n0\r\n\r\n",
    "empty lines before": b"\r\n\r\n" + get(b"/healthz"),
}


@pytest.mark.parametrize("name", TAKEN)
def test_taken(name: str) -> None:  # trap K12
    raw = TAKEN[name].replace(b" HTTP/1.1\r\n", b" HTTP/1.1\r\nconnection: close\r\n", 1)

    async def main() -> tuple[int, int]:
        async with site() as here:
            return status(await here.talk(raw)), here.seen.calls

    assert run(main()) == (200, 1)


def test_scope_holds_the_decoded_path_the_raw_path_and_the_query() -> None:
    async def main() -> list[dict[str, object]]:
        async with site() as here:
            await here.talk(head(b"Connection: close", b"X-A: B", line=b"POST /a%20b?c=%2f HTTP/1.1"))
            return here.seen.scopes

    scope = run(main())[0]
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/a b", b"/a%20b", b"c=%2f")
    assert scope["headers"] == [(b"host", b"gate.test"), (b"connection", b"close"), (b"x-a", b"B")]
    assert (scope["method"], scope["http_version"], scope["root_path"]) == ("POST", "1.1", "")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (b"gate.test", 200),
        (b"GATE.test:99", 200),
        (b"other.test", 400),
        (b"gate.test.evil", 400),
        (b"a.wild.test", 200),
        (b"a.b.wild.test", 200),
        (b"wild.test", 400),
        (b"notwild.test", 400),
    ],
)
def test_only_listed_hosts_are_served_where_hosts_are_listed(host: bytes, expected: int) -> None:  # case 10
    limits = Limits(allowed_hosts=frozenset({"gate.test", "*.wild.test"}))
    reply, seen = refused(post(b"connection: close", host=b"host: " + host + b"\r\n"), limits)
    assert (status(reply), seen.calls) == (expected, int(expected == 200))


def test_head_that_never_ends_is_cut_at_its_limit() -> None:  # case 16
    async def main() -> tuple[int, int]:
        async with site(Limits(head_bytes=4_096)) as here:
            reply = await here.talk(b"GET / HTTP/1.1\r\n", *[b"x-a: " + b"a" * 900 + b"\r\n"] * 20)
            return status(reply), here.seen.calls

    assert run(main()) == (431, 0)
