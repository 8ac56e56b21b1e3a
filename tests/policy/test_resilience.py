from itertools import product
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.model.provider import ErrorClass
from tidegate.policy.resilience import (
    Attempted,
    Elsewhere,
    Failure,
    GiveUp,
    GiveUpReason,
    Next,
    Phase,
    Place,
    ResiliencePolicy,
    RetryHere,
    Sent,
    TransportFailure,
    after_attempt,
    failure_of,
    recorded,
    replayed,
)

S = 1_000_000
HALF = 1 << 31
PATIENT = ResiliencePolicy(max_wait_us=20 * S)
HERE = Place(name="a", wallet="w1", model="m1", context_tokens=100)
SAME = Place(name="b", wallet="w1", model="m1", context_tokens=100)
PAYS = Place(name="c", wallet="w2", model="m1", context_tokens=100)
OTHER = Place(name="d", wallet="w1", model="m2", context_tokens=100)
LARGE = Place(name="e", wallet="w1", model="m3", context_tokens=200)
OTHERS = (SAME, PAYS, OTHER, LARGE)

FAILURES: tuple[Failure, ...] = (*get_args(ErrorClass), *get_args(TransportFailure))
SENT: tuple[Sent, ...] = get_args(Sent)

Row = tuple[str, str, str, str]
"""What follows where all places are left, where none is, and where no second bill is risked; the event."""

ROWS: dict[Failure, Row] = {
    "rate": ("here", "here", "here", ""),
    "overload": ("here", "here", "here", ""),
    "upstream": ("here", "here", "here", ""),
    "broken": ("here", "here", "maybe_billed", ""),
    "unreachable": ("bcde", "here", "maybe_billed", ""),
    "timeout": ("bcde", "here", "maybe_billed", ""),
    "money": ("c", "no_fallback", "c", "wallet_refused"),
    "key": ("c", "no_fallback", "c", "key_refused"),
    "context": ("e", "no_fallback", "e", ""),
    "filter": ("filter", "filter", "filter", ""),
    "forbidden": ("cde", "no_fallback", "cde", ""),
    "model": ("bcde", "no_fallback", "bcde", ""),
    "bad": ("never", "never", "never", ""),
}
CAREFUL = ResiliencePolicy(retry_unknown=False)


PHASES: dict[Phase, TransportFailure] = {
    "connect": "unreachable",
    "tls": "unreachable",
    "send": "broken",
    "first_byte": "broken",
    "idle": "broken",
    "total": "broken",
    "read": "broken",
}


def test_each_phase_fails_in_its_way() -> None:
    assert set(PHASES) == set(get_args(Phase))
    assert {phase: failure_of(phase, timed_out=False) for phase in PHASES} == PHASES
    late: dict[Phase, TransportFailure] = {
        phase: "timeout" if failure == "broken" else failure for phase, failure in PHASES.items()
    }
    assert {phase: failure_of(phase, timed_out=True) for phase in PHASES} == late


def short(following: Next) -> str:
    match following:
        case RetryHere():
            return "here"
        case Elsewhere(among=among):
            return "".join(one.name for one in among)
        case GiveUp(reason=reason):
            return reason


def test_every_failure_has_a_row() -> None:
    assert set(ROWS) == set(FAILURES)


@pytest.mark.parametrize(("failure", "sent", "shown"), list(product(FAILURES, SENT, [False, True])))
def test_what_follows_each_failure(failure: Failure, sent: Sent, *, shown: bool) -> None:
    """Traps R2, R3, M17, S7: a row for each failure, how far it got, and what the client saw."""
    many, alone, careful, event = ROWS[failure]
    if sent == "no" and careful == "maybe_billed":
        careful = many
    if shown:
        many = alone = careful = "shown"
    attempted = Attempted(failure=failure, place=HERE, sent=sent, shown=shown, others=OTHERS)
    single = Attempted(failure=failure, place=HERE, sent=sent, shown=shown)
    policy = PATIENT
    assert short(after_attempt(attempted, policy)) == many
    assert short(after_attempt(single, policy)) == alone
    assert short(after_attempt(attempted, CAREFUL)) == careful
    following = after_attempt(attempted, policy)
    assert event == ("" if isinstance(following, RetryHere) else following.event)


def failed(failure: Failure = "rate", **facts: Any) -> Attempted:
    return Attempted(failure=failure, place=HERE, **facts)


