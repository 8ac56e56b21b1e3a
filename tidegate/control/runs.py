"""The dearest runs of a period: what one task of an agent, over all its calls, came to."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from tidegate.control.figures import Rates
from tidegate.control.period import Period
from tidegate.control.report import BESIDE, stretches
from tidegate.stores.sqlite import queries
from tidegate.stores.sqlite.period_queries import PeriodQueries
from tidegate.stores.sqlite.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run. `features` are the first and the last by name.

    `cost_nano` leaves out what has no exchange rate (`unconverted`) and is None where nothing has one.
    """

    tenant: str
    run: str
    calls: int
    attempts: int
    input_tokens: int
    output_tokens: int
    cost_nano: int | None
    beside_nano: int | None
    unconverted: bool
    features: tuple[str, str]
    since_us: int
    until_us: int


def runs(store: Store, *, period: Period, currency: str, tenant: str | None = None) -> list[Run]:
    """Return every run with a billed call that began in `period`, the dearest first."""
    found: dict[tuple[str, str], Run] = {}
    with store.transaction():
        known = queries.rates(store)
        rates, beside = Rates(known, currency), Rates(known, BESIDE.get(currency, currency))
        asked = PeriodQueries(store, (), tenant)
        for day, since_us, until_us in stretches(store, period, ()):
            for whose, name, own, fx_id, *facts in asked.runs(since_us, until_us):
                calls, attempts, nano, read, written, first, last, began_us, ended_us = facts
                cost = rates.converted(_int(nano), str(own), str(fx_id), day)
                run = Run(
                    tenant=str(whose),
                    run=str(name),
                    calls=_int(calls),
                    attempts=_int(attempts),
                    input_tokens=_int(read),
                    output_tokens=_int(written),
                    cost_nano=cost,
                    beside_nano=beside.converted(_int(nano), str(own), str(fx_id), day),
                    unconverted=cost is None,
                    features=(str(first or ""), str(last or "")),
                    since_us=_int(began_us),
                    until_us=_int(ended_us),
                )
                key = (run.tenant, run.run)
                found[key] = _joined(found[key], run) if key in found else run
    return sorted(found.values(), key=lambda run: (-(run.cost_nano or 0), run.tenant, run.run))


def total_nano(listed: Iterable[Run]) -> int:
    """Return what runs cost together."""
    return sum(run.cost_nano or 0 for run in listed)


def _joined(one: Run, other: Run) -> Run:
    """Return the sum of two parts of one run."""
    costs, beside = (one.cost_nano, other.cost_nano), (one.beside_nano, other.beside_nano)
    return replace(
        one,
        calls=one.calls + other.calls,
        attempts=one.attempts + other.attempts,
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        cost_nano=None if costs == (None, None) else sum(nano or 0 for nano in costs),
        beside_nano=None if None in beside else sum(nano or 0 for nano in beside),
        unconverted=one.unconverted or other.unconverted,
        features=(min(one.features[0], other.features[0]), max(one.features[1], other.features[1])),
        since_us=min(one.since_us, other.since_us),
        until_us=max(one.until_us, other.until_us),
    )


def _int(value: object) -> int:
    assert value is None or isinstance(value, int)
    return value or 0
