"""Turns the price data of the `genai-prices` package into our rows. Run at release time, never by a server.

The source is wrong in ways we know (docs: `services/prices/SOURCES.md`), so this composes rather than copies:
a time of day inherits the date of the price before it, batch and flex are cards of their own or absent, a
cached token without a listed price gets a documented ratio or none.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise, product
from typing import Any

import msgspec

from tidegate.model import money
from tidegate.model.errors import ConfigError
from tidegate.model.price import EVERY_DAY, ModelPrices, PriceCard, Processing, pattern_matches
from tidegate.services.price_rows import Head, ProviderPrices, Rules

SOURCE = "genai-prices"

_RATES = {
    "input_mtok": ("input_uncached", 1),
    "cache_read_mtok": ("cache_read", 1),
    "cache_write_mtok": ("cache_write_5m", 1),
    "cache_write_5m_mtok": ("cache_write_5m", 1),
    "cache_write_1h_mtok": ("cache_write_1h", 1),
    "input_audio_mtok": ("input_audio", 1),
    "input_image_mtok": ("input_image", 1),
    "output_mtok": ("output_text", 1),
    "output_reasoning_mtok": ("reasoning", 1),
    "output_audio_mtok": ("output_audio", 1),
    "web_searches_kcount": ("searches", 1000),
    "requests_kcount": ("requests", 1000),
}
"""The source's price keys, our buckets, and what makes its unit a million."""

_CONTEXTS: dict[tuple[str, str], tuple[Processing, str]] = {
    ("processing", "batch"): ("batch", ""),
    ("service_tier", "flex"): ("flex", ""),
    ("service_tier", "priority"): ("priority", ""),
    ("service_tier", "fast"): ("fast", ""),
    ("speed", "fast"): ("fast", ""),
    ("route", "mistral/eu"): ("standard", "eu"),
}
"""The source's price contexts and what they are here; one that is not listed is left out and reported."""

_NOT_TTS = r"^(?!.*-[tT][tT][sS](?:$|-))"
_REGEX_PART = re.compile(
    r"\\d(?:\{(?P<digits>\d)\})?|\[(?P<set>[^\]^\\]+)\]|\\(?P<escaped>[.\[\]@/-])|(?P<plain>[\w/.:=@-])",
    re.ASCII,
)

Prices = dict[str, Any]
"""One price of the source by key: a Decimal, or its tiered price."""


@dataclass
class Report:
    """What an import could not take over: in words, and how many models have no price that we could use."""

    skipped: list[str] = field(default_factory=list)
    unmetered: int = 0


def import_genai(rules: Rules, *, imported: date) -> tuple[list[ProviderPrices], Report]:
    """Return the rows of every provider of the installed package. Raises ConfigError where it is absent."""
    try:
        from genai_prices import __version__  # noqa: PLC0415 - an extra, needed at release time only
        from genai_prices.data import providers  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError(
            "genai-prices is not installed; `pip install 'tidegate[prices]'` brings it"
        ) from error
    report = Report()
    found = [
        convert_provider(provider, rules, version=__version__, imported=imported, report=report)
        for provider in providers
    ]
    return [prices for prices in found if prices.models], report


def convert_provider(
    provider: Any, rules: Rules, *, version: str, imported: date, report: Report
) -> ProviderPrices:
    """Return one provider of the source as rows, sorted by model."""
    models: list[ModelPrices] = []
    for model in provider.models:
        where = f"{provider.id}/{model.id}"
        try:
            match = tuple(dict.fromkeys(patterns_of(model.match)))
            cards = tuple(_corrected(_cards(provider.id, model, report), rules))
        except ValueError as error:
            report.skipped.append(f"{where}: {error}")
            continue
        if not cards:
            report.unmetered += 1
            continue
        models.append(ModelPrices(model=model.id, match=match, cards=cards))
    head = Head(
        provider=provider.id,
        source=SOURCE,
        source_version=version,
        imported=imported,
        licence="MIT",
        urls=tuple(provider.pricing_urls or ()),
        fallbacks=tuple(provider.fallback_model_providers or ()),
    )
    return ProviderPrices(head=head, models=tuple(sorted(models, key=lambda row: row.model)))


