"""Read the messages of a chat request into turns."""

import re
from collections.abc import Sequence
from typing import TypeVar, assert_never

import msgspec

from tidegate.model.message import (
    Document,
    Image,
    Message,
    Part,
    RedactedThinking,
    Refusal,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from tidegate.wire import fields
from tidegate.wire.translate import chat_words as words
from tidegate.wire.translate.loss import Loss, said

P = TypeVar("P", bound=Part)

ANTHROPIC_FORMAT = "anthropic"
"""How OpenRouter names the format of thinking that Anthropic signed (`anthropic-claude-v1`)."""

_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?((?:;[\w-]+=[^;,]*)*);base64,", re.ASCII | re.IGNORECASE)
_string = msgspec.json.Decoder(str)


class Turns:
    """Collects the system prompt and the turns; no order of roles is assumed (trap K16)."""

    def __init__(self, lost: list[Loss], ignored: list[str]) -> None:
        self.system: list[Text] = []
        self.messages: list[Message] = []
        self._lost = lost
        self._ignored = ignored

    def read(self, messages: list[words.Message | None]) -> None:
        """Take every message. Raises BadRequest above `fields.MAX_ELEMENTS` parts and calls."""
        fields.check_count(sum(map(_elements, messages)), "messages")
        for index, message in enumerate(messages):
            if message is None:
                continue
            at = f"messages[{index}]"
            match message:
                case words.SystemMessage():
                    self._system(message, at)
                case words.UserMessage():
                    self._name(message.name, at)
                    self._add(Message(role="user", parts=self._marked(message, at), at=at))
                case words.ToolMessage():
                    self._tool(message, at)
                case words.AssistantMessage():
                    self._assistant(message, at)
                case _:
                    assert_never(message)

    def _add(self, message: Message) -> None:
        if message.parts:
            self.messages.append(message)

    def _system(self, message: words.SystemMessage, at: str) -> None:
        """Take a system or developer message: part of the prompt before the first turn, a turn after it."""
        self._name(message.name, at)
        texts: list[Text] = []
        for part in self._marked(message, at):
            if isinstance(part, Text):
                texts.append(part)
            else:
                self._lost.append(Loss(part.at, "anything but text in a system prompt"))
        if self.messages:
            self._add(Message(role="system", parts=tuple(texts), at=at))
        else:
            self.system += texts

    def _tool(self, message: words.ToolMessage, at: str) -> None:
        if message.name:
            self._ignored.append(f"{at}.name")  # the call's id names it already (trap K15)
        parts: list[Text | Image | Document] = []
        for part in self._content(message.content, at):
            if isinstance(part, Text | Image | Document):
                parts.append(part)
            else:
                self._lost.append(Loss(part.at, "a refusal of a tool"))
        result = ToolResult(
            id=message.tool_call_id or "", parts=tuple(parts), cache=message.cache_control, at=at
        )
        self._add(Message(role="user", parts=(result,), at=at))

    def _assistant(self, message: words.AssistantMessage, at: str) -> None:
        self._name(message.name, at)
        for raw, name in ((message.function_call, "function_call"), (message.audio, "audio")):
            if said(raw):
                self._lost.append(Loss(f"{at}.{name}"))
        for raw, name in ((message.annotations, "annotations"), (message.parsed, "parsed")):
            if said(raw):
                self._ignored.append(f"{at}.{name}")  # the text says it all
        parts: list[Part] = [*_thoughts(message, at, self._ignored), *self._content(message.content, at)]
        if message.refusal:
            parts.append(Refusal(text=message.refusal, at=f"{at}.refusal"))
        for index, call in enumerate(message.tool_calls or ()):
            if call is not None:
                self._call(call, f"{at}.tool_calls[{index}]", parts)
        marked = _with_mark(tuple(parts), message.cache_control)
        self._add(Message(role="assistant", parts=marked, prefix=bool(message.prefix), at=at))

    def _call(self, call: words.Call, at: str, parts: list[Part]) -> None:
        if call.function is None:
            self._lost.append(Loss(f"{at}.custom" if said(call.custom) else at, "a call of a custom tool"))
            return
        if said(call.function.parsed_arguments):
            self._ignored.append(f"{at}.function.parsed_arguments")
        if said(call.extra_content):
            self._ignored.append(f"{at}.extra_content")  # of use to the provider alone that made it
        parts.append(
            ToolUse(
                id=call.id or at,
                name=call.function.name,
                arguments=arguments_of(call.function.arguments),
                cache=call.cache_control,
                at=at,
            )
        )

    def _marked(
        self, message: words.SystemMessage | words.UserMessage, at: str
    ) -> tuple[Text | Image | Document | Refusal, ...]:
        return _with_mark(tuple(self._content(message.content, at)), message.cache_control)

    def _content(self, content: words.Content, at: str) -> list[Text | Image | Document | Refusal]:
        at += ".content"
        if content is None:
            return []
        if isinstance(content, str):
            return [Text(text=content, at=at)] if content else []
        found: list[Text | Image | Document | Refusal] = []
        for index, part in enumerate(content):
            if part is not None:
                found += self._part(part, f"{at}[{index}]")
        return found

    def _part(
        self, part: words.TextPart | words.ImagePart | words.FilePart | words.RefusalPart, at: str
    ) -> Sequence[Text | Image | Document | Refusal]:
        match part:
            case words.TextPart():
                if said(part.annotations):
                    self._ignored.append(f"{at}.annotations")
                return [Text(text=part.text, cache=part.cache_control, at=at)] if part.text else []
            case words.RefusalPart():
                return [Refusal(text=part.refusal, at=at)]
            case words.ImagePart():
                return self._image(part, at)
            case words.FilePart():
                return self._file(part, at)
            case _:
                assert_never(part)

    def _image(self, part: words.ImagePart, at: str) -> list[Image]:
        image = part.image_url
        url, detail = (image, None) if isinstance(image, str) else (image.url, image.detail)
        if url[:5].lower() != "data:":
            return [Image(url=url, detail=detail or "", cache=part.cache_control, at=at)]
        media_type, data = split_data_url(url)
        if not data:
            self._lost.append(Loss(f"{at}.image_url", "a data URL that is not base64"))
            return []
        return [Image(data=data, media_type=media_type, detail=detail or "", cache=part.cache_control, at=at)]

    def _file(self, part: words.FilePart, at: str) -> list[Document]:
        file = part.file
        if file.file_id:
            self._lost.append(Loss(f"{at}.file.file_id", "a file kept by a provider"))
            return []
        media_type, data = split_data_url(file.file_data or "")
        if not data:
            media_type, data = type_by_name(file.filename or ""), file.file_data or ""
        return [
            Document(
                data=data,
                media_type=media_type,
                title=file.filename or "",
                cache=part.cache_control,
                at=f"{at}.file",
            )
        ]

    def _name(self, name: str | None, at: str) -> None:
        if name:
            self._lost.append(Loss(f"{at}.name", "a participant's name"))


def _elements(message: words.Message | None) -> int:
    """Return how many things a message holds, each of which costs time to read (case 23)."""
    if message is None:
        return 1
    calls = message.tool_calls if isinstance(message, words.AssistantMessage) else None
    return 1 + (len(message.content) if isinstance(message.content, list) else 0) + len(calls or ())


def arguments_of(raw: bytes) -> str:
    """Return a call's arguments as JSON text, whether they came as a string or as JSON itself."""
    if not said(raw):
        return ""
    try:
        return _string.decode(raw)
    except msgspec.DecodeError:
        return bytes(raw).decode()


def split_data_url(url: str) -> tuple[str, str]:
    """Return media type and base64 data of a data URL (RFC 2397); both empty when it is none."""
    match = _DATA_URL.match(url)
    if match is None:
        return "", ""
    return (match.group(1) or "text/plain").lower(), url[match.end() :]


def type_by_name(name: str) -> str:
    """Return the type that a file's name stands for, where nothing else says it."""
    return "text/plain" if name.lower().endswith((".txt", ".md")) else "application/pdf"


def _thoughts(message: words.AssistantMessage, at: str, ignored: list[str]) -> list[Part]:
    """Return what the model thought: as Anthropic signed it where the details say so, else the words alone.

    Thinking that another provider signed or encrypted is no use to anybody else, and is ignored.
    """
    found: list[Part] = []
    for index, detail in enumerate(message.reasoning_details or ()):
        place = f"{at}.reasoning_details[{index}]"
        if detail.id:
            ignored.append(f"{place}.id")
        signed_by_anthropic = (detail.format or "").startswith(ANTHROPIC_FORMAT)
        if signed_by_anthropic and detail.signature:
            found.append(Thinking(text=detail.text or "", signature=detail.signature, at=place))
        elif signed_by_anthropic and detail.data:
            found.append(RedactedThinking(data=detail.data, at=place))
        else:
            ignored.append(place)
    for name in ("reasoning_content", "reasoning"):
        thought = getattr(message, name)
        if thought and found:
            ignored.append(f"{at}.{name}")  # said already
        elif thought:
            found.append(Thinking(text=thought, at=f"{at}.{name}"))
    return found


def _with_mark(parts: tuple[P, ...], mark: msgspec.Raw) -> tuple[P, ...]:
    """Put a message's cache mark on its last part, where the other dialect has it."""
    if not said(mark) or not parts:
        return parts
    return (*parts[:-1], msgspec.structs.replace(parts[-1], cache=mark))
