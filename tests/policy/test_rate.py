import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tidegate.policy.rate import (
    BUSY_RETRY_US,
    EMPTY,
    MINUTE_US,
    SLICES,
    Ask,
    Kind,
    Limit,
    Tally,
    Verdict,
    added,
    admit,
    admit_all,
    corrected,
    is_idle,
    left,
    remaining,
    retry_after_us,
    used,
)

S = 1_000_000
SLICE_US = MINUTE_US // SLICES
TEN = Limit("requests", 10)
HUNDRED = Limit("tokens", 100)
TWO = Limit("concurrent", 2)


def full(limit: Limit, at_us: int = 0) -> Tally:
    return added(EMPTY, at_us, limit.amount, limit)


@pytest.mark.parametrize(
    ("tally", "now_us", "cost", "limit", "ok"),
    [
        (EMPTY, 0, 10, TEN, True),
        (EMPTY, 0, 11, TEN, False),
        (EMPTY, 0, 0, Limit("tokens", 0), True),
        (EMPTY, 0, 1, Limit("requests", 0), False),
        (full(TEN), 0, 1, TEN, False),
        (full(TEN), 0, 0, TEN, True),
        (full(TEN), MINUTE_US, 1, TEN, False),
        (full(TEN), MINUTE_US + SLICE_US - 1, 1, TEN, False),
        (full(TEN), MINUTE_US + SLICE_US, 10, TEN, True),
        (full(TEN, SLICE_US - 1), MINUTE_US + SLICE_US - 1, 1, TEN, False),
        (full(TEN, 90 * S), 90 * S + MINUTE_US + SLICE_US, 10, TEN, True),
        (full(Limit("tokens", 1, 1)), 20, 1, Limit("tokens", 1, 1), False),
        (full(Limit("tokens", 1, 1)), 21, 1, Limit("tokens", 1, 1), True),
        (EMPTY, 0, 1, TWO, True),
        (Tally(running=1), 0, 1, TWO, True),
        (Tally(running=2), 10**12, 1, TWO, False),
        # case F18: the clock went back by an hour; what was used counts from now on, for one window more
        (full(TEN, 3600 * S), 0, 1, TEN, False),
        (added(full(TEN, 3600 * S), 0, 0, TEN), MINUTE_US + SLICE_US, 1, TEN, True),
        (added(full(TEN, 3600 * S), 300 * S, 0, TEN), 300 * S + MINUTE_US + SLICE_US, 1, TEN, True),
    ],
)
def test_what_fits_is_admitted(tally: Tally, now_us: int, cost: int, limit: Limit, *, ok: bool) -> None:
    following, got = admit(tally, now_us, cost, limit)
    assert got is ok
    assert ok or used(following, now_us, limit) == used(tally, now_us, limit)


def test_what_lies_ahead_of_the_clock_counts_as_of_now() -> None:  # case F18
    twice = added(added(EMPTY, 0, 5, TEN), 30 * S, 5, TEN)
    assert used(twice, 0, TEN) == 10


def test_the_oldest_slice_counts_until_all_of_it_is_past() -> None:
    twice = added(added(EMPTY, 0, 5, TEN), SLICE_US, 3, TEN)
    assert used(twice, MINUTE_US + SLICE_US, TEN) == 3
    assert used(twice, MINUTE_US + 2 * SLICE_US, TEN) == 0


@pytest.mark.parametrize("slot", range(4))
def test_a_refund_goes_to_the_slice_it_was_taken_from(slot: int) -> None:
    tally = EMPTY
    for place in range(4):
        tally = added(tally, place * SLICE_US, 10, HUNDRED)
    less = corrected(tally, at_us=slot * SLICE_US, now_us=3 * SLICE_US, estimated=9, billed=2, limit=HUNDRED)
    assert less.total == 33
    assert [amount for _, amount in less.slices] == [3 if place == slot else 10 for place in range(4)]


def test_one_moment_is_one_slice() -> None:
    tally = EMPTY
    for _ in range(100):
        tally = added(tally, 90 * S, 1, HUNDRED)
    assert tally == Tally(((30, 100),), 100)


