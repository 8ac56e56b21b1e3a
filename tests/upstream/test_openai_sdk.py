"""The real openai SDK reads everything the scripted provider says."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionFunctionToolParam
from openai.types.responses import FunctionToolParam

from tests.support.upstream import scripted_upstream

PIXEL = "data:image/png;base64," + "iVBORw0KGgo" * 40 + "="
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "label": {"enum": ["praise", "complaint"]},
        "score": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "owner": {"$ref": "#/$defs/owner"},
    },
    "required": ["label", "score", "tags", "owner"],
    "additionalProperties": False,
    "$defs": {"owner": {"type": ["object", "null"], "properties": {"name": {"type": "string"}}}},
}
PARAMETERS: dict[str, object] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}
CHAT_TOOL: ChatCompletionFunctionToolParam = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": PARAMETERS},
}
RESPONSE_TOOL: FunctionToolParam = {
    "type": "function",
    "name": "get_weather",
    "parameters": PARAMETERS,
    "strict": False,
}


@pytest.fixture(scope="module")
def client() -> Iterator[openai.OpenAI]:
    with (
        scripted_upstream(output_tokens=8) as running,
        openai.OpenAI(base_url=f"{running.base_url}/v1", api_key="k", max_retries=0) as made,
    ):
        yield made


def test_a_chat_has_text_and_usage_that_adds_up(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hello"}])
    text, usage = reply.choices[0].message.content, reply.usage
    assert text is not None
    assert usage is not None
    assert len(text) == 8 * 4
    assert (reply.model, reply.choices[0].finish_reason) == ("m", "stop")
    assert usage.completion_tokens == 8
    assert usage.total_tokens == usage.prompt_tokens + 8


def test_the_same_question_gets_the_same_text_and_another_id(client: openai.OpenAI) -> None:
    first, second = (
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hello"}])
        for _ in range(2)
    )
    assert first.choices[0].message.content == second.choices[0].message.content
    assert first.id != second.id


def test_a_streamed_chat_is_the_plain_one_in_pieces(client: openai.OpenAI) -> None:
    plain = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hello"}])
    chunks = list(
        client.chat.completions.create(
            model="m",
            messages=[{"role": "user", "content": "Hello"}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == plain.choices[0].message.content
    assert chunks[-1].usage == plain.usage
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)


def test_a_stream_tells_usage_only_when_asked(client: openai.OpenAI) -> None:
    chunks = client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "Hello"}], stream=True
    )
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


def test_the_output_limit_ends_the_text(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "Hello"}], max_completion_tokens=3
    )
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 3


@pytest.mark.parametrize("stream", [False, True])
def test_a_chat_calls_a_tool_and_reads_its_result(client: openai.OpenAI, stream: bool) -> None:
    messages: list[Any] = [{"role": "user", "content": "Use get_weather for Bonn"}]
    if stream:
        with client.chat.completions.stream(model="m", messages=messages, tools=[CHAT_TOOL]) as events:
            choice = events.get_final_completion().choices[0]
    else:
        choice = client.chat.completions.create(  # type: ignore[assignment]
            model="m", messages=messages, tools=[CHAT_TOOL]
        ).choices[0]
    assert choice.finish_reason == "tool_calls"
    call = (choice.message.tool_calls or [])[0]
    assert call.type == "function"
    assert call.function.name == "get_weather"
    assert list(json.loads(call.function.arguments)) == ["city"]
    messages += [
        {
            "role": "assistant",
            "tool_calls": [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": "get_weather", "arguments": call.function.arguments},
                }
            ],
        },
        {"role": "tool", "tool_call_id": call.id, "content": "12 degrees"},
    ]
    done = client.chat.completions.create(model="m", messages=messages, tools=[CHAT_TOOL])
    assert done.choices[0].finish_reason == "stop"
    assert done.choices[0].message.content


def test_a_chat_answers_in_the_schema_asked_for(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(
        model="m",
        messages=[{"role": "user", "content": "Label this"}],
        response_format={"type": "json_schema", "json_schema": {"name": "l", "schema": SCHEMA}},
    )
    _fits(reply.choices[0].message.content)


def _fits(text: str | None) -> None:
    value = json.loads(text or "")
    assert list(value) == SCHEMA["required"]
    assert value["label"] in SCHEMA["properties"]["label"]["enum"]
    assert isinstance(value["score"], int)
    assert all(isinstance(tag, str) for tag in value["tags"])
    assert isinstance(value["owner"]["name"], str)


def test_an_image_counts_by_the_piece_and_not_by_its_bytes(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(
        model="m",
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is it?"},
                    {"type": "image_url", "image_url": {"url": PIXEL}},
                ],
            }
        ],
    )
    assert reply.usage is not None
    assert 85 < reply.usage.prompt_tokens < 85 + 60


def test_a_long_prefix_that_comes_again_is_read_from_the_cache(client: openai.OpenAI) -> None:
    system = "You are careful. " * 600
    asked = [
        client.chat.completions.create(
            model="m", messages=[{"role": "system", "content": system}, {"role": "user", "content": text}]
        ).usage
        for text in ("one", "two")
    ]
    cached = [usage.prompt_tokens_details for usage in asked if usage is not None]
    assert [details.cached_tokens for details in cached if details is not None] == [0, 2048]


def test_reasoning_is_counted_inside_the_output_when_asked_for(client: openai.OpenAI) -> None:
    reply = client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "Hello"}], reasoning_effort="high"
    )
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 8 + 16
    assert reply.usage.completion_tokens_details is not None
    assert reply.usage.completion_tokens_details.reasoning_tokens == 16


@pytest.mark.parametrize("stream", [False, True])
def test_a_completion_answers(client: openai.OpenAI, stream: bool) -> None:
    if stream:
        chunks = client.completions.create(model="m", prompt="Once", max_tokens=5, stream=True)
        text = "".join(chunk.choices[0].text for chunk in chunks if chunk.choices)
    else:
        text = client.completions.create(model="m", prompt="Once", max_tokens=5).choices[0].text
    assert len(text) == 5 * 4


@pytest.mark.parametrize("form", [{}, {"encoding_format": "float"}])
def test_embeddings_follow_from_the_text(client: openai.OpenAI, form: dict[str, Any]) -> None:
    reply = client.embeddings.create(model="e", input=["one", "two", "one"], dimensions=8, **form)
    one, two, again = (row.embedding for row in reply.data)
    assert one == again != two
    assert sum(value * value for value in one) == pytest.approx(1.0)
    assert reply.usage.prompt_tokens > 0


def test_a_response_has_text_and_usage(client: openai.OpenAI) -> None:
    reply = client.responses.create(model="m", input="Hello")
    assert reply.status == "completed"
    assert len(reply.output_text) == 8 * 4
    assert reply.usage is not None
    assert reply.usage.output_tokens == 8


def test_a_streamed_response_is_the_plain_one(client: openai.OpenAI) -> None:
    plain = client.responses.create(model="m", input="Hello", reasoning={"effort": "low"})
    with client.responses.stream(model="m", input="Hello", reasoning={"effort": "low"}) as events:
        numbers = [event.sequence_number for event in events]
        final = events.get_final_response()
    assert final.output_text == plain.output_text
    assert final.usage == plain.usage
    assert numbers == sorted(set(numbers))


def test_a_response_over_its_limit_is_incomplete(client: openai.OpenAI) -> None:
    reply = client.responses.create(model="m", input="Hello", max_output_tokens=2)
    assert reply.status == "incomplete"
    assert reply.incomplete_details is not None
    assert reply.incomplete_details.reason == "max_output_tokens"


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_calls_a_tool_and_reads_its_result(client: openai.OpenAI, stream: bool) -> None:
    text = "Use get_weather for Bonn"
    if stream:
        with client.responses.stream(model="m", input=text, tools=[RESPONSE_TOOL]) as events:
            output: list[Any] = list(events.get_final_response().output)
    else:
        output = list(client.responses.create(model="m", input=text, tools=[RESPONSE_TOOL]).output)
    call = output[0]
    assert (call.type, call.name) == ("function_call", "get_weather")
    assert list(json.loads(call.arguments)) == ["city"]
    # trap K10
    done = client.responses.create(
        model="m",
        previous_response_id="resp_1",
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "12 degrees"}],
        tools=[RESPONSE_TOOL],
    )
    assert done.output_text


def test_a_response_answers_in_the_schema_asked_for(client: openai.OpenAI) -> None:
    reply = client.responses.create(
        model="m",
        input="Label this",
        text={"format": {"type": "json_schema", "name": "l", "schema": SCHEMA}},
    )
    _fits(reply.output_text)


def test_models_are_listed(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["scripted-large", "scripted-small"]


def test_a_scripted_refusal_is_the_sdks_own_exception(client: openai.OpenAI) -> None:
    script = json.dumps({"status": 429, "headers": {"retry-after": "2"}, "error": {"code": "slow_down"}})
    with pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "x"}], extra_headers={"x-script": script}
        )
    assert caught.value.code == "slow_down"
    assert caught.value.response.headers["retry-after"] == "2"


def test_a_request_that_is_none_is_a_bad_request(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="empty"):
        client.chat.completions.create(model="m", messages=[])


def test_an_error_inside_a_stream_is_raised(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model='m#{"error_event_after": 3}', messages=[{"role": "user", "content": "x"}], stream=True
    )
    with pytest.raises(openai.APIError, match="scripted error"):
        list(stream)
