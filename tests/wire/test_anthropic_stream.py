"""What an Anthropic reply says of itself, streamed and plain."""

import json
from typing import Any

import pytest

from tidegate.model.provider import UsageRules
from tidegate.model.reply import ErrorFacts, ReplyFacts
from tidegate.model.usage import Usage
from tidegate.wire.anthropic_messages import CODEC, COUNT_CODEC
from tidegate.wire.sse import FrameReader

RULES = UsageRules()


def event(kind: str, **fields: Any) -> bytes:
    data = json.dumps({"type": kind, **fields}, ensure_ascii=False)
    return f"event: {kind}\ndata: {data}\n\n".encode()


def delta(kind: str, **fields: Any) -> bytes:
    return event("content_block_delta", index=0, delta={"type": kind, **fields})


def begin(kind: str, **fields: Any) -> bytes:
    return event("content_block_start", index=0, content_block={"type": kind, **fields})


START = event(
    "message_start",
    message={
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-opus-5-20260801",
        "content": [],
        "stop_reason": None,
        "usage": {
            "input_tokens": 12,
            "cache_read_input_tokens": 8,
            "output_tokens": 1,
            "service_tier": "standard",
        },
    },
)
PING = event("ping")
STOP_BLOCK = event("content_block_stop", index=0)
END = event(
    "message_delta", delta={"stop_reason": "tool_use", "stop_sequence": None}, usage={"output_tokens": 30}
)
STOP = event("message_stop")
WHOLE = b"".join(
    (
        START,
        begin("thinking", thinking="", signature=""),
        PING,
        delta("thinking_delta", thinking="So: 漢字. "),
        delta("signature_delta", signature="c2ln"),
        STOP_BLOCK,
        begin("text", text=""),
        delta("text_delta", text="Grüße"),
        STOP_BLOCK,
        begin("tool_use", id="toolu_1", name="look", input={}),
        delta("input_json_delta", partial_json=""),
        delta("input_json_delta", partial_json='{"q":'),
        delta("input_json_delta", partial_json='"x"}'),
        STOP_BLOCK,
        END,
        STOP,
    )
)


def watch(*chunks: bytes) -> ReplyFacts:
    watcher = CODEC.watch_stream(RULES, injected_usage=True)
    reader = FrameReader()
    for chunk in chunks:
        for frame in reader.feed(chunk):
            assert watcher.event(frame.event, frame.data)
    return watcher.facts


def test_a_whole_stream_is_read() -> None:
    facts = watch(WHOLE)
    text = "So: 漢字. " + "Grüße" + '{"q":' + '"x"}'
    assert facts == ReplyFacts(
        model="claude-opus-5-20260801",
        id="msg_1",
        finish="tool_use",
        service_tier="standard",
        usage=facts.usage,
        started=True,
        complete=True,
        text_bytes=len(text.encode()),
        ascii_bytes=len(text) - 4,
        tool_calls=1,
    )
    assert facts.usage is not None
    assert facts.usage.usage == Usage(input_uncached=12, cache_read=8, output_text=30)


def test_cuts_do_not_matter() -> None:
    # trap S4
    whole = watch(WHOLE)
    assert watch(*(WHOLE[i : i + 1] for i in range(len(WHOLE)))) == whole
    assert all(watch(WHOLE[:i], WHOLE[i:]) == whole for i in range(len(WHOLE)))
    assert watch(WHOLE.replace(b"\n", b"\r\n")) == whole


def test_events_without_a_name_are_read_by_their_type() -> None:
    bare = b"".join(line + b"\n" for line in WHOLE.split(b"\n") if not line.startswith(b"event:"))
    assert watch(bare + b"data: [DONE]\n\n") == watch(WHOLE)


@pytest.mark.parametrize(
    "preamble",
    [
        START,
        PING,
        begin("text", text=""),
        begin("thinking", thinking=""),
        delta("signature_delta", signature="x"),
        delta("text_delta", text=""),
        b": comment\n\n",
        STOP_BLOCK,
    ],
)
def test_the_preamble_is_no_content(preamble: bytes) -> None:
    # trap S7
    assert not watch(START, preamble).started


