"""How a report is written: for people (a table of at most 100 columns), as JSON, as CSV."""

import csv
import io
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import msgspec

from tidegate.control.figures import Figures
from tidegate.control.period import local_time
from tidegate.control.report import Line, Report
from tidegate.model.money import NANO, shown

if TYPE_CHECKING:
    from rich.table import Table

WIDTH = 100
UNKNOWN = "unknown"
NOTHING = "-"
_ROOM_BESIDE = 12
"""The second currency has a column where that leaves each dimension so much room."""
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # noqa: RUF001 - spreadsheets read them as the ASCII ones
_NAMED = ("customer", "key")
_COUNTS = ("calls", "refused", "failed", "cancelled", "interrupted", "open", "attempts")
_TOKENS = ("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens")
_SHARES = (
    *("generation_calls", "unlimited_calls", "unpriced_calls", "unpriced_tokens"),
    *("estimated_calls", "estimated_tokens", "tokens"),
)
_TIMES = ("p50_us", "p95_us", "ttft_p50_us", "ttft_p95_us")


def as_json(report: Report) -> str:
    """Return the whole report as one JSON object: integers, decimals as text, null where unknown."""
    value = {
        "by": report.by,
        "since_us": report.period.since_us,
        "until_us": report.period.until_us,
        "time_zone": report.period.zone.key,
        "currency": report.currency,
        "tenant": report.tenant,
        "as_of_us": report.as_of_us,
        "rows": [{**_named(report, line), **_values(line.figures)} for line in report.lines],
        "total": _values(report.total),
        "notes": report.notes,
        "currency_beside": report.beside,
    }
    return msgspec.json.format(msgspec.json.encode(value)).decode()


def as_csv(report: Report) -> str:
    """Return the lines as CSV with a header and no total; unknown is an empty cell.

    A text that a spreadsheet would take for a formula is given an apostrophe (case 39).
    """
    rows = [{**_named(report, line), **_values(line.figures)} for line in report.lines]
    names = list(rows[0]) if rows else [*report.by, *_values(report.total)]
    out = io.StringIO()
    writer = csv.writer(out)
    names.remove("cost_beside")
    writer.writerow([*names, "currency", "cost_beside", "currency_beside"])
    for row in rows:
        money_cells = (report.currency, _cell(row["cost_beside"]), report.beside or "")
        writer.writerow([*(_cell(row[name]) for name in names), *money_cells])
    return out.getvalue()


def as_table(report: Report, limit: int) -> "tuple[Table | None, list[str]]":
    """Return the table, None where there is no line, and the sentences below it.

    At most `limit` lines are shown (0: all of them); the total is always that of all.
    """
    if not report.lines:
        return None, [f"No calls in {_period(report)}.", _as_of(report), *_sentences(report)]
    lines = report.lines[:limit] if limit else report.lines
    below = []
    if len(lines) < len(report.lines):
        below.append(f"{len(report.lines) - len(lines)} more lines are in the total; --limit 0 shows them")
    everything = [line.figures for line in lines] + [report.total]
    if any(figures.estimated_calls for figures in everything):
        below.append("~ estimated in part: the provider did not state all of the usage or the price")
    if any(figures.at_least for figures in everything):
        below.append("+ the cost is at least this: part of it is not known, or not in this currency")
    return _table(report, lines), [*below, _as_of(report), *_sentences(report)]


