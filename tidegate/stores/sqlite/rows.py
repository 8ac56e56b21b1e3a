"""Records of a journal as rows: which columns each fills, in the order of its table.

A row of `request` or `attempt` is made of two halves that arrive apart. A half is a tuple in the order of
its columns below; the first value of each half is never None, which is how a missing half is known.
"""

from typing import Final

import msgspec

from tidegate.model.provider import Target
from tidegate.model.record import Attempt, Begin, End, Hold, Measured, Refused, Settled, Who
from tidegate.policy.budget_windows import counts_until_us
from tidegate.stores.sqlite.store import Row, Value

Half = tuple[Value, ...]

MOST_TOKENS: Final = 10**12
MOST_NANO: Final = 10**17
"""Above these no count is believed: it is stored as unknown, with the flag `out_of_range`."""
MOST_CHARGED: Final = 4 * 10**18
"""What is charged to a budget is never unknown: beyond this it is as good as all there is."""

WHO = (
    *("at_us", "boot", "segment", "byte_offset", "seq", "tenant", "key_id", "project", "team"),
    *("feature", "feature_source", "customer", "end_user", "session", "run", "step", "prompt"),
    *("environment", "tags", "surface", "model_asked", "body_bytes", "begin_decisions"),
)
BEGIN = (
    *WHO,
    *("snapshot", "stream", "max_output", "limit_sent", "limit_source", "tier_asked"),
    *("system_bytes", "system_tokens", "tools_bytes", "tools_tokens", "history_bytes", "history_tokens"),
    *("tool_results_bytes", "tool_results_tokens", "last_user_bytes", "last_user_tokens"),
    *("messages", "tool_count", "images", "fingerprint", "exact", "prefixes"),
)
END = (
    *("outcome", "end_seq", "end_at_us", "http", "error_code", "last_attempt", "edits", "ttft_us"),
    *("duration_us", "bytes_out", "end_decisions"),
)
START = (
    *("provider", "deployment", "model", "region", "at_us", "reason", "hold_input_tokens"),
    *("hold_output_tokens", "hold_nano", "hold_input_nano", "hold_currency", "hold_price_id"),
    *("hold_calibration", "hold_shares"),
)
SETTLED = (
    *("status", "sent", "http", "error_class", "error_code", "input_uncached", "cache_read"),
    *("cache_write_5m", "cache_write_1h", "input_audio", "input_image", "output_text", "reasoning"),
    *("output_audio", "searches", "stated_input", "stated_output", "cost_nano", "stated_cost_nano"),
    *("currency", "cost_source", "price_id", "fx_id", "usage_source", "usage_rule", "calibration"),
    *("model_served", "service_tier", "upstream_id", "finish", "tool_calls", "output_bytes"),
    *("started_us", "first_byte_us", "first_event_us", "ended_us", "flags"),
)
Place = tuple[str, int, int]
"""Boot, segment and byte offset of a frame."""

_encode = msgspec.json.Encoder().encode


def begin_half(record: Begin, place: Place) -> Half:
    """Return the columns BEGIN of `request`."""
    measured = record.measured
    return (
        *_who(record.who, record, place, measured.body_bytes),
        record.snapshot,
        int(record.stream),
        record.max_output,
        record.limit_sent,
        record.limit_source,
        record.service_tier or None,
        *_parts(measured),
        measured.messages,
        measured.tool_count,
        measured.images,
        measured.fingerprint or None,
        measured.exact or None,
        json_text(measured.prefixes),
    )


def refused_half(record: Refused, place: Place) -> Half:
    """Return the columns BEGIN of a call that never began: what was not measured is unknown."""
    known = _who(record.who, record, place, record.body_bytes)
    return (*known, *(None,) * (len(BEGIN) - len(WHO)))


def end_half(record: End) -> Half:
    """Return the columns END of `request`."""
    return (
        record.outcome,
        record.seq,
        record.at,
        record.http,
        record.error_code or None,
        record.n,
        json_text(record.edits),
        record.ttft_us,
        record.duration_us,
        record.bytes_out,
        json_text(record.decisions),
    )


