"""One HTTP/1.1 reply out of bytes cut anywhere (RFC 9112): no socket, no clock, strict."""

from collections.abc import Iterator, Mapping
from typing import TypeVar, overload

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

MAX_HEAD_BYTES = 64 * 1024
MAX_FIELDS = 200
MAX_INTERIM = 8
"""Replies of status 1xx ahead of the real one."""
MAX_BARE_BYTES = 16 * 1024
"""Chunk extensions and trailers without a byte of body between them."""

_END = b"\r\n\r\n"
_PREFIX = b"HTTP/1."
_SINGLE = frozenset({"content-length", "transfer-encoding", "content-encoding"})
_NO_BODY = frozenset({204, 304})
_MAX_NAMES = 2048
_MAX_NAME_BYTES = 64
T = TypeVar("T")
_names: dict[bytes, str] = {}


class MalformedError(ValueError):
    """What came is no reply. The text says in what way, and holds none of its bytes."""


class InterimError(MalformedError):
    """Replies of status 1xx without end."""


class Headers(Mapping[str, str]):
    """The fields of a head, found in any case and listed in lower case; the first of a name wins."""

    __slots__ = ("_fields",)

    def __init__(self, fields: dict[str, str]) -> None:
        self._fields = fields

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    @overload
    def get(self, key: str, /) -> str | None: ...
    @overload
    def get(self, key: str, default: str, /) -> str: ...
    @overload
    def get(self, key: str, default: T, /) -> str | T: ...
    def get(self, key: str, default: object = None, /) -> object:
        """Return a field, or the default."""
        return self._fields.get(key.lower(), default)

    def without(self, *names: str) -> "Headers":
        """Return the fields but these."""
        return Headers({name: value for name, value in self._fields.items() if name not in names})


