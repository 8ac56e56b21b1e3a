"""Clients of OpenAI's Responses, answered by providers of chat and of messages (trap K10)."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types.responses import Response

from tests.acceptance.conftest import Stage
from tests.acceptance.test_clients import forwarded
from tests.acceptance.test_openai_sdk import last_row

MODELS = ("local", "claude-x")
WEATHER = 'Weather? [[script {"tool_call": {"name": "get_weather"}}]]'
TOOL: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "Weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}


@pytest.fixture(scope="module")
def client(stage: Stage) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{stage.base_url}/v1", api_key=stage.key, max_retries=0) as made:
        yield made


def called(response: Response) -> Any:
    (call,) = [item for item in response.output if item.type == "function_call"]
    return call


def asked_for_weather(client: OpenAI, model: str, *, stream: bool) -> Response:
    if not stream:
        return client.responses.create(model=model, input=WEATHER, tools=[TOOL])
    with client.responses.stream(model=model, input=WEATHER, tools=[TOOL]) as events:
        return events.get_final_response()


def output_of(call: Any) -> Any:
    return [{"type": "function_call_output", "call_id": call.call_id, "output": "17 degrees"}]


@pytest.mark.parametrize("model", MODELS)
def test_a_plain_answer_is_recorded_as_the_provider_counted_it(
    client: OpenAI, stage: Stage, model: str
) -> None:
    raw = client.responses.with_raw_response.create(
        model=model, input="hello", instructions="Be short.", max_output_tokens=60
    )
    answer = raw.parse()
    assert answer.status == "completed"
    assert answer.output_text
    assert answer.usage is not None
    assert "Be short." in json.dumps(forwarded(stage)["body"])
    row = last_row(stage, raw.headers["tidegate-request-id"])
    assert (row["outcome"], row["usage_source"]) == ("ok", "provider")
    assert (row["input_uncached"], row["output_text"]) == (
        answer.usage.input_tokens,
        answer.usage.output_tokens,
    )


@pytest.mark.parametrize("model", MODELS)
def test_a_stream_says_what_a_plain_answer_says(client: OpenAI, model: str) -> None:
    with client.responses.stream(model=model, input="hello") as events:
        text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        final = events.get_final_response()
    assert text
    assert final.output_text == text
    assert final.usage is not None
    assert final.usage.output_tokens > 0


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_the_result_of_a_tool_alone_goes_on(
    client: OpenAI, stage: Stage, model: str, *, stream: bool
) -> None:
    first = asked_for_weather(client, model, stream=stream)
    call = called(first)
    second = client.responses.create(
        model=model, previous_response_id=first.id, input=output_of(call), tools=[TOOL]
    )
    assert second.output_text
    assert second.previous_response_id == first.id
    sent = forwarded(stage)["body"]["messages"]
    assert [turn["role"] for turn in sent] == (
        ["user", "assistant", "tool"] if model == "local" else ["user", "assistant", "user"]
    )
    assert "Weather?" in json.dumps(sent[0])
    assert call.call_id in json.dumps(sent[1])
    assert "17 degrees" in json.dumps(sent[2])
    third = client.responses.create(model=model, previous_response_id=second.id, input="And tomorrow?")
    assert third.output_text
    assert len(forwarded(stage)["body"]["messages"]) == 5


def test_what_came_before_is_held_for(client: OpenAI, stage: Stage) -> None:
    first = client.responses.create(model="local", input="a long story " * 500)
    raw = client.responses.with_raw_response.create(model="local", previous_response_id=first.id, input="on")
    row = last_row(stage, raw.headers["tidegate-request-id"])
    assert first.usage is not None
    assert int(row["hold_input_tokens"]) >= first.usage.input_tokens  # type: ignore[call-overload]


@pytest.mark.parametrize("model", MODELS)
def test_what_is_not_kept_is_refused_by_name(client: OpenAI, stage: Stage, model: str) -> None:
    unstored = client.responses.create(model=model, input="hello", store=False)
    stored = client.responses.create(model=model, input="hello")
    other = OpenAI(base_url=f"{stage.base_url}/v1", api_key=stage.served.key(tenant="globex"), max_retries=0)
    for asking, response_id in ((client, "resp_unknown"), (client, unstored.id), (other, stored.id)):
        with pytest.raises(openai.BadRequestError) as caught:
            asking.responses.create(model=model, previous_response_id=response_id, input="on")
        assert caught.value.code == "previous_response_not_found"
        assert caught.value.param == "previous_response_id"


def test_a_hosted_tool_is_refused_by_its_path_and_dropped_by_leave(client: OpenAI) -> None:
    asked: Any = {"model": "local", "input": "hello", "tools": [TOOL, {"type": "web_search"}]}
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(**asked)
    assert caught.value.param == "tools[1]"
    answer = client.responses.create(**asked, extra_headers={"tidegate-drop-unsupported": "true"})
    assert answer.output_text
