"""The shape all surfaces share: how one reads a request and renders an answer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from tidegate.upstream.answer import Answer, Ask
from tidegate.upstream.script import Script, Wording

ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
encode = msgspec.json.encode


@dataclass(slots=True)
class Stream:
    """A stream's events: `head` at once, each of `tokens` at its time, `tail` at the end."""

    head: list[bytes]
    tokens: list[bytes]
    tail: list[bytes]
    end_marks: int = 1
    """How many of the last events are the dialect's end mark."""


@dataclass(frozen=True, slots=True)
class Surface:
    """One route. `error` renders status, message and what the script changes in the error object.

    `words`: whose refusals are its own. `bills`: whether a call costs.
    """

    id_prefix: str
    read: Callable[[bytes], Ask]
    plain: Callable[[Ask, Answer, Script], bytes]
    stream: Callable[[Ask, Answer, Script], Stream] | None
    error: Callable[[int, str, dict[str, Any]], bytes]
    error_event: Callable[[str, dict[str, Any]], bytes]
    words: Wording = "openai"
    bills: bool = True


def data(value: Any) -> bytes:
    """Return an event without a name."""
    return b"data: " + encode(value) + b"\n\n"


def event(name: str, value: Any) -> bytes:
    """Return an event with a name, which is its `type` too."""
    return b"event: " + name.encode() + b"\ndata: " + encode({"type": name, **value}) + b"\n\n"


def token_events(prefix: bytes, tokens: list[str], suffix: bytes) -> list[bytes]:
    """Return one event per token: all is fixed but the token itself."""
    return [prefix + encode(token) + suffix for token in tokens]


def openai_error(status: int, message: str, change: dict[str, Any]) -> bytes:
    """Return OpenAI's error body."""
    kind = ERROR_TYPES.get(status, "server_error")
    return encode({"error": {"message": message, "type": kind, "param": None, "code": None, **change}})


def openai_error_event(message: str, change: dict[str, Any]) -> bytes:
    """Return an error inside an OpenAI stream."""
    return b"data: " + openai_error(500, message, change) + b"\n\n"


def parts_text(content: Any) -> str:
    """Return the text of a message's content: a string, or parts of which some are text."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "\n".join(part["text"] for part in content if isinstance(part, dict) and "text" in part)
