"""A provider's export beside our record: per day, model and key, and what the difference comes from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal
from zoneinfo import ZoneInfo

from tidegate.control.drift import Cause, Ours, Parts, Theirs, money_parts, rates_of, token_parts
from tidegate.control.exports.export import Export, Kind, Line, folded
from tidegate.control.period import MOST_DAYS, local_time
from tidegate.control.reconcile_ours import Books, plain_model
from tidegate.model.errors import BadRequest
from tidegate.model.money import NANO
from tidegate.stores.sqlite import queries, reconcile_queries
from tidegate.stores.sqlite.store import Store

NO_KEY = "(no key)"
LAST_US = 253_000_000_000_000_000
"""In the year 9987: no time zone leads beyond what a calendar holds."""

Measure = Literal["money", "tokens"]
Spot = tuple[date, str, str]
"""Day, model, key; "" where these are summed."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Which of the provider's keys our deployments use. Cells are by a label for both."""

    by_id: Mapping[str, str] = field(default_factory=dict)
    by_deployment: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, pairs: Sequence[tuple[str, str]]) -> "Keys":
        """Return the mapping of (key id, deployment). Raises BadRequest where it cannot be told apart."""
        groups: dict[str, set[str]] = {}
        for key, deployment in pairs:
            groups.setdefault(key, set()).add(deployment)
        by_id = {key: "+".join(sorted(group)) for key, group in groups.items()}
        by_deployment: dict[str, str] = {}
        for key, group in groups.items():
            for deployment in group:
                if by_deployment.setdefault(deployment, by_id[key]) != by_id[key]:
                    raise BadRequest(
                        f"deployment {deployment!r} stands with several keys that have other deployments "
                        "too; leave --key out, then keys are summed",
                        param="key",
                    )
        return cls(by_id, by_deployment)

    def of_line(self, line: Line) -> str:
        """Return the label of a line of the export; an unknown key keeps its own id."""
        if not self.by_id:
            return ""
        return next((self.by_id[one] for one in line.ids if one in self.by_id), (*line.ids, NO_KEY)[0])

    def of_deployment(self, deployment: str) -> str:
        """Return the label of a deployment of ours."""
        return self.by_deployment.get(deployment, deployment) if self.by_id else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What is compared: local days from `since` until before `until`, whose providers, by which keys.

    `currency` is that of our amounts where the export states none.
    """

    zone: ZoneInfo
    since: date | None = None
    until: date | None = None
    providers: tuple[str, ...] = ()
    deployments: tuple[str, ...] = ()
    keys: Keys = Keys()
    currency: str = "USD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """How far apart two figures may be: by so many millionths of theirs, or by so many nano-units."""

    ppm: int = 5_000
    nano: int = NANO // 100

    def allows(self, difference: int, theirs: int, measure: Measure) -> bool:
        """Whether a difference is small enough; the amount counts for money only."""
        by_share = abs(difference) * 1_000_000 <= abs(theirs) * self.ppm
        return by_share or (measure == "money" and abs(difference) <= self.nano)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One day, model and key. `money` and `tokens` are the parts of the differences, where both sides say."""

    spot: Spot
    theirs: Theirs
    ours: Ours
    money: Parts | None
    tokens: Parts | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """A total, in the measure of the comparison: what both say, and the parts of the difference."""

    theirs: int
    ours: int
    parts: Parts

    @property
    def difference(self) -> int:
        """Return theirs less ours."""
        return self.theirs - self.ours


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """The whole comparison. `apart` are models and keys that differ by more than was allowed, days summed."""

    measure: Measure
    currency: str
    zone: ZoneInfo
    days: tuple[date, ...]
    cells: tuple[Cell, ...]
    total: Sum
    apart: tuple[tuple[str, str], ...]
    within: bool
    as_of_us: int | None
    notes: tuple[str, ...]


