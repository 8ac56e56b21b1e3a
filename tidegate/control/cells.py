"""What was billed, in cells: one line, day, model, card and exchange rate each, with its money by bucket.

Everything that takes money apart (`compare`, `inside`, `naive`, `forecast`) starts from these. Money here is
exact: fractions of nano-units, rounded only where a figure is shown.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from tidegate.control.figures import Rates, exact
from tidegate.control.period import Period
from tidegate.control.report import (
    BESIDE,
    Dimension,
    Labels,
    PlainName,
    card_contents,
    stretches,
)
from tidegate.model.money import half_even
from tidegate.model.price import PriceCard
from tidegate.model.usage import BUCKETS
from tidegate.policy.tariff import rate_for
from tidegate.stores.sqlite import queries
from tidegate.stores.sqlite.period_queries import PARTS, PeriodQueries
from tidegate.stores.sqlite.queries import Column
from tidegate.stores.sqlite.store import Row, Store

FEE = len(BUCKETS)
"""Where the price of the call itself stands, behind those of the buckets."""
UNITS = FEE + 1

Key = tuple[str, ...]
Vector = tuple[Fraction, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Billed attempts of one kind. `tokens` are by `BUCKETS`, `parts` by `PARTS`.

    `cost_nano` is in `currency`. `stated`: the provider said what it cost.
    """

    day: date
    provider: str
    model: str
    price_id: str
    currency: str
    fx_id: str
    stated: bool
    attempts: int
    cost_nano: int
    tokens: tuple[int, ...]
    parts: tuple[int, ...]

    @property
    def units(self) -> tuple[int, ...]:
        """How many of each thing that has a price: the buckets, and the call."""
        return (*self.tokens, self.attempts)


@dataclass(frozen=True, slots=True)
class Priced:
    """A cell in the report's currency: what it cost, and what one unit of each thing costs, in nano-units.

    `rates` times the cell's units is `cost`, also where a provider stated the cost; `list_rates` are the
    card's, and None without a card.
    """

    cell: Cell
    cost: Fraction
    rates: Vector
    list_rates: Vector | None


@dataclass(frozen=True, slots=True)
class Cells:
    """All cells of a period by line, and what it takes to read them.

    Cells without an exchange rate are in no line; `unconverted` names their currencies.
    """

    period: Period
    lines: Mapping[Key, Sequence[Cell]]
    labels: Mapping[Key, tuple[str, ...]]
    rates: Rates
    beside: Rates | None
    cards: Mapping[str, PriceCard]
    left_out: int
    unconverted: frozenset[str]

    def cost(self, key: Key) -> int:
        """Return what a line cost, as the report has it."""
        return cost_of(self.lines.get(key, ()), self.rates)

    def priced(self, key: Key) -> list[Priced]:
        """Return a line's cells in the report's currency."""
        return priced_cells(self.lines.get(key, ()), self.rates, self.cards)

    def notes(self) -> list[str]:
        """Return what is not in the figures, one sentence each."""
        found = []
        if self.left_out:
            found.append(f"without a price: {self.left_out} attempts; they are in no figure here")
        found += [
            f"without an exchange rate to {self.rates.to}: amounts in {currency}; they are in no figure here"
            for currency in sorted(self.unconverted)
        ]
        return found


def read_cells(
    store: Store,
    *,
    by: Sequence[Dimension],
    period: Period,
    currency: str,
    tenant: str | None = None,
    plain_name: PlainName = lambda _tenant, _kind, _pseudonym: None,
) -> Cells:
    """Return the cells of calls that began in `period`, as the database stands at one moment."""
    dimensions = tuple(dict.fromkeys(by))
    columns: list[Column] = [name for name in dimensions if name != "day"]
    lines: dict[Key, list[Cell]] = {}
    unconverted: set[str] = set()
    with store.transaction():
        known = queries.rates(store)
        rates = Rates(known, currency)
        labels = Labels(store, dimensions, plain_name)
        asked = PeriodQueries(store, columns, tenant)
        for day, since_us, until_us in stretches(store, period, labels.turns()):
            for key, kind, sums in asked.cells(since_us, until_us):
                cell = cell_of(day, kind, sums)
                if rates.factor(cell.currency, cell.fx_id, day) is None:
                    unconverted.add(cell.currency)
                else:
                    lines.setdefault(labels.key(key, day, since_us), []).append(cell)
        second = BESIDE.get(currency)
        return Cells(
            period=period,
            lines=lines,
            labels={key: labels.of(key) for key in lines},
            rates=rates,
            beside=Rates(known, second) if second else None,
            cards=card_contents(store),
            left_out=asked.left_out(period.since_us, period.until_us),
            unconverted=frozenset(unconverted),
        )


