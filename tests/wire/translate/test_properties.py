"""What holds for every conversation and every reply, however odd."""

import json
import re
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.model import event as ev
from tidegate.model.errors import TidegateError
from tidegate.model.message import (
    NOTHING,
    Conversation,
    Message,
    Part,
    TargetTraits,
    Text,
    Thinking,
    Tool,
    ToolResult,
    ToolUse,
)
from tidegate.model.provider import UsageRules
from tidegate.model.usage import Usage, UsageReport
from tidegate.wire.body import Body
from tidegate.wire.sse import FrameReader
from tidegate.wire.translate import (
    Asked,
    ChatEvents,
    ChatWriter,
    MessagesEvents,
    MessagesWriter,
    fold,
    plain_chat,
    plain_message,
    read_chat,
    read_messages,
    write_chat,
    write_messages,
)
from tidegate.wire.translate.ids import anthropic_id, nine, plain_id

ABLE = TargetTraits(prefill="plain", top_k=True)
WORDS = st.text(min_size=1, max_size=12).filter(lambda text: bool(text.strip()))
IDS = st.text(alphabet="abcXYZ019_-:.| é", min_size=1, max_size=14)
NAMES = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
ARGUMENTS = st.dictionaries(WORDS, st.integers() | WORDS | st.none(), max_size=3).map(json.dumps)


@given(IDS | st.text(max_size=20) | IDS.map(anthropic_id))
def test_an_id_goes_over_and_comes_back(ident: str) -> None:
    there = anthropic_id(ident)
    if ident:
        assert re.fullmatch(r"[a-zA-Z0-9_-]+", there)
    assert plain_id(there) == ident
    assert anthropic_id(plain_id(ident)) == ident or not ident.startswith("tgid_")


@given(IDS, IDS)
def test_short_ids_tell_calls_apart(one: str, other: str) -> None:
    assert re.fullmatch(r"[a-zA-Z0-9]{9}", nine(one))
    assert nine(nine(one)) == nine(one)
    assert (nine(one) == nine(other)) == (one == other)


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    """A conversation that both dialects can say: turns in turn, and every call answered."""
    turns: list[Message] = []
    for _ in range(draw(st.integers(1, 4))):
        texts = [Text(text=text) for text in draw(st.lists(WORDS, min_size=1, max_size=3))]
        turns.append(Message(role="user", parts=tuple(texts)))
        calls = [
            ToolUse(id=ident, name=draw(NAMES), arguments=draw(ARGUMENTS))
            for ident in draw(st.lists(IDS, max_size=3, unique=True))
        ]
        said = [Text(text=draw(WORDS))] if draw(st.booleans()) or not calls else []
        turns.append(Message(role="assistant", parts=(*said, *calls)))
        results = [ToolResult(id=call.id, parts=(Text(text=draw(WORDS)),)) for call in calls]
        if results:
            turns.append(Message(role="user", parts=tuple(results)))
            turns.append(Message(role="assistant", parts=(Text(text=draw(WORDS)),)))
    turns.append(Message(role="user", parts=(Text(text=draw(WORDS)),)))
    return Conversation(
        model="m",
        system=tuple(Text(text=text) for text in draw(st.lists(WORDS, max_size=2))),
        messages=tuple(turns),
        tools=tuple(
            Tool(name=name, description=draw(st.just("") | WORDS), schema=msgspec.Raw(b'{"type":"object"}'))
            for name in draw(st.lists(NAMES, max_size=2, unique=True))
        ),
        max_output=draw(st.integers(1, 100_000)),
        temperature=draw(st.none() | st.floats(0, 1)),
        top_p=draw(st.none() | st.floats(0, 1)),
        top_k=draw(st.none() | st.integers(1, 99)),
        stop=tuple(draw(st.lists(WORDS, max_size=2))),
        stream=draw(st.booleans()),
        user=draw(st.just("") | WORDS),
    )


def bare(part: Part) -> Part:
    """A part without where it was read, its arguments and results as values."""
    if isinstance(part, ToolResult):
        inner = tuple(msgspec.structs.replace(one, at="") for one in part.parts)
        return msgspec.structs.replace(part, at="", parts=inner)
    if isinstance(part, ToolUse):
        return msgspec.structs.replace(part, at="", arguments=json.dumps(json.loads(part.arguments)))
    return msgspec.structs.replace(part, at="")


def normal(conversation: Conversation) -> dict[str, Any]:
    """A conversation as values: turns of one role are one, and paths are left out."""
    turns: list[tuple[str, list[Part]]] = []
    for message in conversation.messages:
        if not turns or turns[-1][0] != message.role:
            turns.append((message.role, []))
        turns[-1][1].extend(bare(part) for part in message.parts)
    fields = {name: getattr(conversation, name) for name in conversation.__struct_fields__}
    tools = [
        (tool.name, tool.description, json.loads(bytes(tool.schema)) if tool.schema != NOTHING else {})
        for tool in conversation.tools
    ]
    system = [text.text for text in conversation.system]
    return fields | {"messages": turns, "system": system, "tools": tools, "asks_usage": None}


@given(conversations())
@settings(deadline=None)
def test_a_conversation_survives_both_dialects(conversation: Conversation) -> None:
    asked = Asked(conversation=conversation)
    there = write_messages(asked, ABLE, model="m")
    middle = read_messages(Body.parse(there.body))
    assert not middle.lost
    back = read_chat(Body.parse(write_chat(middle, ABLE, model="m").body))
    assert not back.lost
    assert not there.dropped
    assert normal(back.conversation) == normal(conversation)


