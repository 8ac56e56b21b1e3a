"""One call under way: what is known at any moment of its upstream call and of what its client was given."""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from tidegate.exchange.bridge import response_id
from tidegate.exchange.call import Client, Headers
from tidegate.exchange.forward import Prepared
from tidegate.exchange.funding import Funded
from tidegate.exchange.plan import Plan
from tidegate.model.errors import TidegateError
from tidegate.model.message import Message
from tidegate.model.provider import ErrorClass
from tidegate.model.record import AttemptStatus, Decision, Hold, Outcome, Settled
from tidegate.model.reply import ReplyFacts
from tidegate.model.usage import Usage
from tidegate.policy.breaker import verdict_of
from tidegate.policy.budget_words import remaining_header
from tidegate.policy.resilience import Failure, Phase
from tidegate.policy.settle import Ended
from tidegate.services.conversations import Conversations, Remembered
from tidegate.services.fleet import Visit
from tidegate.services.kept import KeptParts
from tidegate.services.ledger import Entry, Ledger
from tidegate.services.limiter import Admitted
from tidegate.services.outbound import Outbound

_NO_HEADERS: Headers = []
_DEGRADED = (b"tidegate-degraded", b"model")


@dataclass(slots=True)
class Flight:
    """One upstream call, filled as it goes on, so that it can be settled wherever it stops.

    `status` None means that nothing has ended it yet. Times are microseconds since the request arrived.
    """

    outbound: Outbound
    funded: Funded
    prepared: Prepared
    visit: Visit
    n: int = 0
    started_us: int = 0
    sent: Literal["no", "maybe", "yes"] = "no"
    status: AttemptStatus | None = None
    http: int | None = None
    error_class: ErrorClass | None = None
    failure: Failure | None = None
    error_code: str = ""
    upstream_id: str = ""
    reply: ReplyFacts = field(default_factory=ReplyFacts)
    first_byte_us: int | None = None
    first_event_us: int | None = None
    edits: tuple[str, ...] = ()
    settled: Settled | None = None

    @property
    def hold(self) -> Hold:
        """What it may cost, as its record says."""
        return self.funded.hold

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

    def leave(self, now_us: int) -> None:
        """Tell what is known of the deployment how the call ended; a repeat says nothing."""
        if self.prepared.bridge.surface == "pass":  # a path of the client's choice says nothing of a model
            self.visit.end("neutral", now_us)
        elif self.failure is not None:
            self.visit.end(verdict_of(self.failure), now_us)
        elif self.status == "ok":
            self.visit.end("ok", now_us)
        else:
            self.visit.end("failed" if self.status in ("error", "truncated") else "neutral", now_us)


class Answer(NamedTuple):
    """A provider's own error, ready for the client."""

    status: int
    headers: Headers
    body: bytes


@dataclass(slots=True)
class Shortfall:
    """What an attempt failed of before its client was given anything.

    `error` is for the client where there is no `answer` of the provider's. `wait_us` is what the provider
    stated. A call that failed without the provider's word failed in `phase`.
    """

    failure: Failure
    error: TidegateError
    answer: Answer | None = None
    wait_us: int | None = None
    phase: Phase = "read"


@dataclass(slots=True)
class Journey:
    """A begun call: its plan, its record, its present upstream call, and what its client was given.

    `outcome` None means that nothing has ended it yet. `delivered`: the client was given a stream's end mark;
    SDKs hang up then, often before the provider's own connection ends, and such a call is not cancelled.
    `left`: the client hung up before, and the reply is read on for its bill.
    """

    plan: Plan
    entry: Entry
    client: Client
    ledger: Ledger
    kept: KeptParts
    conversations: Conversations
    flight: Flight
    admitted: Admitted | None
    outcome: Outcome | None = None
    delivered: bool = False
    left: bool = False
    is_kept: bool = False
    http: int | None = None
    error_code: str = ""
    edits: list[str] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    ttft_us: int | None = None
    bytes_out: int = 0

    @property
    def headers(self) -> Headers:
        """Our own headers of its reply: the limits and the budgets that it was let in by, and how."""
        headers = _NO_HEADERS if self.admitted is None else self.admitted.headers
        taken = self.flight.funded.taken
        if taken.shares:
            held = zip(taken.standings, (share.amount for share in taken.shares), strict=True)
            left = remaining_header(held, now_us=self.ledger.clock.wall_us())
            headers = [*headers, (b"tidegate-budget-remaining", left)]
        return [*headers, _DEGRADED] if self.plan.degraded else headers

    def elapsed_us(self) -> int:
        """Microseconds since the request arrived."""
        return int((self.ledger.clock.mono_s() - self.plan.call.started_s) * 1_000_000)

    def shown(self) -> None:
        """Note the first content, for the client and for what is known of the deployment."""
        flight, now_s = self.flight, self.ledger.clock.mono_s()
        took_us = int((now_s - self.plan.call.started_s) * 1_000_000)
        flight.first_event_us = self.ttft_us = took_us
        flight.visit.first_content(took_us - flight.started_us, int(now_s * 1_000_000))

    def keep(self) -> None:
        """Keep what the client's dialect could not be given (S11), and what it may go on from (K10).

        A client may go on as soon as it was given the end: it is kept before. Repeats do nothing.
        """
        if self.is_kept:
            return
        self.is_kept = True
        plan, bridge = self.plan, self.flight.prepared.bridge
        if parts := bridge.kept():
            self.kept.put(plan.call.key.tenant, parts)
        facts = plan.facts
        if facts.surface == "responses" and facts.keeps_reply and plan.state.keep_responses_s:
            turns = bridge.turns()
            ident = self.flight.reply.id if turns is None else response_id(plan.call.id)
            if ident:
                self.conversations.put(plan.call.key.tenant, ident, self._remembered(turns))

    def _remembered(self, turns: tuple[Message, ...] | None) -> Remembered:
        outbound, report = self.flight.outbound, self.flight.reply.usage
        usage = report.usage if report is not None else Usage()
        return Remembered(
            at_us=self.plan.call.at_us,
            wallet=outbound.place.wallet,
            tokens=(usage.input_total or 0) + (usage.output_total or 0),
            messages=turns,
        )

    def fail(self, code: str, *, status: AttemptStatus = "error", outcome: Outcome = "failed") -> None:
        """Note that the upstream call, and with it the request, failed."""
        self.flight.status, self.flight.error_code = status, code[:64]
        self.outcome, self.error_code = outcome, code[:64]

    def succeed(self) -> None:
        """Note that the answer is whole."""
        self.flight.status = self.outcome = "ok"
