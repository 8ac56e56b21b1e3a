"""Write turns as the messages of a messages request."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import assert_never

import msgspec

from tidegate.model.message import (
    Conversation,
    Document,
    Image,
    Kept,
    Message,
    Opaque,
    Part,
    RedactedThinking,
    Refusal,
    TargetTraits,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from tidegate.wire.translate.ids import anthropic_id
from tidegate.wire.translate.inputs import input_of
from tidegate.wire.translate.loss import Ledger, said

IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})

Block = dict[str, object]


class TurnWriter:
    """Writes the system prompt and the turns of one conversation; `system` are the prompt's blocks."""

    def __init__(
        self,
        conversation: Conversation,
        traits: TargetTraits,
        ledger: Ledger,
        restored: Mapping[str, Sequence[Kept]],
    ) -> None:
        self.system: list[Block] = []
        self._conversation = conversation
        self._traits = traits
        self._ledger = ledger
        self._restored = restored
        self._turns: list[tuple[str, list[Block]]] = []
        self._waiting: list[Block] = []

    def write(self) -> list[Block]:
        """Return the messages: turns of one role that follow each other are one."""
        for text in self._conversation.system:
            self._to_system(text)
        for message in self._conversation.messages:
            if message.role == "system":
                self._system(message)
            else:
                self._turn(message)
        self.system += self._waiting
        self._check_end()
        return [{"role": role, "content": _content(blocks)} for role, blocks in self._turns]

    def _to_system(self, text: Text) -> None:
        block = self._text(text)
        if block is not None:
            self.system.append(block)

    def _system(self, message: Message) -> None:
        """Write an instruction in mid-conversation: after a user's turn, as Anthropic's newer models take it.

        After an assistant's turn it waits for the user's. For an older model it goes to the end of the system
        prompt, where Anthropic's own OpenAI endpoint puts it too (docs, "OpenAI SDK compatibility").
        """
        texts = [part for part in message.parts if isinstance(part, Text)]
        blocks = [block for text in texts if (block := self._text(text)) is not None]
        before = self._turns[-1][0] if self._turns else ""
        if not self._traits.system_in_messages:
            self._ledger.adapt(f"{message.at}.role")
            self.system += blocks
        elif before == "assistant":
            self._ledger.adapt(f"{message.at}.role")
            self._waiting += blocks
        elif blocks:
            self._append("system", blocks)

    def _turn(self, message: Message) -> None:
        blocks = [block for part in self._parts(message) if (block := self._block(part)) is not None]
        if not blocks:
            return
        turn = self._append(message.role, blocks)
        if message.role == "user":
            turn.sort(key=lambda block: block["type"] != "tool_result")  # which must come first
            if self._waiting:
                self._append("system", self._waiting)
                self._waiting = []

    def _append(self, role: str, blocks: list[Block]) -> list[Block]:
        """Add blocks to the last turn where it has the same role, else in a new one."""
        if not self._turns or self._turns[-1][0] != role:
            self._turns.append((role, []))
        turn = self._turns[-1][1]
        turn += blocks
        return turn

    def _parts(self, message: Message) -> list[Part]:
        """Return the parts with the kept thinking before the calls it led to, the first of it at the top."""
        parts = list(message.parts)
        if message.role != "assistant" or any(_is_signed(part) for part in parts):
            return parts
        out: list[Part] = []
        first = True
        for part in parts:
            if isinstance(part, ToolUse):
                kept = [one for one in self._restored.get(part.id, ()) if not isinstance(one, Opaque)]
                if first:
                    out[:0] = kept
                else:
                    out += kept
                first = first and not kept
            out.append(part)
        return out

    def _check_end(self) -> None:
        """Refuse an assistant's turn at the end where the model would not continue it."""
        if self._traits.prefill == "no" and self._turns and self._turns[-1][0] == "assistant":
            last = [message for message in self._conversation.messages if message.role == "assistant"][-1]
            self._ledger.lose(last.at, "an assistant's turn at the end")
            self._turns.pop()

    def _block(self, part: Part) -> Block | None:  # noqa: PLR0911  # one kind, one line
        match part:
            case Text():
                return self._text(part)
            case Image():
                return self._image(part)
            case Document():
                return self._document(part)
            case ToolUse():
                return self._tool_use(part)
            case ToolResult():
                return self._tool_result(part)
            case Thinking():
                return self._thinking(part)
            case RedactedThinking():
                return {"type": "redacted_thinking", "data": part.data}
            case Refusal():
                self._ledger.adapt(part.at)
                return {"type": "text", "text": part.text} if part.text.strip() else None
            case _:
                assert_never(part)

    def _text(self, text: Text) -> Block | None:
        """Write text; Anthropic takes none that is empty or white space."""
        if not text.text.strip():
            self._ledger.adapt(text.at)
            return None
        return _marked({"type": "text", "text": text.text}, text)

    def _image(self, image: Image) -> Block | None:
        if not self._traits.images:
            self._ledger.lose(image.at, "an image, which the model does not take,")
            return None
        if image.detail:
            self._ledger.adapt(
                f"{image.at}.{self._ledger.own('image_url.detail')}"
            )  # it always looks at all of it
        if image.url:
            if not self._traits.image_urls:
                self._ledger.lose(image.at, "an image by URL, which the model does not take,")
                return None
            return _marked({"type": "image", "source": {"type": "url", "url": image.url}}, image)
        media_type = "image/jpeg" if image.media_type == "image/jpg" else image.media_type
        if media_type not in IMAGE_TYPES:
            self._ledger.lose(image.at, f"an image of type {image.media_type[:64] or 'unknown'}")
            return None
        source = {"type": "base64", "media_type": media_type, "data": image.data}
        return _marked({"type": "image", "source": source}, image)

    def _document(self, document: Document) -> Block | None:
        if not self._traits.documents:
            self._ledger.lose(document.at, "a document, which the model does not take,")
            return None
        source = _document_source(document)
        if source is None:
            self._ledger.lose(document.at, f"a document of type {document.media_type[:64] or 'unknown'}")
            return None
        block: Block = {"type": "document", "source": source}
        if document.title:
            block["title"] = document.title
        return _marked(block, document)

    def _tool_use(self, call: ToolUse) -> Block:
        return _marked(
            {
                "type": "tool_use",
                "id": anthropic_id(call.id),
                "name": call.name,
                "input": self._input(call),
            },
            call,
        )

    def _input(self, call: ToolUse) -> msgspec.Raw:
        raw, is_valid = input_of(call.arguments)
        if not is_valid:
            self._ledger.adapt(call.at)
        return raw

    def _tool_result(self, result: ToolResult) -> Block:
        blocks = [block for part in result.parts if (block := self._block(part)) is not None]
        out: Block = {"type": "tool_result", "tool_use_id": anthropic_id(result.id)}
        if blocks:
            out["content"] = _content(blocks)
        if result.is_error:
            out["is_error"] = True
        return _marked(out, result)

    def _thinking(self, thinking: Thinking) -> Block | None:
        """Write signed thinking; what nobody signed is refused there, and changes no answer."""
        if not thinking.signature:
            self._ledger.adapt(thinking.at)
            return None
        return {"type": "thinking", "thinking": thinking.text, "signature": thinking.signature}


def _content(blocks: list[Block]) -> object:
    """Return a single text as a string, as most clients send it."""
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        return blocks[0]["text"]
    return blocks


def _is_signed(part: Part) -> bool:
    return isinstance(part, RedactedThinking) or (isinstance(part, Thinking) and bool(part.signature))


def _marked(block: Block, part: Text | Image | Document | ToolUse | ToolResult) -> Block:
    if said(part.cache):
        block["cache_control"] = part.cache
    return block


def _document_source(document: Document) -> Block | None:
    if document.url:
        return {"type": "url", "url": document.url}
    if document.text:
        return {"type": "text", "media_type": "text/plain", "data": document.text}
    if document.media_type == "application/pdf":
        return {"type": "base64", "media_type": document.media_type, "data": document.data}
    if document.media_type.startswith("text/"):
        try:
            text = base64.b64decode(document.data, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None
        return {"type": "text", "media_type": "text/plain", "data": text}
    return None
