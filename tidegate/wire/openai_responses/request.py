"""Read an OpenAI Responses request: what it asks for, and where its bytes go.

`input` is a string or a list of items. Items are read by their fields rather than by their type, so that
new ones are measured too and none is refused (traps K7, K10). Images, files and encrypted reasoning are
base64 and no text.
"""

import msgspec

from tidegate.model.errors import SpendsLater
from tidegate.model.request import Parts, RequestFacts
from tidegate.wire import fields
from tidegate.wire.body import Body
from tidegate.wire.measure import Tally

MAX_USER = MAX_RESPONSE_ID = 256
INSTRUCTORS = ("system", "developer")
FILES = ("input_file", "input_image", "input_audio", "computer_screenshot")
"""Parts that are no text: each is priced like an image at least."""

_NOTHING = msgspec.Raw(b"")


class _Part(msgspec.Struct):
    type: str = ""
    text: str | None = None
    refusal: str | None = None


class _Item(msgspec.Struct):
    type: str = ""
    role: str = ""
    content: str | list[_Part] | None = None
    summary: list[_Part] | None = None
    name: str | None = None
    output: msgspec.Raw = _NOTHING
    arguments: msgspec.Raw = _NOTHING
    input: msgspec.Raw = _NOTHING
    action: msgspec.Raw = _NOTHING
    tools: msgspec.Raw = _NOTHING


class _Tool(msgspec.Struct):
    tools: list[msgspec.Raw] | None = None


class _Format(msgspec.Struct):
    type: str = ""


class _Text(msgspec.Struct):
    format: _Format | None = None


_items = msgspec.json.Decoder(list[_Item])
_item = msgspec.json.Decoder(_Item)
_parts = msgspec.json.Decoder(list[_Part])
_part = msgspec.json.Decoder(_Part)
_tools = msgspec.json.Decoder(list[_Tool])
_text = msgspec.json.Decoder(_Text)


def read_request(body: Body) -> RequestFacts:
    """Return the facts of a request. Raises WrongType, BadRequest or SpendsLater, naming the field's path.

    `model` may be missing where a stored `prompt` names one; it is empty then, and routing decides.
    """
    model = fields.model_of(body)
    if body.value("background") == b"true":
        raise SpendsLater(
            "background: what is answered later cannot be metered yet. Leave it out, or stream.",
            param="background",
        )
    stream = body.get("stream", bool) or False
    max_output = fields.output_limit(body, "max_output_tokens")
    tools_raw = fields.bounded(body, "tools")
    reader = _Reader()
    reader.read_instructions(fields.bounded(body, "instructions"))
    reader.read_input(fields.bounded(body, "input"))
    reader.tools.size_bytes += len(tools_raw)
    reader.tools.add_json(tools_raw)
    tool_count = count_tools(tools_raw) + reader.late_tools
    user = fields.string_of(body, "user") or fields.string_of(body, "safety_identifier")
    return RequestFacts(
        surface="responses",
        model=model,
        stream=stream,
        max_output=max_output,
        max_output_field=None if max_output is None else "max_output_tokens",
        message_count=reader.item_count,
        tool_count=tool_count,
        image_count=reader.image_count,
        has_tools=tool_count > 0,
        has_schema=_has_schema(body),
        service_tier=fields.word_of(body, "service_tier"),
        temperature_zero=fields.is_zero(body, "temperature"),
        system_text="\n".join(reader.system_texts),
        tools_raw=tools_raw,
        first_user=reader.first_user,
        prompt=(tools_raw, *reader.pieces),
        parts=Parts(
            system=reader.system.part(),
            tools=reader.tools.part(),
            history=reader.history.part(),
            tool_results=reader.tool_results.part(),
            last_user=reader.last_user.part(),
        ),
        previous_id=fields.string_of(body, "previous_response_id")[:MAX_RESPONSE_ID],
        keeps_reply=body.value("store") != b"false",
        metadata=fields.string_map(body.value("metadata") or b""),
        metadata_user=user[:MAX_USER],
    )


