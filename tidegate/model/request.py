"""What a codec reads from a request before the call, whatever its dialect."""

from typing import Literal

import msgspec

Dialect = Literal["openai", "anthropic"]
"""How errors and model lists are written."""

Surface = Literal["chat", "completions", "embeddings", "responses", "messages", "count_tokens", "pass"]
"""One route of one dialect; `wire/<surface>` holds its codec. `pass` is every other path of a provider."""

DIALECT_OF: dict[Surface, Dialect] = {
    "chat": "openai",
    "completions": "openai",
    "embeddings": "openai",
    "responses": "openai",
    "messages": "anthropic",
    "count_tokens": "anthropic",
    "pass": "openai",
}


PassThroughMode = Literal["off", "metered", "flag"]
"""Whether other paths of a provider may be called: not at all; only where what a call costs can be known; or
any, with an unknown cost said to be so."""


class Passed(msgspec.Struct, frozen=True, kw_only=True):
    """Which path of which provider a call is passed through to.

    `place` names a deployment or a provider. `path` is the provider's own, percent-encoded, and starts with a
    slash. `content_type` is that of the body, as sent. Refusals are worded in `dialect`.
    """

    method: str
    place: str
    path: str
    content_type: str = ""
    dialect: Dialect = "openai"


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Where bytes of the input went: `size_bytes` of JSON as sent, and the text among them.

    `text_bytes` leaves out base64 images, audio and files, so that tokens can be estimated from it.
    `ascii_bytes` of the text are ASCII; the rest are other scripts (a cheap hint for the estimate).
    """

    size_bytes: int = 0
    text_bytes: int = 0
    ascii_bytes: int = 0


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """The input by part. `history` is every earlier turn; `last_user` the last user turn."""

    system: Part = Part()
    tools: Part = Part()
    history: Part = Part()
    tool_results: Part = Part()
    last_user: Part = Part()


class RequestFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a codec reads of a request. Text stays here, in memory; no field of it enters a record.

    `max_output` is what the client set, in tokens, in whichever field; `max_output_field` names it.
    `n` is the number of answers asked for. `system_text` and `tools_raw` feed the fingerprint.
    `prompt` is the list of canonical pieces (tools, system, then each message) whose running hash
    gives the prefix hashes. `previous_id` is the response that a request of Responses goes on from,
    `keeps_reply` whether it may be gone on from later (trap K10). `metadata_user` and `metadata` come from
    the dialect's own fields.
    """

    surface: Surface
    model: str
    stream: bool = False
    asks_usage: bool = False
    max_output: int | None = None
    max_output_field: str | None = None
    n: int = 1
    message_count: int = 0
    tool_count: int = 0
    image_count: int = 0
    has_tools: bool = False
    has_schema: bool = False
    service_tier: str = ""
    temperature_zero: bool = False
    system_text: str = ""
    tools_raw: bytes = b""
    first_user: bytes = b""
    prompt: tuple[bytes, ...] = ()
    parts: Parts = Parts()
    previous_id: str = ""
    keeps_reply: bool = True
    metadata: dict[str, str] = {}
    metadata_user: str = ""
