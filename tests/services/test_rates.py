import pytest

from tidegate.policy.rate import MINUTE_US, Limit, Verdict
from tidegate.services.rates import OTHERS, SWEEP_US, Rates, refusal

S = 1_000_000
LATER_US = 2 * MINUTE_US
LIMITS = (
    ("key:a", Limit("requests", 3)),
    ("team:red", Limit("tokens", 100)),
    ("key:a", Limit("concurrent", 2)),
)


def test_a_call_takes_its_share_of_every_limit() -> None:
    rates = Rates()
    with rates.enter(LIMITS, tokens=40, now_us=0) as turn:
        assert turn.ok
        assert [one.remaining for one in turn.verdicts] == [2, 60, 1]


def test_a_refused_call_takes_nothing() -> None:
    rates = Rates()
    with rates.enter(LIMITS, tokens=101, now_us=0) as turn:
        assert not turn.ok
    turn.billed(5, 0)
    assert len(rates) == 0
    assert [one.remaining for one in rates.enter(LIMITS, tokens=0, now_us=0).verdicts] == [2, 100, 1]


def test_a_place_is_given_back_once_on_any_way_out() -> None:
    rates = Rates()
    calls = [rates.enter(LIMITS[2:], tokens=0, now_us=0) for _ in range(3)]
    assert [call.ok for call in calls] == [True, True, False]
    for call in calls:
        call.leave()
        call.leave()
    with pytest.raises(ZeroDivisionError), rates.enter(LIMITS[2:], tokens=0, now_us=0):
        raise ZeroDivisionError
    again = [rates.enter(LIMITS[2:], tokens=0, now_us=0).ok for _ in range(3)]
    assert again == [True, True, False]


def test_the_bill_replaces_the_estimate_once() -> None:
    rates = Rates()
    turn = rates.enter(LIMITS, tokens=90, now_us=0)
    turn.billed(10, S)
    turn.billed(90, S)
    assert rates.enter(LIMITS, tokens=90, now_us=S).ok
    assert not rates.enter(LIMITS, tokens=1, now_us=S).ok


def test_a_limit_that_was_lowered_holds_at_once() -> None:
    rates = Rates()
    for _ in range(3):
        rates.enter(LIMITS[:1], tokens=0, now_us=0)
    assert not rates.enter((("key:a", Limit("requests", 2)),), tokens=0, now_us=0).ok
    assert rates.enter((("key:a", Limit("requests", 4)),), tokens=0, now_us=0).ok


def test_of_two_limits_on_one_tally_the_smaller_counts() -> None:
    rates = Rates()
    twice = (("key:a", Limit("requests", 1)), ("key:a", Limit("requests", 5)))
    assert [rates.enter(twice, tokens=0, now_us=0).ok for _ in range(2)] == [True, False]


def only(scope: str, amount: int = 2) -> tuple[tuple[str, Limit], ...]:
    return ((scope, Limit("requests", amount)),)


def test_scopes_beyond_the_table_share_one_tally() -> None:  # trap V4
    rates = Rates(max_tallies=3)
    for scope in ("a", "b", "c"):
        assert rates.enter(only(scope), tokens=0, now_us=0).ok
    assert [rates.enter(only(scope), tokens=0, now_us=0).ok for scope in ("d", "e", "f")] == [
        True,
        True,
        False,
    ]
    assert rates.enter(only("a"), tokens=0, now_us=0).ok
    assert len(rates) == 4
    assert any(key[0] == OTHERS for key in rates._tallies)


def test_what_is_past_makes_room() -> None:
    rates = Rates(max_tallies=3)
    for scope in "abc":
        rates.enter(only(scope), tokens=0, now_us=0)
    assert rates.enter(only("d"), tokens=0, now_us=LATER_US).ok
    assert [key[0] for key in rates._tallies] == ["d"]


def test_the_table_is_swept_now_and_then_only() -> None:
    rates = Rates(max_tallies=1)
    rates.enter(only("a"), tokens=0, now_us=0)
    rates.enter(only("b"), tokens=0, now_us=LATER_US - MINUTE_US)
    assert [key[0] for key in rates._tallies] == ["a", OTHERS]
    rates.enter(only("c"), tokens=0, now_us=LATER_US - MINUTE_US + SWEEP_US - 1)
    assert len(rates) == 2
    rates.enter(only("c"), tokens=0, now_us=LATER_US)
    assert "a" not in [key[0] for key in rates._tallies]


def test_a_full_table_keeps_the_places_of_running_calls() -> None:
    rates = Rates(max_tallies=1)
    place = (("a", Limit("concurrent", 1)),)
    running = rates.enter(place, tokens=0, now_us=0)
    others = rates.enter((("b", Limit("concurrent", 1)),), tokens=0, now_us=LATER_US)
    assert not rates.enter(place, tokens=0, now_us=LATER_US).ok
    running.leave()
    others.leave()
    assert len(rates) == 0


TOO_LARGE = (
    "t may have 9 tokens in 60 s, which this call alone passes; make it smaller, or have the limit raised."
)


@pytest.mark.parametrize(
    ("verdicts", "text", "retry_after_s", "retryable"),
    [
        (
            [
                Verdict(
                    "key:a", Limit("requests", 3), ok=False, remaining=0, reset_us=0, retry_after_us=1_200_000
                )
            ],
            "key:a may have 3 requests in 60 s; try again in 2 s, or have the limit raised.",
            2,
            True,
        ),
        (
            [
                Verdict(
                    "key:a", Limit("requests", 3), ok=False, remaining=0, reset_us=0, retry_after_us=9 * S
                ),
                Verdict("t", Limit("tokens", 9), ok=False, remaining=9, reset_us=0, retry_after_us=None),
            ],
            TOO_LARGE,
            None,
            False,
        ),
        (
            [
                Verdict("k", Limit("concurrent", 2), ok=False, remaining=0, reset_us=0, retry_after_us=S),
                Verdict("k", Limit("requests", 2), ok=True, remaining=2, reset_us=0),
            ],
            "k may have 2 calls at once; try again in 1 s, or have the limit raised.",
            1,
            True,
        ),
    ],
)
def test_a_refusal_says_which_limit_and_until_when(  # trap K1
    verdicts: list[Verdict], text: str, retry_after_s: int | None, *, retryable: bool
) -> None:
    error = refusal(verdicts)
    assert error.message == text
    assert (error.retry_after_s, error.retryable, error.status) == (retry_after_s, retryable, 429)
