from datetime import date
from typing import Any

import msgspec
import pytest

from tidegate.model.price import Override, PriceCard, PriceSection, is_literal, pattern_matches, price_id

BASE: dict[str, Any] = {
    "provider": "p",
    "model": "m",
    "rates": {"input_uncached": "0.15", "output_text": "0.6"},
    "source": "list",
}
OTHER: dict[str, Any] = {
    "provider": "q",
    "model": "n",
    "rates": {"input_uncached": "0.16", "output_text": "0.6"},
    "currency": "EUR",
    "valid_from": date(2026, 1, 1),
    "valid_to": date(2026, 1, 1),
    "weekdays": 31,
    "window": (60, 240),
    "input_over": 200_000,
    "processing": "batch",
    "region": "eu",
    "source": "other list",
    "estimated": ("input_uncached",),
    "omits": ("audio_hours",),
    "flags": ("uplift",),
    "override": True,
    "illustration": True,
}


def test_price_id_is_the_same_for_the_same_card() -> None:  # trap M12
    swapped = {**BASE, "rates": dict(reversed(BASE["rates"].items()))}
    assert price_id(PriceCard(**BASE)) == price_id(PriceCard(**swapped)) == "1df90d243e7972b4"


def test_price_id_does_not_change_when_the_same_figures_are_read_again() -> None:
    assert price_id(PriceCard(**BASE, source_version="2")) == price_id(PriceCard(**BASE, source_version="1"))


def test_price_id_hangs_on_every_other_field() -> None:
    assert OTHER.keys() | {"source_version"} == set(PriceCard.__struct_fields__)
    ids = {price_id(PriceCard(**{**BASE, name: value})) for name, value in OTHER.items()}
    assert len(ids | {price_id(PriceCard(**BASE))}) == len(OTHER) + 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rates": {}}, "no rate"),
        ({"rates": {"tokens": "1"}}, "'tokens' is not one of"),
        ({"rates": {"input_uncached": "0.10"}}, "write input_uncached as 0.1"),
        ({"rates": {"input_uncached": "-1"}}, "not an unsigned decimal"),
        ({"currency": "usd"}, "not a currency code"),
        ({"valid_from": date(2026, 2, 1), "valid_to": date(2026, 2, 1)}, "valid_to must come after"),
        ({"weekdays": 0}, "weekdays is a mask"),
        ({"window": (60, 60)}, "window is two minutes"),
        ({"window": (0, 1441)}, "window is two minutes"),
        ({"input_over": -1}, "input_over"),
    ],
)
def test_a_card_that_cannot_price_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PriceCard(**{**BASE, **change})


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("gpt-4o", "gpt-4o", True),
        ("gpt-4o", "GPT-4o", True),
        ("gpt-4o", "gpt-4o-mini", False),
        ("gpt-4o*", "gpt-4o-mini", True),
        ("*-latest", "mistral-large-latest", True),
        ("claude-opus-5-########", "claude-opus-5-20260101", True),
        ("claude-opus-5-########", "claude-opus-5-2026010", False),
        ("claude-opus-5-########", "claude-opus-5-2026010x", False),
        ("gpt-5.4", "gpt-5x4", False),
        ("gemini-2.5-pro*!*-tts!*-tts-*", "gemini-2.5-pro-001", True),
        ("gemini-2.5-pro*!*-tts!*-tts-*", "gemini-2.5-pro-tts", False),
        ("gemini-2.5-pro*!*-tts!*-tts-*", "gemini-2.5-pro-tts-1", False),
        ("gpt-4o*", "gpt-4o\nx", False),
    ],
)
def test_patterns_match_what_they_say(pattern: str, name: str, fits: bool) -> None:
    assert pattern_matches(pattern, name) is fits


def test_only_plain_names_are_literal() -> None:
    assert is_literal("gpt-4o")
    assert not any(is_literal(pattern) for pattern in ("a*", "a#", "a!b"))


def test_override_is_written_in_short_and_is_marked() -> None:
    row = msgspec.convert(
        {"provider": "p", "model": "m", "currency": "EUR", "rates": {"input": "0.90", "output": 2}}, Override
    )
    card = row.card()
    assert card.rates == {"input_uncached": "0.9", "output_text": "2"}
    assert (card.override, card.currency, card.source) == (True, "EUR", "configuration")


def test_a_float_is_never_a_price() -> None:
    row = {"provider": "p", "model": "m", "currency": "EUR", "rates": {"input": 0.9}}
    with pytest.raises(msgspec.ValidationError, match="got `float`"):
        msgspec.convert({"override": [row]}, PriceSection)
