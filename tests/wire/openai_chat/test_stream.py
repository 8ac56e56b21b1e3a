import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.model.provider import UsageRules
from tidegate.model.reply import ErrorFacts, ReplyFacts
from tidegate.model.usage import Usage
from tidegate.wire.openai_chat import CODEC
from tidegate.wire.sse import FrameReader

USAGE = {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}
READ = Usage(input_uncached=12, output_text=5)


def chunk(*choices: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"id": "c1", "object": "chat.completion.chunk", "model": "m-1", "choices": list(choices), **fields}


def delta(finish: str | None = None, index: int = 0, **said: Any) -> dict[str, Any]:
    return {"index": index, "delta": said, "finish_reason": finish}


def call(
    index: int | None = None, ident: str | None = None, name: str | None = None, arguments: str = ""
) -> dict[str, Any]:
    function = {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}
    found: dict[str, Any] = {"function": function}
    return found | ({} if index is None else {"index": index}) | ({} if ident is None else {"id": ident})


def stream(*events: object, done: bool = True, end: bytes = b"\n\n") -> bytes:
    data = [event if isinstance(event, bytes) else json.dumps(event).encode() for event in events]
    return b"".join(b"data: " + line + end for line in [*data, *([b"[DONE]"] if done else [])])


def watch(
    raw: bytes, *, injected: bool = False, step: int = 0, rules: UsageRules | None = None
) -> tuple[ReplyFacts, bytes]:
    """The facts of a stream, and the bytes that a client would get."""
    reader, watcher = FrameReader(), CODEC.watch_stream(rules or UsageRules(), injected_usage=injected)
    passed = b""
    for at in range(0, len(raw), step or len(raw)):
        for frame in reader.feed(raw[at : at + (step or len(raw))]):
            if not frame.data or watcher.event(frame.event, frame.data):
                passed += frame.raw
    return watcher.facts, passed


FULL = stream(
    chunk(delta(role="assistant", content="", refusal=None)),
    chunk(delta(reasoning_content="Hmm, né")),
    chunk(delta(content="Grüße")),
    chunk(delta(tool_calls=[call(0, "a", "look", "")])),
    chunk(delta(tool_calls=[call(0, None, None, '{"q":1}')])),
    chunk(delta("tool_calls")),
    chunk(usage=USAGE, service_tier="default"),
)


def test_no_cut_changes_facts_or_bytes() -> None:  # trap S4
    raw = b": PROCESSING\n\n" + FULL.replace(b"\n\ndata", b"\r\n\r\ndata", 1)
    whole, passed = watch(raw, injected=True)
    assert whole.usage is not None
    assert whole == ReplyFacts(
        model="m-1",
        id="c1",
        finish="tool_calls",
        service_tier="default",
        usage=whole.usage,
        started=True,
        complete=True,
        text_bytes=8 + 7 + 4 + 7,
        ascii_bytes=6 + 3 + 4 + 7,
        tool_calls=1,
    )
    assert whole.usage.usage == READ
    for step in range(1, len(raw)):
        assert watch(raw, injected=True, step=step) == (whole, passed)


def test_a_plain_reply_is_the_fold_of_its_stream() -> None:
    message = {
        "role": "assistant",
        "content": "Grüße",
        "reasoning_content": "Hmm, né",
        "tool_calls": [{"id": "a", "type": "function", "function": {"name": "look", "arguments": '{"q":1}'}}],
    }
    reply = chunk(
        {"index": 0, "message": message, "finish_reason": "tool_calls"}, usage=USAGE, service_tier="default"
    )
    assert CODEC.read_reply(json.dumps(reply).encode(), UsageRules()) == watch(FULL)[0]


ONLY_USAGE = chunk(usage=USAGE, system_fingerprint=None, obfuscation="x")


@pytest.mark.parametrize(
    ("last", "kept"),
    [
        (ONLY_USAGE, False),
        (chunk(usage=USAGE, prompt_filter_results=None), False),
        (chunk(delta(), usage=USAGE), True),
        (chunk(delta(), usage=None), True),
        (chunk(usage=USAGE, citations=["u"]), True),
        (chunk(usage=USAGE, error={"message": "m"}), True),
        (chunk(usage=None), True),
        (chunk(prompt_filter_results=[{"prompt_index": 0}]), True),
        ({"usage": USAGE}, True),
        ({"choices": None, "usage": USAGE}, True),
    ],
)
def test_only_the_chunk_that_our_asking_caused_is_kept_back(
    last: dict[str, Any], kept: bool
) -> None:  # trap S2
    raw = stream(chunk(delta("stop", content="Hi")), last)
    facts, passed = watch(raw, injected=True)
    assert (passed == raw) == kept
    if not kept:
        assert passed == raw.replace(b"data: " + json.dumps(last).encode() + b"\n\n", b"")
    assert (facts.usage is None) == (last.get("usage") is None)
    assert watch(raw, injected=False)[1] == raw


