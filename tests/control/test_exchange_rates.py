"""Imports only add days, and what was converted once stays as it was (trap M12)."""

from collections.abc import Iterable
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.control.test_publisher import ROW, SETTINGS, publisher
from tests.control.test_registry import Memory
from tests.support.calls import DAY_US, NOON_US, begin, end, in_memory, project, settled, who
from tidegate.config.settings import Settings
from tidegate.control.exchange_rates import RatesRequest, RatesTaken, request_of
from tidegate.control.figures import Rates
from tidegate.control.period import Period, zone_of
from tidegate.control.registry import Registry
from tidegate.control.report import Report, report
from tidegate.model.errors import BadRequest, Unavailable
from tidegate.model.money import REFERENCE, Fx, scaled
from tidegate.model.price import PriceSection
from tidegate.model.record import GatewayRecord, RatesImported, decode_control, encode
from tidegate.model.reference_rate import LONGEST_RATE, RATES_A_RECORD
from tidegate.services.clock import Clock
from tidegate.services.pricebook import PriceBook
from tidegate.stores.journal.frames import MAX_PAYLOAD_BYTES
from tidegate.stores.snapshot import read_snapshot
from tidegate.stores.sqlite import queries

TODAY = date(2026, 11, 7)
"""The day of NOON_US, a Saturday."""
FRIDAY = TODAY - timedelta(days=1)


def fx(rate: str, day: date = FRIDAY, quote: str = "USD", source: str = REFERENCE) -> Fx:
    return Fx(base="EUR", quote=quote, rate=rate, date=day, source=source)


def asked(*rates: Fx) -> RatesRequest:
    return request_of(rates)


class Stage:
    def __init__(self) -> None:
        self.now_us = NOON_US
        self.journal = Memory()
        self.registry = self.made()

    def made(self) -> Registry:
        return Registry(self.journal, b"p" * 32, Clock(wall_us=lambda: self.now_us))

    def take(self, *rates: Fx) -> RatesTaken:
        return self.registry.import_rates(asked(*rates), by="me")

    def again(self) -> Registry:
        made = self.made()
        made.replay(map(decode_control, self.journal.raw))
        return made


def test_an_import_adds_days_once() -> None:
    stage = Stage()
    assert stage.take(fx("1.15"), fx("176", quote="JPY")) == RatesTaken(added=2, known=0)
    assert stage.take(fx("1.15"), fx("1.16", TODAY)) == RatesTaken(added=1, known=1)
    assert stage.take(fx("1.15")) == RatesTaken(added=0, known=1)
    assert len(stage.journal.raw) == 2
    assert stage.again().rates_shipped() == stage.registry.rates_shipped()
    assert [one.id for one in stage.registry.rates_shipped()] == [
        "EUR-JPY-2026-11-06-176",
        "EUR-USD-2026-11-06-1.15",
        "EUR-USD-2026-11-07-1.16",
    ]


def test_a_known_day_with_another_rate_is_refused_by_day_and_value() -> None:
    stage = Stage()
    stage.take(fx("1.15"))
    with pytest.raises(BadRequest, match=r"2026-11-06 EUR/USD is known as 1\.15, not 1\.2") as caught:
        stage.take(fx("1.2"), fx("1.16", TODAY))
    assert "[[prices.fx]]" in caught.value.message
    assert len(stage.journal.raw) == 1
    with pytest.raises(BadRequest, match="known as"):
        stage.again().import_rates(asked(fx("1.2")), by="me")
    assert stage.take(fx("1.150")) == RatesTaken(added=0, known=1)


