"""OpenAI's usage of completions and embeddings: `GET /v1/organization/usage/completions` and `/embeddings`.

Source: the types of the `openai` package 3.54 (`types/admin/organization/usage_completions_response.py`),
made from OpenAI's own description of its API. `input_tokens` holds cached and cache-write tokens, audio and
images; `input_audio_tokens` is uncached audio; `output_tokens` holds audio and reasoning.
"""

from typing import Annotated

import msgspec

from tidegate.control.exports.export import MOST_TOKENS, Export, Kind, Line, Name
from tidegate.control.exports.pages import Repeats, Saved

_Count = Annotated[int, msgspec.Meta(ge=0, le=MOST_TOKENS)]
Time = Annotated[int, msgspec.Meta(ge=0, le=10**11)]
"""Seconds since the epoch."""
SECOND_US = 1_000_000

_SURFACES = {
    "organization.usage.completions.result": frozenset({"chat", "completions", "responses", "messages"}),
    "organization.usage.embeddings.result": frozenset({"embeddings"}),
}
OBJECTS = tuple(_SURFACES)
_TOLD: tuple[Kind, ...] = ("input", "input_audio", "cache_read", "cache_write_5m", "output", "output_audio")
TOLD: frozenset[Kind] = frozenset(_TOLD)
COMPLETIONS = _SURFACES[OBJECTS[0]]


class Used(msgspec.Struct, frozen=True):
    """What was used of one model, project or key in a bucket."""

    input_tokens: _Count
    num_model_requests: _Count
    object: str
    output_tokens: _Count = 0
    input_cached_tokens: _Count | None = None
    input_cache_write_tokens: _Count | None = None
    input_audio_tokens: _Count | None = None
    output_audio_tokens: _Count | None = None
    model: Name | None = None
    api_key_id: Name | None = None
    project_id: Name | None = None


class _Bucket(msgspec.Struct, frozen=True):
    start_time: Time
    end_time: Time
    results: list[Used]


class _Page(msgspec.Struct, frozen=True):
    data: list[_Bucket]
    has_more: bool = False


def read(saved: Saved, repeats: Repeats) -> Export:
    """Return one page. Raises BadRequest with the path of what is wrong."""
    page = saved.decoded(_Page)
    lines, spans, objects = [], [], set()
    for at, bucket in enumerate(page.data):
        span = (bucket.start_time * SECOND_US, bucket.end_time * SECOND_US)
        spans.append(span)
        repeats.check(saved.place, at, *span, bucket.results)
        for n, result in enumerate(bucket.results):
            path = f"$.data[{at}].results[{n}]"
            if result.object not in _SURFACES:
                known = " and ".join(OBJECTS)
                raise saved.place.error(
                    f"{result.object[:80]!r} is not read here, only {known}", f"{path}.object"
                )
            objects.add(result.object)
            try:
                lines.append(line(span, result))
            except ValueError as error:
                raise saved.place.error(str(error), path) from None
    surfaces = frozenset(surface for name in objects for surface in _SURFACES[name])
    return Export(
        lines=tuple(lines),
        spans=tuple(spans),
        kinds=TOLD,
        surfaces=surfaces or COMPLETIONS,
        more=page.has_more,
    )


def line(span: tuple[int, int], used: Used) -> Line:
    """Return the line, its tokens disjoint. Raises ValueError where parts are more than their whole."""
    cached, written = used.input_cached_tokens or 0, used.input_cache_write_tokens or 0
    heard, spoken = used.input_audio_tokens or 0, used.output_audio_tokens or 0
    tokens: dict[Kind, int] = {
        "input": used.input_tokens - cached - written - heard,
        "input_audio": heard,
        "cache_read": cached,
        "cache_write_5m": written,
        "output": used.output_tokens - spoken,
        "output_audio": spoken,
    }
    for side in ("input", "output"):
        if tokens[side] < 0:
            raise ValueError(f"{side}_tokens is less than the tokens that it holds (cached, written, audio)")
    return Line(
        since_us=span[0],
        until_us=span[1],
        model=used.model or "",
        ids=tuple(one for one in (used.api_key_id, used.project_id) if one),
        calls=used.num_model_requests,
        tokens=tokens,
    )
