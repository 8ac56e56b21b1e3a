"""Bodies over raw sockets: counted, clocked, held against one budget, and handed over whole."""

import asyncio

import pytest

from tests.support.guarded_server import HOST, Seen, Site, run, site, status, until, until_closed
from tidegate.gateway.limits import Limits

POST = b"POST /v1/x HTTP/1.1\r\n" + HOST
CLOSE = b"connection: close\r\n"
CHUNKED = POST + CLOSE + b"transfer-encoding: chunked\r\n\r\n"
SMALL = Limits(body_bytes=1_000, inflight_body_bytes=2_000, linger_s=5.0)


def declared(body: bytes, *lines: bytes) -> bytes:
    return POST + CLOSE + b"".join(lines) + b"content-length: %d\r\n\r\n" % len(body) + body


def chunk(data: bytes, extension: bytes = b"") -> bytes:
    return b"%x" % len(data) + extension + b"\r\n" + data + b"\r\n"


def talked(limits: Limits, *pieces: bytes) -> tuple[bytes, Seen, int]:
    async def main() -> tuple[bytes, Seen, int]:
        async with site(limits) as here:
            reply = await here.talk(*pieces)
            await until(lambda: here.running.connections == 0)
            return reply, here.seen, here.running.body_bytes_left

    return run(main())


@pytest.mark.parametrize("size", [0, 1, 999, 1_000])
def test_body_up_to_the_limit_arrives_whole(size: int) -> None:
    body = b"a" * size
    for raw in (declared(body), CHUNKED + (chunk(body) if body else b"") + b"0\r\n\r\n"):
        reply, seen, left = talked(SMALL, raw)
        assert (status(reply), seen.bodies, left) == (200, [body], 2_000)


def test_body_does_not_depend_on_how_it_is_cut() -> None:
    body = bytes(range(256)) * 3
    wire = chunk(body[:5]) + chunk(body[5:6]) + chunk(body[6:]) + b"0\r\n\r\n"
    for raw in (declared(body), CHUNKED + wire):
        _, seen, _ = talked(SMALL, *(raw[i : i + 7] for i in range(0, len(raw), 7)))
        assert seen.bodies == [body]


def test_declared_body_over_the_limit_is_refused_unread() -> None:  # case 17
    reply, seen, _ = talked(SMALL, declared(b"a" * 1_001))
    assert (status(reply), seen.calls) == (413, 0)


def test_client_that_sends_all_before_it_reads_still_sees_the_refusal() -> None:  # case 17
    reply, seen, _ = talked(Limits(linger_s=5.0), declared(b"a" * (32 * 1024 * 1024 + 1)))
    assert (status(reply), seen.calls) == (413, 0)


def test_chunked_body_over_the_limit_is_refused_at_the_limit() -> None:  # case 17
    reply, seen, left = talked(SMALL, CHUNKED, *[chunk(b"a" * 100)] * 11, b"0\r\n\r\n")
    assert (status(reply), seen.bodies, left) == (413, [], 2_000)


def test_chunked_body_over_the_limit_in_one_read_never_starts_the_application() -> None:
    reply, seen, left = talked(SMALL, CHUNKED + chunk(b"a" * 1_001) + b"0\r\n\r\n")
    assert (status(reply), seen.calls, left) == (413, 0, 2_000)


@pytest.mark.parametrize(
    "body",
    [
        chunk(b"abcd", b";x=" + b"a" * 60_000) + b"0\r\n\r\n",
        b"0\r\nx-a: " + b"a" * 60_000 + b"\r\n\r\n",
        b"4;" + b"a" * 60_000,
        b"".join(chunk(b"a", b";" + b"x" * 60) for _ in range(20)) + b"0\r\n\r\n",
    ],
    ids=["extension", "trailer", "unfinished extension", "many small extensions"],
)
def test_chunk_extensions_and_trailers_without_end_are_refused(body: bytes) -> None:
    reply, seen, _ = talked(SMALL, CHUNKED + body)
    assert (status(reply), seen.calls) == (400, 0)


def test_extension_without_end_is_refused_in_mid_body_too() -> None:
    reply, seen, left = talked(SMALL, CHUNKED, b"4;", *[b"a" * 100] * 10)
    assert (status(reply), seen.bodies, left) == (400, [], 2_000)


def test_many_small_chunks_and_a_short_extension_are_fine() -> None:
    wire = b"".join(chunk(b"a") for _ in range(900)) + chunk(b"b", b";sig=" + b"a" * 64) + b"0\r\n\r\n"
    _, seen, _ = talked(SMALL, CHUNKED + wire)
    assert seen.bodies == [b"a" * 900 + b"b"]


def test_trailers_are_not_headers() -> None:
    wire = chunk(b"abcd") + b"0\r\nauthorization: Bearer x\r\nhost: evil.test\r\n\r\n"
    reply, seen, _ = talked(SMALL, CHUNKED + wire)
    assert status(reply) == 200
    assert [name for name, _ in seen.scopes[0]["headers"]] == [b"host", b"connection", b"transfer-encoding"]


