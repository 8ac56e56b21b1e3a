"""What the views of `tidegate report` share: what they are asked for, and how lines and periods are told."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tidegate.cli.sheet import Cell, Column, Row
from tidegate.control.cells import Cells, Key, cost_of, read_cells
from tidegate.control.period import Period, local_time
from tidegate.control.report import NONE, Dimension, PlainName
from tidegate.model.budget import Budget
from tidegate.model.money import shown
from tidegate.stores.sqlite.store import Store

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a view is asked for. `budgets` are those in force, where a view is of budgets."""

    by: tuple[Dimension, ...]
    period: Period
    currency: str
    tenant: str | None
    plain_name: PlainName
    now_us: int
    budgets: tuple[Budget, ...] = ()

    def cells(self, store: Store, period: Period) -> Cells:
        """Return the cells of a period."""
        return read_cells(
            store,
            by=self.by,
            period=period,
            currency=self.currency,
            tenant=self.tenant,
            plain_name=self.plain_name,
        )


def dimensions(asked: Asked) -> Iterator[Column]:
    """Yield a column for each dimension."""
    for name in asked.by:
        yield Column(name, name.upper(), "text")


def named(asked: Asked, label: Sequence[str]) -> dict[str, Cell]:
    """Return what a person reads for each dimension of a line."""
    return dict(zip(asked.by, label, strict=True)) if label else dict.fromkeys(asked.by, NONE)


def dearest(items: Iterable[tuple[Key, T]], nano: Callable[[T], int]) -> list[tuple[Key, T]]:
    """Return lines by what they come to, the most first."""
    return sorted(items, key=lambda item: (-nano(item[1]), item[0]))


def beside(found: Cells, *keys: Key) -> Row:
    """Return the cost of a line, or of all, in the second currency; None where part of it has no rate."""
    if found.beside is None:
        return {"cost_beside": None, "currency_beside": None}
    chosen = [found.lines[key] for key in keys] or list(found.lines.values())
    known = all(
        found.beside.factor(cell.currency, cell.fx_id, cell.day) is not None
        for cells in chosen
        for cell in cells
    )
    cost = sum(cost_of(cells, found.beside) for cells in chosen) if known else None
    return {"cost_beside": cost, "currency_beside": found.beside.to}


def notes(asked: Asked, *found: Cells, of: str = "") -> Iterator[str]:
    """Yield the total of the first cells in both currencies, and what is in none of the figures."""
    for cells in found[:1]:
        both = beside(cells)["cost_beside"]
        whole = sum(cells.cost(key) for key in cells.lines)
        if cells.beside is not None and isinstance(both, int) and both and whole:
            other = f"{cells.beside.to} {shown(both, 2)}"
            yield f"{of}in both currencies: {asked.currency} {shown(whole, 2)}, {other}"
    yield from dict.fromkeys(note for cells in found for note in cells.notes())


def told(period: Period) -> str:
    """Return a period as a person reads it."""
    since, until = (local_time(at, period.zone) for at in (period.since_us, period.until_us))
    return f"{since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} ({period.zone.key})"


def span(period: Period, prefix: str = "") -> dict[str, Cell]:
    """Return a period as JSON has it."""
    return {
        f"{prefix}since_us": period.since_us,
        f"{prefix}until_us": period.until_us,
        "time_zone": period.zone.key,
    }
