"""What real providers sent: the recorded exchanges of DIR/traffic, as pieces in the order they came.

Chat and Messages are read by the house's codecs. The other dialects have no reader of text yet; theirs is
taken from the fields that hold text, wherever they stand. Binary event streams are left out and counted.
"""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from benchmarks.early_stop.pieces import Piece
from tidegate.model import event as ev
from tidegate.model.provider import UsageRules
from tidegate.wire.sse import FrameReader
from tidegate.wire.translate.chat_events_read import ChatEvents
from tidegate.wire.translate.messages_events_read import MessagesEvents

CHAT = ("openai_chat", "mistral_agents", "mistral_fim")
MESSAGES = ("anthropic_messages", "vertex_anthropic")
OTHERS = (
    *("openai_responses", "openai_completions", "gemini", "gemini_interactions", "ollama"),
    *("cohere_chat", "bedrock_converse", "bedrock_invoke"),
)
DIALECTS = (*CHAT, *MESSAGES, *OTHERS)

_TEXT = ("text", "content", "thinking", "reasoning", "refusal", "response", "generation", "outputText")
_ARGUMENTS = ("arguments", "partial_json", "args", "input")
_NO_TEXT = ("citations", "sources", "annotations", "logprobs", "usage", "error", "instructions", "tools")


class Recorded(NamedTuple):
    """One exchange that has text: its id and dialect, whether it was streamed, and its pieces."""

    id: str
    dialect: str
    stream: bool
    pieces: list[Piece]


def recorded(folder: Path) -> Iterator[Recorded]:
    """Every exchange with an answer; `pieces` is empty where none could be read."""
    for dialect in DIALECTS:
        path = folder / f"{dialect}.jsonl.gz"
        if not path.is_file():
            continue
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                exchange = json.loads(line)
                reply = exchange["reply"]
                if reply["status"] < 300:
                    stream = bool(exchange["stream"])
                    yield Recorded(
                        exchange["id"], dialect, stream, list(_read(dialect, reply, stream=stream))
                    )


def _read(dialect: str, reply: dict[str, Any], *, stream: bool) -> Iterator[Piece]:
    text = reply.get("body_text")
    if not text:
        return
    if dialect in OTHERS:
        for payload in _payloads(text, stream=stream):
            yield from (
                _response_event(payload) if stream and dialect == "openai_responses" else _walk(payload)
            )
        return
    codec = MessagesEvents() if dialect in MESSAGES else ChatEvents(UsageRules())
    if not stream:
        yield from _events(codec.plain(text.encode()))
        return
    for frame in FrameReader(1 << 24).feed(text.encode() + b"\n\n"):
        yield from _events(codec.event(frame.event, frame.data))
    yield from _events(codec.close())


def _events(events: list[ev.Event]) -> Iterator[Piece]:
    for event in events:
        match event:
            case ev.TextDelta(text) | ev.ThinkingDelta(text) | ev.RefusalDelta(text):
                yield Piece("text", text)
            case ev.ToolStarted():
                yield Piece("call")
            case ev.ToolArguments(_, text):
                yield Piece("arguments", text)
            case _:
                pass


def _payloads(text: str, *, stream: bool) -> Iterator[Any]:
    """The JSON values of a reply: of its one body, of its SSE events or of its lines."""
    parts: list[bytes | str] = [text]
    if stream and text.lstrip().startswith(("data:", "event:", "id:", ":")):
        parts = [frame.data for frame in FrameReader(1 << 24).feed(text.encode() + b"\n\n")]
    elif stream and not text.lstrip().startswith("["):
        parts = list(text.splitlines())
    for part in parts:
        try:
            yield msgspec.json.decode(part)
        except ValueError:
            continue


def _response_event(event: Any) -> Iterator[Piece]:
    """A Responses event: its last ones say the whole text again, so only deltas are read."""
    kind = str(event.get("type", ""))
    if kind == "response.output_item.added" and "call" in str(event.get("item", {}).get("type")):
        yield Piece("call")
    elif kind.endswith(".delta") and isinstance(event.get("delta"), str) and "audio" not in kind:
        yield Piece("arguments" if "arguments" in kind or "input" in kind else "text", event["delta"])


def _walk(value: Any) -> Iterator[Piece]:
    if isinstance(value, list):
        for inner in value:
            yield from _walk(inner)
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name in _ARGUMENTS and isinstance(inner, dict):
                yield from (Piece("call"), Piece("arguments", json.dumps(inner)))
            elif name in _ARGUMENTS and isinstance(inner, str):
                yield Piece("arguments", inner)
            elif name in _TEXT and isinstance(inner, str):
                yield Piece("text", inner)
            elif name not in _NO_TEXT:
                yield from _walk(inner)
