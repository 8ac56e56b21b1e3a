"""Read the messages of a request for what loop detection looks at: calls, results and plain text.

Reads the pieces of `RequestFacts.prompt` one by one, so that only those that are new need be read again. What
is of another shape than the dialect promises is left out: the provider judges it.
"""

from collections.abc import Callable, Iterator, Sequence

import msgspec

from tidegate.model.message import Message, Role, Text, ToolResult, ToolUse
from tidegate.model.request import Surface

FIRST = 2
"""Where the messages begin in `RequestFacts.prompt`: behind the tools and the system prompt."""

_NONE = msgspec.Raw(b"")


class _Block(msgspec.Struct, gc=False):
    type: str = ""
    text: str | None = None
    refusal: str | None = None
    id: str = ""
    name: str = ""
    input: msgspec.Raw = _NONE
    tool_use_id: str = ""
    content: msgspec.Raw = _NONE
    is_error: bool | None = None


class _Named(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None
    input: str | None = None


class _ChatCall(msgspec.Struct, gc=False):
    id: str | None = None
    function: _Named | None = None
    custom: _Named | None = None


class _ChatMessage(msgspec.Struct, gc=False):
    role: str
    content: msgspec.Raw = _NONE
    tool_calls: list[_ChatCall] | None = None
    function_call: _Named | None = None
    tool_call_id: str | None = None
    name: str | None = None


class _MessagesMessage(msgspec.Struct, gc=False):
    role: str
    content: msgspec.Raw = _NONE


class _Item(msgspec.Struct, gc=False):
    type: str = "message"
    role: str = ""
    content: msgspec.Raw = _NONE
    id: str | None = None
    call_id: str | None = None
    name: str = ""
    namespace: str | None = None
    arguments: msgspec.Raw = _NONE
    input: msgspec.Raw = _NONE
    action: msgspec.Raw = _NONE
    output: msgspec.Raw = _NONE
    error: msgspec.Raw = _NONE


class _Counted(msgspec.Struct, gc=False):
    type: str = ""


class _ChatCounted(msgspec.Struct, gc=False):
    tool_calls: list[_Counted] | None = None
    function_call: _Counted | None = None


class _MessagesCounted(msgspec.Struct, gc=False):
    content: list[_Counted] = []


_counted_block = msgspec.json.Decoder(_Counted)
_chat_counted = msgspec.json.Decoder(_ChatCounted)
_messages_counted = msgspec.json.Decoder(_MessagesCounted)
_chat = msgspec.json.Decoder(_ChatMessage)
_messages = msgspec.json.Decoder(_MessagesMessage)
_item = msgspec.json.Decoder(_Item)
_blocks = msgspec.json.Decoder(list[_Block])
_string = msgspec.json.Decoder(str)
_ROLES: dict[str, Role] = {"assistant": "assistant", "user": "user", "tool": "user", "function": "user"}
_NULL = b"null"
_OTHER = Message(role="system", parts=())


def read_turns(surface: Surface, pieces: Sequence[bytes]) -> Iterator[Message]:
    """Yield a message for each piece; it is empty where a piece holds nothing to look at."""
    read = _READERS.get(surface)
    for piece in pieces:
        try:
            yield _OTHER if read is None else read(piece)
        except (msgspec.DecodeError, RecursionError):
            yield _OTHER


def count_calls(surface: Surface, piece: bytes) -> int:
    """Return how many tools a message calls, without reading its texts."""
    try:
        if surface == "chat":
            called = _chat_counted.decode(piece)
            return len(called.tool_calls or ()) + (called.function_call is not None)
        if surface == "responses":
            return _counted_block.decode(piece).type.endswith("_call")
        if surface in ("messages", "count_tokens"):
            return sum(block.type.endswith("tool_use") for block in _messages_counted.decode(piece).content)
    except (msgspec.DecodeError, RecursionError):
        pass
    return 0


def _read_chat(piece: bytes) -> Message:
    message = _chat.decode(piece)
    role = _ROLES.get(message.role, "system")
    if message.role in ("tool", "function"):
        result = ToolResult(
            id=message.tool_call_id or message.name or "", parts=(Text(text=_text(message.content)),)
        )
        return Message(role="user", parts=(result,))
    parts: list[Text | ToolUse] = []
    if text := _text(message.content):
        parts.append(Text(text=text))
    parts += [_use(call.id, call.function or call.custom or _Named()) for call in message.tool_calls or ()]
    if message.function_call is not None:  # the older form, whose results go by the function's name
        parts.append(_use(message.function_call.name, message.function_call))
    return Message(role=role, parts=tuple(parts))


def _use(id_: str | None, named: _Named) -> ToolUse:
    arguments = named.arguments or named.input or ""
    return ToolUse(id=id_ or "", name=named.name or "", arguments=arguments)


def _read_messages(piece: bytes) -> Message:
    message = _messages.decode(piece)
    role = _ROLES.get(message.role, "system")
    if not bytes(message.content).startswith(b"["):
        text = _text(message.content)
        return Message(role=role, parts=(Text(text=text),) if text else ())
    parts: list[Text | ToolUse | ToolResult] = []
    for block in _blocks.decode(message.content):
        if block.type.endswith("tool_use"):
            parts.append(ToolUse(id=block.id, name=block.name, arguments=bytes(block.input).decode()))
        elif block.type.endswith("tool_result"):
            result = Text(text=_text(block.content))
            parts.append(ToolResult(id=block.tool_use_id, parts=(result,), is_error=block.is_error is True))
        elif block.text:
            parts.append(Text(text=block.text))
    return Message(role=role, parts=tuple(parts))


def _read_item(piece: bytes) -> Message:
    item = _item.decode(piece)
    if item.type == "message":
        text = _text(item.content)
        return Message(role=_ROLES.get(item.role, "system"), parts=(Text(text=text),) if text else ())
    id_ = item.call_id or item.id or ""
    result = item.output if item.output and bytes(item.output) != _NULL else item.error
    answer = ToolResult(id=id_, parts=(Text(text=_text(result)),))
    if item.type.endswith("_output"):
        return Message(role="user", parts=(answer,))
    if not item.type.endswith("_call"):
        return _OTHER
    asked = item.arguments or item.input or item.action
    name = f"{item.namespace}.{item.name}" if item.namespace else item.name or item.type
    use = ToolUse(id=id_, name=name, arguments=_text(asked))
    has_answer = bytes(result) not in (b"", _NULL)  # a provider's own tool: call and result are one item
    return Message(role="assistant", parts=(use, answer) if has_answer else (use,))


def _text(raw: bytes) -> str:
    """What a model reads of a value: a string, the texts of blocks, or JSON as it stands."""
    raw = bytes(raw)
    if raw.startswith(b'"'):
        return _string.decode(raw)
    if raw in (b"", _NULL):
        return ""
    if raw.startswith(b"["):
        try:
            blocks = _blocks.decode(raw)
        except (msgspec.DecodeError, RecursionError):
            return raw.decode()
        texts = [block.text or block.refusal or "" for block in blocks]
        return "\n".join(texts) if all(texts) else raw.decode()
    return raw.decode()


_READERS: dict[Surface, Callable[[bytes], Message]] = {
    "chat": _read_chat,
    "messages": _read_messages,
    "count_tokens": _read_messages,
    "responses": _read_item,
}
