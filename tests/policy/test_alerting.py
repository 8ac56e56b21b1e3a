"""An alert is told when it starts and when it is over, and seldom in between, however it flaps."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.model.alert import AlertEvent, MessageKind, Observation
from tidegate.policy.alerting import (
    MOST_FLAPS,
    MOST_OF_AN_EVENT,
    OTHERS,
    REST_US,
    AlertPolicy,
    Key,
    Standing,
    step,
)

S = 1_000_000
POLICY = AlertPolicy(calm_us=60 * S, remind_us=3600 * S)
EVENT: AlertEvent = "breaker_open"
ALL = frozenset({EVENT})


def one(subject: str = "a", event: AlertEvent = EVENT, text: str = "it is open") -> Observation:
    return Observation(event=event, subject=subject, text=text)


def told(looks: Iterable[tuple[int, bool]], policy: AlertPolicy = POLICY) -> list[tuple[int, MessageKind]]:
    """When what was told of looks, each a second and whether it holds then."""
    standings: dict[Key, Standing] = {}
    found: list[tuple[int, MessageKind]] = []
    for at_s, holds in looks:
        standings, messages = step(standings, [one()] if holds else [], ALL, at_s * S, policy)
        found += [(at_s, kind) for kind, _ in messages]
    return found


def every(seconds: Sequence[int], *, until_s: int, step_s: int = 10) -> list[tuple[int, bool]]:
    """Looks every `step_s`; it starts, ends, starts, ... at `seconds`."""
    return [(at, sum(turn <= at for turn in seconds) % 2 == 1) for at in range(0, until_s, step_s)]


HOURS = 3600
CASES = [
    ("never", every([], until_s=100), []),
    ("it starts", every([20], until_s=100), [(20, "started")]),
    ("it ends", every([20, 50], until_s=200), [(20, "started"), (110, "recovered")]),
    ("a short gap is none", every([20, 50, 90, 120], until_s=300), [(20, "started"), (180, "recovered")]),
    (
        "it is reminded of",
        every([0], until_s=2 * HOURS + 100, step_s=50),
        [(0, "started"), (HOURS, "reminder"), (2 * HOURS, "reminder")],
    ),
    (
        "a second time soon is calm only after twice as long",
        every([0, 10, 100, 110], until_s=400),
        [(0, "started"), (70, "recovered"), (100, "started"), (230, "recovered")],
    ),
    (
        "after a rest it is as new",
        every([0, 10, 8 * HOURS, 8 * HOURS + 10], until_s=9 * HOURS),
        [(0, "started"), (70, "recovered"), (8 * HOURS, "started"), (8 * HOURS + 70, "recovered")],
    ),
]


@pytest.mark.parametrize(("looks", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_is_told(looks: list[tuple[int, bool]], expected: list[tuple[int, MessageKind]]) -> None:
    assert told(looks) == expected


def test_a_remind_us_of_0_reminds_of_nothing() -> None:
    silent = AlertPolicy(calm_us=60 * S, remind_us=0)
    assert told(every([0], until_s=100 * HOURS, step_s=1000), silent) == [(0, "started")]


def test_what_was_not_looked_for_stays_as_it_is() -> None:
    standings, _ = step({}, [one()], ALL, 0, POLICY)
    after, messages = step(standings, [], frozenset({"key_refused"}), 10_000 * S, POLICY)
    assert (after, messages) == (standings, [])


def test_what_is_seen_last_is_what_is_told() -> None:
    standings, _ = step({}, [one(text="old")], ALL, 0, POLICY)
    standings, messages = step(standings, [one(text="new")], ALL, 3600 * S, POLICY)
    assert [standing.about.text for _, standing in messages] == ["new"]


def test_an_alert_that_rested_is_forgotten() -> None:
    standings, _ = step({}, [one()], ALL, 0, POLICY)
    for at_us in (S, 61 * S + S):
        standings, _ = step(standings, [], ALL, at_us, POLICY)
    assert [standing.phase for standing in standings.values()] == ["resolved"]
    standings, _ = step(standings, [], ALL, 62 * S + REST_US, POLICY)
    assert standings == {}


def test_a_flood_of_names_is_one_more_alert() -> None:
    flood = [one(f"m{n}") for n in range(1000)]
    standings, messages = step({}, flood, ALL, 0, POLICY)
    assert len(messages) == MOST_OF_AN_EVENT + 1
    assert standings[EVENT, OTHERS].about.facts == {"alerts": 1000 - MOST_OF_AN_EVENT}
    again, messages = step(standings, [one(f"n{n}") for n in range(1000)], ALL, S, POLICY)
    assert messages == []
    assert len(again) == MOST_OF_AN_EVENT + 1


def test_one_event_takes_no_room_of_another() -> None:
    flood = [one(f"m{n}") for n in range(100)]
    standings, _ = step({}, flood, ALL, 0, POLICY)
    _, messages = step(standings, [*flood, one("a", "key_refused")], ALL, S, POLICY)
    assert [standing.about.key for _, standing in messages] == [("key_refused", "a")]


def test_a_clock_that_went_back_ends_nothing_early_and_repeats_nothing() -> None:
    looks = [(1000, True), (1010, False), (5, False), (64, False), (65, False)]
    assert told(looks) == [(1000, "started"), (65, "recovered")]
    assert told([(100_000, True), (5, True), (3604, True), (3605, True)]) == [
        (100_000, "started"),
        (3605, "reminder"),
    ]


LOOKS = st.lists(st.tuples(st.integers(1, 400), st.booleans()), min_size=1, max_size=120)


def at_times(looks: list[tuple[int, bool]]) -> list[tuple[int, bool]]:
    now, found = 0, []
    for gap, holds in looks:
        now += gap
        found.append((now, holds))
    return found


@given(LOOKS)
def test_starts_and_recoveries_alternate_and_the_first_is_a_start(looks: list[tuple[int, bool]]) -> None:
    kinds = [kind for _, kind in told(at_times(looks)) if kind != "reminder"]
    assert kinds == [("started", "recovered")[n % 2] for n in range(len(kinds))]


@given(LOOKS)
def test_it_starts_at_the_first_look_at_which_it_holds(looks: list[tuple[int, bool]]) -> None:
    timed = at_times(looks)
    first = next((at for at, holds in timed if holds), None)
    messages = told(timed)
    assert (messages[0] if messages else None) == (None if first is None else (first, "started"))


@given(LOOKS)
def test_a_recovery_comes_only_after_the_calm_time_without_it(looks: list[tuple[int, bool]]) -> None:
    timed = at_times(looks)
    for at, kind in told(timed):
        if kind == "recovered":
            assert not any(holds for when, holds in timed if at - 60 < when <= at)


@given(LOOKS)
def test_reminders_are_apart_from_what_was_told_before(looks: list[tuple[int, bool]]) -> None:
    messages = told(at_times(looks))
    for (before, _), (at, kind) in pairwise(messages):
        assert kind != "reminder" or at - before >= 3600


@given(st.integers(1, 300))
def test_flapping_is_told_ever_less(period: int) -> None:
    looks = [(at, at // period % 2 == 0) for at in range(0, 6 * HOURS, 10)]
    starts = [at for at, kind in told(looks) if kind == "started"]
    assert len(starts) <= MOST_FLAPS + 6 * HOURS // (60 << MOST_FLAPS) + 1


@given(LOOKS)
def test_a_restart_between_two_looks_changes_nothing(looks: list[tuple[int, bool]]) -> None:
    """All that is remembered is in the standings, as they are written down."""
    timed = at_times(looks)
    standings: dict[Key, Standing] = {}
    found: list[tuple[int, MessageKind]] = []
    for at_s, holds in timed:
        written = [msgspec.json.encode(standing) for standing in standings.values()]
        read = [msgspec.json.decode(text, type=Standing) for text in written]
        standings, messages = step(
            {standing.about.key: standing for standing in read},
            [one()] if holds else [],
            ALL,
            at_s * S,
            POLICY,
        )
        found += [(at_s, kind) for kind, _ in messages]
    assert found == told(timed)
