"""A breaker for one deployment: which calls it lets through, and when that changes.

| state | on | next | event |
|---|---|---|---|
| closed | too many failures among the last `last_calls` starts and ends | open | opened: count |
| closed | the first content of a call | closed: one more of these went well | |
| closed | too large a share of failures within `window_us` | open | opened: rate |
| closed | too large a share of slow calls within `window_us` | open | opened: slow |
| closed | a refused key (401), an empty wallet | open | opened: key, money |
| open | a call before the cooldown is over | open (the call is refused) | |
| open | a call after it | half-open, as a probe | half_opened |
| half-open | a call while all probes are out | half-open (the call is refused) | |
| half-open | a probe that succeeds | half-open, closed after `successes` of them | closed |
| half-open | a probe that fails or is slow | open, twice as long up to a cap | opened: probe, key, money |
| half-open | a probe without a verdict (cancelled, the client's error) | half-open, its place is free | |
| half-open | a probe that was reported well, and fails before its end | open | opened: probe, key, money |
| any | the end of a call let through before the last change | the same | |

A 200 that ends in an error is a failure (trap S12). A clock that goes back opens nothing: counts ahead of it
are dropped. Nor does it keep a breaker shut: before the moment of opening, the cooldown counts as over.
Memory is bounded: `BUCKETS` counters, `last_calls` bits, `probes` moments.
"""

from typing import Literal, assert_never

import msgspec

from tidegate.policy.resilience import Failure

SECOND_US = 1_000_000
BUCKETS = 10
_MAX_DOUBLINGS = 30

State = Literal["closed", "open", "half_open"]
Verdict = Literal["ok", "failed", "key", "money", "neutral"]
"""What a call says about its deployment. `neutral`: nothing, as when the client left or asked badly."""

OpenedBy = Literal["count", "rate", "slow", "key", "money", "probe"]
Admitted = Literal["closed", "probe", "refused"]


class BreakerPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """When to open and for how long. A limit of 0 switches its rule off, `enabled` all of them.

    Shares are in thousandths and need `min_calls` within `window_us`. A call is slow when its first content
    took at least `slow_us`. `probes` and `successes` are at least 1. A probe out for `lost_probe_us` is taken
    for lost, and its place is free.
    """

    enabled: bool = True
    last_calls: int = 5
    last_failures: int = 5
    window_us: int = 30 * SECOND_US
    min_calls: int = 10
    failure_permille: int = 500
    slow_us: int = 0
    slow_permille: int = 800
    cooldown_us: int = 5 * SECOND_US
    refused_cooldown_us: int = 60 * SECOND_US
    max_cooldown_us: int = 300 * SECOND_US
    probes: int = 1
    successes: int = 2
    lost_probe_us: int = 900 * SECOND_US


class Bucket(msgspec.Struct, frozen=True):
    """The calls of one slice of time."""

    slot: int
    calls: int = 0
    failures: int = 0
    slow: int = 0


class Breaker(msgspec.Struct, frozen=True, kw_only=True):
    """What a breaker remembers; a new one is closed. Times are of one clock, in microseconds.

    `epoch` rises with each change, so that calls let through before it are told apart. `history` holds the
    latest starts of content and ends of calls as bits, newest lowest, 1 for a failure. `openings` counts
    those since it was last closed. `out` are the moments at which the probes under way started, `succeeded`
    counts those that went well.
    """

    state: State = "closed"
    epoch: int = 0
    buckets: tuple[Bucket, ...] = ()
    history: int = 0
    openings: int = 0
    since_us: int = 0
    until_us: int = 0
    out: tuple[int, ...] = ()
    succeeded: int = 0


class Admission(msgspec.Struct, frozen=True):
    """Whether a call may go, and as what. Its result is reported with this value.

    A probe may be reported well at its first content, and its end once more as `closed` of the same epoch.
    """

    admitted: Admitted
    epoch: int = 0
    at_us: int = 0


class Outcome(msgspec.Struct, frozen=True):
    """How an admitted call ended. `first_content_us` is how long its first content took, None without any."""

    admission: Admission
    verdict: Verdict
    first_content_us: int | None = None


class BreakerEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A change worth telling an operator; `calls`, `failures` and `slow` are what it was decided on."""

    kind: Literal["opened", "half_opened", "closed"]
    by: OpenedBy | Literal["cooldown", "probes", "operator"]
    cooldown_us: int = 0
    calls: int = 0
    failures: int = 0
    slow: int = 0


def verdict_of(failure: Failure | None) -> Verdict:
    """Return what a call's end says about its deployment; None is a whole answer."""
    match failure:
        case None:
            return "ok"
        case "rate" | "overload" | "upstream" | "unreachable" | "timeout" | "broken":
            return "failed"
        case "key":
            return "key"
        case "money":
            return "money"
        case "context" | "filter" | "forbidden" | "model" | "bad":
            return "neutral"
        case _:
            assert_never(failure)


