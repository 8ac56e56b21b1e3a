"""The imported exchange rates: what is known of each day, what is new in a file, what gateways need."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from itertools import islice

import msgspec

from tidegate.model.errors import BadRequest
from tidegate.model.money import Fx, plain
from tidegate.model.record import RatesImported
from tidegate.model.reference_rate import LONGEST_RATE, RATES_A_RECORD, imported_rates

SHIPPED_DAYS = 10
"""How far back gateways know imported rates: further than any run of days without one."""

MOST_NAMED = 5


class RatesRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rates to import: one unit of `base` is `rate` of `quote`, as `[quote, day, rate]`."""

    base: str
    source: str
    rates: tuple[tuple[str, str, str], ...]


class RatesTaken(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an import: how many rates are new, how many were known with the same value."""

    added: int
    known: int


def request_of(rates: Sequence[Fx]) -> RatesRequest:
    """Return the request that imports rates of one base and source."""
    return RatesRequest(
        base=rates[0].base,
        source=rates[0].source,
        rates=tuple((fx.quote, fx.date.isoformat(), fx.rate) for fx in rates),
    )


class ImportedRates:
    """Every imported rate, by pair and day. A day's rate is taken once and never changes."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, date], Fx] = {}

    def replay(self, record: RatesImported) -> None:
        """Take in what was journalled; the first rate of a day stays."""
        for fx in imported_rates(record):
            self._known.setdefault(_key(fx), fx)

    def news(self, asked: RatesRequest, today: date) -> list[Fx]:
        """Return the rates that are not known yet, oldest first.

        Raises BadRequest, and names days and values, where one is known with another rate, has not come, or
        converts nothing.
        """
        rates = list(_read(asked))
        wrong = [
            f"{fx.date} {fx.base}/{fx.quote} is known as {known.rate}, not {fx.rate}"
            for fx in rates
            if (known := self._known.get(_key(fx))) is not None and known.rate != fx.rate
        ]
        if wrong:
            more = f", and {len(wrong) - MOST_NAMED} more" if len(wrong) > MOST_NAMED else ""
            raise BadRequest(
                f"{'; '.join(wrong[:MOST_NAMED])}{more}. Nothing was imported: a day's rate never changes. "
                "State a correction in [[prices.fx]]; it holds for calls from then on."
            )
        for fx in rates:
            if fx.date > today:
                raise BadRequest(f"{fx.date} has not come: today is {today} (UTC). Nothing was imported.")
        new = {_key(fx): fx for fx in rates if _key(fx) not in self._known}
        return sorted(new.values(), key=lambda fx: (fx.date, fx.quote))

    def shipped(self, today: date) -> tuple[Fx, ...]:
        """Return what a gateway needs from today on: each pair's last rates, oldest first.

        A pair that is no longer published keeps its last one.
        """
        last: dict[tuple[str, str], date] = {}
        for base, quote, day in self._known:
            if day <= today:
                last[base, quote] = max(day, last.get((base, quote), day))
        kept = [
            fx
            for fx in self._known.values()
            if (fx.base, fx.quote) in last
            and fx.date >= last[fx.base, fx.quote] - timedelta(days=SHIPPED_DAYS)
        ]
        return tuple(sorted(kept, key=lambda fx: (fx.date, fx.quote)))


def records_of(rates: Iterable[Fx], source: str, *, at: int, by: str) -> Iterator[RatesImported]:
    """Yield the records, without their numbers, that keep these rates of one base."""
    left = iter(rates)
    while some := list(islice(left, RATES_A_RECORD)):
        yield RatesImported(
            seq=0,
            at=at,
            by=by,
            base=some[0].base,
            source=source,
            rates=tuple((fx.quote, fx.date.isoformat(), fx.rate) for fx in some),
        )


def _key(fx: Fx) -> tuple[str, str, date]:
    return (fx.base, fx.quote, fx.date)


def _read(asked: RatesRequest) -> Iterator[Fx]:
    seen: dict[tuple[str, str, date], str] = {}
    for quote, day, text in asked.rates:
        try:
            if len(text) > LONGEST_RATE:
                raise ValueError(f"a rate has at most {LONGEST_RATE} characters")  # noqa: TRY301 - one place
            at, rate = date.fromisoformat(day), plain(text)
            fx = Fx(base=asked.base, quote=quote, rate=rate, date=at, source=asked.source)
        except ValueError as error:
            raise BadRequest(f"{day} {asked.base}/{quote}: {error}. Nothing was imported.") from None
        if seen.setdefault(_key(fx), rate) != rate:
            raise BadRequest(f"{day} {asked.base}/{quote} is given twice. Nothing was imported.")
        yield fx
