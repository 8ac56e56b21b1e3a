"""The importer against the installed source, and against small stand-ins for what it does not hold today."""

from dataclasses import dataclass, field
from datetime import date, time
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tidegate.model.price import PriceCard, is_literal
from tidegate.services.price_import import Report, convert_provider, import_genai, patterns_of_regex
from tidegate.services.price_rows import (
    PRICES,
    RULES,
    Rules,
    changes,
    price_lines,
    read_prices,
    read_rules,
    same_rows,
)
from tidegate.services.pricebook import PriceBook

TODAY = date(2026, 11, 24)


@dataclass
class ClauseEquals:
    equals: str


@dataclass
class StartDateConstraint:
    start_date: date


@dataclass
class TimeOfDateConstraint:
    start_time: time
    end_time: time


class Prices:
    def __init__(self, **rates: Any) -> None:
        self.__dict__.update(rates)


@dataclass
class Tier:
    start: int
    price: Decimal


@dataclass
class Tiered:
    base: Decimal
    tiers: list[Tier]


@dataclass
class Conditional:
    prices: Prices
    constraint: Any = None


@dataclass
class Variant:
    when: dict[str, str]
    prices: Prices
    constraint: Any = None


@dataclass
class Model:
    prices: Any
    price_variants: list[Variant] = field(default_factory=list)
    id: str = "m"
    match: Any = field(default_factory=lambda: ClauseEquals("m"))


@dataclass
class Provider:
    models: list[Model]
    id: str = "p"
    pricing_urls: tuple[str, ...] = ()
    fallback_model_providers: tuple[str, ...] = ()


def cards_of(model: Model, rules: str = "") -> list[PriceCard]:
    parsed = msgspec.toml.decode(rules, type=Rules)
    report = Report()
    found = convert_provider(Provider([model]), parsed, version="1", imported=TODAY, report=report)
    assert not report.skipped
    return [card for row in found.models for card in row.cards]


def rates(**usd: str) -> Prices:
    return Prices(**{key: Decimal(value) for key, value in usd.items()})


def test_a_time_of_day_inherits_the_date_before_it() -> None:
    old, new, peak = (Conditional(rates(input_mtok=usd)) for usd in ("1", "2", "4"))
    new.constraint = StartDateConstraint(date(2026, 8, 17))
    peak.constraint = TimeOfDateConstraint(time(1), time(4, 30))
    first, second, third = cards_of(Model([old, new, peak]))
    assert (first.valid_from, first.valid_to, first.window) == (None, date(2026, 8, 17), None)
    assert (second.valid_from, second.valid_to, second.window) == (date(2026, 8, 17), None, None)
    assert (third.valid_from, third.window, third.rates) == (
        date(2026, 8, 17),
        (60, 270),
        {"input_uncached": "4"},
    )


def test_a_weekday_rule_splits_the_times_of_day_at_its_day() -> None:
    peak = Conditional(rates(input_mtok="4"), TimeOfDateConstraint(time(1), time(4)))
    rule = '[[weekdays]]\nprovider="p"\nmodels=["m"]\nweekdays=31\nvalid_from=2026-08-23\nsource="s"'
    always, before, after = cards_of(Model([Conditional(rates(input_mtok="1")), peak]), rule)
    assert (always.window, always.weekdays) == (None, 127)
    assert (before.weekdays, before.valid_from, before.valid_to) == (127, None, date(2026, 8, 23))
    assert (after.weekdays, after.valid_from, after.valid_to) == (31, date(2026, 8, 23), None)


def test_whole_request_tiers_are_cards_of_their_own() -> None:  # trap M3
    tiered = Tiered(Decimal("1.25"), [Tier(200_000, Decimal("2.5"))])
    low, high = cards_of(Model(Prices(input_mtok=tiered, output_mtok=Decimal(10))))
    assert (low.input_over, low.rates) == (0, {"input_uncached": "1.25", "output_text": "10"})
    assert (high.input_over, high.rates) == (200_000, {"input_uncached": "2.5", "output_text": "10"})


def test_a_batch_price_follows_the_standard_one_through_its_dates() -> None:
    old, new = (
        Conditional(rates(input_mtok="1", web_searches_kcount="10")),
        Conditional(rates(input_mtok="3")),
    )
    new.constraint = StartDateConstraint(date(2026, 6, 1))
    batch = Variant({"processing": "batch"}, rates(output_mtok="5"), StartDateConstraint(date(2026, 5, 1)))
    found = [card for card in cards_of(Model([old, new], [batch])) if card.processing == "batch"]
    assert [(card.valid_from, card.valid_to, card.rates) for card in found] == [
        (
            date(2026, 5, 1),
            date(2026, 6, 1),
            {"input_uncached": "1", "output_text": "5", "searches": "10000"},
        ),
        (date(2026, 6, 1), None, {"input_uncached": "3", "output_text": "5"}),
    ]


def test_the_first_variant_in_force_wins_price_by_price() -> None:
    newer = Variant({"processing": "batch"}, rates(input_mtok="3"), StartDateConstraint(date(2026, 6, 1)))
    older = Variant({"processing": "batch"}, rates(input_mtok="2", output_mtok="7"))
    standard = rates(input_mtok="9", output_mtok="9")
    found = [card.rates for card in cards_of(Model(standard, [newer, older])) if card.processing == "batch"]
    assert found == [
        {"input_uncached": "2", "output_text": "7"},
        {"input_uncached": "3", "output_text": "7"},
    ]


