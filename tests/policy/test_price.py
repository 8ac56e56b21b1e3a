from datetime import UTC, date, datetime
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.model.money import plain
from tidegate.model.price import PriceCard, Uplift
from tidegate.model.usage import BUCKETS, Usage
from tidegate.policy import price
from tidegate.policy.price import choose_card, choose_uplift, cost, hold_amount, uplifted

RATES = {
    "input_uncached": "3",
    "cache_read": "0.3",
    "cache_write_5m": "3.75",
    "cache_write_1h": "6",
    "output_text": "15",
    "searches": "10000",
}


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def card(**given_: Any) -> PriceCard:
    return PriceCard(**{"provider": "p", "model": "m", "rates": RATES, "source": "list", **given_})


OLD = card(valid_to=date(2026, 8, 17))
NEW = card(valid_from=date(2026, 8, 17))
PEAK = card(valid_from=date(2026, 8, 17), window=(60, 240), weekdays=31)
NIGHT = card(window=(1410, 30))
SINCE = {"valid_from": date(2026, 8, 17)}
LONG, LONGER = card(**SINCE, input_over=200_000), card(**SINCE, input_over=500_000)
BATCH = card(processing="batch")
EU = card(region="eu")
OWN = card(override=True, currency="EUR")


@pytest.mark.parametrize(
    ("cards", "when", "expected"),
    [
        ([OLD, NEW, PEAK], "2026-08-16T23:59", OLD),
        ([OLD, NEW, PEAK], "2026-08-17T00:00", NEW),
        ([OLD, NEW, PEAK], "2026-07-01T02:00", OLD),  # history and time of day compose
        ([OLD, NEW, PEAK], "2026-08-31T00:59", NEW),  # a Monday
        ([OLD, NEW, PEAK], "2026-08-31T01:00", PEAK),
        ([OLD, NEW, PEAK], "2026-08-31T03:59", PEAK),
        ([OLD, NEW, PEAK], "2026-08-31T04:00", NEW),
        ([OLD, NEW, PEAK], "2026-08-30T02:00", NEW),  # a Sunday
        ([NEW, NIGHT], "2026-08-30T23:30", NIGHT),
        ([NEW, NIGHT], "2026-08-30T00:29", NIGHT),
        ([NEW, NIGHT], "2026-08-30T00:30", NEW),
        ([OLD], "2026-08-17T00:00", None),
        ([], "2026-08-17T00:00", None),
        ([NEW, OWN], "2026-08-17T00:00", OWN),
        ([PEAK, OWN], "2026-08-31T01:00", OWN),
        ([card(input_over=10), NEW], "2026-09-01T00:00", NEW),  # a later list without tiers ends them
    ],
)
def test_the_card_is_of_the_day_and_the_time(
    cards: list[PriceCard], when: str, expected: PriceCard | None
) -> None:
    for ordered in (cards, cards[::-1]):
        assert choose_card(ordered, at_us=at(when), input_tokens=11) is expected


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [(0, NEW), (200_000, NEW), (200_001, LONG), (500_000, LONG), (500_001, LONGER)],
)
def test_a_context_tier_begins_beyond_its_mark(tokens: int, expected: PriceCard) -> None:  # trap M3
    assert choose_card([LONGER, NEW, LONG], at_us=at("2026-09-01"), input_tokens=tokens) is expected


@pytest.mark.parametrize(
    ("cards", "processing", "expected"),
    [
        ([NEW, BATCH], "batch", BATCH),
        ([NEW], "batch", None),
        ([NEW, BATCH], "flex", None),
        ([BATCH], "standard", None),
    ],
)
def test_no_way_of_processing_stands_in_for_another(
    cards: list[PriceCard], processing: Any, expected: PriceCard | None
) -> None:  # trap M3
    found = choose_card(cards, at_us=at("2026-09-01"), input_tokens=0, processing=processing)
    assert found is expected


def test_a_card_of_the_region_goes_first_and_no_other_regions() -> None:
    assert choose_card([NEW, EU], at_us=at("2026-09-01"), input_tokens=0, region="eu") is EU
    assert choose_card([NEW, EU], at_us=at("2026-09-01"), input_tokens=0) is NEW
    assert choose_card([EU], at_us=at("2026-09-01"), input_tokens=0, region="us") is None


@pytest.mark.parametrize(
    ("tier", "expected"),
    [("", "standard"), ("default", "standard"), ("Flex", "flex"), ("priority", "priority"), ("scale", None)],
)
def test_service_tiers_by_name(tier: str, expected: str | None) -> None:
    assert price.processing_of(tier) == expected


