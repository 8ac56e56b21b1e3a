"""A reply in no dialect's words: a stream of events, of which a plain reply is the fold.

A stream is `Started`, then content, then `Finished`, then `Ended`; `UsageSeen` may come anywhere, more than
once, and the last one counts. `Failed` ends it instead. A stream without `Ended` was cut (trap S6).
"""

from typing import Literal

import msgspec

from tidegate.model.message import NOTHING, Part
from tidegate.model.reply import ErrorFacts
from tidegate.model.usage import UsageReport

Finish = Literal["stop", "length", "context", "tool", "filter", "refusal", "pause", "stop_sequence"]
"""Why a model stopped. `context`: its window is full. `filter`: cut by a content filter. `refusal`: it would
not answer, or its provider would not let it. `pause`: it waits to be called again."""


class Started(msgspec.Struct, frozen=True, gc=False):
    """The first event: the provider's id and its model's name."""

    id: str
    model: str


class TextDelta(msgspec.Struct, frozen=True, gc=False):
    """Some text of the answer."""

    text: str


class ThinkingDelta(msgspec.Struct, frozen=True, gc=False):
    """Some of what the model thinks."""

    text: str


class ThinkingSignature(msgspec.Struct, frozen=True, gc=False):
    """The signature of the thinking before it."""

    signature: str


class RedactedThinkingSeen(msgspec.Struct, frozen=True, gc=False):
    """A whole block of redacted thinking."""

    data: str


class RefusalDelta(msgspec.Struct, frozen=True, gc=False):
    """Some of the words of a refusal."""

    text: str


class ToolStarted(msgspec.Struct, frozen=True, gc=False):
    """A call begins. `call` counts the calls of the reply from 0.

    `extra` is a field of the provider's own that must come back with the call: its name and its raw JSON.
    """

    call: int
    id: str
    name: str
    extra_name: str = ""
    extra: msgspec.Raw = NOTHING


class ToolArguments(msgspec.Struct, frozen=True, gc=False):
    """Some of a call's arguments, as JSON text."""

    call: int
    text: str


class BlockEnded(msgspec.Struct, frozen=True, gc=False):
    """Text or thinking ends, or the arguments of one `call`; optional where other content follows."""

    call: int | None = None


class UsageSeen(msgspec.Struct, frozen=True, gc=False):
    """What the provider says was consumed so far."""

    report: UsageReport


class Finished(msgspec.Struct, frozen=True, gc=False):
    """Why the model stopped; `stop_sequence` is the sequence it met, `explanation` a refusal's."""

    reason: Finish
    stop_sequence: str = ""
    explanation: str = ""


class Ping(msgspec.Struct, frozen=True, gc=False):
    """A sign of life."""


class Failed(msgspec.Struct, frozen=True, gc=False):
    """The provider ends the stream with an error."""

    error: ErrorFacts


class Ended(msgspec.Struct, frozen=True, gc=False):
    """The dialect's own end: the reply is whole."""


Event = (
    Started
    | TextDelta
    | ThinkingDelta
    | ThinkingSignature
    | RedactedThinkingSeen
    | RefusalDelta
    | ToolStarted
    | ToolArguments
    | BlockEnded
    | UsageSeen
    | Finished
    | Ping
    | Failed
    | Ended
)


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """A whole reply, the fold of its events. `whole` is false for one that was cut or failed."""

    id: str = ""
    model: str = ""
    parts: tuple[Part, ...] = ()
    finish: Finished | None = None
    usage: UsageReport | None = None
    error: ErrorFacts | None = None
    whole: bool = False
