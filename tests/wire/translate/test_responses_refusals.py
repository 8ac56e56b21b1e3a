"""What a Responses request says and no other dialect can: refused by its path, or dropped where allowed."""

import json
from typing import Any

import pytest

from tests.support.translation import ABLE, HI, asked_of, body_of
from tidegate.model.errors import BadRequest, Unsupported, WrongType
from tidegate.wire.translate import read_responses, write_chat, write_messages

FUNCTION: Any = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": False}
CALL: Any = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
OUTPUT: Any = {"type": "function_call_output", "call_id": "c", "output": "x"}

HOSTED = (
    *("web_search", "web_search_preview", "web_search_2025_08_26", "file_search", "code_interpreter", "mcp"),
    *("computer", "computer_use_preview", "image_generation", "custom", "local_shell", "shell"),
    *("apply_patch", "tool_search", "programmatic_tool_calling", ""),
)
FOREIGN = (
    *("item_reference", "web_search_call", "file_search_call", "code_interpreter_call", "computer_call"),
    *("computer_call_output", "image_generation_call", "local_shell_call", "local_shell_call_output"),
    *("mcp_list_tools", "mcp_call", "mcp_approval_request", "mcp_approval_response", "custom_tool_call"),
    *("custom_tool_call_output", "compaction", "additional_tools", "tool_search_call", "tool_search_output"),
)


def then(*items: Any) -> dict[str, Any]:
    """An input of which something is left when an item is dropped."""
    return {"input": [*HI, *items, *HI]}


def part(**fields: Any) -> dict[str, Any]:
    return {"input": [{"role": "user", "content": [{"type": "input_text", "text": "a"}, fields]}]}


