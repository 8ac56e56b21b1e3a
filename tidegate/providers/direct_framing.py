"""One HTTP/1.1 reply out of bytes cut anywhere (RFC 9112): no socket, no clock, strict."""

import re

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
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [\t -~\x80-\xff]*)?")
_CONTROL = re.compile(rb"[^\t\r\n -~\x80-\xff]|\r(?!\n)|(?<!\r)\n")
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_names: dict[bytes, str] = {}


class MalformedError(ValueError):
    """What came is no reply. The text says in what way, and holds none of its bytes."""


class InterimError(MalformedError):
    """Replies of status 1xx without end."""


class Framing:
    """Takes a reply's bytes, gives its head and the pieces of its body.

    `headers` has names in lower case; of two fields of a name the first counts. `got_bytes`: a part of the
    reply came; those of status 1xx are none. `odd`: something followed its end. `bodiless` is set for HEAD.
    """

    __slots__ = (
        "_bare_bytes",
        "_begun",
        "_ended",
        "_held",
        "_interim",
        "_keep_alive",
        "_left",
        "_parser",
        "_tail",
        "_until_close",
        "bodiless",
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
        self.headers: dict[str, str] = {}
        self.pieces: list[bytes] = []
        self.unread_bytes = 0
        self.got_bytes = self.has_head = self.whole = self.odd = self.bodiless = False
        self._held = bytearray()
        self._begun = self._ended = self._keep_alive = self._until_close = False
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
        else:
            if not self._until_close:
                if len(data) > self._left:
                    self.odd = True
                    data = data[: self._left]
                self._left -= len(data)
                self.whole = self._left == 0
            self.pieces.append(data)
            self.unread_bytes += len(data)

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
        pieces.clear()
        self.unread_bytes = 0
        return piece

    def drop_unread(self) -> None:
        """Forget what has not been taken."""
        self.pieces.clear()
        self.unread_bytes = 0

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
        """Read a status line and fields, as strictly as the parser of chunks does."""
        lines = head[: -len(_END)].split(b"\r\n")
        first = _STATUS.fullmatch(lines[0])
        if first is None or _CONTROL.search(head) is not None:
            raise MalformedError("has a malformed head" if head.startswith(_PREFIX) else "is not HTTP/1.x")
        if len(lines) > MAX_FIELDS + 1:
            raise MalformedError("has too many header fields")
        fields: dict[str, str] = {}
        for line in lines[1:]:
            name, colon, value = line.partition(b":")
            key = _names.get(name) or _learn(name)
            if not colon:
                raise MalformedError("has a malformed head")
            if key not in fields:
                fields[key] = value.strip(b" \t").decode("latin-1")
            elif key in _SINGLE:
                raise MalformedError("repeats a field of its framing")
        status = int(first[2])
        if status < 200:
            self._pass_over(status, fields)
            return
        self.status, self.headers = status, fields
        self._frame(head, fields, is_1_1=first[1] == b"1")
        self.has_head = True

    def _pass_over(self, status: int, fields: dict[str, str]) -> None:
        if status == 101 or "content-length" in fields or "transfer-encoding" in fields:
            raise MalformedError("switches protocols, or gives an interim reply a body")
        self._interim += 1
        self.got_bytes = False
        if self._interim > MAX_INTERIM:
            raise InterimError(f"comes after more than {MAX_INTERIM} interim ones")

    def _frame(self, head: bytes, fields: dict[str, str], *, is_1_1: bool) -> None:
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
        if self.bodiless or self.status in _NO_BODY:
            self.whole = True
        elif coding is not None:
            self._parser = self._chunk_parser(head)
        elif length is not None:
            self._left = int(length)
            self.whole = self._left == 0
        else:
            self._until_close, self._keep_alive = True, False

    def _chunk_parser(self, head: bytes) -> HttpResponseParser:
        """A parser that has read the head, and so expects a chunk."""
        parser = HttpResponseParser(self)
        try:
            parser.feed_data(head)
        except (HttpParserError, HttpParserUpgrade):
            raise MalformedError("has a malformed head") from None
        return parser

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

    def on_body(self, body: bytes) -> None:
        """Parser: bytes of a chunk."""
        self.pieces.append(body)
        self.unread_bytes += len(body)

    def on_message_complete(self) -> None:
        """Parser: the last chunk and its trailers have ended."""
        self._ended = True


def _learn(name: bytes) -> str:
    """Return a field's name in lower case, the same object each time. Raises MalformedError for none."""
    if not _TOKEN.fullmatch(name):
        raise MalformedError("has a malformed head")
    lower = name.decode("latin-1").lower()
    if len(_names) < _MAX_NAMES and len(name) <= _MAX_NAME_BYTES:
        _names[name] = lower
    return lower
