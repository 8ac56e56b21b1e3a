"""The price files: one JSON-lines file per provider and source, and what changed between two of them.

The first line says where the figures are from, each further line is one model with all its cards, sorted by
name, so that a change of price is one changed line. Cards carry no `source_version` in the file: the head's
is every row's.
"""

from collections.abc import Iterable
from datetime import date
from pathlib import Path

import msgspec

from tidegate.model.errors import ConfigError
from tidegate.model.price import Alias, ModelPrices, PriceCard, Uplift

PRICES = Path(__file__).with_name("prices")
"""The rows that ship with Tidegate; `second/` below it holds those of the second source."""

SECOND = "second"
RULES = "rules.toml"


class Head(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a file's figures are from.

    `fallbacks` are the providers whose prices the source says hold here for models it does not list: OpenAI's
    for Azure.
    """

    provider: str
    source: str
    source_version: str
    imported: date
    licence: str = ""
    urls: tuple[str, ...] = ()
    fallbacks: tuple[str, ...] = ()


class ProviderPrices(msgspec.Struct, frozen=True, kw_only=True):
    """One file."""

    head: Head
    models: tuple[ModelPrices, ...]


class WeekdayRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From a day on, the prices by time of day of these models hold on `weekdays` only (bit 0 is Monday)."""

    provider: str
    models: tuple[str, ...]
    weekdays: int
    valid_from: date | None = None
    source: str


class Ratio(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A provider documents one rate as a multiple of its input price; used only where none is listed."""

    provider: str
    models: tuple[str, ...]
    bucket: str
    times: str
    source: str


class FlagRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a reader must know of these figures."""

    provider: str
    models: tuple[str, ...] = ("*",)
    flag: str
    valid_from: date | None = None
    source: str


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Our own rows beside the imported ones: each corrects or adds what a source cannot say."""

    weekdays: tuple[WeekdayRule, ...] = ()
    ratio: tuple[Ratio, ...] = ()
    flag: tuple[FlagRule, ...] = ()
    alias: tuple[Alias, ...] = ()
    uplift: tuple[Uplift, ...] = ()


class Change(msgspec.Struct, frozen=True):
    """One difference between two imports, for a person to read."""

    kind: str
    provider: str
    model: str
    where: str
    old: str = ""
    new: str = ""


_decode_head = msgspec.json.Decoder(Head).decode
_decode_model = msgspec.json.Decoder(ModelPrices).decode


def read_prices(path: Path) -> ProviderPrices:
    """Return a price file's content. Raises ConfigError, naming the line."""
    lines = path.read_bytes().splitlines()
    number = 1
    try:
        head = _decode_head(lines[0] if lines else b"")
        models: list[ModelPrices] = []
        for number, line in enumerate(lines[1:], start=2):  # noqa: B007 - the error below names the line
            models.append(_decode_model(line))
    except msgspec.MsgspecError as error:
        raise ConfigError(f"{path.name}, line {number}: {error}") from error
    return ProviderPrices(head=head, models=tuple(models))


def read_rules(path: Path) -> Rules:
    """Return our own rows. Raises ConfigError."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Rules)
    except msgspec.MsgspecError as error:
        raise ConfigError(f"{path.name}: {error}") from error


def price_lines(prices: ProviderPrices) -> bytes:
    """Return the bytes of a price file: the same rows give the same bytes."""
    encode = msgspec.json.Encoder(order="deterministic").encode
    rows = sorted(prices.models, key=lambda row: row.model)
    return b"".join(encode(line) + b"\n" for line in (prices.head, *rows))


def same_rows(old: ProviderPrices, new: ProviderPrices) -> bool:
    """Whether two files say the same but for the day they were read."""
    day = old.head.imported
    dated = msgspec.structs.replace(new.head, imported=day)
    return price_lines(old) == price_lines(msgspec.structs.replace(new, head=dated))


def changes(old: ProviderPrices | None, new: ProviderPrices) -> list[Change]:
    """Return what a new import adds, removes and changes, model by model."""
    provider = new.head.provider
    before = {row.model: row for row in (old.models if old else ())}
    after = {row.model: row for row in new.models}
    found: list[Change] = []
    for model in sorted(before.keys() | after.keys()):
        ours, theirs = before.get(model), after.get(model)
        if ours and theirs and ours.match != theirs.match:
            was, now = " ".join(ours.match), " ".join(theirs.match)
            found.append(Change("changed", provider, model, "names", was, now))
        found += _card_changes(provider, model, ours.cards if ours else (), theirs.cards if theirs else ())
    return found


def conditions(card: PriceCard) -> str:
    """Return the conditions of a card in words, but for the day it ends."""
    parts: list[str] = [card.processing]
    if card.region:
        parts.append(f"region {card.region}")
    if card.input_over:
        parts.append(f"input over {card.input_over:,}")
    if card.window:
        parts.append(f"{_clock(card.window[0])}-{_clock(card.window[1])} UTC")
    if days := weekday_names(card.weekdays):
        parts.append(days)
    if card.valid_from:
        parts.append(f"from {card.valid_from}")
    return ", ".join(parts)


def weekday_names(mask: int) -> str:
    """Return the days of a mask (`Mon Tue`), nothing for all of them."""
    names = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
    days = [name for bit, name in enumerate(names) if mask >> bit & 1]
    return "" if len(days) == len(names) else " ".join(days)


def rates_text(card: PriceCard) -> str:
    """Return a card's rates in one line."""
    until = f" until {card.valid_to}" if card.valid_to else ""
    rates = " ".join(f"{name} {rate}" for name, rate in card.rates.items())
    return f"{card.currency} {rates}{until}"


def _card_changes(
    provider: str, model: str, old: Iterable[PriceCard], new: Iterable[PriceCard]
) -> list[Change]:
    before = {conditions(card): card for card in old}
    after = {conditions(card): card for card in new}
    found: list[Change] = []
    for where in sorted(before.keys() | after.keys()):
        ours, theirs = before.get(where), after.get(where)
        if ours is None and theirs is not None:
            found.append(Change("added", provider, model, where, "", rates_text(theirs)))
        elif theirs is None and ours is not None:
            found.append(Change("removed", provider, model, where, rates_text(ours), ""))
        elif ours is not None and theirs is not None and ours != theirs:
            old_text, new_text = rates_text(ours), rates_text(theirs)
            if old_text == new_text:
                old_text, new_text = _notes(ours), _notes(theirs)
            found.append(Change("changed", provider, model, where, old_text, new_text))
    return found


def _notes(card: PriceCard) -> str:
    return " ".join(
        f"{name}={' '.join(getattr(card, name)) or '-'}" for name in ("estimated", "omits", "flags")
    )


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"
