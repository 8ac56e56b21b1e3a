"""Stock SDKs of one dialect, answered by a provider of the other."""

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from anthropic import Anthropic
from openai import OpenAI

from tests.acceptance.conftest import Stage
from tests.acceptance.test_clients import forwarded
from tests.acceptance.test_openai_sdk import PIXEL, TOOL, last_row

HELLO: Any = [{"role": "user", "content": "hello"}]
WEATHER: Any = [{"role": "user", "content": 'Weather? [[script {"tool_call": {"name": "get_weather"}}]]'}]


@pytest.fixture(scope="module")
def chat(stage: Stage) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{stage.base_url}/v1", api_key=stage.key, max_retries=0) as made:
        yield made


@pytest.fixture(scope="module")
def messages(stage: Stage) -> Iterator[Anthropic]:
    with Anthropic(base_url=stage.base_url, api_key=stage.key, max_retries=0) as made:
        yield made


def test_a_chat_client_is_answered_by_a_messages_provider(chat: OpenAI, stage: Stage) -> None:
    raw = chat.chat.completions.with_raw_response.create(
        model="claude-x", messages=[{"role": "system", "content": "Be short."}, *HELLO], max_tokens=50
    )
    answer = raw.parse()
    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    sent = forwarded(stage)
    assert sent["path"] == "/v1/messages"
    assert sent["body"]["max_tokens"] == 50
    assert json.dumps(sent["body"]["system"]).count("Be short.") == 1
    row = last_row(stage, raw.headers["tidegate-request-id"])
    assert (row["outcome"], row["usage_source"], row["model_served"]) == ("ok", "provider", "claude-x")
    assert row["input_uncached"] == answer.usage.prompt_tokens
    assert row["output_text"] == answer.usage.completion_tokens
    assert "request.dialect.messages" in json.loads(str(row["edits"]))


def test_a_chat_stream_of_a_messages_provider(chat: OpenAI, stage: Stage) -> None:
    with chat.chat.completions.with_streaming_response.create(
        model="claude-x", messages=HELLO, stream=True, stream_options={"include_usage": True}
    ) as raw:
        request_id = raw.headers["tidegate-request-id"]
        chunks = list(raw.parse())
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text
    assert chunks[-1].usage is not None
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    row = last_row(stage, request_id)
    assert (row["outcome"], row["output_text"]) == ("ok", chunks[-1].usage.completion_tokens)


def test_a_messages_client_is_answered_by_a_chat_provider(messages: Anthropic, stage: Stage) -> None:
    raw = messages.messages.with_raw_response.create(
        model="talk", max_tokens=40, system="Be short.", messages=HELLO
    )
    answer = raw.parse()
    assert answer.content[0].type == "text"
    assert (answer.type, answer.role, answer.stop_reason) == ("message", "assistant", "end_turn")
    sent = forwarded(stage)
    assert sent["path"] == "/v1/chat/completions"
    assert sent["body"]["messages"][0] == {"role": "system", "content": "Be short."}
    row = last_row(stage, raw.headers["tidegate-request-id"])
    assert (row["outcome"], row["output_text"]) == ("ok", answer.usage.output_tokens)


def test_a_messages_stream_of_a_chat_provider(messages: Anthropic) -> None:
    with messages.messages.stream(model="talk", max_tokens=40, messages=HELLO) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text
    assert final.content[0].type == "text"
    assert final.content[0].text == text
    assert final.usage.output_tokens > 0


def test_a_tool_is_called_across_dialects_and_its_result_goes_back(chat: OpenAI) -> None:  # trap S10
    asked: Any = {"model": "claude-x", "tools": [TOOL], "messages": WEATHER, "max_tokens": 99}
    message = chat.chat.completions.create(**asked).choices[0].message
    assert message.tool_calls
    (call,) = message.tool_calls
    assert call.type == "function"
    assert call.function.name == "get_weather"
    assert isinstance(json.loads(call.function.arguments), dict)
    result: Any = {"role": "tool", "tool_call_id": call.id, "content": "rain"}
    back = [*WEATHER, message.model_dump(exclude_none=True), result]
    again = chat.chat.completions.create(**{**asked, "messages": back})
    assert again.choices[0].finish_reason == "stop"


