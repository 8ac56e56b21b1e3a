"""What holds for every Responses request and every reply in its words, however odd."""

import json
from collections import defaultdict
from typing import Any

import httpx2
import msgspec
import openai
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.translation import ABLE, HI, asked_of
from tests.wire.translate.test_properties import ARGUMENTS, FIELDS, IDS, JSON, NAMES, WORDS
from tidegate.model import event as ev
from tidegate.model.errors import TidegateError
from tidegate.model.message import Message, Part, ToolUse
from tidegate.model.provider import UsageRules
from tidegate.model.reply import ErrorFacts
from tidegate.model.usage import Usage, UsageReport
from tidegate.wire.body import Body
from tidegate.wire.openai_responses import CODEC
from tidegate.wire.sse import FrameReader
from tidegate.wire.translate import (
    ResponsesWriter,
    continued,
    echo_of,
    fold,
    plain_response,
    read_responses,
    write_chat,
    write_messages,
)

ASKED = Body.parse(b'{"model":"m","input":"Hi","metadata":{"a":"b"},"temperature":0.5}')
ENDS = st.sampled_from(["stop", "tool", "length", "filter", "refusal", "stop_sequence", "pause"])


@st.composite
def replies(draw: st.DrawFn, finishes: st.SearchStrategy[Any] = ENDS) -> list[ev.Event]:
    """The events of a whole reply: blocks of every kind in any order, calls that grow in turns."""
    events: list[ev.Event] = [ev.Started(draw(NAMES), draw(NAMES))]
    left: dict[int, list[ev.Event]] = {}
    idents = draw(st.lists(IDS, min_size=3, max_size=3, unique=True))
    for _ in range(draw(st.integers(0, 7))):
        match draw(st.sampled_from(["text", "thinking", "redacted", "refusal", "call", "more"])):
            case "text":
                events += [ev.TextDelta(text) for text in draw(st.lists(WORDS, min_size=1, max_size=3))]
            case "refusal":
                events.append(ev.RefusalDelta(draw(WORDS)))
            case "thinking":
                events += [ev.ThinkingDelta(text) for text in draw(st.lists(WORDS, max_size=2))]
                events += [
                    ev.ThinkingSignature(text) for text in draw(st.lists(NAMES, min_size=1, max_size=2))
                ]
            case "redacted":
                events.append(ev.RedactedThinkingSeen(draw(NAMES)))
            case "call" if idents:
                call, arguments = len(idents), draw(ARGUMENTS)
                at = draw(st.integers(0, len(arguments)))
                events.append(ev.ToolStarted(call, idents.pop(), draw(NAMES)))
                left[call] = [ev.ToolArguments(call, arguments[:at]), ev.ToolArguments(call, arguments[at:])]
                left[call] += [ev.BlockEnded(call)] if draw(st.booleans()) else []
                continue
            case _:
                for waiting in left.values():
                    events += [waiting.pop(0)] if waiting else []
                continue
        events += [ev.BlockEnded()] if draw(st.booleans()) else []
    events += [event for waiting in left.values() for event in waiting]
    usage = Usage(
        input_uncached=draw(st.integers(0, 999)),
        cache_read=draw(st.integers(0, 99)),
        cache_write_5m=draw(st.integers(0, 99)),
        cache_write_1h=draw(st.integers(0, 99)),
        output_text=draw(st.integers(0, 999)),
        reasoning=draw(st.integers(0, 99)),
    )
    explanation = draw(st.just("") | WORDS)
    finish = ev.Finished(draw(finishes), explanation=explanation)
    return [*events, ev.UsageSeen(UsageReport(usage=usage, rule="any")), finish, ev.Ended()]


def written(events: list[ev.Event]) -> bytes:
    writer = ResponsesWriter(created_s=1, response_id="resp_1", request=echo_of(ASKED))
    return b"".join(writer.event(event) for event in events)


def plain(events: list[ev.Event]) -> bytes:
    return plain_response(fold(events), created_s=1, response_id="resp_1", request=echo_of(ASKED))


def frames_of(raw: bytes) -> list[Any]:
    found = FrameReader().feed(raw)
    frames = [json.loads(frame.data) for frame in found]
    assert [frame["type"] for frame in frames] == [frame.event.decode() for frame in found]
    return frames


