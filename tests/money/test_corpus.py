"""Spend over recorded traffic is, to the last nano-unit, what an independent sum says.

The data is read from TIDEGATE_DATA (`traffic/<dialect>.jsonl.gz`); without it this test is skipped.
"""

import base64
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.test_replay import DATA
from tests.money import independent_sum
from tests.money.corpus import replayed
from tests.money.independent_sum import buckets_of, nano_of, usage_of

MOST_LINES = 60

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"no recorded traffic: {DATA}")


def billed(exchange: dict[str, Any], rates: dict[str, str]) -> int | None:
    """What the reply of one exchange costs by the independent sum."""
    reply = exchange["reply"]
    body = reply["body_text"] if "body_text" in reply else base64.b64decode(reply["body_b64"]).decode()
    said = usage_of(body)
    buckets = buckets_of(said, anthropic=exchange["dialect"] == "anthropic_messages")
    return nano_of(said, buckets, rates, exchange["provider"])


def test_spend_is_the_independent_sum(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    source = Path(independent_sum.__file__).read_text()
    assert len(source.splitlines()) <= MOST_LINES
    assert "tidegate" not in source
    left_out = Counter[str]()
    differ: dict[str, tuple[int | None, int | None]] = {}
    calls = ours_nano = theirs_nano = 0
    cards, rows = replayed(tmp_path)
    for exchange, attempt in rows:
        if attempt["usage_source"] == "none":
            assert attempt["cost_nano"] == 0
            left_out["answered with an error, billed nothing"] += 1
        elif attempt["usage_source"] != "provider":
            left_out["told no usage, estimated"] += 1
        elif not attempt["price_id"] and attempt["cost_source"] == "unpriced":
            left_out["no price known"] += 1
        else:
            ours = attempt["cost_nano"]
            theirs = billed(exchange, cards[attempt["price_id"]] if attempt["price_id"] else {})
            calls, ours_nano, theirs_nano = calls + 1, ours_nano + (ours or 0), theirs_nano + (theirs or 0)
            if ours != theirs:
                differ[exchange["id"]] = ours, theirs
    record_property(
        "figure",
        f"{calls:,} recorded calls: {ours_nano / 1e9:.9f} recorded, {theirs_nano / 1e9:.9f} by the "
        f"independent sum of {len(source.splitlines())} lines, {len(differ)} calls differ; left out: "
        + ", ".join(f"{count} {why}" for why, count in left_out.items()),
    )
    assert differ == {}
    assert ours_nano == theirs_nano
    assert calls > 2_000
