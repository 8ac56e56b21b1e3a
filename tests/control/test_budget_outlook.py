"""What is spent of budgets and what they will come to, over charges as the projection keeps them."""

from collections.abc import Iterable
from datetime import date

import pytest

from tests.support.calls import DAY_US, HOUR_US, NOON_US, in_memory
from tidegate.control.budget_outlook import Outlook, outlooks
from tidegate.model.budget import Budget, Window
from tidegate.policy.budget import FOREVER_US, account_of, window_of
from tidegate.stores.sqlite.store import Store

TODAY = date(2026, 11, 7)
"""The day of NOON_US."""
MONTH = Window("month", time_zone="UTC")

Charge = tuple[int, int] | tuple[int, int, str]
"""When, how much, and of which team."""


def budget(limit: int = 1_000, window: Window = MONTH, **facts: object) -> Budget:
    return Budget(**({"name": "all", "limit": limit, "unit": "EUR", "window": window} | facts))  # type: ignore[arg-type]


def charge(store: Store, rule: Budget, charges: Iterable[Charge]) -> None:
    """Keep charges as the projection does."""
    for at, (at_us, amount, *team) in enumerate(charges):
        store.write("INSERT INTO request (id, at_us) VALUES (?, ?)", [(f"{rule.name}{at}", at_us)])
        account = account_of(rule, {"team": tuple(team)})
        row = (f"{rule.name}{at}", 0, account, window_of(rule.window, at_us)[0], amount, FOREVER_US)
        store.write("INSERT INTO budget_charge VALUES (?, ?, ?, ?, ?, ?)", [row])


def give(store: Store, rule: Budget, amount: int, seq: int = 1) -> None:
    """Add to the window that runs."""
    window_us = window_of(rule.window, NOON_US)[0]
    row = ("c1", seq, NOON_US, account_of(rule, {}), window_us, amount, "ann", "a launch")
    store.write("INSERT INTO budget_raise VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [row])


def alone(rule: Budget, *charges: Charge) -> Outlook:
    with in_memory() as store:
        charge(store, rule, charges)
        (found,) = outlooks(store, [rule], NOON_US)
    return found


def every_day(amount: int, back: int) -> list[Charge]:
    """The same at noon of each of so many whole days, and the day of the first of all charges before."""
    return [(NOON_US - at * DAY_US, amount) for at in range(1, back + 2)]


def test_a_month_comes_to_what_its_days_do_on_average() -> None:
    found = alone(budget(2_000), *every_day(100, 9))
    assert found.forecast is not None
    assert (found.spent, found.forecast.method, found.forecast.days) == (600, "average", 9)
    assert found.forecast.expected_nano == 600 + 24 * 100
    assert (found.window_us, found.until_us) == (
        NOON_US - 6 * DAY_US - DAY_US // 2,
        NOON_US + 23 * DAY_US + DAY_US // 2,
    )
    assert found.runs_out == date(2026, 11, 21)


@pytest.mark.parametrize(
    ("limit", "runs_out"),
    [(3_000, None), (2_999, date(2026, 11, 30)), (700, date(2026, 11, 8)), (699, TODAY), (10, TODAY)],
)
def test_a_budget_runs_out_on_the_day_that_passes_it(limit: int, runs_out: date | None) -> None:
    assert alone(budget(limit), *every_day(100, 9)).runs_out == runs_out


def test_what_was_added_counts_for_its_window() -> None:
    rule = budget(2_000)
    with in_memory() as store:
        charge(store, rule, every_day(100, 9))
        give(store, rule, 1_500)
        give(store, rule, -400, seq=2)
        (found,) = outlooks(store, [rule], NOON_US)
    assert (found.limit, found.runs_out) == (3_100, None)


def test_a_window_that_is_longer_than_the_memory_counts_whole() -> None:
    rule = budget(10**6, Window("year", time_zone="UTC"))
    found = alone(rule, *every_day(100, 90))
    assert found.forecast is not None
    assert found.forecast.method == "weekdays"
    assert (found.spent, found.forecast.so_far_nano) == (9_100, 9_100)
    assert found.forecast.expected_nano == 9_100 + 55 * 100


def test_days_are_those_of_the_budgets_time_zone() -> None:
    rome = Window("day", time_zone="Europe/Rome")
    late = NOON_US - DAY_US + 11 * HOUR_US + HOUR_US // 2
    assert (alone(budget(window=rome), (late, 5)).spent, alone(budget(), (late, 5)).spent) == (5, 5)
    utc = Window("day", time_zone="UTC")
    assert alone(budget(window=utc), (late, 5)).spent == 0


def test_each_team_has_an_account_and_the_dearest_comes_first() -> None:
    rule = budget(per=("team",))
    with in_memory() as store:
        charge(store, rule, [(NOON_US, 5, "a"), (NOON_US, 7, "b|c"), (NOON_US - 40 * DAY_US, 9, "old")])
        charge(store, budget(name="all|x"), [(NOON_US, 99)])
        found = outlooks(store, [rule], NOON_US)
    assert [(dict(one.whose), one.spent) for one in found] == [({"team": "b|c"}, 7), ({"team": "a"}, 5)]


def test_a_budget_of_which_nothing_is_spent_is_shown() -> None:
    found = alone(budget())
    assert (found.spent, found.limit, found.forecast, found.runs_out) == (0, 1_000, None, None)


@pytest.mark.parametrize(
    ("window", "spent"),
    [
        (Window("rolling", 2 * 86_400), 2),
        (Window("total"), 4),
        (Window("fixed", 3_600), 1),
    ],
    ids=["rolling", "total", "fixed"],
)
def test_a_window_without_whole_days_or_an_end_has_no_forecast(window: Window, spent: int) -> None:
    moments = (NOON_US, NOON_US - DAY_US, NOON_US - 3 * DAY_US, NOON_US - 30 * DAY_US)
    found = alone(budget(window=window), *((at, 1) for at in moments))
    assert (found.spent, found.forecast, found.runs_out) == (spent, None, None)
    assert (found.until_us is None) is (window.kind != "fixed")


def test_a_fixed_window_of_whole_days_has_one() -> None:
    found = alone(budget(window=Window("fixed", 10 * 86_400, "Europe/Rome")), *every_day(100, 9))
    assert found.forecast is not None
    assert found.until_us is not None
    left = (found.until_us - NOON_US) // DAY_US
    assert found.forecast.expected_nano == found.spent + 100 * (left + 1)


def test_a_budget_of_another_unit_or_window_is_another_one() -> None:
    with in_memory() as store:
        charge(store, budget(unit="tokens"), [(NOON_US, 5)])
        charge(store, budget(name="week", window=Window("week", time_zone="UTC")), [(NOON_US, 6)])
        asked = [budget(), budget(unit="tokens"), budget(name="week")]
        assert [one.spent for one in outlooks(store, asked, NOON_US)] == [0, 5, 0]


def test_no_day_of_today_is_counted_twice() -> None:
    costs = every_day(100, 9)
    for today in (0, 60, 100, 400):
        found = alone(budget(10**6), *costs, (NOON_US - HOUR_US, today))
        assert found.forecast is not None
        assert found.forecast.expected_nano == 600 + max(100, today) + 23 * 100
