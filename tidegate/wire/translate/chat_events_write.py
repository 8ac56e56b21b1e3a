"""Write events as a chat stream, or as a plain chat reply."""

from typing import assert_never

import msgspec

from tidegate.model import event as ev
from tidegate.model.message import RedactedThinking, Refusal, Text, Thinking, ToolUse
from tidegate.model.usage import Usage
from tidegate.wire.translate.error_words import chat_error
from tidegate.wire.translate.finish import TO_CHAT
from tidegate.wire.translate.usage import chat_usage

DONE = b"data: [DONE]\n\n"
PING = b": ping\n\n"
NO_REASON: ev.Finished = ev.Finished("stop")

_encode = msgspec.json.Encoder().encode


class ChatWriter:
    """Gives whole SSE frames in the order that OpenAI's SDKs read them.

    `created_s` is the Unix time of the reply. `asks_usage`: the client asked for the usage chunk. What a
    model thought goes out as `reasoning_content`, as other providers of the dialect do, and the stop sequence
    that was met as vLLM's `stop_reason`.
    """

    def __init__(self, *, created_s: int, asks_usage: bool) -> None:
        self._created_s = created_s
        self._asks_usage = asks_usage
        self._head: dict[str, object] | None = None
        self._usage: Usage | None = None
        self._finish: ev.Finished | None = None
        self._spoke = False
        self._refused = False
        self._is_over = False

    def event(self, event: ev.Event) -> bytes:  # noqa: PLR0911  # one kind, one line
        """Return the frames that an event gives; empty for one that another will say."""
        if self._is_over:
            return b""
        match event:
            case ev.TextDelta(text):
                self._spoke = True
                return self._chunk({"content": text})
            case ev.ToolArguments(call, text):
                return self._chunk({"tool_calls": [{"index": call, "function": {"arguments": text}}]})
            case ev.ThinkingDelta(text):
                return self._chunk({"reasoning_content": text})
            case ev.RefusalDelta(text):
                self._refused = True
                return self._chunk({"refusal": text})
            case ev.ToolStarted(call, ident, name):
                self._spoke = True
                function = {"name": name, "arguments": ""}
                started = {"index": call, "id": ident, "type": "function", "function": function}
                return self._chunk({"tool_calls": [started]})
            case _:
                return self._control(event)

    def _control(
        self,
        event: ev.Started
        | ev.ThinkingSignature
        | ev.RedactedThinkingSeen
        | ev.BlockEnded
        | ev.UsageSeen
        | ev.Finished
        | ev.Ping
        | ev.Failed
        | ev.Ended,
    ) -> bytes:
        match event:
            case ev.Started(ident, model):
                return self._begin(ident, model)
            case ev.UsageSeen(report):
                self._usage = report.usage
            case ev.Finished():
                self._finish = event
            case ev.Ping():
                return PING
            case ev.Failed(error):
                self._is_over = True
                return b"data: " + chat_error(error) + b"\n\n"
            case ev.Ended():
                return self._end()
            case ev.ThinkingSignature() | ev.RedactedThinkingSeen() | ev.BlockEnded():
                pass
            case _:
                assert_never(event)
        return b""

    def _begin(self, ident: str, model: str) -> bytes:
        if self._head is not None:
            return b""
        self._head = _head(ident, model, self._created_s, "chat.completion.chunk")
        return self._frame({"role": "assistant", "content": ""}, None)

    def _chunk(self, delta: dict[str, object]) -> bytes:
        begun = self._begin("", "") if self._head is None else b""
        return begun + self._frame(delta, None)

    def _frame(self, delta: dict[str, object], finish: str | None, stop: str = "") -> bytes:
        assert self._head is not None, "a stream begins before it goes on"
        choice: dict[str, object] = {"index": 0, "delta": delta, "finish_reason": finish}
        if stop:
            choice["stop_reason"] = stop
        chunk = {**self._head, "choices": [choice]}
        if self._asks_usage:
            chunk["usage"] = None
        return b"data: " + _encode(chunk) + b"\n\n"

    def _end(self) -> bytes:
        self._is_over = True
        out = self._begin("", "")
        finish = self._finish or NO_REASON
        if finish.explanation and not self._refused:
            out += self._frame({"refusal": finish.explanation}, None)
            self._refused = not self._spoke
        out += self._frame({}, _word(finish, refused=self._refused), finish.stop_sequence)
        if self._asks_usage and self._usage is not None:
            assert self._head is not None, "a stream begins before it ends"
            usage = chat_usage(self._usage)
            out += b"data: " + _encode({**self._head, "choices": [], "usage": usage}) + b"\n\n"
        return out + DONE


def plain_chat(reply: ev.Reply, *, created_s: int) -> bytes:
    """Return a reply as a plain chat completion; an error body where it is one."""
    if reply.error is not None:
        return chat_error(reply.error)
    finish = reply.finish or NO_REASON
    refusal = "".join(part.text for part in reply.parts if isinstance(part, Refusal))
    message = _message(reply, refusal or finish.explanation)
    spoke = any(isinstance(part, Text | ToolUse) for part in reply.parts)
    choice: dict[str, object] = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": _word(finish, refused=bool(refusal or (finish.explanation and not spoke))),
    }
    if finish.stop_sequence:
        choice["stop_reason"] = finish.stop_sequence
    out: dict[str, object] = {
        **_head(reply.id, reply.model, created_s, "chat.completion"),
        "choices": [choice],
    }
    if reply.usage is not None:
        out["usage"] = chat_usage(reply.usage.usage)
    return _encode(out)


def _head(ident: str, model: str, created_s: int, kind: str) -> dict[str, object]:
    return {"id": ident, "object": kind, "created": created_s, "model": model}


def _word(finish: ev.Finished, *, refused: bool) -> str:
    """Return OpenAI's word. Who refused in words and said nothing else stopped; the rest was filtered."""
    return "stop" if finish.reason == "refusal" and refused else TO_CHAT[finish.reason]


def _message(reply: ev.Reply, refusal: str) -> dict[str, object]:
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[dict[str, object]] = []
    for part in reply.parts:
        match part:
            case Text():
                texts.append(part.text)
            case Thinking():
                thoughts.append(part.text)
            case ToolUse():
                function = {"name": part.name, "arguments": part.arguments}
                calls.append({"id": part.id, "type": "function", "function": function})
            case Refusal() | RedactedThinking():
                pass
            case _:
                raise AssertionError(f"a reply holds no {type(part).__name__}")
    message: dict[str, object] = {"role": "assistant", "content": "".join(texts) or None}
    if thoughts:
        message["reasoning_content"] = "".join(thoughts)
    message["refusal"] = refusal or None
    if calls:
        message["tool_calls"] = calls
    return message
