"""The one shape of every surface's codec, so that the exchange knows no dialect by name."""

from typing import Protocol

from tidegate.model.errors import TidegateError
from tidegate.model.provider import UsageRules
from tidegate.model.reply import ReplyFacts
from tidegate.model.request import RequestFacts, Surface
from tidegate.wire.body import Body


class StreamWatcher(Protocol):
    """Reads one streamed reply event by event; never changes a byte of it."""

    facts: ReplyFacts

    def event(self, name: bytes, data: bytes) -> bool:
        """Read one event; return False when it exists only because we asked for usage (trap S2).

        `name` is the SSE event field (empty when absent), `data` its data. An event that is not what the
        dialect promises is counted in `facts.bad_frames` and passed on.
        """
        ...


class Codec(Protocol):
    """How one surface reads requests and replies and words its errors."""

    surface: Surface
    content_types: tuple[str, ...]

    def read_request(self, body: Body) -> RequestFacts:
        """Return the facts of a request. Raises WrongType or BadRequest, naming the field's path."""
        ...

    def read_reply(self, raw: bytes, rules: UsageRules) -> ReplyFacts:
        """Return the facts of a whole plain reply (the fold of its stream); never raises for its content."""
        ...

    def watch_stream(self, rules: UsageRules, *, injected_usage: bool) -> StreamWatcher:
        """Return a watcher for one streamed reply. `injected_usage`: we, not the client, asked for usage."""
        ...

    def read_error(self, raw: bytes) -> ReplyFacts:
        """Return facts with `error` set from a provider's error body, whatever its shape."""
        ...

    def error_body(self, error: TidegateError, request_id: str) -> bytes:
        """Return the JSON body of an error reply in the dialect."""
        ...

    def error_event(self, error: TidegateError, request_id: str) -> bytes:
        """Return whole SSE bytes that end a started stream with an error the dialect's SDKs raise (S6)."""
        ...

    keep_alive: bytes
    """SSE bytes that may stand between two frames and that every client of the dialect ignores (S8)."""
