"""Watch a passed-through reply for what it used, whichever dialect says it; never change a byte of it."""

from collections.abc import Iterable

import msgspec

from tidegate.model.provider import UsageRules
from tidegate.model.reply import ReplyFacts
from tidegate.model.usage import Usage, UsageReport
from tidegate.wire.anthropic_messages.usage import UsageFold
from tidegate.wire.fields import MAX_WORD_CHARS
from tidegate.wire.measure import bytes_size
from tidegate.wire.openai_counts import MAX_COUNT
from tidegate.wire.openai_errors import error_in
from tidegate.wire.openai_usage import newer, read_usage
from tidegate.wire.passthrough import gemini
from tidegate.wire.passthrough.request import is_json, without_data
from tidegate.wire.sse import FrameReader, FrameTooLarge

MAX_READ_BYTES = 134_217_728
"""A longer JSON reply goes on all the same, and is not read."""
MAX_FRAME_BYTES = 16_777_216
MAX_NAME_CHARS = 256

BILLED_UNITS = "billed-units"
"""Cohere's counts of what it bills, which are fewer than what its models read."""
EVAL_COUNTS = "eval-counts"
"""Ollama's counts."""

_NONE = msgspec.Raw(b"")
_NULL = msgspec.Raw(b"null")


class _Reply(msgspec.Struct, gc=False):
    """Every field that any dialect says its usage, its model and its end in."""

    id: msgspec.Raw = _NONE
    responseId: msgspec.Raw = _NONE  # noqa: N815 - the provider's name
    model: msgspec.Raw = _NONE
    modelVersion: msgspec.Raw = _NONE  # noqa: N815
    type: msgspec.Raw = _NONE
    service_tier: msgspec.Raw = _NONE
    error: msgspec.Raw = _NONE
    usage: msgspec.Raw = _NONE
    usageMetadata: msgspec.Raw = _NONE  # noqa: N815
    meta: msgspec.Raw = _NONE
    message: msgspec.Raw = _NONE
    response: msgspec.Raw = _NONE
    interaction: msgspec.Raw = _NONE
    delta: msgspec.Raw = _NONE
    prompt_eval_count: msgspec.Raw = _NONE
    eval_count: msgspec.Raw = _NONE


_reply = msgspec.json.Decoder(_Reply)
_replies = msgspec.json.Decoder(list[msgspec.Raw])
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_string = msgspec.json.Decoder(str)
_int = msgspec.json.Decoder(int)


class PassWatcher:
    """Reads one reply as its bytes pass by. `generates`: an answer, as opposed to vectors and verdicts."""

    def __init__(self, content_type: str, rules: UsageRules, *, generates: bool = True) -> None:
        self.facts = ReplyFacts()
        kind = content_type.partition(";")[0].strip().lower()
        self._frames = FrameReader(MAX_FRAME_BYTES) if kind == "text/event-stream" else None
        self._is_lines = "ndjson" in kind or "jsonl" in kind or "stream+json" in kind
        self._is_text = self._frames is not None or self._is_lines or is_json(kind) or kind == "text/plain"
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._rules = rules
        self._generates, self._has_pictures = generates, False
        self._fold: UsageFold | None = None

    def feed(self, chunk: bytes) -> None:
        """Take bytes in."""
        if not self._is_text:
            return
        if self._frames is not None:
            try:
                frames = self._frames.feed(chunk)
            except FrameTooLarge:
                self.facts.bad_frames += 1
                self._is_text = False
                return
            self._events(frame.data for frame in frames)
            return
        self._held.append(chunk)
        self._held_bytes += len(chunk)
        if self._held_bytes > MAX_READ_BYTES:
            self.facts.bad_frames += 1
            self._held, self._is_text = [], False
        elif self._is_lines and b"\n" in chunk:
            *lines, rest = b"".join(self._held).split(b"\n")
            self._events(lines)
            self._held, self._held_bytes = [rest], len(rest)

    def event(self, name: bytes, data: bytes) -> bool:  # noqa: ARG002 - see StreamWatcher
        """See StreamWatcher: every event goes on."""
        self._events((data,))
        return True

    def end(self) -> None:
        """The reply is whole."""
        if self._frames is not None and self._is_text:
            if self._frames.pending():
                self.feed(b"\n\n")
        elif self._held:
            whole, self._held = b"".join(self._held), []
            self._events(_elements(whole))
        self.facts.complete = True

    def _events(self, events: Iterable[bytes]) -> None:
        for data in events:
            if data.strip() in (b"", b"[DONE]"):
                continue
            self.facts.started = True
            if self._generates and not self._has_pictures:
                size, ascii_size = bytes_size(without_data(data)[0])
                self.facts.text_bytes += size
                self.facts.ascii_bytes += ascii_size
            try:
                reply = _reply.decode(data)
            except (ValueError, RecursionError):
                self.facts.bad_frames += 1
                continue
            self._take(reply)
        if self._fold is not None:
            self.facts.usage = self._fold.report() or self.facts.usage
            self.facts.service_tier = self._fold.tier or self.facts.service_tier

    def _take(self, reply: _Reply) -> None:
        facts, kind = self.facts, _text(reply.type)
        facts.id = (_text(reply.id) or _text(reply.responseId) or facts.id)[:MAX_NAME_CHARS]
        facts.model = (_text(reply.model) or _text(reply.modelVersion) or facts.model)[:MAX_NAME_CHARS]
        facts.service_tier = _text(reply.service_tier)[:MAX_WORD_CHARS] or facts.service_tier
        if reply.error and reply.error != _NULL:
            facts.error = error_in(reply.error) or facts.error
        if kind in ("message", "message_delta"):
            self._add(reply.usage, final=True)
            return
        if kind == "message_start":
            inner = _inner(reply.message)
            facts.model = _text(inner.model)[:MAX_NAME_CHARS] or facts.model
            facts.id = _text(inner.id)[:MAX_NAME_CHARS] or facts.id
            self._add(inner.usage, final=False)
            return
        self._report(self._usage_in(reply))
        for nested in (reply.response, reply.interaction, reply.delta):
            if nested:
                inner = _inner(nested)
                facts.model = _text(inner.model)[:MAX_NAME_CHARS] or facts.model
                facts.id = _text(inner.id)[:MAX_NAME_CHARS] or facts.id
                self._report(self._usage_in(inner))

    def _add(self, usage: msgspec.Raw, *, final: bool) -> None:
        if self._fold is None:
            self._fold = UsageFold()
        self._fold.add(bytes(usage), final=final)

    def _report(self, report: UsageReport | None) -> None:
        if report is None:
            return
        if not self._generates:
            report = msgspec.structs.replace(
                report, usage=msgspec.structs.replace(report.usage, output_text=report.usage.output_text or 0)
            )
        self.facts.usage = newer(self.facts.usage, report)

    def _usage_in(self, reply: _Reply) -> UsageReport | None:
        if reply.usageMetadata and reply.usageMetadata != _NULL:
            report = gemini.read_usage(reply.usageMetadata)
            if report is not None and gemini.PICTURES in report.anomalies:
                self._has_pictures = True  # what its bytes are is no text
                self.facts.text_bytes = self.facts.ascii_bytes = 0
            return report
        if reply.prompt_eval_count or reply.eval_count:
            return _counted(_number(reply.prompt_eval_count), _number(reply.eval_count), EVAL_COUNTS)
        fields = _fields(reply.usage) or _fields(reply.meta)
        if billed := _fields(fields.get("billed_units", _NONE)):
            return _billed(billed)
        if not reply.usage or reply.usage == _NULL:
            return None
        return read_usage(_renamed(fields, bytes(reply.usage)), self._rules, input_only=not self._generates)


