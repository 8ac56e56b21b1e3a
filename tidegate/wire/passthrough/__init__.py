"""Every other path of a provider: `/pass/{provider}/...`. Bytes go on as they are, both ways."""

from tidegate.model.errors import TidegateError
from tidegate.model.provider import UsageRules
from tidegate.model.reply import ReplyFacts
from tidegate.model.request import Passed, RequestFacts, Surface
from tidegate.wire import anthropic_errors, openai_errors
from tidegate.wire.body import Body
from tidegate.wire.passthrough.reply import PassWatcher
from tidegate.wire.passthrough.request import body_of, generates, read_request


class PassCodec:
    """Reads one passed-through call (`wire.codec.Codec`); errors of ours are worded in its dialect."""

    surface: Surface = "pass"
    content_types: tuple[str, ...] = ()
    keep_alive: bytes = b""

    def __init__(self, passed: Passed) -> None:
        self._passed = passed

    def body(self, raw: bytes) -> Body:
        """Return a body of whatever kind. Raises what Body.parse raises for JSON."""
        return body_of(raw, self._passed)

    def read_request(self, body: Body) -> RequestFacts:
        """See Codec."""
        return read_request(body, self._passed)

    def read_reply(self, raw: bytes, rules: UsageRules) -> ReplyFacts:
        """See Codec."""
        watcher = PassWatcher("application/json", rules, generates=generates(self._passed.path))
        watcher.feed(raw)
        watcher.end()
        return watcher.facts

    def watch_stream(self, rules: UsageRules, *, injected_usage: bool) -> PassWatcher:  # noqa: ARG002
        """See Codec."""
        return self.watch("text/event-stream", rules)

    def watch(self, content_type: str, rules: UsageRules) -> PassWatcher:
        """Return a watcher of a reply of whatever kind."""
        return PassWatcher(content_type, rules, generates=generates(self._passed.path))

    def read_error(self, raw: bytes) -> ReplyFacts:
        """See Codec."""
        return openai_errors.read_error(raw)

    def error_body(self, error: TidegateError, request_id: str) -> bytes:
        """See Codec."""
        if self._passed.dialect == "anthropic":
            return anthropic_errors.error_body(error, request_id)
        return openai_errors.error_body(error, request_id)

    def error_event(self, error: TidegateError, request_id: str) -> bytes:
        """See Codec."""
        if self._passed.dialect == "anthropic":
            return anthropic_errors.error_event(error, request_id)
        return openai_errors.error_event(error, request_id)


CODEC = PassCodec(Passed(method="POST", place="", path="/"))
"""For what is the same of every path."""
