"""What a test may ask of the scripted provider, as JSON.

It is read from the header `x-script`, else from the model's name behind `#`, else from `[[script {...}]]`
in the last user message.
"""

import re
from functools import lru_cache
from typing import Any

import msgspec

IN_TEXT = re.compile(r"\[\[script (\{.*\})\]\]", re.DOTALL)


class ScriptError(ValueError):
    """The script is no JSON, or has a field or value that means nothing here."""


class ToolCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One call the model makes; without arguments they follow from the tool's schema."""

    name: str
    arguments: dict[str, Any] | None = None


class Script(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One reply's script. Counts (`*_after`) are events of a stream; 0 is before the reply's head.

    `error` is merged into the error object of a status from 400, `body` replaces the whole body. `usage` is
    merged into the usage in the dialect's own fields, `usage_start` into that of Anthropic's first event.
    `cut_after` closes the connection without an end, `reset_after` resets it, `hang_after` goes silent for
    ever; in a plain reply any count above 0 means half of the body. `stall_ms` pauses once, after
    `stall_after` events. `split` cuts the stream into writes of so many bytes. `no_done` leaves out the
    end mark of the dialect. `usage_always` sends usage in a stream that did not ask for it.
    """

    status: int = 200
    headers: dict[str, str] = {}
    error: dict[str, Any] = {}
    body: str | None = None
    latency_ms: float | None = None
    tokens_per_second: float | None = None
    output_tokens: int | None = None
    text: str | None = None
    model: str | None = None
    tool_call: ToolCall | list[ToolCall] | None = None
    reasoning_tokens: int | None = None
    finish: str | None = None
    usage: dict[str, Any] = {}
    usage_start: dict[str, Any] = {}
    no_usage: bool = False
    usage_always: bool = False
    usage_twice: bool = False
    usage_in_empty_delta: bool = False
    empty_choices_first: bool = False
    comment: bool = False
    crlf: bool = False
    bom: bool = False
    no_done: bool = False
    split: int | None = None
    malformed_after: int | None = None
    error_event_after: int | None = None
    cut_after: int | None = None
    reset_after: int | None = None
    hang_after: int | None = None
    stall_ms: float | None = None
    stall_after: int = 1

    @property
    def calls(self) -> list[ToolCall]:
        """The tool calls, however many were written."""
        if self.tool_call is None:
            return []
        return self.tool_call if isinstance(self.tool_call, list) else [self.tool_call]


PLAIN = Script()


@lru_cache(maxsize=256)
def parse(raw: str) -> Script:
    """Read a script. Raises ScriptError naming the field."""
    try:
        script = msgspec.json.decode(raw, type=Script)
    except msgspec.DecodeError as error:
        raise ScriptError(f"the script cannot be used: {error}") from None
    if not 200 <= script.status <= 599:
        raise ScriptError(f"the script cannot be used: status {script.status} is not between 200 and 599")
    if script.split is not None and script.split < 1:
        raise ScriptError("the script cannot be used: split must be at least 1")
    return script


def find(header: str, model: str, text: str) -> tuple[str, Script]:
    """Return the model's name without a script, and the script. Raises ScriptError."""
    name, hash_, behind = model.partition("#")
    if header:
        return name, parse(header)
    if hash_:
        return name, parse(behind)
    if "[[script " in text and (found := IN_TEXT.search(text)) is not None:
        return name, parse(found[1])
    return name, PLAIN
