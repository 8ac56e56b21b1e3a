"""What one run may use, and whether it goes faster than runs usually do.

A limit is what the operator set. A usual rate is the median of past ones, and how far they lie apart their
median absolute deviation, so that a few wild runs do not become usual. All numbers are integers: money in
nano-units of one currency, times in microseconds.
"""

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from tidegate.policy.loop_rules import Level

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
_SCALE = 14826
"""A median absolute deviation times 1.4826 is a standard deviation where values are normally distributed."""

LimitRule = Literal["calls", "tool_calls", "fan_out", "depth", "duration", "money"]
RateRule = Literal["tokens_rate", "money_rate"]
Against = Literal["limit", "run", "feature"]


class RunUse(msgspec.Struct, frozen=True, kw_only=True):
    """What a run has used, the call that asks included. None: not known.

    `fan_out` are the tool calls of its newest turn, `depth` how many runs it is below the first.
    `minute_tokens` and `minute_nano` are of the last minute.
    """

    calls: int = 0
    tool_calls: int = 0
    fan_out: int = 0
    depth: int = 0
    began_at_us: int = 0
    nano: int | None = None
    minute_tokens: int | None = None
    minute_nano: int | None = None


class RunLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What a run may use; None switches a limit off. From `notice_permille` of a limit on it is noted.

    A rate trips beyond `median + notice_mads` deviations, and is stopped beyond `enforce_mads`. Deviations
    are at least `least_spread_permille` of the median, so that very even runs are not held to the letter.
    The floors are what is never too fast, and `min_past` values must be known.
    """

    calls: int | None = 500
    tool_calls: int | None = 1_000
    fan_out: int | None = 64
    depth: int | None = 8
    duration_us: int | None = 24 * 60 * MINUTE_US
    nano: int | None = None
    notice_permille: int = 800
    notice_mads: int = 6
    enforce_mads: int = 12
    least_spread_permille: int = 250
    min_past: int = 8
    floor_tokens: int = 200_000
    floor_nano: int = 1_000_000_000


class LimitTrip(msgspec.Struct, frozen=True, kw_only=True):
    """A limit that is reached: what was used, what was allowed, and on whose word.

    `median` and `spread` (one deviation) are those of the past a rate was held against.
    """

    rule: LimitRule | RateRule
    level: Level
    used: int
    allowed: int
    against: Against = "limit"
    median: int | None = None
    spread: int | None = None


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """Rates a minute to hold a run against: of its earlier minutes, and of earlier runs of its feature."""

    run_tokens: tuple[int, ...] = ()
    run_nano: tuple[int, ...] = ()
    feature_tokens: tuple[int, ...] = ()
    feature_nano: tuple[int, ...] = ()


NO_PAST = Past()


def limit_trips(use: RunUse, limits: RunLimits, now_us: int, past: Past = NO_PAST) -> tuple[LimitTrip, ...]:
    """Return every limit that is near or passed, what is to be stopped first. At a limit is within it."""
    trips = [*_limits(use, limits, now_us), *_rates(use, limits, past)]
    trips.sort(key=lambda trip: trip.level != "enforce")
    return tuple(trips)


def usual(values: Sequence[int], least_spread_permille: int) -> tuple[int, int]:
    """Return (median, one deviation) of at least one value, both rounded down."""
    median = _median(sorted(values))
    deviation = _median(sorted(abs(value - median) for value in values)) * _SCALE // 10_000
    return median, max(deviation, median * least_spread_permille // 1000)


def _limits(use: RunUse, limits: RunLimits, now_us: int) -> Iterator[LimitTrip]:
    rows: tuple[tuple[LimitRule, int | None, int | None], ...] = (
        ("calls", use.calls, limits.calls),
        ("tool_calls", use.tool_calls, limits.tool_calls),
        ("fan_out", use.fan_out, limits.fan_out),
        ("depth", use.depth, limits.depth),
        ("duration", max(0, now_us - use.began_at_us), limits.duration_us),
        ("money", use.nano, limits.nano),
    )
    for rule, used, allowed in rows:
        if used is None or allowed is None:
            continue
        if used > allowed:
            yield LimitTrip(rule=rule, level="enforce", used=used, allowed=allowed)
        elif used * 1000 > allowed * limits.notice_permille:
            yield LimitTrip(rule=rule, level="notice", used=used, allowed=allowed)


def _rates(use: RunUse, limits: RunLimits, past: Past) -> Iterator[LimitTrip]:
    rows: tuple[tuple[RateRule, int | None, int, Against, tuple[int, ...]], ...] = (
        ("tokens_rate", use.minute_tokens, limits.floor_tokens, "run", past.run_tokens),
        ("tokens_rate", use.minute_tokens, limits.floor_tokens, "feature", past.feature_tokens),
        ("money_rate", use.minute_nano, limits.floor_nano, "run", past.run_nano),
        ("money_rate", use.minute_nano, limits.floor_nano, "feature", past.feature_nano),
    )
    for rule, used, floor, against, values in rows:
        if used is None or len(values) < max(1, limits.min_past):
            continue
        median, spread = usual(values, limits.least_spread_permille)
        levels: tuple[tuple[Level, int], ...] = (
            ("enforce", limits.enforce_mads),
            ("notice", limits.notice_mads),
        )
        for level, mads in levels:
            allowed = max(median + mads * spread, floor)
            if used > allowed:
                yield LimitTrip(
                    rule=rule,
                    level=level,
                    used=used,
                    allowed=allowed,
                    against=against,
                    median=median,
                    spread=spread,
                )
                break


def _median(ordered: Sequence[int]) -> int:
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) // 2
