from datetime import date

from tidegate.model.money import Fx
from tidegate.model.price import Override, PriceSection
from tidegate.model.provider import Deployment
from tidegate.model.usage import Usage
from tidegate.providers.catalog import load
from tidegate.services.pricebook import PriceBook
from tidegate.services.pricing import MAX_MEMO, MINUTE_US, Pricing, cards_in_use

DAY_US = 86_400_000_000
AT = 20_000 * DAY_US


def override(model: str, rate: str, **more: object) -> Override:
    rates: dict[str, str | int] = {"input_uncached": rate, "output_text": "2"}
    return Override(provider="vllm", model=model, currency="USD", rates=rates, **more)  # type: ignore[arg-type]


SECTION = PriceSection(
    override=(
        override("small", "1"),
        override("small", "4", input_over=1000),
        override("small", "9", valid_from=date(2024, 10, 5)),
        override("other", "7"),
    ),
    fx=(Fx(base="USD", quote="EUR", rate="0.9", date=date(2024, 1, 1), source="test"),),
)
BOOK = PriceBook.load(SECTION)
HERE = Deployment(name="d", provider="vllm", model="small", names=("small",), base_url="http://x")


def pricing() -> Pricing:
    return Pricing(BOOK, {"vllm": ""})


def nano(usage: Usage, served: str = "small", at_us: int = AT) -> int | None:
    return pricing().cost(HERE, usage, served=served, at_us=at_us, tier="").amount_nano


def test_a_usage_is_priced_by_its_card() -> None:
    got = pricing().cost(HERE, Usage(input_uncached=1000, output_text=10), served="small", at_us=AT, tier="")
    assert (got.amount_nano, got.currency, got.fx_id) == (1000 * 1000 + 10 * 2000, "USD", SECTION.fx[0].id)
    assert len(got.price_id) == 16
    assert "override" in got.flags


def test_a_context_tier_reprices_the_whole_call() -> None:  # trap M3
    assert nano(Usage(input_uncached=1001, output_text=0)) == 1001 * 4000


def test_a_minute_later_another_price_may_hold() -> None:
    here = pricing()
    usage = Usage(input_uncached=10, output_text=0)
    change = 20_001 * DAY_US
    before = here.cost(HERE, usage, served="small", at_us=change - MINUTE_US, tier="")
    after = here.cost(HERE, usage, served="small", at_us=change, tier="")
    again = here.cost(HERE, usage, served="small", at_us=change - MINUTE_US, tier="")
    assert (before.amount_nano, after.amount_nano, again.amount_nano) == (10_000, 90_000, 10_000)


def test_a_call_is_priced_as_served() -> None:  # trap M18
    assert nano(Usage(input_uncached=10, output_text=0), served="other") == 70_000


def test_a_served_model_without_a_card_is_priced_as_asked_and_says_so() -> None:
    got = pricing().cost(
        HERE, Usage(input_uncached=10, output_text=0), served="nobody-knows", at_us=AT, tier=""
    )
    assert got.amount_nano == 10_000
    assert "priced_as_asked" in got.flags


def test_an_unknown_way_of_processing_has_no_price() -> None:  # traps M3, M4
    for tier in ("turbo", "batch"):
        assert (
            pricing().cost(HERE, Usage(input_uncached=10), served="small", at_us=AT, tier=tier).amount_nano
            is None
        )
        assert pricing().hold(HERE, AT, 10, 10, tier) is None


def test_a_hold_is_the_dearest_single_attempt() -> None:
    held = pricing().hold(HERE, AT, 100, 50, "")
    assert held is not None
    assert (held.total_nano, held.input_nano, held.currency) == (100 * 1000 + 50 * 2000, 100 * 1000, "USD")


def test_every_card_in_use_can_be_read_later() -> None:
    found = dict(cards_in_use(BOOK, [HERE], load(), AT))
    used = pricing().cost(HERE, Usage(input_uncached=5000, output_text=1), served="small", at_us=AT, tier="")
    assert used.price_id in found
    assert {card.input_over for card in found.values()} == {0, 1000}


def test_a_call_that_ends_in_a_later_minute_keeps_the_price_of_its_own() -> None:
    here, usage = pricing(), Usage(input_uncached=10, output_text=0)
    change = 20_001 * DAY_US
    minutes = (change - MINUTE_US, change, change - MINUTE_US, change)
    got = [here.cost(HERE, usage, served="small", at_us=at_us, tier="").amount_nano for at_us in minutes]
    assert got == [10_000, 90_000, 10_000, 90_000]


def test_each_context_tier_of_one_minute_keeps_its_price() -> None:  # trap M3
    here = pricing()
    sizes = (1000, 1001, 0, 1001, 1000)
    got = [here.hold(HERE, AT, size, 0, "") for size in sizes]
    assert [held.input_nano for held in got if held] == [
        size * (4000 if size > 1000 else 1000) for size in sizes
    ]


def test_what_is_remembered_of_prices_is_bounded() -> None:
    here = pricing()
    for number in range(MAX_MEMO + 10):
        here.cost(HERE, Usage(input_uncached=1), served=f"model-{number}", at_us=AT, tier="")
    assert len(here._ready) <= MAX_MEMO
    assert len(here._tiers) <= MAX_MEMO