def _billed(units: dict[str, msgspec.Raw]) -> UsageReport:
    read, written = units.get("input_tokens", _NONE), units.get("output_tokens", _NONE)
    report = _counted(_number(read), _number(written), BILLED_UNITS)
    searches = _number(units.get("search_units", _NONE))
    return msgspec.structs.replace(report, usage=msgspec.structs.replace(report.usage, searches=searches))


def _counted(read: int | None, written: int | None, rule: str) -> UsageReport:
    usage = Usage(input_uncached=read, output_text=written)
    return UsageReport(usage=usage, rule=rule, stated_input=read, stated_output=written)


_NAMES = {
    "input_token_details": "input_tokens_details",
    "output_token_details": "output_tokens_details",
    "total_input_tokens": "input_tokens",
    "total_output_tokens": "output_tokens",
    "total_cached_tokens": "cached_tokens",
    "total_reasoning_tokens": "reasoning_tokens",
    "total_thought_tokens": "reasoning_tokens",
}
"""Names that transcriptions, realtime and interactions use for what everything else calls otherwise."""


def _renamed(fields: dict[str, msgspec.Raw], raw: bytes) -> bytes:
    if _NAMES.keys().isdisjoint(fields):
        return raw
    return msgspec.json.encode({_NAMES.get(name, name): value for name, value in fields.items()})


def _elements(whole: bytes) -> Iterable[bytes]:
    """Return the replies of a whole body: it is one, or a list of them as Gemini streams without SSE."""
    if whole.lstrip()[:1] != b"[":
        return (whole,)
    try:
        return [bytes(raw) for raw in _replies.decode(whole)]
    except (ValueError, RecursionError):
        return (whole,)


def _inner(raw: msgspec.Raw) -> _Reply:
    try:
        return _reply.decode(raw)
    except (ValueError, RecursionError):
        return _Reply()


def _fields(raw: msgspec.Raw) -> dict[str, msgspec.Raw]:
    try:
        return _object.decode(raw) if raw else {}
    except (ValueError, RecursionError):
        return {}


def _text(raw: msgspec.Raw) -> str:
    try:
        return _string.decode(raw) if raw else ""
    except (ValueError, RecursionError):
        return ""


def _number(raw: msgspec.Raw) -> int | None:
    """Return a count; None for what cannot be one (case F9). Some are written as `9.0`."""
    try:
        count = _int.decode(raw) if raw else None
    except (ValueError, RecursionError):
        return None
    return count if count is not None and 0 <= count <= MAX_COUNT else None
