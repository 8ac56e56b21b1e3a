"""Why one period cost more or less than another: the difference in five parts that add up to it exactly.

The parts are steps on one way from the period before to the period after; each step changes one thing and
leaves the rest as it stood, and what it moves is its part:

1. `volume`: as many calls as after, each model's share, tokens and prices as before;
2. `mix`: each model has its share of the calls as after (a new model enters as it is after);
3. `tokens`: a call to each model has as many tokens as after, read from caches in the proportions of before;
4. `price`: a token has its price of after (lists, contracts, exchange rates, what providers state);
5. `cache`: input is read from and written to caches in the proportions of after.

The order decides where what changed together is counted; this is the order always. A call is counted once
for each billed attempt. Each point on the way is rounded to whole nano-units, so the steps add up.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from tidegate.control.cells import UNITS, Priced, Vector, rounded, scaled_by, worth
from tidegate.model.usage import BUCKETS

CACHED = tuple(
    BUCKETS.index(bucket) for bucket in ("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h")
)
"""The buckets between which a cache moves tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The difference between two periods in nano-units, taken apart."""

    volume: int
    mix: int
    tokens: int
    price: int
    cache: int

    @property
    def change(self) -> int:
        """Return the whole difference."""
        return self.volume + self.mix + self.tokens + self.price + self.cache


PARTS_OF_CHANGE = ("volume", "mix", "tokens", "price", "cache")
UNCHANGED = Parts(volume=0, mix=0, tokens=0, price=0, cache=0)


@dataclass(frozen=True, slots=True)
class Model:
    """One model's side of a period: billed attempts, units a call on average, and the price of one unit."""

    attempts: int
    per_call: Vector
    prices: Vector

    @property
    def cost_per_call(self) -> Fraction:
        """Return what a call comes to on average."""
        return worth(self.per_call, self.prices)


@dataclass(frozen=True, slots=True)
class Side:
    """One period of one line. `cost_nano` is what the models' attempts come to."""

    cost_nano: int
    models: Mapping[str, Model]

    @property
    def attempts(self) -> int:
        """Return how many attempts were billed."""
        return sum(model.attempts for model in self.models.values())


NOTHING = Side(0, {})


@dataclass(frozen=True, slots=True)
class Change:
    """One line, before and after."""

    before: Side
    after: Side
    parts: Parts


def side(cost_nano: int, priced: Iterable[Priced]) -> Side:
    """Return a period's side from its cells; prices are set so that it comes to `cost_nano` exactly."""
    by_model: dict[str, list[Priced]] = {}
    total = Fraction(0)
    for one in priced:
        by_model.setdefault(f"{one.cell.provider}/{one.cell.model}", []).append(one)
        total += one.cost
    factor = Fraction(cost_nano) / total if total else Fraction(1)
    return Side(cost_nano, {name: _model(cells, factor) for name, cells in by_model.items()})


def compare(before: Side, after: Side) -> Change:
    """Return the difference of two sides, taken apart. A line that is new is all volume."""
    if not before.attempts:
        whole = after.cost_nano - before.cost_nano
        return Change(before, after, Parts(volume=whole, mix=0, tokens=0, price=0, cache=0))
    mixed = sized = repriced = Fraction(0)
    for name, new in after.models.items():
        old = before.models.get(name, new)
        size = _sized(old, new)
        mixed += new.attempts * old.cost_per_call
        sized += new.attempts * worth(size, old.prices)
        repriced += new.attempts * worth(size, new.prices)
    points = (
        before.cost_nano,
        rounded(Fraction(before.cost_nano * after.attempts, before.attempts)),
        rounded(mixed),
        rounded(sized),
        rounded(repriced),
        after.cost_nano,
    )
    steps = [then - now for now, then in pairwise(points)]
    return Change(before, after, Parts(**dict(zip(PARTS_OF_CHANGE, steps, strict=True))))


def together(changes: Iterable[Parts]) -> Parts:
    """Return the sum of several lines' parts."""
    listed = list(changes)
    return Parts(**{name: sum(getattr(one, name) for one in listed) for name in PARTS_OF_CHANGE})


def _sized(old: Model, new: Model) -> Vector:
    """Return a call as large as the new one, its cacheable input spread over the buckets as in the old."""
    size = list(new.per_call)
    old_input, new_input = (sum(model.per_call[at] for at in CACHED) for model in (old, new))
    if old_input:
        for at in CACHED:
            size[at] = old.per_call[at] * new_input / old_input
    return tuple(size)


def _model(cells: list[Priced], factor: Fraction) -> Model:
    attempts = sum(one.cell.attempts for one in cells)
    units, amounts, usual = [Fraction(0)] * UNITS, [Fraction(0)] * UNITS, [Fraction(0)] * UNITS
    for one in cells:
        for at, (count, rate) in enumerate(zip(one.cell.units, one.rates, strict=True)):
            units[at] += count
            amounts[at] += count * rate
            usual[at] += rate * one.cell.attempts / attempts
    prices = tuple(
        amount / count if count else price for amount, count, price in zip(amounts, units, usual, strict=True)
    )
    return Model(attempts, tuple(count / attempts for count in units), scaled_by(prices, factor))
