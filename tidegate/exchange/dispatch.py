"""Upstream calls of one request: again here, elsewhere, or an honest end, each settled in the record."""

import asyncio
from dataclasses import dataclass, field, replace

from tidegate.exchange.deliver import deliver
from tidegate.exchange.fits import fits
from tidegate.exchange.forward import prepared
from tidegate.exchange.funding import Funding
from tidegate.exchange.journey import Flight, Journey, Shortfall
from tidegate.exchange.last_resort import can_stand_in, send_text
from tidegate.exchange.plan import Plan
from tidegate.exchange.settlement import Settlement
from tidegate.exchange.stream import Timing
from tidegate.model.errors import (
    BudgetExceeded,
    PriceUnknown,
    TidegateError,
    Unavailable,
    Unsupported,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from tidegate.policy.resilience import (
    Attempted,
    Elsewhere,
    GiveUp,
    Next,
    RetryHere,
    after_attempt,
    failure_of,
    recorded,
)
from tidegate.providers.transport import PhaseLimits, ReplyTooLargeError, Transport, TransportError
from tidegate.services.fleet import Fleet
from tidegate.services.kept import KeptParts
from tidegate.services.outbound import Outbound

SECOND_US = 1_000_000
MAX_DECISIONS = 8


class NoneLeft(Unavailable):
    """Every deployment of a model is being left alone."""


@dataclass(slots=True)
class _Tries:
    """How often each deployment was called for one request, and which are left."""

    left: tuple[Outbound, ...]
    here: int = 1
    total: int = 1
    by_name: dict[str, Outbound] = field(default_factory=dict)


class Dispatcher:
    """Makes the upstream calls of journeys, each by the configuration that its plan was made from.

    `first_content_s` is a limit of every stream, see Timing.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        limits: PhaseLimits,
        first_content_s: float,
        funding: Funding,
        settlement: Settlement,
        fleet: Fleet,
        kept: KeptParts,
    ) -> None:
        self._transport = transport
        self._limits = limits
        self._timing = Timing(keep_alive_s=0.0, hold_s=0.0, first_content_s=first_content_s)
        self._funding = funding
        self._settlement = settlement
        self._fleet = fleet
        self._kept = kept

    async def launch(self, plan: Plan, elapsed_us: int) -> Flight:
        """The first upstream call of a plan, held for and ready to go. Raises the error that refuses it."""
        outbounds = plan.outbounds
        if len(outbounds) > 1:  # alone it is asked all the same, and words its refusal itself
            outbounds = tuple(one for one in outbounds if fits(plan.facts, one)) or outbounds
        flight = await self._prepared(plan, outbounds, elapsed_us=elapsed_us)
        self._fleet.retries.requested(flight.outbound.name)
        return flight

    def abandon(self, flight: Flight) -> None:
        """Give back what an upstream call took that is not made."""
        flight.leave(self._fleet.now_us())
        self._funding.release(flight.funded.taken)

    def text_for(self, plan: Plan) -> str | None:
        """The fixed text for a call that no deployment can take, where its alias has one."""
        return _text_of(plan) if can_stand_in(plan, "overload") else None

    async def dispatch(self, journey: Journey) -> None:
        """Call the planned deployments until one answers, and hand its reply on.

        Raises the TidegateError that the client must still be told.
        """
        plan = journey.plan
        tries: _Tries | None = None
        while True:
            shortfall = await self._fly(journey)
            if shortfall is None or journey.left:
                return
            if plan.call.passed is not None:  # its client judges what may be repeated
                await self._give_up(journey, shortfall)
                return
            if tries is None:
                left = tuple(one for one in plan.outbounds if one is not journey.flight.outbound)
                tries = _Tries(left, by_name={one.name: one for one in plan.outbounds})
            following = self._decide(journey, shortfall, tries)
            flight = await self._following(journey, following, tries)
            if flight is None:
                await self._give_up(journey, shortfall)
                return
            await self._again(journey, flight, shortfall, following)

    async def _prepared(
        self, plan: Plan, outbounds: tuple[Outbound, ...], n: int = 0, *, elapsed_us: int
    ) -> Flight:
        """The first of these deployments that can take the call, held for, its breaker passed."""
        refusal: TidegateError | None = None
        for outbound in outbounds:
            try:
                funded = await self._funding.fund(plan, outbound, elapsed_us=elapsed_us)
            except (BudgetExceeded, PriceUnknown) as error:
                refusal = refusal or error
                continue
            visit = None
            try:
                made = prepared(plan, outbound, self._kept.of(plan.call.key.tenant), funded.limit)
                visit = self._fleet.enter(outbound.name)
            except Unsupported as error:
                refusal = refusal or error
            finally:
                if visit is None:
                    self._funding.release(funded.taken)
            if visit is not None:
                return Flight(outbound, funded, made, visit, n=n)
        raise refusal or NoneLeft(
            "Every deployment of this model has failed too often just now; try again in a moment.",
            retry_after_s=self._fleet.back_in_s(outbounds),
        )

    async def _fly(self, journey: Journey) -> Shortfall | None:
        """Make one upstream call; say what it failed of where its client was given nothing."""
        flight = journey.flight
        made = flight.prepared
        flight.started_us = journey.elapsed_us()
        flight.edits = made.edits
        limits = self._limits if journey.plan.timeout_s is None else self._limits_for(journey)
        if made.method == "POST":
            call = self._transport.post(made.url, headers=made.headers, body=made.body, limits=limits)
        else:
            call = self._transport.send(
                made.method, made.url, headers=made.headers, body=made.body or None, limits=limits
            )
        flight.sent = "maybe"
        try:
            async with call as reply:
                flight.sent = "yes"
                flight.first_byte_us = journey.elapsed_us()
                shortfall = await deliver(journey, reply, self._timing_of(journey.plan))
        except TransportError as failure:
            if journey.http is not None:
                raise
            shortfall = _worded(flight, failure)
        if shortfall is not None:
            flight.failure = shortfall.failure
        return shortfall

    def _timing_of(self, plan: Plan) -> Timing:
        """The limits of one stream, made again where a snapshot changes them."""
        timing, silent_s = self._timing, plan.state.keep_alive_s
        if timing.keep_alive_s != silent_s:
            timing = self._timing = replace(timing, keep_alive_s=silent_s, hold_s=silent_s)
        return timing

    def _limits_for(self, journey: Journey) -> PhaseLimits:
        """The limits of one call, cut to what is left of the client's own deadline."""
        limits, timeout_s = self._limits, journey.plan.timeout_s
        assert timeout_s is not None
        left_s = max(0.001, timeout_s - journey.elapsed_us() / SECOND_US)
        total_s = left_s if limits.total_s is None else min(left_s, limits.total_s)
        return replace(limits, first_byte_s=min(left_s, limits.first_byte_s), total_s=total_s)

    def _decide(self, journey: Journey, shortfall: Shortfall, tries: _Tries) -> Next:
        """Ask the policy, record its answer, and pass the deployment over as long as it says."""
        plan, flight, fleet = journey.plan, journey.flight, self._fleet
        policy, name = plan.state.policies.resilience, flight.outbound.name
        left_us = None
        if plan.timeout_s is not None:
            left_us = int(plan.timeout_s * SECOND_US) - journey.elapsed_us()
        attempted = Attempted(
            failure=shortfall.failure,
            place=flight.outbound.place,
            sent=flight.sent,
            phase=shortfall.phase,
            stated_wait_us=shortfall.wait_us,
            here=tries.here,
            total=tries.total,
            remaining_us=left_us,
            budget_left=fleet.retries.has_retry(name, fleet.now_us()),
            others=tuple(one.place for one in tries.left if fits(plan.facts, one)),
            draw=journey.ledger.clock.random_bits(32),
        )
        following = after_attempt(attempted, policy)
        if len(journey.decisions) < MAX_DECISIONS:
            journey.decisions.append(recorded(attempted, policy, following))
        fleet.cool(name, following.cooldown_us)
        if isinstance(following, Elsewhere | GiveUp) and following.event:
            journey.entry.note(following.event, deployment=name, code=flight.error_code)
        return following

    async def _following(self, journey: Journey, following: Next, tries: _Tries) -> Flight | None:
        """The next upstream call, held for; None where there is none to make."""
        n = journey.flight.n + 1
        match following:
            case GiveUp():
                return None
            case RetryHere():
                outbounds: tuple[Outbound, ...] = (journey.flight.outbound,)
                if not self._fleet.retries.retried(journey.flight.outbound.name, self._fleet.now_us()):
                    return None
            case Elsewhere(among=among):
                outbounds = tuple(tries.by_name[place.name] for place in among)
        journey.flight.leave(self._fleet.now_us())
        self._settlement.attempt(journey, otherwise="error")  # what it does not cost is free for the next
        try:
            flight = await self._prepared(journey.plan, outbounds, n, elapsed_us=journey.elapsed_us())
        except TidegateError:
            return None
        tries.total += 1
        if isinstance(following, RetryHere):
            tries.here += 1
        else:
            tries.here = 1
            tries.left = tuple(one for one in outbounds if one is not flight.outbound)
        return flight

    async def _again(self, journey: Journey, flight: Flight, shortfall: Shortfall, following: Next) -> None:
        """Settle the call that failed, begin the next, and wait where that was decided."""
        previous = self._settlement.attempt(journey, otherwise="error")
        reason = journey.flight.error_code or shortfall.error.code
        try:
            journey.entry.attempt(flight.n, previous, flight.outbound.target, flight.hold, reason)
            self._settlement.pin(journey.plan, flight.hold.price_id)
        except BaseException:
            self.abandon(flight)
            raise
        journey.flight = flight
        await journey.entry.written()
        if not isinstance(following, GiveUp) and following.wait_us:
            await asyncio.sleep(following.wait_us / SECOND_US)

    async def _give_up(self, journey: Journey, shortfall: Shortfall) -> None:
        """Tell the client: in the provider's own words where it had any."""
        text = _text_of(journey.plan)
        if text is not None and can_stand_in(journey.plan, shortfall.failure):
            await send_text(journey, text)
            return
        await journey.entry.synced()
        answer = shortfall.answer
        if answer is None:
            raise shortfall.error
        journey.outcome, journey.error_code = "failed", journey.flight.error_code
        if answer.status != journey.flight.http:
            journey.edits.append("reply.status")
        journey.http = answer.status
        await journey.client.reply(answer.status, answer.headers, answer.body)
        journey.bytes_out = len(answer.body)


def _text_of(plan: Plan) -> str | None:
    """The text of an alias's last resort, where it has one."""
    resort = plan.state.last_resort.get(plan.facts.model)
    return resort.message or None if resort is not None else None


def _worded(flight: Flight, failure: TransportError) -> Shortfall:
    """A transport's failure as the client's error, the record's status and what it counts as."""
    name = flight.outbound.provider.name
    if flight.sent != "yes":
        flight.sent = failure.sent
    error: TidegateError
    if isinstance(failure, ReplyTooLargeError):
        error = UpstreamError(f"The answer of {name} passes {failure.limit_bytes} bytes.")
        flight.status, flight.error_code = "error", error.code
        return Shortfall("broken", error)
    kind = failure_of(failure.phase, timed_out=failure.timed_out)
    match kind:
        case "timeout":
            error, flight.status = UpstreamTimeout(f"{name} did not answer in time."), "timeout"
        case "unreachable":
            error = UpstreamUnreachable(f"{name} could not be reached; nothing was sent.")
            flight.status = "unreachable"
        case "broken":
            error = UpstreamUnreachable(f"The connection to {name} was lost before it answered.")
            flight.status = "unreachable"
    flight.error_code = error.code
    return Shortfall(kind, error, phase=failure.phase)