def cell_of(day: date, kind: Row, sums: Row) -> Cell:
    """Return the cell of one row of `PeriodQueries.cells`."""
    provider, model, price_id, currency, fx_id, source = map(str, kind)
    attempts, cost_nano, *counts = (int(str(value or 0)) for value in sums)
    assert len(counts) == len(BUCKETS) + len(PARTS)
    return Cell(
        day=day,
        provider=provider,
        model=model,
        price_id=price_id,
        currency=currency,
        fx_id=fx_id,
        stated=source == "stated",
        attempts=attempts,
        cost_nano=cost_nano,
        tokens=tuple(counts[: len(BUCKETS)]),
        parts=tuple(counts[len(BUCKETS) :]),
    )


def cost_of(cells: Iterable[Cell], rates: Rates) -> int:
    """Return the cost of cells in one currency: added up by day, currency and rate, and converted once each.

    What has no exchange rate is left out.
    """
    amounts: dict[tuple[date, str, str], int] = {}
    for cell in cells:
        key = (cell.day, cell.currency, cell.fx_id)
        amounts[key] = amounts.get(key, 0) + cell.cost_nano
    return sum(
        rates.converted(nano, currency, fx_id, day) or 0 for (day, currency, fx_id), nano in amounts.items()
    )


def priced_cells(cells: Iterable[Cell], rates: Rates, cards: Mapping[str, PriceCard]) -> list[Priced]:
    """Return cells with their money by unit, without those that have no exchange rate."""
    found: list[Priced] = []
    listed_at: dict[tuple[str, Fraction], Vector] = {}
    for cell in cells:
        factor = rates.factor(cell.currency, cell.fx_id, cell.day)
        if factor is None:
            continue
        cost, card = cell.cost_nano * factor, cards.get(cell.price_id)
        listed = None
        if card is not None and card.currency == cell.currency:
            listed = listed_at.get((cell.price_id, factor)) or scaled_by(list_rates(card), factor)
            listed_at[cell.price_id, factor] = listed
        found.append(Priced(cell, cost, _fitted(cell, cost, listed), listed))
    return found


def list_rates(card: PriceCard) -> Vector:
    """Return what a card asks for one unit of each thing, in nano-units; 0 where nothing prices it."""
    asked = [*(rate_for(card, bucket)[0] for bucket in BUCKETS), card.rates.get("requests")]
    return tuple(exact(rate) * 1000 if rate is not None else Fraction(0) for rate in asked)


def worth(units: Sequence[int | Fraction], rates: Vector) -> Fraction:
    """Return what so many units come to."""
    return sum((count * rate for count, rate in zip(units, rates, strict=True)), Fraction(0))


def scaled_by(rates: Vector, factor: Fraction) -> Vector:
    """Return rates times a factor."""
    return tuple(rate * factor for rate in rates)


def shared_out(total: int, weights: Sequence[Fraction]) -> list[int]:
    """Return integers that add up to `total`, as near to the weights as that allows (largest remainder).

    Without any weight all of it goes to the last.
    """
    whole = sum(weights, Fraction(0))
    if not whole:
        return [0] * (len(weights) - 1) + [total]
    exact_shares = [total * weight / whole for weight in weights]
    shares = [share.numerator // share.denominator for share in exact_shares]
    order = sorted(range(len(weights)), key=lambda at: (shares[at] - exact_shares[at], at))
    for at in order[: total - sum(shares)]:
        shares[at] += 1
    return shares


def rounded(amount: Fraction) -> int:
    """Return an amount in whole nano-units, half to even."""
    return half_even(amount.numerator, amount.denominator)


def _fitted(cell: Cell, cost: Fraction, listed: Vector | None) -> Vector:
    """Return rates that come to the cell's cost: the card's in proportion, else one for every token."""
    if listed is not None and (worth_listed := worth(cell.units, listed)):
        return scaled_by(listed, cost / worth_listed)
    if listed is not None and not cost:
        return listed
    tokens = sum(cell.tokens)
    if tokens:
        return (*(Fraction(cost, tokens) for _ in BUCKETS), Fraction(0))
    return (*(Fraction(0) for _ in BUCKETS), Fraction(cost, cell.attempts))
