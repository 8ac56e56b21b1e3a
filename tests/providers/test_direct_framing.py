"""Replies cut anywhere, and those that are none."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from tests.support.direct_exchange import Outcome, cut, exchange
from tidegate.providers.direct_framing import (
    MAX_BARE_BYTES,
    MAX_FIELDS,
    MAX_HEAD_BYTES,
    MAX_INTERIM,
    Framing,
    MalformedError,
)

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

# raw, status, body, whether the connection may be used again
GOLDEN: dict[str, tuple[bytes, int, bytes, bool]] = {
    "content-length": (OK + b"Content-Length: 5\r\nX-A:  b \t\r\n\r\nhello", 200, b"hello", True),
    "no body": (OK + b"content-length: 0\r\n\r\n", 200, b"", True),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 10\r\n\r\n", 304, b"", True),
    "chunked": (CHUNKED + b"5\r\nhello\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n", 200, b"hello0123456789", True),
    "line ends in a chunk": (CHUNKED + b"4\r\n\r\n\r\n\r\n0\r\n\r\n", 200, b"\r\n\r\n", True),
    "empty chunks": (CHUNKED + b"0\r\n\r\n", 200, b"", True),
    "trailers": (CHUNKED + b"1\r\na\r\n0\r\nX-T: 1\r\nX-Empty:\r\n\r\n", 200, b"a", True),
    "interim first": (
        CONTINUE + b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + OK + b"content-length: 1\r\n\r\n!",
        200,
        b"!",
        True,
    ),
    "until close": (OK + b"\r\nall of it", 200, b"all of it", False),
    "until close, empty": (OK + b"\r\n", 200, b"", False),
    "1.0": (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", 200, b"ok", False),
    "1.0 kept": (
        b"HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\ncontent-length: 2\r\n\r\nok",
        200,
        b"ok",
        True,
    ),
    "closing": (OK + b"connection: x, Close\r\ncontent-length: 2\r\n\r\nok", 200, b"ok", False),
    "closing, chunked": (OK + b"connection: close\r\n" + CHUNKED[17:] + b"0\r\n\r\n", 200, b"", False),
    "no reason": (b"HTTP/1.1 200\r\ncontent-length: 0\r\n\r\n", 200, b"", True),
    "a status of its own": (b"HTTP/1.1 529 Overloaded\r\ncontent-length: 0\r\n\r\n", 529, b"", True),
    "bytes beyond ASCII": (OK + b"x: \xe9\xff\r\ncontent-length: 0\r\n\r\n", 200, b"", True),
}


def run(main: Coroutine[Any, Any, Outcome]) -> Outcome:
    return asyncio.run(main)


@pytest.mark.parametrize("name", GOLDEN)
def test_a_reply_is_the_same_however_it_is_cut(name: str) -> None:
    raw, status, body, pooled = GOLDEN[name]

    async def every_cut() -> list[Outcome]:
        cuts = [cut(raw, [place]) for place in range(len(raw) + 1)]
        cuts += [cut(raw, range(len(raw))), cut(raw, range(0, len(raw), 3))]
        return [await exchange(pieces, turns=turns) for pieces in cuts for turns in (False, True)]

    outcomes = asyncio.run(every_cut())
    first = outcomes[0]
    assert (first.status, first.body, first.error, first.pooled) == (status, body, None, pooled)
    assert all(outcome == first for outcome in outcomes)


@pytest.mark.parametrize("name", GOLDEN)
def test_a_reply_that_is_reset_before_its_end_is_an_error(name: str) -> None:
    raw, _, _, _ = GOLDEN[name]

    async def every_prefix() -> list[Outcome]:
        return [await exchange([raw[:stop]], end=ConnectionResetError(104, "x")) for stop in range(len(raw))]

    outcomes = asyncio.run(every_prefix())
    assert all(outcome.error is not None and not outcome.pooled for outcome in outcomes)


@pytest.mark.parametrize("name", GOLDEN)
@pytest.mark.parametrize("more", [b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"x", b"0\r\n\r\n", OK, b"\0"])
@pytest.mark.parametrize("at_once", [True, False])
def test_bytes_after_the_end_keep_the_connection_out_of_the_pool(
    name: str, more: bytes, *, at_once: bool
) -> None:
    # a reply nobody asked for would answer the next call
    raw, status, body, _ = GOLDEN[name]
    if name.startswith("until close"):
        body += more
    outcome = run(exchange([raw + more] if at_once else [raw, more]))
    assert (outcome.status, outcome.body, outcome.error, outcome.pooled) == (status, body, None, False)


def test_each_byte_of_a_second_reply_is_dropped() -> None:
    second = OK + b"content-length: 6\r\n\r\nsecret"
    for name, (raw, _, body, _) in GOLDEN.items():
        if not name.startswith("until close"):
            outcome = run(exchange([raw + second]))
            assert (outcome.body, outcome.pooled) == (body, False)


MALFORMED = {
    "not HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "not HTTP, no end": b"SSH-2.0-OpenSSH_9.6\r\n",
    "line ends first": b"\r\n" + OK + b"content-length: 0\r\n\r\n",
    "bare line feeds": b"HTTP/1.1 200 OK\ncontent-length: 0\n\n\r\n\r\n",
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\n\r\n",
    "HTTP/0.9": b"HTTP/0.9 200 OK\r\n\r\n",
    "no status": b"HTTP/1.1 \r\n\r\n",
    "a short status": b"HTTP/1.1 20 OK\r\n\r\n",
    "a long status": b"HTTP/1.1 2000 OK\r\n\r\n",
    "a status below 100": b"HTTP/1.1 099 OK\r\n\r\n",
    "switching protocols": b"HTTP/1.1 101 x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
    "an interim reply with a body": b"HTTP/1.1 103 x\r\ncontent-length: 3\r\n\r\nabc",
    "an interim chunked reply": b"HTTP/1.1 150 x\r\ntransfer-encoding: chunked\r\n\r\n",
    "both lengths": OK + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "both lengths, the other way": OK + b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": OK + b"content-length: 5\r\ncontent-length: 5\r\n\r\nhello",
    "a list of lengths": OK + b"content-length: 5, 5\r\n\r\nhello",
    "a length with a sign": OK + b"content-length: +5\r\n\r\nhello",
    "a negative length": OK + b"content-length: -5\r\n\r\nhello",
    "a hexadecimal length": OK + b"content-length: 0x5\r\n\r\nhello",
    "no length": OK + b"content-length:\r\n\r\nhello",
    "a huge length": OK + b"content-length: 99999999999999999999999\r\n\r\nhello",
    "gzip as transfer": OK + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "identity as transfer": OK + b"transfer-encoding: identity\r\n\r\nx",
    "chunked twice": OK + b"transfer-encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked in 1.0": b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "a space in a name": OK + b"content length: 5\r\n\r\nhello",
    "a space after a name": OK + b"content-length : 5\r\n\r\nhello",
    "no name": OK + b": 5\r\n\r\n",
    "no colon": OK + b"hello\r\n\r\n",
    "a folded line": OK + b"x: 1\r\n  2\r\ncontent-length: 0\r\n\r\n",
    "a NUL in a value": OK + b"x: a\0b\r\ncontent-length: 0\r\n\r\n",
    "a bare CR in a value": OK + b"x: a\rb: c\r\ncontent-length: 0\r\n\r\n",
    "two encodings": OK + b"content-encoding: gzip\r\ncontent-encoding: gzip\r\ncontent-length: 0\r\n\r\n",
    "too many fields": OK + b"x: 1\r\n" * (MAX_FIELDS + 1) + b"\r\n",
    "a large head": OK + b"x: " + b"a" * MAX_HEAD_BYTES + b"\r\n\r\n",
    "a large head without end": OK + b"x: " + b"a" * (MAX_HEAD_BYTES + 1),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_head_that_is_malformed_is_an_error_at_once(name: str) -> None:
    framing = Framing()
    with pytest.raises(MalformedError):
        framing.feed(MALFORMED[name])
    assert (framing.has_head, framing.reusable, framing.pieces) == (False, False, [])


@pytest.mark.parametrize("step", [1, 1000, 1_000_000])
@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_malformed_stays_so_however_it_is_cut(name: str, step: int) -> None:
    raw = MALFORMED[name]
    outcome = run(exchange(raw[start : start + step] for start in range(0, len(raw), step)))
    assert (outcome.error, outcome.pooled) == (("read", "maybe", True), False)


BROKEN_CHUNKS = {
    "no number": b"x\r\n",
    "a sign": b"+1\r\na\r\n",
    "a prefix": b"0x1\r\na\r\n",
    "an underscore": b"1_0\r\na",
    "too large a number": b"1" * 40 + b"\r\n",
    "a line feed alone": b"1\na\n0\n\n",
    "more than it says": b"1\r\nab\r\n",
    "a space in front": b" 1\r\na\r\n",
    "extensions without end": b"1;" + b"a" * (MAX_BARE_BYTES + 1),
    "trailers without end": b"0\r\n" + b"a: b\r\n" * MAX_BARE_BYTES,
}


@pytest.mark.parametrize("name", BROKEN_CHUNKS)
@pytest.mark.parametrize("step", [1, 1_000_000])
def test_a_malformed_chunk_is_an_error(name: str, step: int) -> None:
    raw = CHUNKED + b"2\r\nok\r\n"
    broken = BROKEN_CHUNKS[name]
    outcome = run(exchange([raw, *(broken[at : at + step] for at in range(0, len(broken), step))]))
    assert outcome.status == 200
    assert outcome.body[:2] == b"ok"
    assert (outcome.error, outcome.pooled) == (("read", "maybe", True), False)


def test_interim_replies_have_a_limit() -> None:
    last = OK + b"content-length: 1\r\n\r\n!"
    assert run(exchange([CONTINUE * MAX_INTERIM + last])).body == b"!"
    outcome = run(exchange([CONTINUE * (MAX_INTERIM + 1) + last]))
    assert (outcome.error, outcome.pooled) == (("first_byte", "maybe", False), False)


def test_a_head_just_below_the_limits_is_read() -> None:
    fields = b"".join(b"x-%d: 1\r\n" % number for number in range(MAX_FIELDS - 1))
    assert len(run(exchange([OK + fields + b"content-length: 0\r\n\r\n"])).headers) == MAX_FIELDS
    filler = b"x: " + b"a" * (MAX_HEAD_BYTES - 100) + b"\r\n"
    assert run(exchange([OK + filler + b"content-length: 0\r\n\r\n"])).status == 200


def test_names_of_headers_are_in_lower_case_and_the_first_of_a_name_wins() -> None:
    framing = Framing()
    framing.feed(OK + b"X-A: 1\r\nx-a: 2\r\ncontent-length: 0\r\n\r\n")
    assert framing.headers == {"x-a": "1", "content-length": "0"}


@pytest.mark.parametrize(
    "line",
    [
        b"X-Caf\xc3\xa9: no",
        b" folded: 1",
        b"\tfolded: 1",
        b"x-a : 1",
        b": 1",
        b"x-a",
        b"x-a\t: 1",
        b"x-a: \x00",
        b"x-a: \x1b[0m",
        b"x-a: \x7f",
        b"x-a: 1\rx-b: 2",
        b"x-a: 1\nx-b: 2",
    ],
)
def test_field_that_two_readers_could_read_differently_is_malformed(line: bytes) -> None:
    for lines in (line, b"x-z: 1\r\n" + line, line + b"\r\nx-z: 1"):
        with pytest.raises(MalformedError):
            Framing().feed(OK + lines + b"\r\n\r\n")
