"""The real OpenAI SDK's Responses against a model that speaks chat, and one that speaks messages."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.support.translating import Translating, translating
from tests.support.upstream import scripted_upstream
from tidegate.model import event as ev
from tidegate.model.reply import ErrorFacts
from tidegate.wire.translate import ChatWriter, MessagesWriter

TOOL: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
FORCED: Any = {"tools": [TOOL], "tool_choice": {"type": "function", "name": "get_weather"}}


class Verdict(BaseModel):
    ok: bool


@pytest.fixture(scope="module")
def running() -> Iterator[Translating]:
    with scripted_upstream(output_tokens=8) as upstream, translating(upstream.base_url) as made:
        yield made


@pytest.fixture(params=["chat", "messages"])
def server(request: pytest.FixtureRequest, running: Translating) -> Translating:
    running.by_chat = request.param == "chat"
    running.written.clear()
    running.replies.clear()
    running.turns.clear()
    return running


@pytest.fixture
def client(server: Translating) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.base_url}/v1", api_key="k", max_retries=0) as made:
        yield made


def ask(client: openai.OpenAI, given: Any = "Hello", **options: Any) -> Any:
    return client.responses.create(**{"model": "m", "input": given, "max_output_tokens": 4000, **options})


def folded(client: openai.OpenAI, given: Any = "Hello", **options: Any) -> Any:
    """What the SDK's own helper folds the stream into."""
    with client.responses.stream(
        **{"model": "m", "input": given, "max_output_tokens": 4000, **options}
    ) as events:
        for _ in events:
            pass
        return events.get_final_response()


def raw(client: openai.OpenAI, given: Any = "Hello", **options: Any) -> Any:
    """The last response of the plain stream, whose events the SDK only types."""
    events = list(ask(client, given, stream=True, **options))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    return events[-1].response


def sent(server: Translating) -> Any:
    return json.loads(server.written[-1].body)


def scripted(server: Translating, *events: ev.Event) -> None:
    writer = ChatWriter(created_s=1, asks_usage=True) if server.by_chat else MessagesWriter()
    server.replies.append((200, b"".join(writer.event(event) for event in events)))


@pytest.mark.parametrize("make", [ask, folded, raw])
def test_text_and_usage(client: openai.OpenAI, server: Translating, make: Any) -> None:
    done = make(client, instructions="Be kind.", metadata={"team": "a"})
    assert done.id == "resp_1"
    assert len(done.output_text) == 8 * 4
    assert (done.status, done.instructions, done.metadata) == ("completed", "Be kind.", {"team": "a"})
    assert done.usage.output_tokens == 8
    assert done.usage.total_tokens == done.usage.input_tokens + 8
    assert done.usage.input_tokens_details.cached_tokens is not None


@pytest.mark.parametrize("make", [ask, folded, raw])
def test_a_call_is_answered_with_its_result_alone(
    client: openai.OpenAI, server: Translating, make: Any
) -> None:
    # trap K10
    first = make(client, **FORCED)
    call = next(item for item in first.output if item.type == "function_call")
    assert (call.name, list(json.loads(call.arguments))) == ("get_weather", ["city"])
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "12 degrees"}
    again = make(client, [result], tools=[TOOL], previous_response_id=first.id)
    assert again.previous_response_id == first.id
    assert again.output_text
    messages = sent(server)["messages"]
    assert [message["role"] for message in messages][:2] == ["user", "assistant"]
    assert messages[0]["content"] == "Hello"
    assert "12 degrees" in json.dumps(messages[2])


@pytest.mark.parametrize("make", [ask, folded, raw])
def test_the_whole_conversation_may_be_sent_back(
    client: openai.OpenAI, server: Translating, make: Any
) -> None:
    first = make(client, store=False, include=["reasoning.encrypted_content"], **FORCED)
    call = next(item for item in first.output if item.type == "function_call")
    given = [
        {"role": "user", "content": "Hello"},
        *(item.to_dict(exclude_none=True) for item in first.output),
        {"type": "function_call_output", "call_id": call.call_id, "output": "12 degrees"},
    ]
    for item in given:
        item.pop("parsed_arguments", None)
    assert make(client, given, tools=[TOOL], store=False).status == "completed"
    assert server.written[-1].dropped == ()


