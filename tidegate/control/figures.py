"""The sums behind one line of a report, and how they become figures in one currency."""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import Self

from tidegate.model.money import REFERENCE, Fx, convert, half_even, scaled
from tidegate.model.price import PriceCard
from tidegate.stores.sqlite.store import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One line. Tokens and amounts are None where nobody knows any of them; counts are always known.

    `input_tokens` were not read from a cache (`cached_tokens` were). `cost_nano` is in the report's currency
    and leaves out what `unconverted` holds by its own currency, and unpriced and open calls.
    `generation_calls` are those that could have an output limit, `unlimited_calls` of them set none.
    `price_ratio` is the list price of an output token over that of an input token, by attempts.
    Latencies are of calls that ended well. `beside_nano` is the whole cost in the report's second currency,
    None where part of it has no rate.
    """

    calls: int
    refused: int
    failed: int
    cancelled: int
    interrupted: int
    open: int
    attempts: int
    input_tokens: int | None
    cached_tokens: int | None
    output_tokens: int | None
    reasoning_tokens: int | None
    tokens: int
    cost_nano: int | None
    unconverted: dict[str, int]
    cost_per_call_nano: int | None
    price_ratio: Fraction | None
    generation_calls: int
    unlimited_calls: int
    unpriced_calls: int
    unpriced_tokens: int
    estimated_calls: int
    estimated_tokens: int
    p50_us: int | None
    p95_us: int | None
    ttft_p50_us: int | None
    ttft_p95_us: int | None
    beside_nano: int | None = None

    @property
    def at_least(self) -> bool:
        """Whether some of the cost is not in `cost_nano`."""
        return bool(self.unconverted or self.unpriced_calls or self.open)


class Rates:
    """Exchange rates into one currency: the one pinned beside an amount, else the one of its day.

    That is the latest not after the day; of one day the operator's goes before an imported one.
    """

    def __init__(self, rates: Sequence[Fx], to: str) -> None:
        self.to = to
        self.unpinned = False
        self._by_id = {fx.id: fx for fx in rates}
        self._by_currency: dict[str, list[Fx]] = {}
        for fx in sorted(rates, key=lambda fx: (fx.date, fx.source != REFERENCE, fx.id)):
            if to in (fx.base, fx.quote):
                other = fx.quote if to == fx.base else fx.base
                self._by_currency.setdefault(other, []).append(fx)

    def converted(self, nano: int, currency: str, fx_id: str, day: date) -> int | None:
        """Return an amount of one day in the report's currency, rounded once; None without a rate."""
        if currency == self.to or nano == 0:
            return nano
        fx = self._fx(currency, fx_id, day)
        return None if fx is None else convert(nano, currency=currency, to=self.to, fx=fx)

    def factor(self, currency: str, fx_id: str, day: date) -> Fraction | None:
        """Return, exactly, what one unit of a currency is on a day in the report's; None without a rate."""
        if currency == self.to:
            return Fraction(1)
        fx = self._fx(currency, fx_id, day)
        if fx is None:
            return None
        rate = exact(fx.rate)
        return rate if fx.quote == self.to else 1 / rate

    def _fx(self, currency: str, fx_id: str, day: date) -> Fx | None:
        fx = self._by_id.get(fx_id)
        if fx is not None and {fx.base, fx.quote} == {currency, self.to}:
            return fx
        in_force = [fx for fx in self._by_currency.get(currency, ()) if fx.date <= day]
        if not in_force:
            return None
        self.unpinned = True
        return in_force[-1]


