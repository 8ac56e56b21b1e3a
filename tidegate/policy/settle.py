"""What one upstream call came to: whose word counts for its tokens, and what they cost."""

from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import msgspec

from tidegate.model.provider import ErrorClass
from tidegate.model.record import AttemptStatus, CostSource, Hold, Settled
from tidegate.model.reply import ReplyFacts
from tidegate.model.usage import Usage, UsageReport, UsageSource
from tidegate.policy.estimate import Calibration, corrected, raw_tokens
from tidegate.policy.price import drifts, stated_nano


class Priced(msgspec.Struct, frozen=True):
    """An amount at one price card: nano-units, None where no card is known."""

    amount_nano: int | None
    currency: str = "USD"
    price_id: str = ""
    fx_id: str = ""
    flags: tuple[str, ...] = ()


_UNREAD = frozenset({"negative", "absurd", "not-a-count", "unreadable"})
"""Anomalies of a usage that leave out a count which was meant."""

Pricer = Callable[[Usage, str, str], Priced]
"""The price of a usage for (usage, model served, service tier)."""


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How one upstream call ended. Times are microseconds since the request's begin."""

    status: AttemptStatus
    sent: Literal["no", "maybe", "yes"]
    model_asked: str
    started_us: int
    ended_us: int
    http: int | None = None
    error_class: ErrorClass | None = None
    error_code: str = ""
    reply: ReplyFacts = msgspec.field(default_factory=ReplyFacts)
    upstream_id: str = ""
    first_byte_us: int | None = None
    first_event_us: int | None = None


class _Counted(msgspec.Struct, frozen=True):
    """The usage that will be priced, and on whose word."""

    usage: Usage
    source: UsageSource
    rule: str
    flags: tuple[str, ...] = ()


def settle(ended: Ended, hold: Hold, output: Calibration, price: Pricer) -> Settled:
    """The settlement of one upstream call.

    A call that cannot have reached the provider, or that it refused, cost nothing. A whole answer is billed
    as the provider says; one without usage, or cut short, is estimated and flagged (traps M5, M6, M7).
    """
    reply, report = ended.reply, ended.reply.usage
    counted = _count(ended, hold, output)
    stated = None if report is None or report.stated_cost is None else stated_nano(report.stated_cost)
    flags = list(counted.flags)
    priced, source = _cost(ended, counted, hold, price, stated, flags)
    if reply.model and reply.model != ended.model_asked and drifted(ended.model_asked, reply.model):
        flags.append("model_drift")
    if reply.bad_frames:
        flags.append("bad_frames")
    return Settled(
        status=ended.status,
        sent=ended.sent,
        http=ended.http,
        error_class=ended.error_class,
        error_code=ended.error_code,
        usage=counted.usage,
        usage_source=counted.source,
        usage_rule=counted.rule,
        calibration=f"{hold.calibration};{output.label}" if counted.source in ("estimated", "mixed") else "",
        stated_input=report.stated_input if report else None,
        stated_output=report.stated_output if report else None,
        cost_nano=priced.amount_nano,
        currency=priced.currency,
        cost_source=source,
        price_id=priced.price_id,
        fx_id=priced.fx_id,
        stated_cost_nano=stated,
        model_served=reply.model,
        service_tier=reply.service_tier,
        upstream_id=reply.id or ended.upstream_id,
        finish=reply.finish,
        tool_calls=reply.tool_calls,
        output_bytes=reply.text_bytes,
        started_us=ended.started_us,
        first_byte_us=ended.first_byte_us,
        first_event_us=ended.first_event_us,
        ended_us=ended.ended_us,
        flags=tuple(flags),
    )


def _count(ended: Ended, hold: Hold, output: Calibration) -> _Counted:
    report = ended.reply.usage
    refused = ended.http is not None and ended.http >= 400
    if ended.sent == "no" or (refused and report is None):
        return _Counted(Usage(), "none", "")
    flags = report.anomalies if report else ()
    if ended.status != "ok" and not (report and ended.reply.complete):
        flags = (*flags, "estimated", "maybe_billed")
    if report is None:
        usage = Usage(input_uncached=hold.input_tokens, output_text=_generated(ended.reply, output))
        flags = flags if "estimated" in flags else (*flags, "estimated")
        return _Counted(usage, "estimated", "hold", flags)
    if ended.reply.complete and _says_all(report, ended.reply):
        return _Counted(report.usage, "provider", report.rule, flags)
    flags = flags if "estimated" in flags else (*flags, "estimated")
    return _Counted(_filled(report, ended.reply, hold, output), "mixed", report.rule, flags)


def _says_all(report: UsageReport, reply: ReplyFacts) -> bool:
    """Whether a whole answer's usage has both of its sides (case F9); one without text may have no output."""
    usage = report.usage
    if usage.input_uncached is None and (usage.input_total is None or _misses_input(report)):
        return False
    if usage.output_text is not None or usage.output_total is not None:
        return True
    return not reply.text_bytes and _UNREAD.isdisjoint(report.anomalies)


def _misses_input(report: UsageReport) -> bool:
    """Whether the input that no cache holds was meant to be said, and could not be read."""
    return report.usage.input_uncached is None and not _UNREAD.isdisjoint(report.anomalies)


def _filled(report: UsageReport, reply: ReplyFacts, hold: Hold, output: Calibration) -> Usage:
    """What the provider said so far, and our estimate for what it had not said when the call ended."""
    usage = report.usage
    said = msgspec.structs.asdict(usage)
    if usage.input_total is None or _misses_input(report):
        said["input_uncached"] = max(0, hold.input_tokens - (usage.input_total or 0))
    missing = _generated(reply, output) - (usage.output_total or 0)
    if missing > 0 or usage.output_total is None:
        said["output_text"] = (usage.output_text or 0) + missing
    return Usage(**said)


def _generated(reply: ReplyFacts, output: Calibration) -> int:
    return corrected(raw_tokens(reply.ascii_bytes, reply.text_bytes - reply.ascii_bytes), output)


def _cost(
    ended: Ended, counted: _Counted, hold: Hold, price: Pricer, stated: int | None, flags: list[str]
) -> tuple[Priced, CostSource]:
    """What the usage comes to and by whose word; adds to `flags` what a reader of the amount must know."""
    if counted.source == "none":
        return Priced(0, hold.currency), "none"
    reply = ended.reply
    priced = price(counted.usage, reply.model or ended.model_asked, reply.service_tier)
    for flag in priced.flags:
        if flag not in flags:
            flags.append(flag)
    if stated is not None and reply.complete:
        assert reply.usage is not None
        ours = priced.amount_nano if priced.currency == reply.usage.stated_currency else None
        if ours is not None and drifts(stated, ours):
            flags.append("cost_drift")
        return Priced(stated, reply.usage.stated_currency, priced.price_id, priced.fx_id), "stated"
    if priced.amount_nano is None:
        flags.append("unpriced")
        return priced, "unpriced"
    estimated = counted.source != "provider" or "estimated" in priced.flags
    return priced, "estimated" if estimated else "price"


@lru_cache(maxsize=1024)
def drifted(asked: str, served: str) -> bool:
    """True when a provider served another model than the one asked for (trap M18).

    A dated or prefixed spelling of the same name (`gpt-4o-mini-2024-07-18`, `openai/gpt-4o`) is no drift.
    """
    one, other = asked.lower().rsplit("/", 1)[-1], served.lower().rsplit("/", 1)[-1]
    return not (one.startswith(other) or other.startswith(one))
