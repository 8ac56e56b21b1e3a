from dataclasses import dataclass
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.model.provider import Target
from tidegate.model.record import Attempt, Begin, Hold, Measured, Progress, Settled, Who, decode_gateway
from tidegate.policy.interrupted import close_interrupted, closing, interrupted_cost


@dataclass(frozen=True, slots=True)
class OpenCall:
    begin: Begin
    attempt: Attempt | None = None
    progress: Progress | None = None


HOLD = Hold(
    input_tokens=100,
    output_tokens=400,
    amount_nano=1_000_100,
    input_nano=100,
    currency="EUR",
    price_id="card",
    calibration="c1",
)


def begin(hold: Hold = HOLD) -> Begin:
    return Begin(
        seq=1,
        at=1_000,
        id="r1",
        snapshot=1,
        surface="chat",
        who=Who(tenant="t", key="k"),
        model_asked="m",
        target=Target(provider="p", deployment="d", model="m"),
        hold=hold,
        measured=Measured(body_bytes=10),
    )


def progress(n: int = 0, tokens: int = 200) -> Progress:
    return Progress(seq=2, at=5_000, id="r1", n=n, output_tokens=tokens, output_bytes=tokens * 4)


def test_a_call_without_progress_costs_its_held_input_and_says_why() -> None:  # trap M8
    end = close_interrupted(OpenCall(begin()), at=9_000, seq=7)
    assert (end.id, end.seq, end.at, end.n, end.outcome, end.http) == ("r1", 7, 9_000, 0, "interrupted", None)
    last = end.last
    assert (last.status, last.sent, last.usage_source, last.cost_source) == (
        "interrupted",
        "maybe",
        "estimated",
        "estimated",
    )
    assert (last.usage.input_uncached, last.usage.output_text) == (100, None)
    assert (last.cost_nano, last.currency, last.price_id, last.calibration) == (100, "EUR", "card", "c1")
    assert last.flags == ("estimated", "maybe_billed", "send_unknown")


def test_progress_proves_a_share_of_the_output() -> None:
    end = close_interrupted(OpenCall(begin(), progress=progress()), at=9_000, seq=7)
    assert end.last.cost_nano == 100 + 500_000
    assert (end.last.usage.output_text, end.last.output_bytes, end.last.sent) == (200, 800, "yes")
    assert end.last.flags == ("estimated", "maybe_billed")
    assert (end.duration_us, end.last.ended_us) == (4_000, 4_000)


def test_the_last_attempt_is_the_one_that_is_settled() -> None:  # trap M7
    second = Attempt(
        seq=2,
        at=3_000,
        id="r1",
        n=1,
        previous=Settled(status="error"),
        target=Target(provider="q", deployment="e", model="m2"),
        hold=Hold(input_tokens=7, output_tokens=1, amount_nano=70, input_nano=60),
    )
    end = close_interrupted(OpenCall(begin(), second, progress(n=0)), at=9_000, seq=7)
    assert (end.n, end.last.cost_nano, end.last.usage.output_text) == (1, 60, None)
    assert (end.last.started_us, end.duration_us) == (2_000, 2_000)


def test_an_unpriced_call_has_no_amount() -> None:  # trap M4, M5
    hold = Hold(input_tokens=100, output_tokens=400)
    end = close_interrupted(OpenCall(begin(hold), progress=progress()), at=9_000, seq=7)
    assert end.last.cost_nano is None
    assert end.last.cost_source == "unpriced"
    assert "unpriced" in end.last.flags


COSTS = [
    (Hold(input_tokens=1, output_tokens=0, amount_nano=5, input_nano=5), 3, 5),
    (Hold(input_tokens=1, output_tokens=2, amount_nano=9), 1, 9),
    (Hold(input_tokens=1, output_tokens=2, amount_nano=6, input_nano=1), 1, 1 + 2),
    (Hold(input_tokens=1, output_tokens=2, amount_nano=8, input_nano=1), 1, 1 + 4),
    (Hold(input_tokens=1, output_tokens=2, amount_nano=8, input_nano=1), 0, 1),
]


@pytest.mark.parametrize(("hold", "tokens", "expected"), COSTS)
def test_cost_rounds_half_to_even(hold: Hold, tokens: int, expected: int) -> None:  # trap M12
    assert interrupted_cost(hold, tokens) == expected


@given(st.integers(0, 10**15), st.integers(0, 10**15), st.integers(1, 10**7), st.integers(0, 10**7))
def test_cost_is_exact_to_half_a_nano_unit(input_nano: int, rest: int, held: int, tokens: int) -> None:
    hold = Hold(input_tokens=1, output_tokens=held, amount_nano=input_nano + rest, input_nano=input_nano)
    cost = interrupted_cost(hold, tokens)
    assert cost is not None
    assert abs(cost - (input_nano + Fraction(rest * tokens, held))) <= Fraction(1, 2)


def test_closing_numbers_its_records_above_any_of_the_journal() -> None:
    close = closing(1_700_000_000_000_000)
    ends = [decode_gateway(close(OpenCall(begin()))) for _ in range(2)]
    assert [end.seq for end in ends] == [1_700_000_000_000_000, 1_700_000_000_000_001]
    assert {end.at for end in ends} == {1_700_000_000_000_000}
