import asyncio
from collections.abc import Callable, Coroutine
from datetime import date
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tidegate.model.budget import Budget, Mode, Raise, Share, Window
from tidegate.model.money import NANO, Fx
from tidegate.policy.budget import SECOND_US, Standing
from tidegate.services.budgets import Budgets, Cost, Hold, Refusal
from tidegate.services.clock import Clock

MONTH = Window("month", time_zone="Europe/Berlin")
EUR = Fx(base="EUR", quote="USD", rate="1.25", date=date(2026, 1, 1), source="test")
NOON_US = 1_795_500_000 * SECOND_US


class Hands:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.at_us = NOON_US

    def clock(self) -> Clock:
        return Clock(wall_us=lambda: self.at_us)


def rule_of(name: str = "b", limit: int = 100, window: Window = MONTH, **more: Any) -> Budget:
    return Budget(**{"name": name, "limit": limit, "unit": "tokens", "window": window, **more})


class House:
    """Budgets, and what they tell."""

    def __init__(self, *rules: Budget, raises: tuple[Raise, ...] = ()) -> None:
        self.clock = Hands()
        self.told: list[tuple[str, int]] = []
        self.budgets = Budgets(self.clock.clock(), on_crossed=self._crossed)
        self.budgets.configure(rules, raises, lambda _base, _quote: EUR)

    def _crossed(self, standing: Standing, permille: int) -> None:
        self.told.append((standing.account, permille))

    def hold(self, tokens: int, nano: int | None = None, **values: str) -> Hold | Refusal:
        found = self.budgets.accounts({name: (value,) for name, value in values.items()})  # type: ignore[misc]
        return self.budgets.try_hold(found, Cost(tokens, nano, "USD"))

    def held(self, tokens: int, nano: int | None = None, **values: str) -> Hold:
        found = self.hold(tokens, nano, **values)
        assert isinstance(found, Hold)
        return found

    def settle(self, hold: Hold, tokens: int, nano: int | None = None) -> tuple[Share, ...]:
        return self.budgets.settle(hold, Cost(tokens, nano, "USD"))

    async def wait(
        self, tokens: int, wait_s: float = 5.0, shorter: int | None = None, **values: str
    ) -> Hold | Refusal:
        found = {name: (value,) for name, value in values.items()}
        less = None if shorter is None else Cost(shorter, None, "USD")
        return await self.budgets.hold(found, Cost(tokens, None, "USD"), wait_s=wait_s, shorter=less)  # type: ignore[arg-type]

    def left(self, **values: str) -> int:
        found = self.budgets.accounts({name: (value,) for name, value in values.items()})  # type: ignore[misc]
        return found[0].standing(self.clock.at_us).left


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(main(), 20))


def test_what_is_held_and_spent_leaves_that_much_less() -> None:
    house = House(rule_of())
    first = house.held(60)
    assert house.left() == 40
    refused = house.hold(41)
    assert isinstance(refused, Refusal)
    assert refused.only_held
    (charge,) = house.settle(first, 10)
    assert (charge.amount, house.left()) == (10, 90)
    assert isinstance(house.hold(91), Refusal)


def test_a_call_is_held_in_all_its_budgets_or_in_none() -> None:
    house = House(rule_of("all", 100), rule_of("each", 50, per=("team",)))
    house.held(40, team="red")
    assert isinstance(house.hold(20, team="red"), Refusal)
    assert house.left(team="blue") == 60
    house.held(40, team="blue")
    refused = house.hold(30, team="green")
    assert isinstance(refused, Refusal)
    assert refused.standing.budget.name == "all"


def test_settling_twice_changes_nothing() -> None:
    house = House(rule_of())
    hold = house.held(60)
    charged = house.settle(hold, 10)
    assert charged[0].amount == 10
    assert house.settle(hold, 99) == charged
    house.budgets.release(hold)
    assert house.left() == 90