ONCE = ResiliencePolicy(max_here=1)


@pytest.mark.parametrize(
    ("attempted", "policy", "expected"),
    [
        # trap R1: the stated wait is kept to, or not waited at all
        (failed(stated_wait_us=2 * S), PATIENT, "here"),
        (failed(stated_wait_us=20 * S), PATIENT, "here"),
        (failed(stated_wait_us=21 * S), PATIENT, "wait_too_long"),
        (failed(stated_wait_us=S, others=OTHERS), PATIENT, "here"),
        (failed(stated_wait_us=S + 1, others=OTHERS), PATIENT, "bcde"),
        (failed(stated_wait_us=2 * S, remaining_us=2 * S), PATIENT, "deadline"),
        (failed(stated_wait_us=2 * S, remaining_us=2 * S + 1), PATIENT, "here"),
        (failed(stated_wait_us=S, remaining_us=S, others=OTHERS), PATIENT, "bcde"),
        # attempts and deadline
        (failed("upstream", here=2, total=2), PATIENT, "attempts"),
        (failed("upstream", here=2, total=2, others=OTHERS), PATIENT, "bcde"),
        (failed("upstream", here=1, total=4, others=OTHERS), PATIENT, "attempts"),
        (failed("upstream", remaining_us=0, others=OTHERS), PATIENT, "deadline"),
        (failed("upstream", remaining_us=1), PATIENT, "here"),
        (failed("overload"), ONCE, "attempts"),
        # trap K8: without budget only elsewhere
        (failed("overload", budget_left=False), PATIENT, "budget"),
        (failed("overload", budget_left=False, others=OTHERS), PATIENT, "bcde"),
        # phases
        (failed("unreachable", phase="tls", sent="no"), PATIENT, "no_fallback"),
        (failed("timeout", phase="total"), PATIENT, "no_fallback"),
        (failed("timeout", phase="total", others=OTHERS), PATIENT, "bcde"),
        (failed("timeout", phase="first_byte", others=(HERE, SAME)), PATIENT, "b"),
        # trap R2
        (failed("filter", others=OTHERS), ResiliencePolicy(route_around_filter=True), "de"),
        (failed("filter", others=(SAME,)), ResiliencePolicy(route_around_filter=True), "no_fallback"),
        (failed("context", others=(SAME, PAYS, OTHER)), PATIENT, "no_fallback"),
    ],
)
def test_waits_attempts_and_places(attempted: Attempted, policy: ResiliencePolicy, expected: str) -> None:
    assert short(after_attempt(attempted, policy)) == expected


def test_what_is_not_said_is_nothing() -> None:
    assert RetryHere(wait_us=1).cooldown_us == 0
    assert (Elsewhere(among=OTHERS).wait_us, Elsewhere(among=OTHERS).cooldown_us) == (0, 0)
    assert GiveUp(reason="never").cooldown_us == 0
    assert failed() == failed(here=1, total=1, draw=0)


def test_an_unknown_window_may_be_larger_and_a_known_one_must_be() -> None:  # trap R2
    unknown = Place(name="x", wallet="w1", model="m9")
    assert short(after_attempt(failed("context", others=(unknown,)), PATIENT)) == "x"
    from_unknown = Attempted(failure="context", place=unknown, others=(LARGE,))
    assert short(after_attempt(from_unknown, PATIENT)) == LARGE.name
    small = Place(name="y", wallet="w1", model="m8", context_tokens=1)
    assert short(after_attempt(failed("context", others=(small,)), PATIENT)) == "no_fallback"


@pytest.mark.parametrize(
    ("facts", "wait_us"),
    [
        ({}, 125_000),
        ({"here": 2}, 250_000),
        ({"here": 3}, 500_000),
        ({"here": 60}, 4 * S),
        ({"draw": 0}, 0),
        ({"draw": (1 << 32) - 1}, 249_999),
        ({"stated_wait_us": 0}, 125_000),
        ({"stated_wait_us": 2 * S}, 2_125_000),
        ({"stated_wait_us": 2 * S, "here": 60}, 4 * S),
        ({"stated_wait_us": 20 * S}, 20 * S),
    ],
)
def test_the_wait_is_jitter_and_never_less_than_stated(facts: dict[str, Any], wait_us: int) -> None:  # R1
    policy = ResiliencePolicy(max_here=100, max_total=100, max_wait_us=20 * S)
    following = after_attempt(failed(**{"draw": HALF, **facts}), policy)
    assert isinstance(following, RetryHere)
    assert following.wait_us == wait_us