def admits(breaker: Breaker, now_us: int, policy: BreakerPolicy) -> Admitted:
    """Tell what would become of a call now; nothing changes."""
    match breaker.state:
        case "closed":
            return "closed"
        case "open":
            return "refused" if back_us(breaker, now_us) else "probe"
        case "half_open":
            return "probe" if len(_still_out(breaker, now_us, policy)) < policy.probes else "refused"
        case _:
            assert_never(breaker.state)


def back_us(breaker: Breaker, now_us: int) -> int:
    """Return how long an open breaker still refuses every call; 0 for any other."""
    if breaker.state != "open" or not breaker.since_us <= now_us < breaker.until_us:
        return 0
    return breaker.until_us - now_us


def enter(
    breaker: Breaker, now_us: int, policy: BreakerPolicy
) -> tuple[Breaker, Admission, BreakerEvent | None]:
    """Let a call through or refuse it; a probe takes one of the `probes` places until its result comes."""
    admitted = admits(breaker, now_us, policy)
    if admitted != "probe":
        return breaker, Admission(admitted, breaker.epoch, now_us), None
    event: BreakerEvent | None = None
    if breaker.state == "open":
        breaker = Breaker(
            state="half_open", epoch=breaker.epoch + 1, openings=breaker.openings, since_us=now_us
        )
        event = BreakerEvent(kind="half_opened", by="cooldown")
    out = (*_still_out(breaker, now_us, policy), now_us)
    return _replace(breaker, out=out), Admission("probe", breaker.epoch, now_us), event


def on_result(
    breaker: Breaker, outcome: Outcome, now_us: int, policy: BreakerPolicy
) -> tuple[Breaker, BreakerEvent | None]:
    """Take in how an admitted call ended; each admission is reported once."""
    stale = outcome.admission.epoch != breaker.epoch or outcome.admission.admitted == "refused"
    if stale or not policy.enabled:
        return breaker, None
    match breaker.state:
        case "closed":
            return _while_closed(breaker, outcome, now_us, policy)
        case "half_open":
            return _of_probe(breaker, outcome, now_us, policy)
        case "open":
            return breaker, None
        case _:
            assert_never(breaker.state)


def with_successes(breaker: Breaker, count: int, now_us: int, policy: BreakerPolicy) -> Breaker:
    """Return a closed breaker after `count` quick answers of one slice, as if each had been reported."""
    if breaker.state != "closed" or not policy.enabled:
        return breaker
    slot = slot_of(now_us, policy)
    buckets = _with_call(breaker.buckets, slot, failed=False, slow=False)
    *kept, last = buckets
    last = Bucket(slot, last.calls + count - 1, last.failures, last.slow)
    mask = (1 << policy.last_calls) - 1
    history = breaker.history << min(count, policy.last_calls) & mask
    return _replace(breaker, buckets=(*kept, last), history=history)


def answering(breaker: Breaker, admission: Admission, policy: BreakerPolicy) -> Breaker:
    """Return the breaker after a call's first content, which ends a row of failures.

    Streams fail at once and go well only at their end: without this, a few of many that start together would
    make a row. A call that fails later is counted as failed all the same.
    """
    if breaker.state != "closed" or not breaker.history or admission.epoch != breaker.epoch:
        return breaker
    return _replace(breaker, history=breaker.history << 1 & (1 << policy.last_calls) - 1)


def slot_of(now_us: int, policy: BreakerPolicy) -> int:
    """Return the slice of the window that a moment is in."""
    return now_us // _slice_us(policy)


def reset(breaker: Breaker, now_us: int) -> tuple[Breaker, BreakerEvent | None]:
    """Close a breaker by hand; what it had counted is forgotten."""
    event = None if breaker.state == "closed" else BreakerEvent(kind="closed", by="operator")
    return Breaker(epoch=breaker.epoch + 1, since_us=now_us), event


