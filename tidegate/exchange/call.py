"""What the gateway hands to the exchange: one call, and the client that waits for it."""

from collections.abc import Callable
from typing import Protocol

import msgspec

from tidegate.model.identity import Key
from tidegate.model.request import Passed, Surface

Headers = list[tuple[bytes, bytes]]


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request of a known key. `at_us` is the wall clock, `started_s` the monotonic one.

    `passed` says where a call of the surface `pass` goes, and is None for every other.
    """

    id: str
    surface: Surface
    key: Key
    headers: Headers
    query: bytes
    body: bytes
    at_us: int
    started_s: float
    passed: Passed | None = None


class Client(Protocol):
    """The far end of one request. Writing waits while the client does not read (trap S13)."""

    async def reply(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole reply; its length is added."""
        ...

    async def start(self, status: int, headers: Headers) -> None:
        """Begin a reply that is written in pieces."""
        ...

    async def write(self, data: bytes, *, more: bool) -> None:
        """Send a piece of a begun reply; `more=False` ends it."""
        ...

    def on_gone(self, callback: Callable[[], object]) -> None:
        """Call `callback` once, from the event loop, when the client has hung up."""
        ...

    @property
    def gone(self) -> bool:
        """True once the client has hung up."""
        ...