@dataclass(slots=True)
class Sums:
    """What is added up for one line, from any number of stretches of time."""

    calls: list[int] = field(default_factory=lambda: [0] * 10)
    attempts: int = 0
    tokens: list[int | None] = field(default_factory=lambda: [None] * 4)
    shares: list[int] = field(default_factory=lambda: [0] * 3)
    amounts: dict[tuple[date, str, str], int | None] = field(default_factory=dict)
    cards: dict[str, int] = field(default_factory=dict)
    durations: "array[int]" = field(default_factory=lambda: array("q"))
    ttfts: "array[int]" = field(default_factory=lambda: array("q"))

    def add_calls(self, counts: Row) -> None:
        """Add one row of `ReportQueries.calls`."""
        for i, number in enumerate(counts):
            assert isinstance(number, int)
            self.calls[i] += number

    def add_attempts(self, day: date, sums: Row) -> None:
        """Add one row of `ReportQueries.attempts`; `day` is the local day it belongs to."""
        currency, fx_id, price_id, attempts, *rest = sums
        numbers = [_known(value) for value in rest]
        assert isinstance(attempts, int)
        self.attempts += attempts
        self.tokens = [_plus(old, new) for old, new in zip(self.tokens, numbers[:4], strict=True)]
        key = (day, str(currency or ""), str(fx_id or ""))
        self.amounts[key] = _plus(self.amounts.get(key), numbers[4])
        self.shares = [old + (new or 0) for old, new in zip(self.shares, numbers[5:], strict=True)]
        if price_id:
            self.cards[str(price_id)] = self.cards.get(str(price_id), 0) + attempts

    def add_time(self, duration_us: int, ttft_us: int | None) -> None:
        """Add the times of one call that ended well."""
        self.durations.append(duration_us)
        if ttft_us is not None:
            self.ttfts.append(ttft_us)

    def merge(self, other: Self) -> None:
        """Add all of another line."""
        self.add_calls(tuple(other.calls))
        self.attempts += other.attempts
        self.tokens = [_plus(old, new) for old, new in zip(self.tokens, other.tokens, strict=True)]
        self.shares = [old + new for old, new in zip(self.shares, other.shares, strict=True)]
        for key, nano in other.amounts.items():
            self.amounts[key] = _plus(self.amounts.get(key), nano)
        for card, attempts in other.cards.items():
            self.cards[card] = self.cards.get(card, 0) + attempts
        self.durations.extend(other.durations)
        self.ttfts.extend(other.ttfts)

    def cost(self, rates: Rates) -> tuple[int | None, dict[str, int]]:
        """Return the amount in the report's currency, and what has no rate, by currency.

        Integers are added up first and converted once per day and currency.
        """
        total: int | None = None if self.attempts else 0
        unconverted: dict[str, int] = {}
        for (day, currency, fx_id), nano in self.amounts.items():
            if nano is None:
                continue
            converted = rates.converted(nano, currency, fx_id, day)
            if converted is None:
                unconverted[currency] = unconverted.get(currency, 0) + nano
            else:
                total = (total or 0) + converted
        return total, unconverted

    def figures(
        self,
        cost: tuple[int | None, dict[str, int]],
        cards: Mapping[str, PriceCard],
        beside: tuple[int | None, dict[str, int]] | None = None,
    ) -> Figures:
        """Return the line; `cost` and `beside` are what `cost` gave, or the sums of the lines of a total."""
        calls, refused, failed, cancelled, interrupted, still_open, *shares = self.calls
        tokens = [count if self.attempts else 0 for count in self.tokens]
        reached = calls - refused
        cost_nano, unconverted = cost
        per_call = None if cost_nano is None or not reached else half_even(cost_nano, reached)
        return Figures(
            calls=calls,
            refused=refused,
            failed=failed,
            cancelled=cancelled,
            interrupted=interrupted,
            open=still_open,
            attempts=self.attempts,
            input_tokens=tokens[0],
            cached_tokens=tokens[1],
            output_tokens=tokens[2],
            reasoning_tokens=tokens[3],
            tokens=self.shares[0],
            cost_nano=cost_nano,
            unconverted=unconverted,
            cost_per_call_nano=per_call,
            price_ratio=price_ratio(self.cards, cards),
            generation_calls=shares[0],
            unlimited_calls=shares[1],
            unpriced_calls=shares[2],
            estimated_calls=shares[3],
            unpriced_tokens=self.shares[1],
            estimated_tokens=self.shares[2],
            p50_us=percentile(self.durations, 50),
            p95_us=percentile(self.durations, 95),
            ttft_p50_us=percentile(self.ttfts, 50),
            ttft_p95_us=percentile(self.ttfts, 95),
            beside_nano=None if beside is None or beside[1] else beside[0],
        )


def price_ratio(used: Mapping[str, int], cards: Mapping[str, PriceCard]) -> Fraction | None:
    """Return the mean list price of an output token over that of an input token.

    `used` says how many attempts each card priced. None where no known card lists both, or where cards of
    two currencies would have to be mixed.
    """
    reads, writes = Fraction(0), Fraction(0)
    currencies = set()
    for price_id, attempts in used.items():
        card = cards.get(price_id)
        if card is None or not {"input_uncached", "output_text"} <= card.rates.keys():
            continue
        currencies.add(card.currency)
        reads += attempts * exact(card.rates["input_uncached"])
        writes += attempts * exact(card.rates["output_text"])
    return writes / reads if reads and len(currencies) == 1 else None


def percentile(values: "array[int]", percent: int) -> int | None:
    """Return the smallest value that `percent` % of the values do not exceed (nearest rank)."""
    if not values:
        return None
    rank = -(-len(values) * percent // 100)
    return sorted(values)[rank - 1]


def exact(rate: str) -> Fraction:
    """Return a decimal as the number it is."""
    units, scale = scaled(rate)
    return Fraction(units, 10**scale)


def _plus(left: int | None, right: int | None) -> int | None:
    if left is None or right is None:
        return left if right is None else right
    return left + right


def _known(value: object) -> int | None:
    assert value is None or isinstance(value, int)
    return value
