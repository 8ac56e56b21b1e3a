"""What stands for what, where the dialects have other words for the same thing."""

import json
from typing import Any

import msgspec
import pytest

from tests.support.translation import (
    ABLE,
    CALL,
    HI,
    OWN,
    TOOL,
    assistant,
    beside,
    body_of,
    by_url,
    document,
    file,
    image,
    said,
    to_chat,
    to_messages,
    tool,
    turns,
    user,
)
from tidegate.model.message import Opaque, RedactedThinking, TargetTraits, Thinking
from tidegate.wire.body import Body
from tidegate.wire.translate import read_chat, read_messages, write_chat, write_messages

HARMLESS: list[dict[str, Any]] = [
    {"store": False},
    {"logprobs": False, "top_logprobs": 0, "logit_bias": {}},
    {"metadata": {"a": "b"}, "prompt_cache_key": "k", "prediction": {"type": "content", "content": "x"}},
    {"modalities": ["text"], "frequency_penalty": 0, "presence_penalty": 0.0, "n": 1},
    {"stream": True, "stream_options": {"include_usage": True, "include_obfuscation": False}},
    {"seed": None, "logit_bias": None, "tools": None, "response_format": {"type": "text"}},
    {"tool_choice": "auto", "parallel_tool_calls": True},
    {"reasoning_effort": "none"},
]


@pytest.mark.parametrize("fields", HARMLESS, ids=str)
def test_what_changes_no_answer_is_no_reason_to_refuse(fields: dict[str, Any]) -> None:
    plain = said(to_messages(TargetTraits(thinking="no")))
    written = to_messages(TargetTraits(thinking="no"), **fields)
    assert not written.dropped
    assert said(written) | {"stream": None} == plain | {"stream": None}


CHOICES: list[tuple[Any, Any, Any]] = [
    ("auto", None, {"type": "auto"}),
    ("none", None, {"type": "none"}),
    ("required", None, {"type": "any"}),
    ("any", True, {"type": "any", "disable_parallel_tool_use": False}),
    (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
    (None, True, None),
    ({"type": "function", "function": {"name": "f"}}, None, {"type": "tool", "name": "f"}),
]


@pytest.mark.parametrize(("choice", "parallel", "expected"), CHOICES)
def test_choices_of_tools_have_the_same_meaning(choice: Any, parallel: Any, expected: Any) -> None:
    body = said(to_messages(tools=[TOOL], tool_choice=choice, parallel_tool_calls=parallel))
    assert body.get("tool_choice") == expected


BACK: list[tuple[Any, Any, Any]] = [
    ({"type": "auto"}, "auto", None),
    ({"type": "none"}, "none", None),
    ({"type": "any", "disable_parallel_tool_use": True}, "required", False),
    ({"type": "auto", "disable_parallel_tool_use": False}, "auto", True),
    ({"type": "tool", "name": "f"}, {"type": "function", "function": {"name": "f"}}, None),
]


@pytest.mark.parametrize(("choice", "expected", "parallel"), BACK)
def test_choices_of_tools_come_back(choice: Any, expected: Any, parallel: Any) -> None:
    body = said(to_chat(tools=[OWN], tool_choice=choice))
    assert (body["tool_choice"], body.get("parallel_tool_calls")) == (expected, parallel)


def enabled(budget_tokens: int) -> Any:
    return {"type": "enabled", "budget_tokens": budget_tokens}


EFFORTS: list[tuple[dict[str, Any], dict[str, Any], Any, Any]] = [
    ({"reasoning_effort": "none"}, {}, {"type": "disabled"}, None),
    ({"reasoning_effort": "minimal"}, {}, {"type": "adaptive"}, "low"),
    ({"reasoning_effort": "max"}, {}, {"type": "adaptive"}, "max"),
    ({"reasoning": {"enabled": True}}, {}, {"type": "adaptive"}, None),
    ({"reasoning": {"effort": "low"}}, {}, {"type": "adaptive"}, "low"),
    ({"reasoning": {"max_tokens": 5000}}, {}, {"type": "adaptive"}, "medium"),
    ({"reasoning": {"enabled": False}}, {}, {"type": "disabled"}, None),
    (
        {"reasoning_effort": "medium"},
        {"thinking": "budget"},
        {"type": "enabled", "budget_tokens": 5000},
        None,
    ),
    (
        {"reasoning": {"max_tokens": 2000}},
        {"thinking": "budget"},
        {"type": "enabled", "budget_tokens": 2000},
        None,
    ),
    (
        {"reasoning_effort": "minimal"},
        {"thinking": "budget"},
        {"type": "enabled", "budget_tokens": 1024},
        None,
    ),
]


@pytest.mark.parametrize(("fields", "traits", "thinking", "effort"), EFFORTS)
def test_thinking_is_asked_for_as_the_model_takes_it(
    fields: dict[str, Any], traits: dict[str, Any], thinking: Any, effort: Any
) -> None:
    body = said(to_messages(TargetTraits(**traits), max_completion_tokens=10_000, **fields))
    assert body["thinking"] == thinking
    assert body.get("output_config", {}).get("effort") == effort


EFFORTS_BACK: list[tuple[dict[str, Any], tuple[Any, ...], Any]] = [
    ({"thinking": {"type": "enabled", "budget_tokens": 8000}}, ("low", "medium", "high"), "high"),
    ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, ("low", "medium", "high"), "low"),
    ({"thinking": {"type": "disabled"}}, ("none", "low"), "none"),
    ({"thinking": {"type": "disabled"}}, ("low",), None),
    ({"thinking": {"type": "adaptive"}}, (), None),
    ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, (), None),
    ({"output_config": {"effort": "max"}}, ("low", "high"), "high"),
]


