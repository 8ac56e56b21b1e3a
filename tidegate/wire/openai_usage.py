"""Usage as OpenAI's dialects word it, chat and responses alike, in buckets that never overlap.

The input total includes cached and cache-written tokens, audio and images; the output total includes
reasoning and audio (providers.md, section 5). Providers that speak the dialect differ; each difference
below was seen in recorded traffic, and the rule that was applied is named in the report.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal, Inexact, InvalidOperation

import msgspec

from tidegate.model.provider import UsageRules
from tidegate.model.usage import Usage, UsageReport

MAX_COUNT = 1_000_000_000
"""A larger count is a mistake of the provider (case F9)."""

MAX_COST_CHARS = 48
MAX_COST = Decimal(1_000_000)
_EXACT = Context(prec=80, traps=[InvalidOperation, Inexact])
_NO_FIELDS: Mapping[str, object] = {}


@dataclass(slots=True)
class _Reading:
    """One usage object being read: its fields, and what was odd about them."""

    fields: Mapping[str, object]
    rules: UsageRules
    prompt: int | None = None
    completion: int | None = None
    total: int | None = None
    anomalies: list[str] = field(default_factory=list)

    def count(self, *names: str) -> int | None:
        """Return the first of `names` that holds a count."""
        return self.count_in(self.fields, *names)

    def count_in(self, fields: Mapping[str, object], *names: str) -> int | None:
        """Return the first of `names` in `fields` that holds a count; what is no count is noted."""
        for name in names:
            value = fields.get(name)
            if value is None:
                continue
            if isinstance(value, float) and value.is_integer():
                value = int(value)
            if type(value) is not int:
                self.note("not-a-count")
            elif value < 0:
                self.note("negative")
            elif value > MAX_COUNT:
                self.note("absurd")
            else:
                return value
        return None

    def nested(self, *names: str) -> Mapping[str, object]:
        """Return the first of `names` that is an object, else an empty one."""
        for name in names:
            value = self.fields.get(name)
            if isinstance(value, dict):
                return value
        return _NO_FIELDS

    def note(self, anomaly: str) -> None:
        if anomaly not in self.anomalies:
            self.anomalies.append(anomaly)


def read_usage(raw: bytes, rules: UsageRules, *, input_only: bool = False) -> UsageReport | None:
    """Return the report of one usage object; None when it is null or says nothing.

    A count that is negative, absurd or no number is None and named as an anomaly. `input_only` is for
    embeddings, whose total is all input.
    """
    try:
        fields = msgspec.json.decode(raw)
    except (ValueError, RecursionError):
        return UsageReport(usage=Usage(), rule="openai", anomalies=("unreadable",))
    if not isinstance(fields, dict):
        return None
    reading = _Reading(fields, rules)
    reading.total = reading.count("total_tokens")
    reading.prompt = reading.count("prompt_tokens", "input_tokens")
    if input_only and reading.prompt is None:
        reading.prompt = reading.total
    reading.completion = None if input_only else _completion(reading)
    usage, rule, stated_input = _input(reading)
    stated_output = reading.completion
    if stated_output is not None:
        usage, suffix, stated_output = _with_output(reading, usage, stated_output)
        rule += suffix
    usage = _with_searches(reading, usage)
    cost = _stated_cost(raw, reading) if rules.cost_field else None
    if usage == Usage() and cost is None and not reading.anomalies:
        return None
    return UsageReport(
        usage=usage,
        rule=rule,
        stated_input=stated_input,
        stated_output=stated_output,
        stated_cost=cost,
        stated_currency=rules.cost_currency,
        anomalies=tuple(reading.anomalies),
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


def _completion(reading: _Reading) -> int | None:
    """Return the output total; where only both totals are said, what is between them."""
    completion = reading.count("completion_tokens", "output_tokens")
    if completion is not None or reading.prompt is None or reading.total is None:
        return completion
    if reading.total < reading.prompt:
        reading.note("total-mismatch")
        return None
    return reading.total - reading.prompt


def _input(reading: _Reading) -> tuple[Usage, str, int | None]:
    """Split the input total: cached, written, audio and image once each, the rest uncached (M1, M2).

    Cached tokens that do not fit inside the total stand beside it, unless the sum of both totals says that
    they cannot.
    """
    details = reading.nested("prompt_tokens_details", "input_tokens_details")
    cached = reading.count_in(details, "cached_tokens", "cache_read_input_tokens")
    if cached is None:
        cached = reading.count(
            "prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens", "cache_read_input_tokens"
        )
    write_5m, write_1h = _writes(reading, details)
    audio = reading.count_in(details, "audio_tokens")
    image = reading.count_in(details, "image_tokens")
    prompt = reading.prompt
    if prompt is None:
        return Usage(), "openai", None
    rule, stated = "openai", prompt
    kept = (cached or 0) + (write_5m or 0) + (write_1h or 0)
    if kept > prompt:
        reading.note("cache-over-input")
        if reading.total is None or reading.total >= prompt + kept + (reading.completion or 0):
            rule, stated = "openai/cache-outside", prompt + kept
            reading.prompt = stated
    left, cached = _taken(reading, stated, cached)
    left, write_5m = _taken(reading, left, write_5m)
    left, write_1h = _taken(reading, left, write_1h)
    audio = _without_cached(audio, details)
    left, audio = _taken(reading, left, audio)
    left, image = _taken(reading, left, image)
    usage = Usage(
        input_uncached=left,
        cache_read=cached,
        cache_write_5m=write_5m,
        cache_write_1h=write_1h,
        input_audio=audio,
        input_image=image,
    )
    return usage, rule, stated


def _writes(reading: _Reading, details: Mapping[str, object]) -> tuple[int | None, int | None]:
    """Return tokens written to a cache for 5 minutes and for an hour; unnamed ones count as the former."""
    written = reading.count_in(details, "cache_write_tokens", "cache_creation_input_tokens")
    if written is None:
        written = reading.count("cache_creation_input_tokens")
    hour = reading.count_in(reading.nested("cache_creation"), "ephemeral_1h_input_tokens")
    if written is None or hour is None:
        return written, hour
    return max(written - hour, 0), hour


def _without_cached(audio: int | None, details: Mapping[str, object]) -> int | None:
    """Take cached audio out of the audio count, where the provider splits its cached tokens."""
    split = details.get("cached_tokens_details")
    cached = split.get("audio_tokens") if isinstance(split, dict) else None
    if audio is None or not isinstance(cached, int):
        return audio
    return max(audio - max(cached, 0), 0)


def _taken(reading: _Reading, left: int, part: int | None) -> tuple[int, int | None]:
    """Take a part out of what is left; what does not fit overlaps with a part already taken (M2)."""
    if part is None:
        return left, None
    if part > left:
        reading.note("overlap")
        part = left
    return left - part, part


def _with_output(reading: _Reading, usage: Usage, completion: int) -> tuple[Usage, str, int]:
    """Split the output total. Returns the usage, what the rule's name gains, and the true output total."""
    details = reading.nested("completion_tokens_details", "output_tokens_details")
    reasoning = reading.count_in(details, "reasoning_tokens")
    if reasoning is None:
        reasoning = reading.count("reasoning_tokens")
    audio = reading.count_in(details, "audio_tokens")
    place = _reasoning_place(reading, completion, reasoning)
    suffix = ""
    if place == "remainder":
        reasoning = (reading.total or 0) - (reading.prompt or 0) - completion
        reading.note("remainder-as-reasoning")
    if place == "inside":
        text, reasoning = _taken(reading, completion, reasoning)
        output = completion
    else:
        suffix = "/reasoning-outside" if place == "outside" else "/remainder-as-reasoning"
        text, output = completion, completion + (reasoning or 0)
    text, audio = _taken(reading, text, audio)
    split = msgspec.structs.replace(usage, output_text=text, reasoning=reasoning, output_audio=audio)
    return split, suffix, output


