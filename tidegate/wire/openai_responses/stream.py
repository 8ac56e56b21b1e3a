"""Watch a Responses stream, and read a whole response as the fold of one.

A delta is decoded for its text only. Items that arrive whole, without deltas, are counted when they are
done, and those that never were, when the response is (trap S10).
"""

import msgspec

from tidegate.model.provider import UsageRules
from tidegate.model.reply import ErrorFacts, ReplyFacts
from tidegate.wire import openai_errors
from tidegate.wire.fields import MAX_WORD_CHARS, text_of
from tidegate.wire.measure import text_size
from tidegate.wire.openai_usage import newer, read_usage

MAX_NAME = 256
CLIENT_CALLS = frozenset(
    {
        "function_call",
        "custom_tool_call",
        "computer_call",
        "local_shell_call",
        "shell_call",
        "apply_patch_call",
    }
)
"""Calls that the client must answer; others run at the provider."""

EMPTY_UNTIL_DELTA = frozenset({"message", "reasoning", "mcp_list_tools"})
"""Items whose beginning shows nothing yet; every other one is content by being there (trap S7)."""

NO_TEXT = frozenset({b"response.audio.delta", b"response.shell_call_output_content.delta"})
"""Deltas that are base64, or that no model wrote."""

_NOTHING = msgspec.Raw(b"")


class _Delta(msgspec.Struct):
    delta: str = ""
    output_index: int = 0


class _Part(msgspec.Struct):
    text: str | None = None
    refusal: str | None = None


class _Action(msgspec.Struct):
    type: str = "search"


class _Item(msgspec.Struct):
    type: str = ""
    content: list[_Part] | None = None
    summary: list[_Part] | None = None
    arguments: msgspec.Raw = _NOTHING
    input: msgspec.Raw = _NOTHING
    code: msgspec.Raw = _NOTHING
    action: msgspec.Raw = _NOTHING


class _ItemEvent(msgspec.Struct):
    item: _Item
    output_index: int = 0


class _Details(msgspec.Struct):
    reason: str | None = None


