import json
from typing import Any

import pytest

from tidegate.model.errors import NotFound
from tidegate.model.provider import UsageRules
from tidegate.model.reply import ReplyFacts
from tidegate.model.request import Passed
from tidegate.model.usage import Usage
from tidegate.wire.passthrough import PassCodec
from tidegate.wire.passthrough.reply import PassWatcher

RULES = UsageRules()
JSON, SSE, LINES = "application/json; charset=utf-8", "text/event-stream", "application/x-ndjson"
GEMINI = {"promptTokenCount": 10, "candidatesTokenCount": 3, "thoughtsTokenCount": 4, "totalTokenCount": 17}
CHAT = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}
START = {"type": "message_start", "message": {"id": "i", "model": "c", "usage": {"input_tokens": 8}}}


def raw(value: Any) -> bytes:
    return json.dumps(value).encode()


def events(*values: Any, end: bytes = b"\n\n") -> bytes:
    return b"".join(b"data: " + raw(value) + end for value in values)


CASES: list[tuple[str, bytes, dict[str, int], str]] = [
    (JSON, raw({"usage": CHAT, "model": "m"}), {"input_uncached": 9, "output_text": 5}, "m"),
    (
        JSON,
        raw({"usageMetadata": GEMINI, "modelVersion": "g"}),
        {"input_uncached": 10, "output_text": 3, "reasoning": 4},
        "g",
    ),
    (
        JSON,
        raw([{"usageMetadata": {"promptTokenCount": 10}}, {"usageMetadata": GEMINI}]),
        {"input_uncached": 10, "output_text": 3, "reasoning": 4},
        "",
    ),
    (
        JSON,
        raw({"type": "message", "model": "c", "usage": {"input_tokens": 7, "output_tokens": 2}}),
        {"input_uncached": 7, "output_text": 2},
        "c",
    ),
    (
        SSE,
        events(START, {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 6}}),
        {"input_uncached": 8, "output_text": 6},
        "c",
    ),
    (
        SSE,
        events({"model": "m"}, {"model": "m", "usage": CHAT}) + b"data: [DONE]\n\n",
        {"input_uncached": 9, "output_text": 5},
        "m",
    ),
    (
        SSE,
        events({"type": "response.completed", "response": {"model": "r", "usage": CHAT}}, end=b"\r\n\r\n"),
        {"input_uncached": 9, "output_text": 5},
        "r",
    ),
    (
        SSE,
        events({"delta": {"usage": {"billed_units": {"input_tokens": 29, "output_tokens": 7}}}})[:-2],
        {"input_uncached": 29, "output_text": 7},
        "",
    ),
    (
        LINES,
        raw({"model": "o"}) + b"\n" + raw({"model": "o", "prompt_eval_count": 5, "eval_count": 2}),
        {"input_uncached": 5, "output_text": 2},
        "o",
    ),
    (
        JSON,
        raw({"usage": {"input_tokens": 5, "input_token_details": {"audio_tokens": 4}, "output_tokens": 1}}),
        {"input_uncached": 1, "input_audio": 4, "output_text": 1},
        "",
    ),
]


def watched(kind: str, whole: bytes, size: int = 0, *, generates: bool = True) -> ReplyFacts:
    watcher = PassWatcher(kind, RULES, generates=generates)
    for at in range(0, len(whole), size or len(whole) or 1):
        watcher.feed(whole[at : at + (size or len(whole))])
    watcher.end()
    return watcher.facts


@pytest.mark.parametrize(("kind", "whole", "buckets", "model"), CASES)
def test_usage_is_read_wherever_it_stands(
    kind: str, whole: bytes, buckets: dict[str, int], model: str
) -> None:
    facts = watched(kind, whole)
    assert facts.usage is not None
    assert (facts.usage.usage, facts.model, facts.complete) == (Usage(**buckets), model, True)


@pytest.mark.parametrize(("kind", "whole"), [case[:2] for case in CASES])
def test_cuts_do_not_matter(kind: str, whole: bytes) -> None:
    facts = watched(kind, whole)
    assert all(watched(kind, whole, size) == facts for size in (1, 2, 3, 7, 50))


@pytest.mark.parametrize(
    "usage",
    [{"total_tokens": 57}, {"prompt_tokens": 57, "total_tokens": 57}, {"billed_units": {"input_tokens": 57}}],
)
def test_what_generates_nothing_has_no_output(usage: dict[str, Any]) -> None:
    facts = watched(JSON, raw({"usage": usage, "data": [0.25] * 100}), generates=False)
    assert facts.usage is not None
    assert facts.usage.usage == Usage(input_uncached=57, output_text=0)
    assert facts.text_bytes == 0


def test_text_is_measured_and_pictures_are_not() -> None:
    facts = watched(JSON, raw({"data": [{"b64_json": "A" * 5000}], "said": "word " * 20}))
    assert (facts.usage, 100 < facts.text_bytes < 200) == (None, True)


def test_pictures_among_the_output_leave_its_price_unknown() -> None:
    details = [{"modality": "IMAGE", "tokenCount": 3}]
    facts = watched(JSON, raw({"usageMetadata": {**GEMINI, "candidatesTokensDetails": details}}))
    assert facts.usage is not None
    assert (facts.usage.usage, facts.usage.stated_output) == (Usage(input_uncached=10), None)
    assert facts.usage.anomalies == ("image-output",)
    assert facts.text_bytes == 0


@pytest.mark.parametrize(
    "whole",
    [
        b"",
        b"{",
        b"[1]",
        b"[",
        b'{"usage": 1}',
        b'{"usage": []}',
        b'{"usageMetadata": "x"}',
        b'{"meta": 1}',
        b"\xff",
    ],
)
@pytest.mark.parametrize("kind", [JSON, SSE, LINES, "audio/mpeg", ""])
def test_no_reply_raises(kind: str, whole: bytes) -> None:
    assert watched(kind, whole).complete


@pytest.mark.parametrize("count", [-1, 10**12, 0.5, "7", None])
def test_a_count_that_is_none_is_unknown(count: Any) -> None:  # case F9
    for reply in ({"prompt_eval_count": count}, {"usage": {"billed_units": {"input_tokens": count}}}):
        report = watched(JSON, raw(reply)).usage
        assert report is None or report.usage.input_uncached is None
    report = watched(JSON, raw({"usageMetadata": {"promptTokenCount": count}})).usage
    assert report is None or report.usage.input_uncached is None


def test_an_error_in_a_reply_is_seen() -> None:  # trap S12
    facts = watched(SSE, events({"error": {"message": "no", "code": "overloaded"}}))
    assert facts.error is not None
    assert facts.error.code == "overloaded"


@pytest.mark.parametrize(("dialect", "field"), [("openai", "param"), ("anthropic", "details")])
def test_errors_are_worded_in_the_clients_dialect(dialect: Any, field: str) -> None:
    codec = PassCodec(Passed(method="POST", place="p", path="/x", dialect=dialect))
    assert field in json.loads(codec.error_body(NotFound("no"), "id"))["error"]
    assert b"no" in codec.error_event(NotFound("no"), "id")
