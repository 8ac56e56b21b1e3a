"""Golden files of our own, by direction: requests (.json) and streams (.read.sse, .written.sse).

What a client of Responses is given (`*_to_responses`) is written from the streams of the other directions.
"""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tidegate.model import event as ev
from tidegate.model.message import TargetTraits
from tidegate.model.provider import UsageRules
from tidegate.wire.body import Body
from tidegate.wire.sse import FrameReader
from tidegate.wire.translate import (
    ChatEvents,
    ChatWriter,
    MessagesEvents,
    MessagesWriter,
    ResponsesWriter,
    echo_of,
    fold,
    plain_chat,
    plain_message,
    plain_response,
    read_chat,
    read_messages,
    read_responses,
    write_chat,
    write_messages,
)

GOLDEN = Path(__file__).parent / "golden"
TO_MESSAGES = GOLDEN / "chat_to_messages"
REQUESTS = sorted(GOLDEN.glob("*/*.json"))
READERS = {"chat": read_chat, "messages": read_messages, "responses": read_responses}
WRITERS = {"chat": write_chat, "messages": write_messages}
SOURCES = {"chat_to_responses": TO_MESSAGES, "messages_to_responses": GOLDEN / "messages_to_chat"}
RESPONSES = sorted(path for folder in SOURCES for path in (GOLDEN / folder).glob("*.written.sse"))
ASKED = Body.parse(
    b'{"model":"m","input":"Hi","instructions":"Be brief.","metadata":{"team":"a"},"store":false,'
    b'"tools":[{"type":"function","name":"get_weather","parameters":{"type":"object"},"strict":false}]}'
)
STREAMS = sorted(GOLDEN.glob("*/*.read.sse"))
BROKEN = {"cut", "error"}


def name(path: Path) -> str:
    return f"{path.parent.name}/{path.name.partition('.')[0]}"


@pytest.mark.parametrize("path", REQUESTS, ids=name)
def test_a_request_is_said_in_the_other_dialect(path: Path) -> None:
    # traps K5, K6, K15, K16
    case: dict[str, Any] = json.loads(path.read_bytes())
    traits = msgspec.convert(case["traits"], TargetTraits)
    body = Body.parse(msgspec.json.encode(case["asked"]))
    source, _, target = path.parent.name.split("_")
    asked = READERS[source](body)
    written = WRITERS[target](asked, traits, model="target", drop_unsupported=case["drop"])
    assert json.loads(written.body) == case["written"]
    assert list(written.dropped) == case["dropped"]
    assert list(written.adapted) == case["adapted"]


def events_of(path: Path) -> list[ev.Event]:
    reader: ChatEvents | MessagesEvents = MessagesEvents()
    if path.parent == TO_MESSAGES:
        reader = ChatEvents(UsageRules(), fallback_id="req_1")
    frames = FrameReader().feed(path.read_bytes())
    found = [event for frame in frames for event in reader.event(frame.event, frame.data)]
    return found + reader.close()


def writer_of(path: Path) -> ChatWriter | MessagesWriter:
    return MessagesWriter() if path.parent == TO_MESSAGES else ChatWriter(created_s=9, asks_usage=True)


@pytest.mark.parametrize("path", STREAMS, ids=name)
def test_a_stream_is_said_in_the_other_dialect(path: Path) -> None:
    # traps S1, S5, S6, S9, S10, S12
    writer = writer_of(path)
    written = b"".join(writer.event(event) for event in events_of(path))
    assert written.decode() == path.with_name(path.name.replace(".read.", ".written.")).read_text()


@pytest.mark.parametrize(
    "path", [path for path in STREAMS if path.name.partition(".")[0] not in BROKEN], ids=name
)
def test_a_plain_reply_is_the_fold_of_its_stream(path: Path) -> None:
    """What a client reads from the stream it reads from the plain reply too."""
    events = events_of(path)
    reply = fold(events)
    assert reply.whole
    writer = writer_of(path)
    frames = FrameReader().feed(b"".join(writer.event(event) for event in events))
    client: ChatEvents | MessagesEvents
    if path.parent == TO_MESSAGES:
        client, plain = MessagesEvents(), MessagesEvents().plain(plain_message(reply))
    else:
        client = ChatEvents(UsageRules())
        plain = ChatEvents(UsageRules()).plain(plain_chat(reply, created_s=9))
    streamed = [event for frame in frames if frame.data for event in client.event(frame.event, frame.data)]
    assert fold(streamed) == fold(plain)


def said_in_responses(path: Path) -> tuple[list[ev.Event], bytes]:
    """The events of a stream, and what a client of Responses is given of it."""
    events = events_of(SOURCES[path.parent.name] / path.name.replace(".written.", ".read."))
    writer = ResponsesWriter(created_s=9, response_id="resp_1", request=echo_of(ASKED))
    return events, b"".join(writer.event(event) for event in events)


@pytest.mark.parametrize("path", RESPONSES, ids=name)
def test_a_stream_is_said_in_responses(path: Path) -> None:
    # traps S6, S10, S11, S12
    _, written = said_in_responses(path)
    assert written.decode() == path.read_text()


@pytest.mark.parametrize(
    "path", [path for path in RESPONSES if path.name.partition(".")[0] not in BROKEN], ids=name
)
def test_a_plain_response_is_the_last_of_its_stream(path: Path) -> None:
    events, written = said_in_responses(path)
    last = json.loads(FrameReader().feed(written)[-1].data)["response"]
    plain = plain_response(fold(events), created_s=9, response_id="resp_1", request=echo_of(ASKED))
    assert json.loads(plain) == last


def test_streams_that_were_cut_have_no_end() -> None:
    # trap S6
    for folder in ("chat_to_messages", "messages_to_chat"):
        written = (GOLDEN / folder / "cut.written.sse").read_bytes()
        assert b"Half" in written
        assert b"message_stop" not in written
        assert b"[DONE]" not in written
        assert b'finish_reason":"' not in written
    for folder in SOURCES:
        written = (GOLDEN / folder / "cut.written.sse").read_bytes()
        assert b"Half" in written
        assert b"response.completed" not in written
        assert b"output_item.done" not in written
