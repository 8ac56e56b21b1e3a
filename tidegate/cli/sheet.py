"""A table of figures of any view, written for people (at most 100 columns), as JSON, or as CSV."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import msgspec

from tidegate.cli.report_text import NOTHING, UNKNOWN, WIDTH, csv_text, money, tokens, visible
from tidegate.config.budget_rules import COUNTED
from tidegate.model.money import shown

if TYPE_CHECKING:
    from rich.table import Table

Kind = Literal["text", "word", "money", "count", "tokens", "percent", "amount"]
Cell = str | int | None
Row = Mapping[str, Cell]


@dataclass(frozen=True, slots=True)
class Column:
    """One figure: its name in JSON and CSV, its heading in a table (none: not in it), how it is written.

    A `text` is cut where the page is too narrow, a `word` is not. `money` is in nano-units and written as an
    exact decimal, in a table rounded; an `amount` is money unless the row's `unit` is one that is counted.
    `percent` is whole.
    """

    name: str
    head: str
    kind: Kind = "money"


@dataclass(frozen=True, slots=True)
class Sheet:
    """A view's rows under its columns, and their total. `facts` stand beside them in JSON, `below` below.

    `currency` is None where each row has a unit of its own.
    """

    view: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    total: Row | None
    currency: str | None
    below: Sequence[str]
    facts: Mapping[str, Cell] = field(default_factory=dict)


def as_json(sheet: Sheet) -> str:
    """Return the sheet as one JSON object: integers, decimals as text, null where unknown."""
    value = {
        "view": sheet.view,
        "currency": sheet.currency,
        **sheet.facts,
        "rows": [_plain(sheet, row) for row in sheet.rows],
        "total": None if sheet.total is None else _plain(sheet, sheet.total),
        "notes": list(sheet.below),
    }
    return msgspec.json.format(msgspec.json.encode(value)).decode()


def as_csv(sheet: Sheet) -> str:
    """Return the rows as CSV with a header and no total; unknown is an empty cell."""
    out = io.StringIO()
    writer = csv.writer(out)
    currency = [] if sheet.currency is None else [sheet.currency]
    writer.writerow([*(column.name for column in sheet.columns), *(["currency"] if currency else [])])
    for row in sheet.rows:
        cells = _plain(sheet, row).items()
        texts = {column.name for column in sheet.columns if column.kind in ("text", "word")}
        written = (csv_text(str(value)) if name in texts and value else value for name, value in cells)
        writer.writerow([*("" if value is None else value for value in written), *currency])
    return out.getvalue()


def as_table(sheet: Sheet, limit: int) -> "tuple[Table | None, list[str]]":
    """Return the table, None where there is no row, and the sentences below it.

    At most `limit` rows are shown (0: all of them); the total is always that of all.
    """
    if not sheet.rows:
        return None, ["Nothing to show.", *sheet.below]
    rows = sheet.rows[:limit] if limit else sheet.rows
    below = list(sheet.below)
    if len(rows) < len(sheet.rows):
        left = len(sheet.rows) - len(rows)
        below.insert(0, f"{left} more lines are in the total; --limit 0 shows them")
    return _table(sheet, rows), below


def _plain(sheet: Sheet, row: Row) -> dict[str, Cell]:
    found: dict[str, Cell] = {}
    for column in sheet.columns:
        value = row.get(column.name)
        is_money = column.kind == "money" or (column.kind == "amount" and row.get("unit") not in COUNTED)
        found[column.name] = shown(value) if is_money and isinstance(value, int) else value
    return found


def _table(sheet: Sheet, rows: Sequence[Row]) -> "Table":
    from rich.table import Table  # noqa: PLC0415 - imported late: most commands print no table
    from rich.text import Text  # noqa: PLC0415

    every = [*rows, *([sheet.total] if sheet.total is not None else [])]
    heads = [column for column in sheet.columns if column.head]
    cells = {column.name: _written(column, every) for column in heads}
    texts = [column for column in heads if column.kind == "text"]
    used = sum(
        max(len(column.head), *map(len, cells[column.name])) + 1 for column in heads if column not in texts
    )
    room = max(8, (WIDTH - used) // max(1, len(texts)) - 1)
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", pad_edge=False)
    for column in heads:
        if column in texts:
            table.add_column(column.head, no_wrap=True, overflow="ellipsis", max_width=room)
        else:
            side: Literal["left", "right"] = "left" if column.kind == "word" else "right"
            table.add_column(column.head, justify=side, no_wrap=True)
    for at in range(len(rows)):
        line = (Text(cells[column.name][at]) for column in heads)
        table.add_row(*line, end_section=at == len(rows) - 1)
    if sheet.total is not None:
        last = ["TOTAL" if column is heads[0] else cells[column.name][-1] for column in heads]
        table.add_row(*(Text(cell) for cell in last), style="bold")
    return table


def _written(column: Column, rows: Sequence[Row]) -> list[str]:
    values = [row.get(column.name) for row in rows]
    if column.kind in ("text", "word"):
        return ["" if value is None else visible(str(value)) for value in values]
    numbers = [value if isinstance(value, int) else None for value in values]
    if column.kind == "money":
        return [NOTHING if cell == UNKNOWN else cell for cell in money(numbers, most_places=4)]
    if column.kind == "tokens":
        return [NOTHING if number is None else tokens(number) for number in numbers]
    if column.kind == "amount":
        return [_amount(row.get(column.name), row.get("unit")) for row in rows]
    if column.kind == "percent":
        return [NOTHING if number is None else f"{number} %" for number in numbers]
    return [NOTHING if number is None else f"{number:,}" for number in numbers]


def _amount(value: Cell, unit: Cell) -> str:
    if not isinstance(value, int):
        return NOTHING
    return f"{value:,}" if unit in COUNTED else shown(value, 2)
