"""Names for applications that name nothing: `auto-` and the start of their fingerprint."""

AUTO_HEX = 6
MAX_PER_KEY = 256
OTHER = "auto-other"


class Features:
    """Gives each fingerprint of a key its automatic name; new ones beyond a limit share `auto-other`.

    The record keeps the whole fingerprint, so nothing is lost by sharing.
    """

    def __init__(self) -> None:
        self._known: dict[str, set[str]] = {}

    def automatic(self, key_id: str, fingerprint: str) -> str:
        """The automatic feature name of one call."""
        name = f"auto-{fingerprint[:AUTO_HEX]}"
        known = self._known.setdefault(key_id, set())
        if name not in known:
            if len(known) >= MAX_PER_KEY:
                return OTHER
            known.add(name)
        return name
