"""Upstream calls: one after another while nothing can have reached a provider, each settled in the record."""

from tidegate.exchange.deliver import deliver
from tidegate.exchange.forward import request_body, request_headers, request_url
from tidegate.exchange.journey import Flight, Journey
from tidegate.exchange.plan import Planner
from tidegate.exchange.settlement import Settlement
from tidegate.model.errors import TidegateError, UpstreamError, UpstreamTimeout, UpstreamUnreachable
from tidegate.model.record import AttemptStatus
from tidegate.providers.transport import PhaseLimits, ReplyTooLargeError, Transport, TransportError
from tidegate.services.outbound import Outbound
from tidegate.services.state import Current

DOWN_US = 5_000_000
"""How long a deployment that could not be reached is passed over where another can take its place."""


class Dispatcher:
    """Makes the upstream calls of journeys."""

    def __init__(
        self,
        *,
        transport: Transport,
        limits: PhaseLimits,
        planner: Planner,
        settlement: Settlement,
        current: Current,
        keep_alive_s: float,
    ) -> None:
        self._transport = transport
        self._limits = limits
        self._planner = planner
        self._settlement = settlement
        self._current = current
        self._keep_alive_s = keep_alive_s

    async def dispatch(self, journey: Journey) -> None:
        """Call the planned deployments in order until one is reached, and hand its reply on.

        Raises the TidegateError that the client must still be told.
        """
        following = iter(journey.plan.outbounds[1:])
        while True:
            error = await self._fly(journey)
            if error is None:
                return
            if journey.flight.sent == "no":
                name = journey.flight.outbound.deployment.name
                self._current.health.mark_down(name, journey.ledger.clock.wall_us() + DOWN_US)
                if (outbound := next(following, None)) is not None:
                    await self._again(journey, outbound, error)
                    continue
            await journey.entry.synced()
            raise error

    async def _fly(self, journey: Journey) -> TidegateError | None:
        """Make one upstream call; give the error of one that the client has been told nothing of."""
        plan, flight = journey.plan, journey.flight
        outbound = flight.outbound
        flight.started_us = journey.elapsed_us()
        body, flight.edits = request_body(plan, outbound)
        call = self._transport.post(
            request_url(plan, outbound),
            headers=request_headers(plan, outbound),
            body=body,
            limits=self._limits,
        )
        flight.sent = "maybe"
        try:
            async with call as reply:
                flight.sent = "yes"
                flight.first_byte_us = journey.elapsed_us()
                await deliver(journey, reply, keep_alive_s=self._keep_alive_s)
        except TransportError as failure:
            if journey.http is not None:
                raise
            if flight.sent != "yes":
                flight.sent = failure.sent
            error, flight.status = _worded(failure, outbound)
            flight.error_code = error.code
            return error
        return None

    async def _again(self, journey: Journey, outbound: Outbound, error: TidegateError) -> None:
        """Settle the call that reached nobody, and begin the next."""
        hold = self._planner.hold(journey.plan, outbound)
        previous = self._settlement.attempt(journey, otherwise="unreachable")
        n = journey.flight.n + 1
        journey.entry.attempt(n, previous, outbound.target, hold, error.code)
        journey.flight = Flight(outbound, hold, n=n)
        await journey.entry.written()


def _worded(failure: TransportError, outbound: Outbound) -> tuple[TidegateError, AttemptStatus]:
    """A transport's failure as the client's error and the record's status."""
    name = outbound.provider.name
    if isinstance(failure, ReplyTooLargeError):
        return UpstreamError(f"The answer of {name} passes {failure.limit_bytes} bytes."), "error"
    if failure.phase in ("connect", "tls"):
        return UpstreamUnreachable(f"{name} could not be reached; nothing was sent."), "unreachable"
    if failure.phase in ("first_byte", "idle", "total"):
        return UpstreamTimeout(f"{name} did not answer in time."), "timeout"
    return UpstreamUnreachable(f"The connection to {name} was lost before it answered."), "unreachable"
