"""Anthropic's usage of messages: `GET /v1/organizations/usage_report/messages`.

Source: Anthropic's reference of the Admin API, "Get Messages Usage Report" (platform.claude.com/docs, read in
November 2026). Buckets of tokens are disjoint, as ours are. It does not count calls.
"""

from datetime import datetime
from typing import Annotated

import msgspec

from tidegate.control.exports.export import MOST_TOKENS, Export, Kind, Line, Name
from tidegate.control.exports.pages import Repeats, Saved, moment_us

_Count = Annotated[int, msgspec.Meta(ge=0, le=MOST_TOKENS)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""RFC 3339, with its time zone."""

_TOLD: tuple[Kind, ...] = ("input", "cache_read", "cache_write_5m", "cache_write_1h", "output")
TOLD: frozenset[Kind] = frozenset(_TOLD)
SURFACES = frozenset({"messages", "chat", "responses", "completions"})


class _Written(msgspec.Struct, frozen=True):
    ephemeral_1h_input_tokens: _Count = 0
    ephemeral_5m_input_tokens: _Count = 0


class _Result(msgspec.Struct, frozen=True):
    uncached_input_tokens: _Count
    output_tokens: _Count
    cache_read_input_tokens: _Count = 0
    cache_creation: _Written = _Written()
    model: Name | None = None
    api_key_id: Name | None = None
    workspace_id: Name | None = None


class _Bucket(msgspec.Struct, frozen=True):
    starting_at: Moment
    ending_at: Moment
    results: list[_Result]


class _Page(msgspec.Struct, frozen=True):
    data: list[_Bucket]
    has_more: bool = False


def read(saved: Saved, repeats: Repeats) -> Export:
    """Return one page. Raises BadRequest with the path of what is wrong."""
    page = saved.decoded(_Page)
    lines, spans = [], []
    for at, bucket in enumerate(page.data):
        span = (moment_us(bucket.starting_at), moment_us(bucket.ending_at))
        spans.append(span)
        repeats.check(saved.place, at, *span, bucket.results)
        lines += [_line(span, result) for result in bucket.results]
    return Export(lines=tuple(lines), spans=tuple(spans), kinds=TOLD, surfaces=SURFACES, more=page.has_more)


def _line(span: tuple[int, int], result: _Result) -> Line:
    return Line(
        since_us=span[0],
        until_us=span[1],
        model=result.model or "",
        ids=tuple(one for one in (result.api_key_id, result.workspace_id) if one),
        tokens={
            "input": result.uncached_input_tokens,
            "cache_read": result.cache_read_input_tokens,
            "cache_write_5m": result.cache_creation.ephemeral_5m_input_tokens,
            "cache_write_1h": result.cache_creation.ephemeral_1h_input_tokens,
            "output": result.output_tokens,
        },
    )
