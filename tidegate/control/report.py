"""What was spent, by whom, on what: one table over a period, in one currency."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Literal

import msgspec

from tidegate.control.figures import Figures, Rates, Sums
from tidegate.control.period import Period
from tidegate.model.errors import BadRequest
from tidegate.model.price import PriceCard
from tidegate.stores.sqlite import queries
from tidegate.stores.sqlite.queries import Column, ReportQueries
from tidegate.stores.sqlite.store import Row, Store, Value

Dimension = Column | Literal["day"]
DIMENSIONS: tuple[Dimension, ...] = (
    *("feature", "team", "customer", "model", "provider", "key", "day", "project", "environment"),
    "tenant",
)
MOST_DIMENSIONS = 2
NONE = "(none)"
SHORT = 8
"""Characters shown of a pseudonym whose plain name is not known here."""

BESIDE = {"EUR": "USD", "USD": "EUR"}
"""The second currency of a report, by its first."""

PlainName = Callable[[str, str, str], str | None]
"""The plain name for (tenant, kind, pseudonym), None where it is unknown or erased."""


@dataclass(frozen=True, slots=True)
class Line:
    """One row: its value in each dimension, as stored and as a person reads it, and its figures."""

    key: tuple[str, ...]
    label: tuple[str, ...]
    figures: Figures


@dataclass(frozen=True, slots=True)
class Report:
    """The whole table. `as_of_us`: all that was journalled until then is in it. `notes`: what is not.

    `beside` is the second currency; None where there is none.
    """

    by: tuple[Dimension, ...]
    period: Period
    currency: str
    tenant: str | None
    lines: tuple[Line, ...]
    total: Figures
    as_of_us: int | None
    notes: tuple[str, ...]
    beside: str | None = None


def report(
    store: Store,
    *,
    by: Sequence[Dimension],
    period: Period,
    currency: str,
    tenant: str | None = None,
    plain_name: PlainName = lambda _tenant, _kind, _pseudonym: None,
) -> Report:
    """Return the report over calls that began in `period`, as the database stands at one moment.

    Raises BadRequest for dimensions that cannot be combined.
    """
    dimensions = tuple(dict.fromkeys(by))
    if not 1 <= len(dimensions) <= MOST_DIMENSIONS:
        raise BadRequest(f"a report is by one or two of {', '.join(DIMENSIONS)}", param="by")
    with store.transaction():
        labels = Labels(store, dimensions, plain_name)
        known = queries.rates(store)
        cards = card_contents(store)
        sums = _collect(store, dimensions, period, tenant, labels)
        gaps = queries.gaps(store, period.since_us, period.until_us)
        as_of_us = queries.as_of_us(store)
    beside = BESIDE.get(currency)
    rates, others = Rates(known, currency), Rates(known, beside or currency)
    lines, total, total_cost, total_beside = [], Sums(), _TotalCost(), _TotalCost()
    for key, line_sums in sums.items():
        cost, other = line_sums.cost(rates), line_sums.cost(others)
        total.merge(line_sums)
        total_cost.add(*cost)
        total_beside.add(*other)
        lines.append(Line(key, labels.of(key), line_sums.figures(cost, cards, other if beside else None)))
    attempts = total.attempts
    whole = total.figures(total_cost.of(attempts), cards, total_beside.of(attempts) if beside else None)
    return Report(
        by=dimensions,
        period=period,
        currency=currency,
        tenant=tenant,
        lines=tuple(sorted(lines, key=_order(dimensions))),
        total=whole,
        as_of_us=as_of_us,
        notes=tuple(_notes(whole, gaps, rates, tenant)),
        beside=beside,
    )


class _TotalCost:
    """The sum of the lines' amounts, so that a printed column adds up."""

    def __init__(self) -> None:
        self.nano: int | None = None
        self.unconverted: dict[str, int] = {}

    def add(self, nano: int | None, unconverted: Mapping[str, int]) -> None:
        if nano is not None:
            self.nano = (self.nano or 0) + nano
        for currency, amount in unconverted.items():
            self.unconverted[currency] = self.unconverted.get(currency, 0) + amount

    def of(self, attempts: int) -> tuple[int | None, dict[str, int]]:
        """Return the sum over so many attempts: without any it is 0."""
        return (self.nano if attempts else 0), self.unconverted


