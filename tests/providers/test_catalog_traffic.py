"""Recorded traffic read by the rows: errors get their class, usage sums up, stated abilities hold."""

import gzip
import os
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tidegate.model.provider import ErrorClass
from tidegate.model.reply import ReplyFacts
from tidegate.model.request import Surface
from tidegate.policy.classify_error import classify
from tidegate.providers import catalog
from tidegate.wire.codec import Codec
from tidegate.wire.registry import CODECS
from tidegate.wire.sse import FrameReader

DATA = Path(os.environ.get("TIDEGATE_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
TRAFFIC = DATA / "traffic"
ROWS = catalog.load()
ROW_OF = {name: name for name in ROWS} | {"gemini": "google"}
"""The row of a provider as the recordings name it."""

FILES: dict[Surface, str] = {
    "chat": "openai_chat",
    "responses": "openai_responses",
    "completions": "openai_completions",
    "embeddings": "openai_embeddings",
    "messages": "anthropic_messages",
}
NATIVE = {"gemini": "google", "cohere_chat": "cohere", "cohere_embed": "cohere"}
"""Recordings of a native API, whose error bodies the compatible layer of the same provider shares."""

Fact = tuple[str, int, str]
"""Provider, status and a part of the message, in small letters."""

CLASSES: dict[Fact, ErrorClass] = {
    ("openai", 400, "invalid model id"): "bad",
    ("openai", 400, "invalid schema"): "bad",
    ("openai", 400, "does not support"): "bad",
    ("openai", 400, "downloading"): "bad",
    ("openai", 400, "test error"): "bad",
    ("openai", 400, "requested model"): "model",
    ("openai", 400, "context window"): "context",
    ("openai", 401, "api key"): "key",
    ("openai", 403, "not allowed"): "forbidden",
    ("openai", 404, "does not exist"): "model",
    ("openai", 500, ""): "upstream",
    ("openai", 503, "connect error"): "overload",
    ("anthropic", 400, "prompt is too long"): "context",
    ("anthropic", 401, "x-api-key"): "key",
    ("anthropic", 404, "model"): "model",
    ("azure", 401, "access denied"): "key",
    ("azure", 404, "resource not found"): "model",
    ("mistral", 400, "invalid model"): "model",
    ("mistral", 400, "audio"): "bad",
    ("mistral", 400, "too many inputs"): "bad",
    ("openrouter", 400, "context length"): "context",
    ("openrouter", 400, "does not exist"): "model",
    ("openrouter", 401, "auth"): "key",
    ("openrouter", 429, "rate limit"): "rate",
    ("openrouter", 429, "provider returned error"): "rate",
    ("groq", 400, "must be"): "bad",
    ("groq", 404, "does not exist"): "model",
    ("deepseek", 400, "context length"): "context",
    ("deepseek", 400, "model not exist"): "model",
    ("deepseek", 400, "tool output"): "bad",
    ("deepseek", 401, "authentication"): "key",
    ("gemini", 400, "api key not valid"): "key",
    ("gemini", 400, "logprobs"): "bad",
    ("gemini", 403, "unregistered callers"): "forbidden",
    ("gemini", 404, "not found"): "model",
    ("gemini", 429, "exhausted"): "rate",
    ("together", 401, "api key"): "key",
    ("cerebras", 403, "multimodal"): "model",
    ("cerebras", 404, "does not exist"): "model",
    ("cohere", 400, "too many tokens"): "context",
    ("cohere", 400, "image content"): "bad",
    ("cohere", 401, "api token"): "key",
    ("cohere", 404, "removed"): "model",
    ("cohere", 404, "not found"): "model",
    ("cohere", 422, "no valid response"): "bad",
    ("huggingface", 400, "vision not support"): "bad",
    ("huggingface", 402, "credits"): "money",
    ("huggingface", 500, "unknown error"): "upstream",
    ("ollama", 401, "unauthorized"): "key",
    ("llamacpp", 400, "pooling"): "bad",
    ("llamacpp", 500, "too large to process"): "context",
    ("llamacpp", 500, "cannot use both"): "upstream",
    ("llamacpp", 501, "does not support embeddings"): "upstream",
}

pytestmark = pytest.mark.skipif(not TRAFFIC.is_dir(), reason="no recorded traffic (TIDEGATE_DATA)")


@cache
def recorded(file: str) -> tuple[dict[str, Any], ...]:
    """The exchanges of a file whose provider has a row and whose reply is text."""
    with gzip.open(TRAFFIC / f"{file}.jsonl.gz") as lines:
        every = [msgspec.json.decode(line) for line in lines]
    return tuple(
        one for one in every if one["provider"] in ROW_OF and one["reply"].get("body_text") is not None
    )


def failures() -> Iterator[tuple[Codec, dict[str, Any]]]:
    """Recorded errors by status, each with the codec that would read it."""
    for surface, file in FILES.items():
        for one in recorded(file):
            if one["reply"]["status"] >= 400:
                yield CODECS[surface], one
    for file in NATIVE:
        for one in recorded(file):
            if one["reply"]["status"] >= 400:
                yield CODECS["chat"], one


def kind_of(codec: Codec, one: dict[str, Any]) -> tuple[str, ErrorClass]:
    """The message of a recorded error, in small letters, and the class its row gives it."""
    error = codec.read_error(one["reply"]["body_text"].encode()).error
    assert error is not None, one["id"]
    kind = classify(
        ROWS[ROW_OF[one["provider"]]].errors,
        status=one["reply"]["status"],
        error=error,
        has_retry_after="retry-after" in one["reply"]["headers"],
    )
    return error.message.lower(), kind


def test_every_recorded_error_gets_the_class_of_its_cause() -> None:  # trap M17
    seen: set[Fact] = set()
    wrong: list[str] = []
    for codec, one in failures():
        message, kind = kind_of(codec, one)
        provider, status = one["provider"], one["reply"]["status"]
        facts = [
            fact for fact in CLASSES if fact[:2] == (provider, status) and (fact[2] in message or not message)
        ]
        seen.update(facts)
        expected = {CLASSES[fact] for fact in facts} or _by_default(provider, status)
        if kind not in expected or len(expected) > 1:
            wrong.append(f"{one['id']} {provider} {status} {kind}, not {sorted(expected)}: {message[:80]}")
    assert not wrong, "\n".join(wrong)
    assert seen == set(CLASSES)


def _by_default(provider: str, status: int) -> set[str]:
    """A 400 of the two large dialects says what is wrong with the request; all else is listed."""
    return {"bad"} if status == 400 and provider in ("openai", "anthropic") else set()


@pytest.mark.parametrize("surface", ["chat", "responses", "completions", "embeddings"])
def test_recorded_usage_sums_up_by_the_rules_of_its_row(surface: Surface) -> None:  # trap M16
    rules_seen: Counter[tuple[str, str]] = Counter()
    for one in recorded(FILES[surface]):
        row = ROWS[ROW_OF[one["provider"]]]
        if one["reply"]["status"] >= 300 or surface not in row.paths:
            continue
        report = _facts(surface, one).usage
        if report is None:
            continue
        usage = report.usage
        assert {"total-mismatch", "not-a-count", "negative", "absurd", "unreadable"}.isdisjoint(
            report.anomalies
        ), one["id"]
        if report.stated_input is not None:
            assert usage.input_total == report.stated_input, one["id"]
        if report.stated_output is not None:
            assert usage.output_total == report.stated_output, one["id"]
        rules_seen[row.name, report.rule] += 1
    outside = {name for name, rule in rules_seen if "outside" in rule or "remainder" in rule}
    assert outside == ({"xai", "google"} if surface == "chat" else set())


def _facts(surface: Surface, one: dict[str, Any]) -> ReplyFacts:
    codec, raw = CODECS[surface], one["reply"]["body_text"].encode()
    rules = catalog.usage_rules(ROWS[ROW_OF[one["provider"]]], surface)
    if not one["stream"]:
        return codec.read_reply(raw, rules)
    reader, watcher = FrameReader(), codec.watch_stream(rules, injected_usage=True)
    for frame in reader.feed(raw):
        if frame.data:
            watcher.event(frame.event, frame.data)
    return watcher.facts


def test_a_stream_that_was_not_asked_carries_usage_where_its_row_says_so() -> None:
    unasked: Counter[tuple[str, bool]] = Counter()
    for one in recorded("openai_chat"):
        row = ROWS[ROW_OF[one["provider"]]]
        asked = ((one["request"]["body"] or {}).get("stream_options") or {}).get("include_usage")
        if one["stream"] and one["reply"]["status"] < 300 and not asked and row.stream_usage == "always":
            unasked[row.name, _facts("chat", one).usage is not None] += 1
    for name in {name for name, _ in unasked}:
        assert unasked[name, True] > unasked[name, False]
    assert {name for name, carried in unasked if not carried} <= {"together"}


def test_limit_headers_are_those_that_were_recorded() -> None:
    """A row's header was seen on a reply of its provider, where any limit of that provider was recorded."""
    seen: dict[str, set[str]] = {}
    for file in FILES.values():
        for one in recorded(file):
            names = {name.lower() for name in one["reply"]["headers"]}
            seen.setdefault(ROW_OF[one["provider"]], set()).update(names)
    documented_only = {"fireworks", "nebius", "azure-classic"}
    for name, row in ROWS.items():
        told = {header for limit in row.limits for header in (limit.limit, limit.remaining, limit.reset)}
        if name not in documented_only:
            assert told - {""} <= seen.get(name, set()), name


def parts_of(one: dict[str, Any]) -> set[str]:
    """What a recorded chat request asks for, by the names of the capabilities."""
    body = one["request"]["body"]
    if not isinstance(body, dict):
        return set()
    asked = {"tools"} if body.get("tools") else set()
    form = body.get("response_format") or {}
    asked |= {"json_schema"} if isinstance(form, dict) and form.get("type") == "json_schema" else set()
    asked |= {"logprobs"} if body.get("logprobs") else set()
    for message in body.get("messages") or ():
        content = message.get("content") if isinstance(message, dict) else None
        for part in content if isinstance(content, list) else ():
            if isinstance(part, dict) and part.get("type") == "image_url":
                said = part.get("image_url")
                address = said.get("url", "") if isinstance(said, dict) else str(said)
                asked.add("images" if address.startswith("data:") else "image_urls")
    return asked


def test_what_a_provider_took_is_not_said_to_be_refused() -> None:
    wrong: set[tuple[str, str, str]] = set()
    for one in recorded("openai_chat"):
        row = ROWS[ROW_OF[one["provider"]]]
        model = str((one["request"]["body"] or {}).get("model") or "")
        takes = catalog.capabilities(row, model)
        if one["reply"]["status"] < 300:
            wrong |= {(row.name, model, name) for name in parts_of(one) if getattr(takes, name) is False}
    assert wrong == set()
