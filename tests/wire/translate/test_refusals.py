"""What one dialect says and the other cannot: refused by its path, or dropped where the client said so."""

import json
from typing import Any

import pytest

from tests.support.translation import (
    ABLE,
    ALLOWED,
    AUDIO,
    CALL,
    CUSTOM,
    HI,
    OWN,
    REFUSED_PART,
    TOOL,
    assistant,
    beside,
    body_of,
    by_url,
    document,
    file,
    function,
    image,
    pdf,
    schema,
    to_chat,
    to_messages,
    tool,
    turns,
    user,
)
from tidegate.model.errors import BadRequest, Unsupported, WrongType
from tidegate.model.message import TargetTraits
from tidegate.wire.translate import read_chat, read_messages, write_messages

FORCED: Any = {"tools": [TOOL], "tool_choice": "required"}
SVG = "data:image/svg+xml,<svg/>"
TIFF = "data:image/tiff;base64,AAAA"
NO_CHOICE: Any = {"refuses": frozenset({"tool_choice"})}
COOL: Any = {"refuses": frozenset({"temperature"})}

REFUSED_TO_MESSAGES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("logit_bias", {"logit_bias": {"5": 1}}, {}),
    ("logprobs", {"logprobs": True}, {}),
    ("seed", {"seed": 0}, {}),
    ("n", {"n": 2}, {}),
    ("frequency_penalty", {"frequency_penalty": 0.1}, {}),
    ("presence_penalty", {"presence_penalty": -1}, {}),
    ("temperature", {"temperature": 1.5}, {}),
    ("temperature", {"temperature": 0.5}, COOL),
    ("temperature", {"temperature": 0.5, "reasoning_effort": "high"}, {}),
    ("top_p", {"top_p": 0.5, "reasoning_effort": "high"}, {}),
    ("store", {"store": True}, {}),
    ("modalities", {"modalities": ["text", "audio"]}, {}),
    ("service_tier", {"service_tier": "flex"}, {}),
    ("web_search_options", {"web_search_options": {}}, {}),
    ("safe_prompt", {"safe_prompt": True}, {}),
    ("functions", {"functions": [{"name": "f"}]}, {}),
    ("stop[1]", {"stop": ["a", "\n"]}, {}),
    ("stream_options.chunk_size", {"stream_options": {"chunk_size": 4}}, {}),
    ("response_format", {"response_format": {"type": "json_object"}}, {}),
    ("response_format.grammar", {"response_format": {"type": "grammar", "grammar": "x"}}, {}),
    ("response_format.json_schema", {"response_format": schema()}, {"structured_output": False}),
    ("response_format.json_schema.mode", {"response_format": schema(mode=1)}, {}),
    ("tools[0].custom", {"tools": [CUSTOM]}, {}),
    ("tools[0].function.examples", {"tools": [function(examples=[1])]}, {}),
    ("tools[0].function.strict", {"tools": [function(strict=True)]}, {"structured_output": False}),
    ("tools[0].function", {"tools": [TOOL]}, {"tools": False}),
    ("tools[0].function.name", {"tools": [function(name="a.b")]}, {}),
    ("tool_choice", {"tool_choice": "required"}, {}),
    ("tool_choice", {"tool_choice": "sometimes"}, {}),
    ("tool_choice", FORCED, NO_CHOICE),
    ("tool_choice.allowed_tools", {"tool_choice": ALLOWED}, {}),
    ("reasoning_effort", {"reasoning_effort": "low"}, {"thinking": "no"}),
    ("reasoning_effort", {"reasoning_effort": "huge"}, {}),
    ("reasoning_effort", {"reasoning_effort": "low", "max_tokens": 1024}, {"thinking": "budget"}),
    ("reasoning_effort", {"reasoning_effort": "low"} | FORCED, {}),
    ("messages[0].name", {"messages": [{"role": "user", "name": "ann", "content": "Hi"}]}, {}),
    ("messages[0]", {"messages": [{"role": "function", "content": "x"}, *HI]}, {}),
    ("messages[0].content[1].input_audio", beside(AUDIO), {}),
    ("messages[0].content[1]", beside(image("https://x/a.png")), {"images": False}),
    ("messages[0].content[1]", beside(image("https://x/a.png")), {"image_urls": False}),
    ("messages[0].content[1].image_url", beside(image(SVG)), {}),
    ("messages[0].content[1]", beside(image(TIFF)), {}),
    ("messages[0].content[1].file.file_id", beside({"type": "file", "file": {"file_id": "f"}}), {}),
    ("messages[0].content[1].file", beside(file("application/zip", "AAAA")), {}),
    ("messages[0].content[1].file", beside(file("text/plain", "/w==")), {}),
    ("messages[0].content[1].file", beside(file("application/pdf", "AAAA")), {"documents": False}),
    ("messages[0].content[0]", {"messages": [{"role": "system", "content": [image(TIFF)]}, *HI]}, {}),
    ("messages[1].content[0]", {"messages": turns(tool(content=[REFUSED_PART]))}, {}),
    ("messages[1]", {"messages": [*HI, assistant()]}, {}),
    ("messages[1].audio", {"messages": turns(assistant(audio={"id": "a"}))}, {}),
    ("messages[1].function_call", {"messages": turns(assistant(function_call={"name": "f"}))}, {}),
    (
        "messages[1].tool_calls[0].custom",
        {"messages": turns(assistant(tool_calls=[CUSTOM | {"id": "c"}]))},
        {},
    ),
]


