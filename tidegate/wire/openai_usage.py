"""Usage as OpenAI's dialects word it, chat and responses alike, in buckets that never overlap.

The input total includes cached and cache-written tokens, audio and images; the output total includes
reasoning and audio (providers.md, section 5). Providers that speak the dialect differ; each difference
below was seen in recorded traffic, and the rule that was applied is named in the report.
"""

from collections.abc import Sequence
from decimal import Context, Decimal, Inexact, InvalidOperation

import msgspec

from tidegate.model.provider import UsageRules
from tidegate.model.usage import Usage, UsageReport
from tidegate.wire.openai_counts import Counts, note, read_counts

MAX_COST_CHARS = 48
MAX_COST = Decimal(1_000_000)
_EXACT = Context(prec=80, traps=[InvalidOperation, Inexact])

_Parts = list[int | None]
"""A total in buckets: first what no other bucket took, then the others in the order of `model.usage`."""

_OUTPUT_TOTALS = frozenset({"completion_tokens", "output_tokens"})
_NOTHING_SAID = Usage()
_decoder = msgspec.json.Decoder()


def read_usage(raw: bytes, rules: UsageRules, *, input_only: bool = False) -> UsageReport | None:
    """Return the report of one usage object; None when it is null or says nothing.

    A count that is negative, absurd or no number is None and named as an anomaly. `input_only` is for
    embeddings, whose total is all input.
    """
    try:
        fields = _decoder.decode(raw)
    except (ValueError, RecursionError):
        return UsageReport(usage=_NOTHING_SAID, rule="openai", anomalies=("unreadable",))
    if not isinstance(fields, dict):
        return None
    if input_only:
        fields = {name: value for name, value in fields.items() if name not in _OUTPUT_TOTALS}
    counts = read_counts(fields)
    notes = list(counts.odd_totals)
    if input_only and counts.prompt is None:
        counts.prompt = counts.total
    elif not input_only and counts.completion is None:
        _complete(counts, notes)
    (uncached, cached, write_5m, write_1h, audio, image), rule = _split_input(counts, notes)
    (text, reasoning, output_audio), suffix = _split_output(counts, rules, notes)
    if counts.odd_searches:
        note(notes, *counts.odd_searches)
    usage = Usage(
        input_uncached=uncached,
        cache_read=cached,
        cache_write_5m=write_5m,
        cache_write_1h=write_1h,
        input_audio=audio,
        input_image=image,
        output_text=text,
        reasoning=reasoning,
        output_audio=output_audio,
        searches=counts.searches,
    )
    cost = _stated_cost(raw, rules, notes) if rules.cost_field else None
    if cost is None and not notes and usage == _NOTHING_SAID:
        return None
    return UsageReport(
        usage=usage,
        rule=rule + suffix,
        stated_input=counts.prompt,
        stated_output=counts.completion,
        stated_cost=cost,
        stated_currency=rules.cost_currency,
        anomalies=tuple(notes),
    )


def is_complete(report: UsageReport) -> bool:
    """Whether both sides of a generation are said; of several reports the last such one wins (trap S1)."""
    return report.stated_input is not None and report.stated_output is not None


def newer(held: UsageReport | None, seen: UsageReport | None) -> UsageReport | None:
    """Return which of two reports of one reply counts, the later being `seen` (trap S1, case F9)."""
    if held is None or seen is None:
        return seen or held
    if not is_complete(seen) and (is_complete(held) or seen.usage == Usage()):
        return held
    fell = (held.stated_output or 0) > (seen.stated_output or 0)
    if is_complete(held) and fell and "decreased" not in seen.anomalies:
        return msgspec.structs.replace(seen, anomalies=(*seen.anomalies, "decreased"))
    return seen


def _complete(counts: Counts, notes: list[str]) -> None:
    """Where only both totals are said, the output is what is between them."""
    prompt, total = counts.prompt, counts.total
    if prompt is None or total is None:
        return
    if total < prompt:
        note(notes, "total-mismatch")
    else:
        counts.completion = total - prompt


