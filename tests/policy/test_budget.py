from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.model.budget import Budget, Window
from tidegate.model.money import Fx
from tidegate.policy.budget import (
    FOREVER_US,
    SECOND_US,
    SLICES,
    account_of,
    crossed,
    falls_under,
    in_unit,
    slice_us,
    window_of,
)

BERLIN = "Europe/Berlin"
CALENDAR = ("day", "week", "month", "year")
ZONES = ("UTC", BERLIN, "Asia/Kolkata", "America/Sao_Paulo", "Africa/Cairo", "Australia/Lord_Howe")


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * SECOND_US


def budget(**more: object) -> Budget:
    facts: dict[str, object] = {"name": "b", "limit": 10, "unit": "EUR", "window": Window("month")}
    return Budget(**(facts | more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "now", "start", "end"),
    [
        ("day", "2026-11-24T12:00:00+01:00", "2026-11-24T00:00:00+01:00", "2026-11-25T00:00:00+01:00"),
        ("day", "2026-03-29T12:00:00+02:00", "2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"),
        ("day", "2026-10-25T00:30:00+02:00", "2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"),
        ("week", "2026-11-24T12:00:00+01:00", "2026-11-23T00:00:00+01:00", "2026-11-30T00:00:00+01:00"),
        ("month", "2026-10-31T23:59:59+01:00", "2026-10-01T00:00:00+02:00", "2026-11-01T00:00:00+01:00"),
        ("year", "2026-06-30T12:00:00+02:00", "2026-01-01T00:00:00+01:00", "2027-01-01T00:00:00+01:00"),
    ],
)
def test_calendar_windows_follow_their_zone(kind: str, now: str, start: str, end: str) -> None:  # case F18
    window = Window(kind, time_zone=BERLIN)  # type: ignore[arg-type]
    assert window_of(window, us(now)) == (us(start), us(end))


@given(
    st.sampled_from(CALENDAR),
    st.sampled_from(ZONES),
    st.datetimes(datetime(2000, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_windows_follow_each_other_without_a_gap(kind: str, zone: str, moment: datetime) -> None:
    window = Window(kind, time_zone=zone)  # type: ignore[arg-type]
    now_us = int(moment.timestamp()) * SECOND_US
    start_us, end_us = window_of(window, now_us)
    assert start_us <= now_us < end_us
    assert window_of(window, start_us) == window_of(window, end_us - 1) == (start_us, end_us)
    assert window_of(window, end_us)[0] == end_us
    assert window_of(window, start_us - 1)[1] == start_us


def test_a_day_begins_at_its_first_midnight_and_where_there_is_none_at_the_change() -> None:
    for zone, day in (("Africa/Cairo", date(2024, 4, 26)), ("America/Sao_Paulo", date(2018, 11, 4))):
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo(zone))
        start_us, _ = window_of(Window("day", time_zone=zone), int(noon.timestamp()) * SECOND_US)
        first = datetime.fromtimestamp(start_us // SECOND_US, ZoneInfo(zone))
        before = first.astimezone(UTC) - timedelta(seconds=1)
        assert (first.date(), before.astimezone(ZoneInfo(zone)).date()) == (day, day - timedelta(days=1))


def test_spans_and_all_time() -> None:
    assert window_of(Window("fixed", 3600), 7_300 * SECOND_US) == (7_200 * SECOND_US, 10_800 * SECOND_US)
    assert window_of(Window("total"), us("2026-11-24T12:00:00Z")) == (0, FOREVER_US)
    rolling = Window("rolling", 90)
    assert slice_us(rolling) * SLICES >= 90 * SECOND_US
    start_us, end_us = window_of(rolling, us("2026-11-24T12:00:00Z"))
    assert end_us - start_us == slice_us(rolling)


def test_a_call_falls_under_the_budgets_of_all_its_names() -> None:
    rule = budget(match={"team": ("support", "sales"), "key": ("production",)})
    assert falls_under(rule, {"team": ("sales",), "key": ("k1", "production")})
    assert not falls_under(rule, {"team": ("sales",), "key": ("k1",)})
    assert not falls_under(rule, {"key": ("production",)})
    assert falls_under(budget(), {})


def test_an_account_is_another_one_for_another_value_unit_or_window() -> None:
    values = {"customer": ("acme",), "team": ("red",)}
    names = {
        account_of(rule, values)  # type: ignore[arg-type]
        for rule in (
            budget(),
            budget(per=("customer",)),
            budget(per=("team",)),
            budget(per=("run",)),
            budget(unit="USD"),
            budget(window=Window("month", time_zone=BERLIN)),
            budget(window=Window("rolling", 60)),
            budget(window=Window("rolling", 90)),
        )
    }
    assert len(names) == 8
    assert account_of(budget(per=("customer",)), values) == "b|EUR|month|UTC|customer=acme"  # type: ignore[arg-type]


def test_held_money_is_rounded_up_and_needs_a_rate() -> None:
    fx = Fx(base="EUR", quote="USD", rate="1.1", date=date(2026, 1, 1), source="test")
    assert in_unit(110, "USD", "EUR", fx, up=False) == 100
    assert in_unit(100, "USD", "EUR", fx, up=True) == 92
    assert in_unit(100, "EUR", "EUR", None, up=True) == 100
    assert in_unit(100, "USD", "EUR", None, up=True) is None


@given(st.integers(1, 10**12), st.lists(st.integers(0, 10**10), max_size=30))
def test_each_share_of_a_limit_is_told_once(limit: int, amounts: list[int]) -> None:
    spent = 0
    told: list[int] = []
    for amount in amounts:
        told += crossed((500, 800, 1000), spent, spent + amount, limit)
        spent += amount
    assert told == [share for share in (500, 800, 1000) if spent * 1000 >= share * limit]
