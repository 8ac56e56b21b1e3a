"""Every recorded chat and messages exchange, translated to the other dialect and back.

What both dialects can carry must arrive; the rest must be listed by its path. The check of requests looks at
the client's JSON and at ours, and knows nothing of our readers.
"""

import gzip
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tidegate.model import event as ev
from tidegate.model.errors import Unsupported
from tidegate.model.message import Kept, Part, Refusal, TargetTraits, Text, Thinking, ToolUse
from tidegate.model.provider import UsageRules
from tidegate.model.usage import Usage
from tidegate.wire.body import Body
from tidegate.wire.sse import FrameReader
from tidegate.wire.translate import (
    Asked,
    ChatEvents,
    ChatWriter,
    Fold,
    MessagesEvents,
    MessagesWriter,
    Written,
    fold,
    plain_chat,
    plain_message,
    read_chat,
    read_messages,
    write_chat,
    write_messages,
)
from tidegate.wire.translate.ids import anthropic_id

DATA = Path(os.environ.get("TIDEGATE_DATA", Path(__file__).parents[4] / "shared" / "data"))
TRAFFIC = DATA / "traffic"
DIALECTS = ("openai_chat", "anthropic_messages")
RULES = {"xai": UsageRules(reasoning="outside")}
ABLE = TargetTraits(
    prefill="plain",
    cache_marks=True,
    reasoning_field="reasoning_details",
    efforts=("none", "minimal", "low", "medium", "high", "xhigh", "max"),
)

READ: dict[str, Callable[[Body], Asked]] = {"openai_chat": read_chat, "anthropic_messages": read_messages}
WRITE: dict[str, Callable[..., Written]] = {"openai_chat": write_messages, "anthropic_messages": write_chat}

pytestmark = pytest.mark.skipif(not TRAFFIC.is_dir(), reason="no recorded traffic (TIDEGATE_DATA)")


def exchanges(dialect: str) -> Iterator[dict[str, Any]]:
    """Recorded exchanges that a provider answered."""
    with gzip.open(TRAFFIC / f"{dialect}.jsonl.gz") as lines:
        for line in lines:
            exchange: dict[str, Any] = msgspec.json.decode(line)
            if exchange["reply"]["status"] < 300:
                yield exchange


