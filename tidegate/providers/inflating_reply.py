"""The half of a reply that is the same for every client: read it whole or in pieces, inflated."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping

from tidegate.providers.inflate import ENCODINGS, InflateError, InflateLimitError, Inflater
from tidegate.providers.transport import Phase, ReplyTooLargeError, TransportError, place


class InflatingReply(ABC):
    """See Reply. A client's own reply fills in how bytes come and how a connection is given up."""

    headers: Mapping[str, str]
    """See Reply.headers."""
    _url: str
    _inflater: Inflater | None = None

    @abstractmethod
    async def next_piece(self) -> bytes:
        """Give what has come, or wait for it; empty at the end."""

    @abstractmethod
    def give_up(self, phase: Phase, what: str) -> None:
        """Close the connection at once; a reader gets a TransportError."""

    def inflate(self, limit_bytes: int) -> None:
        """Prepare for a compression that was not asked for. Raises TransportError for an unknown one."""
        encoding = self.headers.get("content-encoding")
        if encoding is None or (encoding := encoding.strip().lower()) in ("", "identity"):
            return
        if encoding not in ENCODINGS:
            text = f"the reply of {place(self._url)} has a content-encoding that was not asked for"
            raise TransportError(text, sent="maybe", got_bytes=True, phase="read")
        self._inflater = Inflater(limit_bytes)
        gone = ("content-encoding", "content-length")
        self.headers = {name: value for name, value in self.headers.items() if name not in gone}

    def chunks(self) -> AsyncIterator[bytes]:
        """See Reply.chunks."""
        return _Pieces(self) if self._inflater is None else self._inflated(self._inflater)

    async def read(self, limit_bytes: int) -> bytes:
        """See Reply.read."""
        pieces: list[bytes] = []
        left = limit_bytes
        unpacked = None if self._inflater is None else self._inflated(self._inflater)
        while piece := await (self.next_piece() if unpacked is None else anext(unpacked, b"")):
            left -= len(piece)
            if left < 0:
                self.abort()
                text = f"the reply of {place(self._url)} is longer than {limit_bytes} bytes"
                raise ReplyTooLargeError(text, limit_bytes=limit_bytes)
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def abort(self) -> None:
        """See Reply.abort."""
        self.give_up("read", "was given up here")

    async def _inflated(self, inflater: Inflater) -> AsyncIterator[bytes]:
        try:
            while packed := await self.next_piece():
                for piece in inflater.feed(packed):
                    yield piece
            inflater.finish()
        except InflateError as error:
            self.give_up("read", f"cannot be inflated: {error}")
            text = f"the reply of {place(self._url)} cannot be inflated: {error}"
            if isinstance(error, InflateLimitError):
                raise ReplyTooLargeError(text, limit_bytes=inflater.limit_bytes) from None
            raise TransportError(text, sent="maybe", got_bytes=True, phase="read") from None


class _Pieces:
    """The body as it comes; an object, since an abandoned generator would clean up late."""

    __slots__ = ("_reply",)

    def __init__(self, reply: InflatingReply) -> None:
        self._reply = reply

    def __aiter__(self) -> "_Pieces":
        return self

    async def __anext__(self) -> bytes:
        piece = await self._reply.next_piece()
        if not piece:
            raise StopAsyncIteration
        return piece
