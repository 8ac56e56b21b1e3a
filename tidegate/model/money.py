"""Exact money: decimal text in, integer nano-units of one currency out; no float anywhere.

Python's Decimal rounds silently at its context's precision, so sums are made in integers instead: a decimal
is `units * 10**-scale`. One rounding, half to even, ends each computation (trap M12).
"""

import re
from datetime import date
from functools import lru_cache

import msgspec

NANO = 1_000_000_000
"""Nano-units in one unit of a currency."""

REFERENCE = "European Central Bank, euro reference rate"
"""The source of an imported rate; an operator's own rate of the same day goes before it."""

_DECIMAL = re.compile(r"(\d{1,30})(?:\.(\d{0,30}))?(?:[eE]([+-]?\d{1,2}))?", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)


@lru_cache(maxsize=8192)
def scaled(text: str) -> tuple[int, int]:
    """Return `(units, scale)` with value `units * 10**-scale` and scale >= 0.

    Takes unsigned decimals as JSON and TOML write them, exponent included. Raises ValueError for anything
    else (signs, `NaN`, more than 30 digits on a side, exponents of three digits).
    """
    found = _DECIMAL.fullmatch(text)
    if found is None:
        shown = text if len(text) <= 40 else text[:40] + "..."
        raise ValueError(f"{shown!r} is not an unsigned decimal number such as 0.15")
    whole, fraction, exponent = found[1], found[2] or "", int(found[3] or 0)
    units, scale = int(whole + fraction), len(fraction) - exponent
    if scale < 0:
        return units * _power(-scale), 0
    while scale and units % 10 == 0:
        units, scale = units // 10, scale - 1
    return units, scale


def plain(text: str) -> str:
    """Return the same number in the one spelling we store: no exponent, no needless zero."""
    return _spelled(*scaled(text))


def product(left: str, right: str) -> str:
    """Return the exact product of two decimals, as `plain` spells it."""
    (a, a_scale), (b, b_scale) = scaled(left), scaled(right)
    return plain(_spelled(a * b, a_scale + b_scale))


def dearest(*texts: str | None) -> str | None:
    """Return the largest of the given decimals, None where none is given."""
    given = [text for text in texts if text is not None]
    if not given:
        return None
    most = max(scaled(text)[1] for text in given)
    return max(given, key=lambda text: _at_scale(text, most))


def half_even(numerator: int, denominator: int) -> int:
    """Return `numerator / denominator` rounded to the nearest integer, ties to even. denominator > 0."""
    quotient, rest = divmod(numerator, denominator)
    twice = 2 * rest
    if twice > denominator or (twice == denominator and quotient % 2):
        quotient += 1
    return quotient


def nano_of(text: str, divisor: int = 1) -> int:
    """Return an amount written as a decimal, divided by `divisor`, in nano-units. Raises ValueError."""
    units, scale = scaled(text)
    return half_even(units * NANO, _power(scale) * divisor)


def shown(nano: int, places: int = 9) -> str:
    """Return nano-units as decimal text, rounded half-even to `places` (0 to 9) digits."""
    rounded = half_even(nano, _power(9 - places))
    sign, digits = ("-" if rounded < 0 else ""), str(abs(rounded)).rjust(places + 1, "0")
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else f"{sign}{digits}"


def is_currency(code: str) -> bool:
    """Whether `code` is spelled like an ISO 4217 code."""
    return _CURRENCY.fullmatch(code) is not None


class Fx(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One unit of `base` is `rate` units of `quote` from `date` (UTC) on. `id` is pinned beside an amount."""

    base: str
    quote: str
    rate: str
    date: date
    source: str
    id: str = ""

    def __post_init__(self) -> None:
        """Refuse what cannot be converted with; give the row its id where it has none."""
        if not (is_currency(self.base) and is_currency(self.quote)) or self.base == self.quote:
            raise ValueError(f"an exchange rate needs two currency codes, got {self.base!r}, {self.quote!r}")
        if scaled(self.rate)[0] == 0:
            raise ValueError(f"the exchange rate {self.base}/{self.quote} is zero")
        if not self.id:
            name = f"{self.base}-{self.quote}-{self.date.isoformat()}-{plain(self.rate)}"
            msgspec.structs.force_setattr(self, "id", name)


def convert(nano: int, *, currency: str, to: str, fx: Fx) -> int:
    """Return an amount of `currency` in `to`, rounded once. `fx` works in both directions.

    Raises ValueError where `fx` is a rate between other currencies.
    """
    if currency == to:
        return nano
    units, scale = scaled(fx.rate)
    if (currency, to) == (fx.base, fx.quote):
        return half_even(nano * units, _power(scale))
    if (currency, to) == (fx.quote, fx.base):
        return half_even(nano * _power(scale), units)
    raise ValueError(f"{fx.base}/{fx.quote} does not convert {currency} to {to}")


def _at_scale(text: str, scale: int) -> int:
    units, own = scaled(text)
    return units * _power(scale - own)


def _spelled(units: int, scale: int) -> str:
    if scale == 0:
        return str(units)
    digits = str(units).rjust(scale + 1, "0")
    return f"{digits[:-scale]}.{digits[-scale:]}"


def _power(exponent: int) -> int:
    power: int = 10**exponent
    return power