class Framing:
    """Takes a reply's bytes, gives its head and the pieces of its body.

    `got_bytes`: a part of the reply came; those of status 1xx are none. `odd`: something followed its end.
    """

    __slots__ = (
        "_bare_bytes",
        "_begun",
        "_ended",
        "_fields",
        "_held",
        "_interim",
        "_keep_alive",
        "_left",
        "_parsed",
        "_parser",
        "_tail",
        "_until_close",
        "got_bytes",
        "has_head",
        "headers",
        "odd",
        "pieces",
        "status",
        "unread_bytes",
        "whole",
    )

    def __init__(self) -> None:
        self.status = 0
        self.headers = Headers({})
        self.pieces: list[bytes] = []
        self.unread_bytes = 0
        self.got_bytes = self.has_head = self.whole = self.odd = False
        self._held = bytearray()
        self._fields: dict[str, str] = {}
        self._begun = self._parsed = self._ended = self._keep_alive = self._until_close = False
        self._interim = 0
        self._left = 0
        self._parser: HttpResponseParser | None = None
        self._bare_bytes = 0
        self._tail = b""

    @property
    def reusable(self) -> bool:
        """Whether the connection may carry another request."""
        return self.whole and self._keep_alive and not self.odd

    def feed(self, data: bytes) -> None:
        """Take what came. Raises MalformedError, after which nothing more may be fed."""
        if not self.has_head:
            data = self._head(data)
        if not data:
            return
        if self.whole:
            self.odd = True
        elif self._parser is not None:
            self._chunks(self._parser, data)
        elif self._until_close:
            self._body(data)
        else:
            if len(data) > self._left:
                self.odd = True
                data = data[: self._left]
            self._left -= len(data)
            self.whole = self._left == 0
            self._body(data)

    def end(self) -> bool:
        """Say whether the reply is whole, now that its connection has ended."""
        if self._until_close:
            self.whole = True
        return self.whole

    def stop(self) -> None:
        """Let go of the parser, which holds on to this object; nothing more may be fed."""
        self._parser = None

    def take(self) -> bytes:
        """Return the unread body, empty when there is none."""
        pieces = self.pieces
        piece = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self.drop_unread()
        return piece

    def drop_unread(self) -> None:
        """Forget what has not been taken."""
        self.pieces.clear()
        self.unread_bytes = 0

    def _body(self, data: bytes) -> None:
        self.pieces.append(data)
        self.unread_bytes += len(data)

    def _head(self, data: bytes) -> bytes:
        """Take bytes of the head, those of status 1xx passed over; return what follows it."""
        held = self._held
        while data:
            self.got_bytes = True
            if held:
                start = max(len(held) - len(_END) + 1, 0)
                held += data
                end = held.find(_END, start)
                if end >= 0:
                    data = bytes(held)
                    held.clear()
            else:
                end = data.find(_END)
                if end < 0:
                    held += data
            if (end if end >= 0 else len(held)) > MAX_HEAD_BYTES:
                raise MalformedError("has a head that is too large")
            if end < 0:
                if held[: len(_PREFIX)] != _PREFIX[: len(held)]:
                    raise MalformedError("is not HTTP/1.x")
                return b""
            head, data = data[: end + len(_END)], data[end + len(_END) :]
            self._read_head(head)
            if self.has_head:
                break
        return data

    def _read_head(self, head: bytes) -> None:
        is_1_1 = head.startswith(b"HTTP/1.1 ")
        if not is_1_1 and not head.startswith(b"HTTP/1.0 "):
            raise MalformedError("is not HTTP/1.x")
        if head.count(b"\r\n") > MAX_FIELDS + 2:
            raise MalformedError("has too many header fields")
        fields: dict[str, str] = {}
        self._fields = fields
        self._begun = self._parsed = self._ended = False
        parser = HttpResponseParser(self)
        try:
            parser.feed_data(head)
            status = parser.get_status_code() if self._parsed else 0
        except (HttpParserError, HttpParserUpgrade):
            status = 0
        if status < 100:
            raise MalformedError("has a malformed head")
        if status < 200:
            self._pass_over(status, fields)
            return
        self.status, self.headers = status, Headers(fields)
        self._frame(parser, fields, is_1_1=is_1_1)
        self.has_head = True

    def _pass_over(self, status: int, fields: dict[str, str]) -> None:
        if status == 101 or "content-length" in fields or "transfer-encoding" in fields:
            raise MalformedError("switches protocols, or gives an interim reply a body")
        self._interim += 1
        self.got_bytes = False
        if self._interim > MAX_INTERIM:
            raise InterimError(f"comes after more than {MAX_INTERIM} interim ones")

    def _frame(self, parser: HttpResponseParser, fields: dict[str, str], *, is_1_1: bool) -> None:
        """Find how the body ends (RFC 9112, section 6.3)."""
        tokens = fields.get("connection")
        if tokens is None:
            self._keep_alive = is_1_1
        else:
            words = {word.strip() for word in tokens.lower().split(",")}
            self._keep_alive = "close" not in words and (is_1_1 or "keep-alive" in words)
        coding, length = fields.get("transfer-encoding"), fields.get("content-length")
        if coding is not None and (coding.lower() != "chunked" or length is not None or not is_1_1):
            raise MalformedError("is framed in a way that is not accepted")
        if length is not None and not (length.isascii() and length.isdigit() and len(length) < 20):
            raise MalformedError("has a content-length that is none")
        if self.status in _NO_BODY:
            self.whole = True
        elif coding is not None:
            self._parser = parser
        elif length is not None:
            self._left = int(length)
            self.whole = self._left == 0
        else:
            self._until_close, self._keep_alive = True, False

    def _chunks(self, parser: HttpResponseParser, data: bytes) -> None:
        before = self.unread_bytes
        try:
            parser.feed_data(data)
            broken = False
        except (HttpParserError, HttpParserUpgrade):
            broken = True
        if self._ended:
            self.whole, self._parser = True, None
            tail = (self._tail + data)[-5:] if len(data) < 5 else data[-5:]
            # the parser passes over line ends ahead of a reply, so that it does not tell of these
            self.odd = broken or tail[1:] != _END or tail[:1] == b"\n"
            return
        if broken:
            raise MalformedError("has a malformed chunk")
        self._bare_bytes = self._bare_bytes + len(data) if self.unread_bytes == before else 0
        if self._bare_bytes > MAX_BARE_BYTES:
            raise MalformedError("has chunk extensions or trailers without end")
        self._tail = (self._tail + data)[-4:] if len(data) < 4 else data[-4:]

    def on_message_begin(self) -> None:
        """Parser: a head begins. A second one was not asked for."""
        if self._begun:
            raise MalformedError("is followed by another")
        self._begun = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Parser: a field of the head; those of a trailer go nowhere."""
        if self._parsed:
            return
        key = _names.get(name) or _learn(name)
        if key not in self._fields:
            self._fields[key] = value.decode("latin-1").rstrip(" \t")
        elif key in _SINGLE:
            raise MalformedError("repeats a field of its framing")

    def on_headers_complete(self) -> None:
        """Parser: the head has ended."""
        self._parsed = True

    def on_body(self, body: bytes) -> None:
        """Parser: bytes of a chunk."""
        self.pieces.append(body)
        self.unread_bytes += len(body)

    def on_message_complete(self) -> None:
        """Parser: the last chunk and its trailers have ended."""
        self._ended = True


def _learn(name: bytes) -> str:
    """Return a field's name in lower case, the same object each time."""
    lower = name.decode("latin-1").lower()
    if len(_names) < _MAX_NAMES and len(name) <= _MAX_NAME_BYTES:
        _names[name] = lower
    return lower
