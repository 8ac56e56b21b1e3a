"""The seam to a provider: one request, its reply as bytes, and errors that say what may have happened.

The exchange knows this module alone; `aiohttp_transport` stands behind it, tests put a script there.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

from yarl import URL

Sent = Literal["no", "maybe"]
"""`no`: a complete request cannot be at the provider, so another attempt pays nothing twice."""

Phase = Literal["connect", "tls", "send", "first_byte", "idle", "total", "read"]
"""Where a call failed. `first_byte` ends with the reply's head; `read`: a reply that is cut or malformed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseLimits:
    """How long each part of one call may take, in seconds (trap R5).

    `connect_s`: a free place in the pool, name look-up, TCP and TLS. `first_byte_s`: from the call to the
    end of the reply's head, connecting included. `idle_s`: the provider's silence between two pieces while
    we wait for one. `total_s`: the whole call with its body; None for streams without end.
    """

    connect_s: float
    first_byte_s: float
    idle_s: float
    total_s: float | None = None


class TransportError(Exception):
    """A call that gave no reply, or half of one.

    `got_bytes`: some part of a reply came, be it a piece of its head. `timed_out`: a limit passed, as opposed
    to a connection that was lost. The message names host and port, never
    a path, a query, a header or bytes of the provider; it is for our log, not for the client.
    """

    def __init__(
        self, message: str, *, sent: Sent, got_bytes: bool, phase: Phase, timed_out: bool = False
    ) -> None:
        super().__init__(message)
        self.sent = sent
        self.got_bytes = got_bytes
        self.phase = phase
        self.timed_out = timed_out or phase in ("idle", "total")


class ReplyTooLargeError(TransportError):
    """A reply, or what its compression unfolds to, passes `limit_bytes` (fault F8)."""

    def __init__(self, message: str, *, limit_bytes: int) -> None:
        super().__init__(message, sent="maybe", got_bytes=True, phase="read")
        self.limit_bytes = limit_bytes


class Reply(Protocol):
    """A reply whose head has come. It lives inside its `async with`, read by one task."""

    @property
    def status(self) -> int:
        """The provider's own status, redirects included: none is followed."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The head's fields, names in lower case; of two fields of a name the first counts."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Give the body as it comes, already inflated; read to its end, the connection is used again.

        Raises TransportError where the body is cut. A body without a length that simply ends raises nothing:
        only its own end mark says that a stream is complete.
        """
        ...

    async def read(self, limit_bytes: int) -> bytes:
        """Give the whole body. Raises ReplyTooLargeError beyond the limit, and what `chunks` raises."""
        ...

    def abort(self) -> None:
        """Close the connection at once, never to be used again; safe to call twice, or after the end."""
        ...


class Transport(Protocol):
    """Calls providers. Leaving the `async with` before the body's end closes the connection at once."""

    def post(
        self, url: str, *, headers: Mapping[str, str], body: bytes, limits: PhaseLimits
    ) -> AbstractAsyncContextManager[Reply]:
        """POST `body`; entering raises TransportError. Only `accept-encoding` is replaced."""
        ...

    def get(
        self, url: str, *, headers: Mapping[str, str], limits: PhaseLimits
    ) -> AbstractAsyncContextManager[Reply]:
        """GET, for probes and model lists."""
        ...

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, limits: PhaseLimits
    ) -> AbstractAsyncContextManager[Reply]:
        """Make a request of any other method; the reply to HEAD has no body."""
        ...

    async def close(self) -> None:
        """Close every connection, also those in use."""
        ...


def place(url: str) -> str:
    """Return `host:port` of a URL: all of it that may stand in a log."""
    try:
        parsed = URL(url)
    except ValueError:
        return "the provider"
    return f"{parsed.host}:{parsed.port}" if parsed.host else "the provider"