@pytest.mark.parametrize(
    ("attempted", "cooldown_us"),
    [
        (failed(stated_wait_us=2 * S), 2 * S),
        (failed(stated_wait_us=30 * S), 30 * S),
        (failed(stated_wait_us=7200 * S), 3600 * S),
        (failed("overload", stated_wait_us=2 * S, shown=True), 2 * S),
        (failed("overload"), 0),
        (failed("unreachable", sent="no"), 5 * S),
        (failed("bad", stated_wait_us=2 * S), 0),
        (failed("money", stated_wait_us=2 * S), 0),
    ],
)
def test_a_stated_wait_is_everybodys(attempted: Attempted, cooldown_us: int) -> None:  # trap R1
    assert after_attempt(attempted, PATIENT).cooldown_us == cooldown_us


places = st.builds(
    Place,
    name=st.sampled_from("abcdefgh"),
    wallet=st.sampled_from(["w1", "w2"]),
    model=st.sampled_from(["m1", "m2", "m3"]),
    context_tokens=st.none() | st.integers(1, 3),
)
policies = st.builds(
    ResiliencePolicy,
    max_here=st.integers(1, 4),
    max_total=st.integers(1, 8),
    base_us=st.integers(0, S),
    cap_us=st.integers(0, 10 * S),
    patience_us=st.integers(0, 5 * S),
    max_wait_us=st.integers(0, 10 * S),
    retry_unknown=st.booleans(),
    route_around_filter=st.booleans(),
)
failures = st.tuples(
    st.sampled_from(FAILURES),
    st.sampled_from(SENT),
    st.none() | st.integers(0, 20 * S),
    st.integers(0, (1 << 32) - 1),
    st.integers(0, 3 * S),
    st.booleans(),
)


@given(
    first=places,
    others=st.lists(places, max_size=6).map(tuple),
    policy=policies,
    script=st.lists(failures, min_size=10, max_size=10),
    deadline_us=st.none() | st.integers(0, 30 * S),
)
def test_a_request_ends_within_its_attempts_and_its_deadline(
    first: Place,
    others: tuple[Place, ...],
    policy: ResiliencePolicy,
    script: list[tuple[Failure, Sent, int | None, int, int, bool]],
    deadline_us: int | None,
) -> None:
    place, here, total, waited_us, clock_us = first, 1, 1, 0, 0
    refused_wallets: set[str] = set()
    for failure, sent, stated_us, draw, took_us, budget_left in script:
        clock_us += took_us
        remaining_us = None if deadline_us is None else deadline_us - clock_us
        attempted = Attempted(
            failure=failure,
            place=place,
            sent=sent,
            stated_wait_us=stated_us,
            here=here,
            total=total,
            remaining_us=remaining_us,
            budget_left=budget_left,
            others=others,
            draw=draw,
        )
        following = after_attempt(attempted, policy)
        assert replayed(recorded(attempted, policy, following)) == following
        if failure in ("money", "key"):
            refused_wallets.add(place.wallet)
        if isinstance(following, GiveUp):
            return
        total += 1
        if isinstance(following, RetryHere):
            here += 1
            waited_us = following.wait_us
            assert budget_left
            assert waited_us >= (stated_us or 0)
            assert waited_us <= policy.max_wait_us
            assert remaining_us is None or waited_us < remaining_us
            clock_us += waited_us
        else:
            assert set(following.among) <= set(others)
            place, here, others = following.to, 1, following.among[1:]
            assert place.wallet not in refused_wallets  # traps R3, M17
        assert here <= policy.max_here
        assert total <= policy.max_total
    raise AssertionError("ten failures and no end")


@pytest.mark.parametrize("reason", get_args(GiveUpReason))
def test_every_reason_is_reached(reason: GiveUpReason) -> None:
    reached = {
        "shown": failed(shown=True),
        "never": failed("bad"),
        "filter": failed("filter"),
        "maybe_billed": failed("timeout"),
        "attempts": failed(total=9),
        "deadline": failed(remaining_us=0),
        "wait_too_long": failed(stated_wait_us=99 * S),
        "budget": failed(budget_left=False),
        "no_fallback": failed("model"),
    }
    assert short(after_attempt(reached[reason], CAREFUL)) == reason
