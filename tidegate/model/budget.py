"""Budgets: how much may be spent, by whom, within which time.

Amounts are integers in a budget's own unit: nano-units of a currency, tokens, or calls.
"""

from typing import Literal

import msgspec

Dimension = Literal[
    "tenant",
    "project",
    "team",
    "feature",
    "customer",
    "user",
    "key",
    "model",
    "provider",
    "run",
    "environment",
]
Unit = str
"""A currency's code, `tokens`, or `calls`."""

WindowKind = Literal["day", "week", "month", "year", "total", "fixed", "rolling"]
Mode = Literal["hard", "soft", "degrade"]

OutputLimitsMode = Literal["always", "learned", "budgets"]
"""When a call that sets no limit on its answer is sent one: always, once one was learned from the answers
before, or only where a budget needs it."""


class Window(msgspec.Struct, frozen=True):
    """The time that a budget is for.

    A day, week, month or year of the calendar in `time_zone`; all time; spans of `seconds` one after the
    other since the epoch; or the last `seconds`, always.
    """

    kind: WindowKind
    seconds: int = 0
    time_zone: str = "UTC"


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """One rule. It is for calls that have one of the values in each dimension of `match`.

    Each combination of values in the dimensions of `per` has a budget of its own. `hard` refuses what does
    not fit, `soft` only tells, `degrade` sends calls to the model `degrade_to` from `degrade_permille` of the
    limit on and refuses beyond it. `notify_permille` are shares of the limit that are told when reached.
    """

    name: str
    limit: int
    unit: Unit
    window: Window
    match: dict[Dimension, tuple[str, ...]] = {}
    per: tuple[Dimension, ...] = ()
    mode: Mode = "hard"
    degrade_permille: int = 800
    degrade_to: str = ""
    notify_permille: tuple[int, ...] = ()


class Raise(msgspec.Struct, frozen=True, kw_only=True):
    """More (or less) for one window of one account, by a person's decision. `account` as in a `Share`."""

    account: str
    window_us: int
    amount: int


class Share(msgspec.Struct, frozen=True, array_like=True):
    """What one attempt takes of one account: held for it, or charged to it.

    `account` names the budget, its unit, its window and the values it stands for; `window_us` is the start
    of the window it was taken in, in microseconds since the epoch.
    """

    account: str
    window_us: int
    amount: int
