"""Which card prices a call, and what the call comes to. Pure: the time, the tokens and the cards come in."""

from collections.abc import Iterable
from datetime import date

import msgspec

from tidegate.model.money import NANO, nano_of, plain, product
from tidegate.model.price import Alias, PriceCard, Processing, Uplift, pattern_matches
from tidegate.model.usage import TOKEN_BUCKETS, Usage
from tidegate.policy.tariff import Cost, tariff_of

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


def cost(usage: Usage, card: PriceCard, *, requests: int = 1) -> Cost:
    """Return what a usage comes to at one card (`Tariff.cost`, for a card that is used once)."""
    return tariff_of(card).cost(usage, requests=requests)


def hold_amount(
    card: PriceCard, input_tokens: int, output_tokens: int, *, writes_1h: bool = False
) -> tuple[int, int]:
    """Return what to hold at one card (`Tariff.hold`, for a card that is used once)."""
    return tariff_of(card).hold(input_tokens, output_tokens, writes_1h=writes_1h)


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
