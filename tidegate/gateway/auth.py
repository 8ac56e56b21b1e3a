"""Whose request is this: the key, wherever a client's SDK puts it (trap K2)."""

from collections import OrderedDict
from urllib.parse import parse_qsl

from tidegate.model.errors import BadRequest, RateLimited, Unauthenticated
from tidegate.model.identity import Key
from tidegate.policy.keyformat import PREFIX
from tidegate.services.keys import Keyring

Headers = list[tuple[bytes, bytes]]

_KEY_HEADERS = frozenset({b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key"})
_BEARER = b"bearer "
MAX_CREDENTIAL = 4096

FAILURES_PER_MINUTE = 20
MAX_ADDRESSES = 10_000
_MINUTE_US = 60_000_000


def credentials(headers: Headers) -> list[str]:
    """Every credential among a request's headers, in order."""
    found: list[str] = []
    for name, value in headers:
        if name in _KEY_HEADERS:
            text = value[:MAX_CREDENTIAL]
            if text[:7].lower() == _BEARER:
                text = text[7:]
            found.append(text.decode("latin-1").strip())
    return found


def query_credentials(query: bytes) -> list[str]:
    """Every `?key=` of a target: Gemini's clients send theirs so."""
    return [value for name, value in parse_qsl(query.decode("latin-1")) if name == "key"]


def tidegate_key(found: list[str]) -> str:
    """The one Tidegate key among credentials; a foreign one beside it is ignored.

    Raises Unauthenticated without any, BadRequest with two different ones (case 4).
    """
    if len(found) == 1 and found[0].startswith(PREFIX):
        return found[0]
    ours = {text for text in found if text.startswith(PREFIX)}
    if len(ours) == 1:
        return ours.pop()
    if ours:
        raise BadRequest("The request carries two different Tidegate keys; send one.", param="authorization")
    hint = "Send a Tidegate key (tg_...) as `Authorization: Bearer` or `x-api-key`."
    if found:
        raise Unauthenticated(f"The credential sent is not a Tidegate key. {hint}")
    raise Unauthenticated(f"No API key was sent. {hint}")


class LoginGuard:
    """Slows guessing: an address with 20 failures within a minute waits for the next minute (case 5).

    Addresses are kept in a bounded table; the oldest is forgotten first.
    """

    def __init__(self) -> None:
        self._failures: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def check(self, address: str, now_us: int) -> None:
        """Raise RateLimited for an address that has guessed too often this minute."""
        minute, count = self._failures.get(address, (0, 0))
        if count >= FAILURES_PER_MINUTE and minute == now_us // _MINUTE_US:
            wait_s = 60 - now_us % _MINUTE_US // 1_000_000
            raise RateLimited(
                f"Too many failed keys from this address; wait {wait_s} s and check the key.",
                retry_after_s=wait_s,
            )

    def failed(self, address: str, now_us: int) -> None:
        """Count one failure."""
        minute, count = self._failures.pop(address, (0, 0))
        this_minute = now_us // _MINUTE_US
        self._failures[address] = (this_minute, count + 1 if minute == this_minute else 1)
        if len(self._failures) > MAX_ADDRESSES:
            self._failures.popitem(last=False)


class Authenticator:
    """Names the key of a request, or refuses it."""

    def __init__(self, guard: LoginGuard) -> None:
        self._guard = guard

    def key_of(self, keyring: Keyring, found: list[str], address: str, now_us: int) -> Key:
        """The key among `found`. Raises Unauthenticated, BadRequest or RateLimited.

        A valid key is served even from an address that is being slowed, so that a guesser behind a shared
        address cannot lock out its neighbours.
        """
        try:
            return keyring.verify(tidegate_key(found), now_us)
        except Unauthenticated:
            self._guard.check(address, now_us)
            self._guard.failed(address, now_us)
            raise
