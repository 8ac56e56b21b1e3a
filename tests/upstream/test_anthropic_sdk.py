"""The real anthropic SDK reads everything the scripted provider says."""

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from tests.support.upstream import scripted_upstream

TOOL: Any = {
    "name": "get_weather",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


@pytest.fixture(scope="module")
def client() -> Iterator[anthropic.Anthropic]:
    with (
        scripted_upstream(output_tokens=8) as running,
        anthropic.Anthropic(base_url=running.base_url, api_key="k", max_retries=0) as made,
    ):
        yield made


def ask(client: anthropic.Anthropic, content: Any = "Hello", **options: Any) -> anthropic.types.Message:
    message: anthropic.types.Message = client.messages.create(
        **{"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": content}], **options}
    )
    return message


def streamed(client: anthropic.Anthropic, content: Any = "Hello", **options: Any) -> anthropic.types.Message:
    with client.messages.stream(
        **{"model": "m", "max_tokens": 100, "messages": [{"role": "user", "content": content}], **options}
    ) as events:
        final: anthropic.types.Message = events.get_final_message()
    return final


def test_a_message_has_text_and_usage(client: anthropic.Anthropic) -> None:
    message = ask(client)
    block = message.content[0]
    assert block.type == "text"
    assert len(block.text) == 8 * 4
    assert message.stop_reason == "end_turn"
    assert (message.usage.output_tokens, message.usage.cache_read_input_tokens) == (8, 0)
    assert message.usage.input_tokens > 0


def test_a_streamed_message_is_the_plain_one(client: anthropic.Anthropic) -> None:
    plain, stream = ask(client), streamed(client)
    assert [block.text for block in stream.content if block.type == "text"] == [
        block.text for block in plain.content if block.type == "text"
    ]
    assert stream.usage.output_tokens == plain.usage.output_tokens
    assert stream.usage.input_tokens == plain.usage.input_tokens


def test_the_output_limit_ends_the_text(client: anthropic.Anthropic) -> None:
    assert ask(client, max_tokens=3).stop_reason == "max_tokens"


@pytest.mark.parametrize("make", [ask, streamed])
def test_a_message_calls_a_tool_and_reads_its_result(client: anthropic.Anthropic, make: Any) -> None:
    message = make(client, "Hello", tools=[TOOL], tool_choice={"type": "tool", "name": "get_weather"})
    assert message.stop_reason == "tool_use"
    call = message.content[0]
    assert (call.type, call.name) == ("tool_use", "get_weather")
    assert list(call.input) == ["city"]
    done = client.messages.create(
        model="m",
        max_tokens=100,
        tools=[TOOL],
        messages=[
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": message.content},
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "12 degrees"}],
            },
        ],
    )
    assert done.stop_reason == "end_turn"


@pytest.mark.parametrize("make", [ask, streamed])
def test_thinking_comes_as_a_block_of_its_own_when_asked_for(client: anthropic.Anthropic, make: Any) -> None:
    message = make(client, max_tokens=2000, thinking={"type": "enabled", "budget_tokens": 1024})
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert message.content[0].signature
    assert message.usage.output_tokens == 8 + 16


def test_an_image_is_accepted(client: anthropic.Anthropic) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo" * 40 + "="}
    message = ask(client, [{"type": "text", "text": "What?"}, {"type": "image", "source": source}])
    assert 85 < message.usage.input_tokens < 85 + 60


def test_a_message_answers_in_the_schema_asked_for(client: anthropic.Anthropic) -> None:
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    message = ask(client, output_config={"format": {"type": "json_schema", "schema": schema}})
    block = message.content[0]
    assert block.type == "text"
    assert isinstance(json.loads(block.text)["ok"], bool)


def test_a_marked_prefix_is_written_once_and_then_read_apart(
    client: anthropic.Anthropic,
) -> None:
    system = [{"type": "text", "text": "Be careful. " * 900, "cache_control": {"type": "ephemeral"}}]
    first, second = ask(client, "one", system=system).usage, ask(client, "two", system=system).usage
    assert (first.cache_creation_input_tokens, first.cache_read_input_tokens) == (2048, 0)
    assert (second.cache_creation_input_tokens, second.cache_read_input_tokens) == (0, 2048)
    assert second.input_tokens < 2048


def test_tokens_are_counted_as_a_message_counts_them(client: anthropic.Anthropic) -> None:
    counted = client.messages.count_tokens(model="m", messages=[{"role": "user", "content": "Hello"}])
    assert counted.input_tokens == ask(client).usage.input_tokens


def test_models_are_listed_in_the_dialect_of_the_caller(client: anthropic.Anthropic) -> None:
    # trap K3
    assert [model.id for model in client.models.list()] == ["scripted-large", "scripted-small"]


def test_a_scripted_refusal_is_the_sdks_own_exception(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.APIStatusError) as caught:
        ask(client, '[[script {"status": 529}]]')
    assert caught.value.status_code == 529
    assert caught.value.body["error"]["type"] == "overloaded_error"  # type: ignore[index]


def test_an_error_inside_a_stream_is_raised(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.APIStatusError, match="scripted error"):
        streamed(client, model='m#{"error_event_after": 3}')


def test_an_output_limit_is_demanded(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError, match="max_tokens"):
        client.post("/v1/messages", body={"model": "m", "messages": [{"role": "user"}]}, cast_to=object)