def visible(text: str) -> str:
    """Return a text that cannot move the cursor or turn the writing direction (case 39)."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "backslashreplace").decode()
        for char in text
    )


def csv_text(text: str) -> str:
    """Return a text as a CSV cell that no spreadsheet evaluates."""
    safe = visible(text)
    return "'" + safe if safe.lstrip().startswith(_FORMULA) else safe


def money(nanos: Sequence[int | None], most_places: int = 6) -> list[str]:
    """Return amounts with the same number of decimals: two digits of the smallest, if that fits.

    An amount that would show as zero is shown as less than the last decimal.
    """
    smallest = min((abs(nano) for nano in nanos if nano), default=NANO)
    places = 2
    while places < most_places and smallest < 10 ** (9 - places + 1):
        places += 1
    least = 10 ** (9 - places)
    return [
        UNKNOWN
        if nano is None
        else f"<{shown(least, places)}"
        if 0 < nano * 2 <= least
        else _grouped(shown(nano, places))
        for nano in nanos
    ]


def tokens(count: int | None) -> str:
    """Return a number of tokens in at most seven characters."""
    if count is None:
        return UNKNOWN
    if count < 100_000:
        return f"{count:,}"
    for unit, size in (("k", 10**3), ("M", 10**6), ("G", 10**9)):
        if count < 1000 * size - size // 20 or unit == "G":
            return f"{_decimal(Fraction(count, size), 1)}{unit}"
    raise AssertionError


def _named(report: Report, line: Line) -> dict[str, str | None]:
    named: dict[str, str | None] = {}
    for name, value, label in zip(report.by, line.key, line.label, strict=True):
        named[name] = value or None
        if name in _NAMED:
            named[f"{name}_name"] = label if value else None
    return named


def _values(figures: Figures) -> dict[str, str | int | None]:
    apart = sorted(figures.unconverted.items())
    ratio = figures.price_ratio
    return {
        **{name: getattr(figures, name) for name in (*_COUNTS, *_TOKENS)},
        "cost": None if figures.cost_nano is None else shown(figures.cost_nano),
        "cost_elsewhere": "; ".join(f"{currency} {shown(nano)}" for currency, nano in apart) or None,
        "cost_per_call": None if figures.cost_per_call_nano is None else shown(figures.cost_per_call_nano),
        "output_input_price_ratio": None if ratio is None else _decimal(ratio, 2),
        **{name: getattr(figures, name) for name in (*_SHARES, *_TIMES)},
        "cost_beside": None if figures.beside_nano is None else shown(figures.beside_nano),
    }


def _cell(value: str | int | None) -> str | int:
    if value is None:
        return ""
    return value if isinstance(value, int) else csv_text(value)


def _table(report: Report, lines: Sequence[Line]) -> "Table":
    from rich.table import Table  # noqa: PLC0415 - imported late: most commands print no table
    from rich.text import Text  # noqa: PLC0415

    figures = [line.figures for line in lines] + [report.total]
    columns = _columns(report, figures)
    room = _room(report, columns)
    if _both_known(report):
        wider = [*columns]
        wider.insert(6, (str(report.beside), money([one.beside_nano for one in figures])))
        if _room(report, wider) >= _ROOM_BESIDE:
            columns, room = wider, _room(report, wider)
    room = max(10, room)
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", pad_edge=False)
    for name in report.by:
        table.add_column(name.upper(), no_wrap=True, overflow="ellipsis", max_width=room)
    for head, _ in columns:
        table.add_column(head, justify="right" if head else "left", no_wrap=True)
    for at, line in enumerate(lines):
        labels = [Text(visible(label)) for label in line.label]
        table.add_row(*labels, *(Text(cells[at]) for _, cells in columns), end_section=at == len(lines) - 1)
    first, *rest = report.by
    del first
    total = [Text("TOTAL"), *(Text("") for _ in rest), *(Text(cells[-1]) for _, cells in columns)]
    table.add_row(*total, style="bold")
    return table


def _room(report: Report, columns: Sequence[tuple[str, list[str]]]) -> int:
    """Return how many characters each dimension may take beside these columns."""
    used = sum(max(len(head), *map(len, cells)) + 1 for head, cells in columns)
    return (WIDTH - used) // len(report.by) - 1


def _both_known(report: Report) -> bool:
    """Whether the whole cost is known in both currencies, and there is some."""
    total = report.total
    return bool(total.cost_nano and total.beside_nano and not total.unconverted)


def _columns(report: Report, figures: Sequence[Figures]) -> list[tuple[str, list[str]]]:
    """Return each column's heading and cells, the total last."""
    columns = [
        ("CALLS", [f"{one.calls:,}" for one in figures]),
        ("NOT OK", [f"{_not_ok(one):,}" for one in figures]),
        ("INPUT", [tokens(one.input_tokens) for one in figures]),
        ("CACHED", [tokens(one.cached_tokens) for one in figures]),
        ("OUTPUT", [tokens(_output(one)) for one in figures]),
        (report.currency, money([one.cost_nano for one in figures])),
        ("", [_marks(one) for one in figures]),
        ("PER CALL", _per_call(figures)),
        ("OUT/IN", [_ratio(one.price_ratio) for one in figures]),
        ("NO CAP", [_percent(one.unlimited_calls, one.generation_calls) for one in figures]),
        ("P95 MS", [_milliseconds(one.p95_us) for one in figures]),
    ]
    for currency in sorted(report.total.unconverted, reverse=True):
        apart = [one.unconverted.get(currency, 0) for one in figures]
        columns.insert(7, (f"+ {currency}", money(apart)))
    if not any(columns[6][1]):
        del columns[6]
    return columns


