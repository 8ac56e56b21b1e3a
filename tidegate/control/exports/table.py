"""A table: CSV whose columns are found by their headings. What is wrong is told by its line."""

import csv
import io
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from tidegate.control.exports.export import MOST_LINES, MOST_NAME, TOO_MANY, nano_of
from tidegate.control.period import MOST_DAYS, midnight_us
from tidegate.model.errors import BadRequest

Span = tuple[int, int]
"""From this moment until before that, in microseconds."""

LAST_YEAR = 9000
_NUMBER = {
    ".": re.compile(r"-?\d{1,18}(\.\d{1,60})?([eE][-+]?\d{1,4})?", re.ASCII),
    ",": re.compile(r"-?\d{1,18}(,\d{1,60})?", re.ASCII),
}
_COUNT = re.compile(r"(\d{1,18})(\.0{1,18})?", re.ASCII)
_SHOWN = 40


class Table:
    """The headings, and the rows below them. `point` is what stands before the digits of a fraction."""

    def __init__(self, file: str, text: str, *, delimiter: str = ",", point: str = ".") -> None:
        self.file, self.point = file, point
        self._reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        self.heads = [head.strip() for head in self._next() or ()]
        self._at: dict[str, int] = {}

    @property
    def fields(self) -> Collection[str]:
        """Return the fields that have a column."""
        return self._at.keys()

    @property
    def shown_heads(self) -> str:
        """Return the headings for a message."""
        return ", ".join(self.heads)[: 4 * _SHOWN]

    def find(self, field: str, head: str) -> bool:
        """Say whether a field has a column; case does not matter. Raises BadRequest where it has two."""
        places = [at for at, one in enumerate(self.heads) if one.lower() == head.lower()]
        if len(places) > 1:
            raise BadRequest(f"{self.file} has {len(places)} columns {head!r}; name them apart")
        if places:
            self._at[field] = places[0]
        return bool(places)

    def rows(self) -> Iterator["Row"]:
        """Yield the rows; empty lines are none. Raises BadRequest where there is not one, or too many."""
        found = 0
        while (cells := self._next()) is not None:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(self.heads):
                raise self.error(f"has {len(cells)} cells, the headings {len(self.heads)}")
            found += 1
            if found > MOST_LINES:
                raise self.error(TOO_MANY)
            yield Row(self, cells, self._reader.line_num)
        if not found:
            raise BadRequest(f"{self.file} has no line below its headings")

    def place(self, field: str) -> int | None:
        """Return which cell of a row is a field's."""
        return self._at.get(field)

    def error(self, what: str) -> BadRequest:
        """Return the error that names the line read last."""
        return BadRequest(f"{self.file}, line {self._reader.line_num}: {what}")

    def days(self, days: Collection[date], zone: ZoneInfo) -> dict[date, Span]:
        """Return the days from the first to the last, without a hole, with their moments."""
        first, last = min(days), max(days)
        if (last - first).days >= MOST_DAYS:
            raise BadRequest(f"{self.file} goes from {first} to {last}, which is more than {MOST_DAYS} days")
        every = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        return {day: (midnight_us(day, zone), midnight_us(day + timedelta(days=1), zone)) for day in every}

    def _next(self) -> list[str] | None:
        try:
            return next(self._reader, None)
        except csv.Error as error:
            raise self.error(str(error)) from None


@dataclass(frozen=True, slots=True)
class Row:
    """One line below the headings; what it gives is read by the name of a field."""

    table: Table
    cells: list[str]
    line: int

    def text(self, field: str) -> str:
        """Return a cell without the space around it, "" where there is no such column."""
        at = self.table.place(field)
        return "" if at is None else self.cells[at].strip()

    def name(self, field: str) -> str:
        """Return a cell that names something."""
        if len(self.text(field)) > MOST_NAME:
            raise self.wrong(field, f"longer than {MOST_NAME} characters")
        return self.text(field)

    def names(self, *fields: str) -> tuple[str, ...]:
        """Return the cells of these fields that are not empty."""
        return tuple(filter(None, map(self.name, fields)))

    def day(self, field: str, zone: ZoneInfo) -> date:
        """Return the day; a moment with an offset falls on the day it has in the time zone."""
        found = _day_of(self.text(field), zone)
        if found is None or not 1970 <= found.year <= LAST_YEAR:
            raise self.wrong(field, "no day such as 2026-11-07 (a line of totals? remove it)")
        return found

    def count(self, field: str) -> int:
        """Return a whole number; 12.0 is one."""
        found = _COUNT.fullmatch(self.text(field))
        if found is None:
            raise self.wrong(field, "no whole number")
        return int(found[1])

    def nano(self, field: str) -> int:
        """Return an amount in nano-units."""
        point, text = self.table.point, self.text(field)
        if _NUMBER[point].fullmatch(text) is None:
            hint = "; for 0,5 add --decimal-comma" if point == "." and "," in text else ""
            raise self.wrong(field, f"no number such as 1234{point}56, without signs of thousands{hint}")
        try:
            return nano_of(Decimal(text.replace(",", ".")))
        except ValueError as error:
            raise self.wrong(field, str(error).removeprefix("is ")) from None

    def wrong(self, field: str, what: str) -> BadRequest:
        """Return the error that says of a cell that it is something."""
        return self.error(f"the {field} {self.text(field)[:_SHOWN]!r} is {what}")

    def error(self, what: str) -> BadRequest:
        """Return the error that names this line."""
        return BadRequest(f"{self.table.file}, line {self.line}: {what}")


def _day_of(text: str, zone: ZoneInfo) -> date | None:
    try:
        if len(text) <= len("2026-11-07"):
            return date.fromisoformat(text)
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo is None else moment.astimezone(zone)).date()
    except (ValueError, OverflowError):
        return None
