"""What a Responses request means in the other dialects, beside what the golden files hold."""

import json
from typing import Any

import pytest

from tests.support.translation import ABLE, HI, asked_of, said
from tidegate.model import event as ev
from tidegate.model.message import Image, Message, RedactedThinking, TargetTraits, Text, Thinking, ToolUse
from tidegate.model.reply import ErrorFacts
from tidegate.wire.body import Body
from tidegate.wire.translate import (
    Echo,
    ResponsesWriter,
    continued,
    echo_of,
    fold,
    plain_response,
    responses_error,
    write_chat,
    write_messages,
)
from tidegate.wire.translate.responses_request_read import read_responses

FUNCTION: Any = {"type": "function", "name": "f", "parameters": {"type": "object"}}
CALL: Any = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": '{"a":1}'}
RESULT: Any = {"type": "function_call_output", "call_id": "call_1", "output": "12"}
ANSWER = (Thinking(text="Hm.", signature="sig"), ToolUse(id="call_1", name="f", arguments='{"a":1}'))


def echo(**fields: Any) -> Echo:
    return echo_of(Body.parse(json.dumps({"model": "m", "input": "Hi"} | fields).encode()))


def plain(*events: ev.Event, **fields: Any) -> Any:
    reply = fold([ev.Started("x", "claude"), *events, ev.Ended()])
    return json.loads(plain_response(reply, created_s=9, response_id="resp_1", request=echo(**fields)))


def second_call() -> Any:
    """The second call of a framework: a result alone, and the response it belongs to (trap K10)."""
    first = asked_of(input="How warm?", instructions="Be brief.", tools=[FUNCTION])
    earlier = (*first.turns, Message(role="assistant", parts=ANSWER))
    second = asked_of(
        input=[RESULT], instructions="Be long.", tools=[FUNCTION], previous_response_id="resp_1"
    )
    assert second.previous_id == "resp_1"
    return continued(second, earlier)


def test_a_chat_request_goes_on_from_an_earlier_response() -> None:
    # trap K10
    messages = said(write_chat(second_call(), ABLE, model="b"))["messages"]
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "tool"]
    assert messages[0]["content"] == "Be long."
    assert messages[2]["tool_calls"][0]["id"] == messages[3]["tool_call_id"] == "call_1"


def test_a_messages_request_goes_on_from_an_earlier_response() -> None:
    # traps K10, S11
    body = said(write_messages(second_call(), ABLE, model="b"))
    assert body["system"] == "Be long."
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]
    thinking, call = body["messages"][1]["content"]
    assert (thinking["signature"], call["id"]) == ("sig", "call_1")
    assert body["messages"][2]["content"][0]["tool_use_id"] == "call_1"


def test_all_turns_but_the_instructions_are_remembered() -> None:
    # trap K10
    developer = {"role": "developer", "content": "In German."}
    first = asked_of(input=[developer, *HI], instructions="Be brief.")
    assert [text.text for text in first.conversation.system] == ["Be brief.", "In German."]
    assert [turn.role for turn in first.turns] == ["system", "user"]
    later = asked_of(input="And now?", instructions="Be long.", previous_response_id="resp_1")
    asked = continued(later, (*first.turns, Message(role="assistant", parts=(Text(text="So."),))))
    assert [text.text for text in asked.conversation.system] == ["Be long.", "In German."]
    assert [turn.role for turn in asked.turns] == ["system", "user", "assistant", "user"]
    again = continued(asked_of(input=[developer, *HI], instructions="X"), asked.turns)
    assert [text.text for text in again.conversation.system] == ["X", "In German."]
    assert [turn.role for turn in again.conversation.messages][-2:] == ["system", "user"]


def test_what_an_earlier_request_said_is_refused_by_the_field_that_names_it() -> None:
    earlier = [Message(role="user", parts=(Image(url="https://x/a.png", at="input[0].content[0]"),))]
    asked = continued(asked_of(previous_response_id="resp_1"), earlier)
    written = write_chat(asked, TargetTraits(images=False), model="b", drop_unsupported=True)
    assert written.dropped == ("previous_response_id",)


def test_a_request_may_go_on_without_an_input() -> None:
    asked = read_responses(Body.parse(b'{"model":"m","previous_response_id":"resp_1"}'))
    assert asked.turns == ()


