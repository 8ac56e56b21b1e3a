"""Which budgets a call falls under, in which window, and what fits.

A window is named by its start. The last `seconds` are counted in `SLICES` slices and the one that runs, so
that what was spent comes free up to one slice late and never early.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

from tidegate.model.budget import Budget, Dimension, Window
from tidegate.model.money import Fx, convert, scaled

SECOND_US = 1_000_000
SLICES = 20
FOREVER_US = 1 << 62
NOBODY = "-"
"""Stands for a dimension that a call has no value in."""

INPUT_MARGIN_PERMILLE = 1_500
"""Input is held for half as much again as it is estimated at: what is held too much comes back at once, what
is held too little passes the limit."""

EXACT_MARGIN_PERMILLE = 1_250
"""For what the text does not show (how a provider wraps messages and tools) and for tokenizers that are not
published, whose counts are a ratio of another's."""

_SEPARATOR = "|"


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How an account stands in a window. `resets_us` is when the window ends, None where it never does."""

    budget: Budget
    account: str
    limit: int
    spent: int
    held: int
    window_us: int
    resets_us: int | None

    @property
    def left(self) -> int:
        """What may still be held."""
        return self.limit - self.spent - self.held

    @property
    def unspent(self) -> int:
        """What could be held if nobody held anything."""
        return self.limit - self.spent


def falls_under(budget: Budget, values: Mapping[Dimension, tuple[str, ...]]) -> bool:
    """Tell whether a budget is for a call; `values` are all names that it has in each dimension."""
    return all(
        any(value in wanted for value in values.get(dimension, ()))
        for dimension, wanted in budget.match.items()
    )


def account_of(budget: Budget, values: Mapping[Dimension, tuple[str, ...]]) -> str:
    """Name the account of a call: of another unit, window or value it is another one."""
    window = budget.window
    span = window.kind if window.kind not in ("fixed", "rolling") else f"{window.kind}:{window.seconds}"
    zone = "" if window.kind in ("total", "fixed", "rolling") else window.time_zone
    whose = [f"{dimension}={escaped((values.get(dimension) or (NOBODY,))[0])}" for dimension in budget.per]
    return _SEPARATOR.join((budget.name, budget.unit, span, zone, *whose))


def escaped(value: str) -> str:
    """Return a value as it stands in an account's name, where a bar would end it."""
    return value.replace("%", "%25").replace("|", "%7C")


def window_of(window: Window, now_us: int) -> tuple[int, int]:
    """Return the window that a moment is in, as start and end in microseconds; of `rolling`, its slice."""
    match window.kind:
        case "total":
            return 0, FOREVER_US
        case "fixed" | "rolling":
            length_us = slice_us(window)
            start_us = now_us // length_us * length_us
            return start_us, start_us + length_us
        case "day" | "week" | "month" | "year":
            return _calendar(window.kind, window.time_zone, now_us // (900 * SECOND_US))


def slice_us(window: Window) -> int:
    """Return how long one counted span of a window is."""
    whole_us = window.seconds * SECOND_US
    return -(-whole_us // SLICES) if window.kind == "rolling" else whole_us


@lru_cache(maxsize=4096)
def _calendar(kind: str, time_zone: str, quarter: int) -> tuple[int, int]:
    """The day, week, month or year of a quarter of an hour: every zone's clock changes at one."""
    zone = ZoneInfo(time_zone)
    day = datetime.fromtimestamp(quarter * 900, UTC).astimezone(zone).date()
    match kind:
        case "day":
            first, after = day, day + timedelta(days=1)
        case "week":
            first = day - timedelta(days=day.weekday())
            after = first + timedelta(days=7)
        case "month":
            first = day.replace(day=1)
            after = (first + timedelta(days=31)).replace(day=1)
        case _:
            first, after = date(day.year, 1, 1), date(day.year + 1, 1, 1)
    return _midnight_us(first, zone), _midnight_us(after, zone)


def _midnight_us(day: date, zone: ZoneInfo) -> int:
    """When a day begins: of a midnight that comes twice the first, of one that is left out the change."""
    return int(datetime.combine(day, time(), zone).timestamp()) * SECOND_US


def in_unit(nano: int, currency: str, unit: str, fx: Fx | None, *, up: bool) -> int | None:
    """Return money in a budget's currency; None without a rate. `up` rounds what is held upwards."""
    if currency == unit:
        return nano
    if fx is None:
        return None
    converted = convert(nano, currency=currency, to=unit, fx=fx)
    return converted + 1 if up and scaled(fx.rate)[1] else converted


def crossed(permille: tuple[int, ...], before: int, after: int, limit: int) -> tuple[int, ...]:
    """Return the shares of a limit that spending has reached on its way from `before` to `after`."""
    return tuple(share for share in permille if before * 1000 < share * limit <= after * 1000)