@pytest.mark.parametrize(
    ("rates", "word"),
    [
        ((("USD", "2026-11-08", "1.1"),), "has not come"),
        ((("USD", "2026-11-06", "0"),), "zero"),
        ((("USD", "2026-11-06", "-1"),), "unsigned"),
        ((("USD", "2026-11-06", "1" * (LONGEST_RATE + 1)),), "characters"),
        ((("EUR", "2026-11-06", "1"),), "two currency codes"),
        ((("USD", "soon", "1"),), "soon"),
        ((("USD", "2026-11-06", "1"), ("USD", "2026-11-06", "2")), "given twice"),
    ],
)
def test_what_cannot_be_a_rate_imports_nothing(rates: tuple[tuple[str, str, str], ...], word: str) -> None:
    stage = Stage()
    good = ("JPY", "2026-11-06", "176")
    with pytest.raises(BadRequest, match=word):
        stage.registry.import_rates(RatesRequest(base="EUR", source=REFERENCE, rates=(good, *rates)), by="me")
    assert stage.journal.raw == []


def test_a_disk_that_fails_imports_nothing_and_the_same_import_goes_on() -> None:
    stage = Stage()
    stage.journal.broken = True
    with pytest.raises(Unavailable):
        stage.take(fx("1.15"))
    stage.journal.broken = False
    assert stage.take(fx("1.15")) == RatesTaken(added=1, known=0)


def test_a_whole_history_fits_the_frames_of_a_journal() -> None:
    stage = Stage()
    days = [TODAY - timedelta(days=at) for at in range(2 * RATES_A_RECORD + 1)]
    longest = "1." + "1" * (LONGEST_RATE - 2)
    assert stage.take(*(fx(longest, day) for day in days)).added == len(days)
    assert len(stage.journal.raw) == 3
    assert max(map(len, stage.journal.raw)) < MAX_PAYLOAD_BYTES


def test_gateways_get_the_last_rates_and_the_operators_own_after_them(tmp_path: Path) -> None:
    stage = Stage()
    old = fx("1.01", TODAY - timedelta(days=400))
    gone = fx("7.5", TODAY - timedelta(days=900), "HRK")
    stage.take(gone, old, fx("1.15"), fx("1.14", FRIDAY - timedelta(days=1)))
    mine = Fx(base="EUR", quote="USD", rate="1.2", date=FRIDAY, source="our bank")
    settings = Settings(deployments=(ROW,), prices=PriceSection(fx=(mine,)))
    publisher(tmp_path, settings=settings).publish(stage.registry)
    found = read_snapshot(tmp_path)
    assert found is not None
    assert [one.rate for one in found.prices.fx] == ["7.5", "1.14", "1.15", "1.2"]
    book = PriceBook.load(found.prices)
    assert book.fx("USD", "EUR", NOON_US) == mine
    publisher(tmp_path, now_us=20_000_000, settings=SETTINGS).publish(stage.registry)
    again = read_snapshot(tmp_path)
    assert again is not None
    weekend = PriceBook.load(again.prices).fx("USD", "EUR", NOON_US + DAY_US)
    assert weekend is not None
    assert weekend.rate == "1.15"


def converted(rates: list[Fx], day: date, pinned: str = "") -> int | None:
    return Rates(rates, "EUR").converted(10**9, "USD", pinned, day)


def test_an_amount_without_a_rate_of_its_own_takes_the_day_or_the_one_before() -> None:
    rates = [fx("2", date(2026, 11, 5)), fx("4", FRIDAY), fx("8", date(2026, 11, 9))]
    days = [date(2026, 11, 4) + timedelta(days=at) for at in range(6)]
    expected = [None, 500_000_000, 250_000_000, 250_000_000, 250_000_000, 125_000_000]
    assert [converted(rates, day) for day in days] == expected


@pytest.mark.parametrize("order", [1, -1])
def test_of_one_day_the_operators_rate_goes_before_the_imported_one(order: int) -> None:
    assert converted([fx("4"), fx("2", source="our bank")][::order], FRIDAY) == 500_000_000
    assert converted([fx("2"), fx("4", source="our bank")][::order], FRIDAY) == 250_000_000


RATES = st.dictionaries(
    st.dates(date(2026, 10, 1), date(2026, 11, 7)), st.sampled_from(["0.9", "1.1", "1.25", "3"]), max_size=12
)