def reconcile(store: Store, export: Export, scope: Scope, tolerance: Tolerance) -> Reconciliation:
    """Return the comparison, as the database stands at one moment. Raises BadRequest for odd stretches."""
    days = _days(export, scope)
    lines = [line for line in export.lines if _day(line.since_us, scope.zone) in days]
    by_model = all(line.model for line in lines)
    measure: Measure = "money" if export.currency or not export.kinds else "tokens"
    currency = export.currency or scope.currency
    theirs = _theirs(lines, export, scope, by_model=by_model)
    with store.transaction():
        books = Books(store, currency, export.kinds)
        for day, (since_us, until_us) in days.items():
            found = reconcile_queries.recorded(
                store,
                since_us,
                until_us,
                providers=scope.providers,
                deployments=scope.deployments,
                surfaces=export.surfaces,
            )
            for one in found:
                books.add(day, scope.keys.of_deployment(one.deployment), one)
        ours = books.closed(by_model=by_model)
        notes = [*_notes(store, export, scope, days, by_model=by_model), *books.notes()]
        as_of_us = queries.as_of_us(store)
    cells = tuple(
        _cell(spot, theirs.get(spot) or _stated(Theirs(), export), ours.get(spot) or Ours())
        for spot in sorted({**theirs, **ours})
    )
    total = _sum(cells, measure)
    if (
        measure == "money"
        and not export.kinds
        and not tolerance.allows(total.parts.get("rest", 0), 0, measure)
    ):
        notes.append("without tokens another price and missing traffic look alike; give a usage export too")
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault(cell.spot[1:], []).append(cell)
    sums = {group: _sum(inner, measure) for group, inner in groups.items()}
    apart = [key for key, one in sums.items() if not tolerance.allows(one.difference, one.theirs, measure)]
    return Reconciliation(
        measure=measure,
        currency=currency,
        zone=scope.zone,
        days=tuple(days),
        cells=cells,
        total=total,
        apart=tuple(apart),
        within=not apart and tolerance.allows(total.difference, total.theirs, measure),
        as_of_us=as_of_us,
        notes=tuple(notes),
    )


def effective_rates(cell: Cell) -> tuple[int, int] | None:
    """Return nano-units per million tokens, in the export and at our prices, where these differ."""
    found = None if cell.money is None else rates_of(cell.theirs, cell.money)
    return None if found is None else (round(found[0] * 1_000_000), round(found[1] * 1_000_000))


def figure(side: Theirs | Ours, measure: Measure) -> int:
    """Return one side of a cell in the measure of the comparison; unknown adds nothing."""
    return (side.nano or 0) if measure == "money" else sum((side.tokens or {}).values())


def _day(at_us: int, zone: ZoneInfo) -> date:
    return local_time(at_us, zone).date()


def _days(export: Export, scope: Scope) -> dict[date, tuple[int, int]]:
    """Return the days of the export that are asked for, each with the stretch of it that it speaks of."""
    days: dict[date, tuple[int, int]] = {}
    for since_us, until_us in sorted(export.spans):
        if not 0 <= since_us <= until_us <= LAST_US:
            raise BadRequest("the export has a bucket before 1970 or after 9990; is its time right?")
        day = _day(since_us, scope.zone)
        if not since_us < until_us or _day(until_us - 1, scope.zone) != day:
            stretch = " to ".join(
                f"{local_time(at, scope.zone):%Y-%m-%d %H:%M}" for at in (since_us, until_us)
            )
            raise BadRequest(f"the bucket {stretch} is not within one day; export by day, hour or minute")
        if (scope.since and day < scope.since) or (scope.until and day >= scope.until):
            continue
        first, last = days.get(day, (since_us, until_us))
        days[day] = (min(first, since_us), max(last, until_us))
    if not days:
        raise BadRequest(
            "the export has nothing in this period; look at --since and --until, or export again"
        )
    if len(days) > MOST_DAYS:
        raise BadRequest(
            f"the export has more than {MOST_DAYS} days; take part of it with --since and --until"
        )
    return days


