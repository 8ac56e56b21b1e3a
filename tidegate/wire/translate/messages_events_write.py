"""Write events as an Anthropic stream, or as a plain message."""

from typing import assert_never

import msgspec

from tidegate.model import event as ev
from tidegate.model.message import RedactedThinking, Refusal, Text, Thinking, ToolUse
from tidegate.model.usage import Usage
from tidegate.wire.anthropic_errors import KEEP_ALIVE
from tidegate.wire.translate.error_words import messages_error
from tidegate.wire.translate.finish import TO_MESSAGES
from tidegate.wire.translate.ids import anthropic_id
from tidegate.wire.translate.inputs import input_of
from tidegate.wire.translate.usage import messages_usage

NO_REASON: ev.Finished = ev.Finished("stop")

_encode = msgspec.json.Encoder().encode


class MessagesWriter:
    """Gives whole SSE frames in the order that Anthropic's SDKs read them.

    Blocks are numbered as they start. Text and thinking end where other content begins; a call ends when the
    reader says so, since some providers send the arguments of two calls in turns.
    """

    def __init__(self) -> None:
        self._begun = False
        self._is_over = False
        self._next = 0
        self._kind = ""
        self._index = 0
        self._calls: dict[int, int] = {}
        self._usage: Usage | None = None
        self._finish: ev.Finished | None = None

    def event(self, event: ev.Event) -> bytes:  # noqa: PLR0911  # one kind, one line
        """Return the frames that an event gives; empty for one that another will say."""
        if self._is_over:
            return b""
        match event:
            case ev.TextDelta(text) | ev.RefusalDelta(text):
                opened = self._open("text", {"type": "text", "text": ""})
                return opened + self._delta({"type": "text_delta", "text": text})
            case ev.ThinkingDelta(text):
                opened = self._open("thinking", {"type": "thinking", "thinking": "", "signature": ""})
                return opened + self._delta({"type": "thinking_delta", "thinking": text})
            case ev.ThinkingSignature(signature):
                opened = self._open("thinking", {"type": "thinking", "thinking": "", "signature": ""})
                return opened + self._delta({"type": "signature_delta", "signature": signature})
            case ev.ToolArguments(call, text):
                return self._arguments(call, text)
            case ev.ToolStarted() | ev.RedactedThinkingSeen():
                return self._block(event)
            case _:
                return self._control(event)

    def _control(
        self,
        event: ev.Started | ev.BlockEnded | ev.UsageSeen | ev.Finished | ev.Ping | ev.Failed | ev.Ended,
    ) -> bytes:
        match event:
            case ev.Started(ident, model):
                return self._begin(ident, model)
            case ev.BlockEnded(call):
                return self._close() if call is None else self._close_call(call)
            case ev.UsageSeen(report):
                self._usage = report.usage
            case ev.Finished():
                self._finish = event
            case ev.Ping():
                return KEEP_ALIVE
            case ev.Failed(error):
                self._is_over = True
                return b"event: error\ndata: " + messages_error(error) + b"\n\n"
            case ev.Ended():
                return self._end()
            case _:
                assert_never(event)
        return b""

    def _begin(self, ident: str, model: str) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        message = _message(ident, model)
        message["usage"] = messages_usage(self._usage or Usage())
        return _frame("message_start", {"message": message})

    def _open(self, kind: str, block: dict[str, object]) -> bytes:
        """Open a block of text or thinking, where it is not the one that is open."""
        if self._kind == kind:
            return b""
        closed = self._close()
        self._kind = kind
        self._index, started = self._start(block)
        return closed + started

    def _start(self, block: dict[str, object]) -> tuple[int, bytes]:
        begun = self._begin("", "")
        index, self._next = self._next, self._next + 1
        return index, begun + _frame("content_block_start", {"index": index, "content_block": block})

    def _block(self, event: ev.ToolStarted | ev.RedactedThinkingSeen) -> bytes:
        closed = self._close()
        if isinstance(event, ev.RedactedThinkingSeen):
            index, started = self._start({"type": "redacted_thinking", "data": event.data})
            return closed + started + _stop(index)
        ident = anthropic_id(event.id)
        block: dict[str, object] = {"type": "tool_use", "id": ident, "name": event.name, "input": {}}
        self._calls[event.call], started = self._start(block)
        return closed + started

    def _arguments(self, call: int, text: str) -> bytes:
        index = self._calls.get(call)
        if index is None:
            return b""
        delta = {"type": "input_json_delta", "partial_json": text}
        return _frame("content_block_delta", {"index": index, "delta": delta})

    def _delta(self, delta: dict[str, object]) -> bytes:
        return _frame("content_block_delta", {"index": self._index, "delta": delta})

    def _close(self) -> bytes:
        if not self._kind:
            return b""
        self._kind = ""
        return _stop(self._index)

    def _close_call(self, call: int) -> bytes:
        index = self._calls.pop(call, None)
        return b"" if index is None else _stop(index)

    def _end(self) -> bytes:
        self._is_over = True
        out = self._begin("", "") + self._close()
        out += b"".join(self._close_call(call) for call in tuple(self._calls))
        delta = _stopped(self._finish or NO_REASON)
        usage = messages_usage(self._usage or Usage())
        out += _frame("message_delta", {"delta": delta, "usage": usage})
        return out + _frame("message_stop", {})


def plain_message(reply: ev.Reply) -> bytes:
    """Return a reply as a plain message; an error body where it is one."""
    if reply.error is not None:
        return messages_error(reply.error)
    message = _message(reply.id, reply.model)
    message["content"] = [_part(part) for part in reply.parts]
    message |= _stopped(reply.finish or NO_REASON)
    usage = reply.usage.usage if reply.usage is not None else Usage()
    message["usage"] = messages_usage(usage)
    return _encode(message)


def _message(ident: str, model: str) -> dict[str, object]:
    return {
        "id": ident,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _part(part: object) -> dict[str, object]:
    match part:
        case Text(text=text) | Refusal(text=text):
            return {"type": "text", "text": text}
        case Thinking():
            return {"type": "thinking", "thinking": part.text, "signature": part.signature}
        case RedactedThinking():
            return {"type": "redacted_thinking", "data": part.data}
        case ToolUse():
            raw, _ = input_of(part.arguments)
            return {"type": "tool_use", "id": anthropic_id(part.id), "name": part.name, "input": raw}
        case _:
            raise AssertionError(f"a reply holds no {type(part).__name__}")


def _stopped(finish: ev.Finished) -> dict[str, object]:
    out: dict[str, object] = {
        "stop_reason": TO_MESSAGES[finish.reason],
        "stop_sequence": finish.stop_sequence or None,
    }
    if finish.explanation:
        out["stop_details"] = {"type": "refusal", "category": None, "explanation": finish.explanation}
    return out


def _stop(index: int) -> bytes:
    return _frame("content_block_stop", {"index": index})


def _frame(name: str, fields: dict[str, object]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + _encode({"type": name, **fields}) + b"\n\n"
