"""Recorded traffic of dialects that are no surface here goes through `/pass/...` unchanged, both ways.

The data is read from TIDEGATE_DATA as in test_replay; without it these tests are skipped.
"""

import asyncio
import base64
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest

from tests.acceptance.test_replay import DATA, Recorded, exchanges
from tests.support.served import Served, deployment, served
from tidegate.model.provider import PassThrough
from tidegate.policy.passing import kind_of
from tidegate.providers.catalog import load

DIALECTS = (
    *("gemini", "gemini_caches", "gemini_count_tokens", "gemini_embeddings", "gemini_interactions"),
    *("cohere_chat", "cohere_embed", "rerank", "mistral_agents", "mistral_fim", "ollama"),
    *("openai_audio", "openai_images", "openai_files_batches", "openai_moderations"),
    *("openai_responses_other", "anthropic_files", "anthropic_batches", "models"),
    *("vertex_anthropic", "bedrock_converse", "bedrock_invoke"),
)
KEY = '{ env = "PROVIDER_KEY" }'

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not DATA.is_dir(), reason=f"no recorded traffic: {DATA}")]


@dataclass
class Kept(Recorded):
    """A recorded provider that keeps the heads of its requests too."""

    heads: list[bytes] = field(default_factory=list)

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
                self.heads.append(head)
                self.seen.append(await reader.readexactly(int(length[1]) if length else 0))
                writer.write(self.reply())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def row_of(provider: str) -> str:
    return provider if provider in load() else {"gemini": "google"}.get(provider, "openai-compatible")


def config(rows: list[dict[str, Any]], url: str) -> str:
    text = '[policy]\npass_through = "flag"\n[breaker]\nenabled = false\n'
    for provider in sorted({exchange["provider"] for exchange in rows}):
        row = load()[row_of(provider)]
        base = url + (row.pass_through.below or "/v1")
        text += deployment(f"at-{provider}", row.name, base, "*", key=KEY)
    return text


def body_of(exchange: dict[str, Any]) -> tuple[bytes, str]:
    request = exchange["request"]
    if request.get("body_raw"):
        return request["body_raw"].encode(), request["headers"].get("content-type", "text/plain")
    body = request.get("body")
    if body is None:
        return b"", ""
    return json.dumps(body, ensure_ascii=False, indent=1).encode("utf-8", "replace"), "application/json"


def target_of(exchange: dict[str, Any]) -> str:
    request = exchange["request"]
    path = quote(unquote(request["path"]), safe="/:@!$&'()*+,;=~")
    return f"{path}?{request['query']}" if request["query"] else path


