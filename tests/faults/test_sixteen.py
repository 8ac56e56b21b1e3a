"""The sixteen faults of providers that a gateway has to stand: after a public benchmark of gateways.

A plain HTTP client asks an alias of two deployments. The first misbehaves on its socket, the second is well.
For each fault: the right answer from the second where nothing of the first was shown, an honest error in the
client's dialect where something was; never half an answer that looks whole, never a doubled word, in time.
"""

import contextlib
import http.client
import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.raw_server import Peer, RawServer
from tests.support.served import Served, deployment, free_port, served
from tests.support.upstream import Running, scripted_upstream

PRICE = '{ currency = "EUR", rates = { input_uncached = "0.5", output_text = "2" } }'
LIMIT_S = 0.5
"""The limits of this Tidegate: to a reply's head, to its first content, between two events."""
CONFIG = f"""
first_byte_timeout_s = {LIMIT_S}
first_content_timeout_s = {LIMIT_S}
idle_timeout_s = {LIMIT_S}

[resilience]
backoff_s = 0.02

[breaker]
enabled = false
"""
IN_TIME_S = 6.0
"""Far more than any row needs; a client that waits longer has been forgotten."""

JSON = b"content-type: application/json\r\n"
EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
WORDS = ("one ", "two ", "three ")
DONE = b"data: [DONE]\n\n"

Serve = Callable[[Peer], None]


def event(text: str | None, finish: str | None = None) -> bytes:
    delta = {} if text is None else {"content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": "a", "object": "chat.completion.chunk", "created": 1, "model": "a", "choices": [choice]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def whole(text: str) -> bytes:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
    reply = {"id": "a", "object": "chat.completion", "created": 1, "model": "a", "choices": [choice]}
    return json.dumps({**reply, "usage": usage}).encode()


def error(code: str, message: str = "scripted") -> bytes:
    return json.dumps({"error": {"message": message, "type": "api_error", "code": code}}).encode()


def answers(status: str, body: bytes, head: bytes = JSON) -> Serve:
    return lambda peer: peer.answer(body, status=status, head=head)


def streams(*events: bytes, then: Serve = lambda peer: peer.chunk(b"")) -> Serve:
    def serve(peer: Peer) -> None:
        peer.send(EVENTS)
        for one in events:
            peer.chunk(one)
        then(peer)

    return serve


def hangs(peer: Peer) -> None:
    """Say nothing more until the other side has gone."""
    peer.drain()


def cuts(peer: Peer) -> None:
    peer.reset()


def slowly(peer: Peer) -> None:
    time.sleep(LIMIT_S / 2)
    peer.answer(whole("slow but sound"), head=JSON)


HTML = b"<html><h1>Bad gateway</h1></html>"
REFUSED = b"data: " + error("overloaded") + b"\n\n"
SHOWN = [event(word) for word in WORDS]
BY_B = "b"
"""The answer is the second provider's."""


@dataclass(frozen=True)
class Row:
    """One fault. `shown` is what the client got of the first provider, `code` the error's that it ended in.

    `answer` is the whole text, or BY_B. `calls` are how often the first is asked at most.
    """

    name: str
    serve: Serve | None
    stream: bool = False
    answer: str | None = None
    shown: str = ""
    status: int = 200
    code: str | None = None
    calls: int = 2
    outcome: str = "ok"


ROWS = (
    Row(
        "throttled-with-retry-after",
        answers("429 X", error("rate"), JSON + b"retry-after: 30\r\n"),
        answer=BY_B,
        calls=1,
    ),
    Row("throttled-without", answers("429 X", error("rate")), answer=BY_B),
    Row("hard-overload", answers("529 X", error("overloaded")), answer=BY_B),
    Row("soft-overload", slowly, answer="slow but sound", calls=1),
    Row("connection-refused", None, answer=BY_B),
    Row("hang-before-headers", hangs, answer=BY_B, calls=1),
    Row("slow-first-token", streams(event(""), then=hangs), stream=True, answer=BY_B, calls=1),
    Row(
        "cut-after-events",
        streams(*SHOWN, then=cuts),
        stream=True,
        shown="".join(WORDS),
        code="upstream_truncated",
        outcome="truncated",
        calls=1,
    ),
    Row(
        "stalled-stream",
        streams(*SHOWN, then=hangs),
        stream=True,
        shown="".join(WORDS),
        code="upstream_truncated",
        outcome="truncated",
        calls=1,
    ),
    Row(
        "malformed-event",
        streams(SHOWN[0], b'data: {"id": "a", "choi\n\n', *SHOWN[1:], event(None, "stop"), DONE),
        stream=True,
        answer="".join(WORDS),
        calls=1,
    ),
    Row(
        "missing-terminator",
        streams(*SHOWN, event(None, "stop")),
        stream=True,
        answer="".join(WORDS),
        calls=1,
    ),
    Row("oversized-context", answers("400 X", error("context_length_exceeded")), answer=BY_B, calls=1),
    Row(
        "content-filter",
        answers("400 X", error("content_filter")),
        status=400,
        code="content_filter",
        outcome="failed",
        calls=1,
    ),
    Row("prefill-rejected-by-fallback", answers("503 X", error("overloaded")), answer=BY_B),
    Row("foreign-format", answers("502 X", HTML, b"content-type: text/html\r\n"), answer=BY_B),
    Row("error-inside-200", streams(REFUSED, DONE), stream=True, answer=BY_B),
)


class Misbehaving:
    """The first provider: each row's deployment has a path of its own. `calls` counts them."""

    def __init__(self) -> None:
        self.calls: dict[str, int] = {}
        self.rows = {row.name: row for row in ROWS}

    def __call__(self, peer: Peer) -> None:
        with contextlib.suppress(OSError):  # reset by one of us
            while True:
                head, _ = peer.request()
                name = head.split(b" ")[1].split(b"/")[1].decode()
                self.calls[name] = self.calls.get(name, 0) + 1
                serve = self.rows[name].serve
                assert serve is not None
                serve(peer)


@dataclass
class Ground:
    served: Served
    second: Running
    first: Misbehaving
    key: str


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    first = Misbehaving()
    with RawServer(first) as raw, scripted_upstream() as second:
        config, aliases = CONFIG, "\n[aliases]\n"
        for row in ROWS:
            base = f"{raw.url}/{row.name}/v1" if row.serve else f"http://127.0.0.1:{free_port()}/v1"
            config += deployment(f"a-{row.name}", "vllm", base, f"m-{row.name}", price=PRICE)
            last = ["old", "b"] if row.name.startswith("prefill") else ["b"]
            aliases += f"{row.name} = {json.dumps([f'a-{row.name}', *last])}\n"
        config += deployment(
            "b", "openai-compatible", f"{second.base_url}/v1", "b", key='{ env = "B" }', price=PRICE
        )
        config += deployment(
            "old", "anthropic", second.base_url, "claude-opus-4-6", key='{ env = "B" }', price=PRICE
        )
        directory = tmp_path_factory.mktemp("served")
        with served(directory, config + aliases, env={"B": "sk-b-0000000000"}) as running:
            yield Ground(running, second, first, running.key())


@dataclass
class Answer:
    """What the client got: its text, the code of the error it ended in, whether it looked whole."""

    status: int
    text: str
    code: str | None
    is_whole: bool
    request_id: str
    took_s: float


def asked(ground: Ground, row: Row) -> Answer:
    turns: list[dict[str, str]] = [{"role": "user", "content": "Say something"}]
    if row.name.startswith("prefill"):
        turns.append({"role": "assistant", "content": "Gladly:"})
    body = {"model": row.name, "stream": row.stream, "messages": turns, "max_tokens": 30}
    address = urlsplit(ground.served.base_url)
    assert address.hostname is not None
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=IN_TIME_S)
    began = time.monotonic()
    try:
        headers = {"content-type": "application/json", "authorization": f"Bearer {ground.key}"}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
        reply = connection.getresponse()
        raw = reply.read()
    finally:
        connection.close()
    took_s = time.monotonic() - began
    ident = reply.headers["tidegate-request-id"]
    if reply.headers["content-type"].startswith("text/event-stream"):
        return Answer(reply.status, *streamed(raw), ident, took_s)
    found = json.loads(raw)
    if "error" in found:
        return Answer(reply.status, "", found["error"]["code"], False, ident, took_s)
    return Answer(reply.status, found["choices"][0]["message"]["content"], None, True, ident, took_s)