def test_cost_worked_by_hand() -> None:  # trap M1
    usage = Usage(
        input_uncached=10,
        cache_read=20_000,
        cache_write_5m=1_000,
        cache_write_1h=500,
        output_text=300,
        searches=2,
    )
    # 30 + 6,000 + 3,750 + 3,000 + 4,500 micro-units, and 2 searches at 10 a thousand
    assert cost(usage, card()).amount_nano == 17_280_000 + 20_000_000


@pytest.mark.parametrize(("tokens", "nano"), [(1, 0), (3, 2), (5, 2), (1_000_000, 500_000)])
def test_prices_below_a_nano_unit_are_summed_before_the_one_rounding(
    tokens: int, nano: int
) -> None:  # trap M12
    cheap = card(rates={"input_uncached": "0.0005"})
    assert cost(Usage(input_uncached=tokens), cheap).amount_nano == nano


def test_reasoning_costs_what_output_costs_unless_listed() -> None:
    usage = Usage(input_uncached=0, output_text=0, reasoning=100)
    assert cost(usage, card()).amount_nano == 1_500_000
    assert cost(usage, card()).flags == ()
    assert cost(usage, card(rates={**RATES, "reasoning": "20"})).amount_nano == 2_000_000


@pytest.mark.parametrize(
    ("bucket", "nano", "flag"),
    [
        ("cache_read", 2_000_000, "cache_price_missing"),
        ("cache_write_5m", 2_000_000, "cache_price_missing"),
        ("cache_write_1h", 2_000_000, "cache_price_missing"),
        ("input_image", 2_000_000, "image_price_missing"),
        ("input_audio", 2_000_000, "audio_price_missing"),
        ("output_audio", 8_000_000, "audio_price_missing"),
    ],
)
def test_a_rate_that_is_not_listed_is_estimated_and_flagged(bucket: str, nano: int, flag: str) -> None:
    bare = card(rates={"input_uncached": "2", "output_text": "8"})
    found = cost(Usage(**{"input_uncached": 0, "output_text": 0, bucket: 1_000}), bare)
    assert (found.amount_nano, found.flags, found.estimated) == (nano, (flag,), True)


def test_an_hours_cache_write_costs_no_less_than_five_minutes() -> None:
    bare = card(rates={"input_uncached": "2", "cache_write_5m": "2.5", "output_text": "8"})
    found = cost(Usage(cache_write_1h=1_000, output_text=0), bare)
    assert found.amount_nano == 2_500_000


def test_a_rate_by_ratio_is_flagged_when_it_is_used() -> None:
    ratio = card(estimated=("cache_read",))
    assert cost(Usage(cache_read=1, output_text=1), ratio).flags == ("cache_price_missing",)
    assert not cost(Usage(input_uncached=1, output_text=1), ratio).estimated


def test_what_nothing_prices_leaves_the_amount_unknown() -> None:  # trap M4
    bare = card(rates={"input_uncached": "2", "output_text": "8"})
    found = cost(Usage(input_uncached=1_000, output_text=0, searches=1), bare)
    assert (found.amount_nano, found.known_nano, found.missing) == (None, 2_000_000, ("searches",))


@pytest.mark.parametrize(
    ("usage", "rates", "unknown"),
    [
        (Usage(), RATES, ("input", "output")),
        (Usage(input_uncached=5), RATES, ("output",)),
        (Usage(output_text=5), RATES, ("input",)),
        (Usage(input_uncached=5), {"input_uncached": "0.1"}, ()),  # embeddings
        (Usage(cache_read=5, reasoning=0), RATES, ()),
    ],
)
def test_a_side_that_nobody_told_is_unknown_not_free(
    usage: Usage, rates: dict[str, str], unknown: tuple[str, ...]
) -> None:
    found = cost(usage, card(rates=rates))
    assert found.unknown == unknown
    assert (found.amount_nano is None) is bool(unknown)


def test_a_fee_per_call_is_charged_once() -> None:
    fee = card(rates={"input_uncached": "1", "output_text": "1", "requests": "5000"})
    assert cost(Usage(input_uncached=0, output_text=0), fee).amount_nano == 5_000_000
    assert hold_amount(fee, 0, 0) == (5_000_000, 5_000_000)


COUNTS = st.one_of(st.none(), st.integers(0, 10**9))
USAGES = st.builds(Usage, **dict.fromkeys(BUCKETS, COUNTS))
PRICES = st.decimals(min_value=0, max_value=10_000, places=9).map(lambda value: plain(format(value, "f")))
CARDS = st.builds(lambda rates: card(rates=rates), st.fixed_dictionaries(dict.fromkeys(BUCKETS, PRICES)))


