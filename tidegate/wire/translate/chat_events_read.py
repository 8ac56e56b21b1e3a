"""Read a chat reply, streamed or plain, into events."""

from collections.abc import Iterator
from typing import Any

import msgspec

from tidegate.model import event as ev
from tidegate.model.provider import UsageRules
from tidegate.model.reply import ErrorFacts
from tidegate.model.usage import UsageReport
from tidegate.wire.openai_chat.stream import DONE, FAILED_FINISH
from tidegate.wire.openai_errors import error_in, read_error
from tidegate.wire.openai_usage import newer, read_usage
from tidegate.wire.translate.chat_calls_read import Calls, ToolCall
from tidegate.wire.translate.chat_turns_read import ANTHROPIC_FORMAT
from tidegate.wire.translate.finish import FROM_CHAT
from tidegate.wire.translate.loss import said

MAX_LOST = 32
_NONE = msgspec.Raw(b"")


class Detail(msgspec.Struct, gc=False):
    """One of OpenRouter's details of reasoning."""

    type: str = ""
    text: str | None = None
    signature: str | None = None
    data: str | None = None
    format: str | None = None


class Delta(msgspec.Struct, gc=False):
    """What one message or delta brings; a list of parts is possible wherever text is."""

    content: msgspec.Raw = _NONE
    reasoning_content: msgspec.Raw = _NONE
    reasoning: msgspec.Raw = _NONE
    reasoning_details: list[Detail] | None = None
    refusal: str | None = None
    tool_calls: list[ToolCall] | None = None
    function_call: msgspec.Raw = _NONE
    audio: msgspec.Raw = _NONE
    images: msgspec.Raw = _NONE
    annotations: msgspec.Raw = _NONE


class Choice(msgspec.Struct, gc=False):
    """One answer; `stop_reason` is vLLM's word for the stop sequence that was met."""

    index: int | None = None
    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: str | None = None
    stop_reason: str | int | None = None
    logprobs: msgspec.Raw = _NONE


class Chunk(msgspec.Struct, gc=False):
    """One chunk, or a whole plain reply."""

    id: str | None = None
    model: str | None = None
    choices: list[Choice] | None = None
    usage: msgspec.Raw = _NONE
    error: msgspec.Raw = _NONE
    x_groq: dict[str, msgspec.Raw] | None = None


_chunk = msgspec.json.Decoder(Chunk)
_string = msgspec.json.Decoder(str)


