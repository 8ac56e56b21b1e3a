"""Errors in OpenAI's words: ours written, and those of every provider that speaks the dialect read."""

import re
from collections.abc import Mapping

import msgspec

from tidegate.model.errors import TidegateError
from tidegate.model.reply import ErrorFacts, ReplyFacts

KEEP_ALIVE = b": ping\n\n"
"""A comment of its own: no SDK dispatches it, and clients that cut at blank lines skip it (trap S8)."""

MAX_READ_BYTES = 1_048_576
MAX_MESSAGE_CHARS = 1_000
MAX_WORD_CHARS = 128

_TITLE = re.compile(r"<title>([^<]{1,300})", re.IGNORECASE)


def error_object(error: TidegateError, request_id: str) -> dict[str, object]:
    """Return the fields of OpenAI's error object, and among them our request id and what else is told."""
    fields: dict[str, object] = {
        "message": error.message,
        "type": error.kind,
        "param": error.param,
        "code": error.code,
        "request_id": request_id,
    }
    if error.tells and error.facts:
        fields["details"] = error.facts
    return fields


def error_body(error: TidegateError, request_id: str) -> bytes:
    """Return the JSON body of an error reply."""
    return msgspec.json.encode({"error": error_object(error, request_id)})


def error_event(error: TidegateError, request_id: str) -> bytes:
    """Return the event that ends a chat or completions stream with an error (trap S6).

    The SDKs raise for any data with an `error` field. No `[DONE]` follows, so no client takes it for an end.
    """
    return b"data: " + error_body(error, request_id) + b"\n\n"


def read_error(raw: bytes) -> ReplyFacts:
    """Return facts with `error` set, from a provider's error body of any shape (providers.md, section 3)."""
    try:
        found = msgspec.json.decode(raw) if len(raw) <= MAX_READ_BYTES else None
        error = _error_of(found[0] if isinstance(found, list) and found else found)
    except (ValueError, RecursionError):
        error = None
    return ReplyFacts(error=error or ErrorFacts(message=_plain_message(raw)))


def error_in(raw: bytes) -> ErrorFacts | None:
    """Return the error that the value of an `error` field words; None when it is null or empty."""
    try:
        found = msgspec.json.decode(raw)
        return _error_of({"error": found}) if found else None
    except (ValueError, RecursionError):
        return ErrorFacts(message="unreadable error")


def _error_of(found: object) -> ErrorFacts | None:
    if isinstance(found, str):
        return ErrorFacts(message=_cut(found))
    if not isinstance(found, dict):
        return None
    inner, several = found.get("error"), found.get("errors")
    if isinstance(several, list) and several and not inner:
        inner = several[0]
    if isinstance(inner, dict):
        return _of_object(inner)
    return _of_pair(inner, found) if isinstance(inner, str) else _of_object(found)


def _of_pair(inner: str, fields: Mapping[str, object]) -> ErrorFacts:
    """Read an `error` that is text: the message itself, or a short name beside a message."""
    said = _message(fields.get("message"))
    return ErrorFacts(
        type=_word(fields.get("type") or fields.get("error_type")),
        code=_word(fields.get("code")) or (_word(inner) if said else ""),
        message=said or _cut(inner),
    )


def _of_object(fields: Mapping[str, object]) -> ErrorFacts:
    """Read an object with OpenAI's fields, or a near relative of it."""
    metadata = fields.get("metadata")
    named = metadata.get("error_type") if isinstance(metadata, dict) else None
    detail = fields.get("detail")
    message = _message(fields.get("message") or fields.get("Message") or detail or fields.get("reason"))
    return ErrorFacts(
        type=_word(fields.get("type") or fields.get("status") or named),
        code=_reason(fields) or _word(fields.get("code")) or _word(named),
        message=message,
        param=_word(fields.get("param")) or _location(detail) or _location(fields.get("message")),
    )


def _reason(fields: Mapping[str, object]) -> str:
    """Return the reason that Google gives in the error's details, more exact than its numeric code."""
    details = fields.get("details")
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict) and isinstance(detail.get("reason"), str):
            return _word(detail["reason"])
    return ""


def _message(said: object) -> str:
    """Return one line of text from a message, or from a validation report in place of one."""
    if isinstance(said, dict):
        return _message(said.get("detail") or said.get("message") or said.get("msg"))
    if isinstance(said, list):
        return _cut("; ".join(filter(None, (_message(item) for item in said[:8]))))
    return _cut(said) if isinstance(said, str) else ""


def _location(said: object) -> str:
    """Return the path of the first field at fault in a validation report (`detail[].loc`)."""
    if isinstance(said, dict):
        said = said.get("detail")
    first = said[0] if isinstance(said, list) and said else None
    path = first.get("loc") if isinstance(first, dict) else None
    return _word(".".join(str(step) for step in path[:16])) if isinstance(path, list) else ""


def _word(said: object) -> str:
    if isinstance(said, bool) or not isinstance(said, (str, int)):
        return ""
    return str(said)[:MAX_WORD_CHARS]


def _plain_message(raw: bytes) -> str:
    text = raw[: 4 * MAX_MESSAGE_CHARS].decode(errors="replace")
    title = _TITLE.search(text)
    return _cut(title.group(1) if title else text)


def _cut(text: str) -> str:
    return text.strip()[:MAX_MESSAGE_CHARS]