def test_what_a_model_gave_in_several_items_is_one_turn() -> None:
    items = [
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Wait."}]},
        CALL,
        CALL | {"call_id": "call_2"},
        RESULT,
        RESULT | {"call_id": "call_2"},
    ]
    turns = asked_of(input=[*HI, *items]).turns
    assert [(turn.role, len(turn.parts), turn.at) for turn in turns] == [
        ("user", 1, "input[0]"),
        ("assistant", 4, "input[1]"),
        ("user", 2, "input[5]"),
    ]


def test_thinking_comes_back_as_its_provider_signed_it() -> None:
    # trap S11
    output = plain(
        ev.ThinkingDelta("Hm."),
        ev.ThinkingSignature("sig+/="),
        ev.BlockEnded(),
        ev.RedactedThinkingSeen("secret"),
        ev.ToolStarted(0, "call_1", "f"),
        ev.Finished("tool"),
    )["output"]
    assert [item["type"] for item in output] == ["reasoning", "reasoning", "function_call"]
    turns = asked_of(input=[*HI, *output, RESULT]).turns
    thinking, redacted, call = turns[1].parts
    assert thinking == Thinking(text="Hm.", signature="sig+/=", at="input[1]")
    assert redacted == RedactedThinking(data="secret", at="input[2]")
    assert isinstance(call, ToolUse)


def test_thinking_of_another_gateway_is_no_ones() -> None:
    item = {"type": "reasoning", "summary": [{"text": "Hm."}], "encrypted_content": "gAAAA"}
    asked = asked_of(input=[*HI, item, *HI])
    assert asked.turns[1].parts == (Thinking(text="Hm.", at="input[1]"),)
    assert asked.ignored == ("input[1].encrypted_content",)


def test_a_models_own_words_stand_where_there_is_no_summary() -> None:
    item = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]}
    assert asked_of(input=[*HI, item, *HI]).turns[1].parts == (Thinking(text="Hm.", at="input[1]"),)


NAMESPACES: Any = [
    {
        "type": "namespace",
        "name": "crm",
        "description": "Customers.",
        "tools": [FUNCTION, FUNCTION | {"name": "g"}],
    },
    {"type": "namespace", "name": "erp", "tools": [FUNCTION]},
]


def test_functions_of_a_namespace_go_over_by_flat_names_and_come_back() -> None:
    # trap K7
    asked = asked_of(tools=NAMESPACES, input=[*HI, CALL | {"namespace": "erp"}, RESULT])
    tools = said(write_chat(asked, ABLE, model="b"))["tools"]
    assert [tool["function"]["name"] for tool in tools] == ["crm__f", "g", "erp__f"]
    assert [tool["function"].get("description") for tool in tools] == ["Customers.", "Customers.", None]
    assert [part.name for part in asked.turns[1].parts if isinstance(part, ToolUse)] == ["erp__f"]
    called = plain(
        ev.ToolStarted(0, "a", "erp__f"), ev.ToolStarted(1, "b", "g"), ev.Finished("tool"), tools=NAMESPACES
    )["output"]
    assert [(item["namespace"], item["name"]) for item in called] == [("erp", "f"), ("crm", "g")]


def test_a_call_of_a_namespace_that_is_gone_keeps_its_name() -> None:
    asked = asked_of(input=[*HI, CALL | {"namespace": "f"}, RESULT])
    assert asked.ignored == ("input[1].namespace",)
    assert [part.name for part in asked.turns[1].parts if isinstance(part, ToolUse)] == ["f"]


def test_a_deferred_tool_stays_out_until_it_was_called() -> None:
    # trap K5
    deferred = FUNCTION | {"defer_loading": True}
    for write in (write_chat, write_messages):
        assert "tools" not in said(write(asked_of(tools=[deferred]), ABLE, model="b"))
        called = asked_of(tools=[deferred], input=[*HI, CALL, RESULT])
        assert len(said(write(called, ABLE, model="b"))["tools"]) == 1
        later = continued(asked_of(tools=[deferred], input=[RESULT]), called.turns[:2])
        assert len(said(write(later, ABLE, model="b"))["tools"]) == 1


def test_a_field_that_the_model_refuses_has_the_clients_name() -> None:
    refuses = TargetTraits(refuses=frozenset({"max_completion_tokens", "response_format"}))
    written = write_chat(
        asked_of(max_output_tokens=9, text={"format": {"type": "json_object"}}),
        refuses,
        model="b",
        drop_unsupported=True,
    )
    assert set(written.dropped) == {"max_output_tokens", "text.format"}


