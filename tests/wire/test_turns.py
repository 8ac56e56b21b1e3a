from typing import Any

import msgspec
import pytest

from tidegate.model.message import Message, Text, ToolResult, ToolUse
from tidegate.model.request import Surface
from tidegate.wire.body import Body
from tidegate.wire.registry import CODECS
from tidegate.wire.turns import FIRST, count_calls, read_turns

Json = dict[str, Any]


def read(surface: Surface, *pieces: Json) -> list[Message]:
    return list(read_turns(surface, [msgspec.json.encode(piece) for piece in pieces]))


def uses(message: Message) -> list[tuple[str, str, str]]:
    return [(part.id, part.name, part.arguments) for part in message.parts if isinstance(part, ToolUse)]


def results(message: Message) -> list[tuple[str, str]]:
    return [(part.id, text(part)) for part in message.parts if isinstance(part, ToolResult)]


def text(holder: Message | ToolResult) -> str:
    return "|".join(part.text for part in holder.parts if isinstance(part, Text))


CALL = {"id": "c1", "type": "function", "function": {"name": "run", "arguments": '{"a":1}'}}
CUSTOM = {"id": "c1", "type": "custom", "custom": {"name": "run", "input": "ls"}}
USE = {"type": "tool_use", "id": "c1", "name": "run", "input": {"a": 1}}
BLOCKS = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
CALLS: list[tuple[Surface, Json, list[tuple[str, str, str]]]] = [
    ("chat", {"role": "assistant", "content": "x", "tool_calls": [CALL]}, [("c1", "run", '{"a":1}')]),
    ("chat", {"role": "assistant", "content": None, "tool_calls": [CUSTOM]}, [("c1", "run", "ls")]),
    ("chat", {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}, [("f", "f", "{}")]),
    (
        "messages",
        {"role": "assistant", "content": [*BLOCKS, USE, {**USE, "id": "c2"}]},
        [("c1", "run", '{"a":1}'), ("c2", "run", '{"a":1}')],
    ),
    (
        "messages",
        {"role": "assistant", "content": [{**USE, "type": "server_tool_use"}]},
        [("c1", "run", '{"a":1}')],
    ),
    (
        "responses",
        {"type": "function_call", "call_id": "c1", "name": "run", "arguments": '{"a":1}'},
        [("c1", "run", '{"a":1}')],
    ),
    (
        "responses",
        {"type": "function_call", "call_id": "c1", "namespace": "n", "name": "r", "arguments": ""},
        [("c1", "n.r", "")],
    ),
    (
        "responses",
        {"type": "custom_tool_call", "call_id": "c1", "name": "run", "input": "ls"},
        [("c1", "run", "ls")],
    ),
    (
        "responses",
        {"type": "local_shell_call", "call_id": "c1", "action": {"command": ["ls"]}},
        [("c1", "local_shell_call", '{"command":["ls"]}')],
    ),
    (
        "responses",
        {"type": "mcp_call", "id": "m1", "name": "find", "arguments": "{}", "output": "two rows"},
        [("m1", "find", "{}")],
    ),
    ("count_tokens", {"role": "assistant", "content": [USE]}, [("c1", "run", '{"a":1}')]),
]
RESULTS: list[tuple[Surface, Json, list[tuple[str, str]]]] = [
    ("chat", {"role": "tool", "tool_call_id": "c1", "content": "x"}, [("c1", "x")]),
    ("chat", {"role": "tool", "tool_call_id": "c1", "content": BLOCKS}, [("c1", "one\ntwo")]),
    ("chat", {"role": "function", "name": "f", "content": "x"}, [("f", "x")]),
    (
        "messages",
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "x"}]},
        [("c1", "x")],
    ),
    (
        "messages",
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": BLOCKS}]},
        [("c1", "one\ntwo")],
    ),
    ("messages", {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1"}]}, [("c1", "")]),
    ("responses", {"type": "function_call_output", "call_id": "c1", "output": "x"}, [("c1", "x")]),
    (
        "responses",
        {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "x"}]},
        [("c1", "x")],
    ),
    (
        "responses",
        {"type": "mcp_call", "id": "m1", "name": "find", "arguments": "{}", "output": "two rows"},
        [("m1", "two rows")],
    ),
    (
        "responses",
        {"type": "mcp_call", "id": "m1", "name": "find", "arguments": "{}", "output": None, "error": "no"},
        [("m1", "no")],
    ),
]
WORDS: list[tuple[Surface, Json, tuple[str, str]]] = [
    ("chat", {"role": "user", "content": "hi"}, ("user", "hi")),
    ("chat", {"role": "assistant", "content": BLOCKS}, ("assistant", "one\ntwo")),
    ("chat", {"role": "developer", "content": "be brief"}, ("system", "be brief")),
    ("messages", {"role": "user", "content": "hi"}, ("user", "hi")),
    ("messages", {"role": "assistant", "content": BLOCKS}, ("assistant", "one|two")),
    ("responses", {"role": "user", "content": "hi"}, ("user", "hi")),
    (
        "responses",
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hi"}]},
        ("assistant", "hi"),
    ),
    ("responses", {"type": "reasoning", "summary": []}, ("system", "")),
]


