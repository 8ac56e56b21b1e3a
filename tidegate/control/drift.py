"""Why a provider's figure is another than ours: a difference in parts that sum to it exactly. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal, get_args

from tidegate.control.exports.export import Kind

Cause = Literal["unpriced", "estimated", "cancelled", "missing", "not_billed", "price_differs", "rest"]
CAUSES: tuple[Cause, ...] = get_args(Cause)
MEANINGS: dict[Cause, str] = {
    "unpriced": "our attempts without a price",
    "estimated": "our estimates, where the provider did not say what it counted",
    "cancelled": "our estimates of calls whose clients left",
    "missing": "in the export alone: traffic that went around the gateway",
    "not_billed": "in our record alone",
    "price_differs": "the same tokens for other money",
    "rest": "not explained",
}
Class = Literal["exact", "estimated", "cancelled", "unpriced"]
"""How sure we are of what an attempt cost."""

Parts = dict[Cause, int]
_Value = Callable[[Mapping[Kind, int]], int]


@dataclass(slots=True)
class Share:
    """Our attempts of one class. `room_*` is what they could have come to beyond it, by what was held."""

    calls: int = 0
    tokens: dict[Kind, int] = field(default_factory=dict)
    nano: int = 0
    room_nano: int = 0
    room_tokens: int = 0


@dataclass(slots=True)
class Theirs:
    """What the export says. None: it does not say. Not `listed`: it has no line for this."""

    listed: bool = False
    calls: int | None = None
    tokens: dict[Kind, int] | None = None
    nano: int | None = None


@dataclass(slots=True)
class Ours:
    """What our record says. `rates` are nano-units of the export's currency for a token, where known."""

    exact: Share = field(default_factory=Share)
    estimated: Share = field(default_factory=Share)
    cancelled: Share = field(default_factory=Share)
    unpriced: Share = field(default_factory=Share)
    rates: Mapping[Kind, Fraction] | None = None

    @property
    def shares(self) -> tuple[Share, ...]:
        """Return the four classes."""
        return (self.exact, self.estimated, self.cancelled, self.unpriced)

    @property
    def calls(self) -> int:
        """Return how many attempts a provider may have counted."""
        return sum(share.calls for share in self.shares)

    @property
    def nano(self) -> int:
        """Return what is known of the cost."""
        return sum(share.nano for share in self.shares)

    @property
    def tokens(self) -> dict[Kind, int]:
        """Return the tokens of all classes, by kind."""
        total: dict[Kind, int] = {}
        for share in self.shares:
            for kind, count in share.tokens.items():
                total[kind] = total.get(kind, 0) + count
        return total


@dataclass(frozen=True, slots=True)
class _Bounds:
    """How far down and up two classes of ours can have been wrong."""

    cancelled: tuple[int, int]
    estimated: tuple[int, int]


def money_parts(theirs: Theirs, ours: Ours) -> Parts:
    """Return `theirs.nano - ours.nano` in parts that sum to it; the causes that had none are left out.

    Where the export counts tokens, money that they explain at our rates goes to their causes and the
    remainder is another price. Where it does not, only bounds and calls can tell.
    """
    assert theirs.nano is not None
    difference = theirs.nano - ours.nano
    bounds = _Bounds(
        (ours.cancelled.nano, ours.cancelled.room_nano), (ours.estimated.nano, ours.estimated.room_nano)
    )
    if not ours.calls or not theirs.listed:
        return _kept(_one_sided(difference, ours.calls, bounds))
    value = _valuer(theirs, ours)
    if theirs.tokens is None:
        unpriced = 0
        if ours.unpriced.calls and difference > 0:
            unpriced = difference if value is None else min(difference, value(ours.unpriced.tokens))
        parts = _spread(difference - unpriced, bounds, _more_calls(theirs, ours), counted=False)
        return _kept({**parts, "unpriced": unpriced})
    if value is None:
        return _kept({"unpriced" if ours.unpriced.calls else "rest": difference})
    shifted = value(_surplus(theirs.tokens, ours.tokens))
    parts = _spread(shifted, bounds, _more_calls(theirs, ours), counted=True)
    if ours.rates is None and ours.unpriced.calls == ours.calls:
        return _kept({**parts, "unpriced": difference - shifted})
    unpriced = value(ours.unpriced.tokens)
    price = difference - unpriced - shifted
    name: Cause = "price_differs" if abs(price) > ours.calls + (theirs.calls or 0) else "rest"
    return _kept({**parts, "unpriced": unpriced, name: parts.get(name, 0) + price})


