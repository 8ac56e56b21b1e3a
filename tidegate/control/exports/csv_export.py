"""A table of anybody's: CSV with a day, and a cost, tokens or both; columns are found by their headings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from tidegate.control.exports.export import Export, Kind, Line
from tidegate.control.exports.pages import Repeats
from tidegate.control.exports.table import Row, Table
from tidegate.model.errors import BadRequest

FIELDS = ("day", "model", "key", "calls", "input", "cached", "output", "cost")
"""What a column can be. `input` is every input token, `cached` those of them that were read from a cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvForm:
    """How a table is written. `columns` are headings by field, where they differ from the field's name.

    With `decimal_comma` 0,5 is a half and cells are parted by semicolons.
    """

    zone: ZoneInfo
    columns: Mapping[str, str] = field(default_factory=dict)
    decimal_comma: bool = False
    currency: str = "USD"


def read(file: str, text: str, form: CsvForm, repeats: Repeats) -> Export:
    """Return the table. Days between its first and its last are part of it, also without a line.

    Raises BadRequest with the number of the line and the column at fault.
    """
    table = _table(file, text, form)
    repeats.check_table(file, text)
    kinds: set[Kind] = {"input", "output"} if {"input", "output"} <= set(table.fields) else set()
    if kinds and "cached" in table.fields:
        kinds.add("cache_read")
    rows = [(row.day("day", form.zone), row) for row in table.rows()]
    days = table.days({day for day, _ in rows}, form.zone)
    return Export(
        lines=tuple(
            Line(
                since_us=days[day][0],
                until_us=days[day][1],
                model=row.name("model"),
                ids=row.names("key"),
                calls=row.count("calls") if "calls" in table.fields else None,
                tokens=_tokens(row) if kinds else None,
                nano=row.nano("cost") if "cost" in table.fields else None,
            )
            for day, row in rows
        ),
        spans=tuple(days.values()),
        kinds=frozenset(kinds),
        currency=form.currency if "cost" in table.fields else "",
    )


def _table(file: str, text: str, form: CsvForm) -> Table:
    table = Table(
        file,
        text,
        delimiter=";" if form.decimal_comma else ",",
        point="," if form.decimal_comma else ".",
    )
    if len(table.heads) == 1 and not form.decimal_comma and ";" in table.heads[0]:
        raise BadRequest(f"{file} is parted by semicolons; add --decimal-comma")
    for name in FIELDS:
        head = form.columns.get(name, name)
        if not table.find(name, head) and name in form.columns:
            raise BadRequest(f"{file} has no column {head!r}; its headings are: {table.shown_heads}")
    hint = "name them with --column, such as --column day=Date --column cost=Amount"
    if "day" not in table.fields:
        raise BadRequest(f"{file} has no column for the day; {hint}")
    if ("input" in table.fields) != ("output" in table.fields):
        raise BadRequest(f"{file} has only one of input and output; {hint}")
    if "cost" not in table.fields and "input" not in table.fields:
        raise BadRequest(f"{file} has no column for the cost, nor for tokens; {hint}")
    return table


def _tokens(row: Row) -> dict[Kind, int]:
    """Return the tokens, those from a cache apart where there is a column for them."""
    found: dict[Kind, int] = {"input": row.count("input"), "output": row.count("output")}
    if "cached" in row.table.fields:
        found["cache_read"] = row.count("cached")
        found["input"] -= found["cache_read"]
        if found["input"] < 0:
            raise row.wrong("cached", "more than the input, which holds it")
    return found