def refused_end_half(record: Refused) -> Half:
    """Return the columns END of a call that reached no provider."""
    return (
        *("refused", record.seq, record.at, record.http, record.code),
        *(None, None, None, record.duration_us, None, None),
    )


def start_half(record: Begin | Attempt) -> Half:
    """Return the columns START of `attempt`."""
    target: Target = record.target
    hold: Hold = record.hold
    return (
        target.provider,
        target.deployment,
        target.model,
        target.region or None,
        record.at,
        record.reason or None if isinstance(record, Attempt) else None,
        hold.input_tokens,
        hold.output_tokens,
        hold.amount_nano,
        hold.input_nano,
        hold.currency,
        hold.price_id or None,
        hold.calibration or None,
        json_text(hold.shares),
    )


def settled_half(settled: Settled) -> Half:
    """Return the columns SETTLED of `attempt`; counts beyond belief become unknown."""
    usage = settled.usage
    tokens: tuple[int | None, ...] = (
        *(usage.input_uncached, usage.cache_read, usage.cache_write_5m, usage.cache_write_1h),
        *(usage.input_audio, usage.input_image, usage.output_text, usage.reasoning),
        *(usage.output_audio, usage.searches, settled.stated_input, settled.stated_output),
    )
    amounts: tuple[int | None, ...] = (settled.cost_nano, settled.stated_cost_nano)
    flags = settled.flags
    if not (_believable(tokens, MOST_TOKENS) and _believable(amounts, MOST_NANO)):
        tokens = tuple(_bounded(count, MOST_TOKENS) for count in tokens)
        amounts = tuple(_bounded(amount, MOST_NANO) for amount in amounts)
        flags = (*flags, "out_of_range")
    return (
        settled.status,
        settled.sent,
        settled.http,
        settled.error_class,
        settled.error_code or None,
        *tokens,
        *amounts,
        settled.currency,
        settled.cost_source,
        settled.price_id or None,
        settled.fx_id or None,
        settled.usage_source,
        settled.usage_rule or None,
        settled.calibration or None,
        settled.model_served or None,
        settled.service_tier or None,
        settled.upstream_id or None,
        settled.finish or None,
        settled.tool_calls,
        settled.output_bytes,
        settled.started_us,
        settled.first_byte_us,
        settled.first_event_us,
        settled.ended_us,
        json_text(flags),
    )


def charges(request_id: str, n: int, settled: Settled) -> list[Row]:
    """Return the rows of `budget_charge` of an attempt that is over."""
    return [
        (
            *(request_id, n, share.account, share.window_us, min(share.amount, MOST_CHARGED)),
            counts_until_us(share.account, share.window_us),
        )
        for share in settled.charges
    ]


def _who(who: Who | None, record: Begin | Refused, place: Place, body_bytes: int) -> Half:
    head = (record.at, *place, record.seq)
    tail = (record.surface, record.model_asked or None, body_bytes, json_text(record.decisions))
    if who is None:
        return (*head, *(None,) * (len(WHO) - len(head) - len(tail)), *tail)
    return (
        *head,
        who.tenant,
        who.key,
        who.project or None,
        who.team or None,
        who.feature or None,
        who.feature_source,
        who.customer or None,
        who.user or None,
        who.session or None,
        who.run or None,
        who.step or None,
        who.prompt or None,
        who.environment or None,
        json_text(who.tags),
        *tail,
    )


def _parts(measured: Measured) -> Half:
    return (
        *measured.system,
        *measured.tools,
        *measured.history,
        *measured.tool_results,
        *measured.last_user,
    )


def json_text(value: object) -> str | None:
    """Return a container as JSON text; None when it is empty."""
    return _encode(value).decode() if value else None


def _believable(counts: tuple[int | None, ...], most: int) -> bool:
    return max(map(abs, filter(None, counts)), default=0) <= most


def _bounded(count: int | None, most: int) -> int | None:
    return count if count is None or -most <= count <= most else None
