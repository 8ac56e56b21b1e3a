"""The output of a Responses reply: which item an event belongs to, and when an item is done."""

from collections.abc import Generator, Iterator
from typing import assert_never

from tidegate.model import event as ev
from tidegate.wire.translate.finish import TO_RESPONSES
from tidegate.wire.translate.namespaces import Namespaces
from tidegate.wire.translate.responses_items import (
    CallItem,
    Item,
    MessageItem,
    ReasoningItem,
    Said,
    Status,
)

Content = (
    ev.TextDelta
    | ev.RefusalDelta
    | ev.ThinkingDelta
    | ev.ThinkingSignature
    | ev.RedactedThinkingSeen
    | ev.ToolStarted
    | ev.ToolArguments
    | ev.BlockEnded
)
"""The events that make up items."""


class Output:
    """Takes the events of content. `spoke` and `refused` say what was seen so far.

    The last item is done only when another begins or the reply ends: not before is it known whether it was
    cut. Calls may grow in turns; one that has ended is done as soon as it is not the last item.
    """

    def __init__(self, stem: str, names: Namespaces) -> None:
        self.spoke = False
        self.refused = False
        self._stem = stem
        self._names = names
        self._done: dict[int, dict[str, object]] = {}
        self._open: dict[int, Item] = {}
        self._last: Item | None = None
        self._calls: dict[int, CallItem] = {}
        self._next = 0

    def event(self, event: Content) -> Iterator[Said]:
        """Yield what the stream says of one event."""
        match event:
            case ev.TextDelta(text):
                self.spoke = True
                message = yield from self._message()
                yield from message.grow("output_text", text)
            case ev.RefusalDelta(text):
                self.refused = True
                message = yield from self._message()
                yield from message.grow("refusal", text)
            case ev.ToolArguments(call, text):
                if call in self._calls:
                    yield from self._calls[call].grow(text)
            case ev.ToolStarted():
                self.spoke = True
                self._calls[event.call] = item = CallItem(self._next, self._stem, event, self._names)
                yield from self._begin(item)
            case ev.BlockEnded(call):
                yield from self._block_ended(call)
            case _:
                yield from self._thought(event)

    def explain(self, text: str) -> Iterator[Said]:
        """Yield the explanation of a refusal, which is no event of content."""
        message = yield from self._message()
        yield from message.grow("refusal", text)

    def items(self) -> list[dict[str, object]]:
        """Return the items, those that are not done as incomplete."""
        left = {index: item.item("incomplete") for index, item in self._open.items()}
        found = self._done | left
        return [found[index] for index in sorted(found)]

    def end(self, last: Status) -> Iterator[Said]:
        """Yield the ends of all that is open; the last item has the status `last`."""
        for item in list(self._open.values()):
            yield from self._close(item, last if item is self._last else "completed")

    def _thought(
        self, event: ev.ThinkingDelta | ev.ThinkingSignature | ev.RedactedThinkingSeen
    ) -> Iterator[Said]:
        match event:
            case ev.ThinkingDelta(text):
                reasoning = yield from self._reasoning()
                yield from reasoning.grow(text)
            case ev.ThinkingSignature(signature):
                reasoning = yield from self._reasoning()
                reasoning.sign(signature)
            case ev.RedactedThinkingSeen(data):
                redacted = ReasoningItem(self._next, self._stem, data)
                redacted.is_ended = True
                yield from self._begin(redacted)
            case _:
                assert_never(event)

    def _message(self) -> Generator[Said, None, MessageItem]:
        """Return the message that grows, a new one where the last item is none."""
        if isinstance(self._last, MessageItem):
            return self._last
        item = MessageItem(self._next, self._stem)
        yield from self._begin(item)
        return item

    def _reasoning(self) -> Generator[Said, None, ReasoningItem]:
        """Return the thinking that grows, a new one where the last item is none or has ended."""
        if isinstance(self._last, ReasoningItem) and not self._last.is_ended:
            return self._last
        item = ReasoningItem(self._next, self._stem)
        yield from self._begin(item)
        return item

    def _begin(self, item: Item) -> Iterator[Said]:
        last = self._last
        if (
            last is not None
            and last.index in self._open
            and (last.is_ended or not isinstance(last, CallItem))
        ):
            yield from self._close(last, "completed")
        self._next += 1
        self._last = self._open[item.index] = item
        yield from item.opened()

    def _block_ended(self, call: int | None) -> Iterator[Said]:
        if call is not None:
            item = self._calls.pop(call, None)
            if item is not None:
                item.is_ended = True
                if item is not self._last:
                    yield from self._close(item, "completed")
        elif isinstance(self._last, MessageItem):
            yield from self._last.end_part()
        elif isinstance(self._last, ReasoningItem):
            self._last.is_ended = True

    def _close(self, item: Item, status: Status) -> Iterator[Said]:
        del self._open[item.index]
        yield from item.closed(status)
        self._done[item.index] = item.item(status)


def cut_by(output: Output, finish: ev.Finished) -> str:
    """Return what cut an answer short; empty where nothing did.

    Who refused in words, or with an explanation and nothing else, has answered.
    """
    if finish.reason == "refusal" and (output.refused or (finish.explanation and not output.spoke)):
        return ""
    return TO_RESPONSES[finish.reason]


def ended(output: Output, finish: ev.Finished) -> Iterator[Said]:
    """Yield the end of the output, a refusal's explanation before it where no event gave one."""
    reason = cut_by(output, finish)
    if finish.explanation and not output.refused:
        yield from output.explain(finish.explanation)
    yield from output.end("incomplete" if reason else "completed")
