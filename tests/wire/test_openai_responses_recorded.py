"""Every recorded exchange of the Responses dialect: read, framed and metered."""

import gzip
import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tidegate.model.errors import SpendsLater
from tidegate.model.provider import UsageRules
from tidegate.model.reply import ReplyFacts
from tidegate.wire.body import Body
from tidegate.wire.openai_responses import CODEC
from tidegate.wire.sse import FrameReader

DATA = Path(os.environ.get("TIDEGATE_DATA", Path(__file__).parents[3] / "shared" / "data"))
TRAFFIC = DATA / "traffic"
RULES = {
    "xai": UsageRules(reasoning="outside", cost_field="cost_in_usd_ticks", cost_divisor=10_000_000_000),
    "openrouter": UsageRules(cost_field="cost"),
}

pytestmark = pytest.mark.skipif(
    not TRAFFIC.is_dir(), reason=f"no recorded traffic at {TRAFFIC}; set TIDEGATE_DATA"
)


@pytest.fixture(scope="module")
def recorded() -> list[dict[str, Any]]:
    with gzip.open(TRAFFIC / "openai_responses.jsonl.gz") as lines:
        return [json.loads(line) for line in lines]


def succeeded(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in found if one["reply"]["status"] < 300]


def text_of(exchange: dict[str, Any]) -> bytes:
    text: str = exchange["reply"]["body_text"]
    return text.encode()


def rules_of(exchange: dict[str, Any]) -> UsageRules:
    return RULES.get(exchange["provider"], UsageRules())


def watch(chunks: list[bytes], rules: UsageRules) -> ReplyFacts:
    watcher = CODEC.watch_stream(rules, injected_usage=False)
    reader = FrameReader()
    for chunk in chunks:
        for frame in reader.feed(chunk):
            watcher.event(frame.event, frame.data)
    return watcher.facts


def facts_of(exchange: dict[str, Any]) -> ReplyFacts:
    raw, rules = text_of(exchange), rules_of(exchange)
    return watch([raw], rules) if exchange["stream"] else CODEC.read_reply(raw, rules)


def response_of(exchange: dict[str, Any]) -> dict[str, Any]:
    """The response as its provider last said it."""
    raw = text_of(exchange)
    if not exchange["stream"]:
        found: dict[str, Any] = json.loads(raw)
        return found
    events = [json.loads(frame.data) for frame in FrameReader().feed(raw) if frame.data[:1] == b"{"]
    (last,) = [event["response"] for event in events if event.get("response", {}).get("usage")]
    assert isinstance(last, dict)
    return last


def test_every_answered_request_is_accepted(recorded: list[dict[str, Any]]) -> None:
    # traps V3, K7, K10, K15, K16
    for exchange in succeeded(recorded):
        sent = exchange["request"]["body"]
        body = Body.parse(msgspec.json.encode(sent))
        if sent.get("background"):
            with pytest.raises(SpendsLater, match="background"):  # trap M10
                CODEC.read_request(body)
            continue
        facts = CODEC.read_request(body)
        assert facts.model == sent.get("model", "")
        assert facts.max_output == sent.get("max_output_tokens")
        parts = [getattr(facts.parts, name) for name in facts.parts.__struct_fields__]
        assert sum(part.size_bytes for part in parts) <= len(body.raw), exchange["id"]
        assert all(part.ascii_bytes <= part.text_bytes <= part.size_bytes for part in parts), exchange["id"]


def test_the_buckets_of_every_reply_sum_to_the_providers_totals(recorded: list[dict[str, Any]]) -> None:
    # traps M1, M2, M16
    for exchange in succeeded(recorded):
        report = facts_of(exchange).usage
        if report is None:
            assert json.loads(text_of(exchange))["status"] == "queued"
            continue
        usage = response_of(exchange)["usage"]
        assert report.usage.input_total == report.stated_input == usage["input_tokens"], exchange["id"]
        assert report.usage.output_total == report.stated_output, exchange["id"]
        assert usage["input_tokens"] + (report.usage.output_total or 0) == usage["total_tokens"], exchange[
            "id"
        ]
        assert report.anomalies == (), exchange["id"]


def test_the_cost_a_provider_states_is_kept(recorded: list[dict[str, Any]]) -> None:
    # trap M11
    stating = [one for one in succeeded(recorded) if one["provider"] in RULES]
    for exchange in stating:
        report = facts_of(exchange).usage
        assert report is not None
        assert report.stated_cost is not None, exchange["id"]
    assert stating


def test_every_whole_reply_is_complete_and_names_its_model(recorded: list[dict[str, Any]]) -> None:
    for exchange in succeeded(recorded):
        facts = facts_of(exchange)
        assert (facts.complete, facts.error, facts.bad_frames) == (True, None, 0), exchange["id"]
        assert facts.model, exchange["id"]
        assert facts.id, exchange["id"]


def test_cuts_do_not_matter(recorded: list[dict[str, Any]]) -> None:
    # trap S4
    streams = [one for one in succeeded(recorded) if one["stream"]]
    for exchange in streams[::25]:
        raw, rules = text_of(exchange), rules_of(exchange)
        assert watch([raw[i : i + 1] for i in range(len(raw))], rules) == watch([raw], rules), exchange["id"]


def test_every_recorded_error_is_read(recorded: list[dict[str, Any]]) -> None:
    for exchange in recorded:
        if exchange["reply"]["status"] >= 300:
            error = CODEC.read_error(text_of(exchange)).error
            assert error is not None
            assert error.message, exchange["id"]
