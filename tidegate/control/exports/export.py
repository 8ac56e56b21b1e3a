"""What every export comes down to: lines with a stretch of time, a model, tokens and an exact amount."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal, get_args

import msgspec

from tidegate.model.errors import BadRequest
from tidegate.model.money import NANO, half_even

Provider = Literal["openai", "anthropic"]
"""Whose exports are read as they are."""

Kind = Literal[
    "input", "input_audio", "cache_read", "cache_write_5m", "cache_write_1h", "output", "output_audio"
]
"""Tokens by how they are billed, disjoint. Reasoning is output, images are input."""

KINDS: tuple[Kind, ...] = get_args(Kind)
ROOTS: frozenset[Kind] = frozenset({"input", "output"})

Tokens = Mapping[Kind, int]

MOST_DIGITS = 18
"""Digits of an amount's whole part, and of its fraction times two: far beyond any bill."""
MOST_TOKENS = 10**18
MOST_NAME = 300
MOST_LINES = 200_000
"""Lines of one comparison: a month by day of 60 models and 100 keys."""
TOO_MANY = f"more than {MOST_LINES:,} lines; export fewer days at a time, or group by less"

Name = Annotated[str, msgspec.Meta(max_length=MOST_NAME)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of an export. None: it does not say; "": it is not grouped by that.

    `ids` are the provider's own ids of the key, the project or the workspace. `nano` is in the export's
    currency and may be negative (a credit).
    """

    since_us: int
    until_us: int
    model: str = ""
    ids: tuple[str, ...] = ()
    calls: int | None = None
    tokens: Tokens | None = None
    nano: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """One or more exports. `spans` are the stretches of time it speaks of, also where nothing was used.

    `kinds` are the tokens it tells apart; without any it counts none. `currency` is "" where it states no
    money. `surfaces` are the routes it covers, None for all. `more`: the provider had further pages.
    """

    lines: tuple[Line, ...]
    spans: tuple[tuple[int, int], ...]
    kinds: frozenset[Kind] = frozenset()
    currency: str = ""
    surfaces: frozenset[str] | None = None
    more: bool = False


def joined(exports: Iterable[Export]) -> Export:
    """Return several exports as one: tokens in the kinds that all of them tell apart.

    Raises BadRequest where amounts are in two currencies, or lines are too many.
    """
    every = list(exports)
    if sum(max(len(one.lines), len(one.spans)) for one in every) > MOST_LINES:
        raise BadRequest(f"the export has {TOO_MANY}")
    currencies = sorted({one.currency for one in every if one.currency})
    if len(currencies) > 1:
        raise BadRequest(
            f"the export has amounts in {' and '.join(currencies)}; reconcile one currency at a time"
        )
    counting = [one for one in every if one.kinds]
    kinds = frozenset(KINDS).intersection(*(one.kinds for one in counting)) if counting else frozenset()
    some = [one.surfaces for one in every if one.surfaces is not None]
    return Export(
        lines=tuple(line for one in every for line in one.lines),
        spans=tuple(dict.fromkeys(span for one in every for span in one.spans)),
        kinds=kinds,
        currency=currencies[0] if currencies else "",
        surfaces=frozenset().union(*some) if len(some) == len(every) else None,
        more=any(one.more for one in every),
    )


def folded(tokens: Tokens, kinds: frozenset[Kind]) -> dict[Kind, int]:
    """Return tokens in the kinds that are told apart; the others count as plain input or output."""
    found: dict[Kind, int] = dict.fromkeys(sorted(kinds), 0)
    for kind, count in tokens.items():
        root: Kind = "output" if kind.startswith("output") else "input"
        into = kind if kind in kinds else root
        found[into] = found.get(into, 0) + count
    return found


def nano_of(amount: Decimal, *, divisor: int = 1) -> int:
    """Return an exact amount, a credit too, divided by `divisor`, in nano-units, rounded once half-even.

    Raises ValueError for what no bill holds: `NaN`, endless, or absurdly many digits.
    """
    sign, digits, exponent = amount.as_tuple()
    if not isinstance(exponent, int) or amount.adjusted() > MOST_DIGITS or len(digits) > 6 * MOST_DIGITS:
        raise ValueError("is no amount of money")
    if exponent < -8 * MOST_DIGITS:
        return 0
    units = int("".join(map(str, digits))) * NANO * (-1 if sign else 1)
    scale: int = 10 ** abs(exponent)
    return half_even(units * scale, divisor) if exponent > 0 else half_even(units, scale * divisor)
