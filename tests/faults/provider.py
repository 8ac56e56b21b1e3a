"""Replies of a provider in two dialects: whole, wrong, broken off, or never begun; each says what it said."""

import json
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.support.scripted_transport import ScriptedReply, Sent, Step
from tidegate.model.request import Surface
from tidegate.providers.transport import Phase, TransportError

Kind = Literal[
    "whole",
    "no_usage",
    "negative",
    "absurd",
    "refuses",
    "fails",
    "event",
    "cut",
    "broken",
    "unreachable",
    "reset",
    "silent",
]
KINDS: tuple[Kind, ...] = Kind.__args__  # type: ignore[attr-defined]
ENDS_WELL: frozenset[Kind] = frozenset({"whole", "no_usage", "negative", "absurd"})
"""The client gets a whole answer."""

Wait = Callable[[], Awaitable[object]]
STEP = re.compile(rb"call (\d+) of many")
"""In a request's text: the number of its call."""

_NEVER: dict[Kind, tuple[Literal["no", "maybe"], Phase]] = {
    "unreachable": ("no", "connect"),
    "reset": ("maybe", "first_byte"),
    "silent": ("maybe", "idle"),
}
_STATUS: dict[Kind, int] = {"refuses": 400, "fails": 503}

JSON = {"content-type": "application/json", "x-request-id": "up-1"}
EVENTS = {"content-type": "text/event-stream"}
ABSURD = 1_000_000_000_000


@dataclass(frozen=True, slots=True)
class Told:
    """The usage a reply tells, in tokens; what it holds of them is disjoint where the record keeps it."""

    input: int
    cached: int
    output: int
    reasoning: int


@dataclass(frozen=True, slots=True)
class Reply:
    """What one upstream call gets."""

    kind: Kind
    told: Told = field(default=Told(20, 4, 9, 3))
    words: int = 6


def answer(call: Sent, reply: Reply, wait: Wait) -> ScriptedReply:
    """The reply to one call as the transport gives it; `wait` stands before its head and each piece."""
    surface: Surface = "messages" if call.url.endswith("/messages") else "chat"
    asked = json.loads(call.body)
    stream, model = asked.get("stream", False), asked["model"]
    if reply.kind in _NEVER:
        return ScriptedReply(before=wait, error=_broken(*_NEVER[reply.kind]))
    if reply.kind in _STATUS:
        return ScriptedReply(_STATUS[reply.kind], JSON, [wait, _error(surface)], before=wait)
    if stream:
        return ScriptedReply(200, EVENTS, _streamed(reply, surface, model, wait), before=wait)
    raw = _error(surface) if reply.kind == "event" else json.dumps(_plain(reply, surface, model)).encode()
    half = len(raw) // 2
    rest: Step = _broken("maybe", "read") if reply.kind in ("cut", "broken") else raw[half:]
    return ScriptedReply(200, JSON, [wait, raw[:half], wait, rest], before=wait)


def _streamed(reply: Reply, surface: Surface, model: str, wait: Wait) -> Iterable[Step]:
    events = list(_chat(reply, model) if surface == "chat" else _messages(reply, model))
    middle = reply.words // 2 + 2 * (surface == "messages")  # before any finish reason (trap S5)
    if reply.kind in ("cut", "broken", "event"):
        events, behind = events[:middle], events[middle]
    for event in events:
        yield wait
        yield event
    if reply.kind == "broken":
        yield behind[:7]
        yield wait
        yield _broken("maybe", "read")
    elif reply.kind == "event":
        yield wait
        yield b"event: error\n" * (surface == "messages") + _sse(json.loads(_error(surface)))


def _broken(sent: Literal["no", "maybe"], phase: Phase) -> TransportError:
    return TransportError("scripted", sent=sent, got_bytes=False, phase=phase)


def _error(surface: Surface) -> bytes:
    error = {"type": "overloaded_error", "message": "scripted", "code": "scripted"}
    return json.dumps(
        {"type": "error", "error": error} if surface == "messages" else {"error": error}
    ).encode()


def _sse(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def _usage(reply: Reply, surface: Surface) -> dict[str, Any]:
    told = reply.told
    if surface == "messages":
        usage: dict[str, Any] = {
            "input_tokens": told.input - told.cached,
            "cache_read_input_tokens": told.cached,
            "output_tokens": told.output,
        }
        spoiled = "output_tokens"
    else:
        usage = {
            "prompt_tokens": told.input,
            "completion_tokens": told.output,
            "total_tokens": told.input + told.output,
            "prompt_tokens_details": {"cached_tokens": told.cached},
            "completion_tokens_details": {"reasoning_tokens": told.reasoning},
        }
        spoiled = "completion_tokens"
    if reply.kind == "negative":
        return {name: -value if isinstance(value, int) else value for name, value in usage.items()}
    if reply.kind == "absurd":
        usage[spoiled] = ABSURD
    return usage


def _plain(reply: Reply, surface: Surface, model: str) -> dict[str, Any]:
    text = "word " * reply.words
    usage = {} if reply.kind == "no_usage" else {"usage": _usage(reply, surface)}
    if surface == "messages":
        said = {"type": "message", "role": "assistant", "content": [{"type": "text", "text": text}]}
        return {"id": "m1", "model": model, "stop_reason": "end_turn", **said, **usage}
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    return {"id": "c1", "object": "chat.completion", "model": model, "choices": [choice], **usage}


def _chat(reply: Reply, model: str) -> Iterable[bytes]:
    base = {"id": "c1", "object": "chat.completion.chunk", "model": model}
    for _ in range(reply.words):
        yield _sse({**base, "choices": [{"index": 0, "delta": {"content": "word "}, "finish_reason": None}]})
    yield _sse({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if reply.kind != "no_usage":
        yield _sse({**base, "choices": [], "usage": _usage(reply, "chat")})
    yield b"data: [DONE]\n\n"


def _messages(reply: Reply, model: str) -> Iterable[bytes]:
    usage = {} if reply.kind == "no_usage" else {"usage": _usage(reply, "messages")}
    first = {"usage": {**usage["usage"], "output_tokens": 1}} if usage else {}
    message = {"id": "m1", "type": "message", "role": "assistant", "model": model, "content": [], **first}
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "word "}}
    ending: dict[str, Any] = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, **usage}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": message},
        block,
        *[delta] * reply.words,
        {"type": "content_block_stop", "index": 0},
        ending,
        {"type": "message_stop"},
    ]
    for event in events:
        yield b"event: " + str(event["type"]).encode() + b"\n" + _sse(event)
