"""A breaker on what one key spends: tokens and money a minute, against a limit or against its own past.

| state | on | next | event |
|---|---|---|---|
| closed | more than a limit within the last minute | open | opened: limit |
| closed | more than `factor_permille` of its usual minute, and than the floor | open | opened: usual |
| open | a call before the cooldown is over, or without a cooldown | open (the call is refused) | |
| open | a call, or a bill, after it | closed, the last minute forgotten | closed: cooldown |
| open | the bill of a call from before | open, the bill counts in the key's past | |
| any | an operator | closed, the last minute forgotten | closed: operator |

A usual minute is the median of the last `PAST_MINUTES` in which the key spent anything, so that a few wild
ones do not become usual. Money is whole nano-units of one currency, which the caller keeps to. A bill counts
when it is known; the last minute is counted as `policy.rate` counts it.
"""

from typing import Literal

import msgspec

from tidegate.policy.rate import EMPTY, MINUTE_US, Limit, Tally, added, used

PAST_MINUTES = 60
_TOKENS, _MONEY = Limit("tokens", 0), Limit("tokens", 0)

Measure = Literal["tokens", "money"]


class SpendPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What a key may spend a minute. None and a factor of 0 switch a rule off.

    The floors are what a key may always spend, however little is usual; `min_minutes` of its past must be
    known before that counts. Without `cooldown_us` only an operator closes it.
    """

    max_tokens: int | None = None
    max_nano: int | None = None
    factor_permille: int = 0
    floor_tokens: int = 100_000
    floor_nano: int = 1_000_000_000
    min_minutes: int = 10
    cooldown_us: int | None = 5 * MINUTE_US


class Spend(msgspec.Struct, frozen=True, kw_only=True):
    """What a breaker remembers of one key; a new one is closed.

    `tokens` and `money` are the last minute's. `past` are (tokens, nano-units) of finished minutes, newest
    last, kept only where the policy asks what is usual; `usual` is their median, each by itself, None while
    too few are known. `minute` is the one that runs.
    """

    tokens: Tally = EMPTY
    money: Tally = EMPTY
    minute: int = 0
    running: tuple[int, int] = (0, 0)
    past: tuple[tuple[int, int], ...] = ()
    usual: tuple[int, int] | None = None
    is_open: bool = False
    since_us: int = 0
    until_us: int | None = None


NEW = Spend()


class SpendEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A change worth telling an operator: what was spent in a minute, and what was allowed."""

    kind: Literal["opened", "closed"]
    by: Literal["limit", "usual", "cooldown", "operator"]
    measure: Measure | None = None
    spent: int = 0
    allowed: int = 0
    cooldown_us: int | None = None


def admits(spend: Spend, now_us: int) -> bool:
    """Tell whether the key may call now; a clock from before the opening keeps nothing shut."""
    if not spend.is_open:
        return True
    return spend.until_us is not None and not spend.since_us <= now_us < spend.until_us


def back_us(spend: Spend, now_us: int) -> int | None:
    """Return how long the key still has to wait; None where only an operator ends it."""
    if admits(spend, now_us):
        return 0
    return None if spend.until_us is None else spend.until_us - now_us


def enter(spend: Spend, now_us: int) -> tuple[Spend, bool, SpendEvent | None]:
    """Let a call through or refuse it; the first one after the cooldown closes the breaker."""
    if not admits(spend, now_us):
        return spend, False, None
    closed, event = _closed_after_cooldown(spend, now_us)
    return closed, True, event


def on_spent(
    spend: Spend, now_us: int, *, tokens: int, nano: int, policy: SpendPolicy
) -> tuple[Spend, SpendEvent | None]:
    """Take in a bill; what a bill gives back (less than 0) counts as nothing."""
    tokens, nano = max(tokens, 0), max(nano, 0)
    spend, closed = _closed_after_cooldown(spend, now_us)
    spend = _in_minute(spend, now_us // MINUTE_US, policy)
    running = (spend.running[0] + tokens, spend.running[1] + nano)
    if spend.is_open:
        return _replace(spend, running=running), None
    spend = _replace(
        spend,
        running=running,
        tokens=added(spend.tokens, now_us, tokens, _TOKENS),
        money=added(spend.money, now_us, nano, _MONEY),
    )
    event = _over(spend, now_us, policy)
    if event is None:
        return spend, closed
    until_us = None if policy.cooldown_us is None else now_us + policy.cooldown_us
    return _replace(spend, is_open=True, since_us=now_us, until_us=until_us), event


def reset(spend: Spend) -> tuple[Spend, SpendEvent | None]:
    """Close a breaker by hand; the key's past stays known."""
    event = SpendEvent(kind="closed", by="operator") if spend.is_open else None
    return _closed(spend), event


def allowed(
    spend: Spend, policy: SpendPolicy, measure: Measure
) -> tuple[int, Literal["limit", "usual"]] | None:
    """Return what the key may spend a minute and on whose word; None where nothing limits it."""
    place = 0 if measure == "tokens" else 1
    limit = (policy.max_tokens, policy.max_nano)[place]
    if not policy.factor_permille or spend.usual is None:
        return None if limit is None else (limit, "limit")
    floor = (policy.floor_tokens, policy.floor_nano)[place]
    most = max(spend.usual[place] * policy.factor_permille // 1000, floor)
    return (most, "usual") if limit is None or most < limit else (limit, "limit")


def _over(spend: Spend, now_us: int, policy: SpendPolicy) -> SpendEvent | None:
    for measure in ("money", "tokens"):
        limited = allowed(spend, policy, measure)
        if limited is None:
            continue
        tally, limit = (spend.tokens, _TOKENS) if measure == "tokens" else (spend.money, _MONEY)
        spent = used(tally, now_us, limit)
        if spent > limited[0]:
            return SpendEvent(
                kind="opened",
                by=limited[1],
                measure=measure,
                spent=spent,
                allowed=limited[0],
                cooldown_us=policy.cooldown_us,
            )
    return None


def _closed_after_cooldown(spend: Spend, now_us: int) -> tuple[Spend, SpendEvent | None]:
    if spend.is_open and admits(spend, now_us):
        return _closed(spend), SpendEvent(kind="closed", by="cooldown")
    return spend, None


def _closed(spend: Spend) -> Spend:
    """Return a closed breaker that would not open at once for what it was opened for."""
    return Spend(minute=spend.minute, running=spend.running, past=spend.past, usual=spend.usual)


def _in_minute(spend: Spend, minute: int, policy: SpendPolicy) -> Spend:
    """Return the spend with finished minutes in its past; minutes without any spend are none."""
    if minute == spend.minute:
        return spend
    if spend.running == (0, 0):
        return _replace(spend, minute=minute)
    past = (*spend.past, spend.running)[-PAST_MINUTES:] if policy.factor_permille else ()
    usual = None
    if len(past) >= max(policy.min_minutes, 1):
        usual = (_median([tokens for tokens, _ in past]), _median([nano for _, nano in past]))
    return _replace(spend, minute=minute, running=(0, 0), past=past, usual=usual)


def _median(values: list[int]) -> int:
    values.sort()
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) // 2


_replace = msgspec.structs.replace
