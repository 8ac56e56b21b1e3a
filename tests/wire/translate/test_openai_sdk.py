"""The real OpenAI SDK against a model that speaks Anthropic's messages (real-client test, item 1)."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.support.translating import Translating, translating
from tests.support.upstream import scripted_upstream
from tidegate.model import event as ev
from tidegate.wire.translate import MessagesWriter

TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}
PNG = "data:image/png;base64," + "iVBORw0KGgo" * 40 + "="


class Verdict(BaseModel):
    ok: bool


@pytest.fixture(scope="module")
def server() -> Iterator[Translating]:
    with scripted_upstream(output_tokens=8) as running, translating(running.base_url) as made:
        yield made


@pytest.fixture
def client(server: Translating) -> Iterator[openai.OpenAI]:
    server.written.clear()
    server.replies.clear()
    with openai.OpenAI(base_url=f"{server.base_url}/v1", api_key="k", max_retries=0) as made:
        yield made


def ask(client: openai.OpenAI, content: Any = "Hello", **options: Any) -> Any:
    messages = options.pop("messages", [{"role": "user", "content": content}])
    return client.chat.completions.create(
        **{"model": "m", "messages": messages, "max_completion_tokens": 4000, **options}
    )


def streamed(client: openai.OpenAI, content: Any = "Hello", **options: Any) -> Any:
    messages = options.pop("messages", [{"role": "user", "content": content}])
    usage = {"stream_options": {"include_usage": True}}
    with client.chat.completions.stream(
        **{"model": "m", "messages": messages, "max_completion_tokens": 4000, **usage, **options}
    ) as events:
        return events.get_final_completion()


def sent(server: Translating) -> Any:
    return json.loads(server.written[-1].body)


def frames(*events: ev.Event) -> tuple[int, bytes]:
    writer = MessagesWriter()
    return 200, b"".join(writer.event(event) for event in events)


@pytest.mark.parametrize("make", [ask, streamed])
def test_text_and_usage(client: openai.OpenAI, server: Translating, make: Any) -> None:
    done = make(
        client, messages=[{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"}]
    )
    choice = done.choices[0]
    assert len(choice.message.content) == 8 * 4
    assert (choice.finish_reason, choice.message.role) == ("stop", "assistant")
    assert done.usage.completion_tokens == 8
    assert done.usage.total_tokens == done.usage.prompt_tokens + 8
    assert sent(server)["system"] == "Be kind."


@pytest.mark.parametrize("make", [ask, streamed])
def test_a_forced_tool_is_called_and_its_result_read(
    client: openai.OpenAI, server: Translating, make: Any
) -> None:
    choice = {"type": "function", "function": {"name": "get_weather"}}
    first = make(client, tools=[TOOL], tool_choice=choice).choices[0]
    call = first.message.tool_calls[0]
    assert (first.finish_reason, call.function.name) == ("tool_calls", "get_weather")
    assert list(json.loads(call.function.arguments)) == ["city"]
    messages = [
        {"role": "user", "content": "Hello"},
        first.message.model_dump(exclude_none=True, exclude={"parsed"}),
        {"role": "tool", "tool_call_id": call.id, "content": "12 degrees"},
    ]
    again = make(client, messages=messages, tools=[TOOL]).choices[0]
    assert again.finish_reason == "stop"
    result = sent(server)["messages"][-1]["content"][0]
    assert (result["tool_use_id"], result["content"]) == (call.id, "12 degrees")


def test_parallel_calls_stream_each_to_its_own_index(client: openai.OpenAI, server: Translating) -> None:
    server.replies.append(
        frames(
            ev.Started("msg_1", "claude"),
            ev.TextDelta("Two."),
            ev.ToolStarted(0, "toolu_a", "get_weather"),
            ev.ToolArguments(0, '{"city":'),
            ev.ToolArguments(0, '"Ulm"}'),
            ev.BlockEnded(0),
            ev.ToolStarted(1, "toolu_b", "get_weather"),
            ev.ToolArguments(1, '{"city":"Bonn"}'),
            ev.BlockEnded(1),
            ev.Finished("tool"),
            ev.Ended(),
        )
    )
    message = streamed(client, tools=[TOOL]).choices[0].message
    assert message.content == "Two."
    calls = [(call.id, call.function.parsed_arguments) for call in message.tool_calls]
    assert calls == [("toolu_a", {"city": "Ulm"}), ("toolu_b", {"city": "Bonn"})]


@pytest.mark.parametrize("make", [ask, streamed])
def test_the_answer_follows_a_schema(client: openai.OpenAI, server: Translating, make: Any) -> None:
    if make is streamed:
        message = streamed(client, response_format=Verdict).choices[0].message
    else:
        message = (
            client.chat.completions.parse(
                model="m", messages=[{"role": "user", "content": "Hi"}], response_format=Verdict
            )
            .choices[0]
            .message
        )
    assert isinstance(message.parsed, Verdict)
    assert sent(server)["output_config"]["format"]["type"] == "json_schema"


def test_an_image_goes_over(client: openai.OpenAI, server: Translating) -> None:
    done = ask(
        client,
        [{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": PNG}}],
    )
    assert done.usage.prompt_tokens > 85
    source = sent(server)["messages"][0]["content"][1]["source"]
    assert (source["type"], source["media_type"]) == ("base64", "image/png")


@pytest.mark.parametrize("make", [ask, streamed])
def test_thinking_is_shown_and_kept_for_the_call_it_led_to(
    client: openai.OpenAI, server: Translating, make: Any
) -> None:
    # trap S11
    server.traits = type(server.traits)(prefill="plain", thinking="budget")
    options: Any = {"tools": [TOOL], "reasoning_effort": "low"}
    message = make(client, "Use get_weather.", **options).choices[0].message
    assert sent(server)["thinking"] == {"type": "enabled", "budget_tokens": 1024}
    assert message.reasoning_content
    call = message.tool_calls[0]
    kept = server.kept[call.id]
    make(
        client,
        messages=[
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "tool_calls": [call.model_dump(exclude={"index"}, exclude_none=True)]},
            {"role": "tool", "tool_call_id": call.id, "content": "12"},
        ],
        **options,
    )
    block = sent(server)["messages"][1]["content"][0]
    assert (block["type"], block["signature"]) == ("thinking", getattr(kept[0], "signature", None))
    assert sent(server)["thinking"]["type"] == "enabled"


@pytest.mark.parametrize("make", [ask, streamed])
def test_a_refusal_is_a_refusal(client: openai.OpenAI, server: Translating, make: Any) -> None:
    refused = ev.Finished("refusal", explanation="This could do harm.")
    events = (ev.Started("msg_1", "claude"), refused, ev.Ended())
    if make is streamed:
        server.replies.append(frames(*events))
    else:
        body: Any = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude",
            "content": [],
            "stop_reason": "refusal",
            "stop_sequence": None,
            "stop_details": {"type": "refusal", "category": "cyber", "explanation": "This could do harm."},
            "usage": {"input_tokens": 3, "output_tokens": 0},
        }
        server.replies.append((200, json.dumps(body).encode()))
    message = make(client).choices[0].message
    assert message.refusal == "This could do harm."
    assert not message.content


def test_an_error_inside_a_stream_is_raised(client: openai.OpenAI, server: Translating) -> None:
    # trap S12
    error = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
    status, start = frames(ev.Started("msg_1", "claude"), ev.TextDelta("Hal"))
    server.replies.append((status, start + b"event: error\ndata: " + error + b"\n\n"))
    with pytest.raises(openai.APIError, match="Overloaded") as raised:
        streamed(client)
    assert raised.value.code == "overloaded_error"


def test_a_refused_request_is_the_sdks_own_error(client: openai.OpenAI, server: Translating) -> None:
    error = b'{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long"}}'
    server.replies.append((400, error))
    with pytest.raises(openai.BadRequestError, match="prompt is too long"):
        ask(client)


def test_what_cannot_be_said_is_named_or_dropped(client: openai.OpenAI, server: Translating) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        ask(client, seed=7)
    assert raised.value.param == "seed"
    assert not server.written
    ask(client, seed=7, extra_headers={"tidegate-drop-unsupported": "true"})
    assert server.written[-1].dropped == ("seed",)
