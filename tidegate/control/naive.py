"""What the same tokens would have cost without caches and cheaper ways of processing, against what they did.

For each call the comparison is with its own card's price of uncached input, and with the standard card of the
same model where it was processed another way (flex, batch, priority). Contract prices and the choice of the
model are taken as they are. A call without a card, or whose model's standard card was never in use here,
is taken at what it cost.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from tidegate.control.cells import Priced, Vector, list_rates, rounded, scaled_by, worth
from tidegate.control.compare import CACHED
from tidegate.model.price import PriceCard


@dataclass(frozen=True, slots=True)
class Naive:
    """One line in nano-units: `cost` plus the three savings is `naive`, exactly. A saving may be a loss.

    `cache`: by reads from caches, less what writes to them cost more. `processing`: by cheaper ways of
    processing. `stated`: what providers stated below (or above) their lists.
    """

    cost_nano: int
    cache_nano: int
    processing_nano: int
    stated_nano: int

    @property
    def naive_nano(self) -> int:
        """Return what it would have cost."""
        return self.cost_nano + self.saved_nano

    @property
    def saved_nano(self) -> int:
        """Return the difference."""
        return self.cache_nano + self.processing_nano + self.stated_nano


class StandardCards:
    """The cards of standard processing, found by a card that asks for another one."""

    def __init__(self, cards: Iterable[PriceCard]) -> None:
        self._known: dict[tuple[object, ...], PriceCard] = {}
        for card in cards:
            if card.processing == "standard":
                self._known.setdefault(_conditions(card), card)

    def of(self, card: PriceCard) -> PriceCard:
        """Return the card's standard counterpart, itself where there is none."""
        return card if card.processing == "standard" else self._known.get(_conditions(card), card)


def naive(
    cost_nano: int, priced: Iterable[Priced], cards: Mapping[str, PriceCard], standard: StandardCards
) -> Naive:
    """Return a line's cost beside what it would have been."""
    paid = listed = uncached = plain = Fraction(0)
    for one in priced:
        paid += one.cost
        card = cards.get(one.cell.price_id)
        if card is None or one.list_rates is None or not any(one.list_rates):
            listed, uncached, plain = (total + one.cost for total in (listed, uncached, plain))
            continue
        rates = one.list_rates if one.cell.stated else one.rates
        listed += worth(one.cell.units, rates)
        uncached += worth(one.cell.units, _uncached(rates))
        other = standard.of(card)
        if other is not card:
            own, theirs = list_rates(card), list_rates(other)
            rates = _in_proportion(rates, own, theirs)
        plain += worth(one.cell.units, _uncached(rates))
    base, at_list, without_cache, whole = (rounded(total) for total in (paid, listed, uncached, plain))
    return Naive(cost_nano, without_cache - at_list, whole - without_cache, at_list - base)


def together(lines: Sequence[Naive]) -> Naive:
    """Return the sum of several lines."""
    return Naive(
        sum(line.cost_nano for line in lines),
        sum(line.cache_nano for line in lines),
        sum(line.processing_nano for line in lines),
        sum(line.stated_nano for line in lines),
    )


def _uncached(rates: Vector) -> Vector:
    """Return rates in which cached input costs what uncached input does."""
    fresh = rates[CACHED[0]]
    return tuple(fresh if at in CACHED else rate for at, rate in enumerate(rates))


def _in_proportion(rates: Vector, own: Vector, theirs: Vector) -> Vector:
    """Return another card's rates in the currency and at the exchange rate that `rates` have of `own`."""
    factor = next((rate / card for rate, card in zip(rates, own, strict=True) if card), Fraction(1))
    return scaled_by(theirs, factor)


def _conditions(card: PriceCard) -> tuple[object, ...]:
    return (card.provider, card.model, card.currency, card.region, card.input_over, card.override)
