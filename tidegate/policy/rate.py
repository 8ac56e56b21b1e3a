"""Limits on requests and tokens per window and on concurrent calls, several scopes at once.

**Guarantee.** Whenever a call is admitted, what was admitted within the `window_us` that end at that moment,
the call included and refunds taken off, is at most the limit, in every scope; concurrent calls never pass
theirs. A refusal in one scope takes nothing from any. The window is counted in `SLICES` slices and the one
that runs, so a share comes back up to one slice late and never early. What turns out dearer than estimated
counts from the moment it is known: it can fill a window beyond its limit, and nothing is admitted until that
is past.

Times are of one clock, in microseconds. Where the clock goes back, what lies ahead counts as of now.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Literal, assert_never

import msgspec

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
SLICES = 20
BUSY_RETRY_US = SECOND_US
"""When to ask again for a concurrent call's place: nobody knows when one is free."""

Kind = Literal["requests", "tokens", "concurrent"]


class Limit(msgspec.Struct, frozen=True):
    """At most `amount` of a kind within `window_us`, above 0, which means nothing for concurrent calls."""

    kind: Kind
    amount: int
    window_us: int = MINUTE_US


class Tally(msgspec.Struct, frozen=True):
    """What one scope has used of one limit.

    `slices` are (number, amount), oldest first, at most `SLICES` + 1; `total` is their sum. `running` are the
    calls under way, where those are what is limited.
    """

    slices: tuple[tuple[int, int], ...] = ()
    total: int = 0
    running: int = 0


EMPTY = Tally()


class Ask(msgspec.Struct, frozen=True):
    """One limit that a call must fit: of whom (`key`, `team:red`), what was used, and what it would use."""

    scope: str
    limit: Limit
    tally: Tally
    cost: int


class Verdict(msgspec.Struct, frozen=True):
    """What one limit says. `remaining` and `reset_us` (until it is whole again) are as of after the decision.

    `retry_after_us` is how long to wait until the same call fits: 0 where it does, None where it never will.
    """

    scope: str
    limit: Limit
    ok: bool
    remaining: int
    reset_us: int
    retry_after_us: int | None = 0


def admit(tally: Tally, now_us: int, cost: int, limit: Limit) -> tuple[Tally, bool]:
    """Use `cost` of one limit; where it does not fit, nothing of it. `cost` is never negative."""
    if limit.kind == "concurrent":
        fits = tally.running < limit.amount
        return (Tally(running=tally.running + 1), True) if fits else (tally, False)
    current = _at(tally, now_us, limit)
    if current.total + cost > limit.amount:
        return current, False
    return _added(current, now_us, cost, limit), True


def admit_all(asks: Sequence[Ask], now_us: int) -> tuple[tuple[Tally, ...], tuple[Verdict, ...]]:
    """Use every limit or none: the tallies to keep and a verdict on each.

    The call is admitted where all verdicts are `ok`; otherwise the tallies are those that came, less what
    is over.
    """
    tried = [admit(one.tally, now_us, one.cost, one.limit) for one in asks]
    if all(ok for _, ok in tried):
        tallies = tuple(tally for tally, _ in tried)
    else:
        tallies = tuple(_at(one.tally, now_us, one.limit) for one in asks)
    verdicts = tuple(
        _verdict(ask, tally, now_us, ok=ok) for ask, tally, (_, ok) in zip(asks, tallies, tried, strict=True)
    )
    return tallies, verdicts


def corrected(tally: Tally, *, at_us: int, now_us: int, estimated: int, billed: int, limit: Limit) -> Tally:
    """Put what was billed in place of what was estimated when the call was admitted at `at_us`.

    Less is given back where it was taken, if that still counts; more is taken now.
    """
    current = _at(tally, now_us, limit)
    if billed > estimated:
        return _added(current, now_us, billed - estimated, limit)
    slot = min(at_us, now_us) // _slice_us(limit)
    return _reduced(current, slot, estimated - billed)


def left(tally: Tally) -> Tally:
    """Give the place of a concurrent call back."""
    return Tally(running=max(tally.running - 1, 0))


