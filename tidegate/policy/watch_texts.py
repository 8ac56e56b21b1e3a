"""Stop texts: words by which an operator ends a reply, found wherever deltas cut them."""

from collections.abc import Sequence

from tidegate.policy.estimate import raw_tokens
from tidegate.policy.watch_shape import text_size


class StopTexts:
    """Finds the first stop text in one channel, to the letter."""

    __slots__ = ("_ascii", "_end", "_other", "_tail", "_texts")

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts
        self._tail = ""
        self._end = self._ascii = self._other = 0

    def feed(self, delta: str) -> tuple[int, int, int] | None:
        """Return where the first one ends, in characters and estimated tokens, and which it is, from 0."""
        text, before = self._tail + delta, self._end - len(self._tail)
        found = [
            (before + at + len(wanted), place)
            for place, wanted in enumerate(self._texts)
            if (at := text.find(wanted)) >= 0
        ]
        if found:
            end, place = min(found)
            self._count(delta[: end - self._end])
            return end, raw_tokens(self._ascii, self._other), place
        self._count(delta)
        kept = max(map(len, self._texts)) - 1
        self._tail = text[-kept:] if kept else ""
        return None

    def _count(self, text: str) -> None:
        size, ascii_size = text_size(text)
        self._end += len(text)
        self._ascii += ascii_size
        self._other += size - ascii_size
