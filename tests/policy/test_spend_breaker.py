import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tidegate.policy.rate import MINUTE_US, SLICES
from tidegate.policy.spend_breaker import (
    NEW,
    PAST_MINUTES,
    Spend,
    SpendEvent,
    SpendPolicy,
    admits,
    allowed,
    back_us,
    enter,
    on_spent,
    reset,
)

NANO = 1_000_000_000
LIMITED = SpendPolicy(max_tokens=1000, max_nano=5 * NANO)
USUAL = SpendPolicy(factor_permille=5000, floor_tokens=100, floor_nano=NANO, min_minutes=3)
FOREVER = SpendPolicy(max_tokens=1000, cooldown_us=None)
OPEN = Spend(is_open=True, since_us=0, until_us=5 * MINUTE_US)


def told(event: SpendEvent | None) -> tuple[str, str, str | None] | None:
    return None if event is None else (event.kind, event.by, event.measure)


def spent(
    bills: list[tuple[int, int, int]], policy: SpendPolicy
) -> tuple[Spend, SpendEvent | None, list[tuple[str, str, str | None] | None]]:
    """Bills of (minute, tokens, nano-units), one after another."""
    spend, event, events = NEW, None, []
    for minute, tokens, nano in bills:
        spend, event = on_spent(spend, minute * MINUTE_US, tokens=tokens, nano=nano, policy=policy)
        if event is not None:
            events.append(told(event))
    return spend, event, events


STEADY = [(minute, 10, NANO) for minute in range(10)]


@pytest.mark.parametrize(
    ("bills", "policy", "expected"),
    [
        ([(0, 1000, 5 * NANO)], LIMITED, []),
        ([(0, 1001, 0)], LIMITED, [("opened", "limit", "tokens")]),
        ([(0, 0, 5 * NANO + 1)], LIMITED, [("opened", "limit", "money")]),
        ([(0, 600, 0), (0, 600, 0)], LIMITED, [("opened", "limit", "tokens")]),
        ([(0, 600, 0), (2, 600, 0)], LIMITED, []),
        ([(0, -5, -5), (0, 1000, 0)], LIMITED, []),
        ([(0, 10**9, 10**18)], SpendPolicy(), []),
        # the key's own past: unknown, within the floor, within the factor, beyond it
        ([(0, 10**9, 10**18)], USUAL, []),
        ([*STEADY, (20, 100, NANO)], USUAL, []),
        ([*STEADY, (20, 0, 5 * NANO)], USUAL, []),
        ([*STEADY, (20, 0, 5 * NANO + 1)], USUAL, [("opened", "usual", "money")]),
        ([*STEADY, (20, 101, 0)], USUAL, [("opened", "usual", "tokens")]),
        # open: what is still billed says nothing; after the cooldown a bill closes it
        ([(0, 1001, 0), (1, 9999, 0)], LIMITED, [("opened", "limit", "tokens")]),
        (
            [(0, 1001, 0), (5, 9, 0)],
            LIMITED,
            [("opened", "limit", "tokens"), ("closed", "cooldown", None)],
        ),
        (
            [(0, 1001, 0), (5, 1001, 0)],
            LIMITED,
            [("opened", "limit", "tokens"), ("opened", "limit", "tokens")],
        ),
        ([(0, 1001, 0), (500, 9, 0)], FOREVER, [("opened", "limit", "tokens")]),
    ],
)
def test_spending_opens(
    bills: list[tuple[int, int, int]], policy: SpendPolicy, expected: list[tuple[str, str, str | None]]
) -> None:
    assert spent(bills, policy)[2] == expected


def test_the_event_says_what_was_spent_and_what_was_allowed() -> None:
    _, event, _ = spent([*STEADY, (20, 0, 6 * NANO)], USUAL)
    assert event is not None
    assert (event.spent, event.allowed, event.cooldown_us) == (6 * NANO, 5 * NANO, 5 * MINUTE_US)


@pytest.mark.parametrize(
    ("spend", "now_us", "ok", "left_us"),
    [
        (NEW, 0, True, 0),
        (OPEN, 0, False, 5 * MINUTE_US),
        (OPEN, 5 * MINUTE_US - 1, False, 1),
        (OPEN, 5 * MINUTE_US, True, 0),
        (OPEN, -1, True, 0),  # case F18
        (Spend(is_open=True), 10**18, False, None),
    ],
)
def test_an_open_one_refuses_until_its_cooldown_is_over(
    spend: Spend, now_us: int, left_us: int | None, *, ok: bool
) -> None:
    assert admits(spend, now_us) is ok
    assert back_us(spend, now_us) == left_us
    following, entered, event = enter(spend, now_us)
    assert entered is ok
    assert following.is_open is not ok
    assert (told(event) == ("closed", "cooldown", None)) is (ok and spend.is_open)


