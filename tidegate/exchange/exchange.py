"""The life of one request, top to bottom."""

import asyncio

from tidegate.exchange.call import Call, Client
from tidegate.exchange.dispatch import Dispatcher, NoneLeft
from tidegate.exchange.funding import Funding
from tidegate.exchange.journey import Flight, Journey
from tidegate.exchange.last_resort import text_reply
from tidegate.exchange.plan import Asked, Plan, Planner
from tidegate.exchange.refuse import send_refusal
from tidegate.exchange.settlement import Settlement
from tidegate.model.errors import TidegateError, Unavailable
from tidegate.model.record import Begin, Decision
from tidegate.services.conversations import Conversations
from tidegate.services.kept import KeptParts
from tidegate.services.ledger import Ledger
from tidegate.services.limiter import Admitted, Limiter
from tidegate.services.pseudonyms import who_of
from tidegate.services.replays import Question, Replays
from tidegate.services.state import Current, State
from tidegate.wire.passthrough import PassCodec
from tidegate.wire.registry import CODECS

DRAIN_S = 60.0
"""How long the rest of a reply is read for its bill alone."""


class Exchange:
    """Carries calls to providers and back. One for the whole process."""

    def __init__(
        self,
        *,
        current: Current,
        planner: Planner,
        ledger: Ledger,
        funding: Funding,
        settlement: Settlement,
        dispatcher: Dispatcher,
        kept: KeptParts,
        conversations: Conversations,
        limiter: Limiter,
    ) -> None:
        self._current = current
        self._planner = planner
        self._ledger = ledger
        self._funding = funding
        self._settlement = settlement
        self._dispatcher = dispatcher
        self._kept = kept
        self._conversations = conversations
        self._limiter = limiter
        self._replays = Replays()

    async def run(self, call: Call, client: Client) -> None:
        """Answer one call. Every way out leaves one settled record."""
        codec = CODECS[call.surface] if call.passed is None else PassCodec(call.passed)
        asked: Asked | None = None
        plan: Plan | None = None
        flight: Flight | None = None
        admitted: Admitted | None = None
        try:
            asked = self._planner.read(call, codec)
            plan = self._funding.cheaper(self._planner.plan(asked, self._state()))
            replayed = self._replays.check(_question(plan), plan.call.at_us)
            if not self._limiter.limits_nothing:
                admitted = self._admit(plan)
            flight = await self._dispatcher.launch(plan, self._elapsed_us(call))
            entry = self._ledger.begin(self._record(plan, flight, replayed))
            self._settlement.pin(plan, flight.hold.price_id)
        except TidegateError as error:
            self._let_go(flight, admitted)
            self._refused(call, asked, error)
            text = self._dispatcher.text_for(plan) if isinstance(error, NoneLeft) and plan else None
            if plan is not None and text is not None:
                await client.reply(200, *text_reply(plan, text))
            else:
                await send_refusal(client, codec, error, call.id)
            return
        except BaseException:
            self._let_go(flight, admitted)
            raise
        journey = Journey(
            plan, entry, client, self._ledger, self._kept, self._conversations, flight, admitted
        )
        try:
            with self._settlement.closes(journey):
                await self._carry(journey)
        except asyncio.CancelledError:
            if not client.gone:
                raise
        finally:
            is_polled = plan.is_free and call.passed is not None  # asking again is fair
            failed = journey.outcome in ("failed", "truncated") and not is_polled
            self._replays.ended(_question(plan), plan.call.at_us, failed=failed)

    async def _carry(self, journey: Journey) -> None:
        """Call the provider once the begin is written, and stop at once when the client leaves."""
        task = asyncio.current_task()
        assert task is not None
        journey.client.on_gone(lambda: _left(journey, task))
        try:
            await journey.entry.written()
            await self._dispatcher.dispatch(journey)
        except TidegateError as error:
            if journey.http is not None:
                raise  # the reply has begun: all that is left is a visible cut
            journey.outcome, journey.error_code, journey.http = "failed", error.code, error.status
            plan = journey.plan
            journey.bytes_out = await send_refusal(journey.client, plan.codec, error, plan.call.id)

    def _state(self) -> State:
        if self._current.state is None:
            raise Unavailable("Tidegate has no configuration yet; try again.", retry_after_s=1)
        return self._current.state

    def _admit(self, plan: Plan) -> Admitted | None:
        """Let the call in by the limits of all its scopes, or of none."""
        call, first = plan.call, plan.outbounds[0]
        return self._limiter.enter(
            call.key,
            plan.asked.who,
            call.surface,
            model=first.asked_model,
            provider=first.provider.name,
            tokens=plan.raw_tokens + plan.earlier_tokens + plan.max_output_total,
        )

    def _let_go(self, flight: Flight | None, admitted: Admitted | None) -> None:
        """Give back what a call took that never began."""
        if flight is not None:
            self._dispatcher.abandon(flight)
        if admitted is not None:
            admitted.leave()

    def _record(self, plan: Plan, flight: Flight, replayed: tuple[Decision, ...]) -> Begin:
        facts, call = plan.facts, plan.call
        return Begin(
            seq=self._ledger.next_seq(),
            at=call.at_us,
            id=call.id,
            snapshot=plan.state.version,
            surface=call.surface,
            who=plan.asked.who,
            model_asked=facts.model,
            target=flight.outbound.target,
            hold=flight.hold,
            measured=plan.measured,
            stream=facts.stream,
            max_output=facts.max_output,
            limit_sent=flight.funded.limit if facts.max_output is None else facts.max_output,
            limit_source=flight.funded.source,
            service_tier=facts.service_tier,
            decisions=plan.decisions + replayed,
        )

    def _refused(self, call: Call, asked: Asked | None, error: TidegateError) -> None:
        self._ledger.refuse(
            error,
            request_id=call.id,
            surface=call.surface,
            who=asked.who if asked else who_of(call.key),
            model_asked=asked.facts.model if asked else "",
            body_bytes=len(call.body),
            duration_us=self._elapsed_us(call),
        )

    def _elapsed_us(self, call: Call) -> int:
        return int((self._ledger.clock.mono_s() - call.started_s) * 1_000_000)


def _question(plan: Plan) -> Question:
    """What makes two calls the same question."""
    return plan.call.key.id, plan.asked.who.session, plan.measured.exact


def _left(journey: Journey, task: "asyncio.Task[object]") -> None:
    """Stop the provider now that the client has gone; or read on, for the bill (trap M6).

    Where stopping saves nothing, the rest of the reply tells what it cost, which nobody else would.
    """
    if journey.flight.sent != "no" and journey.flight.outbound.drains:
        journey.left = not journey.delivered
        asyncio.get_running_loop().call_later(DRAIN_S, task.cancel)
    else:
        task.cancel()
