"""Every price there is, found by provider, model name and time: imported rows, our own, the operator's."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self, TypeVar

import msgspec

from tidegate.model.money import Fx
from tidegate.model.price import (
    Alias,
    ModelPrices,
    PriceCard,
    PriceSection,
    Processing,
    is_literal,
    pattern_matches,
    price_id,
)
from tidegate.policy.price import (
    choose_card,
    choose_uplift,
    day_of,
    differences,
    in_force,
    uplifted,
)
from tidegate.services.price_rows import PRICES, RULES, SECOND, Head, Rules, read_prices, read_rules

_MEMO = 8192
_COMPACT_DATE = re.compile(r"-(20\d\d)(0[1-9]|1[0-2])([0-3]\d)\b", re.ASCII)
_FILE_NAME = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Listed:
    """What is known of a model: the name it is listed under, all its cards, and how they were found."""

    model: str
    cards: tuple[PriceCard, ...]
    alias: Alias | None = None
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Quote:
    """The card that prices one call. `second` is another source's where the two differ."""

    card: PriceCard
    price_id: str
    model: str
    second: PriceCard | None = None
    alias: Alias | None = None
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unpriced:
    """Why no card prices the call; it is refused or let through and flagged, never priced at 0 (trap M4)."""

    reason: Literal["unknown_model", "no_processing", "no_time"]
    message: str


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Two sources list one model at different rates."""

    first: PriceCard
    second: PriceCard
    rates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Index:
    head: Head
    models: tuple[ModelPrices, ...]
    listed: dict[str, ModelPrices]
    named: dict[str, ModelPrices]
    patterned: tuple[tuple[str, ModelPrices], ...]

    def find(self, name: str) -> ModelPrices | None:
        found = self.named.get(name.lower())
        if found is None:
            found = next((row for pattern, row in self.patterned if pattern_matches(pattern, name)), None)
        return found


class PriceBook:
    """Prices by provider, model and time. A provider's file is read when it is first asked for.

    An operator's rows go first and are marked; a name found nowhere is None, never the nearest one.
    """

    def __init__(self, directory: Path, rules: Rules, section: PriceSection) -> None:
        self._directory = directory
        self._overrides = [row.card() for row in section.override]
        self._aliases = (*section.alias, *rules.alias)
        self._uplifts = (*section.uplift, *rules.uplift)
        self._fx = sorted(section.fx, key=lambda row: row.date)
        self._indexes: dict[tuple[str, bool], _Index | None] = {}
        self._found: dict[tuple[str, str, bool], Listed | None] = {}
        self._uplifted: dict[tuple[str, str, str, str], PriceCard] = {}
        self._ids: dict[int, tuple[PriceCard, str]] = {}

    @classmethod
    def load(cls, section: PriceSection | None = None, *, directory: Path = PRICES) -> Self:
        """Return the book over the files of a directory. Raises ConfigError; ValueError for an override.

        `section` names providers as the price list does (`x-ai`, not `xai`).
        """
        path = directory / RULES
        rules = read_rules(path) if path.exists() else Rules()
        return cls(directory, rules, section or PriceSection())

    def providers(self) -> list[str]:
        """Return every provider with a price, by name."""
        files = [*self._directory.glob("*.jsonl"), *(self._directory / SECOND).glob("*.jsonl")]
        return sorted({path.stem for path in files} | {card.provider for card in self._overrides})

    def preload(self, providers: Iterable[str]) -> None:
        """Read these providers' files now, so that no call waits for a disk."""
        for provider in providers:
            for second in (False, True):
                index = self._index(provider, second=second)
                for fallback in index.head.fallbacks if index else ():
                    self._index(fallback, second=second)

    def head(self, provider: str) -> Head | None:
        """Return where a provider's imported figures are from."""
        index = self._index(provider)
        return index.head if index else None

    def models(self, provider: str) -> list[str]:
        """Return the models a provider's prices are listed under, the operator's included."""
        names = {card.model for card in self._overrides if card.provider == provider}
        for second in (False, True):
            index = self._index(provider, second=second)
            names |= {row.model for row in index.models} if index else set()
        return sorted(names)

    def names(self, provider: str) -> list[str]:
        """Return the plain model names that a provider's prices are found by."""
        index = self._index(provider)
        literal = {pattern for row in (index.models if index else ()) for pattern in row.match}
        return sorted({name for name in literal if is_literal(name)} | set(self.models(provider)))

    def listed_as(self, provider: str, model: str) -> tuple[PriceCard, ...]:
        """Return the cards that stand under a name in the price list itself, no pattern or alias applied."""
        own = tuple(card for card in self._overrides if (card.provider, card.model) == (provider, model))
        for second in (False, True):
            index = self._index(provider, second=second)
            row = index.listed.get(model) if index else None
            if row is not None:
                return own + row.cards
        return own

    def cards_for(self, provider: str, model: str, at_us: int) -> Listed | None:
        """Return what a provider's model name stood for at a time, with every card of it; None if nothing."""
        alias, name = self._resolve(provider, model, at_us)
        own = tuple(
            card
            for card in self._overrides
            if card.provider == provider
            and (pattern_matches(card.model, model) or pattern_matches(card.model, name))
        )
        listed = self._listed(provider, name, second=False)
        if listed is None and (listed := self._listed(provider, name, second=True)) is not None:
            listed = Listed(listed.model, listed.cards, flags=(*listed.flags, "second_source"))
        if listed is None:
            return Listed(name, own, alias) if own else None
        return Listed(listed.model, own + listed.cards, alias, listed.flags)

    def price(
        self,
        provider: str,
        model: str,
        *,
        at_us: int,
        input_tokens: int,
        processing: Processing = "standard",
        region: str = "",
        price_factor: str = "1",
    ) -> Quote | Unpriced:
        """Return the card of one call.

        A `price_factor` other than 1 is the deployment's and wins over our rows of uplifts.
        """
        listed = self.cards_for(provider, model, at_us)
        if listed is None:
            return Unpriced("unknown_model", f"no price is known for {provider}/{model}")
        there = {"at_us": at_us, "input_tokens": input_tokens}
        card = choose_card(listed.cards, **there, processing=processing, region=region)
        if card is None:
            return _unpriced(listed, f"{provider}/{model}", processing, at_us)
        name = listed.alias.is_ if listed.alias else model
        compared = not card.override and "second_source" not in listed.flags
        second = self._listed(provider, name, second=True) if compared else None
        other = choose_card(second.cards, **there, processing=processing, region=region) if second else None
        if other is not None and not differences(card, other):
            other = None
        factor, source = choose_uplift(
            self._uplifts,
            provider=provider,
            model=listed.model,
            region=region,
            price_factor=price_factor,
            at_us=at_us,
        )
        card = self._in_region(card, region, factor, source)
        other = other and self._in_region(other, region, factor, source)
        flags = [*listed.flags, *card.flags]
        flags += [name for name in ("override", "illustration") if getattr(card, name)]
        if other is not None:
            flags.append("sources_differ")
        return Quote(card, self._id(card), listed.model, other, listed.alias, tuple(flags))

    def disagreements(self, provider: str, at_us: int) -> list[Disagreement]:
        """Return where the second source lists other standard rates than the first, tier by tier."""
        index = self._index(provider)
        found: list[Disagreement] = []
        for row in index.models if index else ():
            name = next((pattern for pattern in row.match if is_literal(pattern)), row.model)
            second = self._listed(provider, name, second=True)
            for over in sorted({card.input_over for card in row.cards}) if second else ():
                beyond = over + over // 4 + 1
                first = choose_card(row.cards, at_us=at_us, input_tokens=beyond)
                other = choose_card(second.cards, at_us=at_us, input_tokens=beyond) if second else None
                if first and other and (rates := differences(first, other)):
                    found.append(Disagreement(first, other, rates))
        return found

    def fx(self, base: str, quote: str, at_us: int) -> Fx | None:
        """Return the latest rate between two currencies, in either direction, of a day or before it."""
        day = day_of(at_us)
        fits = [row for row in self._fx if row.date <= day and {row.base, row.quote} == {base, quote}]
        return fits[-1] if fits else None

    def _resolve(self, provider: str, model: str, at_us: int) -> tuple[Alias | None, str]:
        day = day_of(at_us)
        for row in self._aliases:
            if row.provider == provider and row.model.lower() == model.lower() and in_force(row, day):
                return row, row.is_
        return None, model

    def _listed(self, provider: str, name: str, *, second: bool) -> Listed | None:
        key = (provider, name, second)
        if key not in self._found:
            _remember(self._found, key, self._look_up(provider, name, second=second))
        return self._found[key]

    def _look_up(self, provider: str, name: str, *, second: bool) -> Listed | None:
        index = self._index(provider, second=second)
        if index is None:
            return None
        for spelling in dict.fromkeys((name, _COMPACT_DATE.sub(r"-\1-\2-\3", name))):
            for place in (provider, *index.head.fallbacks):
                there = self._index(place, second=second)
                row = there.find(spelling) if there else None
                if there is not None and row is not None:
                    version = there.head.source_version
                    cards = tuple(msgspec.structs.replace(card, source_version=version) for card in row.cards)
                    flags = () if place == provider else (f"priced_as_{place}",)
                    return Listed(row.model, cards, flags=flags)
        return None

    def _index(self, provider: str, *, second: bool = False) -> _Index | None:
        key = (provider, second)
        if key not in self._indexes:
            path = (self._directory / SECOND if second else self._directory) / f"{provider}.jsonl"
            known = _FILE_NAME.fullmatch(provider) is not None and path.exists()
            _remember(self._indexes, key, _index_of(path) if known else None)
        return self._indexes[key]

    def _in_region(self, card: PriceCard, region: str, factor: str, source: str) -> PriceCard:
        if card.override or card.region or factor == "1":
            return card
        key = (self._id(card), region, factor, source)
        if key not in self._uplifted:
            made = uplifted(card, region=region, factor=factor, source=source)
            _remember(self._uplifted, key, made)
        return self._uplifted[key]

    def _id(self, card: PriceCard) -> str:
        known = self._ids.get(id(card))
        if known is None:
            known = (card, price_id(card))
            _remember(self._ids, id(card), known)
        return known[1]


def _unpriced(listed: Listed, name: str, processing: Processing, at_us: int) -> Unpriced:
    ways = sorted({card.processing for card in listed.cards})
    if processing not in ways:
        message = f"{name} has prices for {', '.join(ways)}, none for {processing}"
        return Unpriced("no_processing", message)
    return Unpriced("no_time", f"{name} has no {processing} price on {day_of(at_us)}")


def _index_of(path: Path) -> _Index:
    prices = read_prices(path)
    listed = {row.model: row for row in prices.models}
    named: dict[str, ModelPrices] = {}
    patterned: list[tuple[str, ModelPrices]] = []
    for row in prices.models:
        for pattern in row.match:
            if is_literal(pattern):
                named.setdefault(pattern.lower(), row)
            else:
                patterned.append((pattern, row))
    return _Index(prices.head, prices.models, listed, named, tuple(patterned))


def _remember(memo: dict[K, V], key: K, value: V) -> None:
    """Keep a value; the memo starts over when it is full, since a provider may name models without end."""
    if len(memo) >= _MEMO:
        memo.clear()
    memo[key] = value