CODED: Any = {"type": "tool_use", "id": "c", "name": "f", "input": {}, "caller": {"type": "code_execution"}}
SERVER_TOOL: Any = {"type": "web_search_20250305", "name": "web_search"}
TYPED: Any = {"type": "json_schema", "schema": {"type": "object"}}

REFUSED_TO_CHAT: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("top_k", {"top_k": 4}, {}),
    ("max_tokens", {"max_tokens": 0}, {}),
    ("container", {"container": "c"}, {}),
    ("mcp_servers", {"mcp_servers": [{}]}, {}),
    ("speed", {"speed": "fast"}, {}),
    ("inference_geo", {"inference_geo": "us"}, {}),
    ("temperature", {"temperature": 0.5}, COOL),
    ("stop_sequences", {"stop_sequences": ["a"]}, {"refuses": frozenset({"stop"})}),
    ("service_tier", {"service_tier": "turbo"}, {}),
    ("tools[0]", {"tools": [SERVER_TOOL]}, {}),
    ("tools[0]", {"tools": [OWN]}, {"tools": False}),
    ("tools[0].name", {"tools": [OWN | {"name": "f" * 65}]}, {}),
    ("tools[0].input_examples", {"tools": [OWN | {"input_examples": [{}]}]}, {}),
    ("tools[0].allowed_callers", {"tools": [OWN | {"allowed_callers": ["code_execution"]}]}, {}),
    ("tools[0].strict", {"tools": [OWN | {"strict": True}]}, {"structured_output": False}),
    ("tool_choice", {"tool_choice": {"type": "any"}}, {}),
    ("tool_choice", {"tool_choice": {"type": "sometimes"}}, {}),
    ("tool_choice", {"tools": [OWN], "tool_choice": {"type": "tool", "name": "f"}}, NO_CHOICE),
    ("thinking.budget_tokens", {"thinking": {"type": "enabled", "budget_tokens": 500}}, {"efforts": ()}),
    ("thinking.type", {"thinking": {"type": "between_tools"}}, {}),
    ("output_config.effort", {"output_config": {"effort": "huge"}}, {}),
    (
        "output_config.task_budget",
        {"output_config": {"task_budget": {"total": 1}}},
        {},
    ),
    ("output_config.format", {"output_config": {"format": TYPED}}, {"structured_output": False}),
    ("context_management.edits[0]", {"context_management": {"edits": [{"type": "compact_20260112"}]}}, {}),
    ("messages[0].content[0].citations", {"messages": user(document(citations={"enabled": True}))}, {}),
    ("messages[0].content[0].context", {"messages": user(document(context="a"))}, {}),
    ("messages[0].content[0]", {"messages": user(by_url("document"))}, {}),
    ("messages[0].content[0]", {"messages": user(by_url("image"))}, {"images": False}),
    ("messages[0].content[0]", {"messages": user(by_url("image"))}, {"image_urls": False}),
    ("messages[0].content[0]", {"messages": user(pdf())}, {"documents": False}),
    ("messages[1].content[0].caller", {"messages": turns(assistant(content=[CODED]))}, {}),
    ("messages[0].content[0]", {"messages": user({"type": "search_result", "title": "t"})}, {}),
    (
        "messages[0].content[0].source.file",
        {"messages": user({"type": "image", "source": {"type": "file", "file": "f"}})},
        {},
    ),
    ("messages[1]", {"messages": [*HI, assistant()]}, {}),
    ("messages[1].content[0]", {"messages": turns(assistant(content=[{"type": "server_tool_use"}]))}, {}),
    ("messages[1].content[0]", {"messages": turns(assistant(content=[by_url("image")]))}, {}),
]


