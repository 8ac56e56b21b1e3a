"""What an account's name says: whose it is, and until when one of its windows matters."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from tidegate.model.budget import Dimension, Window
from tidegate.policy.budget import FOREVER_US, SECOND_US, slice_us, window_of

_SEPARATOR = "|"


class Named(NamedTuple):
    """The parts of an account's name; `whose` is the last of them as it stands there."""

    budget: str
    unit: str
    span: str
    time_zone: str
    whose: str


def parts_of(account: str) -> Named | None:
    """Return what `policy.budget.account_of` put together; None for what it never made."""
    parts = account.split(_SEPARATOR, 4)
    return Named(*parts, *([""] if len(parts) == 4 else [])) if len(parts) >= 4 else None


def whose(account: str, per: Sequence[Dimension]) -> dict[Dimension, str]:
    """Return the value of each dimension that a budget is kept per; empty where the account is another's."""
    named = parts_of(account)
    if named is None or not per:
        return {}
    pattern = r"\|".join(f"{dimension}=(.*?)" for dimension in per)
    found = re.fullmatch(pattern, named.whose, re.DOTALL)
    if found is None:
        return {}
    values = (value.replace("%7C", "|").replace("%25", "%") for value in found.groups())
    return dict(zip(per, values, strict=True))


def counts_until_us(account: str, window_us: int) -> int:
    """Return the moment from which what was spent in a window can matter to nobody.

    A calendar's or a fixed window counts while it or the one after it runs: a call is charged to the window
    that it began in, and two processes' clocks differ. A slice counts while it is among the last `seconds`,
    and a slice longer. All time, and what is not understood, counts for ever.
    """
    named = parts_of(account)
    return FOREVER_US if named is None else _until_us(named.span, named.time_zone, window_us)


@lru_cache(maxsize=4096)
def _until_us(span: str, time_zone: str, window_us: int) -> int:
    kind, _, seconds = span.partition(":")
    try:
        match kind:
            case "day" | "week" | "month" | "year":
                window = Window(kind, time_zone=time_zone)
                return window_of(window, window_of(window, window_us)[1])[1]
            case "fixed":
                return window_us + 2 * int(seconds) * SECOND_US
            case "rolling":
                window = Window("rolling", int(seconds))
                return window_us + window.seconds * SECOND_US + 2 * slice_us(window)
            case _:
                return FOREVER_US
    except (ValueError, OSError, LookupError):
        return FOREVER_US
