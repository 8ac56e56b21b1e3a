import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.policy.run_limits import (
    MINUTE_US,
    NO_PAST,
    LimitTrip,
    Past,
    RunLimits,
    RunUse,
    limit_trips,
    usual,
)

LIMITS = RunLimits(
    calls=100,
    tool_calls=200,
    fan_out=10,
    depth=4,
    duration_us=10 * MINUTE_US,
    nano=1_000,
    floor_tokens=0,
    floor_nano=0,
)
NOW = 1_000 * MINUTE_US
STARTED = NOW - MINUTE_US


def found(
    use: dict[str, int], past: Past = NO_PAST, limits: RunLimits = LIMITS
) -> list[tuple[str, str, str]]:
    given_ = RunUse(**{"began_at_us": STARTED, **use})
    return [(trip.rule, trip.level, trip.against) for trip in limit_trips(given_, limits, NOW, past)]


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        ({}, []),
        ({"calls": 80}, []),
        ({"calls": 81}, [("calls", "notice")]),
        ({"calls": 100}, [("calls", "notice")]),
        ({"calls": 101}, [("calls", "enforce")]),
        ({"tool_calls": 201}, [("tool_calls", "enforce")]),
        ({"fan_out": 11}, [("fan_out", "enforce")]),
        ({"depth": 5}, [("depth", "enforce")]),
        ({"began_at_us": NOW - 11 * MINUTE_US}, [("duration", "enforce")]),
        ({"began_at_us": NOW + MINUTE_US}, []),  # a clock that went back
        ({"nano": 900}, [("money", "notice")]),
        ({"nano": 1_001}, [("money", "enforce")]),
        ({"calls": 90, "nano": 2_000}, [("money", "enforce"), ("calls", "notice")]),
    ],
)
def test_a_limit_trips_beyond_it_and_is_noted_near_it(
    use: dict[str, int], expected: list[tuple[str, str]]
) -> None:
    assert found(use) == [(*one, "limit") for one in expected]


def test_a_trip_has_its_numbers() -> None:
    (trip,) = limit_trips(RunUse(calls=101, began_at_us=NOW), LIMITS, NOW)
    assert trip == LimitTrip(rule="calls", level="enforce", used=101, allowed=100)


def test_what_is_unknown_or_unlimited_trips_nothing() -> None:
    nothing = RunLimits(calls=None, tool_calls=None, fan_out=None, depth=None, duration_us=None, nano=None)
    assert found({"calls": 10**9, "depth": 99, "nano": 10**18, "minute_tokens": 10**12}, limits=nothing) == []


EVEN = (1_000,) * 10
WILD = (900, 1_000, 1_100, 950, 1_050, 1_000, 980, 1_020, 10**9, 10**9)


@pytest.mark.parametrize(
    ("past", "tokens", "expected"),
    [
        (Past(run_tokens=EVEN), 2_500, []),
        (Past(run_tokens=EVEN), 2_501, [("tokens_rate", "notice", "run")]),
        (Past(run_tokens=EVEN), 4_001, [("tokens_rate", "enforce", "run")]),
        (Past(feature_tokens=EVEN), 4_001, [("tokens_rate", "enforce", "feature")]),
        (Past(run_tokens=EVEN, feature_tokens=(9_000,) * 10), 4_001, [("tokens_rate", "enforce", "run")]),
        (Past(run_tokens=EVEN[:7]), 10**9, []),
        (Past(run_tokens=WILD), 5_000, [("tokens_rate", "enforce", "run")]),
    ],
)
def test_a_rate_is_held_against_what_is_usual(
    past: Past, tokens: int, expected: list[tuple[str, str, str]]
) -> None:
    assert found({"minute_tokens": tokens}, past) == expected


def test_money_has_its_own_past() -> None:
    past = Past(run_nano=EVEN, feature_nano=(100,) * 8)
    assert found({"minute_nano": 500}, past) == [("money_rate", "enforce", "feature")]


def test_a_floor_is_never_too_fast() -> None:
    limits = RunLimits(floor_tokens=5_000)
    assert found({"minute_tokens": 5_000}, Past(run_tokens=EVEN), limits) == []
    assert found({"minute_tokens": 5_001}, Past(run_tokens=EVEN), limits) == [
        ("tokens_rate", "enforce", "run")
    ]


def test_a_rate_says_what_it_was_held_against() -> None:
    use = RunUse(minute_tokens=9_000, began_at_us=NOW)
    (trip,) = limit_trips(use, LIMITS, NOW, Past(run_tokens=EVEN))
    assert (trip.used, trip.allowed, trip.median, trip.spread) == (9_000, 4_000, 1_000, 250)


@pytest.mark.parametrize(
    ("values", "expected"),
    [((5,), (5, 0)), ((1, 3), (2, 1)), ((1, 2, 3, 4, 100), (3, 1)), ((0, 0, 0), (0, 0))],
)
def test_the_median_and_its_deviation(values: tuple[int, ...], expected: tuple[int, int]) -> None:
    assert usual(values, 0) == expected


@given(st.lists(st.integers(0, 10**15), min_size=1, max_size=40), st.integers(0, 10**15))
def test_a_few_wild_values_do_not_become_usual(values: list[int], wild: int) -> None:
    median, _ = usual(values, 250)
    assert min(values) <= median <= max(values)
    few = [wild] * ((len(values) - 1) // 2)
    with_wild, _ = usual([*values, *few], 250)
    assert min(values) <= with_wild <= max(values)


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_more_use_never_trips_less(one: int, more: int) -> None:
    ranks = {"": 0, "notice": 1, "enforce": 2}
    past = Past(run_tokens=EVEN)
    levels = [
        next((level for _, level, _ in found({"minute_tokens": n}, past)), "") for n in (one, one + more)
    ]
    assert ranks[levels[0]] <= ranks[levels[1]]
