"""The calls of this boot that have begun and not ended: what a failing disk must not lose."""

from collections.abc import Iterator


class OpenCalls:
    """By id, oldest first: the segment and the payload of the `begin`, and the payloads of its attempts."""

    def __init__(self) -> None:
        self.begins: dict[str, tuple[int, bytes]] = {}
        self.attempts: dict[str, list[bytes]] = {}

    def __len__(self) -> int:
        return len(self.begins)

    def end(self, id: str) -> None:  # noqa: A002 - the record's own word
        """Forget an open call."""
        del self.begins[id]
        if self.attempts:
            self.attempts.pop(id, None)

    def payloads(self) -> Iterator[bytes]:
        """Yield every begin, each before its attempts."""
        for id_, (_, begin) in self.begins.items():
            yield begin
            yield from self.attempts.get(id_, ())

    def open_from(self, newest: int) -> int:
        """Return the lowest segment that holds an open begin, `newest` if there is none."""
        oldest = next(iter(self.begins.values()), None)
        return oldest[0] if oldest is not None else newest
