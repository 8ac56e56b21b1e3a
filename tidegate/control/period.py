"""Report periods: half-open, in local days of a time zone, as microseconds since the epoch."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tidegate.model.errors import BadRequest

FORMS = "today, yesterday, 24h, 7d, 30d, month, last-month, 2026-11, 2026-11-05 or 2026-11-01..2026-11-15"
MOST_DAYS = 3_660

_RELATIVE = re.compile(r"([1-9]\d{0,3})([hd])")
_MONTH = re.compile(r"(\d{4})-(\d{2})")
_SECOND_US = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Period:
    """From `since_us` until before `until_us`."""

    since_us: int
    until_us: int
    zone: ZoneInfo

    def days(self, since_us: int, until_us: int) -> list[tuple[date, int, int]]:
        """Return the local days between two moments of the period, each clipped to them.

        A day has 23 or 25 hours where the zone changes its clock.
        """
        found: list[tuple[date, int, int]] = []
        start = max(since_us, self.since_us)
        end = min(until_us, self.until_us)
        while start < end:
            day = _local_day(start, self.zone)
            stop = min(end, midnight_us(day + timedelta(days=1), self.zone))
            found.append((day, start, stop))
            start = stop
        return found


def zone_of(name: str) -> ZoneInfo:
    """Return a time zone by its IANA name. Raises BadRequest."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadRequest(f"there is no time zone {name!r}; use a name such as Europe/Rome or UTC") from None


def parse_period(text: str, zone: ZoneInfo, now_us: int) -> Period:
    """Return the period that `text` names. Raises BadRequest that shows the forms.

    `7d` is today and the six days before it; `24h` ends now; in `A..B` the day B is no longer part.
    """
    today = _local_day(now_us, zone)
    if match := _RELATIVE.fullmatch(text):
        count = int(match[1])
        if match[2] == "h":
            return Period(now_us - count * 3600 * _SECOND_US, now_us, zone)
        return _between(today - timedelta(days=count - 1), today + timedelta(days=1), zone, text)
    match text:
        case "today":
            first, end = today, today + timedelta(days=1)
        case "yesterday":
            first, end = today - timedelta(days=1), today
        case "month":
            first, end = today.replace(day=1), _next_month(today)
        case "last-month":
            end = today.replace(day=1)
            first = (end - timedelta(days=1)).replace(day=1)
        case _:
            first, end = _named(text)
    return _between(first, end, zone, text)


def before(period: Period) -> Period:
    """Return the period of the same length that ends where this one begins, by the clock on the wall.

    So a week before a week has seven days, also where one of them has 23 or 25 hours.
    """
    since, until = (
        local_time(at, period.zone).replace(tzinfo=None) for at in (period.since_us, period.until_us)
    )
    start = (since - (until - since)).replace(tzinfo=period.zone).astimezone(UTC)
    return Period((start - _EPOCH) // timedelta(microseconds=1), period.since_us, period.zone)


def midnight_us(day: date, zone: ZoneInfo) -> int:
    """Return the moment at which a local day begins; its first moment where midnight does not exist."""
    moment = datetime.combine(day, time(), zone).astimezone(UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1)


def local_time(at_us: int, zone: ZoneInfo) -> datetime:
    """Return a moment as a local date and time."""
    return (_EPOCH + timedelta(microseconds=at_us)).astimezone(zone)


def _local_day(at_us: int, zone: ZoneInfo) -> date:
    return local_time(at_us, zone).date()


def _named(text: str) -> tuple[date, date]:
    try:
        if match := _MONTH.fullmatch(text):
            first = date(int(match[1]), int(match[2]), 1)
            return first, _next_month(first)
        since, dots, until = text.partition("..")
        first = date.fromisoformat(since)
        return first, date.fromisoformat(until) if dots else first + timedelta(days=1)
    except (ValueError, OverflowError):
        raise BadRequest(f"{text!r} is no period; write {FORMS}") from None


def _between(first: date, end: date, zone: ZoneInfo, text: str) -> Period:
    if not first < end:
        raise BadRequest(f"the period {text!r} is empty: its second day is not part of it")
    if (end - first).days > MOST_DAYS:
        raise BadRequest(f"the period {text!r} is longer than {MOST_DAYS} days")
    return Period(midnight_us(first, zone), midnight_us(end, zone), zone)


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)
