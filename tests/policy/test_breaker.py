from collections.abc import Iterable
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tidegate.model.provider import ErrorClass
from tidegate.policy.breaker import (
    BUCKETS,
    Admission,
    Breaker,
    BreakerEvent,
    BreakerPolicy,
    Bucket,
    Outcome,
    Verdict,
    admits,
    answering,
    back_us,
    enter,
    on_result,
    reset,
    verdict_of,
    with_successes,
)
from tidegate.policy.resilience import Failure, TransportFailure

S = 1_000_000
POLICY = BreakerPolicy(
    last_calls=3,
    last_failures=3,
    window_us=10 * S,
    min_calls=10,
    slow_us=S,
    cooldown_us=5 * S,
    max_cooldown_us=15 * S,
    probes=2,
    lost_probe_us=100 * S,
)
NEW = Breaker()
OPEN = Breaker(state="open", epoch=1, openings=1, since_us=0, until_us=5 * S)
PROBING = Breaker(state="half_open", epoch=2, openings=1, since_us=5 * S, out=(5 * S, 6 * S))
NEARLY = Breaker(state="half_open", epoch=2, openings=1, since_us=5 * S, out=(5 * S,), succeeded=1)


def call(
    breaker: Breaker,
    verdict: Verdict,
    now_us: int,
    *,
    content_us: int | None = None,
    policy: BreakerPolicy = POLICY,
) -> tuple[Breaker, BreakerEvent | None]:
    """One call that starts and ends at one moment."""
    breaker, admission, _ = enter(breaker, now_us, policy)
    return on_result(breaker, Outcome(admission, verdict, content_us), now_us, policy)


def probe(
    breaker: Breaker, verdict: Verdict, *, content_us: int | None = None
) -> tuple[Breaker, BreakerEvent | None]:
    """The end of the probe that went out at 5 s."""
    return on_result(breaker, Outcome(Admission("probe", 2, 5 * S), verdict, content_us), 7 * S, POLICY)


def told(event: BreakerEvent | None) -> str:
    return "" if event is None else f"{event.kind}: {event.by}"


def after(verdicts: Iterable[Verdict], policy: BreakerPolicy = POLICY) -> tuple[str, str]:
    breaker, event, said = NEW, None, ""
    for number, verdict in enumerate(verdicts):
        breaker, event = call(breaker, verdict, number * S // 10, policy=policy)
        said = told(event) or said
    return breaker.state, said


OK: Verdict = "ok"
BAD: Verdict = "failed"
NIL: Verdict = "neutral"


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        # closed
        ([OK] * 100, ("closed", "")),
        ([BAD, BAD], ("closed", "")),
        ([BAD, BAD, BAD], ("open", "opened: count")),
        ([BAD, BAD, OK, BAD, BAD], ("closed", "")),
        ([BAD, BAD, NIL, BAD], ("open", "opened: count")),
        ([NIL] * 100, ("closed", "")),
        ([OK, BAD] * 4 + [OK, OK, BAD], ("closed", "")),
        ([OK, BAD] * 5, ("open", "opened: rate")),
        ([OK, "key"], ("open", "opened: key")),
        (["money"], ("open", "opened: money")),
        # open: the end of a call let through before changes nothing
        ([BAD, BAD, BAD, OK, OK, OK], ("open", "opened: count")),
    ],
)
def test_a_closed_breaker_opens(verdicts: list[Verdict], expected: tuple[str, str]) -> None:
    assert after(verdicts) == expected


def test_a_rule_of_zero_is_off() -> None:
    off = BreakerPolicy(last_failures=0, failure_permille=0)
    assert after([BAD] * 100, off) == ("closed", "")


