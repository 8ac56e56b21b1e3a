from datetime import UTC, date, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from tidegate.control.period import Period, midnight_us, parse_period, zone_of
from tidegate.model.errors import BadRequest

ROME = ZoneInfo("Europe/Rome")
HOUR_US = 3_600_000_000


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


NOW = us("2026-11-07T12:00")
PERIODS = [
    ("today", "2026-11-06T23:00", "2026-11-07T23:00"),
    ("yesterday", "2026-11-05T23:00", "2026-11-06T23:00"),
    ("1d", "2026-11-06T23:00", "2026-11-07T23:00"),
    ("7d", "2026-10-31T23:00", "2026-11-07T23:00"),
    ("30d", "2026-10-08T22:00", "2026-11-07T23:00"),
    ("24h", "2026-11-06T12:00", "2026-11-07T12:00"),
    ("month", "2026-10-31T23:00", "2026-11-30T23:00"),
    ("last-month", "2026-09-30T22:00", "2026-10-31T23:00"),
    ("2026-12", "2026-11-30T23:00", "2026-12-31T23:00"),
    ("2026-11-05", "2026-11-04T23:00", "2026-11-05T23:00"),
    ("2026-11-01..2026-11-15", "2026-10-31T23:00", "2026-11-14T23:00"),
]


@pytest.mark.parametrize(("text", "since", "until"), PERIODS)
def test_periods_are_half_open_local_days(text: str, since: str, until: str) -> None:
    assert parse_period(text, ROME, NOW) == Period(us(since), us(until), ROME)


@pytest.mark.parametrize(
    "text", ["", "0d", "d", "2026-13", "2026-11-31", "now", "7 d", "1..2", "99999d", "7d; x"]
)
def test_anything_else_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(BadRequest, match=r"2026-11-01\.\.2026-11-15"):
        parse_period(text, ROME, NOW)


@pytest.mark.parametrize("text", ["2026-11-05..2026-11-05", "2026-11-05..2026-11-01"])
def test_an_empty_period_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="empty"):
        parse_period(text, ROME, NOW)


def test_a_period_of_more_than_ten_years_is_refused() -> None:
    with pytest.raises(BadRequest, match="longer"):
        parse_period("1990-01-01..2026-01-01", ROME, NOW)


@pytest.mark.parametrize("name", ["Mars/Olympus", "../../etc/passwd", "", "Europe"])
def test_an_unknown_zone_is_refused(name: str) -> None:
    with pytest.raises(BadRequest, match="no time zone"):
        zone_of(name)


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-11-07", 24)])
def test_a_day_has_as_many_hours_as_its_clock_shows(day: str, hours: int) -> None:
    period = parse_period(day, ROME, NOW)
    assert (period.until_us - period.since_us) // HOUR_US == hours
    assert period.days(0, 2**60) == [(date.fromisoformat(day), period.since_us, period.until_us)]


def test_days_are_clipped_and_leave_no_gap() -> None:
    period = parse_period("2026-10-24..2026-10-28", ROME, NOW)
    since, until = period.since_us + 5, period.until_us - 7
    days = period.days(since, until)
    assert [day.day for day, _, _ in days] == [24, 25, 26, 27]
    assert (days[0][1], days[-1][2]) == (since, until)
    assert all(one[2] == next_[1] for one, next_ in pairwise(days))


def test_a_day_begins_where_the_clock_jumps_over_midnight() -> None:
    beirut = ZoneInfo("Asia/Beirut")
    assert midnight_us(date(2021, 3, 28), beirut) == us("2021-03-27T22:00")
    period = Period(us("2021-03-27T00:00"), us("2021-03-29T12:00"), beirut)
    assert [day.day for day, _, _ in period.days(0, 2**60)] == [27, 28, 29]


def test_a_day_that_a_zone_left_out_has_no_length() -> None:
    apia = ZoneInfo("Pacific/Apia")
    period = Period(us("2011-12-29T12:00"), us("2012-01-01T00:00"), apia)
    assert [day.day for day, _, _ in period.days(0, 2**60)] == [29, 31, 1]