@pytest.mark.parametrize("workers", [2, 16])
def test_workers_race_for_the_last_cent(workers: int) -> None:  # case F13
    house = House(rule_of(limit=NANO, unit="USD"))
    house.settle(house.held(1, NANO - NANO // 100), 1, NANO - NANO // 100)

    async def one() -> bool:
        await asyncio.sleep(0)
        accounts = house.budgets.accounts({})
        return isinstance(house.budgets.try_hold(accounts, Cost(1, NANO // 150, "USD")), Hold)

    async def main() -> None:
        granted = await asyncio.gather(*(one() for _ in range(workers)))
        assert sum(granted) == 1, "two thirds of it are held, the rest is too little"

    run(main)


def test_a_bill_beyond_its_hold_is_charged_whole() -> None:
    house = House(rule_of())
    house.settle(house.held(10), 170)
    assert house.left() == -70
    assert isinstance(house.hold(0), Refusal)


def test_money_is_kept_in_the_budgets_currency() -> None:
    house = House(rule_of(unit="EUR", limit=10 * NANO))
    hold = house.held(1, 10 * NANO)
    assert house.left() == 2 * NANO - 1, "a hold is rounded up"
    (charge,) = house.settle(hold, 1, 5 * NANO)
    assert (charge.amount, house.left()) == (4 * NANO, 6 * NANO)


def test_what_nobody_can_price_is_refused_and_charged_as_it_was_held() -> None:  # trap M4
    house = House(rule_of(unit="EUR", limit=10 * NANO))
    refused = house.hold(1, None)
    assert isinstance(refused, Refusal)
    assert (refused.asked, refused.only_held) == (None, False)
    assert "no price" in house.budgets.exceeded(refused).message
    (charge,) = house.settle(house.held(1, NANO), 1, None)
    assert charge.amount == 800_000_001


@pytest.mark.parametrize("mode", ["soft", "hard"])
def test_a_soft_budget_tells_and_lets_through(mode: Mode) -> None:
    house = House(rule_of(mode=mode, notify_permille=(500, 1000)))
    house.settle(house.held(60), 60)
    assert house.told == [("b|tokens|month|Europe/Berlin", 500)]
    assert isinstance(house.hold(60), Hold) is (mode == "soft")


def test_a_window_begins_anew_and_a_hold_settles_into_its_own() -> None:  # trap M9, rule 8, case F18
    house = House(rule_of(window=Window("day")))
    old = house.held(100)
    house.clock.at_us += 86_400 * SECOND_US
    assert house.left() == 100
    house.settle(old, 90)
    assert house.left() == 100


def test_a_clock_that_goes_back_reopens_no_window() -> None:  # case F18
    house = House(rule_of(window=Window("day")))
    house.settle(house.held(100), 100)
    house.clock.at_us += 86_400 * SECOND_US
    house.settle(house.held(100), 100)
    house.clock.at_us -= 86_400 * SECOND_US
    assert house.left() == 0
    house.budgets.configure([rule_of(window=Window("day"))], (), lambda _base, _quote: None)
    assert house.left() == 0, "nor does a reload"


def test_a_rolling_window_frees_what_was_spent_as_it_ages() -> None:
    house = House(rule_of(window=Window("rolling", 200)))
    house.settle(house.held(60), 60)
    house.clock.at_us += 100 * SECOND_US
    running = house.held(40)
    assert house.left() == 0
    house.clock.at_us += 120 * SECOND_US
    assert house.left() == 60, "the first is past, the second is still held"
    house.settle(running, 40)
    house.clock.at_us += 300 * SECOND_US
    assert house.left() == 100


def test_a_top_up_counts_in_its_window_alone() -> None:
    rule = rule_of(window=Window("day"))
    account = House(rule).budgets.accounts({})[0].name
    today_us = NOON_US // (86_400 * SECOND_US) * 86_400 * SECOND_US
    house = House(rule, raises=(Raise(account=account, window_us=today_us, amount=50),))
    assert house.left() == 150
    house.clock.at_us += 86_400 * SECOND_US
    assert house.left() == 100


def test_degrading_begins_at_its_share() -> None:
    house = House(rule_of(mode="degrade", degrade_permille=800, degrade_to="small"))
    accounts = house.budgets.accounts({})
    assert house.budgets.degraded(accounts) is None
    house.held(80)
    standing = house.budgets.degraded(accounts)
    assert standing is not None
    assert standing.budget.degrade_to == "small"


def test_what_was_spent_before_counts_and_is_not_told_again() -> None:
    house = House(rule_of(notify_permille=(500,)))
    account, window_us = house.held(0).shares[0].account, house.held(0).shares[0].window_us
    house.budgets.load([Share(account, window_us, 70)], NOON_US)
    assert (house.left(), house.told) == (30, [])


def test_another_gateways_calls_count() -> None:
    house = House(rule_of())
    account, window_us = house.held(0).shares[0].account, house.held(0).shares[0].window_us
    theirs = [Share(account, window_us, 70)]
    house.budgets.held_elsewhere(theirs)
    assert house.left() == 30
    house.budgets.moved(theirs, [Share(account, window_us, 20)])
    assert house.left() == 80


def test_who_waits_goes_on_when_others_settle_for_less() -> None:  # trap M15
    async def main() -> None:
        house = House(rule_of())
        first = house.held(90)
        waiting = asyncio.create_task(house.wait(50))
        await asyncio.sleep(0)
        assert not waiting.done()
        house.settle(first, 20)
        assert isinstance(await waiting, Hold)
        assert house.left() == 30

    run(main)


def test_nobody_passes_who_waits_and_a_budget_of_others_is_not_held_up() -> None:
    async def main() -> None:
        house = House(rule_of(per=("team",)))
        first = house.held(90, team="red")
        large = asyncio.create_task(house.wait(80, team="red"))
        await asyncio.sleep(0)
        small = asyncio.create_task(house.wait(5, team="red"))
        await asyncio.sleep(0)
        assert not small.done(), "it would fit, but it came later"
        assert isinstance(await house.wait(5, team="blue"), Hold)
        house.settle(first, 10)
        assert isinstance(await large, Hold)
        assert isinstance(await small, Hold)

    run(main)


def test_waiting_ends_in_a_refusal_when_time_is_up_or_all_is_spent() -> None:
    async def main() -> None:
        house = House(rule_of())
        first = house.held(90)
        late = await house.wait(50, wait_s=0.02)
        assert isinstance(late, Refusal)
        waiting = asyncio.create_task(house.wait(50))
        await asyncio.sleep(0)
        house.settle(first, 90)
        spent = await waiting
        assert isinstance(spent, Refusal)
        assert not spent.only_held

    run(main)


def test_who_waits_makes_do_with_less_after_half_its_time_and_keeps_its_place() -> None:
    async def main() -> None:
        house = House(rule_of())
        house.held(60)
        first = asyncio.create_task(house.wait(50, wait_s=0.2, shorter=30))
        await asyncio.sleep(0)
        behind = asyncio.create_task(house.wait(10, wait_s=5.0))
        found = await first
        assert isinstance(found, Hold)
        assert (found.is_short, found.shares[0].amount) == (True, 30)
        assert isinstance(await behind, Hold)
        assert house.left() == 0

    run(main)


def test_what_can_never_fit_is_held_short_at_once() -> None:
    async def main() -> None:
        house = House(rule_of())
        whole = await house.wait(80, shorter=10)
        assert isinstance(whole, Hold)
        assert not whole.is_short
        house.settle(whole, 80)
        short = await house.wait(80, shorter=10)
        assert isinstance(short, Hold)
        assert short.is_short
        none = await house.wait(80, wait_s=0, shorter=30)
        assert isinstance(none, Refusal)
        assert none.asked == 30

    run(main)


def test_a_short_hold_grows_to_all_that_is_left_or_to_a_part_where_others_hold() -> None:
    house = House(rule_of(limit=200))

    def grown() -> int:
        hold = house.held(20)
        return house.budgets.enlarge(hold, lambda size: Cost(20 + size, None, "USD"), least=0, most=500)

    assert grown() == 180
    house = House(rule_of(limit=200))
    house.held(80)
    assert grown() == (200 - 80 - 20) // 4
    assert house.left() == 75


def test_a_hold_does_not_grow_by_rules_that_are_no_more() -> None:
    house = House(rule_of())
    hold = house.held(20)
    house.budgets.configure([rule_of("other")], (), lambda _base, _quote: None)
    assert house.budgets.enlarge(hold, lambda size: Cost(size, None, "USD"), least=20, most=50) == 20


def test_who_waits_is_judged_by_the_rules_of_now() -> None:
    async def main() -> None:
        house = House(rule_of())
        first = house.held(90)
        waiting = asyncio.create_task(house.wait(50))
        await asyncio.sleep(0)
        house.budgets.configure([rule_of(limit=40), rule_of("new")], (), lambda _base, _quote: None)
        house.settle(first, 0)
        found = await waiting
        assert isinstance(found, Refusal)
        assert (found.standing.limit, found.only_held) == (40, False)

    run(main)


def test_a_start_after_the_clock_went_back_reopens_no_window() -> None:  # case F18
    house = House(rule_of(window=Window("day")))
    house.budgets.load((), NOON_US + 86_400 * SECOND_US)
    house.settle(house.held(100), 100)
    house.clock.at_us += 86_400 * SECOND_US
    assert house.left() == 0


def test_a_waiter_that_is_cancelled_gives_back_what_it_was_just_given() -> None:  # trap S14
    async def main() -> None:
        house = House(rule_of())
        first = house.held(90)
        waiting = asyncio.create_task(house.wait(50))
        await asyncio.sleep(0)
        house.settle(first, 0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert house.left() == 100
        assert house.budgets._waiting == []

    run(main)


class Programs(RuleBasedStateMachine):
    """Any order of holds, settlements, repeats, other gateways, windows and reloads, against plain sums."""

    LIMITS = (("all", 100, (), "hard"), ("team", 60, ("team",), "hard"), ("told", 30, (), "soft"))

    @initialize()
    def open(self) -> None:
        self.house = House(*self._rules())
        self.open_holds: list[tuple[Hold, str, int, int]] = []
        self.spent: dict[tuple[str, str, int], int] = {}
        self.day = 0
        self.over = 0
        self._look()

    def _rules(self) -> list[Budget]:
        return [
            rule_of(name, limit, Window("day"), per=per, mode=mode) for name, limit, per, mode in self.LIMITS
        ]

    def _look(self) -> None:
        """Bring every account to its window of now."""
        for team in ("red", "blue"):
            accounts = self.house.budgets.accounts({"team": (team,)})
            assert not isinstance(self.house.budgets.try_hold(accounts, Cost(10**9, None, "USD")), Hold)

    def _used(self, budget: str, team: str) -> tuple[int, int]:
        spent = sum(
            amount
            for (name, whose, day), amount in self.spent.items()
            if day == self.day and name == budget and (budget != "team" or whose == team)
        )
        held = sum(
            tokens
            for _, whose, day, tokens in self.open_holds
            if day == self.day and (budget != "team" or whose == team)
        )
        return spent, held

    @rule(team=st.sampled_from(["red", "blue"]), tokens=st.integers(0, 70))
    def call(self, team: str, tokens: int) -> None:
        fits = all(
            sum(self._used(name, team)) + tokens <= limit
            for name, limit, _, mode in self.LIMITS
            if mode == "hard"
        )
        found = self.house.hold(tokens, team=team)
        assert isinstance(found, Hold) is fits
        if isinstance(found, Hold):
            self.open_holds.append((found, team, self.day, tokens))

    @precondition(lambda self: self.open_holds)
    @rule(which=st.integers(0, 50), part=st.integers(0, 130))
    def settle(self, which: int, part: int) -> None:
        hold, team, day, tokens = self.open_holds.pop(which % len(self.open_holds))
        came_to = tokens * part // 100
        self.over += max(0, came_to - tokens)
        charges = self.house.settle(hold, came_to)
        assert [one.amount for one in charges] == [came_to] * 3
        assert self.house.settle(hold, came_to + 1) == charges
        for name, *_ in self.LIMITS:
            place = name, team, day
            self.spent[place] = self.spent.get(place, 0) + came_to

    @precondition(lambda self: self.open_holds)
    @rule(which=st.integers(0, 50))
    def release(self, which: int) -> None:
        hold, *_ = self.open_holds.pop(which % len(self.open_holds))
        self.house.budgets.release(hold)

    @rule(days=st.integers(-2, 2))
    def clock(self, days: int) -> None:
        self.house.clock.at_us += days * 86_400 * SECOND_US
        self._look()
        now = self.house.clock.at_us // (86_400 * SECOND_US) - NOON_US // (86_400 * SECOND_US)
        self.day = max(self.day, now)

    @rule()
    def reload(self) -> None:
        self.house.budgets.configure(self._rules(), (), lambda _base, _quote: None)

    @invariant()
    def no_budget_is_passed_but_by_bills_beyond_their_holds(self) -> None:
        for name, limit, _, mode in self.LIMITS:
            for team in ("red", "blue"):
                if mode == "hard":
                    assert sum(self._used(name, team)) <= limit + self.over

    def teardown(self) -> None:
        for hold, *_ in self.open_holds:
            self.house.settle(hold, 0)
        sums = self.house.budgets._sums.values()
        assert all(spell.held == 0 for one in sums for spell in one.spells.values())


TestPrograms = Programs.TestCase
TestPrograms.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
