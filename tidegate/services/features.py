"""Names for applications that name nothing: `auto-` and the start of their fingerprint."""

from hashlib import sha256

from tidegate.policy.fingerprint import fingerprint

AUTO_HEX = 6
MAX_PER_KEY = 256
OTHER = "auto-other"
MAX_REMEMBERED = 4096


class Features:
    """Gives each fingerprint of a key its automatic name; new ones beyond a limit share `auto-other`.

    The record keeps the whole fingerprint, so nothing is lost by sharing.
    """

    def __init__(self) -> None:
        self._known: dict[str, set[str]] = {}

    def automatic(self, key_id: str, fingerprint: str) -> str:
        """The automatic feature name of one call."""
        name = f"auto-{fingerprint[:AUTO_HEX]}"
        known = self._known.get(key_id)
        if known is None:
            known = self._known[key_id] = set()
        if name not in known:
            if len(known) >= MAX_PER_KEY:
                return OTHER
            known.add(name)
        return name


class Fingerprints:
    """Remembers the fingerprints of prompts that come again, which most do.

    The memory starts over when it is full: a prompt that holds the time of day never comes again.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, str, bytes], str] = {}

    def of(self, key: bytes, system_text: str, tools_raw: bytes, *, hashed: str) -> str:
        """The fingerprint under a tenant's key; `hashed` is the keyed hash of the prompt before its messages.

        That hash covers the tools, which are long. It does not cover a system prompt that stands among the
        messages, as Responses and agents send it, so the text is hashed besides.
        """
        seen = (key, hashed, sha256(system_text.encode("utf-8", "replace")).digest())
        print_ = self._known.get(seen)
        if print_ is None:
            if len(self._known) >= MAX_REMEMBERED:
                self._known.clear()
            print_ = self._known[seen] = fingerprint(key, system_text, tools_raw)
        return print_
