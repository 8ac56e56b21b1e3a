"""What is told of budgets: shares of a limit that are reached, and limits that will not do.

Gateways note a threshold when spending reaches it, each for itself, and perhaps several of them the same one;
here it is one alert for each account, window and share. It holds until the window is over, until less than
the share is spent again (the budget was raised, or the last hours cost less), or until the budget or the
share is configured no more.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec

from tidegate.config.budget_rules import COUNTED
from tidegate.config.settings import Settings
from tidegate.control.alert_sources import HOUR_US, Source
from tidegate.control.budget_outlook import outlooks
from tidegate.control.forecast import FEW_DAYS
from tidegate.control.wording import plain
from tidegate.model.alert import Observation
from tidegate.model.budget import Budget, Dimension
from tidegate.model.money import shown
from tidegate.policy.budget import NOBODY, SECOND_US, account_of, slice_us, window_of
from tidegate.policy.budget_windows import whose
from tidegate.policy.budget_words import amount, span
from tidegate.services.budget_rules import budgets_of
from tidegate.stores.sqlite import alert_queries, budget_queries
from tidegate.stores.sqlite.budget_queries import Given
from tidegate.stores.sqlite.store import Store

FORECAST_EVERY_US = HOUR_US
"""A forecast reads what the calls of the last month were charged."""

Whose = Mapping[Dimension, str]


class Reached(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of a note `budget_threshold`: amounts in `unit`, the limit with what was added to it."""

    budget: str
    account: str
    window_us: int
    unit: str
    spent: int
    limit: int
    permille: int


def budget_sources() -> tuple[Source, ...]:
    """What is looked for of budgets."""
    return (
        Source(frozenset({"budget_threshold"}), reached_thresholds),
        Source(frozenset({"budget_forecast"}), short_budgets, FORECAST_EVERY_US),
    )


def reached_thresholds(store: Store, settings: Settings, now_us: int) -> Iterator[Observation]:
    """Yield the shares of limits that are reached, the largest first."""
    found: list[tuple[int, Observation]] = []
    with store.transaction():
        given = tuple(budget_queries.given(store))
        for budget in budgets_of(settings):
            found += _of_budget(store, budget, given, now_us)
    yield from (one for _, one in sorted(found, key=lambda pair: -pair[0]))


def short_budgets(store: Store, settings: Settings, now_us: int) -> Iterator[Observation]:
    """Yield budgets that are not spent yet, and will be before a window of several days is over."""
    budgets = [budget for budget in budgets_of(settings) if budget.notify_permille and _is_long(budget)]
    for one in outlooks(store, budgets, now_us) if budgets else ():
        made = one.forecast
        if made is None or made.expected_nano is None or made.days < FEW_DAYS:
            continue
        if not one.spent < one.limit < made.expected_nano:
            continue
        budget, unit = one.budget, one.budget.unit
        day = one.runs_out.isoformat() if one.runs_out else ""
        text = (
            f"{_name(budget, one.whose)} will not last: {amount(one.spent, unit)} of"
            f" {amount(one.limit, unit)} {span(budget)} so far, {amount(made.expected_nano, unit)} expected."
        )
        yield Observation(
            event="budget_forecast",
            subject=_subject(budget, one.whose, one.window_us),
            text=f"{text} It runs out on {day}." if day else text,
            facts={
                **_facts(budget, spent=one.spent, limit=one.limit),
                "expected": _figure(made.expected_nano, unit),
                "runs_out": day,
            },
            team=_team(budget, one.whose),
        )


def _of_budget(
    store: Store, budget: Budget, given: Iterable[Given], now_us: int
) -> Iterator[tuple[int, Observation]]:
    """Yield the shares of one budget's limit that are reached, in thousandths, and what is to be told."""
    first_us = _first_us(budget, now_us)
    added: dict[str, int] = {}
    for one in given:
        if one.window_us >= first_us:
            added[one.account] = added.get(one.account, 0) + one.amount
    for (account, permille), said in _said(store, budget, first_us, now_us).items():
        limit = budget.limit + added.get(account, 0)
        spent = max(said, alert_queries.budget_spent(store, account, first_us))
        if spent and spent * 1000 >= permille * limit:
            holder = whose(account, budget.per)
            yield permille, _reached(budget, holder, permille, first_us, spent=spent, limit=limit)


