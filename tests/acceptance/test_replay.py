"""Recorded traffic of many providers goes through unchanged but for the edits that are recorded.

The data is read from TIDEGATE_DATA (`traffic/<dialect>.jsonl.gz`); without it these tests are skipped.
"""

import asyncio
import base64
import gzip
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.served import Served, deployment, served
from tidegate.providers.catalog import load
from tidegate.wire.sse import EventReader

DATA = Path(os.environ.get("TIDEGATE_DATA", Path(__file__).parents[2] / "../shared/data")) / "traffic"
SURFACES = {
    "openai_chat": ("chat", "/v1/chat/completions"),
    "openai_responses": ("responses", "/v1/responses"),
    "anthropic_messages": ("messages", "/v1/messages"),
}
ONE_ATTEMPT = """
[resilience]
attempts = 1
[breaker]
enabled = false
"""
"""Recorded errors are passed on as they are, each asked for once."""
UNASKED = {"xiaomi"}
"""Providers without a row of their own whose streams carry usage unasked: the operator says so."""

PERMITTED = re.compile(
    r"request\.(model|stream_options\.include_usage|max_(completion_|output_)?tokens)"
    r"|reply\.(usage_chunk_removed|frame_closed)"
)

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not DATA.is_dir(), reason=f"no recorded traffic: {DATA}")]


def exchanges(dialect: str) -> Iterator[dict[str, Any]]:
    with gzip.open(DATA / f"{dialect}.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def provider_row(dialect: str, provider: str) -> str:
    surface = SURFACES[dialect][0]
    row = load().get(provider)
    if row is not None and surface in row.paths:
        return provider
    return "anthropic-compatible" if surface == "messages" else "openai-compatible"


@dataclass
class Recorded:
    """An upstream that answers whatever path with the reply of the exchange in flight."""

    port: int = 0
    current: dict[str, Any] = field(default_factory=dict)
    seen: list[bytes] = field(default_factory=list)

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
                self.seen.append(await reader.readexactly(int(length[1]) if length else 0))
                writer.write(self.reply())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def reply(self) -> bytes:
        reply = self.current["reply"]
        body = base64.b64decode(reply["body_b64"]) if "body_b64" in reply else reply["body_text"].encode()
        headers = {"content-type": "application/json", **reply["headers"]}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if name != "date")
        head = f"HTTP/1.1 {reply['status']} Recorded\r\n{lines}".encode("latin-1", "replace")
        if not self.current["stream"]:
            return head + b"content-length: %d\r\n\r\n" % len(body) + body
        pieces = [body[at : at + 97] for at in range(0, len(body), 97)]
        chunked = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
        return head + b"transfer-encoding: chunked\r\n\r\n" + chunked + b"0\r\n\r\n"


def client_body(exchange: dict[str, Any]) -> dict[str, Any] | None:
    body = exchange["request"].get("body")
    if not isinstance(body, dict) or body.get("background"):  # which is refused by name (trap M10)
        return None
    named = body.get("model")
    if "model" not in body and (place := re.search(r"/deployments/([^/]+)/", exchange["request"]["path"])):
        body, named = {"model": place[1], **body}, place[1]
    if isinstance(named, str) and named:
        body = {**body, "model": f"{exchange['dialect']}-{exchange['provider']}/{named}"}
    return body


