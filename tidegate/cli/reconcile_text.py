"""How a reconciliation is written: for people (at most 100 columns), as JSON, as CSV."""

import csv
import io
from collections.abc import Iterator, Sequence

import msgspec

from tidegate.cli.report_text import NOTHING, WIDTH, csv_text, money, visible
from tidegate.control.drift import CAUSES, MEANINGS, Cause, Ours, Parts, Theirs
from tidegate.control.exports.export import KINDS
from tidegate.control.period import local_time
from tidegate.control.reconcile import Cell, Reconciliation, effective_rates, figure
from tidegate.model.money import shown

WORDS: dict[Cause, str] = {cause: cause.replace("_", " ") for cause in CAUSES}
MOST_MODEL = 26
MOST_KEY = 16
CHANCE_NANO = 1_000

Value = str | int | None


def as_json(made: Reconciliation) -> str:
    """Return everything as one JSON object: integers, decimals as text, null where a side does not say."""
    total = made.total
    value = {
        "measure": made.measure,
        "currency": made.currency,
        "time_zone": made.zone.key,
        "days": [day.isoformat() for day in made.days],
        "as_of_us": made.as_of_us,
        "cells": [_cell(cell) for cell in made.cells],
        "total": {
            "theirs": _figure(made, total.theirs),
            "ours": _figure(made, total.ours),
            "difference": _figure(made, total.difference),
            "causes": {cause: _figure(made, part) for cause, part in _ordered(total.parts)},
        },
        "apart": [{"model": model or None, "key": key or None} for model, key in made.apart],
        "within_tolerance": made.within,
        "notes": made.notes,
    }
    return msgspec.json.format(msgspec.json.encode(value)).decode()


def as_csv(made: Reconciliation) -> str:
    """Return a line for each cell, with a header and no total; what a side does not say is empty."""
    out = io.StringIO()
    writer = csv.writer(out)
    names = [
        *("day", "model", "key", "currency", "their_cost", "our_cost", "cost_difference"),
        *(f"cost_{cause}" for cause in CAUSES),
        *("their_calls", "our_calls"),
        *(f"{side}_{kind}_tokens" for kind in KINDS for side in ("their", "our")),
        *(f"tokens_{cause}" for cause in CAUSES),
    ]
    writer.writerow(names)
    for cell in made.cells:
        day, model, key = cell.spot
        theirs, ours = cell.theirs, cell.ours
        known = None if theirs.nano is None else theirs.nano - ours.nano
        values: list[Value] = [day.isoformat(), csv_text(model), csv_text(key), made.currency]
        values += [_amount(theirs.nano), shown(ours.nano), _amount(known)]
        values += [None if cell.money is None else shown(cell.money.get(cause, 0)) for cause in CAUSES]
        values += [theirs.calls, ours.calls]
        for kind in KINDS:
            values += [_count(theirs, kind), _count(ours, kind)]
        values += [None if cell.tokens is None else cell.tokens.get(cause, 0) for cause in CAUSES]
        writer.writerow(["" if value is None else value for value in values])
    return out.getvalue()


def as_text(made: Reconciliation, limit: int) -> Iterator[str]:
    """Yield the table of cells that differ, the totals with their causes, and what a reader must know.

    At most `limit` lines are shown (0: all of them), the largest differences first; totals are of all.
    """
    unlike = [cell for cell in made.cells if _differs(made, cell)]
    order = sorted(unlike, key=lambda cell: -abs(_difference(made, cell)))
    chosen = order[:limit] if limit else order
    yield from _table(made, sorted(chosen, key=lambda cell: cell.spot))
    if len(chosen) < len(unlike):
        yield f"{len(unlike) - len(chosen)} more lines differ by less; --limit 0 shows them"
    yield ""
    if len(unlike) < len(made.cells):
        yield f"{len(made.cells) - len(unlike)} of {len(made.cells)} lines agree and are not shown"
    yield from _causes(made)
    yield from _rates(made, chosen)
    first, last = made.days[0], made.days[-1]
    as_of = (
        "nothing" if made.as_of_us is None else f"{local_time(made.as_of_us, made.zone):%Y-%m-%d %H:%M:%S}"
    )
    count = "1 day" if len(made.days) == 1 else f"{len(made.days)} days"
    yield f"{count}, {first} to {last} ({made.zone.key}); our record as of {as_of}"
    yield from made.notes
    yield _verdict(made)


def _table(made: Reconciliation, cells: Sequence[Cell]) -> Iterator[str]:
    unit = made.currency if made.measure == "money" else "TOKENS"
    total = made.total
    sides = [(figure(one.theirs, made.measure), figure(one.ours, made.measure)) for one in cells]
    figures = _figures(made, [*sides, (total.theirs, total.ours)])
    keyed = any(cell.spot[2] for cell in made.cells)
    names = [[f"{c.spot[0]}", _cut(c.spot[1] or NOTHING, MOST_MODEL)] for c in cells] + [["TOTAL", ""]]
    heads = ["DAY", "MODEL"]
    if keyed:
        heads.append("KEY")
        for name, key in zip(names, [*(cell.spot[2] for cell in cells), ""], strict=True):
            name.append(_cut(key, MOST_KEY))
    heads += [f"THEIRS {unit}", "OURS", "DIFFERENCE"]
    rows = [[*name, *three] for name, three in zip(names, figures, strict=True)]
    widths = [max(len(head), *(len(row[at]) for row in rows)) for at, head in enumerate(heads)]
    texts = len(heads) - 3
    causes = [*(_words(made, _parts(made, cell)) for cell in cells), _words(made, {})]
    for row, cause in zip([heads, *rows], ["CAUSES", *causes], strict=True):
        cut = [
            c.ljust(w) if at < texts else c.rjust(w)
            for at, (c, w) in enumerate(zip(row, widths, strict=True))
        ]
        yield _cut("  ".join([*cut, cause]).rstrip(), WIDTH)


