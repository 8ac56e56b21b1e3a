"""Words that records keep are short, whoever sends them: a record has a largest size, and memos a bound."""

import json
from typing import Any

import pytest

from tidegate.model.provider import UsageRules
from tidegate.model.request import Surface
from tidegate.wire.body import Body
from tidegate.wire.fields import MAX_WORD_CHARS
from tidegate.wire.registry import CODECS

LONG = "t" * 1_000_000

REQUESTS: dict[Surface, dict[str, Any]] = {
    "chat": {"messages": [{"role": "user", "content": "a"}]},
    "completions": {"prompt": "a"},
    "embeddings": {"input": "a"},
    "responses": {"input": "a"},
    "messages": {"messages": [{"role": "user", "content": "a"}], "max_tokens": 1},
}
REPLIES: dict[Surface, dict[str, Any]] = {
    "chat": {"choices": [], "service_tier": LONG},
    "completions": {"choices": [], "service_tier": LONG},
    "responses": {"object": "response", "status": "completed", "output": [], "service_tier": LONG},
    "messages": {"type": "message", "content": [], "usage": {"input_tokens": 1, "service_tier": LONG}},
}


@pytest.mark.parametrize("surface", REQUESTS)
@pytest.mark.parametrize("name", ["service_tier", "speed"])
def test_a_tier_that_a_client_asks_for_is_cut(surface: Surface, name: str) -> None:  # trap V4
    raw = json.dumps({"model": "m", **REQUESTS[surface], name: LONG}).encode()
    tier = CODECS[surface].read_request(Body.parse(raw)).service_tier
    assert tier in ("", LONG[:MAX_WORD_CHARS])
    assert tier or name == "speed"


@pytest.mark.parametrize("surface", REPLIES)
def test_a_tier_that_a_provider_names_is_cut(surface: Surface) -> None:
    facts = CODECS[surface].read_reply(json.dumps(REPLIES[surface]).encode(), UsageRules())
    assert facts.service_tier == LONG[:MAX_WORD_CHARS]
