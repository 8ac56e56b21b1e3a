import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tidegate.model.errors import ConfigError
from tidegate.model.price import PriceCard
from tidegate.services.price_litellm import import_litellm

DAY = date(2026, 10, 21)


def cards(tmp_path: Path, text: str) -> dict[str, list[PriceCard]]:
    table = tmp_path / "table.json"
    table.write_text(text)
    return {
        f"{prices.head.provider}/{row.model}": list(row.cards)
        for prices in import_litellm(table, version="1", dated=DAY)
        for row in prices.models
    }


def entry(**more: Any) -> dict[str, Any]:
    return {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-6, **more}


def test_figures_become_exact_rates_per_million(tmp_path: Path) -> None:  # trap M12
    text = """{"gpt-x": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1.5e-07,
        "output_cost_per_token": 3.6000000000000003e-06, "cache_read_input_token_cost": 3.625e-9,
        "cache_creation_input_token_cost": 0.0}}"""
    (card,) = cards(tmp_path, text)["openai/gpt-x"]
    assert card.rates == {"cache_read": "0.003625", "input_uncached": "0.15", "output_text": "3.6"}
    assert (card.valid_from, card.source) == (DAY, "litellm")


def test_tiers_and_ways_of_processing_are_cards(tmp_path: Path) -> None:  # trap M3
    text = json.dumps(
        {
            "m": entry(
                output_cost_per_token=4e-6,
                input_cost_per_token_above_200k_tokens=2e-6,
                input_cost_per_token_batches=5e-7,
                input_cost_per_token_above_200k_tokens_batches=1e-6,
                cache_read_input_token_cost_flex=1e-7,
            )
        }
    )
    found = [(card.processing, card.input_over, card.rates) for card in cards(tmp_path, text)["openai/m"]]
    assert found == [
        ("batch", 0, {"input_uncached": "0.5", "output_text": "4"}),
        ("batch", 200_000, {"input_uncached": "1", "output_text": "4"}),
        ("standard", 0, {"input_uncached": "1", "output_text": "4"}),
        ("standard", 200_000, {"input_uncached": "2", "output_text": "4"}),
    ]


def test_only_known_providers_and_plain_names_are_taken(tmp_path: Path) -> None:
    text = json.dumps(
        {
            "sample_spec": "text",
            "other": entry(litellm_provider="someone"),
            "picture": entry(mode="image_generation"),
            "azure/eu/gpt": entry(litellm_provider="azure"),
            "odd*": entry(),
            "peak": entry(off_peak_pricing={}),
            "free": entry(input_cost_per_token=0),
            "xai/grok": entry(litellm_provider="xai"),
            "gemini/G": entry(litellm_provider="gemini"),
        }
    )
    assert cards(tmp_path, text).keys() == {"x-ai/grok", "google/g"}


def test_euro_lists_are_read_as_euro(tmp_path: Path) -> None:
    text = json.dumps({"scaleway/meta/llama": entry(litellm_provider="scaleway")})
    (card,) = cards(tmp_path, text)["scaleway/llama"]
    assert (card.currency, card.flags) == ("EUR", ("read_as_eur",))


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": NaN'])
def test_what_is_no_table_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"table\.json is not"):
        cards(tmp_path, text)
