"""Undo a compression nobody asked for, without letting a small reply become a large one (CVE-2025-66471)."""

import zlib
from collections.abc import Iterator

ENCODINGS = frozenset({"gzip", "x-gzip", "deflate"})
PIECE_BYTES = 64 * 1024
FREE_BYTES = 1024 * 1024
"""Below this output no ratio is asked about: a short text of one letter is no attack."""
MAX_RATIO = 400
"""Measured: the events of a long chat stream pack 112 times, a bomb of zeros 1,030 times."""


class InflateError(ValueError):
    """The bytes are not what their encoding promises."""


class InflateLimitError(InflateError):
    """They unfold to too much."""


class Inflater:
    """Inflates one gzip or deflate body cut anywhere, in pieces of at most 64 kB."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self._taken = self._given = 0
        self._head = b""
        self._unzip: zlib._Decompress | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Give what `data` unfolds to. Raises InflateError, at a limit InflateLimitError."""
        self._taken += len(data)
        while data:
            if self._unzip is None:
                self._head += data
                if len(self._head) < 2:
                    return
                data, self._head = self._head, b""
                self._unzip = zlib.decompressobj(wbits=_window(data))
            yield from self._member(self._unzip, data)
            data = self._unzip.unused_data
            if self._unzip.eof and data:
                self._unzip = None

    def finish(self) -> None:
        """Raise InflateError when the body ended inside its compressed data."""
        if self._head or (self._unzip is not None and not self._unzip.eof):
            raise InflateError("the compressed reply is cut")

    def _member(self, unzip: "zlib._Decompress", data: bytes) -> Iterator[bytes]:
        """Feed one gzip member or zlib stream to its end, or to the end of `data`."""
        full = True
        while full or data:
            try:
                piece = unzip.decompress(data, PIECE_BYTES)
            except zlib.error:
                raise InflateError("the reply is not the gzip or deflate it says it is") from None
            data = unzip.unconsumed_tail
            full = len(piece) == PIECE_BYTES
            self._given += len(piece)
            self._check()
            if piece:
                yield piece

    def _check(self) -> None:
        if self._given > self.limit_bytes:
            raise InflateLimitError(f"the compressed reply unfolds to more than {self.limit_bytes} bytes")
        if self._given > max(FREE_BYTES, self._taken * MAX_RATIO):
            raise InflateLimitError(f"the compressed reply unfolds to more than {MAX_RATIO} times its size")


def _window(head: bytes) -> int:
    """Return zlib's `wbits` for gzip, zlib (RFC 1950) or the bare deflate that some servers send."""
    if head[:2] == b"\x1f\x8b":
        return 16 + zlib.MAX_WBITS
    is_zlib = head[0] & 0x0F == zlib.DEFLATED and (head[0] * 256 + head[1]) % 31 == 0
    return zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS
