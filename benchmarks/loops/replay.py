"""Runs replayed call by call, each request as the gateway reads it: body, facts, prefix hashes, tail."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from benchmarks.loops.recorded import Labelled
from tidegate.model.request import RequestFacts, Surface
from tidegate.policy.fingerprint import prefixes
from tidegate.policy.loop_rules import LoopRules, Trip
from tidegate.policy.loops import judge
from tidegate.services.tails import Tails
from tidegate.wire.body import Body
from tidegate.wire.registry import CODECS

KEY = b"benchmark".ljust(32, b"\0")
Body_ = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """One request of a run: its newest answered call, what tripped, and whether the recording shows it.

    The last result of a run may stand in no request, where the run was over; it is judged as if it were sent.
    """

    call: int
    trips: tuple[Trip, ...]
    is_shown: bool
    facts: RequestFacts


@dataclass(slots=True)
class Outcome:
    """What became of one run; a level that never tripped is None."""

    labelled: Labelled
    notice: Seen | None = None
    enforce: Seen | None = None
    requests: list[RequestFacts] = field(default_factory=list)

    @property
    def stopped_before(self) -> int | None:
        """The request that is refused when enforcing, by its place; None where none is."""
        if self.enforce is None or not self.enforce.is_shown:
            return None
        return next(at for at, facts in enumerate(self.requests) if facts is self.enforce.facts)


def bodies(messages: Sequence[Body_]) -> Iterator[tuple[Body_, bool]]:
    """Yield the chat requests that a run made, one before each answer; the last result is not shown."""
    for at, message in enumerate(messages):
        if message["role"] == "assistant":
            if at:
                yield {"model": "m", "messages": messages[:at]}, True
        elif at + 1 == len(messages):
            yield {"model": "m", "messages": messages}, False


def seen(bodies: Iterator[tuple[Body_, bool]], surface: Surface, rules: LoopRules) -> Iterator[Seen]:
    """Read each request as the gateway does, and judge it."""
    tails = Tails()
    for body, is_shown in bodies:
        facts = CODECS[surface].read_request(Body.parse(msgspec.json.encode(body)))
        tail = tails.of("t", KEY, facts, prefixes(KEY, facts.prompt))
        yield Seen(tail.calls - 1, judge(tail, rules), is_shown, facts)


def replay(labelled: Labelled, rules: LoopRules) -> Outcome:
    """Return what became of a recorded run."""
    outcome = Outcome(labelled)
    for request in seen(bodies(labelled.run.messages), "chat", rules):
        if request.is_shown:
            outcome.requests.append(request.facts)
        if request.trips and outcome.notice is None:
            outcome.notice = request
        if outcome.enforce is None and any(trip.level == "enforce" for trip in request.trips):
            outcome.enforce = request
    return outcome
