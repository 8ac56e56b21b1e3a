"""Money taken apart comes together again to the nano-unit, whatever the calls were."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from tidegate.control import compare, focus, inside, naive
from tidegate.control.cells import (
    UNITS,
    Cell,
    Priced,
    cost_of,
    list_rates,
    priced_cells,
    shared_out,
    worth,
)
from tidegate.control.figures import Rates
from tidegate.control.forecast import Forecast, forecast
from tidegate.control.period import Period, before, midnight_us, zone_of
from tidegate.model.money import REFERENCE, Fx
from tidegate.model.price import PriceCard, price_id
from tidegate.model.usage import BUCKETS, Usage
from tidegate.policy.tariff import tariff_of
from tidegate.stores.sqlite.period_queries import FOCUS_FIELDS

DAY = date(2026, 11, 2)
RATES = Rates(
    [
        Fx(base="EUR", quote="USD", rate="1.15", date=date(2026, 11, 1), source=REFERENCE),
        Fx(base="EUR", quote="USD", rate="1.3", date=date(2026, 11, 5), source=REFERENCE),
    ],
    "EUR",
)


def card(model: str, processing: Literal["standard", "flex"] = "standard", **rates: str) -> PriceCard:
    return PriceCard(
        provider="p", model=model, rates=rates, processing=processing, currency="USD", source="test"
    )


BIG = card("big", input_uncached="3", cache_read="0.3", cache_write_5m="3.75", output_text="15")
FLEX = card("big", "flex", input_uncached="1.5", cache_read="0.15", cache_write_5m="1.875", output_text="7.5")
SMALL = card("small", input_uncached="0.25", output_text="2", searches="10000", requests="100")
CARDS = {price_id(one): one for one in (BIG, FLEX, SMALL)}


def cell(
    priced_by: PriceCard | None = BIG,
    *,
    attempts: int = 10,
    day: date = DAY,
    cost_nano: int | None = None,
    parts: tuple[int, ...] = (0,) * 5,
    **tokens: Any,
) -> Cell:
    """A cell that cost what its card says, unless something else is stated."""
    usage = Usage(**({"input_uncached": 0, "output_text": 0} | tokens))
    known = tariff_of(priced_by).cost(usage, requests=attempts).amount_nano if priced_by else None
    return Cell(
        day=day,
        provider="p",
        model=priced_by.model if priced_by else "other",
        price_id=price_id(priced_by) if priced_by else "",
        currency="USD",
        fx_id="",
        stated=cost_nano is not None,
        attempts=attempts,
        cost_nano=cost_nano if cost_nano is not None else known or 0,
        tokens=tuple(tokens.get(bucket, 0) for bucket in BUCKETS),
        parts=parts,
    )


def side(*cells: Cell, rates: Rates = RATES) -> compare.Side:
    return compare.side(cost_of(cells, rates), priced_cells(cells, rates, CARDS))


def change(old: Sequence[Cell], new: Sequence[Cell], rates: Rates = RATES) -> compare.Parts:
    return compare.compare(side(*old, rates=rates), side(*new, rates=rates)).parts


DOLLARS = Rates([], "USD")
USUAL: dict[str, Any] = {"input_uncached": 1_000_000, "cache_read": 1_000_000, "output_text": 100_000}


def only(part: str, nano: int) -> compare.Parts:
    changed: dict[str, Any] = {part: nano}
    return replace(compare.UNCHANGED, **changed)


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        ([cell(**USUAL)], compare.UNCHANGED),
        ([cell(attempts=20, **{name: 2 * n for name, n in USUAL.items()})], only("volume", 4_800_000_000)),
        ([cell(**{name: 3 * n for name, n in USUAL.items()})], only("tokens", 9_600_000_000)),
        ([cell(FLEX, **USUAL)], only("price", -2_400_000_000)),
        (
            [cell(input_uncached=2_000_000, output_text=100_000)],
            only("cache", 2_700_000_000),
        ),
        ([cell(SMALL, input_uncached=1_000_000)], only("mix", 250_000_000 + 1_000_000 - 4_800_000_000)),
        ([], only("volume", -4_800_000_000)),
    ],
    ids=["nothing", "twice the calls", "longer calls", "half the price", "no cache", "another model", "gone"],
)
def test_one_thing_that_changed_is_one_part(new: list[Cell], expected: compare.Parts) -> None:
    assert change([cell(**USUAL)], new, DOLLARS) == expected


def test_a_new_line_is_volume_and_nothing_before_and_after_is_nothing() -> None:
    assert change([], [cell(**USUAL)], DOLLARS) == only("volume", 4_800_000_000)
    assert change([], [], DOLLARS) == compare.UNCHANGED


def test_a_moved_exchange_rate_is_price() -> None:
    parts = change([cell(**USUAL)], [cell(day=DAY + timedelta(days=7), **USUAL)])
    assert replace(parts, price=0) == compare.UNCHANGED
    assert parts.price == round(Fraction(4_800_000_000) / Fraction("1.3")) - round(
        Fraction(4_800_000_000) / Fraction("1.15")
    )


TOKENS = st.integers(0, 5_000_000)
CELLS = st.lists(
    st.builds(
        lambda by, attempts, day, stated, parts, tokens: cell(
            by,
            attempts=attempts,
            day=DAY + timedelta(days=day),
            cost_nano=stated if by is not None or stated is not None else 0,
            parts=parts,
            **tokens,
        ),
        st.sampled_from([BIG, FLEX, SMALL, None]),
        st.integers(1, 1000),
        st.integers(0, 6),
        st.none() | st.integers(0, 10**13),
        st.tuples(*[st.integers(0, 10_000)] * 5),
        st.fixed_dictionaries(
            dict.fromkeys(
                ("input_uncached", "cache_read", "cache_write_5m", "output_text", "reasoning"), TOKENS
            )
        ),
    ),
    max_size=6,
)


@given(CELLS, CELLS)
def test_the_five_parts_add_up_to_the_difference(old: list[Cell], new: list[Cell]) -> None:
    found = compare.compare(side(*old), side(*new))
    assert found.parts.change == cost_of(new, RATES) - cost_of(old, RATES)
    assert found.before.cost_nano + found.parts.change == found.after.cost_nano


@given(CELLS, CELLS)
def test_lines_that_are_added_up_keep_to_the_difference(old: list[Cell], new: list[Cell]) -> None:
    names = {one.model for one in (*old, *new)}
    lines = [
        change([one for one in old if one.model == name], [one for one in new if one.model == name])
        for name in names
    ]
    whole = compare.together(lines)
    assert whole.mix == 0
    assert whole.change == sum(line.change for line in lines)


@given(CELLS)
def test_a_cells_rates_come_to_its_cost(cells: list[Cell]) -> None:
    for one in priced_cells(cells, RATES, CARDS):
        assert worth(one.cell.units, one.rates) == one.cost
        assert len(one.rates) == UNITS


@given(CELLS)
def test_the_money_inside_adds_up_to_the_cost(cells: list[Cell]) -> None:
    cost = cost_of(cells, RATES)
    found = inside.inside(cost, priced_cells(cells, RATES, CARDS))
    assert sum(found.places) == cost
    assert min(found.places) >= 0
    both = inside.together([found, found])
    assert (both.cost_nano, sum(both.places)) == (2 * cost, 2 * cost)


def test_the_money_inside_goes_where_the_tokens_were() -> None:
    one = cell(input_uncached=1_000_000, output_text=200_000, parts=(500, 300, 100, 0, 100))
    found = dict(zip(inside.PLACES, inside.inside(6 * 10**9, _priced([one])).places, strict=True))
    assert found == {
        "system": 1_500_000_000,
        "tools": 900_000_000,
        "history": 300_000_000,
        "tool_results": 0,
        "last_user": 300_000_000,
        "input_unmeasured": 0,
        "output": 3_000_000_000,
        "other": 0,
    }
    blind = inside.inside(6 * 10**9, _priced([cell(input_uncached=1_000_000, output_text=200_000)]))
    assert dict(zip(inside.PLACES, blind.places, strict=True))["input_unmeasured"] == 3_000_000_000


def _priced(cells: Sequence[Cell]) -> list[Priced]:
    return priced_cells(cells, DOLLARS, CARDS)


def _naive(*cells: Cell) -> naive.Naive:
    standard = naive.StandardCards(CARDS.values())
    return naive.naive(cost_of(cells, DOLLARS), _priced(cells), CARDS, standard)


def test_the_naive_cost_undoes_caches_and_cheaper_processing() -> None:
    read = _naive(cell(cache_read=1_000_000))
    assert (read.cost_nano, read.naive_nano, read.cache_nano) == (300_000_000, 3_000_000_000, 2_700_000_000)
    written = _naive(cell(cache_write_5m=1_000_000))
    assert (written.cache_nano, written.naive_nano) == (-750_000_000, 3_000_000_000)
    flex = _naive(cell(FLEX, cache_read=1_000_000, output_text=1_000_000))
    assert (flex.cost_nano, flex.naive_nano) == (7_650_000_000, 18_000_000_000)
    assert (flex.cache_nano, flex.processing_nano) == (1_350_000_000, 9_000_000_000)
    stated = _naive(cell(input_uncached=1_000_000, cost_nano=2_000_000_000))
    assert (stated.stated_nano, stated.naive_nano) == (1_000_000_000, 3_000_000_000)
    unknown = _naive(cell(None, input_uncached=5, cost_nano=7))
    assert (unknown.saved_nano, unknown.naive_nano) == (0, 7)


@given(CELLS)
def test_cost_and_savings_add_up_to_the_naive_cost(cells: list[Cell]) -> None:
    found = _naive(*cells)
    assert found.cost_nano == cost_of(cells, DOLLARS)
    whole = Fraction(0)
    for one in cells:
        by = CARDS.get(one.price_id)
        if by is None:
            whole += one.cost_nano
            continue
        rates = list(list_rates(BIG if by is FLEX else by))
        whole += worth(
            one.units, tuple(rates[0] if at in compare.CACHED else r for at, r in enumerate(rates))
        )
    assert abs(found.naive_nano - whole) <= len(cells) + 1


@given(st.integers(0, 10**12), st.lists(st.integers(0, 1000).map(Fraction), min_size=1, max_size=9))
def test_what_is_shared_out_adds_up(total: int, weights: list[Fraction]) -> None:
    shares = shared_out(total, weights)
    assert sum(shares) == total
    if whole := sum(weights):
        assert all(abs(share - total * w / whole) < 1 for share, w in zip(shares, weights, strict=True))


@given(CELLS)
def test_charges_add_up_to_what_was_billed(cells: list[Cell]) -> None:
    owner = dict.fromkeys(FOCUS_FIELDS, "x")
    source = {True: "stated", False: "price"}
    owned = [focus.Owned(owner, one, source[one.stated]) for one in cells]
    rows = list(focus.charges(owned, CARDS))
    assert sum(_nano(row["BilledCost"]) for row in rows) == sum(one.cost_nano for one in cells)
    assert all(set(row) == set(focus.COLUMNS) for row in rows)
    for row in rows:
        if row["ChargeCategory"] == "Usage" and row["ListUnitPrice"]:
            exact = Fraction(row["ListUnitPrice"]) * int(row["PricingQuantity"])
            assert exact == Fraction(row["ListCost"])
    granted = sum(row["ChargeCategory"] == "Credit" for row in rows)
    assert granted <= sum(one.stated for one in cells)


def _nano(text: str) -> int:
    return int(Fraction(text) * 10**9)


def test_a_charge_says_what_focus_asks_for() -> None:
    owner = {**dict.fromkeys(FOCUS_FIELDS, ""), "tenant": "acme", "feature": "summaries"}
    one = focus.Owned(owner, cell(input_uncached=2_000, cost_nano=5_000_000), "stated")
    usage, credit = focus.charges([one], CARDS)
    assert (usage["BilledCost"], usage["ListUnitPrice"]) == ("0.006000000", "0.000003")
    assert (usage["ListCost"], usage["PricingQuantity"], usage["PricingUnit"]) == ("0.006", "2000", "Tokens")
    assert (usage["ChargePeriodStart"], usage["ChargePeriodEnd"]) == (
        "2026-11-02T00:00:00Z",
        "2026-11-03T00:00:00Z",
    )
    assert (usage["BillingPeriodStart"], usage["BillingPeriodEnd"]) == (
        "2026-11-01T00:00:00Z",
        "2026-12-01T00:00:00Z",
    )
    assert (usage["SubAccountId"], usage["Tags"]) == ("acme", '{"feature":"summaries"}')
    assert credit["ChargeCategory"] == "Credit"
    assert {credit[name] for name in COSTS} == {"-0.001000000"}
    assert usage["SkuPriceId"] == "p/big/input_uncached/standard"
    dearer = focus.Owned(owner, cell(input_uncached=2_000, cost_nano=7_000_000), "stated")
    assert [row["ChargeCategory"] for row in focus.charges([dearer], CARDS)] == ["Usage", "Adjustment"]


COSTS = ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost")


def test_a_contract_price_is_no_list_price_and_an_unknown_one_none_at_all() -> None:
    owner = dict.fromkeys(FOCUS_FIELDS, "")
    contract = structs.replace(BIG, override=True)
    ours = focus.Owned(owner, cell(contract, input_uncached=1), "price")
    (row,) = focus.charges([ours], {price_id(contract): contract})
    assert (row["ListUnitPrice"], row["ContractedUnitPrice"]) == ("", "0.000003")
    assert (row["ListCost"], row["ContractedCost"]) == (row["BilledCost"], "0.000003")
    unknown = focus.Owned(owner, cell(None, input_uncached=5, cost_nano=7), "stated")
    (row,) = focus.charges([unknown], {})
    assert {row[name] for name in COSTS} == {"0.000000007"}
    assert (row["ListUnitPrice"], row["ContractedUnitPrice"]) == ("", "")
    assert row["SkuPriceId"] == row["SkuId"] == "p/other/input_uncached"


MANDATORY = (
    *("BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd"),
    *("BillingPeriodStart", "ChargeCategory", "ChargeDescription", "ChargePeriodEnd", "ChargePeriodStart"),
    *("ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost", "ProviderName", "PublisherName"),
    *("ServiceCategory", "ServiceName"),
)
"""Columns that FOCUS 1.2 requires and never lets be null; ChargeClass is required and null."""
OF_USAGE = ("ConsumedQuantity", "ConsumedUnit", "PricingQuantity", "PricingUnit", "SkuId", "SkuPriceId")


@given(CELLS)
def test_no_row_leaves_out_what_focus_requires(cells: list[Cell]) -> None:
    owner = dict.fromkeys(FOCUS_FIELDS, "")
    for row in focus.charges([focus.Owned(owner, one, "price") for one in cells], CARDS):
        assert [name for name in MANDATORY if not row[name]] == []
        assert row["ChargeClass"] == ""
        assert {bool(row[name]) for name in OF_USAGE} == {row["ChargeCategory"] == "Usage"}


MONTH = (date(2026, 11, 1), date(2026, 12, 1))


def outlook(costs: Mapping[date, int], today: date, begun: date = date(2026, 1, 1)) -> Forecast:
    return forecast(costs, first=MONTH[0], today=today, end=MONTH[1], begun=begun)


def test_weekdays_are_learned_from_two_weeks_on() -> None:
    days = [date(2026, 10, 26) + timedelta(days=at) for at in range(22)]
    costs = {day: 100 if day.weekday() < 5 else 10 for day in days}
    found = outlook(costs, date(2026, 11, 17), begun=date(2026, 10, 25))
    weekdays = sum(100 if date(2026, 11, at).weekday() < 5 else 10 for at in range(1, 31))
    assert (found.method, found.days, found.expected_nano) == ("weekdays", 22, weekdays)
    assert (found.low_nano, found.high_nano) == (weekdays, weekdays)
    few = outlook(costs, date(2026, 11, 6), begun=date(2026, 10, 25))
    assert (few.method, few.days) == ("average", 11)


def test_a_forecast_is_never_less_than_what_was_spent() -> None:
    costs = {date(2026, 11, at): 1 for at in range(1, 9)} | {date(2026, 11, 9): 1_000}
    found = outlook(costs, date(2026, 11, 9), begun=date(2026, 10, 31))
    assert (found.so_far_nano, found.expected_nano) == (1_008, 1_008 + 21)
    assert found.low_nano is not None
    assert found.low_nano >= found.so_far_nano


def test_without_a_whole_day_there_is_no_forecast() -> None:
    found = outlook({date(2026, 11, 9): 5}, date(2026, 11, 9), begun=date(2026, 11, 9))
    assert (found.method, found.so_far_nano, found.expected_nano, found.low_nano) == ("none", 5, None, None)


def test_few_days_give_a_range_from_the_cheapest_to_the_dearest() -> None:
    costs = {date(2026, 11, 1): 10, date(2026, 11, 2): 30}
    found = outlook(costs, date(2026, 11, 3), begun=date(2026, 10, 31))
    assert (found.expected_nano, found.low_nano, found.high_nano) == (40 + 28 * 20, 40 + 280, 40 + 840)


@pytest.mark.parametrize("today", [date(2026, 11, 8), date(2026, 11, 16), date(2026, 11, 24)])
def test_about_eight_of_ten_months_end_inside_the_range(today: date) -> None:
    draw, inside_range, months = random.Random(7), 0, 400
    begun = date(2026, 10, 3)
    for _ in range(months):
        days = [begun + timedelta(days=at) for at in range((MONTH[1] - begun).days)]
        costs = {day: draw.randint(500_000, 1_500_000) * (3 if day.weekday() < 5 else 1) for day in days}
        known = {day: nano for day, nano in costs.items() if day < today}
        found = outlook(known, today, begun=begun)
        assert found.low_nano is not None
        assert found.high_nano is not None
        whole = sum(nano for day, nano in costs.items() if day >= MONTH[0])
        inside_range += found.low_nano <= whole <= found.high_nano
    assert 0.7 <= inside_range / months <= 0.9


@given(st.dictionaries(st.dates(date(2026, 10, 1), date(2026, 11, 20)), st.integers(0, 10**12)))
@settings(max_examples=50)
def test_a_range_holds_what_is_expected(costs: dict[date, int]) -> None:
    found = outlook(costs, date(2026, 11, 20), begun=date(2026, 10, 1))
    assert found.low_nano is not None
    assert found.expected_nano is not None
    assert found.high_nano is not None
    assert found.so_far_nano <= found.low_nano <= found.expected_nano <= found.high_nano


def test_the_period_before_has_as_many_days_by_the_clock() -> None:
    rome = zone_of("Europe/Rome")
    week = Period(midnight_us(date(2026, 10, 26), rome), midnight_us(date(2026, 11, 2), rome), rome)
    found = before(week)
    assert found == Period(midnight_us(date(2026, 10, 19), rome), week.since_us, rome)
    assert found.until_us - found.since_us != week.until_us - week.since_us
