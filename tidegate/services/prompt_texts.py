"""What a model reads of a prompt as text, for counting its tokens; an estimate needs only sizes.

Pieces are read by the names of their fields, whatever the dialect, as the codecs of `wire` do: what they
measure is counted. Images, audio, files and signatures are base64 and no text.
"""

import msgspec

from tidegate.model.request import RequestFacts
from tidegate.policy.estimate import TOKENS_PER_IMAGE, TOKENS_PER_MESSAGE, raw_tokens

TOKENS_OF_START = 3
"""What opens the answer. This, 4 for a message and 1 for a name are as OpenAI's cookbook counts them."""
TOKENS_PER_NAME = 1

BYTES_PER_REASONED_TOKEN = 8
"""Reasoning that OpenAI gave out sealed is billed as what it was: 7 to 10 bytes a token in recorded calls."""

MAX_DEPTH = 8
"""Blocks nest; what lies deeper counts as plain JSON."""

_CALLS = frozenset({"function", "function_call", "custom"})
_RESULTS = frozenset({"content", "output"})
_WORDS = frozenset(
    {"text", "thinking", "reasoning_content", "refusal", "summary", "title", "context", "tool_calls"}
)
_WORDS |= _CALLS | _RESULTS
"""Fields that hold text, blocks, or what holds these."""
_VALUES = frozenset({"input", "arguments", "action", "tools"})
"""Fields whose JSON a model reads as it stands."""
_FILES = frozenset({"image", "document", "input_file", "input_image", "input_audio", "computer_screenshot"})

_Errors = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_array = msgspec.json.Decoder(list[msgspec.Raw])
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_string = msgspec.json.Decoder(str)
_inputs = msgspec.json.Decoder(str | list[str | int | list[int]])


class PromptTexts:
    """The texts of one prompt, and in `tokens` those tokens that are known without an encoding."""

    def __init__(self, facts: RequestFacts) -> None:
        self.texts: list[str] = []
        self.tokens = facts.image_count * TOKENS_PER_IMAGE
        tools, system, *messages = facts.prompt
        if facts.surface in ("completions", "embeddings"):
            self._inputs(b"".join(messages))
            return
        if tools:
            self._json(tools)
        self.tokens += facts.message_count * TOKENS_PER_MESSAGE + TOKENS_OF_START
        if system and facts.surface != "chat":  # in a chat these words stand among the messages too
            self.tokens += TOKENS_PER_MESSAGE
            messages.insert(0, system)
        for piece in messages:
            try:
                self._read(piece, 0)
            except _Errors:
                self.texts.append(piece.decode(errors="replace"))

    def _inputs(self, raw: bytes) -> None:
        """Texts, token ids, or lists of those, none of them in a frame; anything else counts as its JSON."""
        try:
            given = _inputs.decode(raw) if raw else []
        except _Errors:
            self._json(raw)
            return
        for one in [given] if isinstance(given, str) else given:
            if isinstance(one, str):
                self.texts.append(one)
            else:
                self.tokens += 1 if isinstance(one, int) else len(one)

    def _read(self, raw: bytes, depth: int) -> None:
        """A value in a place for text: text, a block, or a list of these."""
        match raw[:1]:
            case b'"':
                self.texts.append(_string.decode(raw))
            case b"[" | b"{" if depth >= MAX_DEPTH:
                self._json(raw)
            case b"[":
                for element in _array.decode(raw):
                    self._read(bytes(element), depth + 1)
            case b"{":
                self._block(_object.decode(raw), depth + 1)
            case _:
                pass

    def _block(self, fields: dict[str, msgspec.Raw], depth: int) -> None:
        for name, value in fields.items():
            raw = bytes(value)
            if name in _CALLS:
                self.tokens += TOKENS_PER_MESSAGE
            if name in _RESULTS and raw.startswith(b"{"):
                self._result(raw, depth)
            elif name in _WORDS:
                self._read(raw, depth)
            elif name in _VALUES:
                self._json(raw)
            elif name == "name":
                self.tokens += TOKENS_PER_NAME
                self._read(raw, depth)
            elif name == "source":
                self._source(raw, depth)
            elif name == "encrypted_content":
                sealed = len(raw) // BYTES_PER_REASONED_TOKEN
                self.tokens += sealed if _kind(fields) == "reasoning" else raw_tokens(len(raw), 0)

    def _result(self, raw: bytes, depth: int) -> None:
        """What a tool gave back as one object: a block, or words of the tool's own, which count as JSON."""
        before = len(self.texts), self.tokens
        self._read(raw, depth)
        if before == (len(self.texts), self.tokens) and _kind(_object.decode(raw)) not in _FILES:
            self._json(raw)

    def _source(self, raw: bytes, depth: int) -> None:
        """A document's content: text, or blocks; a file is none."""
        if raw.startswith(b"{"):
            fields = _object.decode(raw)
            self._read(bytes(fields.get("content", b"")), depth)
            if _kind(fields) == "text":
                self._read(bytes(fields.get("data", b"")), depth)

    def _json(self, raw: bytes) -> None:
        """JSON as it is written without spaces and escapes; a JSON string is its text."""
        try:
            value = msgspec.json.decode(raw)
            text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        except _Errors:
            text = raw.decode(errors="replace")
        self.texts.append(text)


def _kind(fields: dict[str, msgspec.Raw]) -> str:
    """The type of a block; empty where it has none."""
    try:
        return _string.decode(fields.get("type", b'""'))
    except _Errors:
        return ""
