"""What a call came to whose process ended first: maybe billed, so estimated from what was held (trap M8)."""

from collections.abc import Callable
from fractions import Fraction
from itertools import count
from typing import Protocol

from tidegate.model.record import Attempt, Begin, End, Hold, Progress, Settled, encode
from tidegate.model.usage import Usage


class OpenCall(Protocol):
    """A `Begin` without `End`, with the last `Attempt` and the last `Progress` found after it."""

    @property
    def begin(self) -> Begin: ...  # noqa: D102

    @property
    def attempt(self) -> Attempt | None: ...  # noqa: D102

    @property
    def progress(self) -> Progress | None: ...  # noqa: D102


def closing(at: int) -> Callable[[OpenCall], bytes]:
    """Return what sealing asks for: the encoded `End` of each open call, all at the time `at`.

    They are numbered from `at` on: microseconds since the epoch are above any count of records in a journal.
    """
    numbers = count(at)
    return lambda call: encode(close_interrupted(call, at=at, seq=next(numbers)))


def close_interrupted(call: OpenCall, *, at: int, seq: int) -> End:
    """Return the `End` that closes `call`; `at` (microseconds) and `seq` are those of the new record.

    The cost is the held input and, for output, the part that the last progress mark proves. Durations
    end at the last thing that was recorded: when the process ended is not known.
    """
    last, n = call.attempt or call.begin, call.attempt.n if call.attempt else 0
    seen = call.progress if call.progress and call.progress.n == n else None
    output_tokens = seen.output_tokens if seen else None
    cost_nano = interrupted_cost(last.hold, output_tokens)
    flags = ["estimated", "maybe_billed"]
    if seen is None:
        flags.append("send_unknown")
    if cost_nano is None:
        flags.append("unpriced")
    known_until = max(0, (seen or last).at - call.begin.at)
    settled = Settled(
        status="interrupted",
        sent="yes" if seen else "maybe",
        usage=Usage(input_uncached=last.hold.input_tokens, output_text=output_tokens),
        usage_source="estimated",
        usage_rule="hold",
        calibration=last.hold.calibration,
        cost_nano=cost_nano,
        currency=last.hold.currency,
        cost_source="unpriced" if cost_nano is None else "estimated",
        price_id=last.hold.price_id,
        charges=last.hold.shares,
        output_bytes=seen.output_bytes if seen else 0,
        started_us=max(0, last.at - call.begin.at),
        ended_us=known_until,
        flags=tuple(flags),
    )
    return End(
        seq=seq,
        at=at,
        id=call.begin.id,
        n=n,
        outcome="interrupted",
        last=settled,
        duration_us=known_until,
    )


def interrupted_cost(hold: Hold, output_tokens: int | None) -> int | None:
    """Return nano-units: input as held plus the proven share of the output, half-even; None if unpriced.

    Where the hold does not tell input from output, all of it counts: an estimate errs to the dear side.
    """
    if hold.amount_nano is None:
        return None
    if hold.input_nano is None:
        return hold.amount_nano
    if not output_tokens or not hold.output_tokens:
        return hold.input_nano
    share = Fraction(output_tokens, hold.output_tokens)
    return hold.input_nano + round((hold.amount_nano - hold.input_nano) * share)