def ask(limit: Limit, tally: Tally = EMPTY, cost: int = 1, scope: str = "key:a") -> Ask:
    return Ask(scope, limit, tally, cost)


def test_a_refusal_of_one_takes_nothing_from_the_others() -> None:
    asks = (ask(TEN), ask(HUNDRED, full(HUNDRED)), ask(TWO))
    tallies, verdicts = admit_all(asks, 0)
    assert tallies == (EMPTY, full(HUNDRED), EMPTY)
    assert [one.ok for one in verdicts] == [True, False, True]
    assert [one.remaining for one in verdicts] == [10, 0, 2]


def test_all_that_fit_are_taken_together() -> None:
    tallies, verdicts = admit_all((ask(TEN), ask(HUNDRED, cost=40), ask(TWO)), SLICE_US + 1)
    assert [one.remaining for one in verdicts] == [9, 60, 1]
    assert [one.total for one in tallies[:2]] == [1, 40]
    assert tallies[2].running == 1
    assert [one.reset_us for one in verdicts] == [MINUTE_US + SLICE_US - 1] * 2 + [0]
    assert {one.retry_after_us for one in verdicts} == {0}
    assert Verdict("a", TEN, ok=True, remaining=0, reset_us=0).retry_after_us == 0


SPREAD = added(added(EMPTY, 0, 60, HUNDRED), 10 * S, 40, HUNDRED)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (ask(TEN), 0),
        (ask(TEN, full(TEN)), MINUTE_US + SLICE_US - 10 * S),
        (ask(HUNDRED, SPREAD, 60), MINUTE_US + SLICE_US - 10 * S),
        (ask(HUNDRED, SPREAD, 61), 62 * S),
        (ask(HUNDRED, SPREAD, 100), 62 * S),
        (ask(HUNDRED, SPREAD, 101), None),
        (ask(TWO, Tally(running=2)), BUSY_RETRY_US),
        (ask(Limit("concurrent", 0)), None),
    ],
)
def test_it_says_when_the_same_call_fits(row: Ask, expected: int | None) -> None:
    now_us = 10 * S
    _, verdicts = admit_all([row], now_us)
    assert verdicts[0].retry_after_us == expected
    assert retry_after_us(verdicts) == expected


def test_the_longest_wait_counts_and_never_wins_over_all() -> None:
    rows = [Verdict("a", TEN, ok, 0, 0, wait) for ok, wait in ((False, 5), (False, 9), (True, 0))]
    assert retry_after_us(rows) == 9
    assert (
        retry_after_us([*rows, Verdict("a", TEN, ok=False, remaining=0, reset_us=0, retry_after_us=None)])
        is None
    )


@pytest.mark.parametrize(
    ("billed", "now_us", "left_now"),
    [
        (40, 0, 60),
        (10, 0, 90),
        (10, 30 * S, 90),
        (10, MINUTE_US + SLICE_US, 100),
        (70, 0, 30),
        (170, 0, 0),
        (170, MINUTE_US + SLICE_US, 0),
        (0, -3600 * S, 100),
    ],
)
def test_the_bill_replaces_the_estimate(billed: int, now_us: int, left_now: int) -> None:
    taken, _ = admit(EMPTY, 0, 40, HUNDRED)
    put_right = corrected(taken, at_us=0, now_us=now_us, estimated=40, billed=billed, limit=HUNDRED)
    assert remaining(put_right, now_us, HUNDRED) == left_now


def test_a_place_is_given_back() -> None:
    assert left(Tally(running=2)).running == 1
    assert left(EMPTY) == EMPTY


def test_what_no_longer_counts_is_idle() -> None:
    assert is_idle(full(TEN), MINUTE_US + SLICE_US, TEN)
    assert not is_idle(full(TEN), MINUTE_US, TEN)
    assert not is_idle(Tally(running=1), 0, TWO)