async def call(served_: Served, exchange: dict[str, Any], key: str, raw: bytes) -> tuple[int, bytes]:
    port = int(served_.base_url.rsplit(":", 1)[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    headers = {"host": "localhost", "content-type": "application/json", "connection": "close"}
    headers |= {"authorization": f"Bearer {key}", "content-length": str(len(raw))}
    if exchange["dialect"] == "anthropic_messages":
        headers["anthropic-version"] = "2023-06-01"
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    path = SURFACES[exchange["dialect"]][1]
    writer.write(f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + raw)
    try:
        answer = await asyncio.wait_for(reader.read(), 30)
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" in head.lower():
        whole = b""
        while body:
            size, _, body = body.partition(b"\r\n")
            whole, body = whole + body[: int(size, 16)], body[int(size, 16) + 2 :]
        body = whole
    return int(head.split(b" ", 2)[1]), body


def events(text: bytes) -> list[tuple[str, Any]]:
    reader = EventReader()
    return [(event.event, json_or_text(event.data)) for event in reader.feed(text + b"\n\n")]


def json_or_text(data: str | bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data


LEARNED = ("max_tokens", "max_completion_tokens", "max_output_tokens")
"""Sent where the client set none, once a feature's answers are known (`policy.output_limits`)."""


def is_injected(exchange: dict[str, Any], body: dict[str, Any]) -> bool:
    return bool(exchange["stream"]) and not (body.get("stream_options") or {}).get("include_usage")


def differences(
    exchange: dict[str, Any], sent: dict[str, Any], forwarded: bytes, status: int, got: bytes
) -> list[str]:
    reply, found = exchange["reply"], []
    if status != reply["status"]:
        found.append(f"status {reply['status']} -> {status}")
    want = base64.b64decode(reply["body_b64"]) if "body_b64" in reply else reply["body_text"].encode()
    if exchange["stream"] and status < 300:
        if events(want) != events(got):
            found.append("reply events")
    elif want != got:
        found.append("reply bytes")
    there = json.loads(forwarded)
    edited = {name for name in {*sent, *there} if sent.get(name) != there.get(name)}
    if not edited <= {"model", "stream_options", *LEARNED}:
        found.append(f"forwarded {sorted(edited)}")
    return found


@pytest.fixture(scope="module", params=SURFACES)
def dialect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_recorded_traffic_is_unchanged(dialect: str, tmp_path: Path) -> None:  # traps V3, K11, S2
    rows = [exchange for exchange in exchanges(dialect) if client_body(exchange) is not None]
    assert rows, f"no exchange in {dialect}"
    asyncio.run(replay(dialect, rows, tmp_path))


async def replay(dialect: str, rows: list[dict[str, Any]], directory: Path) -> None:
    upstream = Recorded()
    server = await asyncio.start_server(upstream.connection, "127.0.0.1", 0, limit=1 << 24)
    base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    config = '[policy]\nunpriced = "flag"\n' + ONE_ATTEMPT
    for provider in sorted({exchange["provider"] for exchange in rows}):
        more = {"stream_usage": '"always"'} if provider in UNASKED else {}
        name, row = f"{dialect}-{provider}", provider_row(dialect, provider)
        config += deployment(name, row, base_url, "*", key='{ env = "PROVIDER_KEY" }', **more)
    config += f'\n[aliases]\ndefault = ["{dialect}-{rows[0]["provider"]}/unnamed"]\n'
    loop = asyncio.get_running_loop()
    context = served(directory, config, env={"PROVIDER_KEY": "sk-not-a-real-key-000000"})
    here = await loop.run_in_executor(None, context.__enter__)
    try:
        key = await loop.run_in_executor(None, here.key)
        changed: dict[str, list[str]] = {}
        for exchange in rows:
            body = client_body(exchange)
            assert body is not None
            upstream.current = exchange
            before = len(upstream.seen)
            raw = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
            status, got = await call(here, exchange, key, raw)
            if len(upstream.seen) != before + 1:
                changed[exchange["id"]] = [f"not forwarded: {status} {got[:200]!r}"]
            elif found := differences(exchange, body, upstream.seen[-1], status, got):
                changed[exchange["id"]] = [exchange["provider"], *found]
        assert not changed, f"{len(changed)} of {len(rows)}: {dict(list(changed.items())[:10])}"
        requests = await loop.run_in_executor(None, here.settled, len(rows))
        check_records(requests, here.attempts(), rows)
    finally:
        server.close()
        await loop.run_in_executor(None, context.__exit__, None, None, None)


def check_records(
    requests: list[dict[str, Any]], attempts: list[dict[str, Any]], rows: list[dict[str, Any]]
) -> None:
    """One settled row a call; every edit is named; the buckets sum to what the provider said (trap M1)."""
    assert len(requests) == len(attempts) == len(rows)
    for request, attempt in zip(requests, attempts, strict=True):
        edits = json.loads(request["edits"] or "[]")
        assert all(PERMITTED.fullmatch(edit) for edit in edits), edits
        assert request["outcome"] is not None
        if attempt["usage_source"] == "provider":
            inputs = (
                "input_uncached",
                "cache_read",
                "cache_write_5m",
                "cache_write_1h",
                "input_audio",
                "input_image",
            )
            outputs = ("output_text", "reasoning", "output_audio")
            for stated, buckets in (("stated_input", inputs), ("stated_output", outputs)):
                if attempt[stated] is not None:
                    assert sum(attempt[bucket] or 0 for bucket in buckets) == attempt[stated], attempt