def test_usage_is_taken_from_any_chunk_and_the_last_complete_one_wins() -> None:  # trap S1
    late = {
        "prompt_tokens": 12,
        "completion_tokens": 9,
        "total_tokens": 21,
        "prompt_tokens_details": {"cached_tokens": 4},
    }
    part = {"prompt_tokens": 12, "completion_tokens": None, "total_tokens": None}
    facts, _ = watch(
        stream(
            chunk(delta(content="a"), usage=part),
            chunk(delta("stop"), usage=USAGE),
            chunk(delta(), usage=late),
            chunk(usage=part),
        )
    )
    assert facts.usage is not None
    assert facts.usage.usage == Usage(input_uncached=8, cache_read=4, output_text=9)


def test_groqs_own_place_for_usage_is_read() -> None:
    facts, passed = watch(
        raw := stream(chunk(delta("stop"), x_groq={"id": "r", "usage": USAGE})), injected=True
    )
    assert facts.usage is not None
    assert facts.usage.usage == READ
    assert passed == raw


@pytest.mark.parametrize(
    "preamble",
    [
        chunk(prompt_filter_results=[], model="", id=""),
        chunk(delta(role="assistant", content="")),
        chunk(delta(content=None, tool_calls=None, refusal=None)),
        chunk({"index": 0, "content_filter_results": {}, "finish_reason": None}),
        chunk({"index": 0, "delta": None, "content_filter_offsets": {}}),
        chunk(delta(content=[])),
    ],
)
def test_a_preamble_is_no_first_token(preamble: dict[str, Any]) -> None:  # trap S9
    facts, _ = watch(stream(preamble, done=False))
    assert not facts.started
    assert facts.bad_frames == 0
    facts, _ = watch(stream(preamble, chunk(delta(content="a")), done=False))
    assert facts.started
    assert (facts.id, facts.model) == ("c1", "m-1")


@pytest.mark.parametrize(
    ("said", "size"),
    [
        ({"content": "abc"}, 3),
        ({"reasoning": "abc"}, 3),
        ({"reasoning_content": "abc", "reasoning": "abc"}, 3),
        ({"refusal": "no"}, 2),
        (
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "abcd"}]},
                    {"text": "e"},
                ]
            },
            5,
        ),
        ({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": {"a": 1}}}]}, 9),
        ({"tool_calls": [{"index": 0, "custom": {"name": "f", "input": "xyz"}}]}, 4),
        ({"function_call": {"name": "f", "arguments": "{}"}}, 3),
        ({"audio": {"id": "a", "data": "AAAA"}}, 0),
        ({"images": [{"image_url": {"url": "data:"}}]}, 0),
    ],
)
def test_content_of_every_kind_starts_the_answer(said: dict[str, Any], size: int) -> None:
    facts, _ = watch(stream(chunk(delta(**said))))
    assert facts.started
    assert facts.text_bytes == size
    assert facts.tool_calls == (1 if "tool_calls" in said or "function_call" in said else 0)


CALLS = [  # trap S10
    ([[call(0, "a", "f")], [call(0, None, None, "{}")]], 1),
    ([[call(0, "a", "f")], [call(0, "a", None, "{}")]], 1),
    ([[call(0, "a", "f"), call(1, "b", "g")], [call(1, None, None, "{}")]], 2),
    ([[call(0, "a", "f", "{}")], [call(0, "b", "g", "{}")]], 2),
    ([[call(None, "a", "f")], [call(None, None, None, "{}")]], 1),
    ([[call(None, "a", "f"), call(None, "b", "g")]], 2),
    ([[call(0, "", "f")], [call(0, "a", None, "{}")]], 1),
]


@pytest.mark.parametrize(("deltas", "count"), CALLS)
def test_tool_calls_are_counted_once(deltas: list[list[dict[str, Any]]], count: int) -> None:
    facts, _ = watch(stream(*(chunk(delta(tool_calls=calls)) for calls in deltas)))
    assert facts.tool_calls == count


def test_two_answers_have_calls_of_their_own() -> None:
    facts, _ = watch(stream(*(chunk(delta(index=n, tool_calls=[call(0, f"id{n}", "f")])) for n in range(2))))
    assert facts.tool_calls == 2


def test_a_stream_that_ends_without_done_still_has_its_finish() -> None:  # trap S5
    facts, _ = watch(stream(chunk(delta("stop", content="a")), done=False))
    assert (facts.complete, facts.finish) == (False, "stop")
    facts, _ = watch(stream(chunk(delta(content="a")), done=False))
    assert (facts.complete, facts.finish) == (False, "")


