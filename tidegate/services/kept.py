"""What a client's dialect cannot carry, kept until it comes back by its tool call's id (trap S11).

Thinking with a signature, mostly: a model that called a tool wants it back with the tool's result. It stands
in memory alone, encrypted under a key of this process, apart by tenant, and bounded; the least recently
used goes first. A gateway that starts anew has nothing, and such a conversation goes on without.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, assert_never

import msgspec

from tidegate.model.message import Kept, Opaque, RedactedThinking, Thinking
from tidegate.services.sealed import SealedStore

MAX_CALLS = 65_536
MAX_BYTES = 64 * 1024 * 1024
MAX_PART_BYTES = 1024 * 1024
"""More of one call is not kept."""


class _Stored(msgspec.Struct, array_like=True):
    """One part as it is sealed: what it is, and its two values."""

    kind: Literal["thinking", "redacted", "opaque"]
    one: str
    other: bytes = b""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[_Stored]).decode


class KeptParts:
    """Parts of replies by tenant and tool-call id."""

    def __init__(self, *, max_calls: int = MAX_CALLS, max_bytes: int = MAX_BYTES) -> None:
        self._store = SealedStore(max_entries=max_calls, max_bytes=max_bytes)

    def __len__(self) -> int:
        return len(self._store)

    @property
    def size_bytes(self) -> int:
        """What all of it takes, sealed."""
        return self._store.size_bytes

    def put(self, tenant: str, parts: Mapping[str, Sequence[Kept]]) -> None:
        """Keep what belongs to each tool call of one reply."""
        for call_id, kept in parts.items():
            plain = _encode([_stored(part) for part in kept])
            if len(plain) <= MAX_PART_BYTES:
                self._store.put(tenant, call_id, plain)

    def get(self, tenant: str, call_id: str) -> tuple[Kept, ...] | None:
        """What was kept of one tool call; None where nothing was, or is no longer."""
        plain = self._store.get(tenant, call_id)
        return None if plain is None else tuple(map(_part, _decode(plain)))

    def of(self, tenant: str) -> "OfTenant":
        """What one tenant's calls may be given back."""
        return OfTenant(self, tenant)

    def ids(self, tenant: str) -> list[str]:
        """The tool calls of one tenant of which something is kept."""
        return self._store.names(tenant)


class OfTenant(Mapping[str, Sequence[Kept]]):
    """One tenant's parts, by tool-call id."""

    __slots__ = ("_parts", "_tenant")

    def __init__(self, parts: KeptParts, tenant: str) -> None:
        self._parts = parts
        self._tenant = tenant

    def __getitem__(self, call_id: str) -> Sequence[Kept]:
        found = self._parts.get(self._tenant, call_id)
        if found is None:
            raise KeyError(call_id)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts.ids(self._tenant))

    def __len__(self) -> int:
        return len(self._parts.ids(self._tenant))


def _stored(part: Kept) -> _Stored:
    match part:
        case Thinking(text=text, signature=signature):
            return _Stored("thinking", text, signature.encode())
        case RedactedThinking(data=data):
            return _Stored("redacted", data)
        case Opaque(name=name, raw=raw):
            return _Stored("opaque", name, bytes(raw))
        case _:
            assert_never(part)


def _part(stored: _Stored) -> Kept:
    match stored.kind:
        case "thinking":
            return Thinking(text=stored.one, signature=stored.other.decode())
        case "redacted":
            return RedactedThinking(data=stored.one)
        case "opaque":
            return Opaque(name=stored.one, raw=msgspec.Raw(stored.other))
        case _:
            assert_never(stored.kind)
