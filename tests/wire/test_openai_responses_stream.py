"""What a Responses reply says of itself, streamed and plain."""

import json
from typing import Any

import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.model import errors
from tidegate.model.provider import UsageRules
from tidegate.model.reply import ErrorFacts, ReplyFacts
from tidegate.model.usage import Usage
from tidegate.wire.openai_responses import CODEC
from tidegate.wire.sse import FrameReader

RULES = UsageRules()


def event(kind: str, **fields: Any) -> bytes:
    data = json.dumps({"type": kind, "sequence_number": 1, **fields}, ensure_ascii=False)
    return f"event: {kind}\ndata: {data}\n\n".encode()


def delta(kind: str, text: str, index: int = 0) -> bytes:
    return event(f"response.{kind}.delta", item_id="i", output_index=index, delta=text)


def added(index: int, **item: Any) -> bytes:
    return event("response.output_item.added", output_index=index, item=item)


def done(index: int, **item: Any) -> bytes:
    return event("response.output_item.done", output_index=index, item=item)


REASONING = {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "So: 漢字. "}]}
MESSAGE = {
    "type": "message",
    "id": "m",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "Grüße"}],
}
CALL = {"type": "function_call", "id": "f", "call_id": "c", "name": "look", "arguments": '{"q":1}'}
USAGE = {
    "input_tokens": 20,
    "input_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 2},
    "output_tokens": 30,
    "output_tokens_details": {"reasoning_tokens": 12},
    "total_tokens": 50,
}
BEGUN = {
    "id": "resp_1",
    "object": "response",
    "model": "gpt-6-2026-09",
    "status": "in_progress",
    "error": None,
}
RESPONSE = {
    **BEGUN,
    "status": "completed",
    "service_tier": "default",
    "output": [REASONING, MESSAGE, CALL],
    "usage": USAGE,
}
FAILED = {**BEGUN, "status": "failed"}
CREATED = event("response.created", response=BEGUN)
COMPLETED = event("response.completed", response=RESPONSE)
WHOLE = b"".join(
    (
        CREATED,
        event("response.in_progress", response=BEGUN),
        added(0, type="reasoning", id="r", summary=[]),
        delta("reasoning_summary_text", "So: 漢字. "),
        done(0, **REASONING),
        added(1, type="message", id="m", role="assistant", content=[]),
        event("response.content_part.added", output_index=1, part={"type": "output_text", "text": ""}),
        delta("output_text", "Gr", 1),
        delta("output_text", "üße", 1),
        event("response.output_text.done", output_index=1, text="Grüße"),
        done(1, **MESSAGE),
        added(2, **{**CALL, "arguments": ""}),
        delta("function_call_arguments", '{"q":1}', 2),
        event("response.function_call_arguments.done", output_index=2, arguments='{"q":1}'),
        done(2, **CALL),
        COMPLETED,
    )
)


def watch(*chunks: bytes, rules: UsageRules = RULES) -> ReplyFacts:
    watcher = CODEC.watch_stream(rules, injected_usage=True)
    reader = FrameReader()
    for chunk in chunks:
        for frame in reader.feed(chunk):
            assert watcher.event(frame.event, frame.data)
    return watcher.facts


def test_a_whole_stream_is_read() -> None:
    facts = watch(WHOLE)
    text = "So: 漢字. " + "Grüße" + '{"q":1}'
    assert facts == ReplyFacts(
        model="gpt-6-2026-09",
        id="resp_1",
        finish="completed",
        service_tier="default",
        usage=facts.usage,
        started=True,
        complete=True,
        text_bytes=len(text.encode()),
        ascii_bytes=len(text) - 4,
        tool_calls=1,
    )
    assert facts.usage is not None
    assert facts.usage.usage == Usage(
        input_uncached=10, cache_read=8, cache_write_5m=2, output_text=18, reasoning=12
    )


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
    "middle",
    [
        b"",
        added(0, **REASONING),
        done(0, **REASONING) + done(1, **MESSAGE),
        done(0, **REASONING) + done(1, **MESSAGE) + done(2, **CALL),
        added(2, **CALL) + delta("function_call_arguments", '{"q":1}', 2),
        added(2, **CALL)
        + event("response.function_call_arguments.done", output_index=2, arguments='{"q":1}'),
    ],
)
def test_what_comes_only_whole_is_counted_once(middle: bytes) -> None:
    # trap S10
    assert watch(CREATED, middle, COMPLETED) == watch(WHOLE)


