"""The price book over the rows that ship: goldens are worked by hand from the source's published figures."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from tidegate.model.errors import ConfigError
from tidegate.model.money import Fx
from tidegate.model.price import Alias, Override, PriceCard, PriceSection, Uplift, price_id
from tidegate.model.usage import Usage
from tidegate.policy.price import cost
from tidegate.services.price_rows import PRICES, RULES, SECOND
from tidegate.services.pricebook import PriceBook, Quote, Unpriced
from tidegate.services.pricing import ready


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


NOW = at("2026-11-24T12:00")
BOOK = PriceBook.load()


def quote(
    name: str, when: str = "2026-11-24T12:00", tokens: int = 0, book: PriceBook = BOOK, **more: Any
) -> Quote:
    provider, _, model = name.partition("/")
    found = book.price(provider, model, at_us=at(when), input_tokens=tokens, **more)
    assert isinstance(found, Quote), found
    return found


@pytest.mark.parametrize(
    ("name", "usage", "nano"),
    [
        # 1,000 x 0.15 + 500 x 0.075 + 200 x 0.6 micro-USD
        ("openai/gpt-4o-mini", Usage(input_uncached=1000, cache_read=500, output_text=200), 307_500),
        # 10 x 3 + 20,000 x 0.3 + 1,000 x 3.75 + 500 x 6 + 300 x 15, and one search at 10 a thousand
        (
            "anthropic/claude-sonnet-4-5-20250929",
            Usage(
                input_uncached=10,
                cache_read=20_000,
                cache_write_5m=1000,
                cache_write_1h=500,
                output_text=300,
                searches=1,
            ),
            27_280_000,
        ),
        # 272,000 x 2.5 + 1,000 x 15
        ("openai/gpt-5.4", Usage(input_uncached=272_000, output_text=1000), 695_000_000),
        # one token more, and all of it costs 5 and 22.5 (trap M3)
        ("openai/gpt-5.4", Usage(input_uncached=272_001, output_text=1000), 1_382_505_000),
        ("openai/text-embedding-3-small", Usage(input_uncached=1_000_000), 20_000_000),
        # three tokens at 0.003625 a million are 10.875 nano-USD
        ("deepseek/deepseek-v4-pro", Usage(cache_read=3, output_text=0), 11),
    ],
)
def test_golden_costs(name: str, usage: Usage, nano: int) -> None:  # trap M1
    when = "2026-07-01T12:00" if "deepseek" in name else "2026-11-24T12:00"
    assert cost(usage, quote(name, when, usage.input_total or 0).card).amount_nano == nano


@pytest.mark.parametrize(
    ("when", "rate"),
    [
        ("2026-07-01T02:00", "0.435"),  # before the peak hours were brought in
        ("2026-08-16T07:00", "0.435"),
        ("2026-08-17T02:00", "1.32"),
        ("2026-08-17T05:00", "0.66"),
        ("2026-08-22T02:00", "1.32"),  # a Saturday before weekends were off-peak
        ("2026-08-30T02:00", "0.66"),  # a Sunday
        ("2026-08-31T02:00", "1.32"),
        ("2026-08-31T09:59", "1.32"),
        ("2026-08-31T10:00", "0.66"),
    ],
)
def test_history_and_time_of_day_compose(when: str, rate: str) -> None:
    assert quote("deepseek/deepseek-v4-pro", when).card.rates["input_uncached"] == rate


@pytest.mark.parametrize(
    ("when", "rates", "listed"),
    [("2025-12-01", ("2", "6"), "mistral-large"), ("2025-12-02", ("0.5", "1.5"), "mistral-large-2512")],
)
def test_an_alias_is_a_dated_row(when: str, rates: tuple[str, str], listed: str) -> None:
    found = quote("mistral/mistral-large-latest", when)
    assert (found.card.rates["input_uncached"], found.card.rates["output_text"]) == rates
    assert found.model == listed


@pytest.mark.parametrize("processing", ["batch", "flex", "priority"])
def test_no_standard_price_for_another_way_of_processing(processing: Any) -> None:
    found = BOOK.price("anthropic", "claude-2", at_us=NOW, input_tokens=0, processing=processing)
    assert isinstance(found, Unpriced)
    assert found.reason == "no_processing"
    assert "standard" in found.message


def test_before_its_first_day_a_batch_price_is_missing() -> None:
    assert quote("openai/gpt-4o-mini", processing="batch").card.rates["input_uncached"] == "0.075"
    early = BOOK.price(
        "openai", "gpt-4o-mini", at_us=at("2026-10-13T23:59"), input_tokens=0, processing="batch"
    )
    assert isinstance(early, Unpriced)
    assert early.reason == "no_time"


def test_a_documented_ratio_stands_in_for_a_cache_price_and_says_so() -> None:
    card = quote("mistral/mistral-small-2506").card
    assert (card.rates["input_uncached"], card.rates["cache_read"]) == ("0.1", "0.01")
    assert card.estimated == ("cache_read",)
    found = cost(Usage(cache_read=1_000_000, output_text=0), card)
    assert (found.amount_nano, found.flags) == (10_000_000, ("cache_price_missing",))


@pytest.mark.parametrize(
    ("name", "listed"),
    [  # trap M18: the served name is priced, whatever its spelling
        ("openai/gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("openai/GPT-4o-Mini", "gpt-4o-mini"),
        ("openai/gpt-5.4-20260305", "gpt-5.4"),
        ("anthropic/claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("anthropic/claude-opus-5-20260101", "claude-opus-5"),
        ("azure/gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
    ],
)
def test_served_names_find_their_family(name: str, listed: str) -> None:
    assert quote(name).model == listed


@pytest.mark.parametrize(
    "name",
    [
        "openai/gpt-4o-mini-2099",
        "openai/gpt-4o-minii",
        "openai/",
        "openai/claude-sonnet-4-5",
        "nobody/gpt-4o",
        "../second/openai/gpt-4o",
        "deepseek/*",
    ],
)
def test_an_unknown_name_is_unpriced_never_the_nearest(name: str) -> None:  # trap M4
    provider, _, model = name.rpartition("/")
    found = BOOK.price(provider, model, at_us=NOW, input_tokens=0)
    assert isinstance(found, Unpriced)
    assert found.reason == "unknown_model"


def test_a_free_model_without_figures_is_unpriced_not_free() -> None:  # trap M4
    found = BOOK.price("openrouter", "openai/gpt-oss-20b:free", at_us=NOW, input_tokens=0)
    assert isinstance(found, Unpriced)


def test_anothers_prices_hold_where_the_source_says_so() -> None:
    found = quote("azure/gpt-5.4")
    assert (found.card.provider, found.flags[0]) == ("openai", "priced_as_openai")


@pytest.mark.parametrize(
    ("name", "region", "factor", "rate"),
    [
        ("openai/gpt-5.4", "eu", "1.1", "2.75"),
        ("openai/gpt-4o-mini", "eu", "1.1", "0.15"),  # released before the uplift's day
        ("openai/gpt-5.4", "", "1", "2.5"),
        ("mistral/mistral-large-2512", "eu", "1", "0.55"),
        ("azure/gpt-4o-mini", "swedencentral", "1.1", "0.165"),  # no row: the deployment's factor
    ],
)
def test_regional_uplifts(name: str, region: str, factor: str, rate: str) -> None:
    found = quote(name, region=region, price_factor=factor)
    assert found.card.rates["input_uncached"] == rate
    assert found.price_id == price_id(found.card)


def test_euro_lists_are_in_euro() -> None:
    found = quote("scaleway/llama-3.3-70b-instruct")
    assert (found.card.currency, found.card.rates["input_uncached"]) == ("EUR", "0.9")
    assert {"second_source", "read_as_eur"} <= set(found.flags)


def own(**given: Any) -> Override:
    row = {
        "provider": "openai",
        "model": "gpt-4o*",
        "currency": "EUR",
        "rates": {"input": "1", "output": "2"},
    }
    return Override(**{**row, **given})


def test_an_operators_row_wins_and_is_marked() -> None:
    book = PriceBook.load(PriceSection(override=(own(),)))
    found = quote("openai/gpt-4o-mini-2024-07-18", book=book, region="eu", price_factor="1.1")
    assert found.card.rates == {"input_uncached": "1", "output_text": "2"}
    assert (found.card.currency, found.flags) == ("EUR", ("override",))
    assert quote("openai/gpt-5.4", book=book).card.currency == "USD"


def test_an_operators_row_prices_what_no_list_has() -> None:
    row = own(provider="ollama", model="smollm2", illustration=True)
    book = PriceBook.load(PriceSection(override=(row,)))
    assert quote("ollama/smollm2", book=book).flags == ("override", "illustration")
    assert "ollama" in book.providers()
    assert book.models("ollama") == ["smollm2"]


def test_an_operators_uplift_goes_before_ours() -> None:
    row = Uplift(provider="openai", regions=("eu",), factor="1.3", source="contract")
    book = PriceBook.load(PriceSection(uplift=(row,)))
    assert quote("openai/gpt-5.4", book=book, region="eu").card.rates["input_uncached"] == "3.25"


def test_an_operators_alias_goes_before_ours() -> None:
    row = Alias(provider="mistral", model="mistral-large-latest", is_="mistral-large-4", source="contract")
    book = PriceBook.load(PriceSection(alias=(row,)))
    found = quote("mistral/mistral-large-latest", book=book)
    assert (found.model, found.alias) == ("mistral-large-4", row)


def test_two_sources_that_differ_are_both_kept_and_the_dearer_is_held() -> None:
    found = quote("x-ai/grok-code-fast-1")
    assert (found.card.source, found.card.rates["input_uncached"]) == ("genai-prices", "0.2")
    assert found.second is not None
    assert (found.second.source, found.second.rates["input_uncached"]) == ("litellm", "1")
    assert "sources_differ" in found.flags
    assert ready(found).hold(1_000_000, 0) == (1_000_000_000, 1_000_000_000)


def test_disagreements_are_listed() -> None:
    found = BOOK.disagreements("x-ai", NOW)
    assert [(row.first.model, row.rates) for row in found] == [
        ("grok-code-fast-1", ("cache_read", "input_uncached", "output_text"))
    ]
    assert BOOK.disagreements("x-ai", at("2026-10-20")) == []  # the second source has no history


def test_the_exchange_rate_is_that_of_the_day() -> None:
    rows = tuple(
        Fx(base="USD", quote="EUR", rate=rate, date=day, source="ECB")
        for rate, day in (("0.93", date(2026, 11, 9)), ("0.92", date(2026, 11, 2)))
    )
    book = PriceBook.load(PriceSection(fx=rows))
    assert book.fx("USD", "EUR", at("2026-11-01T23:59")) is None
    assert book.fx("USD", "EUR", at("2026-11-08T23:59")) == rows[1]
    assert book.fx("EUR", "USD", at("2026-11-09")) == rows[0]
    assert book.fx("USD", "CHF", NOW) is None


def test_every_shipped_row_can_be_priced_with() -> None:
    counted = 0
    for provider in BOOK.providers():
        for model in BOOK.models(provider):
            cards = BOOK.listed_as(provider, model)
            assert cards
            for card in cards:
                assert any(float(rate) > 0 for rate in card.rates.values())
                counted += 1
    assert counted > 3_000


def test_shipped_cards_of_a_model_never_overlap() -> None:
    for provider in BOOK.providers():
        for model in BOOK.models(provider):
            seen: set[tuple[object, ...]] = set()
            for card in BOOK.listed_as(provider, model):
                key = _case(card)
                assert key not in seen, (provider, model, key)
                seen.add(key)


def _case(card: PriceCard) -> tuple[object, ...]:
    return (card.processing, card.region, card.input_over, card.window, card.weekdays, card.valid_from)


def test_shipped_files_are_small() -> None:
    files = [*PRICES.glob("*.jsonl"), *(PRICES / SECOND).glob("*.jsonl")]
    assert sum(path.stat().st_size for path in files) < 3_000_000


def test_a_broken_file_is_named_with_its_line(tmp_path: Path) -> None:
    head = b'{"provider":"p","source":"s","source_version":"1","imported":"2026-11-24"}\n'
    (tmp_path / "p.jsonl").write_bytes(head + b'{"model":"m","match":["m"],"cards":[{"rates":{}}]}\n')
    book = PriceBook.load(directory=tmp_path)
    with pytest.raises(ConfigError, match=r"p\.jsonl, line 2"):
        book.price("p", "m", at_us=NOW, input_tokens=0)


def test_a_broken_rule_is_named(tmp_path: Path) -> None:
    (tmp_path / RULES).write_text("[[uplift]]\nprovider = 'p'\n")
    with pytest.raises(ConfigError, match=r"rules\.toml: .*regions"):
        PriceBook.load(directory=tmp_path)


def test_a_provider_may_be_read_ahead_of_the_first_call(tmp_path: Path) -> None:
    head = b'{"provider":"p","source":"s","source_version":"1","imported":"2026-11-24","fallbacks":["q"]}\n'
    card = b'{"provider":"q","model":"m","rates":{"input_uncached":"1"},"source":"s"}'
    row = b'{"model":"m","match":["m"],"cards":[' + card + b"]}\n"
    (tmp_path / "p.jsonl").write_bytes(head)
    (tmp_path / "q.jsonl").write_bytes(head.replace(b'"p"', b'"q"').replace(b'"q"]', b'"p"]') + row)
    book = PriceBook.load(directory=tmp_path)
    book.preload(["p", "nobody"])
    for path in tmp_path.glob("*.jsonl"):
        path.unlink()
    assert quote("p/m", book=book).card.rates == {"input_uncached": "1"}
