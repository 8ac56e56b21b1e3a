"""Which card prices a call, and what the call comes to. Pure: the time, the tokens and the cards come in."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import msgspec

from tidegate.model.money import NANO, dearest, half_even, nano_of, plain, product, scaled
from tidegate.model.price import Alias, PriceCard, Processing, Uplift, pattern_matches
from tidegate.model.usage import INPUT_BUCKETS, OUTPUT_BUCKETS, TOKEN_BUCKETS, Usage

PER = 1_000_000
"""Rates are per this many units."""

_DAY_US = 86_400_000_000
_MINUTE_US = 60_000_000
_EPOCH_DAY = date(1970, 1, 1).toordinal()

_PROCESSING: dict[str, Processing] = {
    "": "standard",
    "auto": "standard",
    "default": "standard",
    "standard": "standard",
    "standard_only": "standard",
    "on_demand": "standard",
    "batch": "batch",
    "flex": "flex",
    "priority": "priority",
    "fast": "fast",
}

CACHE_PRICE_MISSING = "cache_price_missing"
AUDIO_PRICE_MISSING = "audio_price_missing"
IMAGE_PRICE_MISSING = "image_price_missing"

_INSTEAD: dict[str, tuple[tuple[str, ...], str]] = {
    "cache_read": (("input_uncached",), CACHE_PRICE_MISSING),
    "cache_write_5m": (("input_uncached",), CACHE_PRICE_MISSING),
    "cache_write_1h": (("input_uncached", "cache_write_5m"), CACHE_PRICE_MISSING),
    "input_audio": (("input_uncached", "input_image"), AUDIO_PRICE_MISSING),
    "input_image": (("input_uncached",), IMAGE_PRICE_MISSING),
    "reasoning": (("output_text",), ""),
    "output_audio": (("output_text", "input_audio"), AUDIO_PRICE_MISSING),
}
"""What stands in for a rate that is not listed: the dearest of these, and the flag that says so. Reasoning
needs no flag: providers that list no price of its own bill it as output."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one attempt comes to at one card.

    `amount_nano` is None where it cannot be known: a bucket was used that nothing prices (`missing`), or
    the usage leaves out a side that the card charges for (`unknown`: input, output). `known_nano` is then
    the part that can, a lower bound. `estimated`: a rate stood in for one that is not listed; `flags` say
    which.
    """

    amount_nano: int | None
    currency: str
    known_nano: int
    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    estimated: bool = False
    flags: tuple[str, ...] = ()


def processing_of(service_tier: str) -> Processing | None:
    """Return the way of processing a service tier's name means; None where no price list knows it."""
    return _PROCESSING.get(service_tier.lower())


