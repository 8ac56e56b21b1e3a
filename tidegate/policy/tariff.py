"""A price card made ready to compute with: its rates as integers over one denominator, worked out once."""

from dataclasses import dataclass
from operator import attrgetter

import msgspec

from tidegate.model.money import NANO, dearest, half_even, scaled
from tidegate.model.price import PriceCard
from tidegate.model.usage import TOKEN_BUCKETS, Usage

PER = 1_000_000
"""Rates are per this many units."""

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

_COUNTED = (*TOKEN_BUCKETS, "searches")
_counts = attrgetter(*_COUNTED)
_INPUTS = slice(0, 6)
_OUTPUTS = slice(6, 9)
_NOTHING_READ, _NOTHING_WRITTEN = (None,) * 6, (None,) * 3


class Cost(msgspec.Struct, frozen=True):
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


@dataclass(frozen=True, slots=True)
class Tariff:
    """One card's rates. `units` and `flags` are in the order of the token buckets, then searches.

    A rate is `units / denominator` nano-units of `currency` for one token; None where nothing prices it.
    """

    currency: str
    denominator: int
    units: tuple[int | None, ...]
    flags: tuple[str, ...]
    fee: int
    read: int
    read_1h: int
    written: int
    charges_input: bool
    charges_output: bool

    def cost(self, usage: Usage, *, requests: int = 1) -> Cost:
        """What a usage comes to: the exact sum over its buckets, rounded once (trap M12)."""
        total = requests * self.fee
        missing: tuple[str, ...] = ()
        flags: tuple[str, ...] = ()
        counts = _counts(usage)
        for count, rate, flag, bucket in zip(counts, self.units, self.flags, _COUNTED, strict=True):
            if not count:
                continue
            if rate is None:
                missing = (*missing, bucket)
                continue
            total += count * rate
            if flag and flag not in flags:
                flags = (*flags, flag)
        unsaid = usage.input_uncached is None or usage.output_text is None
        unknown = self._unknown(counts) if unsaid else ()
        known, rest = divmod(total, self.denominator)
        if rest:
            known = half_even(total, self.denominator)
        amount = None if missing or unknown else known
        return Cost(amount, self.currency, known, missing, unknown, bool(flags), flags)

    def hold(self, input_tokens: int, output_tokens: int, *, writes_1h: bool = False) -> tuple[int, int]:
        """The most that an attempt of this size should cost, and its input's share, in nano-units.

        Nothing is taken to be read from a cache; the input is priced as written to one where that is dearer
        (for an hour only where the client asks for it). Both are rounded up.
        """
        of_input = input_tokens * (self.read_1h if writes_1h else self.read) + self.fee
        total = of_input + output_tokens * self.written
        return -(-total // self.denominator), -(-of_input // self.denominator)

    def _unknown(self, counts: tuple[int | None, ...]) -> tuple[str, ...]:
        """The sides that the card charges for and the usage says nothing of."""
        no_input = self.charges_input and counts[_INPUTS] == _NOTHING_READ
        no_output = self.charges_output and counts[_OUTPUTS] == _NOTHING_WRITTEN
        if not (no_input or no_output):
            return ()
        return (("input",) if no_input else ()) + (("output",) if no_output else ())


def rate_for(card: PriceCard, bucket: str) -> tuple[str | None, str]:
    """Return the rate that prices a bucket, None where nothing does, and the flag that goes with it."""
    rate = card.rates.get(bucket)
    if rate is not None:
        return rate, CACHE_PRICE_MISSING if bucket in card.estimated else ""
    others, flag = _INSTEAD.get(bucket, ((), ""))
    return dearest(*(card.rates.get(other) for other in others)), flag


def tariff_of(card: PriceCard) -> Tariff:
    """Make a card ready to compute with."""
    rates = {bucket: rate_for(card, bucket) for bucket in _COUNTED}
    written = [
        text for text in (*card.rates.values(), *(rate for rate, _ in rates.values())) if text is not None
    ]
    most = max(scaled(text)[1] for text in written)

    def units(*texts: str | None) -> int:
        """The dearest of some rates, in nano-units times the denominator, for one unit."""
        text = dearest(*texts)
        if text is None:
            return 0
        value, scale = scaled(text)
        return int(value * 10 ** (most - scale)) * (NANO // PER)

    listed = card.rates.get
    reads = [listed("input_uncached"), listed("cache_write_5m")]
    return Tariff(
        currency=card.currency,
        denominator=10**most,
        units=tuple(None if rate is None else units(rate) for rate, _ in rates.values()),
        flags=tuple(flag for _, flag in rates.values()),
        fee=units(listed("requests")),
        read=units(*reads),
        read_1h=units(*reads, listed("cache_write_1h")),
        written=units(listed("output_text"), listed("reasoning")),
        charges_input=any(units(listed(bucket)) for bucket in _COUNTED[_INPUTS]),
        charges_output=any(units(listed(bucket)) for bucket in _COUNTED[_OUTPUTS]),
    )