def test_an_operator_closes_it_and_it_stays_closed() -> None:
    spend, _, _ = spent([(0, 1001, 0)], FOREVER)
    closed, event = reset(spend)
    assert told(event) == ("closed", "operator", None)
    assert on_spent(closed, 1, tokens=1, nano=0, policy=FOREVER)[1] is None
    assert reset(closed)[1] is None


@pytest.mark.parametrize(
    ("tokens", "min_minutes", "usual"),
    [
        ([7], 0, 7),
        ([7], 1, 7),
        ([7, 9], 3, None),
        ([1, 100, 30], 3, 30),
        ([100, 30, 1, 50], 3, 40),
        ([0, 7, 0, 9, 0, 5, 0], 3, 7),
    ],
)
def test_usual_is_the_median_of_minutes_with_spend(
    tokens: list[int], min_minutes: int, usual: int | None
) -> None:
    policy = SpendPolicy(factor_permille=5000, min_minutes=min_minutes)
    bills = [(minute, count, 2 * count) for minute, count in enumerate([*tokens, 0])]
    spend, _, _ = spent(bills, policy)
    assert spend.usual == (None if usual is None else (usual, 2 * usual))


def test_the_bills_of_a_minute_are_summed() -> None:
    spend = NEW
    for now_us, tokens, nano in ((0, 3, 0), (1, 4, 5), (MINUTE_US - 1, 0, 6), (MINUTE_US, 0, 0)):
        spend, _ = on_spent(spend, now_us, tokens=tokens, nano=nano, policy=USUAL)
    assert (spend.past, spend.running) == (((7, 11),), (0, 0))


def test_without_a_factor_no_past_is_kept() -> None:
    assert spent(STEADY, LIMITED)[0].past == ()


def test_the_smaller_of_limit_and_usual_counts() -> None:
    spend, _, _ = spent([*STEADY, (20, 0, 0)], USUAL)
    assert allowed(spend, USUAL, "money") == (5 * NANO, "usual")
    tight = SpendPolicy(max_nano=NANO, factor_permille=5000, floor_nano=NANO)
    assert allowed(spend, tight, "money") == (NANO, "limit")
    assert allowed(spend, SpendPolicy(factor_permille=1000, floor_tokens=7), "tokens") == (10, "usual")
    equal = SpendPolicy(max_tokens=10, factor_permille=1000, floor_tokens=7)
    assert allowed(spend, equal, "tokens") == (10, "limit")
    assert allowed(NEW, USUAL, "tokens") is None


def test_few_wild_minutes_do_not_become_usual() -> None:
    policy = SpendPolicy(factor_permille=5000, floor_tokens=1, floor_nano=NANO, min_minutes=3)
    bills = [(minute, 9000 if minute % 3 == 0 else 10, 0) for minute in range(90)]
    spend, _, _ = spent([*bills, (200, 0, 0)], policy)
    assert spend.usual is not None
    assert spend.usual[0] == 10
    assert len(spend.past) == PAST_MINUTES


class Bills(RuleBasedStateMachine):
    """Bills and operators under a clock that jumps."""

    POLICY = SpendPolicy(
        max_tokens=1000, max_nano=50, factor_permille=3000, floor_tokens=100, floor_nano=20, min_minutes=2
    )

    def __init__(self) -> None:
        super().__init__()
        self.spend = NEW
        self.now_us = 0

    @rule(step_us=st.integers(-2 * MINUTE_US, 4 * MINUTE_US))
    def wait(self, step_us: int) -> None:
        self.now_us += step_us

    @rule(tokens=st.integers(-10, 900), nano=st.integers(-5, 40))
    def bill(self, tokens: int, nano: int) -> None:
        before, was_open = self.spend, not admits(self.spend, self.now_us)
        self.spend, event = on_spent(before, self.now_us, tokens=tokens, nano=nano, policy=self.POLICY)
        if was_open:
            assert event is None
            assert self.spend.is_open
        assert (event is not None and event.kind == "opened") == (self.spend.is_open and not was_open)
        if event is not None and event.kind == "opened":
            assert event.spent > event.allowed

    @rule()
    def close(self) -> None:
        self.spend, _ = reset(self.spend)
        assert admits(self.spend, self.now_us)

    @rule()
    def call(self) -> None:
        self.spend, ok, _ = enter(self.spend, self.now_us)
        assert ok is not self.spend.is_open

    @invariant()
    def nothing_is_negative_and_memory_is_bounded(self) -> None:
        spend = self.spend
        assert min(*spend.running, spend.tokens.total, spend.money.total) >= 0
        assert len(spend.past) <= PAST_MINUTES
        assert len(spend.tokens.slices) <= SLICES + 1

    @invariant()
    def it_is_never_shut_for_good(self) -> None:
        assert (back_us(self.spend, self.now_us) or 0) <= 5 * MINUTE_US


TestBills = Bills.TestCase
TestBills.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
