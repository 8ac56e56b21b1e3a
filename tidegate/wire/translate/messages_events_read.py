"""Read an Anthropic reply, streamed or plain, into events."""

from collections.abc import Iterator

import msgspec

from tidegate.model import event as ev
from tidegate.model.reply import ErrorFacts
from tidegate.wire.anthropic_errors import read_error
from tidegate.wire.anthropic_messages.usage import UsageFold
from tidegate.wire.translate.finish import FROM_MESSAGES
from tidegate.wire.translate.ids import plain_id
from tidegate.wire.translate.inputs import arguments_in
from tidegate.wire.translate.loss import said

MAX_LOST = 32
_NONE = msgspec.Raw(b"")


class Block(msgspec.Struct, gc=False):
    """A block at its start, or whole in a plain reply."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = _NONE
    citations: msgspec.Raw = _NONE


class Details(msgspec.Struct, gc=False):
    """What is said about a refusal."""

    explanation: str | None = None


class Delta(msgspec.Struct, gc=False):
    """The delta of a block, or of the message."""

    type: str = ""
    text: str | None = None
    partial_json: str | None = None
    thinking: str | None = None
    signature: str | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: Details | None = None


class Message(msgspec.Struct, gc=False):
    """A message at its start, or whole."""

    type: str = ""
    id: str | None = None
    model: str | None = None
    content: list[Block] = []
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: Details | None = None
    usage: msgspec.Raw = _NONE


class Envelope(msgspec.Struct, gc=False):
    """Any event of the stream."""

    type: str = ""
    index: int = 0
    message: Message | None = None
    content_block: Block | None = None
    delta: Delta | None = None
    usage: msgspec.Raw = _NONE


_envelope = msgspec.json.Decoder(Envelope)
_message = msgspec.json.Decoder(Message)


class _Open:
    """One block of the wire that is open. `call` is set for a tool's; `given` once it had arguments."""

    __slots__ = ("call", "given", "input", "kind")

    def __init__(self, block: Block, call: int | None) -> None:
        self.kind = block.type
        self.call = call
        self.input = bytes(block.input)
        self.given = False


class MessagesEvents:
    """Gives the events of one reply; `lost` are the types of blocks and deltas that no event can hold.

    A frame that is no event of the dialect is skipped (trap S5).
    """

    def __init__(self) -> None:
        self.lost: list[str] = []
        self._usage = UsageFold()
        self._open: dict[int, _Open] = {}
        self._calls = 0
        self._ended = False
        self._finished = False

    def event(self, name: bytes, data: bytes) -> list[ev.Event]:
        """Return the events of one SSE event."""
        try:
            envelope = _envelope.decode(data)
        except (ValueError, RecursionError):
            return self._fail(data) if name == b"error" else []
        return list(self._event(envelope, data))

    def close(self) -> list[ev.Event]:
        """Return what is left when the stream closes: its end, where a stop reason was seen (trap S5)."""
        return self._end() if self._finished else []

    def plain(self, raw: bytes) -> list[ev.Event]:
        """Return the events of a whole plain reply."""
        try:
            message = _message.decode(raw)
        except (ValueError, RecursionError):
            return self._fail(raw)
        if message.type != "message":
            return self._fail(raw)
        found: list[ev.Event] = [ev.Started(message.id or "", message.model or "")]
        for index, block in enumerate(message.content):
            found += self._start(index, block)
            found += self._stop(index)
        found += self._count(message.usage, final=True)
        found.append(_finish(message.stop_reason or "", message.stop_sequence, message.stop_details))
        return found + self._end()

    def _event(self, envelope: Envelope, data: bytes) -> Iterator[ev.Event]:
        delta, block = envelope.delta, envelope.content_block
        match envelope.type:
            case "content_block_delta":
                yield from self._delta(envelope.index, delta or Delta())
            case "content_block_start":
                yield from self._start(envelope.index, block or Block())
            case "content_block_stop":
                yield from self._stop(envelope.index)
            case "message_start":
                yield from self._begin(envelope.message or Message())
            case "message_delta":
                yield from self._count(envelope.usage, final=True)
                if delta is not None and delta.stop_reason:
                    self._finished = True
                    yield _finish(delta.stop_reason, delta.stop_sequence, delta.stop_details)
            case "message_stop":
                yield from self._end()
            case "error":
                yield from self._fail(data)
            case "ping":
                yield ev.Ping()
            case _:
                pass

    def _begin(self, message: Message) -> Iterator[ev.Event]:
        yield ev.Started(message.id or "", message.model or "")
        yield from self._count(message.usage, final=False)

    def _start(self, index: int, block: Block) -> Iterator[ev.Event]:
        call: int | None = None
        if block.type == "tool_use":
            call, self._calls = self._calls, self._calls + 1
            yield ev.ToolStarted(call, plain_id(block.id or ""), block.name or "")
        elif block.type == "text":
            if block.text:
                yield ev.TextDelta(block.text)
            if said(block.citations):
                self._lose("citations")
        elif block.type == "thinking":
            if block.thinking:
                yield ev.ThinkingDelta(block.thinking)
            if block.signature:
                yield ev.ThinkingSignature(block.signature)
        elif block.type == "redacted_thinking":
            yield ev.RedactedThinkingSeen(block.data or "")
        else:
            self._lose(block.type)
        self._open[index] = _Open(block, call)

    def _delta(self, index: int, delta: Delta) -> Iterator[ev.Event]:
        match delta.type:
            case "text_delta":
                if delta.text:
                    yield ev.TextDelta(delta.text)
            case "input_json_delta":
                opened = self._open.get(index)
                if opened is not None and opened.call is not None and delta.partial_json:
                    opened.given = True
                    yield ev.ToolArguments(opened.call, delta.partial_json)
            case "thinking_delta":
                if delta.thinking:
                    yield ev.ThinkingDelta(delta.thinking)
            case "signature_delta":
                if delta.signature:
                    yield ev.ThinkingSignature(delta.signature)
            case other:
                self._lose(other.removesuffix("_delta"))

    def _stop(self, index: int) -> Iterator[ev.Event]:
        """End a block; a tool's whose arguments stood at its start gives them now (trap S10)."""
        opened = self._open.pop(index, None)
        if opened is None:
            return
        if opened.call is not None:
            if not opened.given:
                yield ev.ToolArguments(opened.call, arguments_in(opened.input))
            yield ev.BlockEnded(opened.call)
        elif opened.kind in ("text", "thinking"):
            yield ev.BlockEnded()

    def _count(self, usage: bytes, *, final: bool) -> Iterator[ev.Event]:
        self._usage.add(bytes(usage), final=final)
        report = self._usage.report()
        if report is not None and usage:
            yield ev.UsageSeen(report)

    def _end(self) -> list[ev.Event]:
        if self._ended:
            return []
        self._ended = True
        left = [event for index in tuple(self._open) for event in self._stop(index)]
        return [*left, ev.Ended()]

    def _fail(self, raw: bytes) -> list[ev.Event]:
        if self._ended:
            return []
        self._ended = True
        return [ev.Failed(read_error(raw).error or ErrorFacts())]

    def _lose(self, what: str) -> None:
        if what not in self.lost and len(self.lost) < MAX_LOST:
            self.lost.append(what[:64])


def _finish(word: str, stop_sequence: str | None, details: Details | None) -> ev.Finished:
    explanation = details.explanation if details is not None else None
    return ev.Finished(FROM_MESSAGES.get(word, "stop"), stop_sequence or "", explanation or "")
