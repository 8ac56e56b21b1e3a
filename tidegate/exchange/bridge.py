"""Between a client and a provider: one dialect byte for byte, or two by way of one conversation.

A bridge belongs to one upstream call.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from tidegate.model.event import Event, Reply
from tidegate.model.message import Kept, Message, TargetTraits
from tidegate.model.provider import UsageRules
from tidegate.model.reply import ErrorFacts
from tidegate.model.request import Surface
from tidegate.wire.body import Body
from tidegate.wire.sse import Frame
from tidegate.wire.translate import (
    Asked,
    ChatEvents,
    ChatWriter,
    Fold,
    MessagesEvents,
    MessagesWriter,
    ResponsesWriter,
    Written,
    chat_error,
    continued,
    echo_of,
    messages_error,
    plain_chat,
    plain_message,
    plain_response,
    read_chat,
    read_messages,
    read_responses,
    responses_error,
    write_chat,
    write_messages,
)


class Bridge(Protocol):
    """What stands between a client's dialect and that of the surface its provider is called through."""

    surface: Surface

    def frame(self, frame: Frame) -> bytes:
        """One event of the provider's stream as the client is given it; empty where there is nothing."""
        ...

    def close(self) -> bytes:
        """What the client is given when the provider's stream has ended as it should."""
        ...

    def whole(self, raw: bytes) -> bytes:
        """A plain answer as the client is given it."""
        ...

    def error(self, status: int, facts: ErrorFacts, raw: bytes) -> bytes:
        """A provider's error as the client is given it."""
        ...

    def kept(self) -> Mapping[str, Sequence[Kept]]:
        """What the client's dialect cannot carry, by tool-call id (trap S11)."""
        ...

    def turns(self) -> tuple[Message, ...] | None:
        """All turns up to and with the answer's; None where the provider keeps them, if anyone (trap K10)."""
        ...


class Straight:
    """One dialect: everything goes through byte for byte."""

    __slots__ = ("surface",)

    def __init__(self, surface: Surface) -> None:
        self.surface = surface

    def frame(self, frame: Frame) -> bytes:
        """See Bridge."""
        return frame.raw

    def close(self) -> bytes:
        """See Bridge."""
        return b""

    def whole(self, raw: bytes) -> bytes:
        """See Bridge."""
        return raw

    def error(self, status: int, facts: ErrorFacts, raw: bytes) -> bytes:  # noqa: ARG002 - the bytes say it
        """See Bridge."""
        return raw

    def kept(self) -> Mapping[str, Sequence[Kept]]:
        """See Bridge."""
        return {}

    def turns(self) -> None:
        """See Bridge."""
        return


class Reader(Protocol):
    """Reads one reply of a dialect into events."""

    def event(self, name: bytes, data: bytes) -> Iterable[Event]:
        """The events of one SSE event."""
        ...

    def close(self) -> Iterable[Event]:
        """What is left when the stream closes."""
        ...

    def plain(self, raw: bytes) -> Iterable[Event]:
        """The events of a plain reply."""
        ...


class Writer(Protocol):
    """Writes events as a stream of another dialect."""

    def event(self, event: Event) -> bytes:
        """Whole frames."""
        ...


class Translated:
    """Two dialects: a reply is read into events, which are written again."""

    __slots__ = ("_error", "_fold", "_plain", "_reader", "_turns", "_writer", "surface")

    def __init__(
        self,
        surface: Surface,
        reader: Reader,
        writer: Writer,
        *,
        plain: Callable[[Reply], bytes],
        error: Callable[[ErrorFacts, int], bytes],
        turns: tuple[Message, ...],
    ) -> None:
        self._turns = turns
        self.surface = surface
        self._reader = reader
        self._writer = writer
        self._plain = plain
        self._error = error
        self._fold = Fold()

    def frame(self, frame: Frame) -> bytes:
        """See Bridge."""
        return self._written(self._reader.event(frame.event, frame.data)) if frame.data else b""

    def close(self) -> bytes:
        """See Bridge."""
        return self._written(self._reader.close())

    def whole(self, raw: bytes) -> bytes:
        """See Bridge."""
        for event in self._reader.plain(raw):
            self._fold.event(event)
        return self._plain(self._fold.reply())

    def error(self, status: int, facts: ErrorFacts, raw: bytes) -> bytes:  # noqa: ARG002 - another dialect's
        """See Bridge."""
        return self._error(facts, status)

    def kept(self) -> Mapping[str, Sequence[Kept]]:
        """See Bridge."""
        return self._fold.kept()

    def turns(self) -> tuple[Message, ...]:
        """See Bridge."""
        return (*self._turns, Message(role="assistant", parts=self._fold.reply().parts))

    def _written(self, events: Iterable[Event]) -> bytes:
        out = b""
        for event in events:
            self._fold.event(event)
            out += self._writer.event(event)
        return out


class _Said(NamedTuple):
    """The client's side: its request, and how it is answered."""

    asked: Asked
    writer: Writer
    plain: Callable[[Reply], bytes]
    error: Callable[[ErrorFacts, int], bytes]


def translated(
    body: Body,
    source: Surface,
    surface: Surface,
    traits: TargetTraits,
    *,
    model: str,
    rules: UsageRules,
    reply_id: str,
    created_s: int,
    drop_unsupported: bool,
    restored: Mapping[str, Sequence[Kept]],
    earlier: Sequence[Message] = (),
    max_output: int | None = None,
) -> tuple[Written, Translated]:
    """A request of `source` said through `surface`, chat or messages; and the way back.

    `earlier` are turns that the client goes on from without sending them, `max_output` is a limit of ours
    on the answer, in tokens. Raises Unsupported, which names the first field that the target cannot express,
    unless the client lets such fields be dropped.
    """
    said = _said(body, source, reply_id, created_s)
    asked = continued(said.asked, earlier) if earlier else said.asked
    if max_output is not None:
        limited = msgspec.structs.replace(asked.conversation, max_output=max_output)
        asked = msgspec.structs.replace(asked, conversation=limited)
    write = write_messages if surface == "messages" else write_chat
    written = write(asked, traits, model=model, drop_unsupported=drop_unsupported, restored=restored)
    reader: Reader = MessagesEvents() if surface == "messages" else ChatEvents(rules, fallback_id=reply_id)
    turns = asked.turns if source == "responses" else ()
    return written, Translated(surface, reader, said.writer, plain=said.plain, error=said.error, turns=turns)


def _said(body: Body, source: Surface, reply_id: str, created_s: int) -> _Said:
    """Read a client's request, and get ready to answer it in its own words."""
    match source:
        case "chat":
            asked = read_chat(body)
            return _Said(
                asked,
                ChatWriter(created_s=created_s, asks_usage=asked.conversation.asks_usage),
                lambda reply: plain_chat(reply, created_s=created_s),
                lambda facts, _: chat_error(facts),
            )
        case "responses":
            asked, request, ident = read_responses(body), echo_of(body), response_id(reply_id)
            return _Said(
                asked,
                ResponsesWriter(created_s=created_s, response_id=ident, request=request),
                lambda reply: plain_response(reply, created_s=created_s, response_id=ident, request=request),
                responses_error,
            )
        case _:
            return _Said(
                read_messages(body),
                MessagesWriter(),
                plain_message,
                lambda facts, status: messages_error(facts, status=status),
            )


def response_id(call_id: str) -> str:
    """The id of a response that no provider of Responses made."""
    return f"resp_{call_id.replace('-', '')}"
