"""A provider's error in each dialect's words: what it says stays, its type becomes one that SDKs know."""

from collections.abc import Mapping
from typing import TypedDict

import msgspec

from tidegate.model.reply import ErrorFacts
from tidegate.wire.anthropic_errors import error_type

CHAT_TYPES: Mapping[str, str] = {
    "overloaded_error": "server_error",
    "api_error": "server_error",
    "timeout_error": "server_error",
    "authentication_error": "invalid_request_error",
    "permission_error": "invalid_request_error",
    "not_found_error": "invalid_request_error",
    "request_too_large": "invalid_request_error",
    "billing_error": "insufficient_quota",
}
"""Anthropic's types in OpenAI's words; one that is not here is the same in both, or unknown."""

MESSAGES_TYPES: Mapping[str, str] = {
    "server_error": "api_error",
    "internal_error": "api_error",
    "requests": "rate_limit_error",
    "tokens": "rate_limit_error",
    "rate_limit_exceeded": "rate_limit_error",
    "insufficient_quota": "billing_error",
    "billing_error": "billing_error",
    "overloaded_error": "overloaded_error",
    "invalid_request_error": "invalid_request_error",
    "authentication_error": "authentication_error",
    "permission_error": "permission_error",
    "not_found_error": "not_found_error",
    "rate_limit_error": "rate_limit_error",
    "timeout_error": "timeout_error",
    "api_error": "api_error",
}
"""Types in Anthropic's words; one that is not here follows from the status."""

_encode = msgspec.json.Encoder().encode


class OpenAIError(TypedDict):
    """The fields of an error object."""

    message: str
    type: str
    param: str | None
    code: str | None


def error_object(error: ErrorFacts) -> OpenAIError:
    """Return an error in OpenAI's words; the provider's own type stands in `code` where it has none."""
    kind = CHAT_TYPES.get(error.type, error.type) or "server_error"
    return {
        "message": error.message,
        "type": kind,
        "param": error.param or None,
        "code": error.code or (error.type if kind != error.type else None) or None,
    }


def chat_error(error: ErrorFacts) -> bytes:
    """Return an error body in OpenAI's words."""
    return _encode({"error": error_object(error)})


def responses_error(error: ErrorFacts, status: int) -> bytes:  # noqa: ARG001 - the body says nothing of it
    """Return an error body of the Responses dialect, which words it as chat does."""
    return chat_error(error)


def messages_error(error: ErrorFacts, *, status: int = 500) -> bytes:
    """Return an error body in Anthropic's words; `status` is that of the reply, 500 inside a stream."""
    kind = MESSAGES_TYPES.get(error.type) or error_type(status)
    inner: dict[str, object] = {"type": kind, "message": error.message}
    if error.code:
        inner["details"] = {"error_code": error.code}
    return _encode({"type": "error", "error": inner})
