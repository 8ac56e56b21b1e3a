"""The real Anthropic SDK against a model that speaks OpenAI's chat completions (item 1)."""

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from tests.support.translating import Translating, translating
from tests.support.upstream import scripted_upstream
from tidegate.model import event as ev
from tidegate.wire.translate import ChatWriter

TOOL: Any = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


@pytest.fixture(scope="module")
def server() -> Iterator[Translating]:
    with scripted_upstream(output_tokens=8) as running, translating(running.base_url) as made:
        yield made


@pytest.fixture
def client(server: Translating) -> Iterator[anthropic.Anthropic]:
    server.written.clear()
    server.replies.clear()
    with anthropic.Anthropic(base_url=server.base_url, api_key="k", max_retries=0) as made:
        yield made


def ask(client: anthropic.Anthropic, content: Any = "Hello", **options: Any) -> Any:
    messages = options.pop("messages", [{"role": "user", "content": content}])
    return client.messages.create(**{"model": "m", "max_tokens": 4000, "messages": messages, **options})


def streamed(client: anthropic.Anthropic, content: Any = "Hello", **options: Any) -> Any:
    messages = options.pop("messages", [{"role": "user", "content": content}])
    with client.messages.stream(
        **{"model": "m", "max_tokens": 4000, "messages": messages, **options}
    ) as events:
        return events.get_final_message()


def sent(server: Translating) -> Any:
    return json.loads(server.written[-1].body)


def frames(*events: ev.Event) -> tuple[int, bytes]:
    writer = ChatWriter(created_s=1, asks_usage=True)
    return 200, b"".join(writer.event(event) for event in events)


@pytest.mark.parametrize("make", [ask, streamed])
def test_text_and_usage(client: anthropic.Anthropic, server: Translating, make: Any) -> None:
    message = make(client, system="Be kind.", extra_body={"temperature": 0.5})
    assert [block.type for block in message.content] == ["text"]
    assert len(message.content[0].text) == 8 * 4
    assert message.stop_reason == "end_turn"
    assert message.usage.output_tokens == 8
    assert message.usage.input_tokens > 0
    assert sent(server)["messages"][0] == {"role": "system", "content": "Be kind."}
    assert sent(server)["temperature"] == 0.5


@pytest.mark.parametrize("make", [ask, streamed])
def test_a_forced_tool_is_called_and_its_result_read(
    client: anthropic.Anthropic, server: Translating, make: Any
) -> None:
    message = make(client, tools=[TOOL], tool_choice={"type": "tool", "name": "get_weather"})
    call = message.content[-1]
    assert (message.stop_reason, call.type, call.name) == ("tool_use", "tool_use", "get_weather")
    assert list(call.input) == ["city"]
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "12 degrees"}
    done = make(
        client,
        tools=[TOOL],
        messages=[
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": message.content},
            {"role": "user", "content": [result]},
        ],
    )
    assert done.stop_reason == "end_turn"
    assert sent(server)["messages"][-1] == {
        "role": "tool",
        "tool_call_id": call.id,
        "content": "12 degrees",
    }


def test_parallel_calls_are_blocks_one_after_the_other(
    client: anthropic.Anthropic, server: Translating
) -> None:
    server.replies.append(
        frames(
            ev.Started("chatcmpl-1", "gpt"),
            ev.TextDelta("Two."),
            ev.ToolStarted(0, "call_a", "get_weather"),
            ev.ToolArguments(0, '{"city":'),
            ev.ToolArguments(0, '"Ulm"}'),
            ev.ToolStarted(1, "call.b|2", "get_weather"),
            ev.ToolArguments(1, '{"city":"Bonn"}'),
            ev.Finished("tool"),
            ev.Ended(),
        )
    )
    message = streamed(client, tools=[TOOL])
    assert [block.type for block in message.content] == ["text", "tool_use", "tool_use"]
    assert [block.input for block in message.content[1:]] == [{"city": "Ulm"}, {"city": "Bonn"}]
    assert message.content[2].id.replace("_", "").replace("-", "").isalnum()
    ask(
        client,
        messages=[
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": message.content},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": message.content[2].id}]},
        ],
    )
    assert sent(server)["messages"][1]["tool_calls"][1]["id"] == "call.b|2"


