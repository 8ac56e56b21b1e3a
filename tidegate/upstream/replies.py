"""What comes in the place of an answer, and the lines of a reply's head."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http import HTTPStatus
from typing import Any

import msgspec

from tidegate.upstream.answer import Answer, Ask
from tidegate.upstream.dialect import Surface, data
from tidegate.upstream.responses import RESPONSES, failed_event
from tidegate.upstream.script import PLAIN, Script, Wording
from tidegate.upstream.wording import HTML, Refusal, error_body, refusal, retry_info

JSON = b"application/json"
EVENTS = b"text/event-stream; charset=utf-8"
COUNTS_ITS_LIMIT = ("openai", "azure", "openrouter", "vllm")
"""Whose context window has to hold the output's limit too."""
WINDOW = 8_192
Lines = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Whole:
    """A reply that is no stream."""

    status: int
    body: bytes
    kind: bytes = JSON


def instead(surface: Surface, ask: Ask, script: Script, raw: bytes) -> Whole | None:
    """Return what comes in the place of an answer; None where one is to follow."""
    if script is PLAIN:
        return None
    if script.body is not None:
        return Whole(script.status or 200, script.body.encode())
    if script.redirect is not None:
        return Whole(script.status or 307, b"")
    if script.error_event_after is None and script.fault is not None:
        return _fault(surface, ask, script)
    if script.status is not None and script.status >= 400:
        message = f"scripted status {script.status}"
        return Whole(script.status, surface.error(script.status, message, script.error))
    fault, field = _not_taken(surface, ask, script, raw)
    return _refused(surface, ask, script, fault, field) if fault else None


def _not_taken(surface: Surface, ask: Ask, script: Script, raw: bytes) -> tuple[str, str]:
    """Return the fault that a request has for this model, and the field in question; empty for none."""
    if script.no_prefill and ask.prefill:
        return "prefill", ""
    if script.refuse_fields:
        asked = msgspec.json.decode(raw)
        for name in script.refuse_fields:
            if _holds(asked, name.split(".")):
                return "field", name
    window = script.context_window
    return (
        ("context", "") if window is not None and _asked(ask, _words(surface, script)) > window else ("", "")
    )


def _fault(surface: Surface, ask: Ask, script: Script) -> Whole:
    assert script.fault is not None
    match script.fault:
        case "html":
            status = script.status or 502
            page = HTML.format(status=status, reason=HTTPStatus(status).phrase if status in _KNOWN else "")
            return Whole(status, page.encode(), b"text/html")
        case "empty":
            return Whole(script.status or 200, b"")
        case _:
            return _refused(surface, ask, script, script.fault)


def _refused(surface: Surface, ask: Ask, script: Script, fault: str, field: str = "") -> Whole:
    words = _words(surface, script)
    said = _said(surface, ask, script, fault, field)
    if script.status is not None:
        said = replace(said, status=script.status)
    change = script.error
    if script.retry_info is not None:
        details = [*said.more.get("details", []), retry_info(script.retry_info)]
        change = {"details": details, **change}
    return Whole(said.status, error_body(words, said, change))


def _said(surface: Surface, ask: Ask, script: Script, fault: str, field: str = "") -> Refusal:
    words = _words(surface, script)
    asked, window = _asked(ask, words), script.context_window or WINDOW
    if fault == "context":
        asked = max(asked, window + 1)
    facts = {"model": ask.model.partition("#")[0], "asked": asked, "window": window, "field": field}
    return refusal(words, fault, facts)


def trouble(surface: Surface, ask: Ask, script: Script, said: Answer) -> bytes:
    """Return the event that ends a stream with an error, in the form of the dialect or of OpenRouter."""
    message, status, change = "scripted error", 502, script.error
    if script.fault is not None and script.fault not in ("html", "empty"):
        worded = _said(surface, ask, script, script.fault)
        message, status = worded.message, worded.status
        named = {"type": worded.type, "code": worded.code}
        if surface.words == "anthropic":
            del named["code"]
        change = {**{name: value for name, value in named.items() if value}, **change}
    if surface is RESPONSES and script.response_failed:
        code = str(change.get("code", "server_error"))
        return failed_event(said.id, message, code, script.error_event_after or 0)
    if script.words == "openrouter" and surface.words == "openai" and surface is not RESPONSES:
        choice = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": "error"}
        error = {"code": status, "message": message, **script.error}
        fields = {"id": said.id, "object": "chat.completion.chunk", "created": said.created_s}
        return data({**fields, "model": said.model, "error": error, "choices": [choice]})
    return surface.error_event(message, change)


def head_lines(surface: Surface, script: Script) -> Lines:
    """Return the header lines that a script wants on its reply, whatever that is."""
    if script is PLAIN:
        return []
    now = datetime.now(UTC)
    pairs = list(script.headers.items())
    if script.redirect is not None:
        pairs.append(("location", script.redirect))
    if script.retry_after is not None:
        pairs.append(("retry-after", str(script.retry_after)))
    if script.retry_after_date_s is not None:
        at = now + timedelta(seconds=script.retry_after_date_s)
        pairs.append(("retry-after", format_datetime(at, usegmt=True)))
    if script.retry_after_ms is not None:
        pairs.append(("retry-after-ms", str(script.retry_after_ms)))
    if script.limit_reset_s is not None:
        pairs += _limits(_words(surface, script), script.limit_reset_s, script.limit_remaining, now)
    lines = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
    filler = b"x" * script.extra_header_bytes
    return lines + [(b"x-scripted-%d" % number, filler) for number in range(script.extra_headers)]


def _limits(words: Wording, reset_s: float, left: int, now: datetime) -> Iterator[tuple[str, str]]:
    """Yield the headers that tell a limit of requests, and one of tokens that has something left."""
    if words == "anthropic":
        at = (now + timedelta(seconds=reset_s)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        for kind, limit, remaining in (("requests", 50, left), ("tokens", 40_000, 39_000)):
            yield f"anthropic-ratelimit-{kind}-limit", str(limit)
            yield f"anthropic-ratelimit-{kind}-remaining", str(remaining)
            yield f"anthropic-ratelimit-{kind}-reset", at
        return
    for kind, limit, remaining in (("requests", 500, left), ("tokens", 30_000, 29_000)):
        yield f"x-ratelimit-limit-{kind}", str(limit)
        yield f"x-ratelimit-remaining-{kind}", str(remaining)
        yield f"x-ratelimit-reset-{kind}", _duration(reset_s)


def _duration(seconds: float) -> str:
    """Return a time as OpenAI writes it: `120ms`, `1.5s`, `6m0s`."""
    if seconds < 1:
        return f"{seconds * 1000:g}ms"
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}m{rest:g}s" if minutes else f"{rest:g}s"


def _words(surface: Surface, script: Script) -> Wording:
    return script.words or surface.words


def _asked(ask: Ask, words: Wording) -> int:
    return ask.input + (ask.limit or 0) * (words in COUNTS_ITS_LIMIT)


def _holds(value: Any, path: list[str]) -> bool:
    """Whether a field is there; of a list, in any of its items."""
    if isinstance(value, list):
        return any(_holds(item, path) for item in value)
    if not isinstance(value, dict) or path[0] not in value:
        return False
    return len(path) == 1 or _holds(value[path[0]], path[1:])


_KNOWN = {int(status) for status in HTTPStatus}
