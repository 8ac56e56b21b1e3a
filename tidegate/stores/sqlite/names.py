"""Plain names behind pseudonyms, each under a key of its own whose destruction erases it.

They stand in a database apart from all records (`names.db`). The subjects' keys are wrapped by a key made
from the pepper, so a copy of the database alone says nothing.
"""

import hmac
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tidegate.stores.layout import Layout, read_pepper
from tidegate.stores.sqlite.store import Store, Value

NAMES = "names.db"
MOST_BYTES = 1024
"""Longer names are cut: they are labels, not texts."""

_NONCE_BYTES = 12
_KEY_BITS = 256


class Names:
    """The names of one state directory. One process writes them; others may read."""

    def __init__(self, store: Store, pepper: bytes) -> None:
        self._store = store
        self._wrapper = AESGCM(hmac.digest(pepper, b"names of subjects", "sha256"))

    @classmethod
    def open(cls, root: Path) -> Self:
        """Open for writing; made on first use. Raises ConfigError for a pepper that cannot be used."""
        pepper = read_pepper(Layout(root))
        store = Store.open(root / NAMES, schema="names")
        store.connection.pragma("secure_delete", 1)
        return cls(store, pepper)

    @classmethod
    def open_read_only(cls, root: Path) -> Self | None:
        """Open for reading; None where no name was ever kept."""
        if not (root / NAMES).exists() or not Layout(root).pepper.exists():
            return None
        return cls(Store.open_read_only(root / NAMES, schema="names"), read_pepper(Layout(root)))

    def put(self, tenant: str, kind: str, pseudonym: str, plain: str) -> None:
        """Keep a name, unless it is kept already. `kind`: customer, user, session or `tag:<name>`."""
        with self._store.transaction():
            if self._one(_NAME, (tenant, kind, pseudonym)) is not None:
                return
            key = self._key(tenant, pseudonym) or self._new_key(tenant, pseudonym)
            text = plain.encode("utf-8", "replace")[:MOST_BYTES]
            sealed = _seal(AESGCM(key), text, _bound(tenant, kind, pseudonym))
            self._store.write(_PUT_NAME, [(tenant, kind, pseudonym, sealed)])

    def get(self, tenant: str, kind: str, pseudonym: str) -> str | None:
        """Return a name; None where it was never kept, was erased, or another pepper sealed it."""
        sealed = self._one(_NAME, (tenant, kind, pseudonym))
        key = self._key(tenant, pseudonym) if sealed is not None else None
        if sealed is None or key is None:
            return None
        plain = _open(AESGCM(key), sealed, _bound(tenant, kind, pseudonym))
        return None if plain is None else plain.decode("utf-8", "replace")

    def erase(self, tenant: str, pseudonym: str) -> bool:
        """Destroy a subject's key and names; return whether there was any.

        Raises apsw.BusyError when a reader keeps the log from being emptied: they are gone from the tables
        then, and their bytes from the disk once `erase` is called again.
        """
        with self._store.transaction():
            before = self._store.connection.total_changes()
            self._store.write(_DROP_KEY, [(tenant, pseudonym)])
            self._store.write(_DROP_NAMES, [(tenant, pseudonym)])
            erased = self._store.connection.total_changes() > before
        self._store.checkpoint()
        return erased

    def close(self) -> None:
        """Close the database."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _key(self, tenant: str, pseudonym: str) -> bytes | None:
        wrapped = self._one(_KEY, (tenant, pseudonym))
        return None if wrapped is None else _open(self._wrapper, wrapped, _bound(tenant, pseudonym))

    def _new_key(self, tenant: str, pseudonym: str) -> bytes:
        """Make a subject's key; one that another pepper wrapped is replaced."""
        key = AESGCM.generate_key(_KEY_BITS)
        wrapped = _seal(self._wrapper, key, _bound(tenant, pseudonym))
        self._store.write(_PUT_KEY, [(tenant, pseudonym, wrapped)])
        return key

    def _one(self, sql: str, values: tuple[Value, ...]) -> bytes | None:
        found = self._store.connection.execute(sql, values).get
        assert found is None or isinstance(found, bytes)
        return found


_NAME = "SELECT ciphertext FROM name WHERE tenant = ? AND kind = ? AND pseudonym = ?"
_KEY = "SELECT wrapped FROM subject_key WHERE tenant = ? AND pseudonym = ?"
_PUT_NAME = "INSERT INTO name (tenant, kind, pseudonym, ciphertext) VALUES (?, ?, ?, ?)"
_PUT_KEY = """INSERT INTO subject_key (tenant, pseudonym, wrapped) VALUES (?, ?, ?)
ON CONFLICT (tenant, pseudonym) DO UPDATE SET wrapped = excluded.wrapped"""
_DROP_KEY = "DELETE FROM subject_key WHERE tenant = ? AND pseudonym = ?"
_DROP_NAMES = "DELETE FROM name WHERE tenant = ? AND pseudonym = ?"


def _seal(cipher: AESGCM, plain: bytes, bound: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, plain, bound)


def _open(cipher: AESGCM, sealed: bytes, bound: bytes) -> bytes | None:
    try:
        return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], bound)
    except (InvalidTag, ValueError):
        return None


def _bound(*parts: str) -> bytes:
    """Return what a ciphertext is bound to, so that none can be moved to another row."""
    return b"\0".join(part.encode("utf-8", "replace") for part in parts)
