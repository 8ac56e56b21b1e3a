"""How budgets stand: what is spent of each in the window that runs, and what it will come to by its end.

A window that does not begin and end with a day, or has no end, has no forecast. The days that a forecast
learns from are those of the account itself, in the budget's own unit.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import msgspec

from tidegate.control.forecast import DAYS_OF_MEMORY, Forecast, forecast
from tidegate.control.period import local_time, midnight_us, zone_of
from tidegate.model.budget import Budget, Dimension, Share
from tidegate.policy.budget import SECOND_US, account_of, window_of
from tidegate.policy.budget_windows import whose
from tidegate.stores.sqlite import budget_queries
from tidegate.stores.sqlite.period_queries import budget_charges
from tidegate.stores.sqlite.store import Store

DAY_S = 86_400
Days = Mapping[str, Mapping[date, int]]
"""What was spent of each account on each of the last days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """One account of a budget, all of it (the forecast too) in the budget's unit, or nano-units of that.

    `limit` is with what was added to this window. `until_us` is None where the window has no end, `forecast`
    where there is none. `runs_out` is the first day by whose end more than the limit is expected to be spent,
    None where there is no such day.
    """

    budget: Budget
    whose: Mapping[Dimension, str]
    limit: int
    spent: int
    window_us: int
    until_us: int | None
    forecast: Forecast | None
    runs_out: date | None


def outlooks(store: Store, budgets: Sequence[Budget], now_us: int) -> list[Outlook]:
    """Return every budget in its order, by account the most spent first.

    A budget that is kept per something has an account for each value that spent anything in its window.
    """
    with store.transaction():
        spent = budget_queries.spent(store, now_us)
        raised = [Share(one.account, one.window_us, one.amount) for one in budget_queries.given(store)]
        zones = {_zone(budget) for budget in budgets if _has_days(budget)}
        days = {zone: _days(store, zone, now_us) for zone in zones}
    return [
        one
        for budget in budgets
        for one in _of_budget(budget, spent, raised, days[_zone(budget)] if _has_days(budget) else {}, now_us)
    ]


def _of_budget(
    budget: Budget, spent: Sequence[Share], raised: Sequence[Share], days: Days, now_us: int
) -> Iterator[Outlook]:
    first_us, window_us, until_us = _window(budget, now_us)
    sums, added = (_sums(amounts, first_us, window_us) for amounts in (spent, raised))
    begun = min((day for account in _accounts(budget, days) for day in days.get(account, ())), default=None)
    span = None
    if until_us is not None and begun is not None:
        first, today, end = (_day(at, budget) for at in (window_us, now_us, until_us))
        span = _Span(first, today, end, begun)
    for account in sorted(_accounts(budget, sums), key=lambda name: (-sums.get(name, 0), name)):
        limit, so_far = budget.limit + added.get(account, 0), sums.get(account, 0)
        costs = days.get(account, {})
        yield Outlook(
            budget=budget,
            whose=whose(account, budget.per),
            limit=limit,
            spent=so_far,
            window_us=window_us,
            until_us=until_us,
            forecast=span.forecast(costs, so_far) if span else None,
            runs_out=span.runs_out(costs, so_far, limit) if span else None,
        )


@dataclass(frozen=True, slots=True)
class _Span:
    """The days of a window, and the first day on which anything was spent of its budget."""

    first: date
    today: date
    end: date
    begun: date

    def forecast(self, costs: Mapping[date, int], so_far: int) -> Forecast:
        """Return what the window will come to; `so_far` is right also where the days do not reach back."""
        made = forecast(costs, first=self.first, today=self.today, end=self.end, begun=self.begun)
        more = so_far - made.so_far_nano
        if made.expected_nano is None or made.low_nano is None or made.high_nano is None:
            return replace(made, so_far_nano=so_far)
        return replace(
            made,
            so_far_nano=so_far,
            expected_nano=made.expected_nano + more,
            low_nano=made.low_nano + more,
            high_nano=made.high_nano + more,
        )

    def runs_out(self, costs: Mapping[date, int], so_far: int, limit: int) -> date | None:
        """Return the first day, from today on, by whose end more than the limit is expected to be spent."""
        days = [self.today + timedelta(days=at) for at in range((self.end - self.today).days)]

        def is_over(day: date) -> bool:
            by_then = replace(self, end=day + timedelta(days=1)).forecast(costs, so_far)
            return (so_far if by_then.expected_nano is None else by_then.expected_nano) > limit

        at = bisect_left(days, True, key=is_over)
        return days[at] if at < len(days) else None


def _has_days(budget: Budget) -> bool:
    window = budget.window
    return window.kind in ("day", "week", "month", "year") or (
        window.kind == "fixed" and window.seconds % DAY_S == 0
    )


def _zone(budget: Budget) -> str:
    """Return the time zone whose days a window is made of."""
    return "UTC" if budget.window.kind == "fixed" else budget.window.time_zone


def _day(at_us: int, budget: Budget) -> date:
    return local_time(at_us, zone_of(_zone(budget))).date()


def _days(store: Store, zone_name: str, now_us: int) -> dict[str, dict[date, int]]:
    """Return what was spent of each account on each of the last days; one more than are remembered."""
    zone = zone_of(zone_name)
    today = local_time(now_us, zone).date()
    found: dict[str, dict[date, int]] = {}
    for back in range(DAYS_OF_MEMORY + 1, -1, -1):
        day = today - timedelta(days=back)
        since_us, until_us = (midnight_us(day + timedelta(days=at), zone) for at in (0, 1))
        for account, amount in budget_charges(store, since_us, until_us).items():
            found.setdefault(account, {})[day] = amount
    return found


def _window(budget: Budget, now_us: int) -> tuple[int, int, int | None]:
    """Return the first and the last window that count now, and the end; None where there is none."""
    window_us, until_us = window_of(budget.window, now_us)
    match budget.window.kind:
        case "rolling":
            return window_us - budget.window.seconds * SECOND_US, window_us, None
        case "total":
            return window_us, window_us, None
        case _:
            return window_us, window_us, until_us


def _sums(shares: Sequence[Share], first_us: int, last_us: int) -> dict[str, int]:
    found: dict[str, int] = {}
    for share in shares:
        if first_us <= share.window_us <= last_us:
            found[share.account] = found.get(share.account, 0) + share.amount
    return found


def _accounts(budget: Budget, known: Mapping[str, object]) -> list[str]:
    """Return the accounts of a budget: of one that is kept per something those that are known."""
    alone = account_of(msgspec.structs.replace(budget, per=()), {})
    if not budget.per:
        return [alone]
    return [name for name in known if name.startswith(f"{alone}|") and whose(name, budget.per)]
