"""What a unit costs, where, when and by whose word: price cards and the rows that lead to them."""

import hashlib
import re
from datetime import date
from functools import lru_cache
from typing import Literal, get_args

import msgspec

from tidegate.model.money import Fx, is_currency, plain, scaled
from tidegate.model.usage import BUCKETS

Processing = Literal["standard", "batch", "flex", "priority", "fast"]
"""How the provider was asked to run the call; each way has its own price (trap M3)."""

PROCESSINGS: tuple[Processing, ...] = get_args(Processing)

RATE_NAMES = (*BUCKETS, "requests")
"""What a card may price: the buckets of `model.usage`, and the call itself."""

_SHORT = {"input": "input_uncached", "output": "output_text"}

EVERY_DAY = 0b1111111
MINUTES_A_DAY = 1440


class PriceCard(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Prices of one model under one set of conditions, all of which must hold for the card to apply.

    `rates` are decimals in `currency` per MILLION units of each bucket: tokens, but searches and requests
    too (10 USD for 1,000 searches stands as 10000). A bucket that is absent has no listed price.
    `valid_from` is the first UTC day, `valid_to` the first UTC day after; None is open.
    `weekdays` has bit 0 for Monday (UTC); `window` is `[start, end)` in minutes of the UTC day and may wrap
    midnight (the weekday is then that of the moment of the call).
    `input_over`: the card holds for calls with more input tokens than this, and then for all their tokens.
    `estimated` names rates that are ours, by a documented ratio, not listed ones.
    `omits` names units of the source that no bucket counts, so that the card does not price them.
    `source_version` is when the figures were last read; it is no part of the card's id.
    """

    provider: str
    model: str
    rates: dict[str, str]
    currency: str = "USD"
    valid_from: date | None = None
    valid_to: date | None = None
    weekdays: int = EVERY_DAY
    window: tuple[int, int] | None = None
    input_over: int = 0
    processing: Processing = "standard"
    region: str = ""
    source: str
    source_version: str = ""
    estimated: tuple[str, ...] = ()
    omits: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    override: bool = False
    illustration: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError for a card that could never be priced with."""
        fault = _fault_of_rates(self.rates) or _fault_of_times(self)
        if not is_currency(self.currency):
            fault = f"{self.currency!r} is not a currency code such as EUR"
        if self.input_over < 0:
            fault = "input_over is a number of tokens"
        if fault:
            raise ValueError(f"price of {self.provider}/{self.model}: {fault}")


def price_id(card: PriceCard) -> str:
    """Return the content hash of everything a card says but when it was read: 16 hex digits."""
    content = msgspec.structs.replace(card, source_version="")
    return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()[:16]


class Alias(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"is_": "is"}):
    """From one day to another a provider's model name means another of its models."""

    provider: str
    model: str
    is_: str
    valid_from: date | None = None
    valid_to: date | None = None
    source: str = ""


class Uplift(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a provider adds to its token prices in some regions: every token rate times `factor`.

    `models` are patterns (`pattern_matches`); in these regions all other models have no uplift.
    """

    provider: str
    regions: tuple[str, ...]
    factor: str
    models: tuple[str, ...] = ("*",)
    valid_from: date | None = None
    valid_to: date | None = None
    source: str
    checked: str = ""

    def __post_init__(self) -> None:
        """Refuse a factor that is no positive decimal."""
        if scaled(self.factor)[0] == 0:
            raise ValueError(f"uplift of {self.provider}: the factor is zero")


class ModelPrices(msgspec.Struct, frozen=True, kw_only=True):
    """A model of one provider, the patterns of the names it is called by, and all its cards."""

    model: str
    match: tuple[str, ...]
    cards: tuple[PriceCard, ...]


class Override(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A price the operator states, in TOML, in any currency; it wins over every imported one.

    `model` is a name or a pattern. `rates` are per million units, as text (`"0.15"`) so that none is ever a
    float; `input` and `output` stand for `input_uncached` and `output_text`. It is the final figure: no
    uplift is added. `illustration = true` marks one that nobody bills.
    """

    provider: str
    model: str
    currency: str
    rates: dict[str, str | int]
    valid_from: date | None = None
    valid_to: date | None = None
    weekdays: int = EVERY_DAY
    window: tuple[int, int] | None = None
    input_over: int = 0
    processing: Processing = "standard"
    region: str = ""
    source: str = "configuration"
    illustration: bool = False

    def card(self) -> PriceCard:
        """Return the card this row states. Raises ValueError."""
        given = {name: getattr(self, name) for name in self.__struct_fields__}
        given["rates"] = {_SHORT.get(name, name): plain(str(rate)) for name, rate in self.rates.items()}
        return PriceCard(**given, override=True)


class PriceSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator says of prices: the `[[prices.override]]`, `.alias`, `.uplift` and `.fx` rows."""

    override: tuple[Override, ...] = ()
    alias: tuple[Alias, ...] = ()
    uplift: tuple[Uplift, ...] = ()
    fx: tuple[Fx, ...] = ()


def pattern_matches(pattern: str, name: str) -> bool:
    """Whether a model name fits a pattern, whatever its case.

    `*` stands for any text and `#` for one digit, everything else for itself. After `!` may follow further
    patterns that must not fit: `gemini-2.5-pro*!*-tts!*-tts-*`.
    """
    fits, *bars = _compiled(pattern)
    return fits.fullmatch(name) is not None and not any(bar.fullmatch(name) for bar in bars)


def is_literal(pattern: str) -> bool:
    """Whether a pattern is one plain name."""
    return not any(mark in pattern for mark in "*#!")


@lru_cache(maxsize=16384)
def _compiled(pattern: str) -> tuple[re.Pattern[str], ...]:
    return tuple(
        re.compile(re.escape(part).replace(r"\*", ".*").replace(r"\#", "[0-9]"), re.IGNORECASE | re.ASCII)
        for part in pattern.split("!")
    )


def _fault_of_rates(rates: dict[str, str]) -> str:
    if not rates:
        return "no rate"
    for name, rate in rates.items():
        if name not in RATE_NAMES:
            return f"{name!r} is not one of {', '.join(RATE_NAMES)}"
        if plain(rate) != rate:
            return f"write {name} as {plain(rate)}, not {rate}"
    return ""


def _fault_of_times(card: PriceCard) -> str:
    if card.valid_from and card.valid_to and card.valid_from >= card.valid_to:
        return "valid_to must come after valid_from"
    if not 1 <= card.weekdays <= EVERY_DAY:
        return f"weekdays is a mask from 1 to {EVERY_DAY}"
    if card.window is not None:
        start, end = card.window
        if not (0 <= start < MINUTES_A_DAY and 0 < end <= MINUTES_A_DAY and start != end):
            return f"window is two minutes of a day, 0 to {MINUTES_A_DAY}"
    return ""