def patterns_of(clause: Any) -> Iterator[str]:
    """Yield the patterns that match what a clause of the source matches. Raises ValueError where none can."""
    kind = type(clause).__name__
    if kind == "ClauseOr":
        for part in clause.or_:
            yield from patterns_of(part)
    elif kind == "ClauseAnd":
        parts = [part for part in clause.and_ if getattr(part, "regex", "") != _NOT_TTS]
        if len(parts) != 1 or len(parts) == len(clause.and_):
            raise ValueError("a condition joined by `and` that no pattern expresses")
        yield from (f"{pattern}!*-tts!*-tts-*" for pattern in patterns_of(parts[0]))
    elif kind == "ClauseEquals":
        yield _literal(clause.equals)
    elif kind == "ClauseStartsWith":
        yield _literal(clause.starts_with) + "*"
    elif kind == "ClauseEndsWith":
        yield "*" + _literal(clause.ends_with)
    elif kind == "ClauseContains":
        yield f"*{_literal(clause.contains)}*"
    elif kind == "ClauseRegex":
        yield from patterns_of_regex(clause.regex)
    else:
        raise ValueError(f"a condition of kind {kind}")


def patterns_of_regex(regex: str) -> Iterator[str]:
    """Yield the patterns of a simple anchored expression: literals, digits, sets, optional groups."""
    if not regex.startswith("^"):
        raise ValueError(f"the expression {regex!r} has no `^`")
    body, tail = regex[1:], "*"
    if body.endswith("$"):
        body, tail = body[:-1], ""
    choices: list[list[str]] = []
    for part in re.split(r"(\([^()]*\)\?)", body):
        group = part.startswith("(")
        texts = [_spell(letters) for letters in product(*_letters(part[1:-2] if group else part))]
        choices.append(["", *texts] if group else texts)
    yield from (_spell(texts) + tail for texts in product(*choices))


def _spell(parts: Iterable[str]) -> str:
    return "".join(parts)


def _letters(text: str) -> Iterator[list[str]]:
    at = 0
    while at < len(text):
        found = _REGEX_PART.match(text, at)
        if found is None or text[found.end() : found.end() + 1] in ("*", "+", "?", "{"):
            raise ValueError(f"no pattern expresses {text!r}")
        at = found.end()
        if found["set"]:
            yield [_literal(letter) for letter in found["set"]]
        elif found["escaped"] or found["plain"]:
            yield [_literal(found["escaped"] or found["plain"])]
        else:
            yield ["#" * int(found["digits"] or 1)]


def _literal(text: str) -> str:
    if any(mark in text for mark in "*#!"):
        raise ValueError(f"the name {text!r} holds a character that patterns use")
    return text.lower()


def _cards(provider: str, model: Any, report: Report) -> list[PriceCard]:
    history, timed = _history(model.prices)
    contexts: dict[tuple[Processing, str], list[tuple[date | None, Prices]]] = {}
    for variant in model.price_variants or ():
        (when, value), *more = variant.when.items()
        if (when, value) == ("service_tier", "default"):
            continue
        context = _CONTEXTS.get((when, value))
        if context is None or more or _kind(variant.constraint) not in ("", "StartDateConstraint"):
            report.skipped.append(f"{provider}/{model.id}: the prices for {variant.when}")
            continue
        contexts.setdefault(context, []).append((_start(variant.constraint), _given(variant.prices)))
    base = {"provider": provider, "model": model.id, "source": SOURCE}
    cards = list(_dated(history, base))
    for window, start, prices in timed:
        cards += _tiers(prices, {**base, "window": window, "valid_from": start})
    for (processing, region), variants in contexts.items():
        there = {**base, "processing": processing, "region": region}
        cards += _dated(_overlaid(history, variants), there)
    return cards


def _history(
    prices: Any,
) -> tuple[list[tuple[date | None, Prices]], list[tuple[tuple[int, int], date | None, Prices]]]:
    """Split a model's prices into those by date and those by time of day, which inherit the date before."""
    if not isinstance(prices, list):
        return [(None, _given(prices))], []
    history: list[tuple[date | None, Prices]] = []
    timed: list[tuple[tuple[int, int], date | None, Prices]] = []
    for row in prices:
        kind = _kind(row.constraint)
        if kind == "TimeOfDateConstraint":
            window = _minute(row.constraint.start_time), _minute(row.constraint.end_time)
            timed.append((window, history[-1][0] if history else None, _given(row.prices)))
        elif kind in ("", "StartDateConstraint"):
            history.append((_start(row.constraint), _given(row.prices)))
        else:
            raise ValueError(f"a price under a condition of kind {kind}")
    return sorted(history, key=lambda row: row[0] or date.min), timed