def token_parts(theirs: Theirs, ours: Ours) -> Parts:
    """Return the difference in tokens of all kinds in parts that sum to it."""
    assert theirs.tokens is not None
    difference = sum(theirs.tokens.values()) - sum(ours.tokens.values())
    cancelled, estimated = ours.cancelled, ours.estimated
    bounds = _Bounds(
        (sum(cancelled.tokens.values()), cancelled.room_tokens),
        (sum(estimated.tokens.values()), estimated.room_tokens),
    )
    if not ours.calls or not theirs.listed:
        return _kept(_one_sided(difference, ours.calls, bounds))
    return _kept(_spread(difference, bounds, _more_calls(theirs, ours), counted=True))


def rates_of(theirs: Theirs, parts: Parts) -> tuple[Fraction, Fraction] | None:
    """Return what a token cost in the mean: in the export, and at our prices for the same tokens."""
    tokens = sum((theirs.tokens or {}).values())
    if theirs.nano is None or not tokens or "price_differs" not in parts:
        return None
    return Fraction(theirs.nano, tokens), Fraction(theirs.nano - parts["price_differs"], tokens)


def _one_sided(difference: int, our_calls: int, bounds: _Bounds) -> Parts:
    if our_calls:
        return _spread(difference, bounds, -1, counted=True)
    return {"missing" if difference > 0 else "rest": difference}


def _spread(amount: int, bounds: _Bounds, more_calls: int | None, *, counted: bool) -> Parts:
    """Return an amount in parts, by who can have caused it.

    `more_calls`: how many more calls the export has than we, None where it counts none. `counted`: the
    amount stands for tokens, so that it cannot be another price.
    """
    parts: Parts = {}
    if amount > 0:
        if more_calls is not None and more_calls > 0:
            return {"missing": amount}
        parts["cancelled"] = min(amount, bounds.cancelled[1])
        parts["estimated"] = min(amount - parts["cancelled"], bounds.estimated[1])
        sure = more_calls is None and counted
        parts["missing" if sure else "rest"] = amount - parts["cancelled"] - parts["estimated"]
        return parts
    parts["cancelled"] = max(amount, -bounds.cancelled[0])
    parts["estimated"] = max(amount - parts["cancelled"], -bounds.estimated[0])
    sure = counted if more_calls is None else more_calls < 0
    parts["not_billed" if sure else "rest"] = amount - parts["cancelled"] - parts["estimated"]
    return parts


def _valuer(theirs: Theirs, ours: Ours) -> _Value | None:
    """Return what tokens are worth: at our card, else at our mean price, else at theirs; None if unknown."""
    if ours.rates is not None:
        rates = ours.rates
        return lambda tokens: round(sum((rates[kind] * count for kind, count in tokens.items()), Fraction()))
    priced = sum(sum(share.tokens.values()) for share in ours.shares if share is not ours.unpriced)
    counted = sum((theirs.tokens or {}).values())
    if priced:
        mean = Fraction(ours.nano, priced)
    elif counted and theirs.nano is not None:
        mean = Fraction(theirs.nano, counted)
    else:
        return None
    return lambda tokens: round(mean * sum(tokens.values()))


def _surplus(theirs: Mapping[Kind, int], ours: Mapping[Kind, int]) -> dict[Kind, int]:
    return {kind: theirs.get(kind, 0) - ours.get(kind, 0) for kind in {**theirs, **ours}}


def _more_calls(theirs: Theirs, ours: Ours) -> int | None:
    return None if theirs.calls is None else theirs.calls - ours.calls


def _kept(parts: Parts) -> Parts:
    return {cause: parts[cause] for cause in CAUSES if parts.get(cause)}