def test_calls_that_grow_in_turns_are_told_apart(client: openai.OpenAI, server: Translating) -> None:
    # trap S10
    scripted(
        server,
        ev.Started("x", "m"),
        ev.TextDelta("Two."),
        ev.BlockEnded(),
        ev.ToolStarted(0, "call_a", "get_weather"),
        ev.ToolArguments(0, '{"city":'),
        ev.ToolArguments(0, '"Ulm"}'),
        ev.BlockEnded(0),
        ev.ToolStarted(1, "call_b", "get_weather"),
        ev.ToolArguments(1, '{"city":"Bonn"}'),
        ev.BlockEnded(1),
        ev.Finished("tool"),
        ev.Ended(),
    )
    done = folded(client, tools=[TOOL])
    assert done.output_text == "Two."
    calls = [item for item in done.output if item.type == "function_call"]
    assert [(call.call_id, call.parsed_arguments) for call in calls] == [
        ("call_a", {"city": "Ulm"}),
        ("call_b", {"city": "Bonn"}),
    ]
    assert len({item.id for item in done.output}) == 3


@pytest.mark.parametrize("way", ["parse", "stream"])
def test_the_answer_follows_a_schema(client: openai.OpenAI, server: Translating, way: str) -> None:
    if way == "stream":
        done = folded(client, text_format=Verdict)
    else:
        done = client.responses.parse(model="m", input="Hi", text_format=Verdict)
    assert isinstance(done.output_parsed, Verdict)


@pytest.mark.parametrize("make", [ask, folded, raw])
def test_thinking_comes_back_signed_with_the_items(running: Translating, make: Any) -> None:
    # trap S11
    running.by_chat, running.traits = False, type(running.traits)(prefill="plain", thinking="budget")
    running.written.clear()
    running.kept.clear()
    with openai.OpenAI(base_url=f"{running.base_url}/v1", api_key="k", max_retries=0) as client:
        options: Any = {"tools": [TOOL], "reasoning": {"effort": "low", "summary": "auto"}, "store": False}
        first = make(client, "Use get_weather.", **options)
        kinds = [item.type for item in first.output]
        assert kinds[0] == "reasoning"
        assert first.output[0].summary[0].text
        call = next(item for item in first.output if item.type == "function_call")
        result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "12"}
        items = [item.to_dict(exclude_none=True) for item in first.output]
        for item in items:
            item.pop("parsed_arguments", None)
        make(client, [{"role": "user", "content": "Use get_weather."}, *items, result], **options)
    block = sent(running)["messages"][1]["content"][0]
    assert block["type"] == "thinking"
    assert block["thinking"] == first.output[0].summary[0].text
    assert f"tidegate.signed:{block['signature']}" == first.output[0].encrypted_content
    assert sent(running)["thinking"]["type"] == "enabled"


def test_a_refusal_is_a_refusal(client: openai.OpenAI, server: Translating) -> None:
    if server.by_chat:
        words: list[ev.Event] = [ev.RefusalDelta("No "), ev.RefusalDelta("way."), ev.Finished("refusal")]
    else:
        words = [ev.Finished("refusal", explanation="No way.")]
    scripted(server, ev.Started("x", "m"), *words, ev.Ended())
    done = folded(client)
    assert done.status == "completed"
    assert done.output[0].content[0].refusal == "No way."


def test_an_answer_that_was_cut_is_incomplete(client: openai.OpenAI, server: Translating) -> None:
    # trap S6
    scripted(server, ev.Started("x", "m"), ev.TextDelta("Hal"), ev.Finished("length"), ev.Ended())
    done = raw(client)
    assert (done.status, done.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert (done.output[0].status, done.output_text) == ("incomplete", "Hal")


@pytest.mark.parametrize("make", [folded, raw])
def test_an_error_inside_a_stream_is_raised(client: openai.OpenAI, server: Translating, make: Any) -> None:
    # trap S12
    failed = ev.Failed(ErrorFacts(type="overloaded_error", message="Overloaded"))
    scripted(server, ev.Started("x", "m"), ev.TextDelta("Hal"), failed)
    with pytest.raises(openai.APIError, match="Overloaded") as raised:
        make(client)
    assert raised.value.code == "overloaded_error"


def test_a_refused_request_is_the_sdks_own_error(client: openai.OpenAI, server: Translating) -> None:
    error: Any = {"type": "invalid_request_error", "message": "prompt is too long"}
    server.replies.append((400, json.dumps({"type": "error", "error": error}).encode()))
    with pytest.raises(openai.BadRequestError, match="prompt is too long"):
        ask(client)


def test_what_cannot_be_said_is_named(client: openai.OpenAI, server: Translating) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        ask(client, tools=[{"type": "web_search"}])
    assert raised.value.param == "tools[0]"
    assert not server.written