@pytest.mark.parametrize(("fields", "efforts", "expected"), EFFORTS_BACK)
def test_thinking_is_asked_for_in_words(fields: dict[str, Any], efforts: Any, expected: Any) -> None:
    # trap K6: what an agent sends to any model is no reason to refuse
    body = said(to_chat(TargetTraits(efforts=efforts), max_tokens=10_000, **fields))
    assert body.get("reasoning_effort") == expected


def test_a_limit_that_the_client_left_out_is_the_models() -> None:
    # trap M19
    assert said(to_messages(TargetTraits(default_max_output=77)))["max_tokens"] == 77


def test_arguments_that_are_no_json_are_wrapped_and_come_back() -> None:
    broken = CALL | {"function": {"name": "f", "arguments": '{"a": '}}
    turn = {"role": "assistant", "tool_calls": [broken]}
    there = to_messages(messages=turns(turn, {"role": "tool", "tool_call_id": "c", "content": "?"}))
    block = said(there)["messages"][1]["content"][0]
    assert block["input"] == {"INVALID_JSON": '{"a": '}
    assert there.adapted == ("messages[1].tool_calls[0]",)
    back = write_chat(read_messages(Body.parse(there.body)), ABLE, model="b")
    assert said(back)["messages"][1]["tool_calls"][0]["function"]["arguments"] == '{"a": '


def test_kept_thinking_stands_before_the_call_it_led_to() -> None:
    # trap S11
    calls = [CALL, CALL | {"id": "d"}]
    results = [{"role": "tool", "tool_call_id": ident, "content": "1"} for ident in ("c", "d")]
    asked = read_chat(body_of({"model": "a", "messages": [*HI, assistant(tool_calls=calls), *results]}))
    kept = {
        "c": (Thinking(text="One.", signature="s1"), RedactedThinking(data="r")),
        "d": (Thinking(text="Two.", signature="s2"),),
    }
    body = json.loads(write_messages(asked, ABLE, model="b", restored=kept).body)
    kinds = [block["type"] for block in body["messages"][1]["content"]]
    assert kinds == ["thinking", "redacted_thinking", "text", "tool_use", "thinking", "tool_use"]


@pytest.mark.parametrize("kept", [False, True])
def test_an_older_model_thinks_on_only_where_it_thought_before(kept: bool) -> None:
    # trap S11
    messages = [*HI, assistant(tool_calls=[CALL]), {"role": "tool", "tool_call_id": "c", "content": "1"}]
    asked = read_chat(body_of({"model": "a", "messages": messages, "reasoning_effort": "low"}))
    restored = {"c": (Thinking(text="One.", signature="s1"),)} if kept else {}
    written = write_messages(asked, TargetTraits(thinking="budget"), model="b", restored=restored)
    assert ("thinking" in json.loads(written.body)) is kept
    assert "reasoning_effort" in written.adapted


