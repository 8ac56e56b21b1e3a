"""Every recorded exchange of OpenAI's dialects: read, framed and metered."""

import gzip
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tidegate.model.errors import TidegateError
from tidegate.model.provider import UsageRules
from tidegate.model.reply import ReplyFacts
from tidegate.model.usage import INPUT_BUCKETS, OUTPUT_BUCKETS
from tidegate.wire import openai_chat, openai_completions, openai_embeddings
from tidegate.wire.body import Body
from tidegate.wire.codec import Codec
from tidegate.wire.sse import FrameReader

DATA = Path(os.environ.get("TIDEGATE_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
TRAFFIC = DATA / "traffic"
DIALECTS: dict[str, Codec] = {
    "openai_chat": openai_chat.CODEC,
    "openai_completions": openai_completions.CODEC,
    "openai_embeddings": openai_embeddings.CODEC,
}
RULES = {
    "xai": UsageRules(reasoning="outside", cost_field="cost_in_usd_ticks", cost_divisor=10_000_000_000),
    "openrouter": UsageRules(cost_field="cost"),
}
UNEXPLAINED = {"total-mismatch", "not-a-count", "negative", "absurd", "unreadable"}

pytestmark = pytest.mark.skipif(not TRAFFIC.is_dir(), reason="no recorded traffic (TIDEGATE_DATA)")


def exchanges(dialect: str) -> Iterator[dict[str, Any]]:
    with gzip.open(TRAFFIC / f"{dialect}.jsonl.gz") as lines:
        for line in lines:
            exchange: dict[str, Any] = msgspec.json.decode(line)
            if exchange["reply"].get("body_text") is not None:
                yield exchange


def read(codec: Codec, exchange: dict[str, Any]) -> ReplyFacts:
    """The facts of a recorded 2xx reply."""
    rules = RULES.get(exchange["provider"], UsageRules())
    raw = exchange["reply"]["body_text"].encode()
    return watched(codec, raw, rules) if exchange["stream"] else codec.read_reply(raw, rules)


def watched(codec: Codec, raw: bytes, rules: UsageRules, step: int = 1400) -> ReplyFacts:
    reader, watcher = FrameReader(), codec.watch_stream(rules, injected_usage=True)
    for at in range(0, len(raw), step):
        for frame in reader.feed(raw[at : at + step]):
            if frame.data:
                watcher.event(frame.event, frame.data)
    return watcher.facts


def stated(exchange: dict[str, Any]) -> dict[str, Any]:
    """The provider's last usage object, found without our codec."""
    found: dict[str, Any] = {}
    text = exchange["reply"]["body_text"].replace("\r\n", "\n")
    lines = (
        [line[5:] for line in text.split("\n") if line.startswith("data:")] if exchange["stream"] else [text]
    )
    for line in lines:
        if line.strip() == "[DONE]":
            continue
        chunk = json.loads(line)
        usage = chunk.get("usage") or (chunk.get("x_groq") or {}).get("usage") or {}
        if usage.get("completion_tokens") is not None or "completion_tokens" not in found:
            found = usage or found
    return found


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_request_that_a_provider_took_is_taken(dialect: str) -> None:
    refused: Counter[str] = Counter()
    for exchange in exchanges(dialect):
        asked = exchange["request"].get("body")
        if not isinstance(asked, dict) or exchange["reply"]["status"] >= 300:
            continue
        if asked.get("model") is None:
            asked["model"] = "named-in-the-path"  # what names no model cannot be routed: 16 of 1,713
        body = Body.parse(msgspec.json.encode(asked))
        try:
            facts = DIALECTS[dialect].read_request(body)
        except TidegateError as error:
            refused[f"{error.code} {error.param} {exchange['id']}"] += 1
            continue
        assert facts.stream == bool(asked.get("stream")), exchange["id"]
        assert facts.has_tools == bool(asked.get("tools") or asked.get("functions")), exchange["id"]
        assert facts.asks_usage == bool((asked.get("stream_options") or {}).get("include_usage"))
        messages = asked.get("messages")
        if messages is not None:
            assert facts.message_count == len(messages)
            assert [json.loads(piece) for piece in facts.prompt[2:]] == messages
    assert not refused


@pytest.mark.parametrize("dialect", DIALECTS)
def test_framing_keeps_every_byte_of_every_stream(dialect: str) -> None:
    for exchange in exchanges(dialect):
        if not exchange["stream"]:
            continue
        raw = exchange["reply"]["body_text"].encode()
        for step in (len(raw), 7, 1400):
            reader = FrameReader()
            frames = [frame for at in range(0, len(raw), step) for frame in reader.feed(raw[at : at + step])]
            assert b"".join(frame.raw for frame in frames) + reader.pending() == raw, exchange["id"]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_buckets_sum_to_what_the_provider_said(dialect: str) -> None:
    seen: Counter[str] = Counter()
    for exchange in exchanges(dialect):
        if exchange["reply"]["status"] >= 300:
            continue
        facts, said = read(DIALECTS[dialect], exchange), stated(exchange)
        assert facts.bad_frames == 0, exchange["id"]
        if not said:
            assert facts.usage is None, exchange["id"]
            continue
        report = facts.usage
        assert report is not None, exchange["id"]
        seen[report.rule] += 1
        seen.update(report.anomalies)
        usage = report.usage
        assert all(getattr(usage, name) is None or getattr(usage, name) >= 0 for name in INPUT_BUCKETS)
        assert all(getattr(usage, name) is None or getattr(usage, name) >= 0 for name in OUTPUT_BUCKETS)
        if not UNEXPLAINED.isdisjoint(report.anomalies):
            continue
        prompt, total = said.get("prompt_tokens"), said.get("total_tokens")
        assert usage.input_total == (total if prompt is None else prompt), exchange["id"]
        if usage.output_total is not None and total is not None:
            assert (usage.input_total or 0) + usage.output_total == total, exchange["id"]
        cached = (said.get("prompt_tokens_details") or {}).get("cached_tokens")
        if cached is not None:
            assert usage.cache_read == min(cached, prompt), exchange["id"]
    assert UNEXPLAINED.isdisjoint(seen)


@pytest.mark.parametrize("dialect", ["openai_chat", "openai_completions"])
def test_streams_and_plain_replies_end_with_a_finish(dialect: str) -> None:
    for exchange in exchanges(dialect):
        if exchange["reply"]["status"] >= 300:
            continue
        if '"choices"' not in exchange["reply"]["body_text"]:
            continue  # one recorded server streams a form of its own on this path
        facts = read(DIALECTS[dialect], exchange)
        assert facts.complete or facts.finish or facts.error, exchange["id"]
        if facts.complete and facts.error is None and (facts.text_bytes or facts.tool_calls):
            assert facts.started, exchange["id"]


@pytest.mark.parametrize("dialect", ["openai_chat", "openai_completions"])
def test_cuts_change_no_fact_of_a_recorded_stream(dialect: str) -> None:
    for exchange in exchanges(dialect):
        raw = exchange["reply"]["body_text"].encode()
        if not exchange["stream"] or len(raw) > 20_000:
            continue
        whole = watched(DIALECTS[dialect], raw, UsageRules(), step=len(raw))
        assert watched(DIALECTS[dialect], raw, UsageRules(), step=11) == whole, exchange["id"]


def test_a_stream_and_its_fold_agree() -> None:
    """Put each recorded stream's deltas into one plain reply: the facts are the same."""
    for exchange in exchanges("openai_chat"):
        if not exchange["stream"] or exchange["reply"]["status"] >= 300:
            continue
        facts = read(openai_chat.CODEC, exchange)
        folded = openai_chat.CODEC.read_reply(
            fold(exchange["reply"]["body_text"]), RULES.get(exchange["provider"], UsageRules())
        )
        if facts.error is None and folded.complete and facts.finish:
            assert (folded.text_bytes, folded.ascii_bytes) == (facts.text_bytes, facts.ascii_bytes)
            assert folded.finish == facts.finish
            assert folded.started == facts.started


def fold(text: str) -> bytes:
    """A plain reply that says, per choice, everything the stream's deltas said."""
    choices: dict[int, dict[str, Any]] = {}
    for line in text.replace("\r\n", "\n").split("\n"):
        if not line.startswith("data:") or line[5:].strip() == "[DONE]":
            continue
        for choice in json.loads(line[5:]).get("choices") or ():
            kept = choices.setdefault(choice.get("index", 0), {"message": {}, "finish_reason": None})
            kept["finish_reason"] = choice.get("finish_reason") or kept["finish_reason"]
            add(kept["message"], choice.get("delta") or {})
    return json.dumps({"id": "folded", "choices": list(choices.values())}).encode()


def add(message: dict[str, Any], delta: dict[str, Any]) -> None:
    reasoning = delta.get("reasoning_content") or delta.get("reasoning")
    for name, said in (
        ("content", delta.get("content")),
        ("reasoning", reasoning),
        ("refusal", delta.get("refusal")),
    ):
        if isinstance(said, str):
            message[name] = message.get(name, "") + said
        elif isinstance(said, list):
            message[name] = message.get(name, "") + "".join(
                openai_chat.stream.text_in(json.dumps(said).encode())
            )
    for call in delta.get("tool_calls") or ():
        message.setdefault("tool_calls", []).append(call)
    if isinstance(delta.get("function_call"), dict):
        message.setdefault("tool_calls", []).append({"function": delta["function_call"]})


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_recorded_error_gives_a_message(dialect: str) -> None:
    for exchange in exchanges(dialect):
        raw = exchange["reply"]["body_text"].encode()
        if exchange["reply"]["status"] >= 400 and raw:
            error = DIALECTS[dialect].read_error(raw).error
            assert error is not None, exchange["id"]
            assert error.message, exchange["id"]