def test_broken_chunk_after_the_application_started_is_a_clean_400() -> None:
    async def main() -> tuple[bytes, Seen]:
        async with site(SMALL) as here:
            reader, writer = await here.connect()
            writer.write(CHUNKED + chunk(b"ab"))
            await until(lambda: here.seen.calls == 1)
            writer.write(b"zz\r\n")
            reply = await until_closed(reader)
            writer.close()
            await until(lambda: here.running.calls == 0)
            return reply, here.seen

    reply, seen = run(main())
    assert (status(reply), reply.count(b"HTTP/1.1"), seen.bodies) == (400, 1, [])


@pytest.mark.parametrize(
    "limits",
    [
        Limits(body_window_s=0.05, body_min_rate=100_000),
        Limits(body_window_s=0.02, body_min_rate=0, body_timeout_s=0.05),
    ],
    ids=["too slow", "too long"],
)
@pytest.mark.parametrize(
    "raw", [POST + b"content-length: 900\r\n\r\na", CHUNKED + b"1\r\na\r\n"], ids=["declared", "chunked"]
)
def test_dripping_body_is_408(limits: Limits, raw: bytes) -> None:  # case 20
    reply, seen, left = talked(limits, raw)
    assert (status(reply), seen.bodies, left) == (408, [], limits.inflight_body_bytes)


def test_body_that_keeps_the_rate_passes_many_windows() -> None:
    limits = Limits(body_window_s=0.01, body_min_rate=0)

    async def main() -> list[bytes]:
        async with site(limits) as here:
            reader, writer = await here.connect()
            writer.write(POST + CLOSE + b"content-length: 20\r\n\r\n")
            for _ in range(20):
                writer.write(b"a")
                await asyncio.sleep(0.004)
            await until_closed(reader)
            writer.close()
            return here.seen.bodies

    assert run(main()) == [b"a" * 20]


async def hold_two(here: Site) -> list[asyncio.StreamWriter]:
    """Open two calls that hold the whole budget of SMALL."""
    writers = []
    for _ in range(2):
        _, writer = await here.connect()
        writer.write(POST + b"content-length: 1000\r\n\r\n" + b"a" * 10)
        writers.append(writer)
    await until(lambda: here.seen.calls == 2)
    return writers


@pytest.mark.parametrize("raw", [declared(b"abcd"), CHUNKED + chunk(b"abcd")], ids=["declared", "chunked"])
def test_bodies_over_the_shared_budget_get_503_with_retry_after(raw: bytes) -> None:  # case F23, trap V2
    async def main() -> tuple[bytes, int, int]:
        async with site(SMALL) as here:
            writers = await hold_two(here)
            reply = await here.talk(raw)
            for writer in writers:
                writer.close()
            await until(lambda: here.running.calls == 0)
            await until(lambda: here.running.body_bytes_left == 2_000)
            return reply, here.seen.calls, status(await here.talk(declared(b"abcd")))

    reply, calls, afterwards = run(main())
    assert (status(reply), calls, afterwards) == (503, 2, 200)
    assert b"retry-after: 2\r\n" in reply


def test_requests_without_a_body_pass_while_the_budget_is_spent() -> None:
    async def main() -> int:
        async with site(SMALL) as here:
            writers = await hold_two(here)
            reply = await here.talk(b"GET /healthz HTTP/1.1\r\n" + HOST + CLOSE + b"\r\n")
            for writer in writers:
                writer.close()
            return status(reply)

    assert run(main()) == 200


def test_early_answer_reaches_a_client_that_is_still_sending() -> None:
    """A 401 must not turn into a reset: SDKs would retry a wrong key as a broken connection."""

    async def app(scope: object, receive: object, send: object) -> None:
        headers = [(b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 401, "headers": headers})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": b"no"})  # type: ignore[operator]

    async def main() -> tuple[bytes, int]:
        async with site(Limits(linger_s=5.0), app) as here:
            reader, writer = await here.connect()
            writer.write(POST + b"content-length: 2000000\r\n\r\n")
            for _ in range(20):
                writer.write(b"a" * 100_000)
                await writer.drain()
            reply = await until_closed(reader)
            writer.close()
            await until(lambda: here.running.connections == 0)
            return reply, here.running.body_bytes_left

    reply, left = run(main())
    assert status(reply) == 401
    assert b"connection: close" in reply
    assert reply.endswith(b"no")
    assert left == Limits().inflight_body_bytes


def test_expect_continue_is_answered_when_the_body_is_wanted() -> None:
    async def main() -> tuple[bytes, list[bytes]]:
        async with site() as here:
            reader, writer = await here.connect()
            writer.write(POST + CLOSE + b"expect: 100-continue\r\ncontent-length: 4\r\n\r\n")
            interim = await reader.readuntil(b"\r\n\r\n")
            writer.write(b"abcd")
            await until_closed(reader)
            writer.close()
            return interim, here.seen.bodies

    assert run(main()) == (b"HTTP/1.1 100 Continue\r\n\r\n", [b"abcd"])


def test_expect_continue_with_a_body_over_the_limit_is_refused_at_once() -> None:
    reply, seen, _ = talked(SMALL, POST + b"expect: 100-continue\r\ncontent-length: 2000\r\n\r\n")
    assert (status(reply), seen.calls) == (413, 0)


def test_limits_whose_largest_body_never_fits_are_an_error() -> None:
    with pytest.raises(ValueError, match="inflight_body_bytes"):
        Limits(body_bytes=100, inflight_body_bytes=99)