class ChatEvents:
    """Gives the events of one chat reply; `lost` are the paths of what no event can hold.

    `fallback_id` stands for the reply's id where the provider gives none. A frame that is no chunk is skipped
    (trap S5). Only the first choice is read: a translated request asks for one.
    """

    def __init__(self, rules: UsageRules, *, fallback_id: str = "reply") -> None:
        self.lost: list[str] = []
        self._rules = rules
        self._started = False
        self._ended = False
        self._finish: ev.Finished | None = None
        self._refused = False
        self._usage: UsageReport | None = None
        self._calls = Calls(fallback_id)
        self._id = fallback_id
        self._model = ""

    def event(self, name: bytes, data: bytes) -> list[ev.Event]:
        """Return the events of one SSE event."""
        if data.strip() == DONE:
            return self._end()
        try:
            chunk = _chunk.decode(data)
        except (ValueError, RecursionError):
            return self._fail(_error(data)) if name == b"error" else []
        found = list(self._chunk(chunk))
        if name == b"error" and not self._ended:
            found += self._fail(_error(data))
        return found

    def close(self) -> list[ev.Event]:
        """Return what is left when the stream closes: its end, where a finish reason was seen (trap S5)."""
        return self._end() if self._finish is not None else []

    def plain(self, raw: bytes) -> list[ev.Event]:
        """Return the events of a whole plain reply."""
        try:
            chunk = _chunk.decode(raw)
        except (ValueError, RecursionError):
            return self._fail(_error(raw))
        found = list(self._chunk(chunk))
        if not chunk.choices and not self._ended:
            return found + self._fail(ErrorFacts(message="the provider's reply holds no answer"))
        return found + self._end()

    def _end(self) -> list[ev.Event]:
        if self._ended:
            return []
        self._ended = True
        found: list[ev.Event] = [*self._begin(), *self._calls.end()]
        found.append(self._finish or self._finished("", None))
        if self._usage is not None:
            found.append(ev.UsageSeen(self._usage))
        return [*found, ev.Ended()]

    def _fail(self, error: ErrorFacts) -> list[ev.Event]:
        """Fail once; nothing but an error ends this reply now."""
        if self._ended:
            return []
        self._ended = True
        return [ev.Failed(error)]

    def _chunk(self, chunk: Chunk) -> Iterator[ev.Event]:
        if chunk.id:
            self._id, self._model = chunk.id, chunk.model or self._model
            self._calls.reply_id = chunk.id
            if chunk.choices:
                yield from self._begin()
        for choice in chunk.choices or ():
            if not choice.index:
                yield from self._choice(choice)
                break
        for usage in (chunk.usage, (chunk.x_groq or {}).get("usage", _NONE)):
            if said(usage):
                self._usage = newer(self._usage, read_usage(usage, self._rules))
        if said(chunk.error):
            yield from self._fail(error_in(chunk.error) or ErrorFacts())

    def _begin(self) -> Iterator[ev.Event]:
        """Start once; a chunk without an id or a choice is no start (trap S9)."""
        if not self._started:
            self._started = True
            yield ev.Started(self._id, self._model)

    def _choice(self, choice: Choice) -> Iterator[ev.Event]:
        if said(choice.logprobs):
            self._lose("logprobs")
        delta = choice.delta or choice.message
        if delta is not None:
            yield from self._delta(delta)
        finish = choice.finish_reason
        if not finish:
            return
        if finish in FAILED_FINISH:
            yield from self._fail(ErrorFacts(code=finish, message=f"the provider ended with {finish[:64]!r}"))
            return
        self._finish = self._finished(finish, choice.stop_reason)

    def _finished(self, word: str, stop: str | int | None) -> ev.Finished:
        """Return why the model stopped; what it did says more than the word (`stop` after a call)."""
        reason = FROM_CHAT.get(word, "stop")
        if reason == "stop" and self._calls.any:
            reason = "tool"
        elif reason == "tool" and not self._calls.any:
            reason = "stop"
        if reason == "stop" and self._refused:
            reason = "refusal"
        if reason == "stop" and isinstance(stop, str):
            return ev.Finished("stop_sequence", stop)
        return ev.Finished(reason)

    def _delta(self, delta: Delta) -> Iterator[ev.Event]:
        for event in self._content(delta):
            yield from self._begin()
            yield event
        for name in ("function_call", "audio", "images", "annotations"):
            if said(getattr(delta, name)):
                self._lose(name)

    def _content(self, delta: Delta) -> Iterator[ev.Event]:
        thought = delta.reasoning_content if said(delta.reasoning_content) else delta.reasoning
        if said(thought):
            for _, text in _texts(thought):
                if text:
                    yield ev.ThinkingDelta(text)
        for detail in delta.reasoning_details or ():
            yield from _detail(detail, is_said=said(thought))
        if said(delta.content):
            for is_thought, text in _texts(delta.content):
                if text:
                    yield ev.ThinkingDelta(text) if is_thought else ev.TextDelta(text)
        if delta.refusal:
            self._refused = True
            yield ev.RefusalDelta(delta.refusal)
        if delta.tool_calls:
            yield from self._calls.read(delta.tool_calls)

    def _lose(self, path: str) -> None:
        if path not in self.lost and len(self.lost) < MAX_LOST:
            self.lost.append(path)


def _detail(detail: Detail, *, is_said: bool) -> Iterator[ev.Event]:
    """Give a detail's signature or data where Anthropic signed it, and its text where nothing else has it."""
    if detail.type == "reasoning.text" and detail.text and not is_said:
        yield ev.ThinkingDelta(detail.text)
    if not (detail.format or "").startswith(ANTHROPIC_FORMAT):
        return
    if detail.signature:
        yield ev.ThinkingSignature(detail.signature)
    elif detail.type == "reasoning.encrypted" and detail.data:
        yield ev.RedactedThinkingSeen(detail.data)


def _texts(raw: bytes) -> Iterator[tuple[bool, str]]:
    """Yield the texts of a string, or of a list of parts such as Mistral's; True with what was thought."""
    try:
        yield False, _string.decode(raw)
    except ValueError:
        try:
            parts = msgspec.json.decode(raw)
        except (ValueError, RecursionError):
            return
        for part in parts if isinstance(parts, list) else ():
            yield from _part_texts(part)


def _part_texts(part: Any) -> Iterator[tuple[bool, str]]:
    if not isinstance(part, dict):
        return
    if isinstance(part.get("text"), str):
        yield False, part["text"]
    thought = part.get("thinking")
    if isinstance(thought, str):
        yield True, thought
    for inner in thought if isinstance(thought, list) else ():
        if isinstance(inner, dict) and isinstance(inner.get("text"), str):
            yield True, inner["text"]


def _error(raw: bytes) -> ErrorFacts:
    return read_error(raw).error or ErrorFacts()