def _overlaid(
    history: Sequence[tuple[date | None, Prices]], variants: Sequence[tuple[date | None, Prices]]
) -> list[tuple[date | None, Prices]]:
    """Lay a context's own prices over the standard ones of each day; where it has none, there is no price."""
    days = sorted({day or date.min for day, _ in (*history, *variants)})
    laid: list[tuple[date | None, Prices]] = []
    for day in days:
        standard = [prices for start, prices in history if (start or date.min) <= day][-1:]
        active = [prices for start, prices in variants if (start or date.min) <= day]
        merged: Prices = dict(standard[0]) if standard and active else {}
        for prices in reversed(active):
            merged.update(prices)
        laid.append((None if day == date.min else day, merged))
    return laid


def _dated(history: Sequence[tuple[date | None, Prices]], base: Mapping[str, Any]) -> Iterator[PriceCard]:
    for (start, prices), (end, _) in pairwise([*history, (None, {})]):
        yield from _tiers(prices, {**base, "valid_from": start, "valid_to": end})


def _tiers(prices: Prices, base: Mapping[str, Any]) -> Iterator[PriceCard]:
    starts = {tier.start for price in prices.values() for tier in getattr(price, "tiers", ())}
    for start in sorted({0, *starts}):
        rates: dict[str, str] = {}
        for key, price in prices.items():
            if key in _RATES:
                bucket, times = _RATES[key]
                rates[bucket] = money.product(_text(_at(price, start)), str(times))
        omits = tuple(sorted(key for key in prices if key not in _RATES))
        if rates:
            yield PriceCard(**base, input_over=start, rates=dict(sorted(rates.items())), omits=omits)


def _corrected(cards: Iterable[PriceCard], rules: Rules) -> Iterator[PriceCard]:
    for card in cards:
        for dated in _on_weekdays(card, rules):
            yield _flagged(_with_ratios(dated, rules), rules)


def _on_weekdays(card: PriceCard, rules: Rules) -> Iterator[PriceCard]:
    if card.window is None:
        yield card
        return
    since, mask = card.valid_from or date.min, EVERY_DAY
    for rule in rules.weekdays:
        if rule.provider != card.provider or not _any_fits(rule.models, card.model):
            continue
        start = rule.valid_from or date.min
        if start > since:
            yield msgspec.structs.replace(card, weekdays=mask, valid_from=_open(since), valid_to=start)
        since, mask = max(since, start), rule.weekdays
    yield msgspec.structs.replace(card, weekdays=mask, valid_from=_open(since))


def _with_ratios(card: PriceCard, rules: Rules) -> PriceCard:
    rates, estimated = dict(card.rates), list(card.estimated)
    full = rates.get("input_uncached")
    for rule in rules.ratio:
        if full is None or rule.bucket in rates or "output_text" not in rates:
            continue
        if rule.provider == card.provider and _any_fits(rule.models, card.model):
            rates[rule.bucket] = money.product(full, rule.times)
            estimated.append(rule.bucket)
    ordered = dict(sorted(rates.items()))
    return msgspec.structs.replace(card, rates=ordered, estimated=tuple(sorted(estimated)))


def _flagged(card: PriceCard, rules: Rules) -> PriceCard:
    flags = tuple(
        rule.flag
        for rule in rules.flag
        if rule.provider == card.provider
        and _any_fits(rule.models, card.model)
        and (rule.valid_from is None or rule.valid_from == card.valid_from)
    )
    return msgspec.structs.replace(card, flags=flags) if flags else card


def _any_fits(patterns: Iterable[str], model: str) -> bool:
    return any(pattern_matches(pattern, model) for pattern in patterns)


def _given(prices: Any) -> Prices:
    return {key: value for key, value in vars(prices).items() if value is not None}


def _at(price: Any, start: int) -> Any:
    if not hasattr(price, "tiers"):
        return price
    reached = [tier.price for tier in price.tiers if tier.start <= start]
    return reached[-1] if reached and start else price.base


def _text(price: Any) -> str:
    return money.plain(format(price, "f"))


def _kind(constraint: Any) -> str:
    return "" if constraint is None else type(constraint).__name__


def _start(constraint: Any) -> date | None:
    return None if constraint is None else constraint.start_date


def _minute(moment: Any) -> int:
    return int(moment.hour) * 60 + int(moment.minute)


def _open(day: date) -> date | None:
    return None if day == date.min else day