@pytest.mark.parametrize(
    "preamble",
    [
        CREATED,
        added(0, type="reasoning", summary=[], encrypted_content="x"),
        added(0, type="message", content=[]),
        event("response.content_part.added", output_index=0, part={"type": "output_text", "text": ""}),
        delta("output_text", ""),
        event("response.queued", response=BEGUN),
        b'event: keepalive\ndata: {"type":"keepalive"}\n\n',
        b": comment\n\n",
    ],
)
def test_the_preamble_is_no_content(preamble: bytes) -> None:
    # trap S7
    facts = watch(CREATED, preamble)
    assert (facts.started, facts.bad_frames) == (False, 0)


@pytest.mark.parametrize(
    "content",
    [
        delta("output_text", "a"),
        delta("reasoning_text", "a"),
        delta("refusal", "a"),
        delta("custom_tool_call_input", "a"),
        delta("audio", "UklG"),
        event("response.shell_call_output_content.delta", output_index=0, delta={"stdout": "x"}),
        added(0, type="web_search_call", status="in_progress"),
        added(0, type="function_call", name="n", arguments=""),
        event("response.image_generation_call.partial_image", partial_image_b64="iVBO"),
    ],
)
def test_the_first_word_or_call_is_content(content: bytes) -> None:
    # trap S7
    facts = watch(CREATED, content)
    assert (facts.started, facts.bad_frames) == (True, 0)


def test_audio_is_no_text() -> None:
    assert watch(CREATED, delta("audio", "UklGRg==")).text_bytes == 0


@pytest.mark.parametrize("end", range(1, 16))
def test_a_stream_that_stops_early_is_not_complete(end: int) -> None:
    # trap S6
    frames = WHOLE.split(b"\n\n")[:-1]
    assert not watch(*(frame + b"\n\n" for frame in frames[:end])).complete


def test_an_incomplete_response_is_a_whole_answer_with_its_reason() -> None:
    response = {**RESPONSE, "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    facts = watch(CREATED, event("response.incomplete", response=response))
    assert (facts.complete, facts.finish) == (True, "max_output_tokens")
    assert facts.usage is not None


@pytest.mark.parametrize(
    "end",
    [
        event(
            "response.failed", response={**BEGUN, "status": "failed", "error": {"code": "x", "message": "no"}}
        ),
        event("error", code="x", message="no", param=None),
        event("error", error={"type": "", "code": "x", "message": "no", "param": None}),
    ],
)
def test_a_failure_after_a_200_is_an_error(end: bytes) -> None:
    # trap S12
    facts = watch(CREATED, end)
    assert (facts.error, facts.complete) == (ErrorFacts(code="x", message="no"), False)


def test_a_failure_without_a_word_is_still_an_error() -> None:
    facts = watch(CREATED, event("response.failed", response=FAILED))
    assert facts.error == ErrorFacts(code="failed")


@pytest.mark.parametrize(
    "bad",
    [
        b"event: response.output_text.delta\ndata: {oops\n\n",
        b"event: response.completed\ndata: {}\n\n",
        b"data: nonsense\n\n",
    ],
)
def test_a_malformed_event_is_counted_and_passed_on(bad: bytes) -> None:
    # trap S5
    facts = watch(CREATED, bad, WHOLE)
    assert (facts.bad_frames, facts.complete) == (1, True)


def test_searches_are_counted_where_usage_does_not_say() -> None:
    searched = {"type": "web_search_call", "id": "w", "action": {"type": "search", "query": "q"}}
    opened = {"type": "web_search_call", "id": "o", "action": {"type": "open_page", "url": "u"}}
    facts = watch(CREATED, event("response.completed", response={**RESPONSE, "output": [searched, opened]}))
    assert facts.usage is not None
    assert facts.usage.usage.searches == 1


def test_the_providers_own_cost_is_kept_as_its_digits() -> None:
    # trap M11
    usage = {**USAGE, "cost": 5.4e-06}
    facts = watch(
        CREATED,
        event("response.completed", response={**RESPONSE, "usage": usage}),
        rules=UsageRules(cost_field="cost"),
    )
    assert facts.usage is not None
    assert facts.usage.stated_cost == "0.0000054"


def test_a_plain_reply_is_the_fold_of_its_stream() -> None:
    raw = json.dumps(RESPONSE, ensure_ascii=False).encode()
    assert CODEC.read_reply(raw, RULES) == watch(WHOLE)


def test_a_background_reply_is_whole_and_says_nothing_of_usage() -> None:
    facts = CODEC.read_reply(json.dumps({**BEGUN, "status": "queued"}).encode(), RULES)
    assert (facts.complete, facts.usage, facts.notes) == (True, None, ["background"])


@pytest.mark.parametrize("raw", [b"", b"<html>", b"[]", b'{"status": 7}'])
def test_a_plain_reply_of_another_kind_is_counted_as_bad(raw: bytes) -> None:
    facts = CODEC.read_reply(raw, RULES)
    assert (facts.bad_frames, facts.complete) == (1, False)


COUNT = st.integers(0, 100_000)


@given(cached=COUNT, written=COUNT, rest=COUNT, reasoning=COUNT, text=COUNT)
def test_the_buckets_sum_to_what_was_stated(
    cached: int, written: int, rest: int, reasoning: int, text: int
) -> None:
    # trap M1
    total, output = cached + written + rest, reasoning + text
    usage = {
        "input_tokens": total,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": total + output,
    }
    report = watch(event("response.completed", response={**RESPONSE, "usage": usage})).usage
    assert report is not None
    assert report.usage == Usage(
        input_uncached=rest, cache_read=cached, cache_write_5m=written, output_text=text, reasoning=reasoning
    )
    assert (report.usage.input_total, report.usage.output_total) == (total, output)


def client(status: int, media_type: str, body: bytes) -> openai.OpenAI:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, headers={"content-type": media_type}, content=body)

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    return openai.OpenAI(api_key="k", base_url="http://gateway/v1", http_client=http, max_retries=0)