@given(
    steps=st.lists(st.tuples(st.integers(0, 12 * S), st.integers(0, 60)), max_size=60),
    window_us=st.sampled_from([1, 7, S, 10 * S, 60 * S]),
)
def test_a_wait_that_is_stated_is_enough_and_not_too_long(
    steps: list[tuple[int, int]], window_us: int
) -> None:
    limit, tally, now_us = Limit("tokens", 100, window_us), EMPTY, 0
    for step_us, cost in steps:
        now_us += step_us
        (tally,), (verdict,) = admit_all([ask(limit, tally, cost)], now_us)
        if not verdict.ok:
            assert verdict.retry_after_us is not None
            then_us = now_us + verdict.retry_after_us
            assert admit(tally, then_us, cost, limit)[1]
            assert not admit(tally, then_us - 1, cost, limit)[1]
            assert verdict.retry_after_us <= window_us + -(-window_us // SLICES) + SLICES


class Traffic(RuleBasedStateMachine):
    """Calls against three limits of two scopes; a plain list of what was admitted keeps them honest."""

    LIMITS = (
        ("key", Limit("requests", 6, 20 * S)),
        ("team", Limit("tokens", 100, 20 * S)),
        ("key", Limit("concurrent", 3)),
        ("team", Limit("requests", 9, 60 * S)),
    )

    def __init__(self) -> None:
        super().__init__()
        self.now_us = 0
        self.tallies = [EMPTY] * len(self.LIMITS)
        self.taken: list[list[list[int]]] = [[] for _ in self.LIMITS]
        self.running: list[tuple[list[int], int]] = []

    @rule(step_us=st.integers(0, 9 * S))
    def wait(self, step_us: int) -> None:
        self.now_us += step_us

    @rule(tokens=st.integers(0, 60))
    def call(self, tokens: int) -> None:
        asks = [
            Ask(scope, limit, tally, tokens if limit.kind == "tokens" else 1)
            for (scope, limit), tally in zip(self.LIMITS, self.tallies, strict=True)
        ]
        before = [one.total + one.running for one in self.tallies]
        tallies, verdicts = admit_all(asks, self.now_us)
        self.tallies = list(tallies)
        if not all(one.ok for one in verdicts):
            assert all(one.total + one.running <= was for one, was in zip(tallies, before, strict=True))
            return
        for log, one in zip(self.taken, asks, strict=True):
            log.append([self.now_us, one.cost])
        self.running.append((self.taken[1][-1], tokens))
        self.within_limits()

    def within_limits(self) -> None:
        """The guarantee, as of an admission."""
        for (_, limit), log in zip(self.LIMITS, self.taken, strict=True):
            if limit.kind != "concurrent":
                since_us = self.now_us - limit.window_us
                assert sum(cost for at_us, cost in log if at_us > since_us) <= limit.amount

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 9), billed=st.integers(0, 60))
    def end(self, which: int, billed: int) -> None:
        taken, estimated = self.running.pop(which % len(self.running))
        self.tallies[1] = corrected(
            self.tallies[1],
            at_us=taken[0],
            now_us=self.now_us,
            estimated=estimated,
            billed=billed,
            limit=self.LIMITS[1][1],
        )
        if billed > estimated:
            self.taken[1].append([self.now_us, billed - estimated])
        else:
            taken[1] = billed
        self.tallies[2] = left(self.tallies[2])

    @invariant()
    def nothing_is_negative_and_memory_is_bounded(self) -> None:
        for tally in self.tallies:
            assert len(tally.slices) <= SLICES + 1
            assert tally.total == sum(amount for _, amount in tally.slices)
            assert all(amount > 0 for _, amount in tally.slices)
        assert self.tallies[2].running == len(self.running) <= 3


TestTraffic = Traffic.TestCase
TestTraffic.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize("kind", ["requests", "tokens"])
def test_a_clock_that_jumps_never_gives_more_than_time_allows(kind: Kind) -> None:  # case F18
    limit, tally, admitted = Limit(kind, 5), EMPTY, 0
    for now_us in (100 * S, 0, 100 * S, 0, 50 * S):
        for _ in range(10):
            tally, ok = admit(tally, now_us, 1, limit)
            admitted += ok
    assert admitted == 10