def _while_closed(
    breaker: Breaker, outcome: Outcome, now_us: int, policy: BreakerPolicy
) -> tuple[Breaker, BreakerEvent | None]:
    verdict = outcome.verdict
    if verdict == "neutral":
        return breaker, None
    if verdict in ("key", "money"):
        return _opened(breaker, verdict, now_us, policy)
    failed, slow = verdict == "failed", _is_slow(outcome, policy)
    mask = (1 << policy.last_calls) - 1
    counted = _replace(
        breaker,
        buckets=_with_call(breaker.buckets, now_us // _slice_us(policy), failed=failed, slow=slow),
        history=(breaker.history << 1 | failed) & mask,
    )
    by = _over(counted, policy) if failed or slow else None
    return (counted, None) if by is None else _opened(counted, by, now_us, policy)


def _over(breaker: Breaker, policy: BreakerPolicy) -> OpenedBy | None:
    """Say which rule the calls counted so far break."""
    if policy.last_failures and breaker.history.bit_count() >= policy.last_failures:
        return "count"
    calls, failures, slow = _sums(breaker.buckets)
    if calls < max(policy.min_calls, 1):
        return None
    if policy.failure_permille and failures * 1000 >= calls * policy.failure_permille:
        return "rate"
    if policy.slow_us and policy.slow_permille and slow * 1000 >= calls * policy.slow_permille:
        return "slow"
    return None


def _of_probe(
    breaker: Breaker, outcome: Outcome, now_us: int, policy: BreakerPolicy
) -> tuple[Breaker, BreakerEvent | None]:
    freed = _freed(breaker, outcome)
    if freed is None:
        return breaker, None
    breaker = freed
    match outcome.verdict:
        case "neutral":
            return breaker, None
        case "ok" if not _is_slow(outcome, policy):
            if breaker.succeeded + 1 < policy.successes:
                return _replace(breaker, succeeded=breaker.succeeded + 1), None
            closed = Breaker(epoch=breaker.epoch + 1, since_us=now_us)
            return closed, BreakerEvent(kind="closed", by="probes")
        case "ok" | "failed":
            return _opened(breaker, "probe", now_us, policy)
        case "key" | "money" as by:
            return _opened(breaker, by, now_us, policy)
        case _:
            assert_never(outcome.verdict)


def _freed(breaker: Breaker, outcome: Outcome) -> Breaker | None:
    """Return the breaker without the probe that this is about; None where the outcome says nothing new."""
    admission = outcome.admission
    if admission.admitted != "probe":
        return None if outcome.verdict == "ok" else breaker
    if admission.at_us not in breaker.out:
        return None
    place = breaker.out.index(admission.at_us)
    return _replace(breaker, out=breaker.out[:place] + breaker.out[place + 1 :])


def _opened(
    breaker: Breaker, by: OpenedBy, now_us: int, policy: BreakerPolicy
) -> tuple[Breaker, BreakerEvent]:
    first_us = policy.refused_cooldown_us if by in ("key", "money") else policy.cooldown_us
    cooldown_us = min(first_us << min(breaker.openings, _MAX_DOUBLINGS), policy.max_cooldown_us)
    calls, failures, slow = _sums(breaker.buckets)
    event = BreakerEvent(
        kind="opened", by=by, cooldown_us=cooldown_us, calls=calls, failures=failures, slow=slow
    )
    opened = Breaker(
        state="open",
        epoch=breaker.epoch + 1,
        openings=breaker.openings + 1,
        since_us=now_us,
        until_us=now_us + cooldown_us,
    )
    return opened, event


def _still_out(breaker: Breaker, now_us: int, policy: BreakerPolicy) -> tuple[int, ...]:
    """Return the probes under way, without those that were lost; one from ahead of the clock is not."""
    return tuple(at_us for at_us in breaker.out if now_us - at_us < policy.lost_probe_us)


def _is_slow(outcome: Outcome, policy: BreakerPolicy) -> bool:
    took_us = outcome.first_content_us
    return bool(policy.slow_us) and took_us is not None and took_us >= policy.slow_us


def _slice_us(policy: BreakerPolicy) -> int:
    return max(policy.window_us // BUCKETS, 1)


def _with_call(buckets: tuple[Bucket, ...], slot: int, *, failed: bool, slow: bool) -> tuple[Bucket, ...]:
    """Return the buckets of the window with one call more; those that are over, or ahead of the clock, go."""
    if buckets and buckets[-1].slot == slot:
        last, kept = buckets[-1], buckets[:-1]
        if not kept or kept[0].slot > slot - BUCKETS:
            return (*kept, Bucket(slot, last.calls + 1, last.failures + failed, last.slow + slow))
    else:
        last, kept = Bucket(slot), buckets
    kept = tuple(one for one in kept if slot - BUCKETS < one.slot < slot)
    return (*kept, Bucket(slot, last.calls + 1, last.failures + failed, last.slow + slow))


def _sums(buckets: tuple[Bucket, ...]) -> tuple[int, int, int]:
    calls = failures = slow = 0
    for one in buckets:
        calls, failures, slow = calls + one.calls, failures + one.failures, slow + one.slow
    return calls, failures, slow


_replace = msgspec.structs.replace