@given(USAGES, CARDS)
def test_cost_is_the_exact_sum_rounded_once(usage: Usage, prices: PriceCard) -> None:  # trap M12
    exact = sum(
        (Fraction(getattr(usage, bucket) or 0) * Fraction(prices.rates[bucket]) for bucket in BUCKETS),
        Fraction(),
    )
    assert cost(usage, prices).known_nano == round(exact * 1000)


@given(USAGES, CARDS)
def test_cost_is_the_sum_of_its_buckets_but_for_rounding(usage: Usage, prices: PriceCard) -> None:  # trap M1
    apart = sum(cost(Usage(**{name: getattr(usage, name)}), prices).known_nano for name in BUCKETS)
    assert abs(apart - cost(usage, prices).known_nano) <= len(BUCKETS)


@given(USAGES, CARDS, st.sampled_from(BUCKETS), st.integers(1, 10**6))
def test_more_tokens_never_cost_less(usage: Usage, prices: PriceCard, bucket: str, more: int) -> None:
    raised = msgspec.structs.replace(usage, **{bucket: (getattr(usage, bucket) or 0) + more})
    assert cost(raised, prices).known_nano >= cost(usage, prices).known_nano


@given(st.integers(0, 10**7), st.integers(0, 10**6), st.integers(0, 10**7), st.integers(0, 10**6))
def test_a_hold_covers_what_the_call_then_costs(fresh: int, written: int, read: int, output: int) -> None:
    usage = Usage(input_uncached=fresh, cache_write_5m=written, cache_read=read, output_text=output)
    total, of_input = hold_amount(card(), fresh + written + read, output)
    settled = cost(usage, card()).amount_nano
    assert settled is not None
    assert settled <= total
    assert of_input <= total


def test_a_hold_takes_the_input_as_written_to_the_cache() -> None:
    assert hold_amount(card(), 1_000_000, 0) == (3_750_000_000, 3_750_000_000)
    assert hold_amount(card(), 1_000_000, 0, writes_1h=True)[0] == 6_000_000_000
    assert hold_amount(card(), 0, 1_000_000) == (15_000_000_000, 0)


@pytest.mark.parametrize(
    ("text", "divisor", "nano"),
    [
        ("0.00123", 1, 1_230_000),
        ("1.5e-07", 1, 150),
        ("0", 1, 0),
        ("-1", 1, None),
        ("NaN", 1, None),
        ("1000000", 1, None),
        ("x" * 500, 1, None),
    ],
)
def test_a_stated_cost_is_read_exactly_or_not_at_all(
    text: str, divisor: int, nano: int | None
) -> None:  # trap M11
    assert price.stated_nano(text, divisor) == nano


@pytest.mark.parametrize(
    ("stated", "computed", "drift"),
    [
        (1_000_000_000, 1_004_000_000, False),
        (1_000_000_000, 1_006_100_000, True),
        (0, 900, False),
        (0, 1_100, True),
    ],
)
def test_drift_is_more_than_rounding(stated: int, computed: int, drift: bool) -> None:  # trap M11
    assert price.drifts(stated, computed) is drift


ROWS = (
    Uplift(
        provider="p",
        regions=("eu",),
        factor="1.1",
        models=("new*",),
        valid_from=date(2026, 3, 5),
        source="guide",
    ),
)


@pytest.mark.parametrize(
    ("model", "region", "when", "factor"),
    [
        ("new-1", "eu", "2026-03-05", "1.1"),
        ("new-1", "eu", "2026-03-04", "1"),
        (
            "old-1",
            "eu",
            "2026-06-01",
            "1",
        ),  # the rows know this region: the deployment's factor does not hold
        ("new-1", "jp", "2026-06-01", "1.2"),
    ],
)
def test_rows_decide_an_uplift_and_the_deployment_where_there_are_none(
    model: str, region: str, when: str, factor: str
) -> None:
    found, _ = choose_uplift(
        ROWS, provider="p", model=model, region=region, price_factor="1.2", at_us=at(when)
    )
    assert found == factor


def test_an_uplift_is_exact_and_leaves_fees_alone() -> None:
    raised = uplifted(card(), region="eu", factor="1.1", source="guide")
    assert raised.rates["input_uncached"] == "3.3"
    assert raised.rates["cache_read"] == "0.33"
    assert raised.rates["cache_write_5m"] == "4.125"
    assert raised.rates["searches"] == "10000"
    assert (raised.region, raised.flags, raised.source) == ("eu", ("uplift",), "list; times 1.1: guide")


def test_differences_name_the_rates_both_list() -> None:
    other = card(rates={"input_uncached": "3", "output_text": "16", "input_audio": "40"})
    assert price.differences(card(), other) == ("output_text",)
    in_eur = card(currency="EUR", rates={"input_uncached": "3"})
    assert price.differences(card(), in_eur) == ("input_uncached",)
