"""How much text there is: UTF-8 bytes, and how many of them are ASCII, for estimates of tokens."""

from dataclasses import dataclass

from tidegate.model.request import Part

_HIGH = bytes(range(128, 256))
NO_PART = Part()


def text_size(text: str) -> tuple[int, int]:
    """Return (UTF-8 bytes, ASCII bytes among them)."""
    if text.isascii():
        return len(text), len(text)
    return bytes_size(text.encode())


def bytes_size(raw: bytes) -> tuple[int, int]:
    """Return (bytes, ASCII bytes among them)."""
    size = len(raw)
    return size, size if raw.isascii() else len(raw.translate(None, _HIGH))


@dataclass(slots=True)
class Tally:
    """Adds up one part of a prompt. `size_bytes` is of JSON as sent, the rest of the text in it."""

    size_bytes: int = 0
    text_bytes: int = 0
    ascii_bytes: int = 0

    def add(self, text: str) -> None:
        """Count decoded text."""
        size, ascii_size = text_size(text)
        self.text_bytes += size
        self.ascii_bytes += ascii_size

    def add_json(self, raw: bytes) -> None:
        """Count JSON that a model reads as text (a tool's schema, a call's arguments)."""
        size, ascii_size = bytes_size(raw)
        self.text_bytes += size
        self.ascii_bytes += ascii_size

    def absorb(self, other: "Tally") -> None:
        """Count what `other` counted."""
        self.size_bytes += other.size_bytes
        self.text_bytes += other.text_bytes
        self.ascii_bytes += other.ascii_bytes

    def part(self) -> Part:
        """Return the sums."""
        if not self.size_bytes:
            return NO_PART
        return Part(size_bytes=self.size_bytes, text_bytes=self.text_bytes, ascii_bytes=self.ascii_bytes)
