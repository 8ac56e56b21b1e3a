"""Turns LiteLLM's price table into rows of a second source: for gaps, and to see where two sources differ.

Its figures have no history, so a card holds from the day of the table on; names are taken as they are, never
as patterns. A rate of 0 there may mean free or unknown and is left out.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import ROUND_HALF_EVEN, Context, Decimal
from pathlib import Path
from typing import Any

from tidegate.model.errors import ConfigError
from tidegate.model.money import plain
from tidegate.model.price import ModelPrices, PriceCard, Processing
from tidegate.services.price_rows import Head, ProviderPrices

SOURCE = "litellm"
MAX_BYTES = 32_000_000

_PROVIDERS = {
    "anthropic": "anthropic",
    "azure": "azure",
    "cerebras": "cerebras",
    "cohere": "cohere",
    "cohere_chat": "cohere",
    "deepseek": "deepseek",
    "fireworks_ai": "fireworks",
    "gemini": "google",
    "groq": "groq",
    "mistral": "mistral",
    "openai": "openai",
    "openrouter": "openrouter",
    "ovhcloud": "ovhcloud",
    "scaleway": "scaleway",
    "together_ai": "together",
    "xai": "x-ai",
}
"""Its providers and ours."""

_EURO = {"ovhcloud", "scaleway"}
"""Hosts whose list is in euros, which the table gives as dollars: Scaleway's own FAQ has 0.90 EUR for
llama-3.3-70b-instruct where the table has 9e-07. Their cards are in EUR and say so."""

_MODES = {"chat", "completion", "responses", "embedding"}
_PRECISION = Context(prec=12, rounding=ROUND_HALF_EVEN)
"""Its figures went through binary floats (1.2000000000000002e-06); 12 digits hold every real price."""

_KEY = re.compile(
    r"(input_cost_per_token|output_cost_per_token|cache_read_input_token_cost|cache_creation_input_token_cost"
    r"|input_cost_per_audio_token|output_cost_per_audio_token|input_cost_per_image_token"
    r"|output_cost_per_reasoning_token)"
    r"(_above_1hr)?(?:_above_(\d{1,5})k_tokens)?(_batches|_flex|_priority)?",
    re.ASCII,
)
_BUCKETS = {
    "input_cost_per_token": "input_uncached",
    "output_cost_per_token": "output_text",
    "cache_read_input_token_cost": "cache_read",
    "cache_creation_input_token_cost": "cache_write_5m",
    "cache_creation_input_token_cost_above_1hr": "cache_write_1h",
    "input_cost_per_audio_token": "input_audio",
    "output_cost_per_audio_token": "output_audio",
    "input_cost_per_image_token": "input_image",
    "output_cost_per_reasoning_token": "reasoning",
}
_WAYS: dict[str, Processing] = {
    "": "standard",
    "_batches": "batch",
    "_flex": "flex",
    "_priority": "priority",
}

_BELOW: tuple[tuple[Processing | None, bool], ...] = (
    ("standard", False),
    ("standard", True),
    (None, False),
    (None, True),
)
"""What lies under a card, lowest first: the way of processing (None: its own) and whether at its tier."""

Rates = dict[tuple[Processing, int], dict[str, str]]


def import_litellm(table: Path, *, version: str, dated: date) -> list[ProviderPrices]:
    """Return the rows of a `model_prices_and_context_window.json`. Raises ConfigError.

    `dated` is the day from which its figures are taken to hold.
    """
    models: dict[str, dict[str, ModelPrices]] = {}
    for key, entry in _read(table).items():
        if not isinstance(entry, dict) or entry.get("mode") not in _MODES or "off_peak_pricing" in entry:
            continue
        provider = _PROVIDERS.get(str(entry.get("litellm_provider")))
        if provider is None:
            continue
        name = key.removeprefix(f"{entry['litellm_provider']}/").lower()
        if provider == "scaleway":
            name = name.rpartition("/")[2]
        if any(mark in name for mark in "*#!") or (provider == "azure" and "/" in name):
            continue
        cards = tuple(_cards(provider, name, _rates(entry), dated))
        if cards:
            models.setdefault(provider, {})[name] = ModelPrices(model=name, match=(name,), cards=cards)
    found: list[ProviderPrices] = []
    for provider, rows in sorted(models.items()):
        head = Head(provider=provider, source=SOURCE, source_version=version, imported=dated, licence="MIT")
        found.append(ProviderPrices(head=head, models=tuple(row for _, row in sorted(rows.items()))))
    return found


def _read(table: Path) -> Mapping[str, Any]:
    if table.stat().st_size > MAX_BYTES:
        raise ConfigError(f"{table.name} is larger than {MAX_BYTES:,} bytes; this is no price table")
    try:
        found = json.loads(table.read_bytes(), parse_float=Decimal, parse_int=Decimal)
    except ValueError as error:
        raise ConfigError(f"{table.name} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{table.name} is not a table of models")
    return found


def _rates(entry: Mapping[str, Any]) -> Rates:
    rates: Rates = {}
    for key, value in sorted(entry.items()):
        found = _KEY.fullmatch(key)
        if found is None or not isinstance(value, Decimal) or not value.is_finite() or value <= 0:
            continue
        bucket = _BUCKETS.get(found[1] + (found[2] or ""))
        if bucket is not None:
            over = int(found[3] or 0) * 1000
            per_million = _PRECISION.plus(value).scaleb(6)
            rates.setdefault((_WAYS[found[4] or ""], over), {})[bucket] = plain(format(per_million, "f"))
    return rates


def _cards(provider: str, model: str, rates: Rates, dated: date) -> Iterator[PriceCard]:
    """Lay a tier over the rates below it, and a way of processing over the standard one."""
    for (processing, over), own in sorted(rates.items()):
        laid: dict[str, str] = {}
        for way, tier in _BELOW:
            laid.update(rates.get((way or processing, over if tier else 0), {}))
        if "input_uncached" not in laid or (processing != "standard" and "input_uncached" not in own):
            continue
        yield PriceCard(
            provider=provider,
            model=model,
            rates=dict(sorted(laid.items())),
            valid_from=dated,
            input_over=over,
            processing=processing,
            source=SOURCE,
            currency="EUR" if provider in _EURO else "USD",
            flags=("read_as_eur",) if provider in _EURO else (),
        )