def _split_input(counts: Counts, notes: list[str]) -> tuple[_Parts, str]:
    """Split the input total: cached, written, audio and image once each, the rest uncached (M1, M2).

    Cached tokens that do not fit inside the total stand beside it, unless the sum of both totals says that
    they cannot; `counts.prompt` is then all of it. Returns the buckets and the name of the rule.
    """
    if counts.odd_input:
        note(notes, *counts.odd_input)
    prompt = counts.prompt
    if prompt is None:
        return [None] * 6, "openai"
    cached, written, hour, audio = counts.cached, counts.written, counts.written_1h, counts.input_audio
    if written is not None and hour is not None:  # writes that nobody names are for 5 minutes
        written = max(written - hour, 0)
    if audio is not None and counts.cached_audio is not None:
        audio = max(audio - max(counts.cached_audio, 0), 0)
    rule, kept = "openai", (cached or 0) + (written or 0) + (hour or 0)
    if kept > prompt:
        note(notes, "cache-over-input")
        if counts.total is None or counts.total >= prompt + kept + (counts.completion or 0):
            rule, counts.prompt = "openai/cache-outside", prompt + kept
            prompt += kept
    return _parted(prompt, (cached, written, hour, audio, counts.input_image), notes), rule


def _split_output(counts: Counts, rules: UsageRules, notes: list[str]) -> tuple[_Parts, str]:
    """Split the output total, or set `counts.completion` to the true one where reasoning stands beside it.

    Returns the buckets and what the rule's name gains.
    """
    completion, reasoning = counts.completion, counts.reasoning
    if completion is None:
        return [None] * 3, ""
    if counts.odd_output:
        note(notes, *counts.odd_output)
    place = _reasoning_place(counts, completion, rules, notes)
    if place == "remainder":
        reasoning = (counts.total or 0) - (counts.prompt or 0) - completion
        note(notes, "remainder-as-reasoning")
    if place == "inside":
        return _parted(completion, (reasoning, counts.output_audio), notes), ""
    counts.completion = completion + (reasoning or 0)
    text, audio = _parted(completion, (counts.output_audio,), notes)
    return [text, reasoning, audio], "/reasoning-outside" if place == "outside" else "/remainder-as-reasoning"


def _parted(total: int, parts: Sequence[int | None], notes: list[str]) -> _Parts:
    """Take parts out of a total; what does not fit overlaps with a part already taken (M2)."""
    left, found = total, list[int | None]()
    for part in parts:
        if part is not None and part > left:
            note(notes, "overlap")
            found.append(left)
            left = 0
        else:
            found.append(part)
            left -= part or 0
    return [left, *found]


def _reasoning_place(counts: Counts, completion: int, rules: UsageRules, notes: list[str]) -> str:
    """Say where reasoning is counted: the reply's own total decides, else the provider's row (M16)."""
    reasoning, prompt, total = counts.reasoning or 0, counts.prompt, counts.total
    if total is None or prompt is None:
        return rules.reasoning if reasoning else "inside"
    beside = total - prompt - completion
    if beside == 0:
        return "outside" if rules.reasoning == "outside" and reasoning > completion else "inside"
    if reasoning and beside == reasoning:
        return "outside"
    if beside > 0 and not reasoning:
        return "remainder"
    note(notes, "total-mismatch")
    return rules.reasoning if reasoning else "inside"


def _stated_cost(raw: bytes, rules: UsageRules, notes: list[str]) -> str | None:
    """Return the provider's own cost as decimal text in whole units, read from its digits (M11, M12)."""
    text = _cost_text(raw, rules.cost_field)
    if text is None:
        return None
    try:
        cost = Decimal(text)
        if rules.cost_divisor != 1:
            cost = _EXACT.divide(cost, Decimal(rules.cost_divisor))
        fits = 0 <= cost < MAX_COST and int(cost.as_tuple().exponent) >= -MAX_COST_CHARS
    except ArithmeticError:
        fits = False
    if not fits:
        note(notes, "cost-out-of-range")
        return None
    return f"{cost:f}"


def _cost_text(raw: bytes, path: str) -> str | None:
    """Return the digits at a dotted path; None when there are none, or not where the row expects them."""
    try:
        value = raw
        for name in path.split("."):
            value = msgspec.json.decode(value, type=dict[str, msgspec.Raw])[name]
    except (KeyError, ValueError):
        return None
    text = bytes(value).decode(errors="replace").strip('"')
    return None if text == "null" else text[:MAX_COST_CHARS]