LOST: list[tuple[str, dict[str, Any]]] = [
    *(("tools[1]", {"tools": [FUNCTION, {"type": kind, "name": "x"}]}) for kind in HOSTED),
    *(("input[1]", then({"type": kind, "id": "x"})) for kind in FOREIGN),
    ("tools[0].tools[0]", {"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "custom"}]}]}),
    ("tools[0].output_schema", {"tools": [FUNCTION | {"output_schema": {"type": "object"}}]}),
    ("tools[0].allowed_callers", {"tools": [FUNCTION | {"allowed_callers": ["programmatic"]}]}),
    ("tools[0].async", {"tools": [FUNCTION | {"async": True}]}),
    ("tool_choice", {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": []}}),
    ("tool_choice", {"tool_choice": {"type": "web_search"}}),
    ("tool_choice", {"tool_choice": "sometimes"}),
    ("text.verbosity", {"text": {"verbosity": "low"}}),
    ("text.format", {"text": {"format": {"type": "grammar"}}}),
    ("reasoning.effort", {"reasoning": {"effort": "huge"}}),
    ("reasoning.context", {"reasoning": {"context": "all_turns"}}),
    ("reasoning.mode", {"reasoning": {"mode": "pro"}}),
    ("truncation", {"truncation": "auto"}),
    ("include[1]", {"include": ["reasoning.encrypted_content", "message.output_text.logprobs"]}),
    ("background", {"background": True}),
    ("conversation", {"conversation": "conv_1"}),
    ("prompt", {"prompt": {"id": "pmpt_1"}}),
    ("max_tool_calls", {"max_tool_calls": 1}),
    ("top_logprobs", {"top_logprobs": 2}),
    ("moderation", {"moderation": {"model": "m"}}),
    ("context_management", {"context_management": [{"type": "compaction"}]}),
    ("service_tier", {"service_tier": "flex"}),
    ("stream_options.chunk_size", {"stream_options": {"chunk_size": 4}}),
    ("input[1].caller", then(CALL | {"caller": {"type": "program", "caller_id": "p"}}, OUTPUT)),
    ("input[0].content[1].input_audio", part(type="input_audio", input_audio={"data": ""})),
    ("input[0].content[1].file_id", part(type="input_image", file_id="f")),
    ("input[0].content[1].file_id", part(type="input_file", file_id="f")),
    ("input[0].content[1].image_url", part(type="input_image", image_url="data:image/svg+xml,<svg/>")),
    ("input[0].content[1]", part(type="input_image", detail="auto")),
    ("input[1].content[0]", then({"role": "system", "content": [{"type": "refusal", "refusal": "No."}]})),
    ("input[2].output[0]", then(CALL, OUTPUT | {"output": [{"type": "refusal", "refusal": "No."}]})),
    ("input[1].speaker", then({"role": "user", "content": "x", "speaker": "ann"})),
]


@pytest.mark.parametrize("row", LOST, ids=lambda row: f"{row[0]}-{json.dumps(row[1])[:60]}")
def test_what_only_responses_can_say_is_refused_by_its_path_or_dropped(row: Any) -> None:
    # traps R4, V3, K15
    path, fields = row
    for write in (write_chat, write_messages):
        with pytest.raises(Unsupported) as raised:
            write(asked_of(**fields), ABLE, model="b")
        assert raised.value.param == path
        assert raised.value.message.startswith(f"{path}: ")
        assert path in write(asked_of(**fields), ABLE, model="b", drop_unsupported=True).dropped


HARMLESS: list[tuple[str, dict[str, Any]]] = [
    ("metadata", {"metadata": {"a": "b"}}),
    ("store", {"store": True}),
    ("store", {"store": False}),
    ("prompt_cache_key", {"prompt_cache_key": "k"}),
    ("truncation", {"truncation": "disabled"}),
    ("background", {"background": False}),
    ("include[0]", {"include": ["reasoning.encrypted_content"]}),
    ("reasoning.summary", {"reasoning": {"summary": "auto"}}),
    ("text.verbosity", {"text": {"verbosity": "medium"}}),
    ("stream_options.include_obfuscation", {"stream_options": {"include_obfuscation": False}}),
    ("safety_identifier", {"user": "u", "safety_identifier": "s"}),
    ("input[1]", then({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"})),
    ("input[1]", then({"type": "reasoning", "encrypted_content": "tidegate.signed:"})),
    ("input[1].phase", then({"role": "assistant", "content": "x", "phase": "commentary"})),
]


@pytest.mark.parametrize("row", HARMLESS, ids=lambda row: json.dumps(row[1])[:60])
def test_what_changes_no_answer_is_listed(row: Any) -> None:
    path, fields = row
    for write in (write_chat, write_messages):
        written = write(asked_of(**fields), ABLE, model="b")
        assert not written.dropped
        assert path in written.adapted


@pytest.mark.parametrize("body", [{"model": "a"}, {"model": "a", "input": None}])
def test_a_request_without_an_input_is_no_request(body: Any) -> None:
    with pytest.raises(BadRequest, match="input: "):
        read_responses(body_of(body))


@pytest.mark.parametrize("given", ["", []])
def test_an_input_without_a_turn_is_refused_by_its_own_name(given: Any) -> None:
    with pytest.raises(Unsupported) as raised:
        write_messages(asked_of(input=given), ABLE, model="b")
    assert raised.value.param == "input"


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"instructions": ["a"]}, "instructions"),
        ({"input": 4}, "input"),
        ({"input": [4]}, "input[0]"),
        ({"input": [{"role": "user", "content": 4}]}, "input[0].content"),
        ({"input": [{"role": "critic", "content": "a"}]}, "input[0].role"),
        ({"input": [{"type": "function_call", "name": "f"}]}, "input[0]"),
        ({"tools": {}}, "tools"),
        ({"tool_choice": []}, "tool_choice"),
        ({"tools": [{"type": "function"}]}, "tools[0]"),
        ({"text": {"format": {"type": "json_schema", "strict": 1}}}, "text.format.strict"),
        ({"include": [1]}, "include[0]"),
        ({"previous_response_id": 1}, "previous_response_id"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
    ],
)
def test_a_wrong_type_is_named(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(WrongType) as raised:
        asked_of(**fields)
    assert (raised.value.param or "").startswith(path)


FLOODS: list[dict[str, Any]] = [
    {"input": [OUTPUT] * 20_001},
    {"input": [{"role": "user", "content": [{"type": "input_text", "text": "a"}] * 20_000}]},
    {"input": [{"role": "user", "content": "a", "x": [{}] * 30}] * 2_000},
    {"input": [{"type": "reasoning", "summary": [{"text": "a"}] * 20_000}]},
    {"tools": [FUNCTION] * 20_001},
    {"tools": [{"type": "namespace", "name": "n", "tools": [FUNCTION] * 20_001}]},
]


@pytest.mark.parametrize("fields", FLOODS, ids=lambda fields: json.dumps(fields)[:40])
def test_a_request_of_countless_parts_is_refused_before_it_costs_time(fields: dict[str, Any]) -> None:
    # case 23
    with pytest.raises(BadRequest, match=r"at most|more than"):
        asked_of(**fields)
