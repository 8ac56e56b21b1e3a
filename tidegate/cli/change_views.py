"""`tidegate report --compare` and `--forecast`: what changed, and what a period will come to."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Final

from tidegate.cli.sheet import Cell, Column, Row, Sheet
from tidegate.cli.view import Asked, dimensions, named, notes, span, told
from tidegate.control import compare
from tidegate.control.cells import Cell as Billed
from tidegate.control.cells import Cells, cost_of
from tidegate.control.forecast import DAYS_OF_MEMORY, Forecast, forecast
from tidegate.control.period import Period, before, local_time, midnight_us
from tidegate.model.errors import BadRequest
from tidegate.stores.sqlite import queries
from tidegate.stores.sqlite.store import Store


def compared(store: Store, asked: Asked) -> Sheet:
    """Return what changed since the period before, in five parts. Raises BadRequest by day."""
    _check(asked)
    until_us = min(asked.period.until_us, max(asked.now_us, asked.period.since_us + 1))
    period = replace(asked.period, until_us=until_us)
    earlier = before(period)
    old, new = asked.cells(store, earlier), asked.cells(store, period)
    labels = {**old.labels, **new.labels}
    changes = {
        key: compare.compare(*(compare.side(found.cost(key), found.priced(key)) for found in (old, new)))
        for key in labels
    }
    rows = [
        {**named(asked, labels[key]), **_change(one.before, one.after, one.parts)}
        for key, one in sorted(changes.items(), key=lambda item: (-abs(item[1].parts.change), item[0]))
    ]
    parts = compare.together(one.parts for one in changes.values())
    costs = {
        name: sum(getattr(one, name).cost_nano for one in changes.values()) for name in ("before", "after")
    }
    total: dict[str, Cell] = {**costs, "change": parts.change}
    total |= {name: getattr(parts, name) for name in compare.PARTS_OF_CHANGE}
    total |= {
        f"{name}_calls": sum(getattr(one, name).attempts for one in changes.values())
        for name in ("before", "after")
    }
    return Sheet(
        view="compare",
        columns=(*dimensions(asked), *_COMPARED),
        rows=rows,
        total=total,
        currency=asked.currency,
        below=[
            f"after: {told(period)}; before: {told(earlier)}",
            "the five parts add up to CHANGE exactly; calls are billed attempts",
            *notes(asked, new, old, of="after, "),
        ],
        facts={**span(period), **span(earlier, "before_")},
    )


_COMPARED: Final = (
    Column("before", "BEFORE"),
    Column("after", "AFTER"),
    Column("change", "CHANGE"),
    *(Column(name, name.upper()) for name in compare.PARTS_OF_CHANGE),
    Column("before_calls", "", "count"),
    Column("after_calls", "", "count"),
)


def _check(asked: Asked) -> None:
    if "day" in asked.by:
        raise BadRequest("no line goes on from day to day: leave `day` out of --by", param="by")


def _change(old: compare.Side, new: compare.Side, parts: compare.Parts) -> Row:
    return {
        "before": old.cost_nano,
        "after": new.cost_nano,
        "change": parts.change,
        **{name: getattr(parts, name) for name in compare.PARTS_OF_CHANGE},
        "before_calls": old.attempts,
        "after_calls": new.attempts,
    }


def forecasted(store: Store, asked: Asked) -> Sheet:
    """Return what the period will come to. Raises BadRequest by day, and where it is over or not begun."""
    _check(asked)
    period = asked.period
    if not period.since_us <= asked.now_us < period.until_us:
        raise BadRequest("a forecast is of a period that has begun and is not over, such as month")
    today = local_time(asked.now_us, period.zone).date()
    first, end = (local_time(at, period.zone).date() for at in (period.since_us, period.until_us))
    start = min(first, today - timedelta(days=DAYS_OF_MEMORY))
    found = asked.cells(store, Period(midnight_us(start, period.zone), asked.now_us, period.zone))
    recorded = queries.data_span(store)
    begun = local_time(recorded[0], period.zone).date() if recorded else today
    by_day = {key: _daily(found, key) for key in found.lines}

    def made(costs: dict[date, int]) -> Forecast:
        return forecast(costs, first=first, today=today, end=end, begun=begun)

    whole: dict[date, int] = {}
    for costs in by_day.values():
        for day, nano in costs.items():
            whole[day] = whole.get(day, 0) + nano
    of_lines = {key: made(costs) for key, costs in by_day.items()}
    total = made(whole)
    ordered = sorted(of_lines.items(), key=lambda item: (-(item[1].expected_nano or 0), item[0]))
    method = {
        "weekdays": f"by weekday, from the last {total.days} whole days",
        "average": f"by the average of the last {total.days} whole days (weekdays count from 14 days on)",
        "none": "there is no whole day to learn from yet",
    }[total.method]
    return Sheet(
        view="forecast",
        columns=(*dimensions(asked), *_FORECAST),
        rows=[{**named(asked, found.labels[key]), **_outlook(one)} for key, one in ordered],
        total=_outlook(total),
        currency=asked.currency,
        below=[
            f"{told(period)}, so far until {local_time(asked.now_us, period.zone):%Y-%m-%d %H:%M}",
            method,
            "LOW to HIGH holds in about 8 of 10 cases if days go on as they were",
            "a line's range is its own: the total's is narrower than their sum",
            *notes(asked, _since(found, first), of="so far, "),
        ],
        facts={**span(period), "method": total.method, "days": total.days},
    )


_FORECAST: Final = (
    Column("so_far", "SO FAR"),
    Column("expected", "EXPECTED"),
    Column("low", "LOW"),
    Column("high", "HIGH"),
)


def _outlook(one: Forecast) -> Row:
    return {
        "so_far": one.so_far_nano,
        "expected": one.expected_nano,
        "low": one.low_nano,
        "high": one.high_nano,
    }


def _since(found: Cells, first: date) -> Cells:
    lines = {key: [cell for cell in cells if cell.day >= first] for key, cells in found.lines.items()}
    return replace(found, lines=lines)


def _daily(found: Cells, key: tuple[str, ...]) -> dict[date, int]:
    days: dict[date, list[Billed]] = {}
    for cell in found.lines[key]:
        days.setdefault(cell.day, []).append(cell)
    return {day: cost_of(cells, found.rates) for day, cells in days.items()}