def _sentences(report: Report) -> list[str]:
    total = report.total
    told = list(report.notes)
    if _both_known(report):
        both = f"{report.currency} {shown(total.cost_nano or 0, 2)}, {report.beside}"
        told.insert(0, f"in both currencies: {both} {shown(total.beside_nano or 0, 2)}")
    if total.attempts:
        estimated = _percent(total.estimated_calls, total.calls)
        unpriced = _percent(total.unpriced_calls, total.calls)
        told.insert(
            0,
            f"estimated: {estimated} of calls, {_percent(total.estimated_tokens, total.tokens)} of tokens; "
            f"unpriced: {unpriced} of calls, {_percent(total.unpriced_tokens, total.tokens)} of tokens",
        )
    return told


def _period(report: Report) -> str:
    zone = report.period.zone
    since, until = (local_time(at, zone) for at in (report.period.since_us, report.period.until_us))
    return f"{since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} ({zone.key})"


def _as_of(report: Report) -> str:
    whose = "all tenants" if report.tenant is None else f"tenant {visible(report.tenant)}"
    if report.as_of_us is None:
        return f"as of: nothing was recorded yet; {_period(report)}, {whose}"
    as_of = local_time(report.as_of_us, report.period.zone)
    return f"as of {as_of:%Y-%m-%d %H:%M:%S %Z}; {_period(report)}, {whose}"


def _not_ok(figures: Figures) -> int:
    return figures.refused + figures.failed + figures.cancelled + figures.interrupted


def _per_call(figures: Sequence[Figures]) -> list[str]:
    cells = money([one.cost_per_call_nano for one in figures])
    reached = [one.calls > one.refused for one in figures]
    return [cell if has else NOTHING for cell, has in zip(cells, reached, strict=True)]


def _output(figures: Figures) -> int | None:
    said = [count for count in (figures.output_tokens, figures.reasoning_tokens) if count is not None]
    return sum(said) if said else None


def _marks(figures: Figures) -> str:
    return ("~" if figures.estimated_calls else "") + ("+" if figures.at_least else "")


def _ratio(ratio: Fraction | None) -> str:
    return NOTHING if ratio is None else f"{_decimal(ratio, 1)}x"


def _percent(part: int, whole: int) -> str:
    """Return a share without hiding a small one as 0 %, nor a gap as 100 %."""
    if not whole:
        return NOTHING
    percent = round(Fraction(100 * part, whole))
    if part and not percent:
        return "<1 %"
    return ">99 %" if part < whole and percent == 100 else f"{percent} %"


def _milliseconds(us: int | None) -> str:
    return NOTHING if us is None else f"{round(Fraction(us, 1000)):,}"


def _decimal(value: Fraction, places: int) -> str:
    return shown(round(value * 10**9), places)


def _grouped(decimal: str) -> str:
    whole, dot, fraction = decimal.partition(".")
    return f"{int(whole):,}{dot}{fraction}" if not decimal.startswith("-") else decimal