def place(row: tuple[str, dict[str, Any], dict[str, Any]]) -> str:
    return f"{row[0]}-{json.dumps(row[1])[:40]}"


@pytest.mark.parametrize("row", REFUSED_TO_MESSAGES, ids=place)
def test_what_messages_cannot_say_is_refused_by_its_path_or_dropped(row: Any) -> None:
    # traps R4, V3, K15
    path, fields, traits = row
    with pytest.raises(Unsupported) as raised:
        to_messages(TargetTraits(**traits), **fields)
    assert raised.value.param == path
    assert raised.value.message.startswith(f"{path}: ")
    assert path in to_messages(TargetTraits(**traits), drop=True, **fields).dropped


@pytest.mark.parametrize("row", REFUSED_TO_CHAT, ids=place)
def test_what_chat_cannot_say_is_refused_by_its_path_or_dropped(row: Any) -> None:
    # traps R4, V3
    path, fields, traits = row
    with pytest.raises(Unsupported) as raised:
        to_chat(TargetTraits(**traits), **fields)
    assert raised.value.param == path
    assert path in to_chat(TargetTraits(**traits), drop=True, **fields).dropped


def test_a_path_in_an_error_is_short_however_long_the_clients_name_is() -> None:
    with pytest.raises(Unsupported) as raised:
        to_messages(messages=[{"role": "user", "content": "Hi", "x" * 5000: 1}])
    assert len(raised.value.message) < 300


def test_no_more_losses_are_kept_than_a_record_can_hold() -> None:
    fields: dict[str, Any] = {f"field_{number}": 1 for number in range(400)}
    assert len(to_messages(drop=True, **fields).dropped) == 100


def test_a_conversation_without_a_turn_is_refused() -> None:
    with pytest.raises(Unsupported, match="messages: "):
        to_messages(drop=True, messages=[{"role": "system", "content": "Be kind."}])


@pytest.mark.parametrize("messages", [None, []])
def test_a_body_without_messages_is_no_request(messages: Any) -> None:
    asked = {"model": "a", "messages": messages}
    if messages is None:
        for read in (read_chat, read_messages):
            with pytest.raises(BadRequest):
                read(body_of(asked))
    else:
        with pytest.raises(Unsupported):
            write_messages(read_chat(body_of(asked)), ABLE, model="b")


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"temperature": "hot"}, "temperature"),
        ({"messages": [{"role": "user", "content": 4}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": 1}], "x": 1}]}, "messages[0]"),
        ({"tools": {}}, "tools"),
        ({"stop": [1]}, "stop[0]"),
    ],
)
def test_a_wrong_type_is_named(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(WrongType) as raised:
        to_messages(**fields)
    assert (raised.value.param or "").startswith(path)


FLOODS: list[dict[str, Any]] = [
    {"messages": user(*[{"type": "text", "text": "a"}] * 20_000)},
    {"messages": user(*[{"type": "what"}] * 50_001)},
    {"messages": turns(assistant(tool_calls=[CALL] * 20_000))},
    {"tools": [TOOL] * 20_001},
]


@pytest.mark.parametrize("fields", FLOODS, ids=lambda fields: next(iter(fields)))
def test_a_request_of_countless_parts_is_refused_before_it_costs_time(fields: dict[str, Any]) -> None:
    # case 23
    with pytest.raises(BadRequest, match="at most"):
        to_messages(**fields)


def test_a_tools_result_of_countless_parts_is_refused_too() -> None:
    # case 23
    result = {"type": "tool_result", "tool_use_id": "c", "content": [{"type": "text", "text": "a"}] * 20_000}
    with pytest.raises(BadRequest, match="at most"):
        to_chat(messages=user(result))
    with pytest.raises(BadRequest, match="at most"):
        to_chat(tools=[OWN] * 20_001)