def test_signed_thinking_of_openrouter_goes_over_as_a_block() -> None:
    detail = {"type": "reasoning.text", "text": "Hm.", "signature": "s", "format": "anthropic-claude-v1"}
    other = {"type": "reasoning.encrypted", "data": "x", "format": "openai-responses-v1"}
    message = assistant(reasoning="Hm.", reasoning_details=[detail, other])
    written = to_messages(messages=turns(message))
    assert said(written)["messages"][1]["content"][0] == {
        "type": "thinking",
        "thinking": "Hm.",
        "signature": "s",
    }
    assert set(written.adapted) == {"messages[1].reasoning", "messages[1].reasoning_details[1]"}


def test_cache_marks_stay_where_both_can_carry_them() -> None:
    mark = {"type": "ephemeral", "ttl": "1h"}
    fields: Any = {
        "system": [{"type": "text", "text": "Be kind.", "cache_control": mark}],
        "messages": user({"type": "text", "text": "Hi", "cache_control": mark}),
        "tools": [OWN | {"cache_control": mark}],
    }
    there = to_chat(TargetTraits(cache_marks=True), **fields)
    assert there.body.count(b"cache_control") == 3
    back = write_messages(read_chat(Body.parse(there.body)), ABLE, model="b")
    assert {name: said(back)[name] for name in fields} == fields
    assert b"cache_control" not in to_chat(**fields).body


def test_a_model_that_refuses_a_field_is_not_sent_what_asks_for_nothing() -> None:
    refuses = frozenset({"temperature", "top_p", "user", "parallel_tool_calls", "stream_options"})
    written = to_chat(
        TargetTraits(refuses=refuses),
        temperature=1,
        top_p=1.0,
        metadata={"user_id": "u"},
        stream=True,
        tools=[OWN],
        tool_choice={"type": "auto", "disable_parallel_tool_use": False},
    )
    assert refuses.isdisjoint(said(written))
    assert not written.dropped


ODD_PARTS: list[tuple[Any, Any, list[str]]] = [
    (file("text/plain", "aGk="), {"type": "text", "media_type": "text/plain", "data": "hi"}, []),
    ({"type": "file", "file": {"filename": "a.md", "file_data": "aGk="}}, {"type": "text", "data": "hi"}, []),
    ({"type": "file", "file": {"file_data": "AAAA"}}, {"type": "base64", "data": "AAAA"}, []),
    (image("data:image/jpg;base64,AAAA"), {"media_type": "image/jpeg", "data": "AAAA"}, []),
    (image("DATA:image/png;base64,AAAA"), {"media_type": "image/png", "data": "AAAA"}, []),
    ({"type": "image_url", "image_url": "https://x/a"}, {"type": "url", "url": "https://x/a"}, []),
]


@pytest.mark.parametrize(("part", "source", "adapted"), ODD_PARTS)
def test_files_and_images_of_every_form_go_over(part: Any, source: Any, adapted: list[str]) -> None:
    written = to_messages(**beside(part))
    found = said(written)["messages"][0]["content"][1]["source"]
    assert source.items() <= found.items()
    assert list(written.adapted) == adapted


def test_what_an_sdk_or_another_provider_adds_to_a_turn_changes_no_answer() -> None:
    call = CALL | {"extra_content": {"google": {"thought_signature": "s"}}, "index": 0}
    call["function"] = call["function"] | {"parsed_arguments": {"x": 1}}
    turn = assistant(tool_calls=[call], parsed={"a": 1}, annotations=[{"type": "url_citation"}], audio=None)
    written = to_messages(messages=turns(turn, tool(name="f")))
    at = "messages[1]"
    assert set(written.adapted) == {
        *(f"{at}.annotations", f"{at}.parsed", "messages[2].name"),
        *(f"{at}.tool_calls[0].extra_content", f"{at}.tool_calls[0].function.parsed_arguments"),
    }
    assert [block["type"] for block in said(written)["messages"][1]["content"]] == ["text", "tool_use"]


def test_a_user_is_named_once() -> None:
    written = to_messages(user="u", safety_identifier="s")
    assert said(written)["metadata"] == {"user_id": "u"}
    assert written.adapted == ("safety_identifier",)
    assert said(to_messages(safety_identifier="s"))["metadata"] == {"user_id": "s"}


