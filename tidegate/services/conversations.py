"""What came before a response, for a client that goes on with its id alone (trap K10).

OpenAI's Responses keep their state at the provider: only the account that answered knows it, so the next
call must go there. A provider of another dialect keeps nothing; the turns are then kept here, in memory,
encrypted, apart by tenant, bounded in bytes and in time.
"""

import msgspec

from tidegate.model.message import Message
from tidegate.services.sealed import SealedStore

SECOND_US = 1_000_000
MAX_RESPONSES = 65_536
MAX_BYTES = 64 * 1024 * 1024
MAX_RESPONSE_BYTES = 4 * 1024 * 1024
"""More of one conversation is not kept."""


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """One response. `wallet` is who was paid for it (`policy.resilience.Place`).

    `messages` are all turns up to and with its own; None where the provider keeps them. `tokens` is what the
    provider counted for the prompt and the answer: the next call costs at least these.
    """

    at_us: int
    wallet: str
    tokens: int = 0
    messages: tuple[Message, ...] | None = None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Remembered).decode


class Conversations:
    """Responses by tenant and id."""

    def __init__(self, *, max_responses: int = MAX_RESPONSES, max_bytes: int = MAX_BYTES) -> None:
        self._store = SealedStore(max_entries=max_responses, max_bytes=max_bytes)

    def __len__(self) -> int:
        return len(self._store)

    def put(self, tenant: str, response_id: str, remembered: Remembered) -> None:
        """Remember a response."""
        plain = _encode(remembered)
        if len(plain) <= MAX_RESPONSE_BYTES:
            self._store.put(tenant, response_id, plain)

    def get(self, tenant: str, response_id: str, *, now_us: int, keep_s: int) -> Remembered | None:
        """What is known of a response; None where nothing is, or it is older than `keep_s`."""
        plain = self._store.get(tenant, response_id)
        if plain is None:
            return None
        found = _decode(plain)
        if now_us - found.at_us > keep_s * SECOND_US:
            self._store.drop(tenant, response_id)
            return None
        return found
