"""What to do after a failed attempt: again here, elsewhere, or give up.

| failure | here | elsewhere |
|---|---|---|
| rate, overload, upstream, broken | after a wait | anywhere, once here is used up or the wait is too long |
| unreachable, timeout | where nothing else is left, never after a TLS failure | anywhere, first |
| context | never | another model whose window is not known to be as small (trap R2) |
| filter | never | another model, only where the policy routes around filters (R2) |
| money, key | never | another wallet, with an event (R3, M17) |
| forbidden | never | another wallet or another model |
| model | never | anywhere |
| bad | never | never |

Nothing follows once the client was shown content (S7), nor beyond the attempts or the deadline. A wait that
the provider states is kept to or not waited at all (R1). Only attempts here draw on the retry budget (K8): a
move elsewhere loads another provider, and the number of all attempts bounds it.
"""

from typing import Literal, assert_never

import msgspec

from tidegate.model.provider import ErrorClass
from tidegate.model.record import Decision

SECOND_US = 1_000_000
DRAW_BITS = 32
"""A draw is an integer of this many random bits, so that a record can hold it: draw / 2**32 is in [0, 1)."""
_MAX_DOUBLINGS = 30

TransportFailure = Literal["unreachable", "timeout", "broken"]
"""`unreachable`: no connection; `timeout`: a phase took longer than its limit; `broken`: the connection was
lost, or the reply was malformed or cut before content."""

Failure = ErrorClass | TransportFailure
Sent = Literal["no", "maybe", "yes"]
Phase = Literal["connect", "tls", "send", "first_byte", "idle", "total", "read"]

FailureEvent = Literal["", "wallet_refused", "key_refused"]
GiveUpReason = Literal[
    "shown",
    "never",
    "filter",
    "maybe_billed",
    "attempts",
    "deadline",
    "wait_too_long",
    "budget",
    "no_fallback",
]


