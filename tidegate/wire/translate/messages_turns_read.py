"""Read the system prompt and the messages of a messages request into turns."""

from collections.abc import Iterator, Sequence
from typing import assert_never

from tidegate.model.message import (
    Document,
    Image,
    Message,
    Part,
    RedactedThinking,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from tidegate.wire import fields
from tidegate.wire.translate import messages_words as words
from tidegate.wire.translate.ids import plain_id
from tidegate.wire.translate.inputs import arguments_in
from tidegate.wire.translate.loss import Loss, said

LOADED = "Tool loaded: {name}"
"""What a reference to a tool becomes where there are no references (trap K5)."""


class Turns:
    """Collects the system prompt and the turns; `loaded` are deferred tools that were loaded since."""

    def __init__(self, lost: list[Loss], ignored: list[str]) -> None:
        self.system: list[Text] = []
        self.messages: list[Message] = []
        self.loaded: set[str] = set()
        self._lost = lost
        self._ignored = ignored

    def read_system(self, system: str | Sequence[words.TextBlock | None]) -> None:
        """Take the system prompt."""
        if isinstance(system, str):
            self.system += [Text(text=system, at="system")] if system else []
            return
        for index, block in enumerate(system):
            if block is not None:
                self.system += self._text(block, f"system[{index}]")

    def read(self, messages: list[words.Message | None]) -> None:
        """Take every message; an assistant's turn at the end is the start of the answer.

        Raises BadRequest above `fields.MAX_ELEMENTS` blocks.
        """
        fields.check_count(sum(map(_elements, messages)), "messages")
        for index, message in enumerate(messages):
            if message is None:
                continue
            at = f"messages[{index}]"
            content = message.content
            if isinstance(content, str):
                parts: tuple[Part, ...] = (Text(text=content, at=f"{at}.content"),) if content else ()
            else:
                parts = tuple(
                    part
                    for number, block in enumerate(content or ())
                    if block is not None
                    for part in self._block(block, f"{at}.content[{number}]")
                )
            prefix = message.role == "assistant" and index == len(messages) - 1
            if parts:
                self.messages.append(Message(role=message.role, parts=parts, prefix=prefix, at=at))

    def _block(self, block: words.Block, at: str) -> Iterator[Part]:
        match block:
            case words.TextBlock():
                yield from self._text(block, at)
            case words.ImageBlock():
                yield from self._image(block, at)
            case words.DocumentBlock():
                yield from self._document(block, at)
            case words.ToolUseBlock():
                yield self._tool_use(block, at)
            case words.ToolResultBlock():
                yield self._tool_result(block, at)
            case words.ThinkingBlock():
                yield Thinking(text=block.thinking, signature=block.signature or "", at=at)
            case words.RedactedBlock():
                yield RedactedThinking(data=block.data, at=at)
            case words.AdditionBlock():
                self.loaded.add(block.tool.name)
                self._ignored.append(at)  # the tool itself goes over
            case _:
                assert_never(block)

    def _text(self, block: words.TextBlock, at: str) -> Iterator[Text]:
        if said(block.citations):
            self._lost.append(Loss(f"{at}.citations"))
        if block.text:
            yield Text(text=block.text, cache=block.cache_control, at=at)

    def _document(self, block: words.DocumentBlock, at: str) -> Iterator[Document]:
        if block.citations is not None and block.citations.enabled:
            self._lost.append(Loss(f"{at}.citations"))
        title, cache = block.title or "", block.cache_control
        match block.source:
            case None:
                self._ignored.append(at)  # it went with its source
            case words.Base64(data=data, media_type=media_type):
                yield Document(data=data, media_type=media_type, title=title, cache=cache, at=at)
            case words.Url(url=url):
                yield Document(url=url, title=title, cache=cache, at=at)
            case words.PlainText(data=text):
                yield Document(text=text, title=title, cache=cache, at=at)
            case source:
                assert_never(source)

    def _tool_use(self, block: words.ToolUseBlock, at: str) -> ToolUse:
        if block.caller is not None and block.caller.type not in ("", "direct"):
            self._lost.append(Loss(f"{at}.caller", "a call by a program"))
        return ToolUse(
            id=plain_id(block.id),
            name=block.name,
            arguments=arguments_in(block.input),
            cache=block.cache_control,
            at=at,
        )

    def _tool_result(self, block: words.ToolResultBlock, at: str) -> ToolResult:
        parts: list[Text | Image | Document] = []
        if isinstance(block.content, str):
            parts += [Text(text=block.content, at=f"{at}.content")] if block.content else []
        else:
            for index, inner in enumerate(block.content or ()):
                if inner is not None:
                    parts += self._result_block(inner, f"{at}.content[{index}]")
        return ToolResult(
            id=plain_id(block.tool_use_id),
            parts=tuple(parts),
            is_error=bool(block.is_error),
            cache=block.cache_control,
            at=at,
        )

    def _result_block(
        self,
        block: words.TextBlock | words.ImageBlock | words.DocumentBlock | words.ReferenceBlock,
        at: str,
    ) -> Iterator[Text | Image | Document]:
        match block:
            case words.TextBlock():
                yield from self._text(block, at)
            case words.ImageBlock():
                yield from self._image(block, at)
            case words.DocumentBlock():
                yield from self._document(block, at)
            case words.ReferenceBlock():
                self.loaded.add(block.tool_name)
                yield Text(text=LOADED.format(name=block.tool_name), at=at)
            case _:
                assert_never(block)

    def _image(self, block: words.ImageBlock, at: str) -> Iterator[Image]:
        match block.source:
            case None:
                self._ignored.append(at)  # it went with its source
            case words.Base64(data=data, media_type=media_type):
                yield Image(data=data, media_type=media_type, cache=block.cache_control, at=at)
            case words.Url(url=url):
                yield Image(url=url, cache=block.cache_control, at=at)
            case source:
                assert_never(source)


def _elements(message: words.Message | None) -> int:
    """Return how many things a message holds, each of which costs time to read (case 23)."""
    if message is None or not isinstance(message.content, list):
        return 1
    inner = (block.content for block in message.content if isinstance(block, words.ToolResultBlock))
    return 1 + len(message.content) + sum(len(blocks) for blocks in inner if isinstance(blocks, list))
