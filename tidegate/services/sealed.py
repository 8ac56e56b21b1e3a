"""Bytes of tenants kept in memory alone: encrypted under a key of this process, apart by tenant, bounded."""

import os
from collections import OrderedDict

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12

Place = tuple[str, str]
"""A tenant, and the name that it knows a thing by."""


class SealedStore:
    """What was put, by tenant and name; the least recently used goes first.

    A gateway that starts anew has nothing. What is sealed for one place opens in no other.
    """

    def __init__(self, *, max_entries: int, max_bytes: int) -> None:
        self._cipher = AESGCM(AESGCM.generate_key(bit_length=256))
        self._sealed: OrderedDict[Place, bytes] = OrderedDict()
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._sealed)

    def put(self, tenant: str, name: str, plain: bytes) -> None:
        """Keep bytes in the place of what was there."""
        place = tenant, name
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, plain, _bound_to(place))
        self.drop(tenant, name)
        self._sealed[place] = sealed
        self.size_bytes += len(sealed)
        while len(self._sealed) > self._max_entries or self.size_bytes > self._max_bytes:
            self.drop(*next(iter(self._sealed)))

    def get(self, tenant: str, name: str) -> bytes | None:
        """What is kept; None where nothing is, or no longer is."""
        place = tenant, name
        sealed = self._sealed.get(place)
        if sealed is None:
            return None
        self._sealed.move_to_end(place)
        return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _bound_to(place))

    def names(self, tenant: str) -> list[str]:
        """What of one tenant is kept, the least recently used first."""
        return [name for owner, name in self._sealed if owner == tenant]

    def drop(self, tenant: str, name: str) -> None:
        """Forget one thing; a repeat does nothing."""
        sealed = self._sealed.pop((tenant, name), None)
        if sealed is not None:
            self.size_bytes -= len(sealed)


def _bound_to(place: Place) -> bytes:
    """What a sealed thing belongs to, so that it opens nowhere else."""
    tenant, name = place
    return f"{len(tenant)}:{tenant}:{name}".encode("utf-8", "replace")