CUTS: list[tuple[ev.Finished, str, str | None]] = [
    (ev.Finished("stop"), "completed", None),
    (ev.Finished("stop_sequence", "END"), "completed", None),
    (ev.Finished("length"), "incomplete", "max_output_tokens"),
    (ev.Finished("context"), "incomplete", "max_output_tokens"),
    (ev.Finished("pause"), "incomplete", "max_output_tokens"),
    (ev.Finished("filter"), "incomplete", "content_filter"),
    (ev.Finished("refusal"), "incomplete", "content_filter"),
    (ev.Finished("refusal", explanation="No."), "incomplete", "content_filter"),
]


@pytest.mark.parametrize(("finish", "status", "reason"), CUTS, ids=lambda value: str(value)[:50])
def test_a_response_says_whether_it_is_whole(finish: ev.Finished, status: str, reason: str | None) -> None:
    # trap S6
    response = plain(ev.ThinkingDelta("Hm."), ev.TextDelta("Half"), finish)
    assert response["status"] == status
    assert (response["incomplete_details"] or {}).get("reason") == reason
    assert response["output"][-1]["status"] == status


def test_a_call_that_was_cut_is_incomplete_and_the_one_before_it_is_not() -> None:
    # trap S6
    calls: list[ev.Event] = []
    for call in (0, 1):
        calls += [ev.ToolStarted(call, f"c{call}", "f"), ev.ToolArguments(call, '{"a"'), ev.BlockEnded(call)]
    output = plain(*calls, ev.Finished("length"))["output"]
    assert [item["status"] for item in output] == ["completed", "incomplete"]


def test_a_schema_is_strict_where_the_client_said_so() -> None:
    schema: Any = {"type": "json_schema", "name": "n", "schema": {"type": "object"}}
    for fields, strict in (({}, False), ({"strict": None}, False), ({"strict": True}, True)):
        written = said(write_chat(asked_of(text={"format": schema | fields}), ABLE, model="b"))
        assert written["response_format"]["json_schema"]["strict"] is strict


def test_a_refusal_in_words_is_an_answer() -> None:
    for events in (
        (ev.RefusalDelta("No."), ev.Finished("refusal")),
        (ev.Finished("refusal", explanation="No."),),
    ):
        response = plain(*events)
        assert response["status"] == "completed"
        assert response["output"][0]["content"] == [{"type": "refusal", "refusal": "No."}]


def test_a_response_repeats_its_request() -> None:
    fields: dict[str, Any] = {
        "instructions": "Be brief.",
        "metadata": {"a": "b"},
        "tools": [FUNCTION],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "previous_response_id": "resp_0",
        "temperature": 0.5,
        "text": {"format": {"type": "json_object"}},
        "reasoning": {"effort": "low"},
        "store": False,
        "max_output_tokens": 9,
    }
    response = plain(ev.TextDelta("Hi"), ev.Finished("stop"), **fields)
    assert {name: response[name] for name in fields} == fields


def test_a_stream_that_failed_says_so_twice() -> None:
    # trap S12: an SDK raises on `error`, others look for `response.failed`
    writer = ResponsesWriter(created_s=9, response_id="resp_1", request=echo())
    raw = writer.event(ev.TextDelta("Hal"))
    facts = ErrorFacts(type="overloaded_error", message="Overloaded")
    raw += writer.event(ev.Failed(facts))
    frames = [json.loads(frame.partition(b"data: ")[2]) for frame in raw.split(b"\n\n") if frame]
    assert [frame["type"] for frame in frames[-2:]] == ["error", "response.failed"]
    assert [frame["sequence_number"] for frame in frames] == list(range(len(frames)))
    response = frames[-1]["response"]
    assert response["error"] == {"code": "overloaded_error", "message": "Overloaded"}
    assert response["output"][0]["status"] == "incomplete"
    assert writer.event(ev.Ended()) == b""
    assert json.loads(responses_error(facts, 529))["error"]["type"] == "server_error"


def test_a_rate_limit_has_the_code_of_responses() -> None:
    writer = ResponsesWriter(created_s=9, response_id="resp_1", request=echo())
    raw = writer.event(ev.Failed(ErrorFacts(type="rate_limit_error", message="Slow down")))
    assert b'"error":{"code":"rate_limit_exceeded","message":"Slow down"}' in raw