def day_of(at_us: int) -> date:
    """Return the UTC day of a time in microseconds since the epoch."""
    return date.fromordinal(_EPOCH_DAY + at_us // _DAY_US)


def in_force(row: PriceCard | Uplift | Alias, day: date) -> bool:
    """Whether a row's dates hold on a UTC day: from its first day until before its last."""
    return (row.valid_from is None or row.valid_from <= day) and (row.valid_to is None or day < row.valid_to)


def in_hours(card: PriceCard, at_us: int) -> bool:
    """Whether a moment falls on a weekday and in the time of day of a card, whatever its dates."""
    days, rest = divmod(at_us, _DAY_US)
    if not card.weekdays >> (days + 3) % 7 & 1:
        return False
    if card.window is None:
        return True
    minute, (start, end) = rest // _MINUTE_US, card.window
    return start <= minute < end if start < end else minute >= start or minute < end


def choose_card(
    cards: Iterable[PriceCard],
    *,
    at_us: int,
    input_tokens: int,
    processing: Processing = "standard",
    region: str = "",
) -> PriceCard | None:
    """Return the card under which a call falls, or None: another way of processing never stands in.

    A card of the region goes before one for anywhere, an operator's before an imported one, one with a time
    of day before one without, a later one before an earlier, the highest context tier the input passes
    before those below (trap M3: all of the call is priced by it).
    """
    day = day_of(at_us)
    best: PriceCard | None = None
    best_rank: tuple[bool, bool, bool, int, int] | None = None
    for card in cards:
        if card.processing != processing or card.region not in ("", region):
            continue
        if card.input_over and input_tokens <= card.input_over:
            continue
        if not (in_force(card, day) and in_hours(card, at_us)):
            continue
        since = card.valid_from.toordinal() if card.valid_from else 0
        timed = card.window is not None
        rank = (card.override, card.region != "", timed, since, card.input_over)
        if best_rank is None or rank > best_rank:
            best, best_rank = card, rank
    return best


def choose_uplift(
    rows: Iterable[Uplift], *, provider: str, model: str, region: str, price_factor: str, at_us: int
) -> tuple[str, str]:
    """Return the factor of a call's region and its source; `("1", "")` where nothing is added.

    Rows that name the region decide it, by model and day, the first that fits; only where none does,
    `price_factor`, the deployment's, holds.
    """
    day = day_of(at_us)
    named = [row for row in rows if row.provider == provider and region in row.regions]
    for row in named:
        if in_force(row, day) and any(pattern_matches(pattern, model) for pattern in row.models):
            return row.factor, row.source
    if named or plain(price_factor) == "1":
        return "1", ""
    return price_factor, "price_factor of the region"


def uplifted(card: PriceCard, *, region: str, factor: str, source: str) -> PriceCard:
    """Return the card with its token rates times `factor`, exactly; fees per call stay as listed."""
    rates = {n: product(rate, factor) if n in TOKEN_BUCKETS else rate for n, rate in card.rates.items()}
    return msgspec.structs.replace(
        card,
        rates=rates,
        region=region,
        source=f"{card.source}; times {plain(factor)}: {source}",
        flags=(*card.flags, "uplift"),
    )


def differences(card: PriceCard, other: PriceCard) -> tuple[str, ...]:
    """Return the rates that both cards list and that differ; every one where the currencies do."""
    both = [name for name in card.rates if name in other.rates]
    if card.currency != other.currency:
        return tuple(both)
    return tuple(name for name in both if card.rates[name] != other.rates[name])


def rate_for(card: PriceCard, bucket: str) -> tuple[str | None, str]:
    """Return the rate that prices a bucket, None where nothing does, and the flag that goes with it."""
    rate = card.rates.get(bucket)
    if rate is not None:
        return rate, CACHE_PRICE_MISSING if bucket in card.estimated else ""
    others, flag = _INSTEAD.get(bucket, ((), ""))
    return dearest(*(card.rates.get(other) for other in others)), flag


def cost(usage: Usage, card: PriceCard, *, requests: int = 1) -> Cost:
    """Return what a usage comes to: the exact sum over its buckets, rounded once (trap M12)."""
    terms: list[tuple[int, str]] = [(requests, card.rates["requests"])] if "requests" in card.rates else []
    missing: list[str] = []
    flags: list[str] = []
    for bucket in (*TOKEN_BUCKETS, "searches"):
        count: int | None = getattr(usage, bucket)
        if not count:
            continue
        rate, flag = rate_for(card, bucket)
        if rate is None:
            missing.append(bucket)
            continue
        terms.append((count, rate))
        if flag and flag not in flags:
            flags.append(flag)
    unknown = _unknown_sides(usage, card)
    known = _sum_nano(terms)
    return Cost(
        amount_nano=None if missing or unknown else known,
        currency=card.currency,
        known_nano=known,
        missing=tuple(missing),
        unknown=unknown,
        estimated=bool(flags),
        flags=tuple(flags),
    )


def hold_amount(
    card: PriceCard, input_tokens: int, output_tokens: int, *, writes_1h: bool = False
) -> tuple[int, int]:
    """Return the most that an attempt of this size should cost, and its input's share, in nano-units.

    Nothing is taken to be read from a cache; the input is priced as written to one where that is dearer
    (for an hour only where the client asks for it). Both are rounded up.
    """
    names = ["input_uncached", "cache_write_5m"] + (["cache_write_1h"] if writes_1h else [])
    read = dearest(*(card.rates.get(name) for name in names)) or "0"
    written = dearest(card.rates.get("output_text"), card.rates.get("reasoning")) or "0"
    fee = card.rates.get("requests", "0")
    return (
        _sum_nano([(input_tokens, read), (output_tokens, written), (1, fee)], up=True),
        _sum_nano([(input_tokens, read), (1, fee)], up=True),
    )


def stated_nano(text: str, divisor: int = 1) -> int | None:
    """Return the cost a provider states (trap M11) in nano-units; None where it is no sane amount.

    `divisor` turns its unit into whole units of currency.
    """
    try:
        amount = nano_of(text, divisor)
    except ValueError:
        return None
    return amount if amount < 1_000_000 * NANO else None


def drifts(stated: int, computed: int, *, tolerance_ppm: int = 5_000) -> bool:
    """Whether what a provider states differs from what its price list says by more than rounding does."""
    return abs(stated - computed) > max(1_000, computed * tolerance_ppm // 1_000_000)


def _unknown_sides(usage: Usage, card: PriceCard) -> tuple[str, ...]:
    sides: list[str] = []
    for name, said, buckets in (
        ("input", usage.input_total, INPUT_BUCKETS),
        ("output", usage.output_total, OUTPUT_BUCKETS),
    ):
        if said is None and any(scaled(card.rates.get(bucket, "0"))[0] for bucket in buckets):
            sides.append(name)
    return tuple(sides)


def _sum_nano(terms: Sequence[tuple[int, str]], *, up: bool = False) -> int:
    exact = [(count, *scaled(rate)) for count, rate in terms]
    most = max((scale for _, _, scale in exact), default=0)
    total = sum(count * units * 10 ** (most - scale) for count, units, scale in exact)
    numerator, denominator = total * (NANO // PER), 10**most
    return -(-numerator // denominator) if up else half_even(numerator, denominator)