def test_units_that_no_bucket_counts_are_named() -> None:
    (card,) = cards_of(Model(rates(input_mtok="1", audio_hours="0.24")))
    assert card.omits == ("audio_hours",)


def test_a_model_without_a_price_that_is_metered_is_left_out() -> None:
    report = Report()
    models = [Model(Prices()), Model(rates(input_document_kpages="1"), id="ocr")]
    found = convert_provider(Provider(models), Rules(), version="1", imported=TODAY, report=report)
    assert (found.models, report.unmetered) == ((), 2)


def test_what_cannot_be_said_is_reported_by_name() -> None:
    report = Report()
    odd = Variant({"search_type": "fast"}, rates(web_searches_kcount="1"))
    models = [
        Model(rates(input_mtok="1"), [odd]),
        Model(rates(input_mtok="1"), id="star", match=ClauseEquals("a*")),
    ]
    found = convert_provider(Provider(models), Rules(), version="1", imported=TODAY, report=report)
    assert [row.model for row in found.models] == ["m"]
    assert [line.split(":")[0] for line in report.skipped] == ["p/m", "p/star"]


@pytest.mark.parametrize(
    ("regex", "patterns"),
    [
        (r"^claude-opus-5[-@]\d{8}$", ["claude-opus-5-########", "claude-opus-5@########"]),
        (r"^gpt-6\.1-sol-\d{4}-\d{2}-\d{2}$", ["gpt-6.1-sol-####-##-##"]),
        (r"^gemini-4-argon-\d", ["gemini-4-argon-#*"]),
        (r"^(t/)?jev-1\.13(-\d{2})?$", ["jev-1.13", "jev-1.13-##", "t/jev-1.13", "t/jev-1.13-##"]),
        (r"^grok-4\.5\[fast=true\]$", ["grok-4.5[fast=true]"]),
    ],
)
def test_simple_expressions_become_patterns(regex: str, patterns: list[str]) -> None:
    assert list(patterns_of_regex(regex)) == patterns


@pytest.mark.parametrize(
    "regex", ["gpt", r"^a+$", r"^a.*$", r"^a|b$", r"^a{2}$", r"^(?=a)b$", r"^\w$", r"^[^a]$"]
)
def test_other_expressions_are_refused_not_guessed(regex: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        list(patterns_of_regex(regex))


def test_changes_tell_old_and_new_figures() -> None:
    def of(*models: Model) -> Any:
        return convert_provider(Provider(list(models)), Rules(), version="1", imported=TODAY, report=Report())

    old = of(Model(rates(input_mtok="1")), Model(rates(input_mtok="5"), id="gone"))
    new = of(Model(rates(input_mtok="2")), Model(rates(input_mtok="7"), id="made", match=ClauseEquals("n")))
    told = [(change.kind, change.model, change.old, change.new) for change in changes(old, new)]
    assert told == [
        ("removed", "gone", "USD input_uncached 5", ""),
        ("changed", "m", "USD input_uncached 1", "USD input_uncached 2"),
        ("added", "made", "", "USD input_uncached 7"),
    ]
    assert changes(new, new) == []
    assert not same_rows(old, new)


def test_the_shipped_rows_are_what_the_installed_source_gives() -> None:
    package = pytest.importorskip("genai_prices")
    heads = {path.stem: read_prices(path).head for path in PRICES.glob("*.jsonl")}
    if {head.source_version for head in heads.values()} != {package.__version__}:
        pytest.skip("another version of the source is installed than the rows are from")
    rules = read_rules(PRICES / RULES)
    found, report = import_genai(rules, imported=TODAY)
    again, _ = import_genai(rules, imported=TODAY)
    assert [price_lines(prices) for prices in found] == [price_lines(prices) for prices in again]
    assert {prices.head.provider for prices in found} == heads.keys()
    for prices in found:
        assert changes(read_prices(PRICES / f"{prices.head.provider}.jsonl"), prices) == []
    assert all("search_type" in line for line in report.skipped)


def test_names_resolve_as_the_source_resolves_them() -> None:  # trap M18
    package = pytest.importorskip("genai_prices")
    data = pytest.importorskip("genai_prices.data")
    book = PriceBook.load()
    compared = 0
    for provider in data.providers:
        index = book._index(provider.id)
        assert index is not None
        if index.head.source_version != package.__version__:
            pytest.skip("another version of the source is installed than the rows are from")
        priced = {row.model for row in index.models}
        for name in _names(index.models):
            theirs = provider._match_model(name.lower())
            ours = index.find(name)
            expected = theirs.id if theirs is not None and theirs.id in priced else None
            assert (ours.model if ours else None) == expected, (provider.id, name)
            compared += 1
    assert compared > 9_000


def _names(models: Any) -> set[str]:
    found: set[str] = set()
    for row in models:
        found.add(row.model)
        for pattern in row.match:
            text = pattern.partition("!")[0].replace("#", "7").replace("*", "")
            found |= {text, text.upper(), f"{text}-tts", f"{text}-2026-01-01", f"x-{text}"}
            assert is_literal(text)
    return found
