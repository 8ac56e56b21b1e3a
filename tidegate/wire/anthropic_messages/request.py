"""Read an Anthropic Messages request: what it asks for, and where its bytes go.

Blocks are read by their fields rather than by their type, so that new types are measured too and none is
refused (traps K5, K6). Images, documents and signatures are base64 and no text.
"""

import re

import msgspec

from tidegate.model.request import Parts, RequestFacts, Surface
from tidegate.wire import fields
from tidegate.wire.body import Body
from tidegate.wire.measure import Tally

MAX_USER = 256
MAX_DEPTH = 4
"""Blocks nest: a tool result holds a document that holds blocks. Deeper ones count as plain JSON."""

# An agent moves its cache marks along with each turn; the prompt before them stays the same.
_CACHE_MARK = re.compile(
    rb'"cache_control"\s*:\s*(?:\{[^{}]*\}|null)\s*,\s*|,\s*"cache_control"\s*:\s*(?:\{[^{}]*\}|null)'
)
_NOTHING = msgspec.Raw(b"")


class _Source(msgspec.Struct):
    type: str = ""
    data: msgspec.Raw = _NOTHING
    content: msgspec.Raw = _NOTHING


class _Block(msgspec.Struct):
    type: str = ""
    text: str | None = None
    thinking: str | None = None
    title: str | None = None
    name: str | None = None
    encrypted_content: str | None = None
    input: msgspec.Raw = _NOTHING
    content: msgspec.Raw = _NOTHING
    source: _Source | None = None


class _Message(msgspec.Struct):
    role: str = ""
    content: str | list[_Block] | None = None


class _Tool(msgspec.Struct):
    name: msgspec.Raw = _NOTHING


class _Format(msgspec.Struct):
    type: str = ""


class _OutputConfig(msgspec.Struct):
    format: _Format | None = None


_messages = msgspec.json.Decoder(list[_Message])
_message = msgspec.json.Decoder(_Message)
_tools = msgspec.json.Decoder(list[_Tool])
_block = msgspec.json.Decoder(_Block)
_blocks = msgspec.json.Decoder(list[_Block])
_output_config = msgspec.json.Decoder(_OutputConfig)
_format = msgspec.json.Decoder(_Format)
_string = msgspec.json.Decoder(str)


def read_request(body: Body, surface: Surface) -> RequestFacts:
    """Return the facts of a request. Raises WrongType or BadRequest, naming the field's path.

    `max_tokens` may be 0, which fills the cache and generates nothing; where it is missing the provider
    words the refusal.
    """
    model = fields.model_of(body)
    stream = body.get("stream", bool) or False
    max_output = fields.output_limit(body, "max_tokens", least=0)
    tools_raw = fields.bounded(body, "tools")
    reader = _Reader()
    reader.read_system(fields.bounded(body, "system"))
    reader.read_messages(fields.bounded(body, "messages"))
    tools = Tally(size_bytes=len(tools_raw))
    tools.add_json(tools_raw)
    tool_count = _count_tools(tools_raw)
    metadata = fields.string_map(body.value("metadata") or b"")
    user = metadata.pop("user_id", "")[:MAX_USER]
    return RequestFacts(
        surface=surface,
        model=model,
        stream=stream,
        max_output=max_output,
        max_output_field=None if max_output is None else "max_tokens",
        message_count=reader.message_count,
        tool_count=tool_count,
        image_count=reader.image_count,
        has_tools=tool_count > 0,
        has_schema=_has_schema(body),
        service_tier=fields.word_of(body, "speed") or fields.word_of(body, "service_tier"),
        temperature_zero=fields.is_zero(body, "temperature"),
        system_text="\n".join(reader.system_texts),
        tools_raw=tools_raw,
        first_user=reader.first_user,
        prompt=(_unmarked(tools_raw), *reader.pieces),
        parts=Parts(
            system=reader.system.part(),
            tools=tools.part(),
            history=reader.history.part(),
            tool_results=reader.tool_results.part(),
            last_user=reader.last_user.part(),
        ),
        metadata=metadata,
        metadata_user=user,
    )


