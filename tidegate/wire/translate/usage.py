"""Usage in each dialect's words (traps M1, M16): OpenAI's totals include what Anthropic counts apart."""

from tidegate.model.usage import Usage


def chat_usage(usage: Usage) -> dict[str, object]:
    """Return OpenAI's usage object. What was not said is left out, except the totals, which SDKs need."""
    prompt, completion = usage.input_total or 0, usage.output_total or 0
    out: dict[str, object] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    input_details = _without_none(
        cached_tokens=usage.cache_read,
        cache_write_tokens=_sum(usage.cache_write_5m, usage.cache_write_1h),
        audio_tokens=usage.input_audio,
        image_tokens=usage.input_image,
    )
    output_details = _without_none(reasoning_tokens=usage.reasoning, audio_tokens=usage.output_audio)
    if input_details:
        out["prompt_tokens_details"] = input_details
    if output_details:
        out["completion_tokens_details"] = output_details
    if usage.cache_write_1h is not None:
        out["cache_creation"] = _split(usage)
    if usage.searches is not None:
        out["server_tool_use"] = {"web_search_requests": usage.searches}
    return out


def responses_usage(usage: Usage) -> dict[str, object]:
    """Return the usage object of a response. Its details are always there, since SDKs add them up."""
    prompt, completion = usage.input_total or 0, usage.output_total or 0
    written = _sum(usage.cache_write_5m, usage.cache_write_1h)
    input_details = {"cached_tokens": usage.cache_read or 0, "cache_write_tokens": written or 0}
    output_details = {"reasoning_tokens": usage.reasoning or 0}
    out: dict[str, object] = {
        "input_tokens": prompt,
        "input_tokens_details": input_details
        | _without_none(audio_tokens=usage.input_audio, image_tokens=usage.input_image),
        "output_tokens": completion,
        "output_tokens_details": output_details | _without_none(audio_tokens=usage.output_audio),
        "total_tokens": prompt + completion,
    }
    if usage.cache_write_1h is not None:
        out["cache_creation"] = _split(usage)
    if usage.searches is not None:
        out["server_tool_use"] = {"web_search_requests": usage.searches}
    return out


def messages_usage(usage: Usage) -> dict[str, object]:
    """Return Anthropic's usage object. What was not said is left out, except the totals, which SDKs need."""
    out: dict[str, object] = {
        "input_tokens": _sum(usage.input_uncached, usage.input_audio, usage.input_image) or 0
    }
    written = _sum(usage.cache_write_5m, usage.cache_write_1h)
    out |= _without_none(cache_creation_input_tokens=written, cache_read_input_tokens=usage.cache_read)
    if usage.cache_write_1h is not None:
        out["cache_creation"] = _split(usage)
    out["output_tokens"] = usage.output_total or 0
    if usage.reasoning is not None:
        out["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    if usage.searches is not None:
        out["server_tool_use"] = {"web_search_requests": usage.searches}
    return out


def _split(usage: Usage) -> dict[str, int]:
    return {
        "ephemeral_5m_input_tokens": usage.cache_write_5m or 0,
        "ephemeral_1h_input_tokens": usage.cache_write_1h or 0,
    }


def _without_none(**counts: int | None) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count is not None}


def _sum(*counts: int | None) -> int | None:
    found = [count for count in counts if count is not None]
    return sum(found) if found else None
