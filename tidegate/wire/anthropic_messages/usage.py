"""Anthropic's usage as disjoint buckets.

`input_tokens` leaves out what was read from or written to the cache. A stream says it twice: `message_start`
at its beginning, `message_delta` cumulatively at its end, where server tools and compaction have changed
every field (trap S3). Source: anthropic-sdk-python 2.12, `types/beta/beta_usage.py`.
"""

from collections.abc import Iterable

import msgspec

from tidegate.model.usage import Usage, UsageReport
from tidegate.wire.fields import MAX_WORD_CHARS
from tidegate.wire.openai_counts import MAX_COUNT

RULE = "anthropic"
RULE_ITERATIONS = "anthropic/iterations"
"""Compaction or an advisor ran inside the call: their tokens are billed beside the top-level ones."""

INSIDE = ("message", "fallback_message")
"""Iterations that the top-level counts include already."""

FREE = UsageReport(
    usage=Usage(input_uncached=0, output_text=0),
    rule="anthropic/count-tokens",
    stated_input=0,
    stated_output=0,
)
"""Counting tokens is not billed (trap K14)."""


class _Split(msgspec.Struct):
    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    thinking_tokens: int | None = None


class _ServerTools(msgspec.Struct):
    web_search_requests: int | None = None


class _Counts(msgspec.Struct):
    """What one sampling consumed; the top level and each iteration look alike."""

    input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: _Split | None = None
    output_tokens: int | None = None


class _Iteration(_Counts):
    type: str = ""


class _Wire(_Counts):
    output_tokens_details: _OutputDetails | None = None
    server_tool_use: _ServerTools | None = None
    iterations: list[_Iteration] | None = None
    service_tier: str | None = None
    speed: str | None = None


_decode = msgspec.json.Decoder(_Wire).decode


class UsageFold:
    """Collects usage as it arrives; the last value of every field wins."""

    __slots__ = ("_final", "_unreadable", "_wire")

    def __init__(self) -> None:
        self._wire = _Wire()
        self._final = False
        self._unreadable = False

    def add(self, raw: bytes, *, final: bool) -> None:
        """Take one usage object. Only a `final` one says what was generated."""
        if not raw or raw == b"null":
            return
        try:
            new = _decode(raw)
        except (ValueError, RecursionError):
            self._unreadable = True
            return
        for name in _Wire.__struct_fields__:
            value = getattr(new, name)
            if value is not None:
                setattr(self._wire, name, value)
        self._final = self._final or (final and new.output_tokens is not None)

    @property
    def tier(self) -> str:
        """The processing that sets the price: `fast`, or the service tier."""
        speed = self._wire.speed
        return (speed if speed and speed != "standard" else self._wire.service_tier or "")[:MAX_WORD_CHARS]

    def report(self) -> UsageReport | None:
        """Return what was said so far; None when nothing was. Before the end the output is not known."""
        wire = self._wire
        if wire.input_tokens is None and wire.output_tokens is None:
            return None
        outside = [entry for entry in wire.iterations or () if entry.type not in INSIDE]
        anomalies = ["unreadable"] if self._unreadable else []
        if any(entry.type == "advisor_message" for entry in outside):
            anomalies.append("other-model")
        samplings = [wire, *outside]
        rows = [_buckets(counts, anomalies) for counts in samplings]
        uncached, read, write_5m, write_1h, output = (_total(column) for column in zip(*rows, strict=True))
        if not self._final:
            output = None
        reasoning = _thinking(wire, output, anomalies)
        return UsageReport(
            usage=Usage(
                input_uncached=uncached,
                cache_read=read,
                cache_write_5m=write_5m,
                cache_write_1h=write_1h,
                output_text=None if output is None else output - (reasoning or 0),
                reasoning=reasoning,
                searches=_searches(wire, anomalies),
            ),
            rule=RULE_ITERATIONS if outside else RULE,
            stated_input=_total([_stated_input(counts) for counts in samplings]),
            stated_output=output,
            anomalies=tuple(dict.fromkeys(anomalies)),
        )


_Row = tuple[int | None, int | None, int | None, int | None, int | None]


def _buckets(counts: _Counts, anomalies: list[str]) -> _Row:
    """Return (uncached, cache read, cache write 5 m, cache write 1 h, output) of one sampling."""
    return (
        _count(counts.input_tokens, anomalies),
        _count(counts.cache_read_input_tokens, anomalies),
        *_writes(counts, anomalies),
        _count(counts.output_tokens, anomalies),
    )


def _writes(counts: _Counts, anomalies: list[str]) -> tuple[int | None, int | None]:
    """Tokens written to the cache, for 5 minutes and for 1 hour.

    The split comes with the start only and the total can grow after it: what the split does not explain
    is billed as a 5-minute write, never at 0 (trap S3).
    """
    total = _count(counts.cache_creation_input_tokens, anomalies)
    split = counts.cache_creation
    if split is None:
        return total, None
    write_5m = _count(split.ephemeral_5m_input_tokens, anomalies) or 0
    write_1h = _count(split.ephemeral_1h_input_tokens, anomalies) or 0
    if total is None or total == write_5m + write_1h:
        return write_5m, write_1h
    anomalies.append("remainder-as-cache-write" if total > write_5m + write_1h else "total-mismatch")
    write_1h = min(write_1h, total)
    return total - write_1h, write_1h


def _thinking(wire: _Wire, output: int | None, anomalies: list[str]) -> int | None:
    """Return the thinking among the output; it is inside it and can never pass it."""
    details = wire.output_tokens_details
    thinking = None if details is None else _count(details.thinking_tokens, anomalies)
    if thinking is None or output is None:
        return None
    if thinking > output:
        anomalies.append("total-mismatch")
    return min(thinking, output)


def _searches(wire: _Wire, anomalies: list[str]) -> int | None:
    tools = wire.server_tool_use
    return None if tools is None else _count(tools.web_search_requests, anomalies)


def _stated_input(counts: _Counts) -> int | None:
    """Return the input as the provider adds it up, before anything is mended."""
    written, split = counts.cache_creation_input_tokens, counts.cache_creation
    if written is None and split is not None:
        parts = (split.ephemeral_5m_input_tokens, split.ephemeral_1h_input_tokens)
        written = _total(_count(count, []) for count in parts)
    said = (counts.input_tokens, counts.cache_read_input_tokens, written)
    return _total(_count(count, []) for count in said)


def _count(count: int | None, anomalies: list[str]) -> int | None:
    """Return a count that can be one; what cannot be is unknown (case F9)."""
    if count is None or 0 <= count <= MAX_COUNT:
        return count
    anomalies.append("negative" if count < 0 else "absurd")
    return None


def _total(counts: Iterable[int | None]) -> int | None:
    said = [count for count in counts if count is not None]
    return sum(said) if said else None