class _Reader:
    """Measures system text and messages; `pieces` are the system, then each message."""

    def __init__(self) -> None:
        self.system = Tally()
        self.history = Tally()
        self.tool_results = Tally()
        self.last_user = Tally()
        self.system_texts: list[str] = []
        self.pieces: list[bytes] = []
        self.first_user = b""
        self.message_count = 0
        self.image_count = 0
        self._blocks = 0

    def read_system(self, raw: bytes) -> None:
        self.pieces.append(_unmarked(raw))
        self.system.size_bytes += len(raw)
        self._content(raw, self.system, texts=self.system_texts)

    def read_messages(self, raw: bytes) -> None:
        """Read each message; what is no list of messages counts as history, and the provider judges it."""
        read = fields.elements(raw, _messages, _message, "messages")
        if read is None:
            self.pieces.append(raw)
            self.history.size_bytes += len(raw)
            self.history.add_json(raw)
            return
        messages, raws = read
        self.message_count = len(messages)
        last = max((i for i, message in enumerate(messages) if _is_turn(message)), default=-1)
        opening = True
        for index, (message, piece) in enumerate(zip(messages, raws, strict=True)):
            self.pieces.append(_unmarked(piece))
            if message is None:
                self.history.size_bytes += len(piece)
                self.history.add_json(bytes(piece))
            elif message.role == "system":
                self._message(message, len(piece), self.system, self.system_texts if opening else None)
            else:
                opening = opening and message.role != "assistant"
                if message.role == "user" and not self.first_user:
                    self.first_user = self.pieces[-1]
                self._message(message, len(piece), self.last_user if index == last else self.history, None)

    def _message(self, message: _Message, size: int, into: Tally, texts: list[str] | None) -> None:
        """Measure one message; its tool results count apart."""
        apart = 0
        if isinstance(message.content, str):
            _add(message.content, into, texts)
        else:
            for block in message.content or ():
                if _is_result(block):
                    apart += len(block.content)
                    self._block(block, self.tool_results, None, 0)
                else:
                    self._block(block, into, texts, 0)
        self.tool_results.size_bytes += apart
        into.size_bytes += size - apart

    def _block(self, block: _Block, into: Tally, texts: list[str] | None, depth: int) -> None:
        self._blocks += 1
        if self._blocks > fields.MAX_ELEMENTS:
            fields.check_count(self._blocks, "messages")
        if block.text:
            _add(block.text, into, texts)
        if block.type == "text":
            return
        for text in (block.thinking, block.title, block.name, block.encrypted_content):
            if text:
                into.add(text)
        if block.input:
            into.add_json(bytes(block.input))
        self._content(block.content, into, depth=depth + 1)
        if block.type == "image":
            self.image_count += 1
        elif block.source is not None:
            self._source(block.source, into, depth)

    def _source(self, source: _Source, into: Tally, depth: int) -> None:
        """A document: its text, its blocks, or a file that is priced like an image at least."""
        if source.type == "text":
            into.add(fields.text_of(source.data))
        elif source.content:
            self._content(source.content, into, depth=depth + 1)
        else:
            self.image_count += 1

    def _content(
        self, content: bytes, into: Tally, *, texts: list[str] | None = None, depth: int = 0
    ) -> None:
        """Measure what may be a string, a list of blocks, or one block."""
        raw = bytes(content)
        if raw in (b"", b"null"):
            return
        try:
            if raw.startswith(b'"'):
                _add(_string.decode(raw), into, texts)
            elif raw.startswith(b"[") and depth <= MAX_DEPTH:
                for block in _blocks.decode(raw):
                    self._block(block, into, texts, depth)
            elif raw.startswith(b"{") and depth <= MAX_DEPTH:
                self._only_block(raw, into, depth)
            else:
                into.add_json(raw)
        except (msgspec.DecodeError, RecursionError):
            into.add_json(raw)

    def _only_block(self, raw: bytes, into: Tally, depth: int) -> None:
        """A tool's result may be one object of its own vocabulary, such as a program's output."""
        before = into.text_bytes, self.image_count
        self._block(_block.decode(raw), into, None, depth)
        if before == (into.text_bytes, self.image_count):
            into.add_json(raw)


def _add(text: str, into: Tally, texts: list[str] | None) -> None:
    into.add(text)
    if texts is not None:
        texts.append(text)


def _is_result(block: _Block) -> bool:
    return block.type.endswith("tool_result")


def _is_turn(message: _Message | None) -> bool:
    """Whether a message is a user's own turn, and not only what tools answered."""
    if message is None or message.role != "user":
        return False
    blocks = message.content
    return not isinstance(blocks, list) or not blocks or not all(_is_result(block) for block in blocks)


def _count_tools(raw: bytes) -> int:
    try:
        return len(_tools.decode(raw)) if raw else 0
    except (msgspec.DecodeError, RecursionError):
        return 0


def _has_schema(body: Body) -> bool:
    """Whether the answer must follow a JSON schema: `output_config.format`, or the older `output_format`."""
    try:
        older = body.value("output_format")
        if older is not None and _format.decode(older).type == "json_schema":
            return True
        config = body.value("output_config")
        found = None if config is None else _output_config.decode(config).format
    except (msgspec.DecodeError, RecursionError):
        return False
    return found is not None and found.type == "json_schema"


def _unmarked(raw: bytes) -> bytes:
    """Return a piece of the prompt without its cache marks."""
    piece = bytes(raw)
    return _CACHE_MARK.sub(b"", piece) if b'"cache_control"' in piece else piece
