"""What a recorded reply costs by a price card, in nano-units: written anew, and importing nothing of ours."""

import json
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

INS = ["input_uncached", "cache_read", "cache_write_5m", "cache_write_1h", "input_audio", "input_image"]
OUTS = ["output_text", "reasoning", "output_audio"]
INSTEAD = {name: side[:1] for side in (INS, OUTS) for name in side}  # the dearest, where a rate is not listed
INSTEAD |= {INS[3]: INS[0:3:2], INS[4]: INS[0:6:5], OUTS[2]: [OUTS[0], INS[4]]}
STATED = {"openrouter": ("cost", 1), "xai": ("cost_in_usd_ticks", 10**10)}
Said = dict[str, Any]


def usage_of(body: str) -> Said:  # of a stream, what is said last of each count
    said: Said = {"searched": 0}
    for line in [line[6:] for line in body.splitlines() if line.startswith("data: {")] or [body]:
        event = json.loads(line, parse_float=Decimal)
        places = [event, *(event.get(name) for name in ("response", "message", "x_groq"))]
        for place in (place for place in places if isinstance(place, dict)):
            said |= {key: count for key, count in (place.get("usage") or {}).items() if count is not None}
            calls = [item for item in place.get("output", []) if "web_search_call" in item.get("type", "")]
            said["searched"] = sum('"search"' in json.dumps(item.get("action", "search")) for item in calls)
    return said


def buckets_of(said: Any, *, anthropic: bool) -> dict[str, int]:
    of, found = said.get, dict[str, int]()
    if anthropic:  # what caches gave and took is beside the input; so are further samplings
        further = [one for one in of("iterations", []) if one["type"] not in ("message", "fallback_message")]
        for one in [said, *further]:
            hour = (one.get("cache_creation") or {}).get("ephemeral_1h_input_tokens", 0)
            wrote, read = one.get("cache_creation_input_tokens", 0), one.get("cache_read_input_tokens", 0)
            counts = one["input_tokens"], read, wrote - hour, hour, one["output_tokens"]
            found |= {name: found.get(name, 0) + counts[at] for at, name in enumerate([*INS[:4], OUTS[0]])}
        return found | {"searches": (of("server_tool_use") or {}).get("web_search_requests") or 0}
    ins = of("prompt_tokens_details") or of("input_tokens_details") or {}
    outs = of("completion_tokens_details") or of("output_tokens_details") or {}
    read, wrote = of("prompt_tokens", of("input_tokens", 0)), of("completion_tokens", of("output_tokens", 0))
    beside = max(0, of("total_tokens", 0) - read - wrote)  # thought, and not counted as output
    cached = ins.get("cached_tokens") or of("prompt_cache_hit_tokens") or of("num_cached_tokens")
    kept = [cached, ins.get("cache_write_tokens"), 0, ins.get("audio_tokens"), ins.get("image_tokens")]
    thought = [outs.get("reasoning_tokens") or of("reasoning_tokens") or beside, outs.get("audio_tokens")]
    for left, names, parts in ((read, INS, kept), (wrote + beside, OUTS, thought)):
        for name, count in zip(names[1:], parts, strict=True):
            found[name] = min(count or 0, left - sum(found.get(one, 0) for one in names[1:]))
        found[names[0]] = left - sum(found[one] for one in names[1:])
    searches = (of("server_tool_use_details") or {}).get("web_search_requests") or said["searched"]
    return found | {"searches": searches}


def nano_of(said: Said, buckets: dict[str, int], rates: dict[str, str], stated: str) -> int | None:
    field, divisor = STATED.get(stated, ("", 1))
    usd = Decimal(said[field]) / divisor if field in said else Decimal(rates.get("requests", 0)) / 10**6
    for name in (name for name, count in buckets.items() if count and field not in said):
        listed = [Decimal(rates[one]) for one in (name, *INSTEAD.get(name, ())) if one in rates]
        if not listed:
            return None
        usd += buckets[name] * (listed[0] if name in rates else max(listed)) / 10**6
    return int((usd * 10**9).quantize(Decimal(1), ROUND_HALF_EVEN))