def _said(store: Store, budget: Budget, first_us: int, now_us: int) -> dict[tuple[str, int], int]:
    """The accounts and shares to look at, and what gateways said was spent, 0 where that is too old.

    An account that is the only one of its budget is looked at in any case: a limit that is lowered passes
    shares that no gateway notes.
    """
    alone = [] if budget.per else [(account_of(budget, {}), share) for share in budget.notify_permille]
    said = dict.fromkeys(alone, 0)
    rolls = budget.window.kind == "rolling"
    for note in alert_queries.thresholds(store, budget.name, first_us):
        try:
            told = msgspec.convert(note.facts, Reached)
        except msgspec.ValidationError:
            continue
        counts = told.window_us >= first_us if rolls else told.window_us == first_us
        if counts and told.permille in budget.notify_permille and _is_of(told.account, budget):
            key, is_new = (told.account, told.permille), now_us - note.at_us < slice_us(budget.window)
            said[key] = max(said.get(key, 0), told.spent if is_new or not rolls else 0)
    return said


def _is_of(account: str, budget: Budget) -> bool:
    """Whether an account is of a budget as it is configured now."""
    alone = account_of(msgspec.structs.replace(budget, per=()), {})
    if not budget.per:
        return account == alone
    return account.startswith(f"{alone}|") and bool(whose(account, budget.per))


def _first_us(budget: Budget, now_us: int) -> int:
    """The start of the window that counts; of a rolling one the start of its oldest slice."""
    start_us, _ = window_of(budget.window, now_us)
    rolls = budget.window.kind == "rolling"
    return max(0, start_us - budget.window.seconds * SECOND_US) if rolls else start_us


def _reached(
    budget: Budget, holder: Whose, permille: int, first_us: int, *, spent: int, limit: int
) -> Observation:
    percent = f"{permille / 10:g} %"
    since_us = first_us if budget.window.kind != "rolling" else 0
    return Observation(
        event="budget_threshold",
        subject=f"{percent} of {_subject(budget, holder, since_us)}",
        text=(
            f"{_name(budget, holder)} has reached {percent}: {amount(spent, budget.unit)} of"
            f" {amount(limit, budget.unit)} {span(budget)}."
        ),
        facts={**_facts(budget, spent=spent, limit=limit), "permille": permille},
        team=_team(budget, holder),
    )


def _is_long(budget: Budget) -> bool:
    """Whether there are days ahead in its windows, from which a forecast can be made."""
    return budget.window.kind in ("week", "month", "year") or (
        budget.window.kind == "fixed" and budget.window.seconds > 86_400
    )


def _name(budget: Budget, holder: Whose) -> str:
    return f"Budget {budget.name}{_of(holder)}"


def _of(holder: Whose) -> str:
    values = ", ".join(f"{dimension} {plain(value)}" for dimension, value in holder.items())
    return f" ({values})" if values else ""


def _subject(budget: Budget, holder: Whose, window_us: int) -> str:
    """Tells an account's windows from each other, and from those of other accounts; 0 is all time."""
    values = "".join(f" {dimension}={value}" for dimension, value in holder.items())
    start = ""
    if window_us:
        zone = ZoneInfo(budget.window.time_zone)
        local = datetime.fromtimestamp(window_us // SECOND_US, UTC).astimezone(zone)
        start = f" from {local.isoformat(timespec='minutes')}"
    return f"{budget.name}{values}, {budget.unit} {span(budget)}{start}"


def _facts(budget: Budget, *, spent: int, limit: int) -> dict[str, str | int]:
    unit = budget.unit
    return {
        "budget": budget.name,
        "unit": unit,
        "spent": _figure(spent, unit),
        "limit": _figure(limit, unit),
    }


def _figure(value: int, unit: str) -> str | int:
    return value if unit in COUNTED else shown(value)


def _team(budget: Budget, holder: Whose) -> str:
    """Whose team it is: the one that the account is kept for, or the only one that the budget is for."""
    named = holder.get("team", "")
    if named:
        return "" if named == NOBODY else named
    teams = budget.match.get("team", ())
    return teams[0] if len(teams) == 1 else ""