@given(replies())
@settings(deadline=None)
def test_a_plain_response_is_the_last_of_its_stream(events: list[ev.Event]) -> None:
    frames = frames_of(written(events))
    kinds = [frame["type"] for frame in frames]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert [frame["sequence_number"] for frame in frames] == list(range(len(frames)))
    last = frames[-1]["response"]
    assert kinds[-1] == f"response.{last['status']}"
    assert json.loads(plain(events)) == last


@given(replies())
@settings(deadline=None)
def test_items_and_parts_open_and_close_once_and_hold_what_was_streamed(events: list[ev.Event]) -> None:
    # trap S10
    frames = frames_of(written(events))
    opened: dict[int, str] = {}
    done: dict[int, Any] = {}
    texts: dict[tuple[Any, ...], str] = defaultdict(str)
    for frame in frames[2:-1]:
        kind, index = frame["type"].removeprefix("response."), frame["output_index"]
        if kind == "output_item.added":
            assert index == len(opened)
            opened[index] = frame["item"]["id"]
            continue
        assert index in opened
        assert index not in done
        if kind == "output_item.done":
            assert frame["item"]["id"] == opened[index]
            done[index] = frame["item"]
            continue
        assert frame["item_id"] == opened[index]
        place = (index, frame.get("content_index"), kind.rpartition(".")[0])
        if kind.endswith(".delta"):
            texts[place] += frame["delta"]
        elif not kind.startswith(("content_part", "reasoning_summary_part")):
            said = next(frame[name] for name in ("text", "refusal", "arguments") if name in frame)
            assert said == texts[place]
    assert [done[index] for index in sorted(opened)] == frames[-1]["response"]["output"]
    assert len(set(opened.values())) == len(opened)


STREAM: list[bytes] = []
CLIENT = openai.OpenAI(
    api_key="k",
    base_url="http://x/v1",
    max_retries=0,
    http_client=httpx2.Client(
        transport=httpx2.MockTransport(
            lambda _: httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=STREAM[-1])
        )
    ),
)


@given(replies(st.sampled_from(["stop", "tool", "stop_sequence"])))
@settings(deadline=None)
def test_the_sdk_folds_a_stream_into_the_plain_response(events: list[ev.Event]) -> None:
    STREAM[:] = [written(events)]
    with CLIENT.responses.stream(model="m", input="Hi") as stream:
        for _ in stream:
            pass
        response = stream.get_final_response()
    found = json.loads(response.to_json())
    for item in found["output"]:
        item.pop("parsed_arguments", None)
        for part in item.get("content") or ():
            part.pop("parsed", None)
    assert found == json.loads(plain(events))


@given(replies())
@settings(deadline=None)
def test_a_response_counts_as_its_provider_did(events: list[ev.Event]) -> None:
    # trap M1
    usage = fold(events).usage
    assert usage is not None
    facts = CODEC.read_reply(plain(events), UsageRules())
    assert facts.usage is not None
    assert facts.usage.usage == usage.usage


def bare(part: Part) -> Part:
    return msgspec.structs.replace(part, at="")


@given(replies(st.just("stop")))
@settings(deadline=None)
def test_the_items_of_a_reply_come_back_as_the_turn_they_were(events: list[ev.Event]) -> None:
    # trap S11
    events[-2] = ev.Finished("stop")
    parts = fold(events).parts
    items = json.loads(plain(events))["output"]
    asked = asked_of(input=[*HI, *items])
    assert not asked.lost
    assert not asked.ignored
    back = [bare(part) for turn in asked.turns[1:] for part in turn.parts]
    assert back == list(parts)
    assert [turn.role for turn in asked.turns[1:]] == ["assistant"][: len(items)]


@given(replies(st.just("tool")), st.booleans())
@settings(deadline=None)
def test_a_conversation_goes_on_from_any_reply(events: list[ev.Event], by_chat: bool) -> None:
    # trap K10
    parts = fold(events).parts
    calls = [part.id for part in parts if isinstance(part, ToolUse)]
    first = asked_of(input=HI)
    results = [{"type": "function_call_output", "call_id": call, "output": "x"} for call in calls]
    asked = asked_of(input=[*results, *HI], previous_response_id="resp_1")
    whole = continued(asked, (*first.turns, Message(role="assistant", parts=parts)))
    assert whole.turns == whole.conversation.messages
    write = write_chat if by_chat else write_messages
    messages = json.loads(write(whole, ABLE, model="b").body)["messages"]
    assert messages[0]["role"] == "user"
    if by_chat and calls:
        called = next(i for i, message in enumerate(messages) if message.get("tool_calls"))
        answers = messages[called + 1 : called + 1 + len(calls)]
        assert [answer["tool_call_id"] for answer in answers] == calls


