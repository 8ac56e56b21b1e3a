"""One call under way: what is known at any moment of its upstream call and of what its client was given."""

from dataclasses import dataclass, field
from typing import Literal

from tidegate.exchange.call import Client
from tidegate.exchange.plan import Plan
from tidegate.model.provider import ErrorClass
from tidegate.model.record import AttemptStatus, Hold, Outcome
from tidegate.model.reply import ReplyFacts
from tidegate.policy.settle import Ended
from tidegate.services.ledger import Entry, Ledger
from tidegate.services.outbound import Outbound


@dataclass(slots=True)
class Flight:
    """One upstream call, filled as it goes on, so that it can be settled wherever it stops.

    `status` None means that nothing has ended it yet. Times are microseconds since the request arrived.
    """

    outbound: Outbound
    hold: Hold
    n: int = 0
    started_us: int = 0
    sent: Literal["no", "maybe", "yes"] = "no"
    status: AttemptStatus | None = None
    http: int | None = None
    error_class: ErrorClass | None = None
    error_code: str = ""
    upstream_id: str = ""
    reply: ReplyFacts = field(default_factory=ReplyFacts)
    first_byte_us: int | None = None
    first_event_us: int | None = None
    edits: tuple[str, ...] = ()

    def ended(self, now_us: int, *, otherwise: AttemptStatus) -> Ended:
        """The facts to settle by; `otherwise` is the status of a call that something else cut short."""
        return Ended(
            status=self.status or otherwise,
            sent=self.sent,
            model_asked=self.outbound.asked_model,
            started_us=self.started_us,
            ended_us=now_us,
            http=self.http,
            error_class=self.error_class,
            error_code=self.error_code,
            reply=self.reply,
            upstream_id=self.upstream_id,
            first_byte_us=self.first_byte_us,
            first_event_us=self.first_event_us,
        )


@dataclass(slots=True)
class Journey:
    """A begun call: its plan, its record, its present upstream call, and what its client was given.

    `outcome` None means that nothing has ended it yet. `delivered`: the client was given a stream's end mark;
    SDKs hang up then, often before the provider's own connection ends, and such a call is not cancelled.
    """

    plan: Plan
    entry: Entry
    client: Client
    ledger: Ledger
    flight: Flight
    outcome: Outcome | None = None
    delivered: bool = False
    http: int | None = None
    error_code: str = ""
    edits: list[str] = field(default_factory=list)
    ttft_us: int | None = None
    bytes_out: int = 0

    def elapsed_us(self) -> int:
        """Microseconds since the request arrived."""
        return int((self.ledger.clock.mono_s() - self.plan.call.started_s) * 1_000_000)

    def fail(self, code: str, *, status: AttemptStatus = "error", outcome: Outcome = "failed") -> None:
        """Note that the upstream call, and with it the request, failed."""
        self.flight.status, self.flight.error_code = status, code[:64]
        self.outcome, self.error_code = outcome, code[:64]

    def succeed(self) -> None:
        """Note that the answer is whole."""
        self.flight.status = self.outcome = "ok"