@st.composite
def replies(draw: st.DrawFn) -> list[ev.Event]:
    """The events of a whole reply, its arguments and texts cut anywhere."""
    events: list[ev.Event] = [ev.Started(draw(NAMES), draw(NAMES))]
    events += [ev.ThinkingDelta(text) for text in draw(st.lists(WORDS, max_size=2))]
    events += [ev.TextDelta(text) for text in draw(st.lists(st.text(min_size=1, max_size=9), max_size=4))]
    idents = draw(st.lists(IDS, max_size=3, unique=True))
    for call, ident in enumerate(idents):
        arguments = draw(ARGUMENTS)
        at = draw(st.integers(0, len(arguments)))
        events.append(ev.ToolStarted(call, ident, draw(NAMES)))
        events += [ev.ToolArguments(call, piece) for piece in (arguments[:at], arguments[at:]) if piece]
        events.append(ev.BlockEnded(call))
    usage = Usage(
        input_uncached=draw(st.integers(0, 999)),
        cache_read=draw(st.integers(0, 99)),
        cache_write_5m=draw(st.integers(0, 99)),
        cache_write_1h=draw(st.integers(0, 99)),
        output_text=draw(st.integers(0, 999)),
        reasoning=draw(st.integers(0, 99)),
    )
    events.append(ev.UsageSeen(UsageReport(usage=usage, rule="any")))
    finish: Any = "tool" if idents else draw(st.sampled_from(["stop", "length"]))
    return [*events, ev.Finished(finish), ev.Ended()]


def spoken(reply: ev.Reply) -> tuple[Any, ...]:
    return (
        reply.id,
        reply.model,
        "".join(part.text for part in reply.parts if isinstance(part, Text)),
        "".join(part.text for part in reply.parts if isinstance(part, Thinking)),
        [
            (part.id, part.name, json.loads(part.arguments))
            for part in reply.parts
            if isinstance(part, ToolUse)
        ],
        reply.finish,
        reply.usage.usage if reply.usage is not None else None,
        reply.whole,
    )


@given(replies(), st.booleans())
@settings(deadline=None)
def test_a_reply_survives_both_dialects_streamed_and_plain(events: list[ev.Event], by_chat: bool) -> None:
    # trap M1
    writer = ChatWriter(created_s=1, asks_usage=True) if by_chat else MessagesWriter()
    reader = ChatEvents(UsageRules()) if by_chat else MessagesEvents()
    raw = b"".join(writer.event(event) for event in events)
    read = [event for frame in FrameReader().feed(raw) for event in reader.event(frame.event, frame.data)]
    whole = fold(events)
    assert spoken(fold(read)) == spoken(whole)
    again = ChatEvents(UsageRules()) if by_chat else MessagesEvents()
    plain = plain_chat(whole, created_s=1) if by_chat else plain_message(whole)
    assert spoken(fold(again.plain(plain))) == spoken(whole)


@given(replies())
@settings(deadline=None)
def test_blocks_of_a_messages_stream_open_and_close_in_order(events: list[ev.Event]) -> None:
    writer = MessagesWriter()
    raw = b"".join(writer.event(event) for event in events)
    frames = [json.loads(frame.data) for frame in FrameReader().feed(raw)]
    kinds = [frame["type"] for frame in frames]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    blocks = [frame for frame in frames if frame["type"].startswith("content_block")]
    opened, closed = -1, -1
    for block in blocks:
        match block["type"]:
            case "content_block_start":
                assert block["index"] == opened + 1 == closed + 1
                opened = block["index"]
            case "content_block_stop":
                assert block["index"] == opened == closed + 1
                closed = opened
            case _:
                assert block["index"] == opened == closed + 1
    assert opened == closed


FIELDS = st.sampled_from(
    [
        *(
            "role",
            "content",
            "type",
            "text",
            "tool_calls",
            "function",
            "name",
            "arguments",
            "id",
            "image_url",
        ),
        *("url", "messages", "tools", "system", "thinking", "signature", "input", "tool_use_id", "source"),
        *("user", "assistant", "tool_use", "tool_result", "base64", "data", "delta", "choices", "index"),
        *("content_block", "message", "usage", "finish_reason", "reasoning_details", "extra", "citations"),
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | FIELDS | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=5),
    max_leaves=24,
)


@given(st.lists(st.dictionaries(FIELDS, JSON, max_size=5), min_size=1, max_size=3), JSON, JSON)
@settings(deadline=None)
def test_an_odd_request_is_refused_in_our_own_words(messages: list[Any], tools: Any, system: Any) -> None:
    for message in messages:
        message.setdefault("role", "user")
    fields = {"model": "m", "messages": messages, "tools": tools, "system": system}
    body = Body.parse(msgspec.json.encode(fields))
    for read, write in ((read_chat, write_messages), (read_messages, write_chat)):
        try:
            written = write(read(body), ABLE, model="m", drop_unsupported=True)
        except TidegateError as error:
            assert error.param is not None  # noqa: PT017  # what else it raises fails the test
        else:
            Body.parse(written.body)


@given(st.lists(JSON | st.dictionaries(FIELDS, JSON, max_size=6), max_size=4), st.booleans())
@settings(deadline=None)
def test_an_odd_stream_raises_nothing(values: list[Any], by_chat: bool) -> None:
    # trap S5
    reader = ChatEvents(UsageRules()) if by_chat else MessagesEvents()
    writer = MessagesWriter() if by_chat else ChatWriter(created_s=1, asks_usage=True)
    events = [event for value in values for event in reader.event(b"", msgspec.json.encode(value))]
    for event in [*events, *reader.close()]:
        writer.event(event)
    for value in values:
        again = ChatEvents(UsageRules()) if by_chat else MessagesEvents()
        reply = fold(again.plain(msgspec.json.encode(value)))
        assert plain_chat(reply, created_s=1)
        assert plain_message(reply)
