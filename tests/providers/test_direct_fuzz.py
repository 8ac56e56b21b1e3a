"""Arbitrary and mutated replies, cut anywhere: no way to a crash, a hang, a foreign byte or a soiled pool."""

import asyncio
import http.client
import io
import socket
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.providers.test_direct_framing import GOLDEN, MALFORMED
from tests.support.direct_exchange import Outcome, cut, exchange

SEEDS = sorted({raw for raw, _, _, _ in GOLDEN.values()} | {raw[:300] for raw in MALFORMED.values()})
MORSELS = (
    *(b"\r\n", b"\r", b"\n", b"\0", b" ", b":", b";", b"0\r\n\r\n", b"1\r\na\r\n", b"ffffffffffffffff\r\n"),
    *(b"content-length: 5\r\n", b"transfer-encoding: chunked\r\n", b"connection: close\r\n", b"\xff"),
    *(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.0 ", b"x: y\r\n", b"304", b"-1"),
)

places = st.lists(st.integers(0, 400), max_size=6)
edits = st.lists(
    st.tuples(st.integers(0, 400), st.integers(0, 6), st.sampled_from(MORSELS) | st.binary(max_size=4)),
    max_size=5,
)
ends = st.sampled_from([None, ConnectionResetError(104, "reset")])


def mutated(raw: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    """Put bytes in the place of others, some times over."""
    for place, gone, morsel in changes:
        start = place % (len(raw) + 1)
        raw = raw[:start] + morsel + raw[start + gone :]
    return raw


replies = st.builds(mutated, st.sampled_from(SEEDS), edits) | st.builds(
    b"".join, st.lists(st.sampled_from([*MORSELS, *SEEDS]), max_size=8)
)


def run(raw: bytes, at: list[int], *, end: Exception | None = None, turns: bool = False) -> Outcome:
    return asyncio.run(exchange(cut(raw, at), end=end, turns=turns))


class Wire:
    """A socket for http.client that remembers how far it was read."""

    def __init__(self, raw: bytes) -> None:
        self.file = io.BytesIO(raw)
        self.left = 0

    def makefile(self, mode: str) -> "Wire":
        return self

    def __getattr__(self, name: str) -> object:
        return getattr(self.file, name)

    def close(self) -> None:
        self.left = len(self.file.getvalue()) - self.file.tell()


def by_http_client(raw: bytes) -> tuple[int, bytes, int]:
    """Return status, body and the number of bytes left over, as the standard library reads a reply."""
    wire = Wire(raw)
    reply = http.client.HTTPResponse(cast("socket.socket", wire), method="POST")
    reply.begin()
    while reply.status < 200:
        reply = http.client.HTTPResponse(cast("socket.socket", wire), method="POST")
        reply.begin()
    # it would read chunks behind a 204 or 304, which have no body (RFC 9112, section 6.3)
    body = b"" if reply.status in (204, 304) else reply.read()
    reply.close()
    wire.close()
    return reply.status, body, wire.left


@given(raw=replies, at=places, end=ends, turns=st.booleans())
@settings(max_examples=400, deadline=None)
def test_no_reply_gives_more_than_was_sent_or_hangs_its_reader(
    raw: bytes, at: list[int], end: Exception | None, turns: bool
) -> None:
    outcome = run(raw, at, end=end, turns=turns)
    assert len(outcome.body) <= len(raw)
    assert outcome.error is not None or 200 <= outcome.status <= 999
    assert not (outcome.error and outcome.pooled)


@given(raw=st.binary(max_size=200), at=places)
@settings(max_examples=200, deadline=None)
def test_noise_is_an_error(raw: bytes, at: list[int]) -> None:
    outcome = run(raw, at)
    assert outcome.error == (("read", "maybe", True) if raw else ("first_byte", "maybe", False))


@given(raw=replies, at=places, turns=st.booleans())
@settings(max_examples=400, deadline=None)
def test_the_cuts_make_no_difference(raw: bytes, at: list[int], turns: bool) -> None:
    cut_up, whole = run(raw, at, turns=turns), run(raw, [])
    assert cut_up == whole


@given(raw=replies, at=places)
@settings(max_examples=600, deadline=None)
def test_what_is_accepted_reads_as_the_standard_library_reads_it(raw: bytes, at: list[int]) -> None:
    outcome = run(raw, at)
    if outcome.error is None:
        status, body, left = by_http_client(raw)
        assert (outcome.status, outcome.body) == (status, body)
        assert not (outcome.pooled and left)


tokens = st.text("abcXYZ0-9_", min_size=1, max_size=8)
texts = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=20)


@given(
    status=st.integers(200, 599).filter(lambda code: code not in (204, 304)),
    fields=st.lists(st.tuples(tokens.map(lambda name: "x-" + name), texts), max_size=6),
    body=st.binary(max_size=300),
    sizes=st.none() | st.lists(st.integers(1, 50), min_size=1, max_size=8),
    at=places,
    turns=st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_a_well_formed_reply_comes_out_whole(
    status: int,
    fields: list[tuple[str, str]],
    body: bytes,
    sizes: list[int] | None,
    at: list[int],
    turns: bool,
) -> None:
    head = f"HTTP/1.1 {status} x\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields)
    if sizes is None:
        raw = head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body
    else:
        raw = head.encode() + b"transfer-encoding: chunked\r\n\r\n"
        rest, number = body, 0
        while rest:
            size = sizes[number % len(sizes)]
            raw += b"%x\r\n%b\r\n" % (len(rest[:size]), rest[:size])
            rest, number = rest[size:], number + 1
        raw += b"0\r\n\r\n"
    outcome = run(raw, at, turns=turns)
    assert (outcome.status, outcome.body, outcome.error, outcome.pooled) == (status, body, None, True)
    assert by_http_client(raw) == (status, body, 0)
    for name, value in reversed(fields):
        expected = next(other for known, other in fields if known.lower() == name.lower())
        assert outcome.headers[name.lower()] == expected
        assert value is not None