def test_the_sdk_reads_type_code_and_message_of_a_refusal() -> None:
    body = CODEC.error_body(errors.RateLimited("slow down"), "req_1")
    with client(429, "application/json", body) as sdk, pytest.raises(openai.RateLimitError) as caught:
        sdk.responses.create(model="m", input="hi")
    assert (caught.value.code, caught.value.type) == ("rate_limit_exceeded", "rate_limit_error")
    assert "slow down" in caught.value.message


@pytest.mark.parametrize("keep_alive", [b"", CODEC.keep_alive])
def test_the_sdk_raises_on_an_error_event_and_not_on_keep_alives(keep_alive: bytes) -> None:
    # traps S6, S8
    end = CODEC.error_event(errors.UpstreamTruncated("the answer was cut"), "req_1")
    with client(200, "text/event-stream", CREATED + keep_alive + end) as sdk:
        stream = sdk.responses.create(model="m", input="hi", stream=True)
        assert next(iter(stream)).type == "response.created"
        with pytest.raises(openai.APIError, match="the answer was cut") as caught:
            next(iter(stream))
    assert caught.value.code == "upstream_truncated"


def test_the_sdks_stream_helper_raises_on_an_error_event() -> None:
    # trap S6
    end = CODEC.error_event(errors.UpstreamTruncated("the answer was cut"), "req_1")
    response: dict[str, Any] = {**BEGUN, "created_at": 1, "output": [], "tools": [], "tool_choice": "auto"}
    created = event("response.created", response=response)
    with (
        client(200, "text/event-stream", created + end) as sdk,
        sdk.responses.stream(model="m", input="hi") as stream,
        pytest.raises(openai.APIError, match="the answer was cut"),
    ):
        list(stream)


def test_the_error_event_has_the_documented_fields() -> None:
    # trap S6
    raw = CODEC.error_event(errors.UpstreamTruncated("cut"), "req_1")
    (frame,) = FrameReader().feed(raw)
    found = json.loads(frame.data)
    assert (frame.event, found["type"], found["code"], found["message"]) == (
        b"error",
        "error",
        "upstream_truncated",
        "cut",
    )
    assert isinstance(found["sequence_number"], int)


def test_our_own_error_event_reads_back() -> None:
    facts = watch(CREATED, CODEC.error_event(errors.UpstreamTruncated("cut"), "req_1"))
    assert facts.error == ErrorFacts(type="server_error", code="upstream_truncated", message="cut")


def test_a_providers_error_body_is_read() -> None:
    raw = b'{"error":{"message":"m","type":"t","param":"input","code":"context_length_exceeded"}}'
    expected = ErrorFacts(type="t", code="context_length_exceeded", message="m", param="input")
    assert CODEC.read_error(raw).error == expected
