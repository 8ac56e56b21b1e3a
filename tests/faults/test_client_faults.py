"""Clients that leave, do not read, or close half of a connection, before a provider that goes on speaking."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.dialects import body_of, request_of
from tests.support.faulty import ASKED, Ground, Row, assert_charged, flags_of, ground, recorded_as
from tests.support.raw_server import PATIENCE_S, Peer, RawServer
from tidegate.model.request import Surface

STILL_S = 0.5
CHUNK_BYTES = 1 << 20
SOME_EVENTS = 6
Property = Callable[[str, object], None]
PIECE = b"0123456789abcdef" * 4096
TOTAL_BYTES = 64 << 20
MOST_HELD_BYTES = 40 << 20
"""Buffers of four sockets and two processes; far from all of it."""

EVENTS_OF_AN_ANSWER = 36
"""One for the role, 32 words, the finish reason, usage and `[DONE]`."""
LEAVING = (
    Row("before-head", {"hang_after": 0}, ("cancelled -",)),
    Row("after-head", {"hang_after": "head"}, ("cancelled -",)),
    Row("during", {"hang_after": SOME_EVENTS}, ("cancelled -",)),
    Row("during-and-it-goes-on", {"hang_after": SOME_EVENTS, "disconnect": "finish"}, ("cancelled -",)),
    Row(
        "in-messages",
        {"hang_after": SOME_EVENTS},
        ("cancelled -",),
        surface="messages",
        provider="anthropic-compatible",
    ),
    Row("across", {"hang_after": SOME_EVENTS}, ("cancelled -",), surface="messages"),
)
BEHIND_THE_END = Row("behind-the-end", {"hang_after": EVENTS_OF_AN_ANSWER}, ("ok -",), counts="provider")
HALF = (
    Row("half-closed", {"latency_ms": 200}, ()),
    Row("half-closed-stream", {"latency_ms": 200, "event_ms": 5}, (), stream=True),
)


def event(text: str, finish: str = "null") -> bytes:
    return b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"%b"},"finish_reason":%b}]}\n\n' % (
        text.encode(),
        finish.encode(),
    )


class Flood:
    """A provider that streams far more than all buffers hold, and counts what it got rid of."""

    def __init__(self) -> None:
        self.sent = 0
        self.over = threading.Event()

    def __call__(self, peer: Peer) -> None:
        try:
            peer.request()
            peer.send(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
            )
            piece = event(PIECE.decode())
            while self.sent < TOTAL_BYTES:
                peer.chunk(piece)
                self.sent += len(PIECE)
            peer.chunk(event("", '"stop"') + b"data: [DONE]\n\n")
            peer.chunk(b"")
        except ConnectionError:
            pass
        finally:
            self.over.set()

    def stands_still(self) -> int:
        """How much was sent once nothing more goes."""
        sent, since_s = self.sent, time.monotonic()
        while time.monotonic() - since_s < STILL_S:
            time.sleep(0.05)
            if self.sent != sent or not sent:
                sent, since_s = self.sent, time.monotonic()
        return sent


@pytest.fixture(scope="module")
def flood() -> Flood:
    return Flood()


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, flood: Flood) -> Iterator[Ground]:
    with RawServer(flood) as raw:
        floods = [Row(name, {}, (), base_url=raw.url) for name in ("flood", "flood-left")]
        rows = [*LEAVING, BEHIND_THE_END, *HALF, *floods]
        config = "first_byte_timeout_s = 20\nidle_timeout_s = 20\n"
        with ground(tmp_path_factory.mktemp("served"), rows, config) as made:
            yield made


def called(here: Ground, model: str, surface: Surface = "chat", *, stream: bool = True) -> socket.socket:
    """Send a call and give its connection."""
    body = body_of(surface, model, [{"role": "user", "content": ASKED}], stream=stream)
    sock = socket.create_connection(("127.0.0.1", int(here.served.base_url.rsplit(":")[-1])), PATIENCE_S)
    sock.sendall(request_of(here.served.base_url, here.key, surface, body))
    return sock


def until(sock: socket.socket, wanted: bytes) -> bytes:
    """Read until something is seen; everything where the connection ends before."""
    got = bytearray()
    while wanted not in got[-CHUNK_BYTES - len(wanted) :]:
        piece = sock.recv(CHUNK_BYTES)
        if not piece:
            break
        got += piece
    return bytes(got)


def settled(here: Ground, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The one call that a model's alias got, settled."""
    sql = "SELECT * FROM request WHERE model_asked = ? AND outcome IS NOT NULL"
    here.served.wait_for(lambda: here.served.rows(sql, name))
    (request,) = here.served.rows(sql, name)
    (attempt,) = here.served.rows("SELECT * FROM attempt WHERE request_id = ?", request["id"])
    return request, attempt