def _figures(made: Reconciliation, sides: Sequence[tuple[int, int]]) -> list[tuple[str, str, str]]:
    """Return theirs, ours and the difference of each pair, all with as many decimals."""
    numbers = [number for theirs, ours in sides for number in (theirs, ours, theirs - ours)]
    texts = [sign.replace("+", "") + text for sign, text in _split(made, numbers)]
    apart = _signed(made, numbers)
    return list(zip(texts[::3], texts[1::3], apart[2::3], strict=True))


def _causes(made: Reconciliation) -> Iterator[str]:
    found = _ordered(made.total.parts)
    amounts = _signed(made, [part for _, part in found])
    width = max((len(amount) for amount in amounts), default=0)
    for (cause, _), amount in zip(found, amounts, strict=True):
        yield f"  {WORDS[cause]:<13}  {amount.rjust(width)}  {MEANINGS[cause]}"


def _rates(made: Reconciliation, cells: Sequence[Cell]) -> Iterator[str]:
    told = set()
    for cell in cells:
        rates = effective_rates(cell)
        if rates is None or (cell.spot[1], rates) in told:
            continue
        told.add((cell.spot[1], rates))
        theirs, ours = money(list(rates))
        name = _cut(cell.spot[1] or "all models", MOST_MODEL)
        yield (
            f"  {name}, {cell.spot[0]}: {made.currency} per million tokens of its mix: theirs {theirs}, "
            f"ours {ours}"
        )


def _verdict(made: Reconciliation) -> str:
    if made.within:
        return "within the tolerance"
    names = [_cut("/".join(filter(None, spot)) or "all models", MOST_MODEL) for spot in made.apart]
    shown_names = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"not within the tolerance: {shown_names or 'the total'}"


def _cell(cell: Cell) -> dict[str, object]:
    day, model, key = cell.spot
    theirs, ours = cell.theirs, cell.ours
    rates = effective_rates(cell)
    return {
        "day": day.isoformat(),
        "model": model or None,
        "key": key or None,
        "theirs": {"cost": _amount(theirs.nano), "calls": theirs.calls, "tokens": theirs.tokens},
        "ours": {
            "cost": shown(ours.nano),
            "calls": ours.calls,
            "unpriced_calls": ours.unpriced.calls,
            "estimated_calls": ours.estimated.calls,
            "cancelled_calls": ours.cancelled.calls,
            "tokens": ours.tokens,
        },
        "difference": {
            "cost": None if theirs.nano is None else shown(theirs.nano - ours.nano),
            "tokens": None if theirs.tokens is None else _sum(theirs) - _sum(ours),
        },
        "causes": {
            "cost": None
            if cell.money is None
            else {cause: shown(part) for cause, part in cell.money.items()},
            "tokens": cell.tokens,
        },
        "rates_per_million": None if rates is None else {"theirs": shown(rates[0]), "ours": shown(rates[1])},
    }


def _parts(made: Reconciliation, cell: Cell) -> Parts:
    return (cell.money if made.measure == "money" else cell.tokens) or {}


def _differs(made: Reconciliation, cell: Cell) -> bool:
    """Whether a cell is worth a line: digits that a provider's amounts have by chance are not."""
    parts = _parts(made, cell)
    return bool(parts) and not (parts.keys() == {"rest"} and abs(parts["rest"]) < CHANCE_NANO)


def _difference(made: Reconciliation, cell: Cell) -> int:
    return figure(cell.theirs, made.measure) - figure(cell.ours, made.measure)


def _ordered(parts: Parts) -> list[tuple[Cause, int]]:
    return [(cause, parts[cause]) for cause in CAUSES if parts.get(cause)]


def _words(made: Reconciliation, parts: Parts) -> str:
    """Return the causes, the largest first; one alone needs no figure: it is the difference."""
    found = sorted(_ordered(parts), key=lambda one: -abs(one[1]))
    if len(found) == 1:
        return WORDS[found[0][0]]
    amounts = _signed(made, [part for _, part in found])
    return ", ".join(f"{WORDS[cause]} {amount}" for (cause, _), amount in zip(found, amounts, strict=True))


def _figure(made: Reconciliation, number: int) -> str | int:
    return shown(number) if made.measure == "money" else number


def _signed(made: Reconciliation, numbers: Sequence[int]) -> list[str]:
    return ["".join(pair) for pair in _split(made, numbers)]


def _split(made: Reconciliation, numbers: Sequence[int]) -> list[tuple[str, str]]:
    """Return the sign and the digits of each number."""
    sizes = [abs(number) for number in numbers]
    digits = money(sizes) if made.measure == "money" else [f"{size:,}" for size in sizes]
    signs = ["-" if number < 0 else "+" if number > 0 else "" for number in numbers]
    return list(zip(signs, digits, strict=True))


def _amount(nano: int | None) -> str | None:
    return None if nano is None else shown(nano)


def _count(side: Theirs | Ours, kind: str) -> int | None:
    tokens = side.tokens
    return None if tokens is None else {**tokens}.get(kind)  # type: ignore[call-overload]


def _sum(side: Theirs | Ours) -> int:
    return sum((side.tokens or {}).values())


def _cut(text: str, most: int) -> str:
    plain = visible(text)
    return plain if len(plain) <= most else plain[: most - 1] + "…"