@pytest.mark.parametrize("make", [ask, streamed])
def test_the_answer_follows_a_schema(client: anthropic.Anthropic, server: Translating, make: Any) -> None:
    schema = {
        "type": "object",
        "properties": {"ok": {"type": "boolean"}},
        "required": ["ok"],
        "additionalProperties": False,
    }
    message = make(client, output_config={"format": {"type": "json_schema", "schema": schema}})
    assert isinstance(json.loads(message.content[0].text)["ok"], bool)
    assert sent(server)["response_format"]["json_schema"]["strict"] is True


def test_an_image_goes_over(client: anthropic.Anthropic, server: Translating) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo" * 40 + "="}
    message = ask(client, [{"type": "text", "text": "What?"}, {"type": "image", "source": source}])
    assert message.usage.input_tokens > 85
    url = sent(server)["messages"][0]["content"][1]["image_url"]["url"]
    assert url.startswith("data:image/png;base64,iVBOR")


@pytest.mark.parametrize("make", [ask, streamed])
def test_thinking_is_a_block_of_its_own(client: anthropic.Anthropic, server: Translating, make: Any) -> None:
    if make is streamed:
        server.replies.append(
            frames(
                ev.Started("chatcmpl-1", "gpt"),
                ev.ThinkingDelta("Let me "),
                ev.ThinkingDelta("see."),
                ev.TextDelta("Done."),
                ev.Finished("stop"),
                ev.Ended(),
            )
        )
    else:
        message = {"role": "assistant", "reasoning_content": "Let me see.", "content": "Done."}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        server.replies.append((200, json.dumps({"id": "c", "model": "gpt", "choices": [choice]}).encode()))
    got = make(client, thinking={"type": "enabled", "budget_tokens": 2000})
    assert sent(server)["reasoning_effort"] == "medium"
    assert [block.type for block in got.content] == ["thinking", "text"]
    assert (got.content[0].thinking, got.content[1].text) == ("Let me see.", "Done.")


@pytest.mark.parametrize("make", [ask, streamed])
def test_a_refusal_ends_as_one(client: anthropic.Anthropic, server: Translating, make: Any) -> None:
    if make is streamed:
        server.replies.append(
            frames(ev.Started("c", "gpt"), ev.RefusalDelta("I will not."), ev.Finished("refusal"), ev.Ended())
        )
    else:
        message = {"role": "assistant", "refusal": "I will not.", "content": None}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        server.replies.append((200, json.dumps({"id": "c", "model": "gpt", "choices": [choice]}).encode()))
    got = make(client)
    assert (got.stop_reason, got.content[0].text) == ("refusal", "I will not.")


def test_an_error_inside_a_stream_is_raised(client: anthropic.Anthropic, server: Translating) -> None:
    # trap S12
    status, start = frames(ev.Started("c", "gpt"), ev.TextDelta("Hal"))
    error = b'data: {"error":{"message":"The server is overloaded","type":"server_error"}}\n\n'
    server.replies.append((status, start + error))
    with pytest.raises(anthropic.APIStatusError, match="overloaded"):
        streamed(client)


def test_a_refused_request_is_the_sdks_own_error(client: anthropic.Anthropic, server: Translating) -> None:
    error = {"error": {"message": "maximum context length is 8", "code": "context_length_exceeded"}}
    server.replies.append((400, json.dumps(error).encode()))
    with pytest.raises(anthropic.BadRequestError, match="maximum context length"):
        ask(client)


def test_what_cannot_be_said_is_named_or_dropped(client: anthropic.Anthropic, server: Translating) -> None:
    with pytest.raises(anthropic.BadRequestError, match="top_k"):
        ask(client, extra_body={"top_k": 5})
    assert not server.written
    ask(client, extra_body={"top_k": 5}, extra_headers={"tidegate-drop-unsupported": "true"})
    assert server.written[-1].dropped == ("top_k",)
