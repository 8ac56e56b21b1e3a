"""A chat reply, plain or streamed: one reader, fed chunk by chunk; a plain reply is one chunk."""

from collections.abc import Iterator

import msgspec

from tidegate.model.provider import UsageRules
from tidegate.model.reply import ErrorFacts, ReplyFacts
from tidegate.wire.fields import MAX_WORD_CHARS
from tidegate.wire.measure import text_size
from tidegate.wire.openai_errors import error_in, read_error
from tidegate.wire.openai_usage import newer, read_usage

DONE = b"[DONE]"
MAX_NAME_CHARS = 256
"""Names and words of a provider are kept in records, so they are cut."""

_NONE = msgspec.Raw(b"")
_NULL = msgspec.Raw(b"null")

FAILED_FINISH = frozenset({"error", "insufficient_system_resource"})
"""Finish reasons by which a provider says that it broke off (OpenRouter, DeepSeek; trap S12)."""

_ENVELOPE = frozenset(
    {
        *("id", "object", "created", "model", "choices", "usage", "obfuscation", "provider"),
        *("service_tier", "system_fingerprint"),
    }
)
"""What a usage chunk may hold and still be nothing but a usage chunk (trap S2)."""


class Function(msgspec.Struct, gc=False):
    """The part of a function call that one delta brings."""

    name: msgspec.Raw = _NONE
    arguments: msgspec.Raw = _NONE
    input: msgspec.Raw = _NONE


class ToolCall(msgspec.Struct, gc=False):
    """One tool call, whole or a part of it."""

    index: int | None = None
    id: str | None = None
    function: Function | None = None
    custom: Function | None = None


class Delta(msgspec.Struct, gc=False):
    """What one message or delta brings; a list of parts is possible wherever text is."""

    content: msgspec.Raw = _NONE
    reasoning_content: msgspec.Raw = _NONE
    reasoning: msgspec.Raw = _NONE
    refusal: msgspec.Raw = _NONE
    audio: msgspec.Raw = _NONE
    images: msgspec.Raw = _NONE
    tool_calls: list[ToolCall] | None = None
    function_call: Function | None = None


class Choice(msgspec.Struct, gc=False):
    """One answer. A chunk has `delta`, a plain reply `message`, a completion `text`."""

    index: int | None = None
    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: str | None = None
    text: msgspec.Raw = _NONE


class XGroq(msgspec.Struct, gc=False):
    """Groq's own envelope around usage."""

    usage: msgspec.Raw = _NONE


class Chunk(msgspec.Struct, gc=False):
    """One chunk, or a whole plain reply."""

    id: str | None = None
    model: str | None = None
    service_tier: str | None = None
    choices: list[Choice] | None = None
    usage: msgspec.Raw = _NONE
    error: msgspec.Raw = _NONE
    x_groq: XGroq | None = None


class Loose(msgspec.Struct, gc=False):
    """The two fields that count even in a chunk of a shape nobody promised."""

    usage: msgspec.Raw = _NONE
    error: msgspec.Raw = _NONE


_chunk = msgspec.json.Decoder(Chunk)
_loose = msgspec.json.Decoder(Loose)
_string = msgspec.json.Decoder(str)
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])