@pytest.mark.parametrize(("surface", "piece", "expected"), CALLS)
def test_calls_are_read(surface: Surface, piece: Json, expected: list[tuple[str, str, str]]) -> None:
    (message,) = read(surface, piece)
    assert message.role == "assistant"
    assert uses(message) == expected
    assert count_calls(surface, msgspec.json.encode(piece)) == len(expected)


@pytest.mark.parametrize(("surface", "piece", "expected"), RESULTS)
def test_results_are_read(surface: Surface, piece: Json, expected: list[tuple[str, str]]) -> None:
    (message,) = read(surface, piece)
    assert results(message) == expected


@pytest.mark.parametrize(("surface", "piece", "expected"), WORDS)
def test_words_are_read(surface: Surface, piece: Json, expected: tuple[str, str]) -> None:
    (message,) = read(surface, piece)
    assert (message.role, text(message)) == expected
    assert count_calls(surface, msgspec.json.encode(piece)) == 0


def test_an_error_flag_is_kept() -> None:
    block = {"type": "tool_result", "tool_use_id": "c1", "is_error": True, "content": "x"}
    (message,) = read("messages", {"role": "user", "content": [block]})
    (part,) = message.parts
    assert isinstance(part, ToolResult)
    assert part.is_error


@pytest.mark.parametrize("surface", ["chat", "messages", "responses", "completions", "embeddings"])
@pytest.mark.parametrize(
    "piece", [b"17", b"[]", b'{"role": 3}', b'"hi"', b"{}", b"[" * 5000, b'{"role":"user","content":{"x":1}}']
)
def test_what_has_another_shape_is_no_error(surface: Surface, piece: bytes) -> None:
    (message,) = read_turns(surface, [piece])
    assert uses(message) == []
    assert count_calls(surface, piece) == 0


BODIES: list[tuple[Surface, Json]] = [
    (
        "chat",
        {
            "model": "m",
            "tools": [],
            "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}],
        },
    ),
    ("messages", {"model": "m", "system": "s", "messages": [{"role": "user", "content": "hi"}]}),
    ("responses", {"model": "m", "instructions": "s", "input": [{"role": "user", "content": "hi"}]}),
]


@pytest.mark.parametrize(("surface", "body"), BODIES)
def test_the_messages_begin_behind_tools_and_system(surface: Surface, body: Json) -> None:
    facts = CODECS[surface].read_request(Body.parse(msgspec.json.encode(body)))
    assert facts.message_count == len(facts.prompt) - FIRST
    *_, last = read_turns(surface, facts.prompt[FIRST:])
    assert (last.role, text(last)) == ("user", "hi")