class Place(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A deployment a request was or may be sent to.

    `wallet` is provider and credential: who pays. `model` is one name for one model, whoever serves it.
    """

    name: str
    wallet: str
    model: str
    context_tokens: int | None = None


class ResiliencePolicy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far to go for one request.

    `patience_us` is the longest wait here while another place is left, `max_wait_us` the longest otherwise.
    `retry_unknown`: try again although the failed attempt may be billed, where no error of the provider says
    that it is not. `down_us` is how long others pass over a place that could not be reached.
    """

    max_here: int = 2
    max_total: int = 4
    base_us: int = SECOND_US // 4
    cap_us: int = 8 * SECOND_US
    patience_us: int = SECOND_US
    max_wait_us: int = 2 * SECOND_US
    max_cooldown_us: int = 3600 * SECOND_US
    down_us: int = 5 * SECOND_US
    retry_unknown: bool = True
    route_around_filter: bool = False


class Attempted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A failed attempt and where its request stands.

    `here` and `total` count attempts, this one included. `remaining_us` is what is left of the deadline, None
    without one. `others` are the places left, best first. `budget_left`: the retry budget has a retry left.
    """

    failure: Failure
    place: Place
    sent: Sent = "yes"
    phase: Phase = "read"
    shown: bool = False
    stated_wait_us: int | None = None
    here: int = 1
    total: int = 1
    remaining_us: int | None = None
    budget_left: bool = True
    others: tuple[Place, ...] = ()
    draw: int = 0


class RetryHere(msgspec.Struct, frozen=True, kw_only=True, tag="here", omit_defaults=True):
    """Call the same deployment again after `wait_us`. `cooldown_us`: others had better wait as long."""

    wait_us: int
    cooldown_us: int = 0


class Elsewhere(msgspec.Struct, frozen=True, kw_only=True, tag="elsewhere", omit_defaults=True):
    """Call the first of `among`, which is all that is left for this request, after `wait_us`."""

    among: tuple[Place, ...]
    wait_us: int = 0
    cooldown_us: int = 0
    event: FailureEvent = ""

    @property
    def to(self) -> Place:
        """The place to call next."""
        return self.among[0]


class GiveUp(msgspec.Struct, frozen=True, kw_only=True, tag="give_up", omit_defaults=True):
    """Tell the client."""

    reason: GiveUpReason
    cooldown_us: int = 0
    event: FailureEvent = ""


Next = RetryHere | Elsewhere | GiveUp


def failure_of(phase: Phase, *, timed_out: bool) -> TransportFailure:
    """Return what a call that ended without the provider's word failed of, by where it failed and how."""
    if phase in ("connect", "tls"):
        return "unreachable"
    return "timeout" if timed_out else "broken"


def after_attempt(attempted: Attempted, policy: ResiliencePolicy) -> Next:
    """Say what follows a failed attempt.

    Whatever the failures: never more than `max_here` attempts at a place and `max_total` in all, no wait
    longer than `max_wait_us` or not within the deadline, and `among` only ever shrinks, so a request ends.
    """
    cooldown_us, event = _cooldown_us(attempted, policy), _event(attempted.failure)
    reason = _final(attempted, policy)
    if reason is not None:
        return GiveUp(reason=reason, cooldown_us=cooldown_us, event=event)
    among = _suited(attempted)
    wait_us = _wait_us(attempted, policy)
    why_not = _not_here(attempted, policy, wait_us, elsewhere=bool(among))
    if why_not is None:
        return RetryHere(wait_us=wait_us, cooldown_us=cooldown_us)
    if among:
        return Elsewhere(among=among, cooldown_us=cooldown_us, event=event)
    return GiveUp(reason=why_not, cooldown_us=cooldown_us, event=event)


def recorded(attempted: Attempted, policy: ResiliencePolicy, following: Next) -> Decision:
    """Return the decision as a record keeps it: `explain` reads it back and decides again."""
    inputs: dict[str, str | int | None] = {
        "attempted": msgspec.json.encode(attempted).decode(),
        "policy": msgspec.json.encode(policy).decode(),
    }
    return Decision(name="after_attempt", inputs=inputs, result=msgspec.json.encode(following).decode())


def replayed(decision: Decision) -> Next:
    """Decide again from what `recorded` kept. Raises msgspec.ValidationError for another decision."""
    attempted = msgspec.json.decode(str(decision.inputs.get("attempted")), type=Attempted)
    policy = msgspec.json.decode(str(decision.inputs.get("policy")), type=ResiliencePolicy)
    return after_attempt(attempted, policy)


def _final(attempted: Attempted, policy: ResiliencePolicy) -> GiveUpReason | None:
    """Say why nothing may follow, wherever it went."""
    failure = attempted.failure
    if attempted.shown:
        return "shown"
    if failure == "bad":
        return "never"
    if failure == "filter" and not policy.route_around_filter:
        return "filter"
    unworded = failure in ("unreachable", "timeout", "broken")
    if unworded and attempted.sent != "no" and not policy.retry_unknown:
        return "maybe_billed"
    return _used_up(attempted, policy)


def _used_up(attempted: Attempted, policy: ResiliencePolicy) -> GiveUpReason | None:
    if attempted.total >= policy.max_total:
        return "attempts"
    if attempted.remaining_us is not None and attempted.remaining_us <= 0:
        return "deadline"
    return None


def _suited(attempted: Attempted) -> tuple[Place, ...]:
    """Return the places left at which this failure need not come again."""
    here = attempted.place
    return tuple(
        one for one in attempted.others if one.name != here.name and _differs(one, here, attempted.failure)
    )


def _differs(one: Place, here: Place, failure: Failure) -> bool:
    match failure:
        case "rate" | "overload" | "upstream" | "unreachable" | "timeout" | "broken" | "model":
            return True
        case "money" | "key":
            return one.wallet != here.wallet
        case "forbidden":
            return one.wallet != here.wallet or one.model != here.model
        case "filter":
            return one.model != here.model
        case "context":
            return one.model != here.model and _may_be_larger(one.context_tokens, here.context_tokens)
        case "bad":
            return False
        case _:
            assert_never(failure)


def _may_be_larger(one: int | None, other: int | None) -> bool:
    """True unless it is known that it is not: a prompt that is refused for its length costs nothing."""
    return one is None or other is None or one > other


def _not_here(
    attempted: Attempted, policy: ResiliencePolicy, wait_us: int, *, elsewhere: bool
) -> GiveUpReason | None:
    """Say why the same place is not called again; None where it is."""
    match attempted.failure:
        case "rate" | "overload" | "upstream" | "broken":
            pass
        case "unreachable" | "timeout":
            if elsewhere or attempted.phase in ("tls", "total"):
                return "no_fallback"
        case _:
            return "no_fallback"
    if attempted.here >= policy.max_here:
        return "attempts"
    if wait_us > policy.max_wait_us or (elsewhere and wait_us > policy.patience_us):
        return "wait_too_long"
    if attempted.remaining_us is not None and wait_us >= attempted.remaining_us:
        return "deadline"
    return None if attempted.budget_left else "budget"


def _wait_us(attempted: Attempted, policy: ResiliencePolicy) -> int:
    """Return the wait before another attempt here: full jitter, never less than what the provider stated.

    Above a stated wait the jitter of one step keeps those who were told the same moment apart.
    """
    ceiling_us = min(policy.base_us << min(attempted.here - 1, _MAX_DOUBLINGS), policy.cap_us)
    backoff_us = ceiling_us * attempted.draw >> DRAW_BITS
    stated_us = attempted.stated_wait_us
    if stated_us is None:
        return min(backoff_us, policy.max_wait_us)
    apart_us = policy.base_us * attempted.draw >> DRAW_BITS
    return max(stated_us, min(max(stated_us + apart_us, backoff_us), policy.max_wait_us))


def _cooldown_us(attempted: Attempted, policy: ResiliencePolicy) -> int:
    """Return how long others pass over this place: as long as it asked for, or a moment where it is gone."""
    match attempted.failure:
        case "rate" | "overload" | "upstream":
            return min(attempted.stated_wait_us or 0, policy.max_cooldown_us)
        case "unreachable":
            return min(policy.down_us, policy.max_cooldown_us)
        case _:
            return 0


def _event(failure: Failure) -> FailureEvent:
    match failure:
        case "money":
            return "wallet_refused"
        case "key":
            return "key_refused"
        case _:
            return ""
