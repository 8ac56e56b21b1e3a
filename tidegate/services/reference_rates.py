"""Reads the European Central Bank's files of euro reference rates: CSV, XML, and the zipped CSV.

The forms are those of www.ecb.europa.eu/stats/eurofxref/ (November 2026): `eurofxref-hist.csv` and `.zip`,
`eurofxref.csv` (the daily one, with its date in words), `eurofxref-daily.xml`, `-hist-90d.xml`, `-hist.xml`.
A file is read whole or refused by line; nothing of a wrong one is used.
"""

import csv
import io
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date
from xml.parsers import expat

from tidegate.model.errors import BadRequest
from tidegate.model.money import REFERENCE, Fx, plain, scaled
from tidegate.model.reference_rate import LONGEST_RATE

BASE = "EUR"
MAX_BYTES = 32 << 20
"""The whole history was 9 MB of XML in 2026; anything beyond this is no such file."""

_UNKNOWN = {"N/A", "NA", "-", ""}
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)

Cell = tuple[date, str, str]
"""A day, a currency, and how much of it one euro was."""


def read_rates(raw: bytes) -> tuple[Fx, ...]:
    """Return every rate of a file, oldest first. Raises BadRequest with the line at fault."""
    if len(raw) > MAX_BYTES:
        raise BadRequest(f"the file has {len(raw)} bytes, more than {MAX_BYTES}; it is no file of rates")
    if raw.startswith(b"PK\x03\x04"):
        raw = _unzipped(raw)
    found = _Found()
    if raw.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        _read_xml(raw, found)
    else:
        _read_csv(raw, found)
    if not found.rates:
        raise BadRequest("the file holds no rate; take eurofxref-hist.zip or eurofxref-daily.xml")
    return tuple(sorted(found.rates.values(), key=lambda fx: (fx.date, fx.quote)))


class _Found:
    """The rates of one file, each day and currency once."""

    def __init__(self) -> None:
        self.rates: dict[tuple[date, str], Fx] = {}

    def add(self, cell: Cell, line: int) -> None:
        day, quote, rate = cell
        if (day, quote) in self.rates:
            raise _wrong(line, f"{quote} of {day} stands in it twice")
        if len(rate) > LONGEST_RATE:
            raise _wrong(line, f"the rate of {quote} has more than {LONGEST_RATE} characters")
        try:
            scaled(rate)
            fx = Fx(base=BASE, quote=quote, rate=plain(rate), date=day, source=REFERENCE)
        except ValueError as error:
            raise _wrong(line, f"{quote} of {day}: {error}") from None
        self.rates[day, quote] = fx


def _wrong(line: int, message: str) -> BadRequest:
    return BadRequest(f"line {line}: {message}", param=f"line {line}")


def _unzipped(raw: bytes) -> bytes:
    """Return the one file of an archive, read no further than the bound whatever its header claims."""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            names = [name for name in archive.namelist() if name.lower().endswith((".csv", ".xml"))]
            if len(names) != 1:
                raise BadRequest(f"the archive holds {len(names)} files of rates, not one")
            with archive.open(names[0]) as file:
                content = file.read(MAX_BYTES + 1)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise BadRequest(f"the archive cannot be read: {error}") from None
    if len(content) > MAX_BYTES:
        raise BadRequest(f"{names[0]} has more than {MAX_BYTES} bytes unpacked; it is no file of rates")
    return content


def _read_csv(raw: bytes, found: _Found) -> None:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _wrong(line, "it is not text; take eurofxref-hist.csv or its zip") from None
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        quotes = _header(_cells(next(rows, [])))
        for row in rows:
            if cells := _cells(row):
                for cell in _row(cells, quotes, rows.line_num):
                    found.add(cell, rows.line_num)
    except csv.Error as error:
        raise _wrong(rows.line_num, str(error)) from None


def _cells(row: Sequence[str]) -> list[str]:
    """Return a row without the empty cell that the bank's trailing comma makes."""
    cells = [cell.strip() for cell in row]
    return cells[:-1] if cells and not cells[-1] else cells


def _header(cells: Sequence[str]) -> list[str]:
    if not cells or cells[0] != "Date":
        raise _wrong(1, "a file of rates begins with `Date` and the currencies")
    quotes = list(cells[1:])
    for quote in quotes:
        if quotes.count(quote) > 1:
            raise _wrong(1, f"{quote!r} heads two columns")
    return quotes


def _row(cells: Sequence[str], quotes: Sequence[str], line: int) -> Iterator[Cell]:
    if len(cells) != len(quotes) + 1:
        raise _wrong(line, f"{len(cells) - 1} rates for {len(quotes)} currencies")
    day = _day(cells[0], line)
    for quote, rate in zip(quotes, cells[1:], strict=True):
        if rate not in _UNKNOWN:
            yield day, quote, rate


def _day(text: str, line: int) -> date:
    """Read `2026-11-02`, or `2 November 2026` as the daily CSV has it."""
    try:
        number, month, year = text.split()
        return date(int(year), _MONTHS.index(month) + 1, int(number))
    except ValueError:
        pass
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise _wrong(line, f"{text[:40]!r} is no day such as 2026-11-02") from None


def _read_xml(raw: bytes, found: _Found) -> None:
    """Read nested `Cube` elements: one with `time` holds those with `currency` and `rate`.

    A document type is refused: it is the only way to define an entity, so none can be blown up or fetched.
    """
    parser = expat.ParserCreate()
    days: list[date | None] = []

    def start(name: str, given: dict[str, str]) -> None:
        line = parser.CurrentLineNumber
        day = _day(given["time"], line) if name == "Cube" and "time" in given else days[-1] if days else None
        days.append(day)
        if name != "Cube" or "currency" not in given:
            return
        if day is None:
            raise _wrong(line, f"the rate of {given['currency'][:8]!r} belongs to no day")
        if "rate" not in given:
            raise _wrong(line, f"{given['currency'][:8]!r} has no rate")
        if given["rate"].strip() not in _UNKNOWN:
            found.add((day, given["currency"], given["rate"].strip()), line)

    def end(_name: str) -> None:
        days.pop()

    def refuse(*_: object) -> None:
        raise _wrong(parser.CurrentLineNumber, "it has a document type, which no file of the bank has")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(raw.lstrip(b"\xef\xbb\xbf \t\r\n"), True)
    except expat.ExpatError as error:
        raise _wrong(error.lineno, f"it is no XML: {expat.errors.messages[error.code]}") from None
