"""The small tables: thinking in words and tokens, schemas, inputs, usage."""

import json
from typing import Any

import pytest

from tidegate.model.message import Effort
from tidegate.model.usage import Usage
from tidegate.wire.translate.ids import plain_id
from tidegate.wire.translate.inputs import arguments_in, input_of
from tidegate.wire.translate.reasoning import LEAST_BUDGET, SHARES, budget_of, effort_of, nearest
from tidegate.wire.translate.schema import described, is_strict, typed
from tidegate.wire.translate.usage import chat_usage, messages_usage


@pytest.mark.parametrize(("effort", "share"), SHARES)
def test_a_budget_means_the_effort_it_was_made_from(effort: Effort, share: int) -> None:
    budget = budget_of(effort, 100_000)
    assert budget == share * 1000
    assert effort_of(budget, 100_000) == effort


def test_a_budget_fits_the_output_limit_or_is_none() -> None:
    assert budget_of("high", LEAST_BUDGET) is None
    for limit in range(LEAST_BUDGET + 1, 3000, 7):
        for effort, _ in SHARES:
            budget = budget_of(effort, limit)
            assert budget is not None
            assert LEAST_BUDGET <= budget < limit


@pytest.mark.parametrize(
    ("asked", "taken", "expected"),
    [
        ("high", ("low", "high"), "high"),
        ("max", ("low", "high"), "high"),
        ("minimal", ("low", "high"), "low"),
        ("medium", ("none", "low", "high"), "low"),
        ("none", ("low",), None),
        ("none", ("none",), "none"),
        ("low", ("none",), None),
        ("low", (), None),
    ],
)
def test_the_nearest_effort(asked: Effort, taken: Any, expected: Any) -> None:
    assert nearest(asked, taken) == expected


CLOSED: Any = {"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (CLOSED, True),
        ({**CLOSED, "required": []}, False),
        ({**CLOSED, "additionalProperties": True}, False),
        ({**CLOSED, "properties": {"a": {"type": "object"}}}, False),
        ({**CLOSED, "properties": {"a": {"type": "array", "items": CLOSED}}}, True),
        ({"type": "array", "items": {"type": "object", "properties": {}}}, False),
        ([1], False),
    ],
)
def test_a_schema_that_openai_takes_as_strict(schema: Any, expected: bool) -> None:
    assert is_strict(json.dumps(schema).encode()) is expected


def test_a_schema_too_deep_to_look_through_is_not_strict() -> None:
    schema: Any = CLOSED
    for _ in range(100):
        schema = {"type": "array", "items": schema}
    assert not is_strict(json.dumps(schema).encode())
    assert not is_strict(b"{")


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        (b"", {"type": "object", "properties": {}}),
        (b"{}", {"type": "object"}),
        (b'{"properties":{}}', {"type": "object", "properties": {}}),
        (b'{"$ref":"#/a"}', {"$ref": "#/a"}),
        (b'{"a":1,"type":"object"}', {"a": 1, "type": "object"}),
    ],
)
def test_a_tools_schema_says_that_it_is_an_object(schema: bytes, expected: Any) -> None:
    assert json.loads(bytes(typed(schema))) == expected


def test_a_schema_says_what_it_is_for() -> None:
    assert json.loads(bytes(described(b'{"a":1}', "For b."))) == {"a": 1, "description": "For b."}
    assert json.loads(bytes(described(b'{"description":"c"}', "For b."))) == {"description": "c"}
    assert bytes(described(b"[]", "For b.")) == b"[]"


@pytest.mark.parametrize("arguments", ["[1]", "1", '{"a"', "not json", '{"INVALID_JSON":"x"}'])
def test_arguments_come_back_as_they_were(arguments: str) -> None:
    raw, is_object = input_of(arguments)
    assert isinstance(json.loads(bytes(raw)), dict)
    if is_object:
        assert bytes(raw).decode() == arguments
    else:
        assert arguments_in(raw) == arguments


@pytest.mark.parametrize("ident", ["tgid_Y", "tgid_%%%", "tgid__w", "tgid_YWJj", "abc"])
def test_an_id_that_we_did_not_spell_stays(ident: str) -> None:
    assert plain_id(ident) == ident


def test_an_input_that_only_looks_wrapped_stays() -> None:
    assert arguments_in(b'{"INVALID_JSON":1}') == '{"INVALID_JSON":1}'
    assert arguments_in(b'{"INVALID_JSON":"a","b":"c"}') == '{"INVALID_JSON":"a","b":"c"}'


def test_no_arguments_are_an_empty_object() -> None:
    assert bytes(input_of(" ")[0]) == b"{}"
    assert arguments_in(b"") == arguments_in(b"null") == "{}"


def test_usage_adds_up_in_each_dialects_way() -> None:
    # traps M1, M16
    usage = Usage(
        input_uncached=10,
        cache_read=20,
        cache_write_5m=30,
        cache_write_1h=40,
        input_audio=1,
        input_image=2,
        output_text=5,
        reasoning=6,
        output_audio=7,
        searches=1,
    )
    chat: Any = chat_usage(usage)
    assert (chat["prompt_tokens"], chat["completion_tokens"], chat["total_tokens"]) == (103, 18, 121)
    assert chat["prompt_tokens_details"]["cached_tokens"] == 20
    assert chat["prompt_tokens_details"]["cache_write_tokens"] == 70
    messages: Any = messages_usage(usage)
    assert messages["input_tokens"] == 13
    total = sum(messages[f"{name}_input_tokens"] for name in ("cache_read", "cache_creation")) + 13
    assert total == chat["prompt_tokens"]
    assert messages["output_tokens"] == 18
    assert messages["output_tokens_details"] == {"thinking_tokens": 6}
    assert messages["cache_creation"]["ephemeral_1h_input_tokens"] == 40


def test_usage_that_was_not_said_is_left_out() -> None:
    # trap M5
    assert chat_usage(Usage()).keys() == {"prompt_tokens", "completion_tokens", "total_tokens"}
    assert messages_usage(Usage()).keys() == {"input_tokens", "output_tokens"}
