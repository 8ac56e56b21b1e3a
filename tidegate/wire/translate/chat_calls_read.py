"""The tool calls of a chat reply, in whatever pieces they come (trap S10)."""

from collections.abc import Iterator

import msgspec

from tidegate.model import event as ev
from tidegate.wire.translate.loss import said

_NONE = msgspec.Raw(b"")
_string = msgspec.json.Decoder(str)


class Function(msgspec.Struct, gc=False):
    """The part of a function call that one delta brings; `input` is a custom tool's."""

    name: str | None = None
    arguments: msgspec.Raw = _NONE
    input: msgspec.Raw = _NONE


class ToolCall(msgspec.Struct, gc=False):
    """One tool call, whole or a part of it; `extra_content` is Google's (trap S11)."""

    index: int | None = None
    id: str | None = None
    function: Function | None = None
    custom: Function | None = None
    extra_content: msgspec.Raw = _NONE


class _Call:
    """One call so far. It starts when its name is known; arguments before that wait."""

    __slots__ = ("_pieces", "_size", "call", "ended", "id", "name", "sent", "waiting")

    def __init__(self, ident: str) -> None:
        self.call = -1
        self.id = ident
        self.name = ""
        self.waiting = ""
        self.sent = False
        self.ended = False
        self._pieces: list[str] = []
        self._size = 0

    def add(self, text: str) -> Iterator[ev.Event]:
        """Take more arguments; those that repeat the whole are the provider's last word, and no more."""
        if not text or (len(text) == self._size and text == "".join(self._pieces) and self.is_whole()):
            return
        self._pieces.append(text)
        self._size += len(text)
        yield ev.ToolArguments(self.call, text)

    def is_whole(self) -> bool:
        """Whether the arguments are a JSON value that has ended."""
        if not self._pieces or not self._pieces[-1].rstrip().endswith("}"):
            return False
        try:
            msgspec.json.decode("".join(self._pieces))
        except (ValueError, RecursionError):
            return False
        return True

    def end(self) -> Iterator[ev.Event]:
        """End the call, once it has started."""
        if not self.sent or self.ended:
            return
        self.ended = True
        if not self._size:
            yield ev.ToolArguments(self.call, "{}")
        yield ev.BlockEnded(self.call)


class Calls:
    """One state per index of the wire; calls are counted as they start."""

    def __init__(self, reply_id: str) -> None:
        self.reply_id = reply_id
        self._at: dict[int, _Call] = {}
        self._all: list[_Call] = []
        self._count = 0

    @property
    def any(self) -> bool:
        """Whether a call was seen."""
        return bool(self._all)

    def read(self, calls: list[ToolCall]) -> Iterator[ev.Event]:
        """Yield the events of one delta's calls."""
        for position, call in enumerate(calls):
            function = call.function or call.custom or Function()
            known = self._known(position if call.index is None else call.index, call, function)
            if known.call < 0:
                known.id = call.id or known.id
                known.name += function.name or ""
                if not known.name:
                    known.waiting += _text(function)
                    continue
                yield from self._start(known, call)
            yield from known.add(_text(function))

    def end(self) -> Iterator[ev.Event]:
        """Yield what is left when the reply ends."""
        for known in self._all:
            yield from known.end()

    def _known(self, index: int, call: ToolCall, function: Function) -> _Call:
        """Return the call that a delta belongs to.

        A new one begins with a new id at a used index; or, where there are no ids, with a name after
        arguments that are whole.
        """
        known = self._at.get(index)
        if known is not None:
            other = bool(call.id and known.id and call.id != known.id)
            again = not call.id and bool(function.name) and known.sent and known.is_whole()
            if not other and not again:
                return known
        known = self._at[index] = _Call(call.id or "")
        self._all.append(known)
        return known

    def _start(self, known: _Call, call: ToolCall) -> Iterator[ev.Event]:
        for earlier in self._all:
            if earlier is not known and not earlier.ended and earlier.is_whole():
                yield from earlier.end()
        known.call = self._count
        self._count += 1
        known.id = known.id or f"call_{self.reply_id}_{known.call}"
        known.sent = True
        extra = call.extra_content
        yield ev.ToolStarted(
            known.call,
            known.id,
            known.name,
            "extra_content" if said(extra) else "",
            extra if said(extra) else _NONE,
        )
        if known.waiting:
            yield from known.add(known.waiting)


def _text(function: Function) -> str:
    """Return arguments as text, whether they came as a string or as JSON itself."""
    raw = function.arguments if said(function.arguments) else function.input
    if bytes(raw) in (b"", b"null"):
        return ""
    try:
        return _string.decode(raw)
    except msgspec.DecodeError:
        return bytes(raw).decode()