async def ask(here: Served, exchange: dict[str, Any], key: str) -> tuple[int, bytes, bytes]:
    """The status and the body of a reply, and the body that was sent."""
    port = int(here.base_url.rsplit(":", 1)[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    raw, kind = body_of(exchange)
    headers = {"host": "localhost", "connection": "close", "authorization": f"Bearer {key}"}
    headers |= {"content-type": kind, "content-length": str(len(raw))} if kind else {}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    method, target = exchange["request"]["method"], target_of(exchange)
    writer.write(f"{method} /pass/at-{exchange['provider']}{target} HTTP/1.1\r\n{lines}\r\n".encode() + raw)
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
    return int(head.split(b" ", 2)[1]), body, raw


def recorded_body(exchange: dict[str, Any]) -> bytes:
    reply = exchange["reply"]
    return base64.b64decode(reply["body_b64"]) if "body_b64" in reply else str(reply["body_text"]).encode()


def spends_later(exchange: dict[str, Any]) -> bool:
    request = exchange["request"]
    later = kind_of(request["method"], request["path"], PassThrough()) == "later"
    return later or bool((request.get("body") or {}).get("background"))


def totals_of(exchange: dict[str, Any]) -> tuple[int, int] | None:
    """Input and output as the last usage of a Gemini reply says, added up here once more."""
    found = re.findall(rb'"usageMetadata":\s*(\{(?:[^{}]|\{[^{}]*\})*\})', recorded_body(exchange))
    if not found:
        return None
    said = json.loads(found[-1])
    if not {"candidatesTokenCount", "totalTokenCount"} <= said.keys():  # what is missing is unknown
        return None
    output = said.get("candidatesTokenCount", 0) + said.get("thoughtsTokenCount", 0)
    if "promptTokenCount" not in said:
        return said["totalTokenCount"] - output, output
    return said["promptTokenCount"] + said.get("toolUsePromptTokenCount", 0), output


@pytest.fixture(scope="module", params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_recorded_traffic_passes_unchanged(dialect: str, tmp_path: Path) -> None:  # traps M10, M16, V3
    rows = list(exchanges(dialect))
    assert rows, f"no exchange in {dialect}"
    asyncio.run(replay(rows, tmp_path))


async def replay(rows: list[dict[str, Any]], directory: Path) -> None:
    upstream = Kept()
    server = await asyncio.start_server(upstream.connection, "127.0.0.1", 0, limit=1 << 24)
    text = config(rows, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    loop = asyncio.get_running_loop()
    context = served(directory, text, env={"PROVIDER_KEY": "sk-not-a-real-key-000000"})
    here = await loop.run_in_executor(None, context.__enter__)
    try:
        key = await loop.run_in_executor(None, here.key)
        changed: dict[str, list[Any]] = {}
        passed: list[dict[str, Any]] = []
        for exchange in rows:
            upstream.current, before = exchange, len(upstream.seen)
            status, got, sent = await ask(here, exchange, key)
            if spends_later(exchange):
                if (status, len(upstream.seen)) != (501, before):
                    changed[exchange["id"]] = ["not refused", status]
                continue
            passed.append(exchange)
            found = [] if len(upstream.seen) == before + 1 else [f"not forwarded: {status} {got[:200]!r}"]
            if not found:
                found = differences(exchange, upstream, status, got, sent)
            if found:
                changed[exchange["id"]] = [exchange["provider"], target_of(exchange), *found]
        assert not changed, f"{len(changed)} of {len(rows)}: {dict(list(changed.items())[:10])}"
        await loop.run_in_executor(None, here.settled, len(rows))
        check_records(here, passed)
    finally:
        server.close()
        await loop.run_in_executor(None, context.__exit__, None, None, None)


def differences(exchange: dict[str, Any], upstream: Kept, status: int, got: bytes, sent: bytes) -> list[str]:
    found = []
    if status != exchange["reply"]["status"]:
        found.append(f"status {exchange['reply']['status']} -> {status}")
    if got != recorded_body(exchange):
        found.append("reply bytes")
    if upstream.seen[-1] != sent:
        found.append("request bytes")
    line = f"{exchange['request']['method']} {target_of(exchange)} HTTP/1.1\r\n".encode()
    if not upstream.heads[-1].startswith(line):
        found.append(f"{upstream.heads[-1].splitlines()[0]!r}")
    return found


def check_records(here: Served, passed: list[dict[str, Any]]) -> None:
    """One settled attempt a call; what a reply says of its usage was read, and adds up (traps M1, M16)."""
    attempts = here.attempts()
    assert len(attempts) == len(passed)
    inputs = ("input_uncached", "cache_read", "input_audio", "input_image")
    outputs = ("output_text", "reasoning", "output_audio")
    for attempt, exchange in zip(attempts, passed, strict=True):
        is_post, is_answered = exchange["request"]["method"] == "POST", exchange["reply"]["status"] < 300
        if is_answered and "error" not in recorded_body(exchange).decode(errors="replace"):
            assert attempt["status"] == "ok", exchange["id"]
        totals = totals_of(exchange) if is_post and is_answered else None
        if totals is not None and "image-output" not in (attempt["flags"] or ""):
            assert attempt["usage_source"] == "provider", exchange["id"]
            read = sum(attempt[name] or 0 for name in inputs), sum(attempt[name] or 0 for name in outputs)
            assert read == totals, exchange["id"]
        if not is_post and exchange["request"]["method"] != "PATCH":
            assert attempt["cost_nano"] == 0, exchange["id"]
