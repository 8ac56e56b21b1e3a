"""The counts in a usage object of OpenAI's dialects, whichever of many names they stand under.

Nearly every usage object holds nothing but counts, and is checked in one step. Any other is read field by
field, and what is odd about it is named.
"""

from collections.abc import Mapping
from typing import Annotated

import msgspec

MAX_COUNT = 1_000_000_000
"""A larger count is a mistake of the provider (case F9)."""

Fields = Mapping[str, object]
_Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_COUNT)]
_NO_FIELDS: Fields = {}


class _CachedDetails(msgspec.Struct, gc=False):
    audio_tokens: int | None = None


class _Details(msgspec.Struct, gc=False):
    """What the input or the output consists of."""

    cached_tokens: _Count | None = None
    cache_read_input_tokens: _Count | None = None
    cache_write_tokens: _Count | None = None
    cache_creation_input_tokens: _Count | None = None
    audio_tokens: _Count | None = None
    image_tokens: _Count | None = None
    reasoning_tokens: _Count | None = None
    cached_tokens_details: _CachedDetails | None = None


class _CacheCreation(msgspec.Struct, gc=False):
    ephemeral_1h_input_tokens: _Count | None = None


class _ToolUse(msgspec.Struct, gc=False):
    web_search_requests: _Count | None = None


class _Stated(msgspec.Struct, gc=False):
    """A usage object whose every field is what it should be, under the names of all dialects."""

    prompt_tokens: _Count | None = None
    input_tokens: _Count | None = None
    completion_tokens: _Count | None = None
    output_tokens: _Count | None = None
    total_tokens: _Count | None = None
    prompt_tokens_details: _Details | None = None
    input_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None
    output_tokens_details: _Details | None = None
    prompt_cache_hit_tokens: _Count | None = None
    cached_tokens: _Count | None = None
    num_cached_tokens: _Count | None = None
    cache_read_input_tokens: _Count | None = None
    cache_creation_input_tokens: _Count | None = None
    cache_creation: _CacheCreation | None = None
    reasoning_tokens: _Count | None = None
    server_tool_use: _ToolUse | None = None
    server_tool_use_details: _ToolUse | None = None
    num_search_queries: _Count | None = None


_NO_DETAILS = _Details()


class Counts(msgspec.Struct, kw_only=True):
    """The counts of one usage object, wherever they stood, and what was odd about each group of them."""

    total: int | None
    prompt: int | None
    completion: int | None
    cached: int | None
    written: int | None
    written_1h: int | None
    input_audio: int | None
    cached_audio: int | None
    input_image: int | None
    reasoning: int | None
    output_audio: int | None
    searches: int | None
    odd_totals: tuple[str, ...] = ()
    odd_input: tuple[str, ...] = ()
    odd_output: tuple[str, ...] = ()
    odd_searches: tuple[str, ...] = ()


def read_counts(fields: Fields) -> Counts:
    """Return the counts of a usage object, each from the first field that says it."""
    try:
        said = msgspec.convert(fields, _Stated)
    except msgspec.ValidationError:
        return read_odd_counts(fields)
    inputs = said.prompt_tokens_details or said.input_tokens_details or _NO_DETAILS
    outputs = said.completion_tokens_details or said.output_tokens_details or _NO_DETAILS
    tools = said.server_tool_use or said.server_tool_use_details
    split, creation = inputs.cached_tokens_details, said.cache_creation
    cached, written = inputs.cached_tokens, inputs.cache_write_tokens
    if cached is None:
        cached = _first(
            inputs.cache_read_input_tokens,
            said.prompt_cache_hit_tokens,
            said.cached_tokens,
            said.num_cached_tokens,
            said.cache_read_input_tokens,
        )
    if written is None:
        written = inputs.cache_creation_input_tokens
    if written is None:
        written = said.cache_creation_input_tokens
    searches = None if tools is None else tools.web_search_requests
    return Counts(
        total=said.total_tokens,
        prompt=said.input_tokens if said.prompt_tokens is None else said.prompt_tokens,
        completion=said.output_tokens if said.completion_tokens is None else said.completion_tokens,
        cached=cached,
        written=written,
        written_1h=None if creation is None else creation.ephemeral_1h_input_tokens,
        input_audio=inputs.audio_tokens,
        cached_audio=None if split is None else split.audio_tokens,
        input_image=inputs.image_tokens,
        reasoning=said.reasoning_tokens if outputs.reasoning_tokens is None else outputs.reasoning_tokens,
        output_audio=outputs.audio_tokens,
        searches=said.num_search_queries if searches is None else searches,
    )


def _first(*counts: int | None) -> int | None:
    for count in counts:
        if count is not None:
            return count
    return None


def read_odd_counts(fields: Fields) -> Counts:
    """Return the same, from fields of any type: what is no count is passed over and named."""
    totals: list[str] = []
    odd_input: list[str] = []
    odd_output: list[str] = []
    odd_searches: list[str] = []
    inputs = _object_in(fields, "prompt_tokens_details", "input_tokens_details")
    outputs = _object_in(fields, "completion_tokens_details", "output_tokens_details")
    tools = _object_in(fields, "server_tool_use", "server_tool_use_details")
    split = _object_in(inputs, "cached_tokens_details").get("audio_tokens")
    return Counts(
        total=_count(totals, (fields, "total_tokens")),
        prompt=_count(totals, (fields, "prompt_tokens", "input_tokens")),
        completion=_count(totals, (fields, "completion_tokens", "output_tokens")),
        cached=_count(
            odd_input,
            (inputs, "cached_tokens", "cache_read_input_tokens"),
            (fields, "prompt_cache_hit_tokens", "cached_tokens"),
            (fields, "num_cached_tokens", "cache_read_input_tokens"),
        ),
        written=_count(
            odd_input,
            (inputs, "cache_write_tokens", "cache_creation_input_tokens"),
            (fields, "cache_creation_input_tokens"),
        ),
        written_1h=_count(odd_input, (_object_in(fields, "cache_creation"), "ephemeral_1h_input_tokens")),
        input_audio=_count(odd_input, (inputs, "audio_tokens")),
        cached_audio=split if isinstance(split, int) else None,
        input_image=_count(odd_input, (inputs, "image_tokens")),
        reasoning=_count(odd_output, (outputs, "reasoning_tokens"), (fields, "reasoning_tokens")),
        output_audio=_count(odd_output, (outputs, "audio_tokens")),
        searches=_count(odd_searches, (tools, "web_search_requests"), (fields, "num_search_queries")),
        odd_totals=tuple(totals),
        odd_input=tuple(odd_input),
        odd_output=tuple(odd_output),
        odd_searches=tuple(odd_searches),
    )


def _object_in(fields: Fields, *names: str) -> Fields:
    """Return the first of `names` that is an object, else an empty one."""
    for name in names:
        value = fields.get(name)
        if isinstance(value, dict):
            return value
    return _NO_FIELDS


def _count(odd: list[str], *places: tuple[Fields, str, *tuple[str, ...]]) -> int | None:
    """Return the first count in `places`, which are objects and names in them."""
    for fields, *names in places:
        for name in names:
            value = fields.get(name)
            if value is None:
                continue
            if isinstance(value, float) and value.is_integer():
                value = int(value)
            if type(value) is not int:
                note(odd, "not-a-count")
            elif value < 0:
                note(odd, "negative")
            elif value > MAX_COUNT:
                note(odd, "absurd")
            else:
                return value
    return None


def note(notes: list[str], *anomalies: str) -> None:
    """Add what is not named yet."""
    for anomaly in anomalies:
        if anomaly not in notes:
            notes.append(anomaly)