def test_white_space_is_no_text_to_anthropic() -> None:
    turn = assistant(content=" \n", tool_calls=[CALL])
    written = to_messages(messages=turns(turn, tool(content=[{"type": "text", "text": " "}])))
    assert [block["type"] for block in said(written)["messages"][1]["content"]] == ["tool_use"]
    assert said(written)["messages"][2]["content"][0].keys() == {"type", "tool_use_id"}
    assert written.adapted == ("messages[1].content", "messages[2].content[0]")


RESULTS: list[tuple[dict[str, Any], Any]] = [
    ({"content": "no such city", "is_error": True}, "Error: no such city"),
    ({"content": "Error: none", "is_error": True}, "Error: none"),
    ({"is_error": True}, "Error:"),
    ({"content": [by_url("image")]}, "(see the next message)"),
    ({"content": [by_url("image")], "is_error": True}, "Error:"),
    ({"content": [document()]}, "(see the next message)"),
    ({}, ""),
]


@pytest.mark.parametrize(("fields", "expected"), RESULTS)
def test_a_result_says_in_words_what_chat_has_no_field_for(fields: dict[str, Any], expected: Any) -> None:
    use = {"type": "tool_use", "id": "c", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "c"} | fields
    body = said(to_chat(messages=[*HI, assistant(content=[use]), {"role": "user", "content": [result]}]))
    assert body["messages"][2] == {"role": "tool", "tool_call_id": "c", "content": expected}
    assert len(body["messages"]) == (4 if isinstance(fields.get("content"), list) else 3)


def test_images_stay_in_a_result_where_the_provider_takes_them() -> None:
    result = {"type": "tool_result", "tool_use_id": "c", "content": [by_url("image")]}
    body = said(to_chat(TargetTraits(images_in_tool_results=True), messages=user(result)))
    assert body["messages"][0]["content"][0]["type"] == "image_url"


def test_what_a_provider_signed_goes_back_with_its_call() -> None:
    # trap S11
    use = {"type": "tool_use", "id": "c", "name": "f", "input": {}}
    asked = read_messages(body_of({"max_tokens": 9, "messages": turns(assistant(content=[use]))}))
    kept = {"c": (Opaque(name="extra_content", raw=msgspec.Raw(b'{"google":1}')),)}
    body = json.loads(write_chat(asked, ABLE, model="b", restored=kept).body)
    assert body["messages"][1]["tool_calls"][0]["extra_content"] == {"google": 1}


def test_thinking_goes_back_as_the_provider_takes_it() -> None:
    # trap S11
    blocks = [
        {"type": "thinking", "thinking": "Hm.", "signature": "s"},
        {"type": "thinking", "thinking": "So."},
        {"type": "redacted_thinking", "data": "r"},
        {"type": "text", "text": "Ulm."},
    ]
    messages = turns(assistant(content=blocks))
    plain = said(to_chat(TargetTraits(reasoning_field="reasoning"), messages=messages))
    assert plain["messages"][1]["reasoning"] == "Hm.So."
    detailed = to_chat(TargetTraits(reasoning_field="reasoning_details"), messages=messages)
    details = said(detailed)["messages"][1]["reasoning_details"]
    assert [detail["type"] for detail in details] == ["reasoning.text"] * 2 + ["reasoning.encrypted"]
    back = read_chat(Body.parse(detailed.body)).conversation.messages[1].parts
    assert [type(part).__name__ for part in back] == ["Thinking", "RedactedThinking", "Text"]
    assert "reasoning" not in str(said(to_chat(messages=messages)))


def test_a_reference_to_a_tool_loads_it() -> None:
    # trap K5
    late = [OWN | {"name": name, "defer_loading": True} for name in ("a", "b", "c")]
    found = {
        "type": "tool_result",
        "tool_use_id": "s",
        "content": [{"type": "tool_reference", "tool_name": "a"}],
    }
    added = {"role": "system", "content": [{"type": "tool_addition", "tool": {"type": "tool", "name": "b"}}]}
    written = to_chat(tools=late, messages=[*user(found), added])
    assert [one["function"]["name"] for one in said(written)["tools"]] == ["a", "b"]
    assert "tools[2]" in written.adapted
