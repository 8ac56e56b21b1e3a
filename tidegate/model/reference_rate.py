"""Dated reference rates of one base currency, as they are imported, journalled and read again."""

from collections.abc import Iterator
from datetime import date

from tidegate.model.money import Fx
from tidegate.model.record import RatesImported

RATES_A_RECORD = 250
"""So many fit the largest frame of a journal, with rates of `LONGEST_RATE` characters."""

LONGEST_RATE = 24


def imported_rates(record: RatesImported) -> Iterator[Fx]:
    """Yield a record's rates. Raises ValueError for one that nothing converts with."""
    for quote, day, rate in record.rates:
        at = date.fromisoformat(day)
        yield Fx(base=record.base, quote=quote, rate=rate, date=at, source=record.source)
