"""Virtual keys: minted once, kept only as an HMAC, checked in constant time."""

import hmac
import secrets
from base64 import b32encode
from collections.abc import Iterable

from tidegate.model.errors import Unauthenticated
from tidegate.model.identity import Key
from tidegate.policy.keyformat import ID_LENGTH, SECRET_LENGTH, assemble, key_id_of

_HINT = "Send a Tidegate key (tg_...) as `Authorization: Bearer` or `x-api-key`."
_NOBODY = "0" * 64
MAX_VERIFIED = 4096


def mint() -> tuple[str, str]:
    """A new (id, key text); the text is shown once and never stored."""
    key_id = _letters(ID_LENGTH)
    return key_id, assemble(key_id, _letters(SECRET_LENGTH))


def _letters(count: int) -> str:
    return b32encode(secrets.token_bytes(count * 5 // 8 + 1)).decode().lower()[:count]


def mac_of(text: str, pepper: bytes) -> str:
    """The hex HMAC-SHA256 that stands for a key in every store."""
    return hmac.digest(pepper, text.encode(), "sha256").hex()


class Keyring:
    """The keys of one snapshot."""

    def __init__(self, keys: Iterable[Key], pepper: bytes) -> None:
        self._keys = {key.id: key for key in keys}
        self._pepper = pepper
        self._verified: dict[str, Key] = {}

    @property
    def tenants(self) -> frozenset[str]:
        """Whose keys there are, revoked ones among them."""
        return frozenset(key.tenant for key in self._keys.values())

    def verify(self, text: str, now_us: int) -> Key:
        """The key this text is. Raises Unauthenticated (invalid, revoked or expired).

        An unknown id costs the same HMAC and comparison as a known one (case 5). A key that was verified
        before is known at once; whether it is revoked or expired is asked every time.
        """
        key = self._verified.get(text)
        if key is None:
            key = self._verify(text)
            if len(self._verified) >= MAX_VERIFIED:
                self._verified.clear()
            self._verified[text] = key
        if key.revoked_at_us is not None and key.revoked_at_us <= now_us:
            raise Unauthenticated(f"Key {key.id} was revoked; ask for a new one.", code="revoked_api_key")
        if key.expires_at_us is not None and key.expires_at_us <= now_us:
            raise Unauthenticated(f"Key {key.id} has expired; ask for a new one.", code="expired_api_key")
        return key

    def _verify(self, text: str) -> Key:
        key_id = key_id_of(text)
        if key_id is None:
            raise Unauthenticated(f"That is not a well-formed Tidegate key. {_HINT}")
        key = self._keys.get(key_id)
        known = key.mac if key is not None else _NOBODY
        if not hmac.compare_digest(mac_of(text, self._pepper), known) or key is None:
            raise Unauthenticated(f"No such key. {_HINT}")
        return key