@pytest.mark.parametrize(
    "content",
    [
        delta("text_delta", text="a"),
        delta("thinking_delta", thinking="a"),
        begin("text", text="a"),
        begin("tool_use", id="t", name="n", input={}),
        begin("server_tool_use", id="t", name="web_search", input={}),
        begin("redacted_thinking", data="x"),
    ],
)
def test_the_first_word_or_call_is_content(content: bytes) -> None:
    # trap S7
    assert watch(START, content).started


def test_arguments_that_come_whole_with_the_block_are_counted() -> None:
    # trap S10
    facts = watch(START, begin("tool_use", id="t", name="n", input={"q": "x"}), STOP_BLOCK)
    assert facts.text_bytes == len('{"q": "x"}')
    assert watch(START, begin("tool_use", id="t", name="n", input={}), STOP_BLOCK).text_bytes == 0


@pytest.mark.parametrize("end", range(1, 15))
def test_a_stream_that_stops_early_is_not_complete(end: int) -> None:
    # trap S6
    frames = WHOLE.split(b"\n\n")[:-1]
    facts = watch(*(frame + b"\n\n" for frame in frames[:end]))
    assert not facts.complete
    assert facts.usage is not None
    assert facts.usage.stated_output is None


def test_an_error_after_a_200_is_an_error() -> None:
    # trap S12
    facts = watch(START, event("error", error={"type": "overloaded_error", "message": "Overloaded"}))
    assert facts.error == ErrorFacts(type="overloaded_error", message="Overloaded")
    assert not facts.complete


@pytest.mark.parametrize(
    "bad",
    [
        b"event: content_block_delta\ndata: {oops\n\n",
        b"event: content_block_delta\ndata: {}\n\n",
        b"event: message_start\ndata: []\n\n",
        b"data: nonsense\n\n",
    ],
)
def test_a_malformed_event_is_counted_and_passed_on(bad: bytes) -> None:
    # trap S5
    facts = watch(START, bad, *(WHOLE.removeprefix(START),))
    assert (facts.bad_frames, facts.complete) == (1, True)


def test_events_of_tomorrow_are_not_bad() -> None:
    facts = watch(START, event("content_block_hint", hint=1), delta("novel_delta", novel={"a": 1}))
    assert (facts.bad_frames, facts.started) == (0, False)


MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-opus-5-20260801",
    "content": [
        {"type": "thinking", "thinking": "So: 漢字. ", "signature": "c2ln"},
        {"type": "text", "text": "Grüße"},
        {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"q": "x"}},
    ],
    "stop_reason": "tool_use",
    "usage": {
        "input_tokens": 12,
        "cache_read_input_tokens": 8,
        "output_tokens": 30,
        "service_tier": "standard",
    },
}


def test_a_plain_reply_is_the_fold_of_its_stream() -> None:
    raw = json.dumps(MESSAGE, ensure_ascii=False, separators=(",", ":")).encode()
    assert CODEC.read_reply(raw, RULES) == watch(WHOLE)


@pytest.mark.parametrize("raw", [b"", b"<html>", b"[]", b'{"content": 7}'])
def test_a_plain_reply_of_another_kind_is_counted_as_bad(raw: bytes) -> None:
    facts = CODEC.read_reply(raw, RULES)
    assert (facts.bad_frames, facts.complete) == (1, False)


def test_an_error_in_a_200_reply_is_an_error() -> None:
    facts = CODEC.read_reply(b'{"type":"error","error":{"type":"api_error","message":"no"}}', RULES)
    assert facts.error == ErrorFacts(type="api_error", message="no")


def test_counting_tokens_costs_nothing() -> None:
    # trap K14
    facts = COUNT_CODEC.read_reply(b'{"input_tokens": 2095}', RULES)
    assert facts.complete
    assert facts.usage is not None
    assert (facts.usage.usage.input_total, facts.usage.usage.output_total) == (0, 0)
