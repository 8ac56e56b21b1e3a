"""OpenAI's chat completions: `POST /v1/chat/completions`."""

from tidegate.model.errors import TidegateError
from tidegate.model.provider import UsageRules
from tidegate.model.reply import ReplyFacts
from tidegate.model.request import RequestFacts, Surface
from tidegate.wire import openai_errors
from tidegate.wire.body import Body
from tidegate.wire.codec import Codec
from tidegate.wire.openai_chat.reply import read_reply
from tidegate.wire.openai_chat.request import read_request
from tidegate.wire.openai_chat.stream import ChatWatcher


class ChatCodec:
    """The chat surface (`wire.codec.Codec`)."""

    surface: Surface = "chat"
    content_types: tuple[str, ...] = ("application/json",)
    keep_alive: bytes = openai_errors.KEEP_ALIVE

    def read_request(self, body: Body) -> RequestFacts:
        """Return the facts of a request. Raises WrongType or BadRequest, naming the field's path."""
        return read_request(body)

    def read_reply(self, raw: bytes, rules: UsageRules) -> ReplyFacts:
        """Return the facts of a whole plain reply."""
        return read_reply(raw, rules)

    def watch_stream(self, rules: UsageRules, *, injected_usage: bool) -> ChatWatcher:
        """Return a watcher for one streamed reply."""
        return ChatWatcher(rules, injected_usage=injected_usage)

    def read_error(self, raw: bytes) -> ReplyFacts:
        """Return facts with `error` set from a provider's error body."""
        return openai_errors.read_error(raw)

    def error_body(self, error: TidegateError, request_id: str) -> bytes:
        """Return the JSON body of an error reply."""
        return openai_errors.error_body(error, request_id)

    def error_event(self, error: TidegateError, request_id: str) -> bytes:
        """Return the event that ends a started stream with an error."""
        return openai_errors.error_event(error, request_id)


CODEC: Codec = ChatCodec()