@pytest.mark.parametrize(
    "bad",
    [
        b"{",
        b"oops",
        b"[1]",
        b'{"choices":5}',
        b'{"choices":[{"delta":"x"}]}',
        b'{"id":"\xff"}',
        b'{"a":' * 3000,
    ],
)
def test_a_bad_frame_is_counted_and_passed_on(bad: bytes) -> None:  # trap S5
    raw = stream(chunk(delta(content="a")), bad, chunk(delta("stop")))
    facts, passed = watch(raw, injected=True)
    assert facts.bad_frames == 1
    assert (facts.complete, facts.finish, facts.text_bytes) == (True, "stop", 1)
    assert passed == raw


def test_text_that_is_not_utf_8_is_measured_all_the_same() -> None:
    facts, _ = watch(stream(b'{"choices":[{"delta":{"content":"ab\xff"}}]}'))
    assert facts.started
    assert facts.bad_frames == 0


def test_usage_and_errors_count_in_a_chunk_of_another_shape() -> None:
    facts, _ = watch(stream({"choices": 5, "usage": USAGE, "error": {"message": "m", "code": "c"}}))
    assert facts.usage is not None
    assert facts.error == ErrorFacts(code="c", message="m")


ERRORS: list[tuple[bytes, ErrorFacts]] = [  # trap S12, case F6
    (
        stream({"error": {"message": "m", "type": "t", "code": 502}}),
        ErrorFacts(type="t", code="502", message="m"),
    ),
    (stream({"error": "m"}), ErrorFacts(message="m")),
    (
        stream(chunk(delta("error"), error={"code": 502, "message": "m"})),
        ErrorFacts(code="502", message="m"),
    ),
    (stream(chunk(delta("error"))), ErrorFacts(code="error", message="the provider ended with 'error'")),
    (
        stream(chunk(delta("insufficient_system_resource"))),
        ErrorFacts(
            code="insufficient_system_resource",
            message="the provider ended with 'insufficient_system_resource'",
        ),
    ),
    (b'event: error\ndata: {"message":"m","code":"c"}\n\n', ErrorFacts(code="c", message="m")),
]


@pytest.mark.parametrize(("raw", "error"), ERRORS)
def test_an_error_inside_a_stream_is_found(raw: bytes, error: ErrorFacts) -> None:
    facts, passed = watch(stream(chunk(delta(content="a")), done=False) + raw)
    assert facts.error == error
    assert passed.endswith(raw)


@pytest.mark.parametrize("said", [None, False, "", {}])
def test_an_empty_error_field_is_no_error(said: object) -> None:
    assert watch(stream(chunk(delta(content="a"), error=said)))[0].error is None


def test_an_error_in_a_plain_200_is_found() -> None:  # trap M17
    facts = CODEC.read_reply(b'{"error":{"message":"no credits","code":402}}', UsageRules())
    assert facts.error == ErrorFacts(code="402", message="no credits")


@pytest.mark.parametrize("raw", [b"", b"<html>", b'{"id":"c","choices":[', b"[" * 9000])
def test_a_plain_reply_that_is_cut_is_not_complete(raw: bytes) -> None:  # trap S6
    facts = CODEC.read_reply(raw, UsageRules())
    assert (facts.complete, facts.bad_frames) == (False, 1)


def test_names_of_a_provider_are_cut() -> None:
    facts, _ = watch(
        stream(chunk(delta("f" * 9000), id="i" * 9000, model="m" * 9000, service_tier="s" * 9000))
    )
    assert max(len(facts.id), len(facts.model), len(facts.finish), len(facts.service_tier)) <= 256


def test_the_stated_cost_stays_exact() -> None:  # trap M11
    rules = UsageRules(cost_field="cost")
    raw = stream(
        b'{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"cost":0.30000000000000004441}}'
    )
    report = watch(raw, rules=rules)[0].usage
    assert report is not None
    assert report.stated_cost == "0.30000000000000004441"


FIELDS = [
    *("id", "model", "choices", "delta", "message", "finish_reason", "content", "reasoning", "text", "usage"),
    *("error", "tool_calls", "function", "name", "arguments", "index", "x_groq", "prompt_tokens"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 10**20) | st.floats() | st.sampled_from(["", "a", "error"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=14,
)


@given(JSON, st.sampled_from([b"", b"error"]))
def test_no_event_raises_and_none_but_usage_is_kept_back(said: object, name: bytes) -> None:
    data = json.dumps(said).encode()
    watcher = CODEC.watch_stream(UsageRules(), injected_usage=True)
    passed = watcher.event(name, data)
    assert passed or (isinstance(said, dict) and said["choices"] == [] and said["usage"] is not None)
    CODEC.read_reply(data, UsageRules())
