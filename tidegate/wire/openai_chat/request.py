"""Read a chat request: what we act on is checked, everything else is the provider's to judge.

No order of roles is assumed (trap K16), and no field is refused for being unknown (traps V3, K15).
"""

from typing import TypeVar

import msgspec

from tidegate.model.errors import BadRequest, WrongType
from tidegate.model.request import Parts, RequestFacts
from tidegate.wire import fields
from tidegate.wire.body import Body, wrong_type
from tidegate.wire.measure import NO_PART, Tally, json_part

T = TypeVar("T")

MAX_ANSWERS = 128
MAX_MESSAGES = 20_000
CHECKED_FROM_BYTES = 262_144
"""From this size on messages are checked before they are split, so that junk costs nothing (case 23)."""

LIMITS = ("max_tokens", "max_completion_tokens")
OFFERS = ("tools", "functions")
SYSTEM_ROLES = frozenset({"system", "developer"})
TOOL_ROLES = frozenset({"tool", "function"})
_NONE = msgspec.Raw(b"")
_NULL = msgspec.Raw(b"null")


class _Part(msgspec.Struct, gc=False):
    type: str = ""
    text: str | None = None
    image_url: msgspec.Raw = _NONE


_Content = str | list[_Part] | None


class _Message(msgspec.Struct, gc=False):
    """A message as the dialect has it."""

    role: str
    content: _Content = None
    tool_calls: msgspec.Raw = _NONE
    function_call: msgspec.Raw = _NONE
    reasoning_content: _Content = None


class _OddPart(msgspec.Struct, gc=False):
    type: str = ""
    text: msgspec.Raw = _NONE
    image_url: msgspec.Raw = _NONE


class _OddMessage(msgspec.Struct, gc=False):
    """A message whose content is of any shape."""

    role: str
    content: msgspec.Raw = _NONE
    tool_calls: msgspec.Raw = _NONE
    function_call: msgspec.Raw = _NONE
    reasoning_content: msgspec.Raw = _NONE


class _Tool(msgspec.Struct, gc=False):
    type: msgspec.Raw = _NONE


class _StreamOptions(msgspec.Struct, gc=False):
    include_usage: bool | None = None


class _Format(msgspec.Struct, gc=False):
    type: str = ""


_pieces = msgspec.json.Decoder(list[msgspec.Raw])
_messages = msgspec.json.Decoder(list[_Message])
_odd_messages = msgspec.json.Decoder(list[_OddMessage])
_odd_content = msgspec.json.Decoder(str | list[_OddPart] | None)
_tools = msgspec.json.Decoder(list[_Tool])


def read_request(body: Body) -> RequestFacts:
    """Return the facts of a request. Raises WrongType or BadRequest, naming the field's path."""
    given = body.fields
    model = fields.model_of(body)
    limit, limit_field = _output_limit(body)
    tools_raw, tool_count = _offered(body)
    reader = _Reader()
    reader.read(*_split(body))
    system_text = "\n".join(reader.system_texts)
    return RequestFacts(
        surface="chat",
        model=model,
        stream="stream" in given and body.get("stream", bool) is True,
        asks_usage="stream_options" in given and asks_usage(body),
        max_output=limit,
        max_output_field=limit_field,
        n=answers(body, "n") if "n" in given else 1,
        message_count=len(reader.pieces),
        tool_count=tool_count,
        image_count=reader.images,
        has_tools=tool_count > 0,
        has_schema="response_format" in given and _has_schema(body),
        service_tier=fields.word_of(body, "service_tier"),
        temperature_zero=fields.is_zero(body, "temperature"),
        system_text=system_text,
        tools_raw=tools_raw,
        first_user=reader.first_user,
        prompt=(tools_raw, system_text.encode(), *reader.pieces),
        parts=reader.parts(tools_raw),
        metadata=fields.string_map(given["metadata"]) if "metadata" in given else {},
        metadata_user=fields.string_of(body, "user"),
    )


def asks_usage(body: Body) -> bool:
    """Whether the client asked for usage in its stream. Raises WrongType for options we could not edit."""
    options = body.get("stream_options", _StreamOptions)
    return options is not None and options.include_usage is True


def answers(body: Body, name: str) -> int:
    """Return how many answers are asked for. Raises WrongType outside 1 to MAX_ANSWERS (case 26)."""
    asked = body.get(name, int)
    if asked is None:
        return 1
    if not 1 <= asked <= MAX_ANSWERS:
        raise WrongType(f"{name}: expected `int` from 1 to {MAX_ANSWERS}", param=name)
    return asked


def _output_limit(body: Body) -> tuple[int | None, str | None]:
    """Return the client's limit and its field; of two limits the larger, since a provider may take either."""
    largest: tuple[int | None, str | None] = None, None
    for name in LIMITS:
        if name in body.fields:
            limit = fields.output_limit(body, name)
            if limit is not None and limit >= (largest[0] or 0):
                largest = limit, name
    return largest