class _Response(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    status: str | None = None
    service_tier: str | None = None
    incomplete_details: _Details | None = None
    usage: msgspec.Raw = _NOTHING
    error: msgspec.Raw = _NOTHING
    output: msgspec.Raw = _NOTHING


class _ResponseEvent(msgspec.Struct):
    response: _Response


class _Typed(msgspec.Struct):
    type: str = ""


_delta = msgspec.json.Decoder(_Delta).decode
_item_event = msgspec.json.Decoder(_ItemEvent).decode
_response_event = msgspec.json.Decoder(_ResponseEvent).decode
_response = msgspec.json.Decoder(_Response).decode
_items = msgspec.json.Decoder(list[_Item]).decode
_action = msgspec.json.Decoder(_Action).decode
_typed = msgspec.json.Decoder(_Typed).decode

_ENDS = {
    b"response.completed": True,
    b"response.incomplete": True,
    b"response.failed": False,
    b"response.cancelled": False,
}


class Watcher:
    """Reads one streamed response event by event.

    `response.failed` and `error` set `facts.error` and leave `facts.complete` unset.
    """

    __slots__ = ("_calls", "_done", "_rules", "_searches", "_spoken", "facts")

    def __init__(self, rules: UsageRules) -> None:
        self.facts = ReplyFacts()
        self._rules = rules
        self._spoken: set[int] = set()
        self._calls: set[int] = set()
        self._done: set[int] = set()
        self._searches = 0

    def event(self, name: bytes, data: bytes) -> bool:
        """Read one event; always True, since nothing on this surface is there only for us."""
        if not data:
            return True
        try:
            if name[-6:] == b".delta":
                self._on_delta(name, data)
            elif data != b"[DONE]":
                named = name[:9] == b"response." or name == b"error"
                self._on_event(name if named else _typed(data).type.encode(), data)
        except (ValueError, RecursionError):
            self.facts.bad_frames += 1
        return True

    def _on_delta(self, name: bytes, data: bytes) -> None:
        if name in NO_TEXT:
            self.facts.started = True
            return
        event = _delta(data)
        if event.delta:
            self._spoken.add(event.output_index)
            self._generated(event.delta)

    def _on_event(self, name: bytes, data: bytes) -> None:
        if name[-6:] == b".delta":
            self._on_delta(name, data)
            return
        match name:
            case b"response.created":
                self._on_response(_response_event(data).response)
            case b"response.output_item.added":
                event = _item_event(data)
                self._on_added(event.item, event.output_index)
            case b"response.output_item.done":
                event = _item_event(data)
                self._on_done(event.item, event.output_index)
            case b"response.image_generation_call.partial_image":
                self.facts.started = True
            case b"error":
                self.facts.error = _error_event(data)
            case _ if name in _ENDS:
                self._on_end(_response_event(data).response, complete=_ENDS[name])
            case _:
                pass

    def _on_response(self, response: _Response) -> None:
        facts = self.facts
        facts.id = (response.id or facts.id)[:MAX_NAME]
        facts.model = (response.model or facts.model)[:MAX_NAME]
        facts.service_tier = (response.service_tier or facts.service_tier)[:MAX_WORD_CHARS]

    def _on_added(self, item: _Item, index: int) -> None:
        """An item begins; a call is content from here on, and is counted once."""
        if item.type in CLIENT_CALLS and index not in self._calls:
            self._calls.add(index)
            self.facts.tool_calls += 1
        if item.type not in EMPTY_UNTIL_DELTA:
            self.facts.started = True

    def _on_done(self, item: _Item, index: int) -> None:
        """An item is whole; what its deltas did not say is counted now."""
        if index in self._done:
            return
        self._done.add(index)
        self._on_added(item, index)
        if item.type == "web_search_call" and _is_search(bytes(item.action)):
            self._searches += 1
        if index in self._spoken:
            return
        for part in (*(item.content or ()), *(item.summary or ())):
            if text := part.text or part.refusal:
                self._generated(text)
        for raw in (bytes(item.arguments), bytes(item.input), bytes(item.code)):
            if raw.startswith(b'"'):
                self._generated(text_of(raw))
            elif raw not in (b"", b"null"):
                self._generated(raw.decode())

    def _on_end(self, response: _Response, *, complete: bool) -> None:
        facts = self.facts
        self._on_response(response)
        if response.output:
            self._on_output(response.output)
        details = response.incomplete_details
        facts.finish = (details.reason if details is not None else None) or response.status or ""
        self._on_usage(bytes(response.usage))
        if response.error:
            facts.error = openai_errors.error_in(bytes(response.error))
        if not complete and facts.error is None:
            facts.error = ErrorFacts(code=facts.finish)
        facts.complete = complete and facts.error is None

    def _on_output(self, raw: bytes) -> None:
        try:
            items = _items(raw)
        except (ValueError, RecursionError):
            return
        for index, item in enumerate(items):
            self._on_done(item, index)

    def _on_usage(self, raw: bytes) -> None:
        report = read_usage(raw, self._rules) if raw and raw != b"null" else None
        if report is not None and report.usage.searches is None and self._searches:
            usage = msgspec.structs.replace(report.usage, searches=self._searches)
            report = msgspec.structs.replace(report, usage=usage)
        self.facts.usage = newer(self.facts.usage, report)

    def _generated(self, text: str) -> None:
        facts = self.facts
        facts.started = facts.started or bool(text)
        size, ascii_size = text_size(text)
        facts.text_bytes += size
        facts.ascii_bytes += ascii_size

    def read_whole(self, raw: bytes) -> None:
        """Take a plain reply: the response that a stream's last event holds.

        One that is still `queued` or `in_progress` (background) is complete as a reply and has no usage.
        """
        try:
            response = _response(raw)
        except (ValueError, RecursionError):
            self.facts.bad_frames += 1
            return
        self._on_end(response, complete=response.status not in ("failed", "cancelled"))
        if response.status in ("queued", "in_progress"):
            self.facts.notes.append("background")
        self.facts.complete = self.facts.complete and response.status is not None


def _error_event(data: bytes) -> ErrorFacts:
    """Return the error of an `error` event, whose fields stand in `error` or at the top."""
    facts = openai_errors.read_error(data)
    found = facts.error or ErrorFacts()
    return msgspec.structs.replace(found, type="") if found.type == "error" else found


def _is_search(action: bytes) -> bool:
    """Whether a web search call searched; opening a page is not billed."""
    try:
        return not action or _action(action).type == "search"
    except (ValueError, RecursionError):
        return True
