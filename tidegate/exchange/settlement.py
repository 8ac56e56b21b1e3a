"""Closing the record of a call, whichever way it ended."""

import asyncio
from types import TracebackType

import msgspec

from tidegate.exchange.funding import Funding
from tidegate.exchange.journey import Journey
from tidegate.exchange.plan import Plan
from tidegate.model.errors import UpstreamTruncated
from tidegate.model.record import AttemptStatus, End, Outcome, Settled
from tidegate.model.usage import Usage
from tidegate.policy.estimate import raw_tokens
from tidegate.policy.settle import Priced, settle
from tidegate.services.ledger import Ledger
from tidegate.services.tokens import Calibrations

MAX_DRIFTS = 1024
MAX_PINNED = 16_384


class Settlement:
    """Prices what a call consumed and learns from what was billed."""

    def __init__(self, calibrations: Calibrations, funding: Funding, ledger: Ledger) -> None:
        self._calibrations = calibrations
        self._funding = funding
        self._ledger = ledger
        self._pinned: set[str] = set()
        self._drifts: set[tuple[str, str]] = set()

    def attempt(self, journey: Journey, *, otherwise: AttemptStatus) -> Settled:
        """Settle the journey's present upstream call, once. Pure arithmetic: never awaits."""
        flight, plan = journey.flight, journey.plan
        if flight.settled is not None:
            return flight.settled
        deployment = flight.outbound.deployment

        def price(usage: Usage, served: str, tier: str) -> Priced:
            return plan.prices.cost(
                deployment, usage, served=served, at_us=plan.call.at_us, tier=tier or plan.facts.service_tier
            )

        ended = flight.ended(journey.elapsed_us(), otherwise=otherwise)
        settled = settle(ended, flight.hold, self._calibrations.of_output(deployment.model), price)
        if settled.usage_source == "provider" and plan.call.passed is None:  # JSON is no text to learn from
            self._learn(journey, settled)
        if "model_drift" in settled.flags:
            self._note_drift(journey, settled)
        self.pin(plan, settled.price_id)
        flight.settled = self._funding.settle(plan, flight.outbound, flight.funded, settled)
        return flight.settled

    def pin(self, plan: Plan, price_id: str) -> None:
        """Record the card that an amount is by, once: of models that no configuration names, nobody else can.

        Without room in the journal the card is missing where it was first used, and the amount stays right.
        """
        if price_id and price_id not in self._pinned and len(self._pinned) < MAX_PINNED:
            card = plan.state.prices.card(price_id)
            if card is not None:
                self._pinned.add(price_id)
                content = msgspec.json.encode(card).decode()
                self._ledger.note("price_pinned", price_id=price_id, content=content)

    def closes(self, journey: Journey) -> "_Closing":
        """A context whose exit closes the journey's record, on every way out."""
        return _Closing(self, journey)

    def _note_drift(self, journey: Journey, settled: Settled) -> None:
        """Say once for each pair that a deployment serves another model than the one asked for (M18)."""
        pair = (journey.flight.outbound.deployment.name, settled.model_served)
        if pair not in self._drifts and len(self._drifts) < MAX_DRIFTS:
            self._drifts.add(pair)
            asked = journey.flight.outbound.asked_model
            journey.entry.note("model_drift", deployment=pair[0], asked=asked, served=pair[1])

    def _learn(self, journey: Journey, settled: Settled) -> None:
        model, reply = journey.flight.outbound.deployment.model, journey.flight.reply
        billed_input, billed_output = settled.usage.input_total, settled.usage.output_text
        plan = journey.plan
        if billed_input is not None and not (plan.facts.image_count or plan.earlier_tokens):
            self._calibrations.learn_input(model, plan.raw_tokens, billed_input)
        if billed_output is not None:
            generated = raw_tokens(reply.ascii_bytes, reply.text_bytes - reply.ascii_bytes)
            self._calibrations.learn_output(model, generated, billed_output)


class _Closing:
    """Settles on exit. A plain class: an exit here can not be cut short by a second cancel (trap S14)."""

    __slots__ = ("_journey", "_settlement")

    def __init__(self, settlement: Settlement, journey: Journey) -> None:
        self._settlement = settlement
        self._journey = journey

    def __enter__(self) -> Journey:
        return self._journey

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        journey = self._journey
        outcome, otherwise = _how(journey, error)
        if error is not None and not isinstance(error, asyncio.CancelledError):
            journey.error_code = journey.error_code or "internal_error"
        settled = self._settlement.attempt(journey, otherwise=otherwise)
        journey.flight.leave(int(journey.ledger.clock.mono_s() * 1_000_000))
        if journey.admitted is not None:
            journey.admitted.settle(settled)
        flight, edits = journey.flight, journey.edits
        journey.entry.close(
            End(
                seq=journey.ledger.next_seq(),
                at=journey.ledger.clock.wall_us(),
                id=journey.entry.id,
                outcome=outcome,
                last=settled,
                n=flight.n,
                http=journey.http,
                error_code=journey.error_code,
                edits=(*flight.edits, *dict.fromkeys(edits)) if edits else flight.edits,
                ttft_us=journey.ttft_us,
                duration_us=max(settled.ended_us, journey.elapsed_us()),
                bytes_out=journey.bytes_out,
                decisions=tuple(journey.decisions),
            )
        )


def _how(journey: Journey, error: BaseException | None) -> tuple[Outcome, AttemptStatus]:
    """How a call ended: for its client, and for its upstream call where nothing ended that before."""
    if error is None:
        return "cancelled" if journey.left else journey.outcome or "failed", "error"
    if isinstance(error, UpstreamTruncated):
        return "truncated", "truncated"
    if isinstance(error, asyncio.CancelledError):
        if journey.delivered and journey.outcome is not None:
            return journey.outcome, "error"
        return ("cancelled", "cancelled") if journey.client.gone else ("interrupted", "interrupted")
    return "failed", "error"