def requests(dialect: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for exchange in exchanges(dialect):
        body = exchange["request"].get("body")
        if isinstance(body, dict):
            yield exchange["id"], body


# Words that only name a shape, or that have another word of the same meaning (which test_requests holds).
SHAPES = re.compile(
    r"(^|\.)(type|role|model|index|stream|tool_choice|strict|media_type|include_usage|prefix|format|"
    r"parallel_tool_calls|disable_parallel_tool_use|service_tier|reasoning_effort|reasoning\.\w+|n)$"
)


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that is no container, with its path; what is JSON inside a string is read too."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, f"{path}[{index}]")
    elif value is not None and value not in ("", False):
        yield path, value


def is_listed(path: str, listed: tuple[str, ...]) -> bool:
    """Whether a path stands at, below or beside (a tool's wrapper) a path that was listed."""
    return any(path == one or path.startswith((f"{one}.", f"{one}[")) for one in listed)


def words_of(raw: bytes) -> tuple[set[Any], str]:
    """Every value of a body, and its strings in one text to look for parts in."""
    found = [value for _, value in leaves(json.loads(raw))]
    inside: list[Any] = []
    for value in found:
        if isinstance(value, str) and value[:1] in ("{", "["):
            try:
                inside += [inner for _, inner in leaves(json.loads(value))]
            except ValueError:
                continue
    values = found + inside
    return set(values), "\n".join(value for value in values if isinstance(value, str))


def is_there(path: str, value: Any, values: set[Any], text: str) -> bool:
    if value in values:
        return True
    if not isinstance(value, str):
        return False
    if path.endswith("id"):
        return anthropic_id(value) in values
    if value.startswith("data:"):
        return value.partition(",")[2] in values
    if path.endswith("arguments") and value[:1] == "{":
        return all(is_there("", inner, values, text) for _, inner in leaves(json.loads(value)))
    return value in text or not value.strip()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_value_of_a_request_goes_over_or_is_listed(dialect: str) -> None:
    carried, listed, missing = 0, Counter[str](), Counter[str]()
    for ident, asked in requests(dialect):
        body = Body.parse(msgspec.json.encode(asked))
        try:
            written = WRITE[dialect](READ[dialect](body), ABLE, model="m", drop_unsupported=True)
        except Unsupported as error:
            listed[error.param or ""] += 1
            continue
        paths = (*written.dropped, *written.adapted)
        values, text = words_of(written.body)
        for path, value in leaves(asked):
            if is_listed(path, paths):
                listed[re.sub(r"\d+", "#", path)] += 1
            elif SHAPES.search(path):
                continue
            elif is_there(path, value, values, text):
                carried += 1
            else:
                missing[f"{ident} {path} {str(value)[:60]!r}"] += 1
    print(f"\n{dialect}: {carried} values carried, {listed.total()} listed: {listed.most_common(12)}")
    assert not missing
    assert carried > {"openai_chat": 7_500, "anthropic_messages": 6_000}[dialect]
    assert listed.total() < carried / 5


def refusal(read: Asked, write: Callable[..., Written]) -> tuple[str, str]:
    """The path and the words of a refusal; empty where the request is taken whole."""
    try:
        written = write(read, ABLE, model="m")
    except Unsupported as error:
        return error.param or "", error.message
    assert not written.dropped
    return "", ""


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_request_is_taken_whole_or_refused_by_name(dialect: str) -> None:
    taken, refused = 0, Counter[str]()
    for ident, asked in requests(dialect):
        read = READ[dialect](Body.parse(msgspec.json.encode(asked)))
        param, message = refusal(read, WRITE[dialect])
        if message:
            assert param, ident
            assert param in message, ident
            refused[re.sub(r"\d+", "#", param)] += 1
        else:
            taken += 1
    print(f"\n{dialect}: {taken} taken, {refused.total()} refused: {refused.most_common(12)}")
    assert taken / (taken + refused.total()) > {"openai_chat": 0.8, "anthropic_messages": 0.88}[dialect]


def lasting(raw: bytes) -> dict[str, Any]:
    """A body without its wish for thinking and for sampling, and with one text for what was said.

    Words and tokens of thinking are only near each other; chat has no blocks within a turn; and OpenAI's
    strict mode takes fewer schemas.
    """
    body: dict[str, Any] = json.loads(raw)
    body.get("output_config", {}).pop("effort", None)
    for tool in body.get("tools", ()):
        tool.get("function", tool).pop("strict", None)
    for message in body["messages"]:
        content = message["content"]
        if isinstance(content, str) and not content.strip():
            message["content"] = None  # Anthropic takes no white space alone
        elif message["role"] == "assistant" and isinstance(content, list):
            texts = "".join(block["text"] for block in content if block["type"] == "text")
            rest = [block for block in content if block["type"] != "text"]
            message["content"] = [texts, *rest] if rest else texts
        for block in content if isinstance(content, list) else ():
            if block.get("title") == "document.pdf":  # OpenAI wants a name, and gets this one
                del block["title"]
    return {
        name: value
        for name, value in body.items()
        if name not in ("thinking", "reasoning_effort", "temperature", "top_p") and value != {}
    }


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_request_that_went_over_comes_back(dialect: str) -> None:
    back = {"openai_chat": (read_messages, write_chat), "anthropic_messages": (read_chat, write_messages)}
    read_other, write_own = back[dialect]
    turns = 0
    for ident, asked in requests(dialect):
        first = READ[dialect](Body.parse(msgspec.json.encode(asked)))
        try:
            there = WRITE[dialect](first, ABLE, model="m", drop_unsupported=True)
        except Unsupported:
            continue
        second = read_other(Body.parse(there.body))
        assert not second.lost, ident
        again = write_own(second, ABLE, model="m", drop_unsupported=True)
        assert not again.dropped, ident
        third = READ[dialect](Body.parse(again.body))
        there_again = WRITE[dialect](third, ABLE, model="m")
        assert lasting(there_again.body) == lasting(there.body), ident
        turns += len(second.conversation.messages)
    assert turns > {"openai_chat": 2_000, "anthropic_messages": 1_000}[dialect]


def events_of(dialect: str, exchange: dict[str, Any]) -> tuple[list[ev.Event], list[str]]:
    reader: ChatEvents | MessagesEvents = MessagesEvents()
    if dialect == "openai_chat":
        reader = ChatEvents(RULES.get(exchange["provider"], UsageRules()))
    raw = exchange["reply"]["body_text"].encode()
    events = streamed(reader, raw) if exchange["stream"] else reader.plain(raw)
    return events, reader.lost


def streamed(reader: ChatEvents | MessagesEvents, raw: bytes) -> list[ev.Event]:
    frames = FrameReader().feed(raw + b"\n\n")
    found = [event for frame in frames if frame.data for event in reader.event(frame.event, frame.data)]
    return found + reader.close()


def through(dialect: str, events: list[ev.Event]) -> tuple[ev.Reply, ev.Reply]:
    """The reply as a client of the other dialect reads it: from a stream, and from a plain reply."""
    writer: ChatWriter | MessagesWriter
    if dialect == "openai_chat":
        writer, plain = MessagesWriter(), plain_message(fold(events))
        readers: list[ChatEvents | MessagesEvents] = [MessagesEvents(), MessagesEvents()]
    else:
        writer = ChatWriter(created_s=1, asks_usage=True)
        plain = plain_chat(fold(events), created_s=1)
        readers = [ChatEvents(UsageRules()), ChatEvents(UsageRules())]
    raw = b"".join(writer.event(event) for event in events)
    return fold(streamed(readers[0], raw)), fold(readers[1].plain(plain))


def spoken(parts: tuple[Part, ...]) -> dict[str, Any]:
    """What both dialects can carry of an answer: its text, its thoughts and its calls, each in order."""
    return {
        "text": "".join(part.text for part in parts if isinstance(part, Text | Refusal)),
        "thinking": "".join(part.text for part in parts if isinstance(part, Thinking)),
        "calls": [
            (part.id, part.name, part.arguments.strip()) for part in parts if isinstance(part, ToolUse)
        ],
    }


def counted(reply: ev.Reply) -> tuple[int, ...]:
    """The buckets that both dialects have: Anthropic counts audio and images as plain input and output."""
    usage = reply.usage.usage if reply.usage is not None else Usage()
    plain = (usage.input_uncached or 0) + (usage.input_audio or 0) + (usage.input_image or 0)
    written = (usage.cache_write_5m or 0) + (usage.cache_write_1h or 0)
    text = (usage.output_text or 0) + (usage.output_audio or 0)
    return plain, usage.cache_read or 0, written, text, usage.reasoning or 0


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_reply_goes_over_streamed_and_plain(dialect: str) -> None:
    # traps M1, S9, S10
    seen: Counter[str] = Counter()
    for exchange in exchanges(dialect):
        if not exchange["reply"].get("body_text"):
            continue
        events, lost = events_of(dialect, exchange)
        reply = fold(events)
        seen.update(f"lost {name}" for name in lost)
        if not reply.whole:
            assert reply.error is not None, exchange["id"]
            seen["failed"] += 1
            continue
        for other in through(dialect, events):
            assert other.whole, exchange["id"]
            assert (other.id, other.model) == (reply.id, reply.model), exchange["id"]
            assert spoken(other.parts) == spoken(reply.parts), exchange["id"]
            assert counted(other) == counted(reply), exchange["id"]
            assert other.finish is not None
            assert reply.finish is not None
            if reply.finish.reason != "pause":  # which must not look whole
                assert other.finish.reason == reply.finish.reason, exchange["id"]
        seen["whole"] += 1
        seen["calls"] += len(spoken(reply.parts)["calls"])
    print(f"\n{dialect}: {seen}")
    assert seen["whole"] > {"openai_chat": 1_400, "anthropic_messages": 790}[dialect]
    assert seen["calls"] > {"openai_chat": 350, "anthropic_messages": 200}[dialect]
    assert seen["failed"] < 5


def test_signed_thinking_is_kept_for_the_calls_it_led_to() -> None:
    # trap S11
    signatures = 0
    for exchange in exchanges("anthropic_messages"):
        events, _ = events_of("anthropic_messages", exchange)
        folding = Fold()
        for event in events:
            folding.event(event)
        reply = folding.reply()
        kept = [one for parts in folding.kept().values() for one in parts]
        calls = [part for part in reply.parts if isinstance(part, ToolUse)]
        if not calls:
            assert not kept
            continue
        last = max(index for index, part in enumerate(reply.parts) if isinstance(part, ToolUse))
        wanted: list[Kept] = [
            part for part in reply.parts[:last] if isinstance(part, Thinking) and part.signature
        ]
        assert [one for one in kept if isinstance(one, Thinking)] == wanted, exchange["id"]
        signatures += len(wanted)
    assert signatures > 10