def _reasoning_place(reading: _Reading, completion: int, reasoning: int | None) -> str:
    """Say where reasoning is counted: the reply's own total decides, else the provider's row (M16)."""
    rules, prompt, total = reading.rules, reading.prompt, reading.total
    if total is None or prompt is None:
        return rules.reasoning if reasoning else "inside"
    beside = total - prompt - completion
    if beside == 0:
        return "outside" if rules.reasoning == "outside" and (reasoning or 0) > completion else "inside"
    if reasoning and beside == reasoning:
        return "outside"
    if beside > 0 and not reasoning:
        return "remainder"
    reading.note("total-mismatch")
    return rules.reasoning if reasoning else "inside"


def _with_searches(reading: _Reading, usage: Usage) -> Usage:
    tools = reading.nested("server_tool_use", "server_tool_use_details")
    searches = reading.count_in(tools, "web_search_requests")
    if searches is None:
        searches = reading.count("num_search_queries")
    return usage if searches is None else msgspec.structs.replace(usage, searches=searches)


def _stated_cost(raw: bytes, reading: _Reading) -> str | None:
    """Return the provider's own cost as decimal text in whole units, read from its digits (M11, M12)."""
    text = _cost_text(raw, reading.rules.cost_field)
    if text is None:
        return None
    try:
        cost = Decimal(text)
        if reading.rules.cost_divisor != 1:
            cost = _EXACT.divide(cost, Decimal(reading.rules.cost_divisor))
        fits = 0 <= cost < MAX_COST and int(cost.as_tuple().exponent) >= -MAX_COST_CHARS
    except ArithmeticError:
        fits = False
    if not fits:
        reading.note("cost-out-of-range")
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