def is_idle(tally: Tally, now_us: int, limit: Limit) -> bool:
    """Tell whether nothing counts any more, so that forgetting it changes nothing."""
    return not tally.running and not _at(tally, now_us, limit).slices


def added(tally: Tally, now_us: int, amount: int, limit: Limit) -> Tally:
    """Count what was used whether or not it fits."""
    return _added(_at(tally, now_us, limit), now_us, amount, limit)


def used(tally: Tally, now_us: int, limit: Limit) -> int:
    """Return how much counts now."""
    return tally.running if limit.kind == "concurrent" else _at(tally, now_us, limit).total


def remaining(tally: Tally, now_us: int, limit: Limit) -> int:
    """Return how much is left now; 0 also where more was used than allowed."""
    return max(limit.amount - used(tally, now_us, limit), 0)


def retry_after_us(verdicts: Iterable[Verdict]) -> int | None:
    """Return how long to wait before the same call can fit all limits; None where it never will."""
    waits = [one.retry_after_us for one in verdicts if not one.ok]
    known = [wait for wait in waits if wait is not None]
    return None if len(known) < len(waits) else max(known, default=0)


def _verdict(ask: Ask, tally: Tally, now_us: int, *, ok: bool) -> Verdict:
    """Return what a limit says of a tally that was brought to this moment."""
    limit = ask.limit
    taken = tally.running if limit.kind == "concurrent" else tally.total
    left_us = _past_us(tally.slices[-1][0], limit) - now_us if tally.slices else 0
    wait_us = 0 if ok else _wait_us(ask, tally, now_us)
    return Verdict(ask.scope, limit, ok, max(limit.amount - taken, 0), left_us, wait_us)


def _wait_us(ask: Ask, tally: Tally, now_us: int) -> int | None:
    """Return when enough of what counts now will be past."""
    limit = ask.limit
    match limit.kind:
        case "concurrent":
            return BUSY_RETRY_US if limit.amount else None
        case "requests" | "tokens":
            if ask.cost > limit.amount:
                return None
            too_much = tally.total + ask.cost - limit.amount
            freed = accumulate(amount for _, amount in tally.slices)
            enough = bisect_left(tuple(freed), too_much)
            return _past_us(tally.slices[enough][0], limit) - now_us
        case _:
            assert_never(limit.kind)


def _past_us(slot: int, limit: Limit) -> int:
    """Return the first moment at which a slice no longer counts."""
    return (slot + SLICES + 1) * _slice_us(limit)


def _slice_us(limit: Limit) -> int:
    """Return a slice's length, rounded up so that `SLICES` of them are never less than the window."""
    return -(-limit.window_us // SLICES)


def _at(tally: Tally, now_us: int, limit: Limit) -> Tally:
    """Return the tally with what is past left out, and what lies ahead of the clock as of now."""
    slices = tally.slices
    if not slices:
        return tally
    slot = now_us // _slice_us(limit)
    if slices[0][0] >= slot - SLICES and slices[-1][0] <= slot:
        return tally
    kept = tuple(one for one in slices if slot - SLICES <= one[0] < slot)
    current = sum(amount for at, amount in slices if at >= slot)
    if current:
        kept = (*kept, (slot, current))
    return Tally(kept, sum(amount for _, amount in kept))


def _added(tally: Tally, now_us: int, amount: int, limit: Limit) -> Tally:
    """Return a tally that was brought to this moment with more in its latest slice."""
    if amount <= 0:
        return tally
    slot, slices = now_us // _slice_us(limit), tally.slices
    if slices and slices[-1][0] == slot:
        return Tally((*slices[:-1], (slot, slices[-1][1] + amount)), tally.total + amount)
    return Tally((*slices, (slot, amount)), tally.total + amount)


def _reduced(tally: Tally, slot: int, amount: int) -> Tally:
    """Return the tally with less in one slice, which never falls below nothing."""
    slices = tally.slices
    for place in range(len(slices) - 1, -1, -1):
        at, taken = slices[place]
        if at == slot:
            less = min(amount, taken)
            kept = ((at, taken - less),) if taken > less else ()
            return Tally(slices[:place] + kept + slices[place + 1 :], tally.total - less)
    return tally