@pytest.mark.parametrize("row", LEAVING, ids=lambda row: row.name)
def test_a_client_that_leaves_ends_the_call(here: Ground, row: Row, record_property: Property) -> None:
    with called(here, row.name, row.surface) as sock:  # case F10
        here.served.wait_for(here.is_open)
        if row.script["hang_after"] == SOME_EVENTS:
            until(sock, b"own")
    here.served.wait_for(here.is_quiet)
    request, attempt = settled(here, row.name)
    charged = here.charged(f"m-{row.name}")
    record_property("client", "left")
    record_property("record", f"a {attempt['status']} {attempt['usage_source']}")
    record_property("charged", f"{charged['input']} + {charged['output']} tokens, {recorded_as([attempt])}")
    assert (request["outcome"], attempt["status"]) == ("cancelled", "cancelled")
    assert {"estimated", "maybe_billed"} <= flags_of(attempt)
    assert here.aborted(f"m-{row.name}") == 1
    assert_charged([attempt], charged)


def test_a_client_that_leaves_behind_the_end_has_its_answer(here: Ground) -> None:
    with called(here, BEHIND_THE_END.name) as sock:
        got = until(sock, b"data: [DONE]\n\n")
    assert got.endswith(b"data: [DONE]\n\n\r\n")
    here.served.wait_for(here.is_quiet)
    request, attempt = settled(here, BEHIND_THE_END.name)
    assert (request["outcome"], attempt["status"], attempt["usage_source"]) == ("ok", "ok", "provider")
    assert_charged([attempt], here.charged(f"m-{BEHIND_THE_END.name}"))


@pytest.mark.parametrize("row", HALF, ids=lambda row: row.name)
def test_a_half_closed_client_gets_its_answer_or_is_settled_as_gone(here: Ground, row: Row) -> None:
    with called(here, row.name, stream=row.stream) as sock:
        sock.shutdown(socket.SHUT_WR)
        got = until(sock, b"\0")
    here.served.wait_for(here.is_quiet)
    request, attempt = settled(here, row.name)
    assert (request["outcome"], attempt["status"]) in (("ok", "ok"), ("cancelled", "cancelled"))
    assert (request["outcome"] == "ok") is (b"one" in got)
    assert_charged([attempt], here.charged(f"m-{row.name}"))


def test_a_client_that_reads_late_holds_its_provider_back(here: Ground, flood: Flood) -> None:
    flood.sent = 0  # case F11, trap S13
    with called(here, "flood") as sock:
        assert flood.stands_still() < MOST_HELD_BYTES
        got = until(sock, b"data: [DONE]")
    assert got.count(PIECE) == TOTAL_BYTES // len(PIECE)
    assert flood.sent == TOTAL_BYTES
    request, attempt = settled(here, "flood")
    assert (request["outcome"], attempt["status"]) == ("ok", "ok")
    assert attempt["output_bytes"] == TOTAL_BYTES


def test_a_client_that_never_reads_and_leaves_is_settled(here: Ground, flood: Flood) -> None:
    flood.sent = 0
    flood.over.clear()
    with called(here, "flood-left"):
        assert flood.stands_still() < MOST_HELD_BYTES
    assert flood.over.wait(PATIENCE_S), "the provider went on speaking to nobody"
    request, attempt = settled(here, "flood-left")
    assert (request["outcome"], attempt["status"]) == ("cancelled", "cancelled")
    assert 0 < attempt["output_bytes"] < TOTAL_BYTES
    assert attempt["cost_nano"] > 0


def test_nothing_is_left_open(here: Ground) -> None:
    here.served.wait_for(here.is_quiet)
