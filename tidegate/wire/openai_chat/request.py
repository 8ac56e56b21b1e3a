"""Read a chat request: what we act on is checked, everything else is the provider's to judge.

No order of roles is assumed (trap K16), and no field is refused for being unknown (traps V3, K15).
"""

from typing import TypeVar

import msgspec

from tidegate.model.errors import BadRequest, WrongType
from tidegate.model.request import Parts, RequestFacts
from tidegate.wire import fields
from tidegate.wire.body import Body, wrong_type
from tidegate.wire.measure import Tally

T = TypeVar("T")

MAX_ANSWERS = 128
MAX_MESSAGES = 20_000
CHECKED_FROM_BYTES = 262_144
"""From this size on messages are checked before they are split, so that junk costs nothing (case 23)."""

SYSTEM_ROLES = frozenset({"system", "developer"})
TOOL_ROLES = frozenset({"tool", "function"})
_NONE = msgspec.Raw(b"")
_NULL = msgspec.Raw(b"null")


class _Message(msgspec.Struct, gc=False):
    role: str
    content: msgspec.Raw = _NONE
    tool_calls: msgspec.Raw = _NONE
    function_call: msgspec.Raw = _NONE
    reasoning_content: msgspec.Raw = _NONE


class _Part(msgspec.Struct, gc=False):
    type: str = ""
    text: msgspec.Raw = _NONE
    image_url: msgspec.Raw = _NONE


class _Tool(msgspec.Struct, gc=False):
    type: msgspec.Raw = _NONE


class _StreamOptions(msgspec.Struct, gc=False):
    include_usage: bool | None = None


class _Format(msgspec.Struct, gc=False):
    type: str = ""


_pieces = msgspec.json.Decoder(list[msgspec.Raw])
_messages = msgspec.json.Decoder(list[_Message])
_message = msgspec.json.Decoder(_Message)
_parts = msgspec.json.Decoder(list[_Part])
_tools = msgspec.json.Decoder(list[_Tool])
_string = msgspec.json.Decoder(str)


def read_request(body: Body) -> RequestFacts:
    """Return the facts of a request. Raises WrongType or BadRequest, naming the field's path."""
    model = fields.model_of(body)
    limit, limit_field = _output_limit(body)
    tools_raw, tool_count = _offered(body)
    reader = _Reader()
    reader.read(_split(body))
    tools = Tally(size_bytes=len(tools_raw))
    tools.add_json(tools_raw)
    system_text = "\n".join(reader.system_texts)
    return RequestFacts(
        surface="chat",
        model=model,
        stream=bool(body.get("stream", bool)),
        asks_usage=asks_usage(body),
        max_output=limit,
        max_output_field=limit_field,
        n=answers(body, "n"),
        message_count=len(reader.pieces),
        tool_count=tool_count,
        image_count=reader.images,
        has_tools=tool_count > 0,
        has_schema=_has_schema(body),
        service_tier=fields.string_of(body, "service_tier"),
        temperature_zero=fields.is_zero(body, "temperature"),
        system_text=system_text,
        tools_raw=tools_raw,
        first_user=reader.first_user,
        prompt=(tools_raw, system_text.encode(), *reader.pieces),
        parts=reader.parts(tools),
        metadata=fields.string_map(body.value("metadata") or b""),
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
    old = fields.output_limit(body, "max_tokens")
    new = fields.output_limit(body, "max_completion_tokens")
    if new is not None and new >= (old or 0):
        return new, "max_completion_tokens"
    return old, "max_tokens" if old is not None else None


def _offered(body: Body) -> tuple[bytes, int]:
    """Return the raw tools, with functions of the older form, and how many there are."""
    found: list[bytes] = []
    count = 0
    for name in ("tools", "functions"):
        raw = fields.bounded(body, name)
        if raw:
            found.append(raw)
            count += len(_listed(_tools, raw, name))
    return b"".join(found), count


def _split(body: Body) -> list[msgspec.Raw]:
    """Return each message's raw bytes."""
    raw = fields.bounded(body, "messages")
    if not raw:
        raise BadRequest("messages: a chat needs a list of messages", param="messages")
    if len(raw) >= CHECKED_FROM_BYTES:
        _listed(_messages, raw, "messages")
    pieces = _listed(_pieces, raw, "messages")
    if len(pieces) > MAX_MESSAGES:
        raise BadRequest(
            f"messages: {len(pieces)} messages, at most {MAX_MESSAGES} are allowed", param="messages"
        )
    return pieces


def _listed(decoder: msgspec.json.Decoder[list[T]], raw: bytes, name: str) -> list[T]:
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise wrong_type(name, error) from None


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

    def read(self, messages: list[msgspec.Raw]) -> None:
        """Take every message. Raises WrongType for one that has no role."""
        opening = True
        for raw in messages:
            try:
                message = _message.decode(raw)
            except (msgspec.DecodeError, RecursionError) as error:
                raise wrong_type(f"messages[{len(self.pieces)}]", error) from None
            piece = bytes(raw)
            self.pieces.append(piece)
            opening = opening and message.role in SYSTEM_ROLES
            tally = self._tally(message.role, piece)
            tally.size_bytes += len(piece)
            self._content(message.content, tally, self.system_texts if opening else None)
            for calls in (message.tool_calls, message.function_call):
                if calls and calls != _NULL:
                    tally.add_json(bytes(calls))
            if message.reasoning_content:
                self._content(message.reasoning_content, tally, None)

    def parts(self, tools: Tally) -> Parts:
        """Return the sums by part."""
        return Parts(
            system=self._system.part(),
            tools=tools.part(),
            history=self._history.part(),
            tool_results=self._tool_results.part(),
            last_user=self._last_user.part(),
        )

    def _tally(self, role: str, piece: bytes) -> Tally:
        """Return where a message counts; a new user turn makes the one before it history."""
        if role in SYSTEM_ROLES:
            return self._system
        if role in TOOL_ROLES:
            return self._tool_results
        if role != "user":
            return self._history
        if not self.first_user:
            self.first_user = piece
        self._history.absorb(self._last_user)
        self._last_user = Tally()
        return self._last_user

    def _content(self, raw: bytes, tally: Tally, texts: list[str] | None) -> None:
        """Count a message's content: a string, or parts of which only text is text."""
        if not raw or raw == _NULL:
            return
        try:
            found = [_string.decode(raw)]
        except msgspec.DecodeError:
            found = self._part_texts(raw)
        for text in found:
            tally.add(text)
        if texts is not None:
            texts.extend(found)

    def _part_texts(self, raw: bytes) -> list[str]:
        """Return the texts among a list of parts and count its images; anything else holds no text."""
        try:
            parts = _parts.decode(raw)
        except (msgspec.DecodeError, RecursionError):
            return []
        self.images += sum(1 for part in parts if part.image_url)
        return [text for part in parts if part.text and (text := fields.text_of(part.text))]
