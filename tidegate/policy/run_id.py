"""Which run a call belongs to: what the caller says, or else how its conversation began.

| source | from |
|---|---|
| `run` | `tidegate-run`, or the same in baggage or metadata |
| `conversation` | the dialect's conversation or session id: a field, metadata, or an agent's own header |
| `session` | `tidegate-session` |
| `trace` | the trace id of `traceparent` (W3C Trace Context, section 3.2.2.3) |
| `start` | the key, the system prompt without its volatile lines (trap K13), and the first user message |

Two conversations of one key that begin alike, word for word, are one run by their start. A conversation whose
beginning is cut off later is another run from then on.
"""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from hashlib import blake2b
from typing import Literal

import msgspec

from tidegate.policy.fingerprint import stable_lines

RUN_HEX = 24
MAX_ID = 256
MAX_SYSTEM_TEXT = 16_384
"""Of a longer system prompt the beginning counts; the first user message tells its runs apart."""

Source = Literal["run", "conversation", "session", "trace", "start", "none"]

_AGENT_HEADERS = frozenset(
    {b"x-claude-code-session-id", b"session_id", b"session-id", b"conversation_id", b"x-session-id"}
)
_METADATA = ("run_id", "conversation_id", "thread_id", "session_id")
_SESSION_IN_USER = re.compile(r"_session_([0-9A-Za-z-]{8,64})$")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.{0,64})?")
_NO_TRACE = "0" * 32


class Run(msgspec.Struct, frozen=True):
    """A run. `id` is keyed per tenant, so that it says nothing of what it was made from: `source` does."""

    id: str
    source: Source


class _Conversation(msgspec.Struct):
    id: str = ""


class _User(msgspec.Struct):
    session_id: str = ""


NO_RUN = Run("", "none")
_conversation = msgspec.json.Decoder(str | _Conversation | None)
_user = msgspec.json.Decoder(_User)


def run_of(
    tenant_key: bytes,
    *,
    key_id: str,
    run: str = "",
    conversation: str = "",
    session: str = "",
    traceparent: str = "",
    system_text: str = "",
    first_user: bytes = b"",
) -> Run:
    """Return the run of one call: the first source that says anything. None of them: no run.

    A run that is named may span several keys of its tenant; one known by its start is of one key.
    """
    named: tuple[tuple[Source, str], ...] = (
        ("run", run),
        ("conversation", conversation),
        ("session", session),
        ("trace", trace_id(traceparent)),
    )
    for source, value in named:
        if value:
            return Run(_digest(tenant_key, source, value[:MAX_ID].encode("utf-8", "replace")), source)
    if not first_user:
        return NO_RUN
    stable = "\n".join(stable_lines(system_text[:MAX_SYSTEM_TEXT]))
    parts = (key_id.encode(), stable.encode("utf-8", "replace"), first_user)
    return Run(_digest(tenant_key, "start", *parts), "start")


def trace_id(traceparent: str) -> str:
    """Return the trace id of a `traceparent` header; empty where it is none."""
    match = _TRACEPARENT.fullmatch(traceparent.strip().lower())
    return "" if match is None or match[1] == _NO_TRACE else match[1]


def conversation_of(
    *,
    field: bytes = b"",
    metadata: Mapping[str, str] | None = None,
    metadata_user: str = "",
    headers: Iterable[tuple[bytes, bytes]] = (),
) -> str:
    """Return the conversation or session id that a dialect or an agent states; empty where none does.

    `field` is the raw JSON of Responses' `conversation`, an id or an object with one. Coding agents state a
    session in a header of their own, or in Anthropic's `metadata.user_id`: as JSON, or behind `_session_`.
    """
    with suppress(msgspec.DecodeError):
        found = _conversation.decode(field) if field else None
        if found:
            return found if isinstance(found, str) else found.id
    for name in _METADATA:
        if metadata and metadata.get(name):
            return metadata[name]
    for header, value in headers:
        if header in _AGENT_HEADERS and value:
            return value[:MAX_ID].decode("latin-1")
    return _session_in(metadata_user)


def _session_in(user: str) -> str:
    if user.startswith("{"):
        with suppress(msgspec.DecodeError):
            return _user.decode(user).session_id
        return ""
    match = _SESSION_IN_USER.search(user)
    return match[1] if match else ""


def _digest(tenant_key: bytes, source: str, *parts: bytes) -> str:
    digest = blake2b(key=tenant_key[:64], digest_size=RUN_HEX // 2, person=b"tg-run")
    for part in (source.encode(), *parts):
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()
