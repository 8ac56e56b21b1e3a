from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.model.record import AttemptStatus, Hold, Settled
from tidegate.model.reply import ErrorFacts, ReplyFacts
from tidegate.model.usage import Usage, UsageReport
from tidegate.policy.estimate import UNCALIBRATED
from tidegate.policy.settle import Ended, Priced, drifted, settle

HOLD = Hold(
    input_tokens=100, output_tokens=400, amount_nano=900_000, input_nano=100_000, calibration="bytes-1:1000:0"
)
SAID = UsageReport(
    usage=Usage(input_uncached=90, cache_read=10, output_text=40),
    rule="openai",
    stated_input=100,
    stated_output=40,
)


def price(usage: Usage, served: str, tier: str) -> Priced:
    """A nano-unit for each token, whatever the model."""
    return Priced((usage.input_total or 0) + (usage.output_total or 0), "EUR", "card-1", "fx-1")


def unpriced(usage: Usage, served: str, tier: str) -> Priced:
    return Priced(None)


def settled(status: AttemptStatus = "ok", *, pricer: Any = price, **facts: Any) -> Settled:
    reply = facts.pop("reply", ReplyFacts(complete=True, usage=SAID))
    sent = facts.pop("sent", "yes")
    ended = Ended(status=status, sent=sent, model_asked="m-1", started_us=5, ended_us=9, reply=reply, **facts)
    return settle(ended, HOLD, UNCALIBRATED, pricer)


def test_a_whole_answer_is_billed_as_the_provider_says() -> None:
    got = settled()
    assert (got.usage, got.usage_source, got.cost_nano, got.cost_source) == (
        SAID.usage,
        "provider",
        140,
        "price",
    )
    assert (got.price_id, got.fx_id, got.currency, got.flags) == ("card-1", "fx-1", "EUR", ())


@pytest.mark.parametrize("status", ["unreachable", "timeout", "error"])
def test_a_call_that_was_never_sent_cost_nothing(status: AttemptStatus) -> None:  # trap M7
    got = settled(status, sent="no", reply=ReplyFacts())
    assert (got.usage, got.usage_source, got.cost_nano, got.cost_source) == (Usage(), "none", 0, "none")


def test_a_refusal_of_the_provider_cost_nothing() -> None:  # trap M7
    got = settled("error", http=429, error_class="rate", reply=ReplyFacts(error=ErrorFacts(code="slow")))
    assert (got.cost_nano, got.cost_source, got.error_class) == (0, "none", "rate")


def test_a_lost_call_may_have_been_billed_and_is_estimated() -> None:  # trap M7
    got = settled("timeout", sent="maybe", reply=ReplyFacts())
    assert (got.usage, got.usage_source) == (Usage(input_uncached=100, output_text=0), "estimated")
    assert got.cost_source == "estimated"
    assert {"estimated", "maybe_billed"} <= set(got.flags)


def test_an_answer_without_usage_is_estimated_from_its_text() -> None:  # trap M5
    got = settled(reply=ReplyFacts(complete=True, text_bytes=390, ascii_bytes=390))
    assert (got.usage.output_text, got.usage_source) == (100, "estimated")
    assert "estimated" in got.flags
    assert "maybe_billed" not in got.flags
    assert got.calibration == "bytes-1:1000:0;bytes-1:1000:0"


def test_a_cut_answer_counts_what_was_seen_beyond_what_was_said() -> None:  # traps M6, S3
    report = UsageReport(usage=Usage(input_uncached=70, output_text=1), rule="anthropic")
    got = settled("cancelled", reply=ReplyFacts(usage=report, text_bytes=390, ascii_bytes=390))
    assert (got.usage.input_uncached, got.usage.output_text, got.usage_source) == (70, 100, "mixed")
    assert {"estimated", "maybe_billed"} <= set(got.flags)


def test_a_client_that_left_after_the_last_event_is_billed_exactly() -> None:
    got = settled("cancelled")
    assert (got.usage_source, got.cost_source, got.flags) == ("provider", "price", ())


def test_a_model_without_a_price_is_unknown_and_never_free() -> None:  # trap M4
    got = settled(pricer=unpriced)
    assert (got.cost_nano, got.cost_source) == (None, "unpriced")
    assert "unpriced" in got.flags


def with_cost(text: str) -> ReplyFacts:
    report = UsageReport(usage=SAID.usage, rule="openai", stated_cost=text, stated_currency="EUR")
    return ReplyFacts(complete=True, usage=report)


def test_what_the_provider_states_wins_and_both_are_kept() -> None:  # trap M11
    got = settled(reply=with_cost("0.00000014"))
    assert (got.cost_nano, got.stated_cost_nano, got.cost_source, got.price_id) == (
        140,
        140,
        "stated",
        "card-1",
    )
    assert "cost_drift" not in got.flags


def test_a_stated_cost_far_from_ours_is_flagged() -> None:  # trap M11
    assert "cost_drift" in settled(reply=with_cost("0.5")).flags


@pytest.mark.parametrize("text", ["nonsense", "-1", "NaN", "1e99"])
def test_a_stated_cost_that_is_none_is_not_believed(text: str) -> None:  # case F9
    got = settled(reply=with_cost(text))
    assert (got.cost_nano, got.stated_cost_nano, got.cost_source) == (140, None, "price")


@pytest.mark.parametrize(
    ("asked", "served", "expected"),
    [
        ("gpt-4o-mini", "gpt-4o-mini-2024-07-18", False),
        ("openai/gpt-4o", "gpt-4o", False),
        ("claude-opus-4-6", "Claude-Opus-4-6", False),
        ("gpt-4o", "gpt-4.1", True),
        ("mistral-large-latest", "mistral-large-2512", True),
    ],
)
def test_drift_is_another_model_and_not_another_spelling(
    asked: str, served: str, *, expected: bool
) -> None:  # M18
    assert drifted(asked, served) is expected


tokens = st.none() | st.integers(0, 10**9)
statuses = st.sampled_from(["ok", "error", "truncated", "cancelled", "timeout", "unreachable", "interrupted"])


@given(
    status=statuses,
    sent=st.sampled_from(["no", "maybe", "yes"]),
    http=st.none() | st.sampled_from([200, 400, 429, 500]),
    complete=st.booleans(),
    text=st.integers(0, 10**7),
    buckets=st.none() | st.tuples(tokens, tokens, tokens),
)
def test_every_way_out_is_priced_or_says_why_not(
    status: AttemptStatus,
    sent: str,
    http: int | None,
    complete: bool,
    text: int,
    buckets: tuple[int | None, int | None, int | None] | None,
) -> None:
    report = None
    if buckets is not None:
        usage = Usage(input_uncached=buckets[0], cache_read=buckets[1], output_text=buckets[2])
        report = UsageReport(usage=usage, rule="openai")
    reply = ReplyFacts(usage=report, complete=complete, text_bytes=text, ascii_bytes=text)
    got = settled(status, sent=sent, http=http, reply=reply)
    assert got.cost_nano is not None
    assert got.cost_nano >= 0
    assert (got.usage_source == "none") == (got.cost_source == "none")
    assert all((count or 0) >= 0 for count in (got.usage.input_total, got.usage.output_total))
    if got.usage_source in ("estimated", "mixed"):
        assert got.cost_source == "estimated"