class _Reader:
    """Measures instructions and input; `pieces` are the instructions, then each item."""

    def __init__(self) -> None:
        self.system = Tally()
        self.tools = Tally()
        self.history = Tally()
        self.tool_results = Tally()
        self.last_user = Tally()
        self.system_texts: list[str] = []
        self.pieces: list[bytes] = []
        self.first_user = b""
        self.item_count = 0
        self.image_count = 0
        self.late_tools = 0
        self._part_count = 0

    def read_instructions(self, raw: bytes) -> None:
        self.pieces.append(raw)
        self.system.size_bytes += len(raw)
        text = fields.text_of(raw)
        if text:
            self.system_texts.append(text)
            self.system.add(text)
        else:
            self.system.add_json(raw)

    def read_input(self, raw: bytes) -> None:
        """Read each item; what is neither text nor a list counts as history, and the provider judges it."""
        if raw.startswith(b'"'):
            self.pieces.append(raw)
            self.first_user = raw
            self.item_count = 1
            self.last_user.size_bytes += len(raw)
            self.last_user.add(fields.text_of(raw))
            return
        read = fields.elements(raw, _items, _item, "input")
        if read is None:
            self.pieces.append(raw)
            self._opaque(raw)
            return
        items, raws = read
        self.item_count = len(items)
        last = max(
            (i for i, item in enumerate(items) if item is not None and item.role == "user"), default=-1
        )
        opening = True
        for index, (item, element) in enumerate(zip(items, raws, strict=True)):
            piece = bytes(element)
            self.pieces.append(piece)
            if item is None:
                self._opaque(piece)
                continue
            opening = opening and (item.role == "user" or item.role in INSTRUCTORS)
            if item.role == "user" and not self.first_user:
                self.first_user = piece
            into = self._place(item, is_last=index == last)
            into.size_bytes += len(piece)
            self._item(item, into, self.system_texts if opening and into is self.system else None)

    def _place(self, item: _Item, *, is_last: bool) -> Tally:
        """Return the part of the prompt that an item belongs to."""
        if item.tools and item.role in INSTRUCTORS:
            return self.tools
        if item.role in INSTRUCTORS:
            return self.system
        if item.type.endswith("_output"):
            return self.tool_results
        return self.last_user if is_last else self.history

    def _item(self, item: _Item, into: Tally, texts: list[str] | None) -> None:
        if isinstance(item.content, str):
            into.add(item.content)
            if texts is not None:
                texts.append(item.content)
        else:
            self._parts(item.content, into, texts)
        self._parts(item.summary, into, None)
        if item.name:
            into.add(item.name)
        for raw in (item.arguments, item.input, item.action):
            _add_value(bytes(raw), into)
        if item.output:
            self._output(bytes(item.output), into)
        if item.tools:
            into.add_json(bytes(item.tools))
            if into is self.tools:
                self.late_tools += count_tools(bytes(item.tools))

    def _parts(self, parts: list[_Part] | None, into: Tally, texts: list[str] | None) -> None:
        self._part_count += len(parts or ())
        fields.check_count(self._part_count, "input")
        for part in parts or ():
            text = part.text or part.refusal
            if text:
                into.add(text)
                if texts is not None:
                    texts.append(text)
            elif part.type in FILES:
                self.image_count += 1

    def _output(self, raw: bytes, into: Tally) -> None:
        """What a tool gave back: a string, parts, one part, or an object of its own vocabulary."""
        try:
            if raw.startswith(b"["):
                self._parts(_parts.decode(raw), into, None)
                return
            if raw.startswith(b"{") and (part := _part.decode(raw)).type in FILES:
                self._parts([part], into, None)
                return
        except (msgspec.DecodeError, RecursionError):
            pass
        _add_value(raw, into)

    def _opaque(self, raw: bytes) -> None:
        self.history.size_bytes += len(raw)
        self.history.add_json(raw)


def _add_value(raw: bytes, into: Tally) -> None:
    """Count a value as a model reads it: a string's text, or JSON."""
    if raw.startswith(b'"'):
        into.add(fields.text_of(raw))
    elif raw:
        into.add_json(raw)


def count_tools(raw: bytes) -> int:
    """Return how many tools are offered; those of a namespace count one by one (trap K7)."""
    try:
        tools = _tools.decode(raw) if raw else []
    except (msgspec.DecodeError, RecursionError):
        return 0
    return sum(1 if tool.tools is None else len(tool.tools) for tool in tools)


def _has_schema(body: Body) -> bool:
    """Whether the answer must follow a JSON schema (`text.format`)."""
    raw = body.value("text")
    try:
        found = None if raw is None else _text.decode(raw).format
    except (msgspec.DecodeError, RecursionError):
        return False
    return found is not None and found.type == "json_schema"
