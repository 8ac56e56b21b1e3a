"""`tidegate report --inside`, `--naive`, `--unit-cost`, `--top-runs`: where the money goes."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Final

from tidegate.cli.sheet import Cell, Column, Row, Sheet
from tidegate.cli.view import Asked, beside, dearest, dimensions, named, notes, span, told
from tidegate.control import inside, naive
from tidegate.control.report import report
from tidegate.control.runs import Run, runs, total_nano
from tidegate.model.money import half_even
from tidegate.stores.sqlite.store import Store

SECOND_US = 1_000_000


def insides(store: Store, asked: Asked) -> Sheet:
    """Return where the money goes inside a call."""
    found = asked.cells(store, asked.period)
    lines = {key: inside.inside(found.cost(key), found.priced(key)) for key in found.lines}
    total = inside.together(lines.values())
    whole = sum(total.places)
    shares = [
        f"{name.replace('_', ' ')} {round(Fraction(100 * nano, whole))} %"
        for name, nano in zip(inside.PLACES, total.places, strict=True)
        if nano and whole
    ]

    def row(one: inside.Inside) -> Row:
        places = dict(zip(inside.PLACES, one.places, strict=True))
        return {"calls": one.attempts, "cost": one.cost_nano, **places}

    return Sheet(
        view="inside",
        columns=(*dimensions(asked), *_INSIDE),
        rows=[
            {**named(asked, found.labels[key]), **row(one), **beside(found, key)}
            for key, one in dearest(lines.items(), lambda one: one.cost_nano)
        ],
        total={**row(total), **beside(found)},
        currency=asked.currency,
        below=[
            told(asked.period),
            *([", ".join(shares)] if shares else []),
            "the input's cost by the measured tokens of each part, as if all had one price",
            *notes(asked, found),
        ],
        facts=span(asked.period),
    )


_BESIDE: Final = (Column("cost_beside", ""), Column("currency_beside", "", "text"))
_INSIDE: Final = (
    Column("calls", "", "count"),
    Column("cost", "COST"),
    Column("system", "SYSTEM"),
    Column("tools", "TOOLS"),
    Column("history", "HISTORY"),
    Column("tool_results", "RESULTS"),
    Column("last_user", "LAST TURN"),
    Column("input_unmeasured", ""),
    Column("output", "OUTPUT"),
    Column("other", "OTHER"),
    *_BESIDE,
)


def naives(store: Store, asked: Asked) -> Sheet:
    """Return what the same tokens would have cost without caches and cheaper processing."""
    found = asked.cells(store, asked.period)
    standard = naive.StandardCards(found.cards.values())
    lines = {
        key: naive.naive(found.cost(key), found.priced(key), found.cards, standard) for key in found.lines
    }
    total = naive.together(list(lines.values()))

    def row(one: naive.Naive) -> Row:
        percent = Fraction(100 * one.saved_nano, one.naive_nano) if one.naive_nano else None
        return {
            "naive": one.naive_nano,
            "cost": one.cost_nano,
            "saved": one.saved_nano,
            "saved_percent": None if percent is None else round(percent),
            "cache": one.cache_nano,
            "processing": one.processing_nano,
            "stated": one.stated_nano,
        }

    return Sheet(
        view="naive",
        columns=(*dimensions(asked), *_NAIVE),
        rows=[
            {**named(asked, found.labels[key]), **row(one), **beside(found, key)}
            for key, one in dearest(lines.items(), lambda one: one.naive_nano)
        ],
        total={**row(total), **beside(found)},
        currency=asked.currency,
        below=[
            told(asked.period),
            "NAIVE: the same tokens, none from a cache, all at standard processing, by the same cards",
            *notes(asked, found),
        ],
        facts=span(asked.period),
    )


_NAIVE: Final = (
    Column("naive", "NAIVE"),
    Column("cost", "COST"),
    Column("saved", "SAVED"),
    Column("saved_percent", "%", "percent"),
    Column("cache", "CACHE"),
    Column("processing", "PROCESSING"),
    Column("stated", "STATED"),
    *_BESIDE,
)


def unit_costs(store: Store, asked: Asked) -> Sheet:
    """Return the cost of one call and of a thousand, in both currencies where both are known."""
    made = report(
        store,
        by=asked.by,
        period=asked.period,
        currency=asked.currency,
        tenant=asked.tenant,
        plain_name=asked.plain_name,
    )
    rows = []
    for label, figures in [*((line.label, line.figures) for line in made.lines), ((), made.total)]:
        reached = figures.calls - figures.refused
        row: dict[str, Cell] = {"calls": reached, "cost": figures.cost_nano}
        row |= _units(figures.cost_nano, reached, "")
        row |= {"cost_beside": figures.beside_nano, **_units(figures.beside_nano, reached, "_beside")}
        row |= {"tokens_per_call": half_even(figures.tokens, reached) if reached else None}
        row |= {"currency_beside": made.beside}
        rows.append({**named(asked, label), **row} if label else row)
    return Sheet(
        view="unit-cost",
        columns=(*dimensions(asked), *_unit_columns(asked.currency, made.beside)),
        rows=rows[:-1],
        total=rows[-1],
        currency=asked.currency,
        below=[told(asked.period), "calls that were refused are not counted", *made.notes],
        facts={**span(asked.period), "currency_beside": made.beside},
    )


def _units(nano: int | None, calls: int, ending: str) -> Row:
    known = nano is not None and calls > 0
    return {
        f"per_call{ending}": half_even(nano or 0, calls) if known else None,
        f"per_1000_calls{ending}": half_even(1000 * (nano or 0), calls) if known else None,
    }


def _unit_columns(currency: str, beside: str | None) -> Iterator[Column]:
    yield Column("calls", "CALLS", "count")
    yield Column("tokens_per_call", "TOKENS/CALL", "tokens")
    yield Column("cost", currency)
    yield Column("per_call", "PER CALL")
    yield Column("per_1000_calls", "PER 1,000")
    yield Column("cost_beside", beside or "")
    yield Column("per_call_beside", "")
    yield Column("per_1000_calls_beside", f"{beside} PER 1,000" if beside else "")
    yield Column("currency_beside", "", "text")


def top_runs(store: Store, asked: Asked) -> Sheet:
    """Return the dearest runs."""
    found = runs(store, period=asked.period, currency=asked.currency, tenant=asked.tenant)
    total: Row = {
        "calls": sum(run.calls for run in found),
        "input_tokens": sum(run.input_tokens for run in found),
        "output_tokens": sum(run.output_tokens for run in found),
        "cost": total_nano(found),
    }
    below = [told(asked.period), "a run is what applications name in their calls; others are not in it"]
    if any(run.unconverted for run in found):
        below.append(f"of some runs a part has no exchange rate to {asked.currency} and is not in COST")
    return Sheet(
        view="top-runs",
        columns=_RUNS,
        rows=[_run(run) for run in found],
        total=total,
        currency=asked.currency,
        below=below,
        facts=span(asked.period),
    )


_RUNS: Final = (
    Column("run", "RUN", "text"),
    Column("feature", "FEATURE", "text"),
    Column("tenant", "", "text"),
    Column("calls", "CALLS", "count"),
    Column("input_tokens", "INPUT", "tokens"),
    Column("output_tokens", "OUTPUT", "tokens"),
    Column("cost", "COST"),
    Column("cost_beside", ""),
    Column("seconds", "SECONDS", "count"),
    Column("since_us", "", "count"),
)


def _run(run: Run) -> Row:
    first, last = run.features
    return {
        "run": run.run,
        "feature": first if first == last else f"{first} and others",
        "tenant": run.tenant,
        "calls": run.calls,
        "input_tokens": run.input_tokens,
        "output_tokens": run.output_tokens,
        "cost": run.cost_nano,
        "cost_beside": run.beside_nano,
        "seconds": (run.until_us - run.since_us) // SECOND_US,
        "since_us": run.since_us,
    }