def rows(rates: dict[date, str]) -> list[Fx]:
    return [fx(rate, day) for day, rate in rates.items()]


@given(RATES, RATES, st.dates(date(2026, 10, 1), date(2026, 11, 7)), st.data())
def test_a_later_import_changes_no_amount_with_a_rate_of_its_own(
    first: dict[date, str], later: dict[date, str], day: date, data: st.DataObject
) -> None:
    known = rows(first)
    both = rows(later | first)
    if known:
        pinned = data.draw(st.sampled_from(known)).id
        assert converted(both, day, pinned) == converted(known, day, pinned)
    if known and day <= (newest := max(first)):
        after = [one for one in both if one.date > newest]
        assert converted(known + after, day) == converted(known, day)


CALLS = st.lists(
    st.tuples(
        st.integers(0, 6),
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(["EUR", "USD"]),
        st.integers(0, 10**12),
        st.booleans(),
    ),
    min_size=1,
    max_size=25,
)


def reported(calls: Iterable[tuple[int, str, str, int, bool]], rates: list[Fx], by: str) -> Report:
    with in_memory() as store:
        records: list[GatewayRecord] = []
        for at, (day, feature, currency, nano, pins) in enumerate(calls):
            moment = NOON_US + (day - 6) * DAY_US
            fits = [one for one in rates if one.date <= date(2026, 11, 1 + day)]
            pinned = max(fits, key=lambda one: one.date).id if fits and pins and currency != "EUR" else ""
            last = settled(cost_nano=nano, currency=currency, fx_id=pinned)
            records += [begin(f"r{at}", at=moment, who=who(feature=feature)), end(f"r{at}", last=last)]
        imported = RatesImported(
            seq=1,
            at=NOON_US,
            by="me",
            base="EUR",
            source=REFERENCE,
            rates=tuple((one.quote, one.date.isoformat(), one.rate) for one in rates),
        )
        project(store, *records, decided=[imported])
        assert len(queries.rates(store)) == len(rates)
        period = Period(NOON_US - 9 * DAY_US, NOON_US + DAY_US, zone_of("UTC"))
        return report(store, by=("day",) if by == "day" else ("feature",), period=period, currency="EUR")


@given(CALLS, st.sampled_from(["1.1", "0.7", "3"]), st.sampled_from(["2", "1.3"]))
def test_lines_add_up_to_the_total_in_both_currencies(
    calls: list[tuple[int, str, str, int, bool]], first: str, later: str
) -> None:
    rates = [fx(first, date(2026, 10, 30)), fx(later, date(2026, 11, 4))]
    by_feature, by_day = (reported(calls, rates, by) for by in ("feature", "day"))
    for found in (by_feature, by_day):
        assert found.total.cost_nano == sum(line.figures.cost_nano or 0 for line in found.lines)
        assert found.total.beside_nano == sum(line.figures.beside_nano or 0 for line in found.lines)
    exact = Fraction(0)
    for day, _, currency, nano, _ in calls:
        units, scale = scaled(later if day >= 3 else first)
        exact += nano if currency == "EUR" else Fraction(nano * 10**scale, units)
    for found in (by_feature, by_day):
        groups = len(found.lines) * 7 * 2
        assert found.total.cost_nano is not None
        assert abs(found.total.cost_nano - exact) <= Fraction(groups, 2)


def test_records_of_an_import_read_back_as_they_were() -> None:
    stage = Stage()
    stage.take(fx("1.15"), fx("1.2", TODAY))
    record = decode_control(stage.journal.raw[0])
    assert isinstance(record, RatesImported)
    assert (record.seq, record.by, record.base) == (1, "me", "EUR")
    assert record.rates == (("USD", "2026-11-06", "1.15"), ("USD", "2026-11-07", "1.2"))
    assert encode(record) == stage.journal.raw[0]
