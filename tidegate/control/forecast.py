"""What a period will come to, from its days so far and the weeks before.

The level is that of the last whole days, at most `DAYS_OF_MEMORY` of them. With two weeks or more each
weekday has its own average (of two days at least), with fewer all days have one. What is left of today counts
as the expected day less what today has cost, never less than nothing. The range is for about eight periods in
ten, if days go on to scatter about their average as they did: it knows of no growth, no launch and no
month's end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from math import isqrt
from typing import Literal

from tidegate.control.cells import rounded

DAYS_OF_MEMORY = 28
WEEKDAY_AWARE_DAYS = 14
FEW_DAYS = 7
"""With fewer days the range is from all days like the cheapest to all like the dearest."""

_Z = Fraction(1282, 1000)
"""The normal distribution's quantile of 90 %: one tenth of the outcomes is below the range, one above."""

Method = Literal["weekdays", "average", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Nano-units: spent so far, expected at the end, and a range; those two are None where `method` is none.

    `days` were learned from.
    """

    so_far_nano: int
    expected_nano: int | None
    low_nano: int | None
    high_nano: int | None
    method: Method
    days: int


def forecast(costs: Mapping[date, int], *, first: date, today: date, end: date, begun: date) -> Forecast:
    """Return what the days from `first` until before `end` will come to; today is one of them.

    `costs` are of whole days and of today so far; a day without an entry cost nothing, from `begun` on, the
    first day on record (it is no whole day).
    """
    so_far = sum(nano for day, nano in costs.items() if first <= day <= today)
    start = max(begun + timedelta(days=1), today - timedelta(days=DAYS_OF_MEMORY))
    known = [(day, costs.get(day, 0)) for day in _days(start, today)]
    if not known:
        return Forecast(
            so_far_nano=so_far, expected_nano=None, low_nano=None, high_nano=None, method="none", days=0
        )
    level, method = _level(known)
    rest = max(Fraction(0), level[today.weekday()] - costs.get(today, 0))
    ahead = list(_days(today + timedelta(days=1), end))
    expected = so_far + rest + sum((level[day.weekday()] for day in ahead), Fraction(0))
    below, above = _spread(known, level, len(ahead) + 1, method)
    least = max(Fraction(so_far), expected - below)
    return Forecast(
        so_far_nano=so_far,
        expected_nano=rounded(expected),
        low_nano=rounded(least),
        high_nano=rounded(expected + above),
        method=method,
        days=len(known),
    )


def _days(first: date, end: date) -> list[date]:
    return [first + timedelta(days=at) for at in range((end - first).days)]


def _level(known: Sequence[tuple[date, int]]) -> tuple[list[Fraction], Method]:
    """Return the average of each weekday, Monday first."""
    if len(known) < WEEKDAY_AWARE_DAYS:
        return [_mean([nano for _, nano in known])] * 7, "average"
    return [_mean([nano for day, nano in known if day.weekday() == at]) for at in range(7)], "weekdays"


def _mean(nanos: Sequence[int]) -> Fraction:
    return Fraction(sum(nanos), len(nanos))


def _spread(
    known: Sequence[tuple[date, int]], level: Sequence[Fraction], ahead: int, method: Method
) -> tuple[Fraction, Fraction]:
    """Return how far below and above the expected sum of so many days the range reaches.

    Both the days to come scatter and the averages are uncertain, which are of few days: with residuals of
    variance v about averages of m days each, the sum of h days has h v (1 + h / n) where one average is of
    all n days, and h v (1 + h / n) in the same way where each weekday has n / 7 and as many of the h.
    """
    if len(known) < FEW_DAYS:
        nanos = [nano for _, nano in known]
        return ahead * (level[0] - min(nanos)), ahead * (max(nanos) - level[0])
    freedom = len(known) - (7 if method == "weekdays" else 1)
    residuals = [nano - level[day.weekday()] for day, nano in known]
    squares = sum((residual * residual for residual in residuals), Fraction(0))
    variance = squares / freedom * ahead * (1 + Fraction(ahead, len(known)))
    width = _Z * isqrt(variance.numerator // variance.denominator)
    return width, width