def _theirs(lines: Sequence[Line], export: Export, scope: Scope, *, by_model: bool) -> dict[Spot, Theirs]:
    found: dict[Spot, Theirs] = {}
    for line in lines:
        model = plain_model(line.model) if by_model else ""
        spot = (_day(line.since_us, scope.zone), model, scope.keys.of_line(line))
        one = found.setdefault(spot, Theirs(listed=True))
        if line.calls is not None:
            one.calls = (one.calls or 0) + line.calls
        if line.nano is not None:
            one.nano = (one.nano or 0) + line.nano
        if line.tokens is not None:
            sums: dict[Kind, int] = one.tokens or {}
            for kind, count in folded(line.tokens, export.kinds).items():
                sums[kind] = sums.get(kind, 0) + count
            one.tokens = sums
    return {spot: _stated(one, export) for spot, one in found.items()}


def _stated(theirs: Theirs, export: Export) -> Theirs:
    """Return a side where no line means none: of money, and of tokens where there is no line at all."""
    if export.currency and theirs.nano is None:
        theirs.nano = 0
    if export.kinds and not theirs.listed:
        theirs.tokens = {}
    return theirs


def _cell(spot: Spot, theirs: Theirs, ours: Ours) -> Cell:
    money = None if theirs.nano is None else money_parts(theirs, ours)
    tokens = None if theirs.tokens is None else token_parts(theirs, ours)
    return Cell(spot=spot, theirs=theirs, ours=ours, money=money, tokens=tokens)


def _sum(cells: Sequence[Cell], measure: Measure) -> Sum:
    parts: dict[Cause, int] = {}
    theirs = ours = 0
    for cell in cells:
        theirs += figure(cell.theirs, measure)
        ours += figure(cell.ours, measure)
        for cause, part in (getattr(cell, measure) or {}).items():
            parts[cause] = parts.get(cause, 0) + part
    return Sum(theirs=theirs, ours=ours, parts=parts)


def _notes(
    store: Store, export: Export, scope: Scope, days: Mapping[date, tuple[int, int]], *, by_model: bool
) -> Iterator[str]:
    span, as_of_us = queries.data_span(store), queries.as_of_us(store)
    if span is None or as_of_us is None:
        yield "our record is empty: no call was ever made through this gateway"
    else:
        before = [day for day, (_, until_us) in days.items() if until_us <= span[0]]
        partly = [day for day, (since_us, until_us) in days.items() if since_us < span[0] < until_us]
        after = [day for day, (_, until_us) in days.items() if until_us > as_of_us]
        if before:
            yield f"before our first record: {_listed(before)}"
        if partly:
            first = f"{local_time(span[0], scope.zone):%H:%M}"
            yield f"partly before our first record, {first}: {_listed(partly)}"
        if after:
            until = f"{local_time(as_of_us, scope.zone):%Y-%m-%d %H:%M}"
            yield f"not over by the end of our record, {until}: {_listed(after)}"
    if export.more:
        yield "the export's last page says that there are more; only the days in it are compared"
    if not by_model:
        yield "some lines name no model, so models are summed; export them grouped by model (or line item)"
    known = reconcile_queries.providers(store)
    for name in scope.providers:
        if name not in known:
            others = f"; those called are {', '.join(known)} (--provider)" if known else ""
            yield f"no call to a provider named {name} is on record{others}"
    gaps = queries.gaps(store, *next(iter(days.values())))
    if gaps["lost_begins"] or gaps["skipped_records"] or gaps["alarms"]:
        yield "our record has gaps: `tidegate report` tells which"


def _listed(days: Sequence[date]) -> str:
    shown = ", ".join(day.isoformat() for day in days[:5])
    return shown if len(days) <= 5 else f"{shown} and {len(days) - 5} more"
