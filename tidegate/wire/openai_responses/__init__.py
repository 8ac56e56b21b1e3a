"""OpenAI's Responses API: `CODEC`."""

import msgspec

from tidegate.model.errors import TidegateError
from tidegate.model.provider import UsageRules
from tidegate.model.reply import ReplyFacts
from tidegate.model.request import RequestFacts, Surface
from tidegate.wire import openai_errors
from tidegate.wire.body import Body
from tidegate.wire.codec import Codec
from tidegate.wire.openai_responses.request import read_request
from tidegate.wire.openai_responses.stream import Watcher

LAST_SEQUENCE_NUMBER = 2**31 - 1
"""Our error event is the last one, whatever number the provider had reached."""


class ResponsesCodec:
    """Reads and words the surface."""

    surface: Surface = "responses"
    content_types: tuple[str, ...] = ("application/json",)
    keep_alive = b": ping\n\n"

    def read_request(self, body: Body) -> RequestFacts:
        """Return the facts of a request. Raises WrongType or BadRequest, naming the field's path."""
        return read_request(body)

    def read_reply(self, raw: bytes, rules: UsageRules) -> ReplyFacts:
        """Return the facts of a whole plain reply; never raises for its content."""
        watcher = Watcher(rules)
        watcher.read_whole(raw)
        return watcher.facts

    def watch_stream(self, rules: UsageRules, *, injected_usage: bool) -> Watcher:  # noqa: ARG002
        """Return a watcher for one streamed reply; this dialect's own events carry the usage."""
        return Watcher(rules)

    def read_error(self, raw: bytes) -> ReplyFacts:
        """Return facts with `error` set from a provider's error body, whatever its shape."""
        return openai_errors.read_error(raw)

    def error_body(self, error: TidegateError, request_id: str) -> bytes:
        """Return the JSON body of an error reply."""
        return openai_errors.error_body(error, request_id)

    def error_event(self, error: TidegateError, request_id: str) -> bytes:
        """Return the event that ends a started stream with an error (trap S6).

        Its fields stand at the top, as the API documents them, and in `error`, where the SDKs look before
        they raise.
        """
        event = {
            "type": "error",
            "code": error.code,
            "message": error.message,
            "param": error.param,
            "sequence_number": LAST_SEQUENCE_NUMBER,
            "error": openai_errors.error_object(error, request_id),
        }
        return b"event: error\ndata: " + msgspec.json.encode(event) + b"\n\n"


CODEC: Codec = ResponsesCodec()
