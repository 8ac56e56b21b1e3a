"""`--check`: the printed report against the rows, and the rows against what the SDKs were told."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from tidegate.cli.demo.gateway import CURRENCY, RATES
from tidegate.cli.demo.traffic import Done
from tidegate.stores.sqlite.store import DATABASE, Row, Store

_SQL = """SELECT r.id, r.feature, r.outcome, a.request_id, a.input_uncached, a.cache_read, a.output_text,
a.reasoning, a.cost_nano, a.currency, a.usage_source
FROM request r LEFT JOIN attempt a ON a.request_id = r.id ORDER BY r.id, a.n"""
_NANO_PER_UNIT = {name: int(Decimal(rate) * 1000) for name, rate in RATES.items()}
"""EUR per million tokens are thousands of nano-EUR per token: whole numbers for the demo's rates."""


@dataclass(slots=True)
class Sum:
    """One line, added up from rows. Input does not hold what was read from the cache."""

    calls: int = 0
    not_ok: int = 0
    input: int = 0
    cached: int = 0
    output: int = 0
    nano: int = 0

    def add(self, other: "Sum") -> None:
        """Add another line."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found: the lines added up from the rows, and every difference in words."""

    lines: dict[str, Sum]
    total: Sum
    attempts: int
    differences: tuple[str, ...]


def audit(state: Path, done: Sequence[Done], printed: str, auto: str) -> Audit:
    """Compare; `printed` is what `tidegate report --by feature` wrote, `auto` the automatic feature."""
    with Store.open_read_only(state / DATABASE) as store:
        rows = list(store.rows(_SQL))
    lines = _lines(rows)
    total = Sum()
    for line in lines.values():
        total.add(line)
    differences = (
        *_priced(rows),
        *_sent(rows, done, auto),
        *_told(rows, done, auto),
        *_printed({**lines, "TOTAL": total}, printed),
    )
    return Audit(lines, total, sum(row[3] is not None for row in rows), tuple(differences))


def _lines(rows: Sequence[Row]) -> dict[str, Sum]:
    lines: dict[str, Sum] = {}
    seen = set()
    for row in rows:
        line = lines.setdefault(str(row[1]), Sum())
        if row[0] not in seen:
            seen.add(row[0])
            line.calls += 1
            line.not_ok += row[2] != "ok"
        line.input += _int(row[4])
        line.cached += _int(row[5])
        line.output += _int(row[6]) + _int(row[7])
        line.nano += _int(row[8])
    return lines


def _priced(rows: Sequence[Row]) -> Iterator[str]:
    """Price each attempt's tokens again."""
    for row in rows:
        if row[3] is None:
            continue
        nano = (
            _int(row[4]) * _NANO_PER_UNIT["input"]
            + _int(row[5]) * _NANO_PER_UNIT["cache_read"]
            + (_int(row[6]) + _int(row[7])) * _NANO_PER_UNIT["output"]
        )
        if row[8] != nano or (nano and row[9] != CURRENCY):
            yield f"call {row[0]!r}: {nano} nano-{CURRENCY} by its tokens, {row[8]!r} {row[9]!r} by its row"


def _sent(rows: Sequence[Row], done: Sequence[Done], auto: str) -> Iterator[str]:
    """Hold the calls that were sent against those recorded, by feature and ending."""
    sent = sorted((_feature(one, auto), one.outcome) for one in done)
    recorded = sorted({str(row[0]): (str(row[1]), str(row[2])) for row in rows}.values())
    if len(sent) != len(recorded):
        yield f"{len(sent)} calls were sent, {len(recorded)} are recorded"
    elif sent != recorded:
        yield f"calls were sent as {_counts(sent)}; recorded as {_counts(recorded)}"
    for one in done:
        if one.outcome != one.step.expects:
            yield f"{one.step.feature} ({one.step.what}) ended {one.outcome}: {one.answer.text}"


def _told(rows: Sequence[Row], done: Sequence[Done], auto: str) -> Iterator[str]:
    """Hold the tokens that the SDKs were told of complete answers against the rows."""
    told: dict[str, tuple[int, int, int]] = {}
    recorded: dict[str, tuple[int, int, int]] = {}
    for one in done:
        if one.outcome == "ok":
            answer = one.answer
            said = (answer.input_tokens - answer.cached_tokens, answer.cached_tokens, answer.output_tokens)
            key = _feature(one, auto)
            told[key] = _plus(told.get(key), said)
    for row in rows:
        if row[2] == "ok":
            key = str(row[1])
            kept = (_int(row[4]), _int(row[5]), _int(row[6]) + _int(row[7]))
            recorded[key] = _plus(recorded.get(key), kept)
    for feature in sorted(told.keys() | recorded.keys()):
        if told.get(feature) != recorded.get(feature):
            yield (
                f"{feature}: the SDKs were told (input, cached, output) {told.get(feature)}, "
                f"the rows say {recorded.get(feature)}"
            )


def _printed(lines: dict[str, Sum], printed: str) -> Iterator[str]:
    """Read the printed table back and hold each of its cells against the rows."""
    table = {cells[0]: cells for cells in map(str.split, printed.splitlines()) if cells}
    head = table.get("FEATURE", [])
    if head[1:7] != ["CALLS", "NOT", "OK", "INPUT", "CACHED", "OUTPUT"] or head[7:8] != [CURRENCY]:
        yield f"the report's columns are not the expected ones: {' '.join(head)}"
        return
    for name, line in lines.items():
        cells = table.get(name)
        if cells is None:
            yield f"{name} is not in the printed report"
            continue
        counts = [f"{count:,}" for count in (line.calls, line.not_ok, line.input, line.cached, line.output)]
        if cells[1:6] != counts:
            yield f"{name} is printed as {cells[1:6]}; the rows say {counts}"
        if not _same_amount(cells[6], line.nano):
            yield f"{name} is printed as {CURRENCY} {cells[6]}; the rows say {line.nano} nano-{CURRENCY}"


def _same_amount(cell: str, nano: int) -> bool:
    """Whether a printed amount is this one, rounded half-even to the decimals that are shown."""
    exact = Decimal(nano).scaleb(-9)
    if cell.startswith("<"):
        return 0 < exact < Decimal(cell[1:])
    shown = Decimal(cell.replace(",", ""))
    return exact.quantize(shown) == shown


def _feature(one: Done, auto: str) -> str:
    return auto if one.step.sends_nothing else one.step.feature


def _counts(calls: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{calls.count(one)} {one[0]} {one[1]}" for one in sorted(set(calls)))


def _plus(left: tuple[int, int, int] | None, right: tuple[int, int, int]) -> tuple[int, int, int]:
    if left is None:
        return right
    return (left[0] + right[0], left[1] + right[1], left[2] + right[2])


def _int(value: object) -> int:
    assert value is None or isinstance(value, int)
    return value or 0
