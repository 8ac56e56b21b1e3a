"""Write turns as the messages of a chat request."""

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
    RedactedThinking,
    Refusal,
    TargetTraits,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
)
from tidegate.wire.translate.chat_turns_read import ANTHROPIC_FORMAT
from tidegate.wire.translate.ids import nine
from tidegate.wire.translate.loss import Ledger, said

ERROR = "Error: "
"""How a tool's result that is an error begins, where nothing else can say so."""

IMAGE_FOLLOWS = "(see the next message)"
"""What stands in a tool's result whose only content goes into the user's message after it."""


class TurnWriter:
    """Writes the system prompt and the turns of one conversation."""

    def __init__(
        self,
        conversation: Conversation,
        traits: TargetTraits,
        ledger: Ledger,
        restored: Mapping[str, Sequence[Kept]],
    ) -> None:
        self._conversation = conversation
        self._traits = traits
        self._ledger = ledger
        self._restored = restored
        self._out: list[dict[str, object]] = []

    def write(self) -> list[dict[str, object]]:
        """Return the messages."""
        conversation = self._conversation
        if conversation.system:
            self._out.append({"role": "system", "content": self._content(conversation.system)})
        for message in conversation.messages:
            match message.role:
                case "system":
                    self._system(message)
                case "user":
                    self._user(message)
                case "assistant":
                    self._assistant(message)
                case role:
                    assert_never(role)
        return self._out

    def _system(self, message: Message) -> None:
        texts = [part for part in message.parts if isinstance(part, Text)]
        self._lose_others(message, (Text,))
        if texts:
            self._out.append({"role": "system", "content": self._content(texts)})

    def _user(self, message: Message) -> None:
        """Write a user's turn: what tools answered comes first, one message each."""
        moved: list[Text | Image | Document] = []
        for part in message.parts:
            if isinstance(part, ToolResult):
                moved += self._tool_result(part)
        said_parts = [part for part in message.parts if isinstance(part, Text | Image | Document)]
        self._lose_others(message, (Text, Image, Document, ToolResult))
        content = self._content([*moved, *said_parts])
        if content:
            self._out.append({"role": "user", "content": content})

    def _tool_result(self, result: ToolResult) -> list[Text | Image | Document]:
        """Write one result; return what of it must go into a user's message."""
        stays: list[Text | Image | Document] = list(result.parts)
        moved: list[Text | Image | Document] = []
        if not self._traits.images_in_tool_results:
            stays = [part for part in result.parts if isinstance(part, Text)]
            moved = [part for part in result.parts if not isinstance(part, Text)]
            for part in moved:
                self._ledger.adapt(part.at)
        if result.is_error:
            self._ledger.adapt(f"{result.at}.is_error")
            stays = _as_error(stays)
        content = self._content(stays)
        if moved and not content:
            content = IMAGE_FOLLOWS
        message = {"role": "tool", "tool_call_id": self._id(result.id), "content": content}
        self._mark(message, result)
        self._out.append(message)
        return moved

    def _assistant(self, message: Message) -> None:
        texts = [part for part in message.parts if isinstance(part, Text)]
        thoughts = [part for part in message.parts if isinstance(part, Thinking | RedactedThinking)]
        refusal = "".join(part.text for part in message.parts if isinstance(part, Refusal))
        calls = [self._call(part) for part in message.parts if isinstance(part, ToolUse)]
        self._lose_others(message, (Text, Thinking, RedactedThinking, Refusal, ToolUse))
        if not texts and not calls and not refusal:
            for part in thoughts:
                self._ledger.adapt(part.at)
            return
        if message.prefix and self._traits.prefill == "no":
            self._ledger.lose(message.at, "the start of an answer")
            return
        out: dict[str, object] = {"role": "assistant", "content": self._spoken(texts)}
        if refusal:
            out["refusal"] = refusal
        if calls:
            out["tool_calls"] = calls
        if message.prefix and self._traits.prefill == "prefix":
            out["prefix"] = True
        self._think(out, thoughts)
        self._out.append(out)

    def _spoken(self, texts: Sequence[Text]) -> object:
        """Return an assistant's text as one string: what it said in several blocks, it said in one go."""
        if self._traits.cache_marks and any(said(text.cache) for text in texts):
            return [self._part(text) for text in texts]
        for text in texts:
            self._unmarked(text)
        return "".join(text.text for text in texts) or None

    def _think(self, out: dict[str, object], thoughts: Sequence[Thinking | RedactedThinking]) -> None:
        """Give back what the model thought, where the provider takes it (trap S11)."""
        name = self._traits.reasoning_field
        if name == "reasoning_details":
            details = [_detail(part) for part in thoughts]
            if details:
                out[name] = details
            return
        text = "".join(part.text for part in thoughts if isinstance(part, Thinking)) if name else ""
        if text:
            out[name] = text
        for part in thoughts:
            if not text or not isinstance(part, Thinking) or part.signature:
                self._ledger.adapt(part.at)

    def _call(self, call: ToolUse) -> dict[str, object]:
        out: dict[str, object] = {
            "id": self._id(call.id),
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments or "{}"},
        }
        for kept in self._restored.get(call.id, ()):
            if isinstance(kept, Opaque):
                out[kept.name] = kept.raw
        self._mark(out, call)
        return out

    def _content(self, parts: Sequence[Text | Image | Document]) -> object:
        """Return parts as content: one text as a string, which every server takes."""
        written = [part for part in (self._part(part) for part in parts) if part is not None]
        if len(written) == 1 and written[0].keys() == {"type", "text"}:
            return written[0]["text"]
        return written or ""

    def _part(self, part: Text | Image | Document) -> dict[str, object] | None:
        match part:
            case Text():
                out: dict[str, object] | None = {"type": "text", "text": part.text}
            case Image():
                out = self._image(part)
            case Document():
                out = self._document(part)
            case _:
                assert_never(part)
        if out is not None:
            self._mark(out, part)
        return out

    def _image(self, image: Image) -> dict[str, object] | None:
        if not self._traits.images:
            self._ledger.lose(image.at, "an image, which the model does not take,")
            return None
        if image.url and not self._traits.image_urls:
            self._ledger.lose(image.at, "an image by URL, which the model does not take,")
            return None
        url = image.url or f"data:{image.media_type};base64,{image.data}"
        inner = {"url": url, "detail": image.detail} if image.detail else {"url": url}
        return {"type": "image_url", "image_url": inner}

    def _document(self, document: Document) -> dict[str, object] | None:
        if document.text:
            self._ledger.adapt(document.at)
            title = f"{document.title}\n\n" if document.title else ""
            return {"type": "text", "text": title + document.text}
        if document.url or not self._traits.documents:
            what = "a document by URL" if document.url else "a document, which the model does not take,"
            self._ledger.lose(document.at, what)
            return None
        data = f"data:{document.media_type};base64,{document.data}"
        return {"type": "file", "file": {"filename": document.title or "document.pdf", "file_data": data}}

    def _id(self, ident: str) -> str:
        return nine(ident) if self._traits.tool_ids == "nine" else ident

    def _mark(self, out: dict[str, object], part: Text | Image | Document | ToolUse | ToolResult) -> None:
        if self._traits.cache_marks and said(part.cache):
            out["cache_control"] = part.cache
        else:
            self._unmarked(part)

    def _unmarked(self, part: Text | Image | Document | ToolUse | ToolResult) -> None:
        if said(part.cache):
            self._ledger.adapt(f"{part.at}.cache_control")

    def _lose_others(self, message: Message, taken: tuple[type, ...]) -> None:
        for part in message.parts:
            if not isinstance(part, taken):
                self._ledger.lose(part.at, f"a block of this kind in the role {message.role}")


def _as_error(parts: list[Text | Image | Document]) -> list[Text | Image | Document]:
    first = parts[0] if parts else None
    if not isinstance(first, Text):
        return [Text(text=ERROR.strip()), *parts]
    if first.text.lower().startswith("error"):
        return parts
    return [msgspec.structs.replace(first, text=ERROR + first.text), *parts[1:]]


def _detail(part: Thinking | RedactedThinking) -> dict[str, object]:
    """Return thinking in OpenRouter's words."""
    if isinstance(part, RedactedThinking):
        return {"type": "reasoning.encrypted", "data": part.data, "format": f"{ANTHROPIC_FORMAT}-claude-v1"}
    if not part.signature:
        return {"type": "reasoning.text", "text": part.text}
    return {
        "type": "reasoning.text",
        "text": part.text,
        "signature": part.signature,
        "format": f"{ANTHROPIC_FORMAT}-claude-v1",
    }