class ChatWatcher:
    """Reads the events of one chat stream (`wire.codec.StreamWatcher`).

    `facts.complete` is set by `[DONE]`; a stream that closes without it but with `facts.finish` is whole
    too (trap S5).
    """

    __slots__ = ("_calls", "_injected_usage", "_rules", "facts")

    def __init__(self, rules: UsageRules, *, injected_usage: bool) -> None:
        self.facts = ReplyFacts()
        self._rules = rules
        self._injected_usage = injected_usage
        self._calls: dict[tuple[int, int], str] = {}

    def event(self, name: bytes, data: bytes) -> bool:
        """Read one event; False only for the extra chunk that our asking for usage caused (trap S2)."""
        if data[:1] != b"{" and not self._is_chunk(data):
            return True
        chunk = self.read(data)
        if chunk is None:
            self._read_loose(data)
        if name == b"error" and self.facts.error is None:
            self.facts.error = read_error(data).error
        if chunk is None or not self._injected_usage or chunk.choices != []:
            return True
        return not _is_only_usage(chunk, data)

    def _is_chunk(self, data: bytes) -> bool:
        """Sort out what does not start as an object does."""
        stripped = data.strip()
        if stripped == DONE:
            facts = self.facts
            facts.complete = True
            facts.empty = not (facts.started or facts.finish or facts.error)
        elif stripped[:1] == b"{":
            return True
        elif stripped:
            self.facts.bad_frames += 1
        return False

    def read(self, data: bytes) -> Chunk | None:
        """Take one chunk's facts; None when it has not the dialect's shape, and is counted."""
        facts = self.facts
        try:
            chunk = _chunk.decode(data)
        except (ValueError, RecursionError):
            facts.bad_frames += 1
            return None
        if chunk.model and not facts.model:
            facts.model = chunk.model[:MAX_NAME_CHARS]
        if chunk.id and not facts.id:
            facts.id = chunk.id[:MAX_NAME_CHARS]
        if chunk.service_tier:
            facts.service_tier = chunk.service_tier[:MAX_WORD_CHARS]
        for position, choice in enumerate(chunk.choices or ()):
            self._read_choice(choice, position)
        if (chunk.usage and chunk.usage != _NULL) or chunk.error:
            self._read_sides(chunk.usage, chunk.error)
        if chunk.x_groq is not None:
            self._read_sides(chunk.x_groq.usage, _NONE)
        return chunk

    def read_whole(self, raw: bytes) -> None:
        """Take a plain reply; it is complete when it is one whole JSON object, of whatever shape."""
        facts, chunk = self.facts, self.read(raw)
        facts.complete = chunk is not None or self._read_loose(raw)
        facts.empty = chunk is not None and chunk.choices == [] and facts.error is None

    def _read_loose(self, data: bytes) -> bool:
        try:
            loose = _loose.decode(data)
        except (ValueError, RecursionError):
            return False
        self._read_sides(loose.usage, loose.error)
        return True

    def _read_sides(self, usage: bytes, error: bytes) -> None:
        if _is_said(usage):
            self.facts.usage = newer(self.facts.usage, read_usage(usage, self._rules))
        if _is_said(error):
            self.facts.error = error_in(error) or self.facts.error

    def _read_choice(self, choice: Choice, position: int) -> None:
        finish = choice.finish_reason
        if finish:
            self.facts.finish = finish[:MAX_WORD_CHARS]
            if finish in FAILED_FINISH and self.facts.error is None:
                self.facts.error = ErrorFacts(code=finish, message=f"the provider ended with {finish!r}")
        delta = choice.delta or choice.message
        if delta is None:  # a completion; a chat chunk of Together has both, and they say the same
            self._text(choice.text)
            return
        if delta.content:
            self._text(delta.content)
        if delta.reasoning_content or delta.reasoning:
            self._text(delta.reasoning_content if _is_said(delta.reasoning_content) else delta.reasoning)
        if delta.refusal:
            self._text(delta.refusal)
        if (delta.audio or delta.images) and (_is_said(delta.audio) or _is_said(delta.images)):
            self.facts.started = True
        index = position if choice.index is None else choice.index
        if delta.tool_calls:
            self._tool_calls(index, delta.tool_calls)
        if delta.function_call is not None:
            self._call(index, -1, "", delta.function_call)

    def _tool_calls(self, choice: int, calls: list[ToolCall]) -> None:
        for position, call in enumerate(calls):
            index = position if call.index is None else call.index
            self._call(choice, index, call.id or "", call.function or call.custom)

    def _call(self, choice: int, index: int, ident: str, function: Function | None) -> None:
        """Count a call once: its id may be missing after the first delta, an index may be shared (S10)."""
        facts, place = self.facts, (choice, index)
        known = self._calls.get(place)
        if known is None or (ident and known and ident != known):
            facts.tool_calls += 1
            self._calls[place] = ident
        elif ident:
            self._calls[place] = ident
        facts.started = True
        if function is not None:
            self._text(function.name)
            self._text(function.arguments)
            self._text(function.input)

    def _text(self, raw: bytes) -> None:
        """Count generated text: a string, or whatever JSON stands in its place."""
        if not raw or raw == _NULL:
            return
        try:
            text = _string.decode(raw)
        except ValueError:
            text = text_in(raw)
        if not text:
            return
        size = ascii_size = len(text)
        if not text.isascii():
            size, ascii_size = text_size(text)
        facts = self.facts
        facts.started = True
        facts.text_bytes += size
        facts.ascii_bytes += ascii_size


def text_in(raw: bytes) -> str:
    """Return the text of a string, or of a list of parts such as Mistral's thinking; else the JSON itself."""
    try:
        return _string.decode(raw)
    except ValueError:
        parts = _parts_in(raw)
    return "".join(_texts(parts, depth=4)) if parts is not None else bytes(raw).decode(errors="replace")


def _parts_in(raw: bytes) -> list[object] | None:
    try:
        found = msgspec.json.decode(raw)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None


def _texts(parts: list[object], depth: int) -> Iterator[str]:
    for part in parts:
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict) and depth:
            said = part.get("text") or part.get("thinking")
            yield from _texts(said if isinstance(said, list) else [said], depth - 1)


def _is_said(raw: bytes) -> bool:
    return bool(raw) and raw != _NULL


def _is_only_usage(chunk: Chunk, data: bytes) -> bool:
    """Whether a chunk without choices holds usage, and nothing else that a client could want."""
    if not _is_said(chunk.usage) or _is_said(chunk.error):
        return False
    return all(name in _ENVELOPE or not _is_said(value) for name, value in _fields.decode(data).items())
