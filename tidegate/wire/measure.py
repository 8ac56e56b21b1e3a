"""How much text there is: UTF-8 bytes, and how many of them are ASCII, for estimates of tokens."""

import msgspec

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


def json_part(raw: bytes) -> Part:
    """Return the part of a prompt that is JSON which a model reads as it stands."""
    size, ascii_size = bytes_size(raw)
    return Part(size_bytes=size, text_bytes=size, ascii_bytes=ascii_size)


class Tally(msgspec.Struct, gc=False):
    """Adds up one part of a prompt. `size_bytes` is of JSON as sent, the rest of the text in it."""

    size_bytes: int = 0
    text_bytes: int = 0
    ascii_bytes: int = 0

    def add(self, text: str) -> None:
        """Count decoded text."""
        size = ascii_size = len(text)
        if not text.isascii():
            size, ascii_size = bytes_size(text.encode())
        self.text_bytes += size
        self.ascii_bytes += ascii_size

    def add_json(self, raw: bytes) -> None:
        """Count JSON that a model reads as text (a tool's schema, a call's arguments)."""
        size, ascii_size = bytes_size(raw)
        self.text_bytes += size
        self.ascii_bytes += ascii_size

    def part(self) -> Part:
        """Return the sums."""
        if not self.size_bytes:
            return NO_PART
        return Part(size_bytes=self.size_bytes, text_bytes=self.text_bytes, ascii_bytes=self.ascii_bytes)
