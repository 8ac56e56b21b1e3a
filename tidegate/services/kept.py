"""What a client's dialect cannot carry, kept until it comes back by its tool call's id (trap S11).

Thinking with a signature, mostly: a model that called a tool wants it back with the tool's result. It stands
in memory alone, encrypted under a key of this process, apart by tenant, and bounded; the least recently
used goes first. A gateway that starts anew has nothing, and such a conversation goes on without.
"""

import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, assert_never

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tidegate.model.message import Kept, Opaque, RedactedThinking, Thinking

MAX_CALLS = 65_536
MAX_BYTES = 64 * 1024 * 1024
MAX_PART_BYTES = 1024 * 1024
"""More of one call is not kept."""
_NONCE_BYTES = 12


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
        self._cipher = AESGCM(AESGCM.generate_key(bit_length=256))
        self._sealed: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._max_calls = max_calls
        self._max_bytes = max_bytes
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._sealed)

    def put(self, tenant: str, parts: Mapping[str, Sequence[Kept]]) -> None:
        """Keep what belongs to each tool call of one reply."""
        for call_id, kept in parts.items():
            plain = _encode([_stored(part) for part in kept])
            if len(plain) > MAX_PART_BYTES:
                continue
            nonce = os.urandom(_NONCE_BYTES)
            self._drop((tenant, call_id))
            sealed = nonce + self._cipher.encrypt(nonce, plain, _bound_to(tenant, call_id))
            self._sealed[tenant, call_id] = sealed
            self.size_bytes += len(sealed)
        while len(self._sealed) > self._max_calls or self.size_bytes > self._max_bytes:
            self._drop(next(iter(self._sealed)))

    def get(self, tenant: str, call_id: str) -> tuple[Kept, ...] | None:
        """What was kept of one tool call; None where nothing was, or is no longer."""
        sealed = self._sealed.get((tenant, call_id))
        if sealed is None:
            return None
        self._sealed.move_to_end((tenant, call_id))
        nonce, rest = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        return tuple(map(_part, _decode(self._cipher.decrypt(nonce, rest, _bound_to(tenant, call_id)))))

    def of(self, tenant: str) -> "OfTenant":
        """What one tenant's calls may be given back."""
        return OfTenant(self, tenant)

    def ids(self, tenant: str) -> list[str]:
        """The tool calls of one tenant of which something is kept."""
        return [call_id for owner, call_id in self._sealed if owner == tenant]

    def _drop(self, place: tuple[str, str]) -> None:
        sealed = self._sealed.pop(place, None)
        if sealed is not None:
            self.size_bytes -= len(sealed)


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


def _bound_to(tenant: str, call_id: str) -> bytes:
    """What a sealed part belongs to, so that it opens nowhere else."""
    return f"{len(tenant)}:{tenant}:{call_id}".encode("utf-8", "replace")


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
