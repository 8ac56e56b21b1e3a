"""`tidegate report --budgets`: what is spent of each budget, and what it will come to."""

from fractions import Fraction
from typing import Final

from tidegate.cli.sheet import Cell, Column, Row, Sheet
from tidegate.cli.view import Asked
from tidegate.control.budget_outlook import Outlook, outlooks
from tidegate.control.report import NONE, SHORT
from tidegate.model.budget import Budget, Dimension
from tidegate.policy.budget import NOBODY
from tidegate.stores.sqlite.store import Store

_SIZES = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_PSEUDONYMS: tuple[Dimension, ...] = ("customer", "user")


def budgets(store: Store, asked: Asked) -> Sheet:
    """Return the budgets that are in force, in the window of each that runs now."""
    found = [one for one in outlooks(store, asked.budgets, asked.now_us) if _is_of(one, asked.tenant)]
    return Sheet(
        view="budgets",
        columns=_COLUMNS,
        rows=[_row(one, asked) for one in found],
        total=None,
        currency=None,
        below=[
            "each budget in its own unit and in the window that runs now, with what was added to it",
            "EXPECTED: by the end of the window; RUNS OUT: the day by whose end the limit is passed",
            "held for calls that run is in no figure here",
        ],
        facts={"at_us": asked.now_us},
    )


_COLUMNS: Final = (
    Column("budget", "BUDGET", "text"),
    Column("whose", "WHOSE", "text"),
    Column("window", "WINDOW", "word"),
    Column("mode", "", "word"),
    Column("unit", "UNIT", "word"),
    Column("limit", "LIMIT", "amount"),
    Column("spent", "SPENT", "amount"),
    Column("spent_percent", "%", "percent"),
    Column("expected", "EXPECTED", "amount"),
    Column("low", "", "amount"),
    Column("high", "", "amount"),
    Column("expected_percent", "%", "percent"),
    Column("runs_out", "RUNS OUT", "word"),
    Column("window_us", "", "count"),
    Column("until_us", "", "count"),
)


def _row(one: Outlook, asked: Asked) -> Row:
    made = one.forecast
    expected = None if made is None else made.expected_nano
    row: dict[str, Cell] = {"budget": one.budget.name, "whose": _words(one, asked)}
    row |= {"window": _span(one.budget), "mode": one.budget.mode, "unit": one.budget.unit}
    row |= {"limit": one.limit, "spent": one.spent, "spent_percent": _percent(one.spent, one.limit)}
    row |= {"expected": expected, "expected_percent": _percent(expected, one.limit)}
    row |= {"low": None if made is None else made.low_nano, "high": None if made is None else made.high_nano}
    row |= {"runs_out": None if one.runs_out is None else one.runs_out.isoformat()}
    return {**row, "window_us": one.window_us, "until_us": one.until_us}


def _span(budget: Budget) -> str:
    """Return the time that a budget is for, in the largest unit that is whole: `rolling 7 d`."""
    window = budget.window
    if not window.seconds:
        return window.kind
    size, unit = next((size, unit) for size, unit in _SIZES if window.seconds % size == 0)
    return f"{window.kind} {window.seconds // size} {unit}"


def _percent(part: int | None, whole: int) -> int | None:
    return None if part is None or whole <= 0 else round(Fraction(100 * part, whole))


def _words(one: Outlook, asked: Asked) -> str:
    tenant = _tenant(one)
    return ", ".join(f"{name}={_word(asked, tenant, name, value)}" for name, value in one.whose.items())


def _word(asked: Asked, tenant: str, dimension: Dimension, value: str) -> str:
    if value == NOBODY:
        return NONE
    if dimension in _PSEUDONYMS:
        return asked.plain_name(tenant, dimension, value) or value[:SHORT]
    return value


def _tenant(one: Outlook) -> str:
    """Return the tenant whose budget it is, empty where it is for several."""
    named = one.budget.match.get("tenant", ())
    return one.whose.get("tenant", named[0] if len(named) == 1 else "")


def _is_of(one: Outlook, tenant: str | None) -> bool:
    return tenant is None or _tenant(one) == tenant
