"""Counts of recorded prompts beside what their providers billed. `pytest -s` prints the table."""

import asyncio
import gzip
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import quantiles
from typing import Any

import msgspec
import pytest

from tidegate.model.errors import TidegateError
from tidegate.model.provider import UsageRules
from tidegate.model.request import RequestFacts, Surface
from tidegate.policy.estimate import UNCALIBRATED, estimated
from tidegate.services.exact_tokens import ExactTokens
from tidegate.wire.body import Body
from tidegate.wire.registry import CODECS
from tidegate.wire.sse import FrameReader

DATA = Path(os.environ.get("TIDEGATE_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
TRAFFIC = DATA / "traffic"
RULES = UsageRules()
FILES = {"file", "input_audio", "input_file", "document", "container_upload"}

pytestmark = pytest.mark.skipif(not TRAFFIC.is_dir(), reason="no recorded traffic (TIDEGATE_DATA)")


def exchanges(dialect: str, provider: str) -> Iterator[dict[str, Any]]:
    with gzip.open(TRAFFIC / f"{dialect}.jsonl.gz") as lines:
        for line in lines:
            exchange: dict[str, Any] = msgspec.json.decode(line)
            asked, reply = exchange["request"].get("body"), exchange["reply"]
            answered = reply["status"] < 300 and reply.get("body_text")
            if (
                exchange["provider"] == provider
                and answered
                and isinstance(asked, dict)
                and asked.get("model")
            ):
                yield exchange


def billed_for(surface: Surface, exchange: dict[str, Any]) -> int | None:
    codec, raw = CODECS[surface], exchange["reply"]["body_text"].encode()
    if not exchange["stream"]:
        report = codec.read_reply(raw, RULES).usage
    else:
        watcher = codec.watch_stream(RULES, injected_usage=True)
        for frame in FrameReader().feed(raw):
            if frame.data:
                watcher.event(frame.event, frame.data)
        report = watcher.facts.usage
    return report.usage.input_total if report else None


def is_text(facts: RequestFacts, asked: dict[str, Any]) -> bool:
    """Whether all that is billed as input is text of the request: no tools that run elsewhere, no files."""
    tools = [*(asked.get("tools") or ()), *(asked.get("functions") or ())]
    own = all(tool.get("type", "custom") in ("custom", "function") for tool in tools)
    files = any(f'"type":"{kind}"'.encode() in piece for kind in FILES for piece in facts.prompt)
    elsewhere = asked.get("mcp_servers") or asked.get("web_search_options") or facts.previous_id
    return own and not (files or elsewhere or facts.image_count or facts.has_schema)


Pick = Callable[[RequestFacts], bool]


def compared(dialect: str, surface: Surface, provider: str, pick: Pick) -> list[tuple[int, int, int]]:
    """(counted, estimated, billed) of each recorded call that is picked."""
    exact = ExactTokens(patience_s=60)

    async def main() -> list[tuple[int, int, int]]:
        rows = []
        for exchange in exchanges(dialect, provider):
            asked = exchange["request"]["body"]
            try:
                facts = CODECS[surface].read_request(Body.parse(msgspec.json.encode(asked)))
            except TidegateError:
                continue
            if pick(facts) and is_text(facts, asked) and (billed := billed_for(surface, exchange)):
                counted = await exact.count(facts.model, facts)
                assert counted is not None, exchange["id"]
                rough = estimated(facts.parts, UNCALIBRATED, messages=facts.message_count, images=0)
                rows.append((counted, rough.raw, billed))
        return rows

    found = asyncio.run(main())
    for name, at in (("counted", 0), ("estimated", 1)):
        cuts = quantiles((100 * row[at] // row[2] for row in found), n=20)
        same = sum(row[at] == row[2] for row in found)
        print(f"\n{provider} {surface}, {len(found)} calls, {name} in % of billed:", end="")
        print(f" 5% below {cuts[0]:.0f}, half {cuts[9]:.0f}, 5% above {cuts[18]:.0f}; {same} equal", end="")
    return found


def plain(facts: RequestFacts) -> bool:
    return not facts.has_tools


def with_tools(facts: RequestFacts) -> bool:
    return facts.has_tools


def share_within(rows: list[tuple[int, int, int]], least: float, most: float, at: int = 0) -> float:
    return sum(least <= row[at] / row[2] <= most for row in rows) / len(rows)


def test_most_plain_chats_at_openai_count_what_was_billed() -> None:
    rows = compared("openai_chat", "chat", "openai", plain)
    assert len(rows) > 400
    assert sum(counted == billed for counted, _, billed in rows) > 0.85 * len(rows)
    assert share_within(rows, 0.9, 1.15) > 0.95


@pytest.mark.parametrize(
    ("dialect", "surface", "provider", "pick", "least", "most", "share"),
    [
        ("openai_chat", "chat", "openai", with_tools, 0.8, 1.6, 0.85),
        ("openai_responses", "responses", "openai", plain, 0.9, 1.15, 0.85),
        ("openai_responses", "responses", "openai", with_tools, 0.8, 1.6, 0.85),
        ("openai_embeddings", "embeddings", "openai", plain, 1.0, 1.0, 0.95),
        ("anthropic_messages", "messages", "anthropic", plain, 0.8, 1.5, 0.85),
        ("anthropic_messages", "messages", "anthropic", with_tools, 0.8, 1.6, 0.9),
    ],
)
def test_counts_are_near_what_was_billed(
    dialect: str, surface: Surface, provider: str, pick: Pick, least: float, most: float, share: float
) -> None:
    rows = compared(dialect, surface, provider, pick)
    assert share_within(rows, least, most) > share
    assert share_within(rows, least, most) > share_within(rows, least, most, at=1)