def _offered(body: Body) -> tuple[bytes, int]:
    """Return the raw tools, with functions of the older form, and how many there are."""
    found: list[bytes] = []
    count = 0
    for name in OFFERS:
        if name in body.fields and (raw := fields.bounded(body, name)):
            found.append(raw)
            count += len(_listed(_tools, raw, name))
    return b"".join(found), count


def _split(body: Body) -> tuple[list[_Message], list[msgspec.Raw]]:
    """Return each message and its raw bytes."""
    raw = fields.bounded(body, "messages")
    if not raw:
        raise BadRequest("messages: a chat needs a list of messages", param="messages")
    checked_first = len(raw) >= CHECKED_FROM_BYTES
    messages = read_messages(raw) if checked_first else []
    pieces = _listed(_pieces, raw, "messages")
    if len(pieces) > MAX_MESSAGES:
        raise BadRequest(
            f"messages: {len(pieces)} messages, at most {MAX_MESSAGES} are allowed", param="messages"
        )
    return messages if checked_first else read_messages(raw), pieces


def _listed(decoder: msgspec.json.Decoder[list[T]], raw: bytes, name: str) -> list[T]:
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise wrong_type(name, error) from None


def read_messages(raw: bytes) -> list[_Message]:
    """Return the messages in a JSON list. Raises WrongType for one that has no role."""
    try:
        return _messages.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return read_odd_messages(raw)


def read_odd_messages(raw: bytes) -> list[_Message]:
    """Return the same where content may be of any shape: what is neither text nor parts holds no text."""
    return [
        _Message(
            role=message.role,
            content=_content_of(message.content),
            tool_calls=message.tool_calls,
            function_call=message.function_call,
            reasoning_content=_content_of(message.reasoning_content),
        )
        for message in _listed(_odd_messages, raw, "messages")
    ]


def _content_of(raw: bytes) -> _Content:
    try:
        content = _odd_content.decode(raw) if raw else None
    except (msgspec.DecodeError, RecursionError):
        return None
    if not isinstance(content, list):
        return content
    return [_Part(text=fields.text_of(part.text), image_url=part.image_url) for part in content]


def _has_schema(body: Body) -> bool:
    """Whether the answer's form is bound: JSON, a schema or a grammar."""
    try:
        wanted = body.get("response_format", _Format)
    except WrongType:
        return False
    return wanted is not None and wanted.type not in ("", "text")


class _Reader:
    """Walks the messages once and keeps where their bytes go."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.system_texts: list[str] = []
        self.first_user = b""
        self.images = 0
        self._system = Tally()
        self._history = Tally()
        self._tool_results = Tally()
        self._last_user = Tally()

    def read(self, messages: list[_Message], raws: list[msgspec.Raw]) -> None:
        """Take every message. System texts count as such until another role speaks."""
        last_user = len(messages) - 1
        while last_user >= 0 and messages[last_user].role != "user":
            last_user -= 1
        opening = True
        for at, (message, raw) in enumerate(zip(messages, raws, strict=True)):
            piece, role = bytes(raw), message.role
            self.pieces.append(piece)
            opening = opening and role in SYSTEM_ROLES
            if role == "user":
                self.first_user = self.first_user or piece
                tally = self._last_user if at == last_user else self._history
            elif role in SYSTEM_ROLES:
                tally = self._system
            else:
                tally = self._tool_results if role in TOOL_ROLES else self._history
            tally.size_bytes += len(piece)
            content = message.content
            if isinstance(content, str):
                tally.add(content)
                texts = [content]
            else:
                texts = self._parts(content, tally) if content else []
            if opening:
                self.system_texts += texts
            if message.tool_calls or message.function_call or message.reasoning_content:
                self._besides(message, tally)

    def parts(self, tools_raw: bytes) -> Parts:
        """Return the sums by part."""
        return Parts(
            system=self._system.part(),
            tools=json_part(tools_raw) if tools_raw else NO_PART,
            history=self._history.part(),
            tool_results=self._tool_results.part(),
            last_user=self._last_user.part(),
        )

    def _parts(self, parts: list[_Part], tally: Tally) -> list[str]:
        """Count parts, of which only text is text; return their texts."""
        texts: list[str] = []
        for part in parts:
            if part.image_url:
                self.images += 1
            if part.text:
                tally.add(part.text)
                texts.append(part.text)
        return texts

    def _besides(self, message: _Message, tally: Tally) -> None:
        """Count what an assistant said beside its content."""
        reasoning = message.reasoning_content
        if isinstance(reasoning, str):
            tally.add(reasoning)
        elif reasoning:
            self._parts(reasoning, tally)
        for calls in (message.tool_calls, message.function_call):
            if calls and calls != _NULL:
                tally.add_json(bytes(calls))
