"""Watch an Anthropic stream, and read a whole message as the fold of one.

Events pass by decoded only as far as they tell something; source: docs.claude.com, "Streaming messages".
"""

import msgspec

from tidegate.model.reply import ErrorFacts, ReplyFacts
from tidegate.wire.anthropic_errors import read_error
from tidegate.wire.anthropic_messages.usage import UsageFold
from tidegate.wire.measure import bytes_size, text_size

MAX_NAME = 256

_NOTHING = msgspec.Raw(b"")


class _Delta(msgspec.Struct):
    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    stop_reason: str | None = None


class _Block(msgspec.Struct):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    input: msgspec.Raw = _NOTHING


class _BlockDelta(msgspec.Struct):
    delta: _Delta


class _BlockStart(msgspec.Struct):
    content_block: _Block


class _MessageDelta(msgspec.Struct):
    delta: _Delta = msgspec.field(default_factory=_Delta)
    usage: msgspec.Raw = _NOTHING


class _Message(msgspec.Struct):
    type: str = ""
    id: str | None = None
    model: str | None = None
    stop_reason: str | None = None
    content: list[_Block] = []
    usage: msgspec.Raw = _NOTHING


class _MessageStart(msgspec.Struct):
    message: _Message


class _Typed(msgspec.Struct):
    type: str = ""


_block_delta = msgspec.json.Decoder(_BlockDelta).decode
_block_start = msgspec.json.Decoder(_BlockStart).decode
_message_delta = msgspec.json.Decoder(_MessageDelta).decode
_message_start = msgspec.json.Decoder(_MessageStart).decode
_message = msgspec.json.Decoder(_Message).decode
_typed = msgspec.json.Decoder(_Typed).decode

_SILENT = frozenset((b"ping", b"content_block_stop"))
_KNOWN = _SILENT | {
    b"message_start",
    b"content_block_start",
    b"content_block_delta",
    b"message_delta",
    b"message_stop",
    b"error",
}
EMPTY_UNTIL_DELTA = ("text", "thinking")
"""Blocks whose start may hold nothing yet; every other block is content by being there (trap S7)."""


class Watcher:
    """Reads one streamed message event by event.

    Until the last `message_delta` the output is unknown: what `message_start` says of it is only a start.
    """

    __slots__ = ("_usage", "facts")

    def __init__(self) -> None:
        self.facts = ReplyFacts()
        self._usage = UsageFold()

    def event(self, name: bytes, data: bytes) -> bool:
        """Read one event; always True, since nothing on this surface is there only for us."""
        if not data:
            return True
        try:
            if name == b"content_block_delta":
                self._on_delta(_block_delta(data).delta)
            else:
                self._on_event(name, data)
        except (ValueError, RecursionError):
            self.facts.bad_frames += 1
        return True

    def _on_event(self, name: bytes, data: bytes) -> None:
        if name not in _KNOWN:
            if data == b"[DONE]":  # some servers close every dialect with OpenAI's mark
                return
            name = _typed(data).type.encode()
        match name:
            case b"content_block_delta":
                self._on_delta(_block_delta(data).delta)
            case b"content_block_start":
                self._on_block(_block_start(data).content_block)
            case b"message_start":
                self._on_message(_message_start(data).message, final=False)
            case b"message_delta":
                event = _message_delta(data)
                self.facts.finish = event.delta.stop_reason or self.facts.finish
                self._on_usage(event.usage, final=True)
            case b"message_stop":
                self.facts.complete = True
            case b"error":
                self.facts.error = read_error(data).error
            case _:
                pass

    def _on_delta(self, delta: _Delta) -> None:
        text = delta.text or delta.partial_json or delta.thinking
        if text:
            self._generated(text)

    def _on_block(self, block: _Block) -> None:
        facts = self.facts
        if block.type == "tool_use":
            facts.tool_calls += 1
        if block.type not in EMPTY_UNTIL_DELTA:
            facts.started = True
        if block.text or block.thinking:
            self._generated(block.text or block.thinking or "")
        arguments = bytes(block.input)
        if arguments not in (b"", b"{}", b"null"):  # trap S10: no deltas follow
            size, ascii_size = bytes_size(arguments)
            facts.text_bytes += size
            facts.ascii_bytes += ascii_size

    def _on_message(self, message: _Message, *, final: bool) -> None:
        facts = self.facts
        facts.id, facts.model = (message.id or "")[:MAX_NAME], (message.model or "")[:MAX_NAME]
        for block in message.content:
            self._on_block(block)
        if message.stop_reason is not None:
            facts.finish = message.stop_reason
        self._on_usage(message.usage, final=final)

    def _on_usage(self, raw: msgspec.Raw, *, final: bool) -> None:
        self._usage.add(bytes(raw), final=final)
        self.facts.usage = self._usage.report()
        self.facts.service_tier = self._usage.tier

    def _generated(self, text: str) -> None:
        facts = self.facts
        facts.started = True
        size, ascii_size = text_size(text)
        facts.text_bytes += size
        facts.ascii_bytes += ascii_size

    def read_whole(self, raw: bytes) -> None:
        """Take a plain reply: its start, its blocks and its end at once."""
        try:
            message = _message(raw)
        except (ValueError, RecursionError):
            self.facts.bad_frames += 1
            return
        if message.type == "error":
            self.facts.error = read_error(raw).error or ErrorFacts()
            return
        self._on_message(message, final=True)
        self.facts.complete = message.type == "message"