def test_an_image_goes_over(chat: OpenAI, stage: Stage) -> None:
    url = f"data:image/png;base64,{PIXEL}"
    content: Any = [{"type": "text", "text": "what"}, {"type": "image_url", "image_url": {"url": url}}]
    chat.chat.completions.create(
        model="claude-x", messages=[{"role": "user", "content": content}], max_tokens=20
    )
    parts = forwarded(stage)["body"]["messages"][0]["content"]
    assert parts[1]["source"] == {"type": "base64", "media_type": "image/png", "data": PIXEL}


def test_what_cannot_be_said_is_refused_by_its_path(chat: OpenAI) -> None:  # trap V3
    with pytest.raises(openai.BadRequestError) as caught:
        chat.chat.completions.create(model="claude-x", messages=HELLO, logit_bias={"1": 5})
    assert (caught.value.code, caught.value.param) == ("unsupported", "logit_bias")


def test_a_client_may_let_it_be_dropped_and_the_record_says_so(chat: OpenAI, stage: Stage) -> None:
    raw = chat.chat.completions.with_raw_response.create(
        model="claude-x",
        messages=HELLO,
        logit_bias={"1": 5},
        extra_headers={"tidegate-drop-unsupported": "true"},
    )
    assert raw.parse().choices[0].message.content
    row = last_row(stage, raw.headers["tidegate-request-id"])
    assert "request.dropped.logit_bias" in json.loads(str(row["edits"]))


def test_a_providers_error_is_worded_in_the_clients_dialect(messages: Anthropic, chat: OpenAI) -> None:
    script = '[[script {"status": 400, "error": {"code": "bad_thing"}}]]'
    asked: Any = [{"role": "user", "content": script}]
    with pytest.raises(anthropic.BadRequestError) as caught:
        messages.messages.create(model="talk", max_tokens=5, messages=asked)
    body: Any = caught.value.body
    assert (body["type"], body["error"]["type"]) == ("error", "invalid_request_error")
    assert caught.value.response.headers["tidegate-error-source"] == "upstream"
    with pytest.raises(openai.BadRequestError) as other:
        chat.chat.completions.create(model="claude-x", messages=asked)
    assert other.value.type == "invalid_request_error"


def test_a_cut_stream_ends_in_the_clients_own_error(messages: Anthropic, chat: OpenAI) -> None:  # trap S6
    asked: Any = [{"role": "user", "content": '[[script {"cut_after": 6}]]'}]
    with (
        pytest.raises(anthropic.APIError),
        messages.messages.stream(model="talk", max_tokens=40, messages=asked) as stream,
    ):
        list(stream)
    chunks = chat.chat.completions.create(model="claude-x", messages=asked, stream=True)
    with chunks, pytest.raises(openai.APIError) as caught:
        list(chunks)
    assert caught.value.code == "upstream_truncated"


@pytest.mark.parametrize("stream", [False, True])
def test_signed_thinking_comes_back_to_who_signed_it(
    chat: OpenAI, stage: Stage, *, stream: bool
) -> None:  # trap S11
    script = '[[script {"tool_call": {"name": "get_weather"}, "reasoning_tokens": 8}]]'
    asked: Any = {"model": "claude-x", "tools": [TOOL], "max_tokens": 99, "reasoning_effort": "low"}
    turns: Any = [{"role": "user", "content": f"Weather? {script}"}]
    if stream:
        with chat.chat.completions.stream(messages=turns, **asked) as events:
            message: Any = events.get_final_completion().choices[0].message
    else:
        message = chat.chat.completions.create(messages=turns, **asked).choices[0].message
    (call,) = message.tool_calls
    said: Any = {
        "role": "assistant",
        "content": None,
        "tool_calls": [call.model_dump(include={"id", "type"})],
    }
    said["tool_calls"][0]["function"] = {"name": "get_weather", "arguments": call.function.arguments}
    result: Any = {"role": "tool", "tool_call_id": call.id, "content": "rain"}
    chat.chat.completions.create(messages=[*turns, said, result], **asked)
    sent = forwarded(stage)["body"]["messages"]
    thought = sent[1]["content"][0]
    assert thought["type"] == "thinking"
    assert thought["signature"]