def streamed(raw: bytes) -> tuple[str, str | None, bool]:
    text, code, finished = "", None, False
    for data in re.findall(rb"^data: (.*)$", raw, re.MULTILINE):
        if data == b"[DONE]":
            continue
        with contextlib.suppress(ValueError):
            chunk: dict[str, Any] = json.loads(data)
            if "error" in chunk:
                code = chunk["error"]["code"]
            for choice in chunk.get("choices", ()):
                text += choice["delta"].get("content") or ""
                finished = finished or choice["finish_reason"] is not None
    return text, code, finished and code is None


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_sixteen(ground: Ground, row: Row, record_property: Callable[[str, object], None]) -> None:
    before, asked_b = ground.first.calls.get(row.name, 0), ground.second.app.stats.requests
    answer = asked(ground, row)
    assert answer.took_s < IN_TIME_S
    assert answer.status == row.status
    assert answer.code == row.code
    by_b = ground.second.app.stats.requests - asked_b
    if row.answer == BY_B:
        assert answer.is_whole
        assert answer.text
        assert by_b == 1
        assert not any(word in answer.text for word in WORDS), "what the first said was shown"
    else:
        assert answer.text == (row.answer or row.shown)
        assert answer.is_whole is (row.answer is not None)
        assert by_b == 0
    calls = ground.first.calls.get(row.name, 0) - before
    assert calls <= row.calls
    attempts = check_record(ground, row, answer, calls)
    seen = f"{answer.code} ({answer.status})" if answer.code else "the whole answer"
    record_property("client", f"{seen}{' of the second provider' if by_b else ''}")
    record_property("record", ", ".join(f"{one['deployment']} {one['status']}" for one in attempts))
    record_property("charged", "second" if by_b else "first" if answer.text else "nobody")


def check_record(ground: Ground, row: Row, answer: Answer, calls: int) -> list[dict[str, Any]]:
    """The record holds an attempt for each call, and the first one is never billed as an answer."""
    where = "SELECT * FROM request WHERE id = ? AND outcome IS NOT NULL"
    ground.served.wait_for(lambda: ground.served.rows(where, answer.request_id))
    (request,) = ground.served.rows(where, answer.request_id)
    assert request["outcome"] == row.outcome
    attempts = ground.served.rows("SELECT * FROM attempt WHERE request_id = ? ORDER BY n", answer.request_id)
    at_first = [one for one in attempts if one["deployment"] == f"a-{row.name}"]
    assert len(attempts) - len(at_first) == (1 if row.answer == BY_B else 0)
    if row.serve is not None:
        assert len(at_first) == calls
    if row.answer == BY_B:
        assert attempts[-1]["deployment"] == "b"
        assert attempts[-1]["status"] == "ok"
        assert all(one["status"] != "ok" for one in at_first)
    assert all(one["status"] is not None for one in attempts), "an attempt was never settled"
    return attempts


def test_nothing_is_left_open(ground: Ground) -> None:
    ground.served.wait_for(lambda: not ground.served.rows("SELECT id FROM request WHERE outcome IS NULL"))
