"""The items of a Responses reply as they grow: what a stream says of each, and what it is in the end."""

from collections.abc import Iterator
from typing import Literal

from tidegate.model import event as ev
from tidegate.model.message import RedactedThinking, Thinking
from tidegate.wire.translate.namespaces import Namespaces
from tidegate.wire.translate.signed import sealed

Status = Literal["in_progress", "completed", "incomplete"]
Said = tuple[str, dict[str, object]]
"""An event of the stream: its type, and its fields without a sequence number."""


class _Item:
    """One item. `place` is what every event of it says; `is_ended` once nothing more of it comes."""

    prefix = ""

    def __init__(self, index: int, stem: str) -> None:
        self.index = index
        self.id = f"{self.prefix}_{stem}_{index}"
        self.is_ended = False
        self.place: dict[str, object] = {"item_id": self.id, "output_index": index}

    def item(self, status: Status) -> dict[str, object]:
        """Return the item as it stands."""
        raise NotImplementedError

    def opened(self) -> Iterator[Said]:
        """Yield how the item begins."""
        yield "output_item.added", {"output_index": self.index, "item": self.item("in_progress")}

    def closed(self, status: Status) -> Iterator[Said]:
        """Yield how the item ends."""
        yield "output_item.done", {"output_index": self.index, "item": self.item(status)}


class MessageItem(_Item):
    """What a model says: parts of text and of refusal."""

    prefix = "msg"

    def __init__(self, index: int, stem: str) -> None:
        super().__init__(index, stem)
        self._kinds: list[str] = []
        self._texts: list[list[str]] = []
        self._is_open = False

    def item(self, status: Status) -> dict[str, object]:
        """See _Item."""
        parts = [_part(kind, "".join(texts)) for kind, texts in zip(self._kinds, self._texts, strict=True)]
        return {
            "id": self.id,
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": parts,
        }

    def grow(self, kind: Literal["output_text", "refusal"], text: str) -> Iterator[Said]:
        """Take more text, in the part that is open where it is of the same kind."""
        if not self._is_open or self._kinds[-1] != kind:
            yield from self._close_part()
            self._is_open = True
            self._kinds.append(kind)
            self._texts.append([])
            yield "content_part.added", {**self._at(), "part": _part(kind, "")}
        self._texts[-1].append(text)
        delta = {**self._at(), "delta": text}
        yield f"{kind}.delta", delta if kind == "refusal" else {**delta, "logprobs": []}

    def end_part(self) -> Iterator[Said]:
        """End the part that is open: what comes next is another."""
        yield from self._close_part()

    def closed(self, status: Status) -> Iterator[Said]:
        """See _Item."""
        yield from self._close_part()
        yield from super().closed(status)

    def _at(self) -> dict[str, object]:
        return {**self.place, "content_index": len(self._kinds) - 1}

    def _close_part(self) -> Iterator[Said]:
        if not self._is_open:
            return
        self._is_open = False
        kind, text = self._kinds[-1], "".join(self._texts[-1])
        if kind == "refusal":
            yield "refusal.done", {**self._at(), "refusal": text}
        else:
            yield "output_text.done", {**self._at(), "text": text, "logprobs": []}
        yield "content_part.done", {**self._at(), "part": _part(kind, text)}


class ReasoningItem(_Item):
    """What a model thinks: its text as the one summary, and what its provider must have back (trap S11)."""

    prefix = "rs"

    def __init__(self, index: int, stem: str, redacted: str = "") -> None:
        super().__init__(index, stem)
        self._texts: list[str] = []
        self._redacted = redacted
        self._signature = ""
        self._at: dict[str, object] = {**self.place, "summary_index": 0}

    def item(self, status: Status) -> dict[str, object]:  # noqa: ARG002 - an item of reasoning has none
        """See _Item."""
        text = "".join(self._texts)
        out: dict[str, object] = {
            "id": self.id,
            "type": "reasoning",
            "summary": [_summary(text)] if text else [],
        }
        part = (
            RedactedThinking(data=self._redacted)
            if self._redacted
            else Thinking(text=text, signature=self._signature)
        )
        if content := sealed(part):
            out["encrypted_content"] = content
        return out

    def grow(self, text: str) -> Iterator[Said]:
        """Take more thinking."""
        if not text:
            return
        if not self._texts:
            yield "reasoning_summary_part.added", {**self._at, "part": _summary("")}
        self._texts.append(text)
        yield "reasoning_summary_text.delta", {**self._at, "delta": text}

    def sign(self, signature: str) -> None:
        """Take more of the signature."""
        self._signature += signature

    def closed(self, status: Status) -> Iterator[Said]:
        """See _Item."""
        if self._texts:
            text = "".join(self._texts)
            yield "reasoning_summary_text.done", {**self._at, "text": text}
            yield "reasoning_summary_part.done", {**self._at, "part": _summary(text)}
        yield from super().closed(status)


class CallItem(_Item):
    """A call of a function, by the name and the namespace that the client gave it."""

    prefix = "fc"

    def __init__(self, index: int, stem: str, call: ev.ToolStarted, names: Namespaces) -> None:
        super().__init__(index, stem)
        self._call = call
        self._names = names
        self._texts: list[str] = []

    def item(self, status: Status) -> dict[str, object]:
        """See _Item."""
        namespace, name = self._names.place(self._call.name)
        out: dict[str, object] = {
            "id": self.id,
            "type": "function_call",
            "status": status,
            "arguments": "".join(self._texts),
            "call_id": self._call.id,
            "name": name,
        }
        if namespace:
            out["namespace"] = namespace
        return out

    def grow(self, text: str) -> Iterator[Said]:
        """Take more arguments."""
        self._texts.append(text)
        yield "function_call_arguments.delta", {**self.place, "delta": text}

    def closed(self, status: Status) -> Iterator[Said]:
        """See _Item. A call without arguments has none: an empty object."""
        if not "".join(self._texts):
            yield from self.grow("{}")
        yield "function_call_arguments.done", {**self.place, "arguments": "".join(self._texts)}
        yield from super().closed(status)


Item = MessageItem | ReasoningItem | CallItem


def _part(kind: str, text: str) -> dict[str, object]:
    if kind == "refusal":
        return {"type": "refusal", "refusal": text}
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _summary(text: str) -> dict[str, object]:
    return {"type": "summary_text", "text": text}
