"""Server-sent events: frames that keep every byte, and events as the WHATWG HTML standard reads them."""

import re

import msgspec

from tidegate.model.errors import UpstreamError

MAX_FRAME_BYTES = 1_048_576
"""A longer frame is a fault of the provider (case F8)."""

_BOM = b"\xef\xbb\xbf"
_LF = 0x0A
_CR = 0x0D
_LINE_END = re.compile(rb"\r\n|\n|\r")
_BLOCK_END = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)")


class FrameTooLarge(UpstreamError):  # noqa: N818  # named for the fact, as the error tree is
    """One frame of a stream passes the limit, so where the next one starts is unknown."""

    code = "upstream_frame_too_large"
    retryable = False

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"the provider sent a stream frame above {limit_bytes} bytes")


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One block of a stream, up to and with its blank line.

    `raw` is all of it, comments and line ends too. `event` is empty when absent. `data` is empty when the
    block has none, as with a comment.
    """

    raw: bytes
    event: bytes
    data: bytes


class FrameReader:
    """Cut a stream into frames, wherever the network cut it (trap S4).

    The `raw` of all frames, then `pending()`, are the input byte for byte.
    """

    __slots__ = ("_after_cr", "_first", "_held", "_limit", "_slow", "_too_large")

    def __init__(self, limit_bytes: int = MAX_FRAME_BYTES) -> None:
        self._limit = limit_bytes
        self._held = bytearray()
        self._first = True
        self._after_cr = False
        self._too_large = False
        self._slow = True

    def feed(self, chunk: bytes) -> list[Frame]:
        """Return the frames that `chunk` completes, oldest first.

        Raises FrameTooLarge: at once, or at the next call when other frames were complete before.
        """
        if self._slow or b"\r" in chunk or len(chunk) > self._limit:
            return self._feed_any(chunk)
        blocks = chunk.split(b"\n\n")
        rest = blocks.pop()
        frames: list[Frame] = []
        for block in blocks:
            if block[:6] == b"data: " and b"\n" not in block:
                frames.append(Frame(block + b"\n\n", b"", block[6:]))
            elif block and block[0] != _LF:
                frames.append(Frame(block + b"\n\n", *read_block(block)))
            else:
                return self._feed_any(chunk)
        return frames + self._feed_any(rest) if rest else frames

    def pending(self) -> bytes:
        """Return the bytes of a frame that is not complete yet; empty between frames."""
        return bytes(self._held)

    def _feed_any(self, chunk: bytes) -> list[Frame]:
        """Do what `feed` does for line ends, cuts and sizes of every kind."""
        if self._too_large:
            raise FrameTooLarge(self._limit)
        if not chunk:
            return []
        frames: list[Frame] = []
        if self._after_cr and chunk[0] == _LF:  # the second half of a CRLF whose first half ended a frame
            frames.append(Frame(b"\n", b"", b""))
            chunk = chunk[1:]
        held, at = self._held, 0
        search = max(0, len(held) - 3)
        held += chunk
        while at < len(held):
            end = self._end_of_block(at, max(at, search))
            if end is None or end - at > self._limit:
                break
            frames.append(self._frame(bytes(held[at:end])))
            at = end
        self._after_cr = 0 < at == len(held) and held[-1] == _CR
        del held[:at]
        self._too_large = len(held) > self._limit
        self._slow = bool(held) or self._after_cr or self._first
        if self._too_large and not frames:
            raise FrameTooLarge(self._limit)
        return frames

    def _end_of_block(self, at: int, search: int) -> int | None:
        """Return where the block that starts at `at` ends; its end is not before `search`."""
        held = self._held
        blank = held[at] in (_LF, _CR)
        match = _LINE_END.match(held, at) if blank else _BLOCK_END.search(held, search)
        return match.end() if match else None

    def _frame(self, raw: bytes) -> Frame:
        event, data = read_block(raw.removeprefix(_BOM) if self._first else raw)
        self._first = False
        return Frame(raw, event, data)


def read_block(block: bytes) -> tuple[bytes, bytes]:
    """Return the event name and the data of one block; empty where it has none."""
    event, data = b"", []
    for line in _lines(block):
        name, _, value = line.partition(b":")
        if name == b"data":
            data.append(value.removeprefix(b" "))
        elif name == b"event":
            event = value.removeprefix(b" ")
    return event, b"\n".join(data)


class Event(msgspec.Struct, frozen=True):
    """One dispatched event. `retry_ms` is the reconnection time set inside its block."""

    event: str
    data: str
    id: str
    retry_ms: int | None


class EventReader:
    """Read a stream as a browser would (WHATWG HTML, "Server-sent events").

    `comments` are all comment lines so far, without the colon and one space after it.
    """

    def __init__(self, limit_bytes: int = MAX_FRAME_BYTES) -> None:
        self._frames = FrameReader(limit_bytes)
        self._first = True
        self._retry_ms: int | None = None
        self._comments: list[str] = []
        self.last_event_id = ""

    def feed(self, chunk: bytes) -> list[Event]:
        """Return the events that `chunk` completes, oldest first. Raises FrameTooLarge."""
        return [event for frame in self._frames.feed(chunk) if (event := self._dispatch(frame)) is not None]

    @property
    def retry_ms(self) -> int | None:
        """The last valid reconnection time, in milliseconds; also from a block that is not complete."""
        retry_ms, _ = _side_fields(self._pending_lines())
        return self._retry_ms if retry_ms is None else retry_ms

    @property
    def comments(self) -> list[str]:
        """Every comment line so far."""
        return self._comments + _side_fields(self._pending_lines())[1]

    def _pending_lines(self) -> list[bytes]:
        return _lines(self._text_of(self._frames.pending()))[:-1]

    def _text_of(self, raw: bytes) -> bytes:
        return raw.removeprefix(_BOM) if self._first else raw

    def _dispatch(self, frame: Frame) -> Event | None:
        lines = _lines(self._text_of(frame.raw))
        self._first = False
        retry_ms, comments = _side_fields(lines)
        self._comments += comments
        self._retry_ms = self._retry_ms if retry_ms is None else retry_ms
        has_data = False
        for line in lines:
            name, _, value = line.partition(b":")
            has_data = has_data or name == b"data"
            if name == b"id" and b"\0" not in value:
                self.last_event_id = _text(value.removeprefix(b" "))
        if not has_data:
            return None
        return Event(_text(frame.event) or "message", _text(frame.data), self.last_event_id, retry_ms)


def _lines(block: bytes) -> list[bytes]:
    return _LINE_END.split(block) if b"\r" in block else block.split(b"\n")


def _side_fields(lines: list[bytes]) -> tuple[int | None, list[str]]:
    """Return what a block sets beside its event: the last valid retry, and its comments."""
    retry_ms, comments = None, []
    for line in lines:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if line[:1] == b":":
            comments.append(_text(value))
        elif name == b"retry" and value.isdigit():
            retry_ms = int(value[:18])
    return retry_ms, comments


def _text(raw: bytes) -> str:
    return raw.decode(errors="replace")
