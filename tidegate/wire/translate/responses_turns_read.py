"""Read the input of a Responses request into turns."""

from collections.abc import Iterator
from typing import assert_never

import msgspec

from tidegate.model.errors import BadRequest
from tidegate.model.message import (
    Document,
    Image,
    Message,
    Part,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from tidegate.wire import fields
from tidegate.wire.translate import responses_words as words
from tidegate.wire.translate.chat_turns_read import arguments_of, split_data_url, type_by_name
from tidegate.wire.translate.loss import MAX_OBJECTS, Loss, decode, said
from tidegate.wire.translate.messages_request_read import tool_type
from tidegate.wire.translate.namespaces import Namespaces
from tidegate.wire.translate.signed import unsealed


class _Turn:
    """One turn that grows; only what may follow in the same turn has a `kind`."""

    __slots__ = ("at", "kind", "parts", "role")

    def __init__(self, role: Role, kind: str, at: str) -> None:
        self.role = role
        self.kind = kind
        self.at = at
        self.parts: list[Part] = []


class Turns:
    """Collects the turns. `called` are the names of functions that were called.

    What a model gave in several items (reasoning, text, calls) is one turn, and so are results that follow
    each other, since another dialect wants them together.
    """

    def __init__(self, names: Namespaces, lost: list[Loss], ignored: list[str]) -> None:
        self.called: set[str] = set()
        self._names = names
        self._lost = lost
        self._ignored = ignored
        self._turns: list[_Turn] = []
        self._count = 0

    @property
    def messages(self) -> tuple[Message, ...]:
        """The turns that hold anything, instructions among them."""
        return tuple(
            Message(role=turn.role, parts=tuple(turn.parts), at=turn.at) for turn in self._turns if turn.parts
        )

    def read(self, raw: bytes) -> None:
        """Take the input, a string or items. Raises BadRequest above `fields.MAX_ELEMENTS` of both."""
        if raw.startswith(b'"'):
            text = fields.text_of(raw)
            self._add("user", "", [Text(text=text, at="input")] if text else [], "input")
            return
        pieces = decode(words.PIECES, raw, "input", self._lost)
        fields.check_count(len(pieces), "input")
        is_large = raw.count(b"{") > MAX_OBJECTS
        for index, piece in enumerate(pieces):
            at = f"input[{index}]"
            kind = tool_type(piece)
            decoder = words.ITEMS.get(kind)
            if decoder is None:
                self._lost.append(Loss(at, f"an item of type `{kind[:64]}`"))
                continue
            if is_large:
                _check_form(decoder, piece, at)
            self._item(decode(decoder, piece, at, self._lost), at)

    def _item(self, item: words.Item, at: str) -> None:
        match item:
            case words.Message():
                self._message(item, at)
            case words.FunctionCall():
                self._call(item, at)
            case words.FunctionCallOutput():
                self._output(item, at)
            case words.ReasoningItem():
                self._reasoning(item, at)
            case _:
                assert_never(item)

    def _add(self, role: Role, kind: str, parts: list[Part], at: str) -> None:
        last = self._turns[-1] if self._turns else None
        if last is None or not kind or last.kind != kind:
            last = _Turn(role, kind, at)
            self._turns.append(last)
        last.parts += parts

    def _message(self, message: words.Message, at: str) -> None:
        if message.phase:
            self._ignored.append(f"{at}.phase")
        parts: list[Part] = list(self._content(message.content, f"{at}.content"))
        match message.role:
            case "user":
                self._add("user", "", parts, at)
            case "assistant":
                self._add("assistant", "said", parts, at)
            case "system" | "developer":
                self._add("system", "", self._only_text(parts), at)
            case role:
                assert_never(role)

    def _only_text(self, parts: list[Part]) -> list[Part]:
        for part in parts:
            if not isinstance(part, Text):
                self._lost.append(Loss(part.at, "anything but text in a system prompt"))
        return [part for part in parts if isinstance(part, Text)]

    def _call(self, call: words.FunctionCall, at: str) -> None:
        self._caller(call.caller, at)
        name = self._names.flat(call.namespace or "", call.name)
        if call.namespace and self._names.place(name).namespace != call.namespace:
            self._ignored.append(f"{at}.namespace")  # no tool of this request stands there
        self.called.add(name)
        arguments = arguments_of(call.arguments)
        self._add("assistant", "said", [ToolUse(id=call.call_id, name=name, arguments=arguments, at=at)], at)

    def _output(self, output: words.FunctionCallOutput, at: str) -> None:
        self._caller(output.caller, at)
        if output.name:
            self._ignored.append(f"{at}.name")  # the call's id names it already
        parts: list[Text | Image | Document] = []
        for part in self._content(output.output, f"{at}.output"):
            if isinstance(part, Refusal):
                self._lost.append(Loss(part.at, "a refusal of a tool"))
            else:
                parts.append(part)
        self._add("user", "results", [ToolResult(id=output.call_id, parts=tuple(parts), at=at)], at)

    def _caller(self, caller: words.Caller | None, at: str) -> None:
        if caller is not None and caller.type not in ("", "direct"):
            self._lost.append(Loss(f"{at}.caller", "a call by a program"))

    def _reasoning(self, item: words.ReasoningItem, at: str) -> None:
        """Take what a model thought: signed where the gateway sealed it (trap S11), else the words alone."""
        self._counted(len(item.summary or ()) + len(item.content or ()))
        summary = _joined(item.summary)
        text = summary or _joined(item.content)
        if summary and item.content:
            self._ignored.append(f"{at}.content")  # said already
        sealed = unsealed(item.encrypted_content or "", text, at)
        if sealed is not None:
            self._add("assistant", "said", [sealed], at)
        elif text:
            if item.encrypted_content:
                self._ignored.append(f"{at}.encrypted_content")
            self._add("assistant", "said", [Thinking(text=text, at=at)], at)
        else:
            self._ignored.append(at)

    def _content(self, content: words.Content, at: str) -> Iterator[Text | Image | Document | Refusal]:
        if isinstance(content, str):
            if content:
                yield Text(text=content, at=at)
            return
        self._counted(len(content or ()))
        for index, part in enumerate(content or ()):
            if part is not None:
                yield from self._part(part, f"{at}[{index}]")

    def _counted(self, more: int) -> None:
        self._count += 1 + more
        fields.check_count(self._count, "input")

    def _part(self, part: words.Part, at: str) -> Iterator[Text | Image | Document | Refusal]:
        match part:
            case words.TextPart():
                self._mark(part.prompt_cache_breakpoint, at)
                if part.text:
                    yield Text(text=part.text, at=at)
            case words.OutputTextPart():
                for raw, name in ((part.annotations, "annotations"), (part.logprobs, "logprobs")):
                    if said(raw):
                        self._ignored.append(f"{at}.{name}")  # the text says it all
                if part.text:
                    yield Text(text=part.text, at=at)
            case words.RefusalPart():
                yield Refusal(text=part.refusal, at=at)
            case words.ImagePart():
                self._mark(part.prompt_cache_breakpoint, at)
                yield from self._image(part, at)
            case words.FilePart():
                self._mark(part.prompt_cache_breakpoint, at)
                yield from self._file(part, at)
            case _:
                assert_never(part)

    def _image(self, part: words.ImagePart, at: str) -> Iterator[Image]:
        url, detail = part.image_url or "", part.detail or ""
        if part.file_id or not url:
            path = f"{at}.file_id" if part.file_id else at
            self._lost.append(Loss(path, "an image kept by a provider"))
        elif url[:5].lower() != "data:":
            yield Image(url=url, detail=detail, at=at)
        else:
            media_type, data = split_data_url(url)
            if data:
                yield Image(data=data, media_type=media_type, detail=detail, at=at)
            else:
                self._lost.append(Loss(f"{at}.image_url", "a data URL that is not base64"))

    def _file(self, part: words.FilePart, at: str) -> Iterator[Document]:
        if part.detail:
            self._ignored.append(f"{at}.detail")  # how closely its pages are looked at
        title = part.filename or ""
        if part.file_id:
            self._lost.append(Loss(f"{at}.file_id", "a file kept by a provider"))
        elif part.file_url:
            yield Document(url=part.file_url, title=title, at=at)
        else:
            media_type, data = split_data_url(part.file_data or "")
            if not data:
                media_type, data = type_by_name(title), part.file_data or ""
            yield Document(data=data, media_type=media_type, title=title, at=at)

    def _mark(self, mark: msgspec.Raw, at: str) -> None:
        if said(mark):
            self._ignored.append(f"{at}.prompt_cache_breakpoint")  # changes cost and speed


def _joined(thoughts: list[words.Thought] | None) -> str:
    return "\n\n".join(thought.text for thought in thoughts or () if thought.text)


def _check_form(decoder: msgspec.json.Decoder[words.Item], raw: bytes, at: str) -> None:
    """Refuse an odd item of a huge input: to look for what is odd in each would stall the loop (case 23)."""
    try:
        decoder.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        raise BadRequest(
            f"{at}: an item of an unknown form in an input of more than {MAX_OBJECTS} JSON objects", param=at
        ) from None
