"""Between a client and a provider: one dialect byte for byte, or two by way of one conversation.

A bridge belongs to one upstream call.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from tidegate.model.event import Event, Reply
from tidegate.model.message import Kept, TargetTraits
from tidegate.model.provider import UsageRules
from tidegate.model.reply import ErrorFacts
from tidegate.model.request import Surface
from tidegate.wire.body import Body
from tidegate.wire.sse import Frame
from tidegate.wire.translate import (
    ChatEvents,
    ChatWriter,
    Fold,
    MessagesEvents,
    MessagesWriter,
    Written,
    chat_error,
    messages_error,
    plain_chat,
    plain_message,
    read_chat,
    read_messages,
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

    __slots__ = ("_error", "_fold", "_plain", "_reader", "_writer", "surface")

    def __init__(
        self,
        surface: Surface,
        reader: Reader,
        writer: Writer,
        *,
        plain: Callable[[Reply], bytes],
        error: Callable[[ErrorFacts, int], bytes],
    ) -> None:
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

    def _written(self, events: Iterable[Event]) -> bytes:
        out = b""
        for event in events:
            self._fold.event(event)
            out += self._writer.event(event)
        return out


def translated(
    body: Body,
    surface: Surface,
    traits: TargetTraits,
    *,
    model: str,
    rules: UsageRules,
    reply_id: str,
    created_s: int,
    drop_unsupported: bool,
    restored: Mapping[str, Sequence[Kept]],
) -> tuple[Written, Translated]:
    """A request said through `surface`, chat or messages, of the other dialect; and the way back.

    Raises Unsupported, which names the first field that the target cannot express, unless the client lets
    such fields be dropped.
    """
    if surface == "messages":
        asked = read_chat(body)
        written = write_messages(
            asked, traits, model=model, drop_unsupported=drop_unsupported, restored=restored
        )
        conversation = asked.conversation
        return written, Translated(
            "messages",
            MessagesEvents(),
            ChatWriter(created_s=created_s, asks_usage=conversation.asks_usage),
            plain=lambda reply: plain_chat(reply, created_s=created_s),
            error=lambda facts, _: chat_error(facts),
        )
    asked = read_messages(body)
    written = write_chat(asked, traits, model=model, drop_unsupported=drop_unsupported, restored=restored)
    return written, Translated(
        "chat",
        ChatEvents(rules, fallback_id=reply_id),
        MessagesWriter(),
        plain=plain_message,
        error=lambda facts, status: messages_error(facts, status=status),
    )
