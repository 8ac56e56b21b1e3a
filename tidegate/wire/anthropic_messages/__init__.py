"""Anthropic's Messages API, and its token counting: `CODEC` and `COUNT_CODEC`."""

from typing import Literal

import msgspec

from tidegate.model.errors import TidegateError
from tidegate.model.provider import UsageRules
from tidegate.model.reply import ReplyFacts
from tidegate.model.request import RequestFacts, Surface
from tidegate.wire import anthropic_errors
from tidegate.wire.anthropic_messages.request import read_request
from tidegate.wire.anthropic_messages.stream import Watcher
from tidegate.wire.anthropic_messages.usage import FREE
from tidegate.wire.body import Body
from tidegate.wire.codec import Codec


class MessagesCodec:
    """Reads and words one of the two surfaces.

    The provider's `UsageRules` change nothing here: who speaks this dialect counts as Anthropic does.
    """

    content_types: tuple[str, ...] = ("application/json",)
    keep_alive = anthropic_errors.KEEP_ALIVE

    def __init__(self, surface: Literal["messages", "count_tokens"]) -> None:
        self.surface: Surface = surface

    def read_request(self, body: Body) -> RequestFacts:
        """Return the facts of a request. Raises WrongType or BadRequest, naming the field's path."""
        return read_request(body, self.surface)

    def read_reply(self, raw: bytes, rules: UsageRules) -> ReplyFacts:  # noqa: ARG002
        """Return the facts of a whole plain reply; never raises for its content."""
        watcher = Watcher()
        watcher.read_whole(raw)
        return watcher.facts

    def watch_stream(self, rules: UsageRules, *, injected_usage: bool) -> Watcher:  # noqa: ARG002
        """Return a watcher for one streamed reply; this dialect's own events carry the usage."""
        return Watcher()

    def read_error(self, raw: bytes) -> ReplyFacts:
        """Return facts with `error` set from a provider's error body, whatever its shape."""
        return anthropic_errors.read_error(raw)

    def error_body(self, error: TidegateError, request_id: str) -> bytes:
        """Return the JSON body of an error reply."""
        return anthropic_errors.error_body(error, request_id)

    def error_event(self, error: TidegateError, request_id: str) -> bytes:
        """Return whole SSE bytes that end a started stream with an error (trap S6)."""
        return anthropic_errors.error_event(error, request_id)


class _Count(msgspec.Struct):
    input_tokens: int


_count = msgspec.json.Decoder(_Count).decode


class CountCodec(MessagesCodec):
    """Token counting: the same request, and a reply that costs nothing (trap K14)."""

    def read_reply(self, raw: bytes, rules: UsageRules) -> ReplyFacts:
        """Return facts whose usage is zero."""
        try:
            _count(raw)
        except (ValueError, RecursionError):
            return super().read_reply(raw, rules)
        return ReplyFacts(complete=True, usage=FREE)


CODEC: Codec = MessagesCodec("messages")
COUNT_CODEC: Codec = CountCodec("count_tokens")
