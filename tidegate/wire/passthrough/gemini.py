"""Gemini's usage as disjoint buckets.

`promptTokenCount` includes cached tokens, `candidatesTokenCount` leaves out `thoughtsTokenCount` (trap M16),
and `toolUsePromptTokenCount` is input beside the prompt: `totalTokenCount` is the sum of the other three and
the prompt. Source: ai.google.dev/api/generate-content, UsageMetadata, as recorded up to 2026-08.
"""

from collections.abc import Iterable

import msgspec

from tidegate.model.usage import Usage, UsageReport
from tidegate.wire.openai_counts import MAX_COUNT

RULE = "gemini"
PICTURES = "image-output"
"""Anomaly: pictures are among the output. No bucket carries their price, so the whole output is unknown."""


_NAMES: dict[str | int, str] = {1: "TEXT", 2: "IMAGE", 3: "VIDEO", 4: "AUDIO", 5: "DOCUMENT"}
"""Vertex writes a modality as its number in streams without SSE."""


class _Modality(msgspec.Struct, gc=False):
    modality: str | int = ""
    tokenCount: int = 0  # noqa: N815 - the provider's name


class _Wire(msgspec.Struct, gc=False, rename="camel"):
    prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    total_token_count: int | None = None
    prompt_tokens_details: list[_Modality] | None = None
    cache_tokens_details: list[_Modality] | None = None
    candidates_tokens_details: list[_Modality] | None = None


_decode = msgspec.json.Decoder(_Wire).decode


def read_usage(raw: bytes) -> UsageReport | None:
    """Return the report of one `usageMetadata`; None where it counts nothing.

    A count that cannot be one is unknown and named (case F9).
    """
    try:
        wire = _decode(raw)
    except (ValueError, RecursionError):
        return UsageReport(usage=Usage(), rule=RULE, anomalies=("unreadable",))
    if wire.prompt_token_count is None and wire.total_token_count is None:
        return None
    notes: list[str] = []
    prompt, tools = _count(wire.prompt_token_count, notes), _count(wire.tool_use_prompt_token_count, notes)
    cached, thoughts = (
        _count(wire.cached_content_token_count, notes),
        _count(wire.thoughts_token_count, notes),
    )
    total, said = _count(wire.total_token_count, notes), _count(wire.candidates_token_count, notes)
    before = (prompt or 0) + (tools or 0) + (thoughts or 0)
    if said is None and total is not None and prompt is not None:
        said = max(0, total - before)
    elif prompt is None and total is not None and said is not None:  # seen in streams of 3.1-flash-lite
        prompt = max(0, total - before - said)
        before += prompt
    if total is not None and total != before + (said or 0):
        notes.append("total-mismatch")
    audio = _of("AUDIO", wire.prompt_tokens_details) - _of("AUDIO", wire.cache_tokens_details)
    stated_input = None if prompt is None else prompt + (tools or 0)
    text, spoken = _output(said, wire.candidates_tokens_details, notes)
    return UsageReport(
        usage=Usage(
            input_uncached=_rest(stated_input, (cached, audio), notes),
            cache_read=cached,
            input_audio=max(0, audio) or None,
            output_text=text,
            reasoning=None if PICTURES in notes else thoughts,
            output_audio=spoken,
        ),
        rule=RULE,
        stated_input=stated_input,
        stated_output=None if said is None or text is None else said + (thoughts or 0),
        anomalies=tuple(dict.fromkeys(notes)),
    )


def _output(
    said: int | None, details: list[_Modality] | None, notes: list[str]
) -> tuple[int | None, int | None]:
    """Return the tokens of text and of sound; the text is unknown where pictures are among them."""
    if said is None:
        return None, None
    if _of("IMAGE", details) or _of("VIDEO", details):
        notes.append(PICTURES)
        return None, None
    spoken = min(said, _of("AUDIO", details))
    return said - spoken, spoken or None


def _rest(total: int | None, parts: Iterable[int | None], notes: list[str]) -> int | None:
    """Return what of a total no other bucket took."""
    if total is None:
        return None
    left = total - sum(max(0, part or 0) for part in parts)
    if left < 0:
        notes.append("overlap")
    return max(0, left)


def _of(modality: str, details: list[_Modality] | None) -> int:
    return sum(
        one.tokenCount for one in details or () if modality in (one.modality, _NAMES.get(one.modality))
    )


def _count(count: int | None, notes: list[str]) -> int | None:
    if count is None or 0 <= count <= MAX_COUNT:
        return count
    notes.append("negative" if count < 0 else "absurd")
    return None