WORD = st.sampled_from(
    [
        *(
            "type",
            "role",
            "content",
            "text",
            "summary",
            "encrypted_content",
            "call_id",
            "output",
            "input_text",
        ),
        *("output_text", "refusal", "input_image", "input_file", "image_url", "file_data", "function_call"),
        *("function_call_output", "reasoning", "message", "namespace", "tools", "function", "json_schema"),
        *("format", "effort", "verbosity", "item_reference", "tidegate.signed:", "phase", "developer"),
    ]
)
ANY = st.recursive(
    JSON | WORD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORD | FIELDS, inner, max_size=5),
    max_leaves=24,
)
ITEM = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["message", "function_call", "function_call_output", "reasoning"]) | ANY,
        "role": st.sampled_from(["user", "assistant", "system", "developer"]) | ANY,
        "content": st.lists(st.dictionaries(WORD, ANY, max_size=4), max_size=2) | WORDS | ANY,
        "call_id": IDS | ANY,
        "name": NAMES | ANY,
        "arguments": ARGUMENTS | ANY,
        "output": ANY,
        "summary": st.lists(st.fixed_dictionaries({"text": WORDS}), max_size=2) | ANY,
        "encrypted_content": st.sampled_from(["tidegate.signed:x", "tidegate.redacted:y"]) | ANY,
        "namespace": NAMES | ANY,
    },
)
REQUEST = st.fixed_dictionaries(
    {"input": st.lists(ITEM, max_size=4) | ANY},
    optional=dict.fromkeys(
        (
            *("model", "instructions", "tools", "tool_choice", "parallel_tool_calls", "text", "reasoning"),
            *("max_output_tokens", "temperature", "top_p", "stream", "stream_options", "user", "include"),
            *("service_tier", "previous_response_id", "metadata", "store", "truncation", "background"),
            *("conversation", "prompt", "max_tool_calls", "top_logprobs", "safety_identifier"),
        ),
        ANY,
    ),
)


@given(REQUEST)
@settings(deadline=None)
def test_an_odd_request_is_refused_in_our_own_words(fields: dict[str, Any]) -> None:
    # trap V3
    body = Body.parse(msgspec.json.encode(fields))
    for write in (write_chat, write_messages):
        try:
            asked = read_responses(body)
            there = write(continued(asked, asked.turns), ABLE, model="m", drop_unsupported=True)
        except TidegateError as error:
            assert error.param is not None  # noqa: PT017  # what else it raises fails the test
        else:
            Body.parse(there.body)
    reply = fold([ev.Started("x", "m"), ev.ToolStarted(0, "c", "f"), ev.Finished("tool"), ev.Ended()])
    Body.parse(plain_response(reply, created_s=1, response_id="resp_1", request=echo_of(body)))


EVENTS = st.one_of(
    st.builds(ev.Started, NAMES, NAMES),
    st.builds(ev.TextDelta, st.text(max_size=3)),
    st.builds(ev.ThinkingDelta, st.text(max_size=3)),
    st.builds(ev.ThinkingSignature, NAMES),
    st.builds(ev.RedactedThinkingSeen, NAMES),
    st.builds(ev.RefusalDelta, st.text(max_size=3)),
    st.builds(ev.ToolStarted, st.integers(0, 2), IDS, NAMES),
    st.builds(ev.ToolArguments, st.integers(0, 2), st.text(max_size=3)),
    st.builds(ev.BlockEnded, st.none() | st.integers(0, 2)),
    st.builds(ev.Finished, ENDS),
    st.just(ev.Ping()),
    st.builds(ev.Failed, st.builds(ErrorFacts, message=WORDS)),
    st.just(ev.Ended()),
)


@given(st.lists(EVENTS, max_size=12))
@settings(deadline=None)
def test_events_in_any_order_give_frames_in_order(events: list[ev.Event]) -> None:
    # trap S5
    frames = frames_of(written([event for event in events if not isinstance(event, ev.Ping)]))
    assert [frame["sequence_number"] for frame in frames] == list(range(len(frames)))
    assert written(events).replace(b": ping\n\n", b"") == written(
        [event for event in events if not isinstance(event, ev.Ping)]
    )
    assert json.loads(plain(events))
