"""Every recorded exchange of Anthropic's dialect: read, framed and metered."""

import gzip
import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tidegate.model.provider import UsageRules
from tidegate.model.reply import ReplyFacts
from tidegate.wire.anthropic_messages import CODEC, COUNT_CODEC
from tidegate.wire.body import Body
from tidegate.wire.sse import FrameReader

DATA = Path(os.environ.get("TIDEGATE_DATA", Path(__file__).parents[3] / "shared" / "data"))
TRAFFIC = DATA / "traffic"
RULES = UsageRules()
INPUT = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")

pytestmark = pytest.mark.skipif(
    not TRAFFIC.is_dir(), reason=f"no recorded traffic at {TRAFFIC}; set TIDEGATE_DATA"
)


def exchanges(dialect: str) -> list[dict[str, Any]]:
    with gzip.open(TRAFFIC / f"{dialect}.jsonl.gz") as lines:
        return [json.loads(line) for line in lines]


def succeeded(found: list[dict[str, Any]], *, stream: bool | None = None) -> list[dict[str, Any]]:
    return [
        one for one in found if one["reply"]["status"] < 300 and (stream is None or one["stream"] is stream)
    ]


@pytest.fixture(scope="module")
def recorded() -> list[dict[str, Any]]:
    return exchanges("anthropic_messages")


def body_of(exchange: dict[str, Any]) -> Body:
    return Body.parse(msgspec.json.encode(exchange["request"]["body"]))


def text_of(exchange: dict[str, Any]) -> bytes:
    text: str = exchange["reply"]["body_text"]
    return text.encode()


def watch(chunks: list[bytes]) -> ReplyFacts:
    watcher = CODEC.watch_stream(RULES, injected_usage=False)
    reader = FrameReader()
    for chunk in chunks:
        for frame in reader.feed(chunk):
            watcher.event(frame.event, frame.data)
    return watcher.facts


def facts_of(exchange: dict[str, Any]) -> ReplyFacts:
    raw = text_of(exchange)
    return watch([raw]) if exchange["stream"] else CODEC.read_reply(raw, RULES)


def stated(exchange: dict[str, Any]) -> dict[str, Any]:
    """The provider's last word on every field of its usage."""
    if not exchange["stream"]:
        usage: dict[str, Any] = json.loads(text_of(exchange))["usage"]
        return usage
    found: dict[str, Any] = {}
    for frame in FrameReader().feed(text_of(exchange)):
        event = json.loads(frame.data)
        found |= event.get("message", {}).get("usage") or event.get("usage") or {}
    return found


def test_every_answered_request_is_accepted(recorded: list[dict[str, Any]]) -> None:
    # traps V3, K5, K6, K15, K16
    for exchange in succeeded(recorded):
        body = body_of(exchange)
        facts = CODEC.read_request(body)
        assert facts.model == exchange["request"]["body"]["model"]
        assert facts.max_output == exchange["request"]["body"]["max_tokens"]
        parts = [getattr(facts.parts, name) for name in facts.parts.__struct_fields__]
        assert sum(part.size_bytes for part in parts) <= len(body.raw), exchange["id"]
        assert all(part.ascii_bytes <= part.text_bytes <= part.size_bytes for part in parts), exchange["id"]


def test_the_buckets_of_every_reply_sum_to_the_providers_totals(recorded: list[dict[str, Any]]) -> None:
    # traps M1, S3
    for exchange in succeeded(recorded):
        report = facts_of(exchange).usage
        assert report is not None, exchange["id"]
        usage = stated(exchange)
        outside = [one for one in usage.get("iterations", ()) if one["type"] != "message"]
        billed = [usage, *outside]
        assert report.usage.input_total == sum(one.get(name, 0) for one in billed for name in INPUT)
        assert report.usage.output_total == sum(one["output_tokens"] for one in billed)
        assert (report.stated_input, report.stated_output) == (
            report.usage.input_total,
            report.usage.output_total,
        )
        assert not set(report.anomalies) - {"remainder-as-cache-write", "other-model"}, exchange["id"]


def test_every_whole_reply_is_complete_and_names_its_model(recorded: list[dict[str, Any]]) -> None:
    for exchange in succeeded(recorded):
        facts = facts_of(exchange)
        assert (facts.complete, facts.error, facts.bad_frames) == (True, None, 0), exchange["id"]
        assert facts.model, exchange["id"]
        assert facts.finish, exchange["id"]


def test_cuts_do_not_matter(recorded: list[dict[str, Any]]) -> None:
    # trap S4
    for exchange in succeeded(recorded, stream=True)[::20]:
        raw = text_of(exchange)
        assert watch([raw[i : i + 1] for i in range(len(raw))]) == watch([raw]), exchange["id"]


def test_every_recorded_error_is_read(recorded: list[dict[str, Any]]) -> None:
    for exchange in recorded + exchanges("anthropic_count_tokens"):
        if exchange["reply"]["status"] >= 300:
            error = CODEC.read_error(text_of(exchange)).error
            said = json.loads(text_of(exchange))["error"]
            assert error is not None
            assert (error.type, error.message) == (said["type"], said["message"][:1000].strip())


def test_every_recorded_count_is_read_and_free() -> None:
    # trap K14
    for exchange in succeeded(exchanges("anthropic_count_tokens")):
        assert COUNT_CODEC.read_request(body_of(exchange)).surface == "count_tokens"
        report = COUNT_CODEC.read_reply(text_of(exchange), RULES).usage
        assert report is not None
        assert report.usage.input_total == 0
