"""Anthropic's errors: how ours are worded, and how theirs are read.

SDKs take `error.type` and `error.details.error_code` (anthropic-sdk-python 2.12, `_exceptions.py`); our code
stands in the latter, and in `error.code` beside it, where people look first.
"""

import msgspec

from tidegate.model.errors import TidegateError
from tidegate.model.reply import ReplyFacts
from tidegate.wire import openai_errors

KEEP_ALIVE = b'event: ping\ndata: {"type": "ping"}\n\n'

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class _Details(msgspec.Struct, frozen=True):
    error_code: str | None = None
    param: str | None = None


class _Error(msgspec.Struct, frozen=True):
    type: str = ""
    message: str = ""
    code: str | None = None
    details: _Details | None = None


class _Envelope(msgspec.Struct, frozen=True, tag="error"):
    error: _Error
    request_id: str | None = None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Envelope).decode


def error_type(status: int) -> str:
    """Return Anthropic's name for a status."""
    return _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")


def error_body(error: TidegateError, request_id: str) -> bytes:
    """Return the JSON body of an error reply."""
    details: dict[str, object] = {"error_code": error.code}
    if error.param is not None:
        details["param"] = error.param
    if error.tells:
        details |= error.facts
    words = {
        "type": error_type(error.status),
        "message": error.message,
        "code": error.code,
        "details": details,
    }
    return _encode({"type": "error", "error": words, "request_id": request_id})


def error_event(error: TidegateError, request_id: str) -> bytes:
    """Return the event that ends a started stream; both SDKs raise on its name (trap S6)."""
    return b"event: error\ndata: " + error_body(error, request_id) + b"\n\n"


def read_error(raw: bytes) -> ReplyFacts:
    """Return facts with `error` set, from an error body of Anthropic's or any other shape."""
    facts = openai_errors.read_error(raw)
    try:
        details = _decode(raw).error.details
    except (ValueError, RecursionError):
        details = None
    if facts.error is not None and details is not None and details.error_code:
        facts.error = msgspec.structs.replace(facts.error, code=details.error_code)
    return facts
