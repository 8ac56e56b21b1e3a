"""The fold of events: a whole reply, and the thinking to keep for a client that cannot carry it."""

from collections.abc import Iterable
from typing import assert_never

from tidegate.model import event as ev
from tidegate.model.message import (
    Kept,
    Opaque,
    Part,
    RedactedThinking,
    Refusal,
    Text,
    Thinking,
    ToolUse,
)
from tidegate.model.reply import ErrorFacts
from tidegate.model.usage import UsageReport


class Fold:
    """Takes events one by one; `reply()` is what they add up to so far."""

    def __init__(self) -> None:
        self._started = ev.Started("", "")
        self._blocks: list[_Block] = []
        self._calls: dict[int, _Block] = {}
        self._finish: ev.Finished | None = None
        self._usage: UsageReport | None = None
        self._error: ErrorFacts | None = None
        self._whole = False

    def event(self, event: ev.Event) -> None:
        """Take one event."""
        match event:
            case ev.ToolStarted():
                self._calls[event.call] = block = _Block("tool", tool=event)
                self._blocks.append(block)
            case ev.ToolArguments(call, text):
                if call in self._calls:
                    self._calls[call].texts.append(text)
            case ev.BlockEnded(call):
                if call is None and self._blocks:
                    self._blocks[-1].is_open = False
            case (
                ev.TextDelta()
                | ev.ThinkingDelta()
                | ev.ThinkingSignature()
                | ev.RedactedThinkingSeen()
                | ev.RefusalDelta()
            ):
                self._spoken(event)
            case _:
                self._side(event)

    def reply(self) -> ev.Reply:
        """Return the reply so far."""
        return ev.Reply(
            id=self._started.id,
            model=self._started.model,
            parts=tuple(block.part() for block in self._blocks),
            finish=self._finish,
            usage=self._usage,
            error=self._error,
            whole=self._whole,
        )

    def kept(self) -> dict[str, tuple[Kept, ...]]:
        """Return, by tool-call id, what must come back with the call and chat cannot carry (trap S11)."""
        found: dict[str, tuple[Kept, ...]] = {}
        waiting: list[Kept] = []
        for block in self._blocks:
            part = block.part()
            if isinstance(part, Thinking | RedactedThinking):
                if not isinstance(part, Thinking) or part.signature:
                    waiting.append(part)
            elif isinstance(part, ToolUse):
                extra = block.extra()
                kept = (*waiting, extra) if extra is not None else tuple(waiting)
                if kept:
                    found[part.id] = kept
                waiting = []
        return found

    def _spoken(
        self,
        event: ev.TextDelta
        | ev.ThinkingDelta
        | ev.ThinkingSignature
        | ev.RedactedThinkingSeen
        | ev.RefusalDelta,
    ) -> None:
        match event:
            case ev.TextDelta(text):
                self._open("text").texts.append(text)
            case ev.ThinkingDelta(text):
                self._open("thinking").texts.append(text)
            case ev.ThinkingSignature(signature):
                self._open("thinking").signature += signature
            case ev.RedactedThinkingSeen(data):
                self._blocks.append(_Block("redacted", data))
            case ev.RefusalDelta(text):
                self._open("refusal").texts.append(text)
            case _:
                assert_never(event)

    def _side(self, event: ev.Started | ev.UsageSeen | ev.Finished | ev.Failed | ev.Ended | ev.Ping) -> None:
        match event:
            case ev.Started():
                self._started = event
            case ev.UsageSeen(report):
                self._usage = report
            case ev.Finished():
                self._finish = event
            case ev.Failed(error):
                self._error = error
            case ev.Ended():
                self._whole = self._error is None
            case ev.Ping():
                pass
            case _:
                assert_never(event)

    def _open(self, kind: str) -> "_Block":
        """Return the block that grows, a new one where the last is of another kind or ended."""
        last = self._blocks[-1] if self._blocks else None
        if last is None or last.kind != kind or not last.is_open:
            last = _Block(kind)
            self._blocks.append(last)
        return last


class _Block:
    """One block that grows."""

    __slots__ = ("is_open", "kind", "signature", "texts", "tool")

    def __init__(self, kind: str, text: str = "", tool: ev.ToolStarted | None = None) -> None:
        self.kind = kind
        self.texts = [text] if text else []
        self.signature = ""
        self.tool = tool
        self.is_open = kind != "redacted"

    def part(self) -> Part:
        text = "".join(self.texts)
        if self.tool is not None:
            return ToolUse(id=self.tool.id, name=self.tool.name, arguments=text or "{}")
        match self.kind:
            case "thinking":
                return Thinking(text=text, signature=self.signature)
            case "redacted":
                return RedactedThinking(data=text)
            case "refusal":
                return Refusal(text=text)
            case _:
                return Text(text=text)

    def extra(self) -> Opaque | None:
        tool = self.tool
        return Opaque(name=tool.extra_name, raw=tool.extra) if tool is not None and tool.extra_name else None


def fold(events: Iterable[ev.Event]) -> ev.Reply:
    """Return the reply that events add up to."""
    folding = Fold()
    for event in events:
        folding.event(event)
    return folding.reply()