class Labels:
    """How rows of the queries become keys of lines, and keys become words."""

    def __init__(self, store: Store, dimensions: tuple[Dimension, ...], plain_name: PlainName) -> None:
        self.dimensions = dimensions
        self._plain_name = plain_name
        self._features = queries.feature_names(store) if "feature" in dimensions else {}
        self._keys = queries.key_names(store) if "key" in dimensions else {}
        self._tenants: dict[tuple[str, ...], str] = {}
        self._many: set[tuple[str, ...]] = set()

    def turns(self) -> list[int]:
        """Return the moments at which a feature's name changes."""
        return sorted({since for names in self._features.values() for since, _name in names})

    def key(self, row: Row, day: date, since_us: int) -> tuple[str, ...]:
        """Return the key of the line that a row of one stretch belongs to."""
        tenant = str(row[0] or "")
        columns = iter(row[1:])
        key = tuple(
            day.isoformat() if name == "day" else self._value(name, tenant, next(columns), since_us)
            for name in self.dimensions
        )
        if self._tenants.setdefault(key, tenant) != tenant:
            self._many.add(key)
        return key

    def of(self, key: tuple[str, ...]) -> tuple[str, ...]:
        """Return what a person reads for a key."""
        tenant = "" if key in self._many else self._tenants.get(key, "")
        return tuple(
            self._word(name, tenant, value) for name, value in zip(self.dimensions, key, strict=True)
        )

    def _value(self, name: Dimension, tenant: str, stored: Value, since_us: int) -> str:
        value = str(stored or "")
        if name == "feature":
            for valid_from_us, given in reversed(self._features.get((tenant, value), [])):
                if valid_from_us <= since_us:
                    return given
        return value

    def _word(self, name: Dimension, tenant: str, value: str) -> str:
        if not value:
            return NONE
        if name == "customer":
            return self._plain_name(tenant, "customer", value) or value[:SHORT]
        if name == "key" and value in self._keys:
            return f"{self._keys[value]} ({value})"
        return value


def _collect(
    store: Store, dimensions: tuple[Dimension, ...], period: Period, tenant: str | None, labels: Labels
) -> dict[tuple[str, ...], Sums]:
    columns: list[Column] = [name for name in dimensions if name != "day"]
    asked = ReportQueries(store, columns, tenant)
    sums: dict[tuple[str, ...], Sums] = {}
    for day, since_us, until_us in stretches(store, period, labels.turns()):
        for row, counts in asked.calls(since_us, until_us):
            sums.setdefault(labels.key(row, day, since_us), Sums()).add_calls(counts)
        for row, values in asked.attempts(since_us, until_us):
            sums.setdefault(labels.key(row, day, since_us), Sums()).add_attempts(day, values)
        for row, (duration_us, ttft_us) in asked.times(since_us, until_us):
            if isinstance(duration_us, int) and (ttft_us is None or isinstance(ttft_us, int)):
                sums[labels.key(row, day, since_us)].add_time(duration_us, ttft_us)
    return sums


def stretches(store: Store, period: Period, turns: Sequence[int]) -> Iterator[tuple[date, int, int]]:
    """Yield the period in pieces: within one, the local day and every feature's name stay the same."""
    span = queries.data_span(store)
    if span is None:
        return
    for day, since_us, until_us in period.days(span[0], span[1] + 1):
        edges = [since_us, *(turn for turn in turns if since_us < turn < until_us), until_us]
        for start, end in pairwise(edges):
            yield day, start, end


def card_contents(store: Store) -> dict[str, PriceCard]:
    """Return every price card that is understood, by its price_id."""
    cards: dict[str, PriceCard] = {}
    for price_id, text in queries.card_texts(store).items():
        try:
            cards[price_id] = msgspec.json.decode(text, type=PriceCard)
        except msgspec.MsgspecError:
            continue
    return cards


def _order(dimensions: tuple[Dimension, ...]) -> Callable[[Line], tuple[object, ...]]:
    """Return the order of lines: by date where a day comes first, else the dearest first."""
    if dimensions[0] == "day":
        return lambda line: (line.key[0], -(line.figures.cost_nano or 0), line.key)
    return lambda line: (-(line.figures.cost_nano or 0), -line.figures.calls, line.key)


def _notes(total: Figures, gaps: Mapping[str, int], rates: Rates, tenant: str | None) -> Iterator[str]:
    if total.open:
        yield f"still running: {total.open} of {total.calls} calls; their cost is not in yet"
    if total.unpriced_calls:
        yield f"without a price: {total.unpriced_calls} of {total.calls} calls; their cost is not in it"
    for currency in sorted(total.unconverted):
        yield f"amounts in {currency} are apart: there is no exchange rate to {rates.to} for their day"
    if rates.unpinned:
        yield "amounts without an exchange rate of their own are converted at the rate of their day"
    if gaps["refused_unlisted"] and tenant is None:
        yield f"refusals without a valid key, only counted by the minute: {gaps['refused_unlisted']}"
    if gaps["lost_begins"]:
        yield f"calls in no line, for their first record is lost in a damaged journal: {gaps['lost_begins']}"
    if gaps["skipped_records"]:
        yield f"records not understood: {gaps['skipped_records']}; upgrade, then run `tidegate rebuild`"
    if gaps["alarms"]:
        yield f"damaged places in the journals: {gaps['alarms']}; figures may be incomplete"