def test_slow_calls_open() -> None:
    breaker, event = NEW, None
    for number in range(10):
        breaker, event = call(breaker, "ok", number * S // 10, content_us=S if number > 1 else S - 1)
    assert (breaker.state, told(event)) == ("open", "opened: slow")
    assert event is not None
    assert (event.calls, event.failures, event.slow) == (10, 0, 8)


@pytest.mark.parametrize(
    ("window_us", "apart_us", "state"),
    [(10 * S, 10 * S - 1, "open"), (10 * S, 10 * S, "closed"), (1, 9, "open"), (1, 10, "closed")],
)
def test_the_window_holds_the_slices_it_says(window_us: int, apart_us: int, state: str) -> None:
    policy = BreakerPolicy(last_failures=0, window_us=window_us, min_calls=2)
    first, _ = call(NEW, "failed", 0, policy=policy)
    second, _ = call(first, "failed", apart_us, policy=policy)
    assert second.state == state


def test_every_call_of_the_window_is_counted() -> None:
    policy = BreakerPolicy(last_failures=0, window_us=10 * S, min_calls=6)
    breaker, event = NEW, None
    for at_s in (0, 1, 2, 2, 2, 11):
        breaker, event = call(breaker, "failed", at_s * S, policy=policy)
    assert event is None
    breaker, event = call(breaker, "failed", 11 * S, policy=policy)
    assert event is None
    breaker, event = call(breaker, "failed", 11 * S, policy=policy)
    assert event is not None
    assert (event.by, event.calls) == ("rate", 6)


def test_as_many_probes_must_succeed_as_the_policy_says() -> None:
    policy = BreakerPolicy(successes=3, probes=5)
    breaker, states = OPEN, []
    for now_us in (5 * S, 6 * S, 7 * S):
        breaker, _ = call(breaker, "ok", now_us, policy=policy)
        states.append(breaker.state)
    assert states == ["half_open", "half_open", "closed"]


def test_one_call_can_be_enough() -> None:
    policy = BreakerPolicy(last_failures=0, min_calls=0)
    assert call(NEW, "failed", 0, policy=policy)[0].state == "open"


def test_a_share_just_below_its_limit_does_not_open() -> None:
    policy = BreakerPolicy(last_failures=0, failure_permille=1000, slow_us=S, slow_permille=1000)
    nearly = Breaker(buckets=(Bucket(0, calls=1000, failures=999, slow=0),))
    assert call(nearly, "failed", 0, policy=policy)[0].state == "closed"
    sluggish = Breaker(buckets=(Bucket(0, calls=1000, failures=0, slow=999),))
    assert call(sluggish, "ok", 0, content_us=S, policy=policy)[0].state == "closed"


def test_failures_that_are_past_do_not_count() -> None:
    breaker = NEW
    for at_s in range(0, 100, 2):
        breaker, event = call(breaker, "failed" if at_s % 4 else "ok", at_s * S)
        assert event is None
    assert len(breaker.buckets) <= BUCKETS


@pytest.mark.parametrize(
    ("breaker", "now_us", "expected", "left_us"),
    [
        (NEW, 0, "closed", 0),
        (OPEN, 0, "refused", 5 * S),
        (OPEN, 5 * S - 1, "refused", 1),
        (OPEN, 5 * S, "probe", 0),
        (OPEN, -1, "probe", 0),  # case F18: the clock went back
        (PROBING, 7 * S, "refused", 0),
        (PROBING, 6 * S, "refused", 0),
        (PROBING, 105 * S, "probe", 0),
        (NEARLY, 7 * S, "probe", 0),
    ],
)
def test_who_is_let_through(breaker: Breaker, now_us: int, expected: str, left_us: int) -> None:
    assert admits(breaker, now_us, POLICY) == expected
    assert back_us(breaker, now_us) == left_us


@pytest.mark.parametrize(
    ("breaker", "verdict", "content_us", "state", "event"),
    [
        (PROBING, "ok", None, "half_open", ""),
        (NEARLY, "ok", None, "closed", "closed: probes"),
        (NEARLY, "ok", S, "open", "opened: probe"),
        (NEARLY, "failed", None, "open", "opened: probe"),
        (NEARLY, "key", None, "open", "opened: key"),
        (NEARLY, "money", None, "open", "opened: money"),
        (NEARLY, "neutral", None, "half_open", ""),
        (OPEN, "ok", None, "open", ""),
        (NEW, "failed", None, "closed", ""),
    ],
)
def test_what_a_probe_decides(
    breaker: Breaker, verdict: Verdict, content_us: int | None, state: str, event: str
) -> None:
    following, said = probe(breaker, verdict, content_us=content_us)
    assert (following.state, told(said)) == (state, event)


def test_a_cancelled_probe_gives_its_place_back() -> None:
    following, _ = probe(PROBING, "neutral")
    assert following.out == (6 * S,)
    assert admits(following, 7 * S, POLICY) == "probe"


@pytest.mark.parametrize(
    ("verdict", "state"), [("ok", "half_open"), ("neutral", "half_open"), ("failed", "open"), ("key", "open")]
)
def test_a_probe_that_was_reported_well_can_still_fail(verdict: Verdict, state: str) -> None:  # trap S12
    outcome = Outcome(Admission("closed", 2, 5 * S), verdict)
    following, _ = on_result(PROBING, outcome, 7 * S, POLICY)
    assert following.state == state
    assert state == "open" or following == PROBING


def test_a_lost_probe_no_longer_decides() -> None:
    breaker, _, _ = enter(PROBING, 105 * S, POLICY)
    assert breaker.out == (6 * S, 105 * S)
    assert probe(breaker, "failed") == (breaker, None)


def test_a_call_from_before_the_opening_decides_nothing() -> None:
    breaker, early, _ = enter(NEW, 0, POLICY)
    for _ in range(3):
        breaker, _ = call(breaker, "failed", 0)
    breaker, _, event = enter(breaker, 5 * S, POLICY)
    assert told(event) == "half_opened: cooldown"
    assert on_result(breaker, Outcome(early, "ok"), 5 * S, POLICY) == (breaker, None)


def test_the_cooldown_grows_to_its_cap_and_starts_over_once_closed() -> None:
    breaker, now_us, waits = NEW, 0, []
    for verdict in ("failed",) * 3 + ("failed",) * 3 + ("ok", "ok") + ("failed",) * 3:
        breaker, event = call(breaker, verdict, now_us)
        if event is not None and event.kind == "opened":
            waits.append(event.cooldown_us)
        now_us += back_us(breaker, now_us)
    assert waits == [5 * S, 10 * S, 15 * S, 15 * S, 5 * S]


def test_an_empty_wallet_keeps_shut_for_longer() -> None:  # trap M17
    policy = BreakerPolicy()
    breaker, event = call(NEW, "money", 0, policy=policy)
    assert event is not None
    assert event.cooldown_us == policy.refused_cooldown_us == back_us(breaker, 0)


@pytest.mark.parametrize("breaker", [OPEN, PROBING, NEARLY, NEW])
def test_an_operator_closes_it(breaker: Breaker) -> None:
    closed, event = reset(breaker, 7 * S)
    assert (closed.state, closed.epoch) == ("closed", breaker.epoch + 1)
    assert told(event) == ("" if breaker is NEW else "closed: operator")


EXPECTED: dict[Failure | None, Verdict] = {
    None: "ok",
    "rate": "failed",
    "overload": "failed",
    "upstream": "failed",
    "unreachable": "failed",
    "timeout": "failed",
    "broken": "failed",
    "key": "key",
    "money": "money",
    "context": "neutral",
    "filter": "neutral",
    "forbidden": "neutral",
    "model": "neutral",
    "bad": "neutral",
}


def test_each_failure_has_its_verdict() -> None:
    assert set(EXPECTED) == {None, *get_args(ErrorClass), *get_args(TransportFailure)}
    assert {failure: verdict_of(failure) for failure in EXPECTED} == EXPECTED


class Calls(RuleBasedStateMachine):
    """Calls of all kinds under a clock that jumps; what must hold whatever they do."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = NEW
        self.now_us = 1000 * S
        self.running: list[Admission] = []
        self.went_back = False

    @rule(seconds=st.integers(0, 20))
    def wait(self, seconds: int) -> None:
        self.now_us += seconds * S

    @rule(seconds=st.integers(1, 50))
    def go_back(self, seconds: int) -> None:
        before = self.breaker
        self.now_us -= seconds * S
        self.went_back = True
        assert before.state != "closed" or admits(self.breaker, self.now_us, POLICY) == "closed"

    @rule()
    def start(self) -> None:
        expected = admits(self.breaker, self.now_us, POLICY)
        self.breaker, admission, _ = enter(self.breaker, self.now_us, POLICY)
        assert admission.admitted == expected
        if admission.admitted != "refused":
            self.running.append(admission)

    @precondition(lambda self: self.running)
    @rule(
        which=st.integers(0, 10),
        verdict=st.sampled_from(get_args(Verdict)),
        content_us=st.none() | st.integers(0, 2 * S),
    )
    def end(self, which: int, verdict: Verdict, content_us: int | None) -> None:
        admission = self.running.pop(which % len(self.running))
        before = self.breaker
        outcome = Outcome(admission, verdict, content_us)
        self.breaker, event = on_result(before, outcome, self.now_us, POLICY)
        assert (event is not None) == (self.breaker.state != before.state)
        if admission.epoch != before.epoch:
            assert self.breaker == before
        if before.state != "open" and self.breaker.state == "open":
            assert verdict in ("failed", "key", "money") or (content_us or 0) >= POLICY.slow_us

    @precondition(lambda self: any(one.admitted == "probe" for one in self.running))
    @rule(content_us=st.integers(0, 2 * S))
    def start_well(self, content_us: int) -> None:
        """The first content of a probe, whose end is told later."""
        place = next(at for at, one in enumerate(self.running) if one.admitted == "probe")
        admission, before = self.running[place], self.breaker
        outcome = Outcome(admission, "ok", content_us)
        self.breaker, _ = on_result(before, outcome, self.now_us, POLICY)
        self.running[place] = Admission("closed", admission.epoch, self.now_us)
        assert len(self.breaker.out) <= len(before.out)

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 10))
    def answer(self, which: int) -> None:
        """The first content of any call: it neither opens nor closes."""
        before = self.breaker
        self.breaker = answering(before, self.running[which % len(self.running)], POLICY)
        assert self.breaker.state == before.state
        assert self.breaker.history.bit_count() <= before.history.bit_count()

    @invariant()
    def no_more_probes_than_allowed(self) -> None:
        probing = [one for one in self.running if one.admitted == "probe" and one.epoch == self.breaker.epoch]
        lost = [one for one in probing if self.now_us - one.at_us >= POLICY.lost_probe_us]
        assert len(self.breaker.out) <= POLICY.probes
        assert len(probing) - len(lost) <= POLICY.probes or self.went_back

    @invariant()
    def it_is_never_shut_for_good(self) -> None:
        assert back_us(self.breaker, self.now_us) <= POLICY.max_cooldown_us
        later_us = max(self.now_us, self.breaker.until_us, *self.breaker.out, 0) + POLICY.lost_probe_us
        assert admits(self.breaker, later_us, POLICY) != "refused"

    @invariant()
    def its_memory_is_bounded(self) -> None:
        assert len(self.breaker.buckets) <= BUCKETS
        assert self.breaker.history < 1 << POLICY.last_calls


TestCalls = Calls.TestCase
TestCalls.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


@given(st.integers(1, 40), st.lists(st.sampled_from(["ok", "failed"]), max_size=20), st.integers(0, 90 * S))
def test_answers_counted_together_are_as_if_each_had_been_reported(
    count: int, before: list[Verdict], now_us: int
) -> None:
    policy = BreakerPolicy(last_calls=7, last_failures=0, failure_permille=0)
    breaker = Breaker()
    for verdict in before:
        breaker, _ = on_result(breaker, Outcome(Admission("closed"), verdict), 0, policy)
    one_by_one = breaker
    for _ in range(count):
        one_by_one, _ = on_result(one_by_one, Outcome(Admission("closed"), "ok"), now_us, policy)
    assert with_successes(breaker, count, now_us, policy) == one_by_one


def test_a_breaker_switched_off_never_opens() -> None:
    policy = BreakerPolicy(enabled=False)
    breaker = Breaker()
    for verdict in ("failed", "key", "money") * 10:
        breaker, event = on_result(breaker, Outcome(Admission("closed"), verdict), 0, policy)
        assert event is None
    assert admits(breaker, 0, policy) == "closed"
