"""What is counted of a prompt, dialect by dialect."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.model.errors import TidegateError
from tidegate.model.request import RequestFacts, Surface
from tidegate.policy.estimate import TOKENS_PER_IMAGE
from tidegate.services.prompt_texts import MAX_DEPTH, PromptTexts
from tidegate.wire.body import Body
from tidegate.wire.registry import CODECS

BASE64 = "QUJD" * 100
URL = f"data:image/png;base64,{BASE64}"
IMAGE = {"type": "image", "source": {"type": "base64", "data": BASE64}}
SHOT = {"type": "computer_screenshot", "image_url": URL}
FUNCTION = {"name": "weather", "arguments": '{"city": "Köln"}'}
CALL = {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": FUNCTION}]}
TOOL = {"name": "weather", "parameters": {"type": "object"}}
TEXT = {"type": "text", "text": "T"}
REASONED = {"type": "reasoning", "summary": [{"text": "hm"}], "encrypted_content": BASE64}


def facts_of(surface: Surface, fields: dict[str, Any]) -> RequestFacts:
    return CODECS[surface].read_request(Body.parse(json.dumps({"model": "m"} | fields).encode()))


def read(surface: Surface, fields: dict[str, Any]) -> PromptTexts:
    return PromptTexts(facts_of(surface, fields))


def chat(*prompt: bytes) -> PromptTexts:
    return PromptTexts(RequestFacts(surface="chat", model="m", prompt=prompt))


def user(content: Any, **fields: Any) -> dict[str, Any]:
    return {"role": "user", "content": content, **fields}


def block(**fields: Any) -> list[dict[str, Any]]:
    return [user([fields])]


@pytest.mark.parametrize(
    ("surface", "fields", "texts"),
    [
        ("chat", {"messages": [user("Grüße 😀")]}, ["Grüße 😀"]),
        ("chat", {"messages": [user([TEXT, TEXT])]}, ["T", "T"]),
        ("chat", {"messages": [{"role": "system", "content": "S"}, user("U")]}, ["S", "U"]),
        ("chat", {"messages": [user("U", name="Ann")]}, ["U", "Ann"]),
        ("chat", {"messages": [user(None)]}, []),
        ("chat", {"messages": [user({"odd": 1})]}, ['{"odd":1}']),
        ("chat", {"messages": [CALL]}, ["weather", '{"city": "Köln"}']),
        ("chat", {"messages": [user("U", reasoning_content="R", refusal="no")]}, ["U", "R", "no"]),
        (
            "chat",
            {"messages": [user("U")], "tools": [TOOL]},
            [json.dumps([TOOL], separators=(",", ":")), "U"],
        ),
        ("messages", {"system": "S", "messages": [user("U")]}, ["S", "U"]),
        ("messages", {"system": [TEXT], "messages": [user("U")]}, ["T", "U"]),
        ("messages", {"messages": block(type="tool_use", name="w", input={"a": "ü"})}, ["w", '{"a":"ü"}']),
        ("messages", {"messages": block(type="tool_result", content="sunny")}, ["sunny"]),
        ("messages", {"messages": block(type="tool_result", content=[TEXT, IMAGE])}, ["T"]),
        ("messages", {"messages": block(type="x_tool_result", content={"out": "ok"})}, ['{"out":"ok"}']),
        ("messages", {"messages": block(type="thinking", thinking="hm", signature=BASE64)}, ["hm"]),
        ("messages", {"messages": block(title="T", source={"type": "text", "data": "D"})}, ["T", "D"]),
        ("messages", {"messages": block(source={"type": "content", "content": [TEXT]})}, ["T"]),
        ("responses", {"instructions": "S", "input": "U"}, ["S", "U"]),
        ("responses", {"input": block(type="input_text", text="U")}, ["U"]),
        ("responses", {"input": [{"type": "function_call", **FUNCTION}]}, ["weather", '{"city": "Köln"}']),
        ("responses", {"input": [{"type": "function_call_output", "output": "sunny"}]}, ["sunny"]),
        ("responses", {"input": [{"type": "x_output", "output": {"exit": 0}}]}, ['{"exit":0}']),
        ("responses", {"input": [REASONED]}, ["hm"]),
        ("completions", {"prompt": ["a", "b"]}, ["a", "b"]),
        ("embeddings", {"input": "a"}, ["a"]),
        ("embeddings", {"input": [{"a": 1}]}, ['[{"a":1}]']),
        ("embeddings", {}, []),
    ],
)
def test_texts_are_found_wherever_a_model_reads_them(
    surface: Surface, fields: dict[str, Any], texts: list[str]
) -> None:
    assert sorted(read(surface, fields).texts) == sorted(texts)


@pytest.mark.parametrize(
    ("surface", "fields"),
    [
        ("chat", {"messages": block(type="image_url", image_url={"url": URL, "detail": "low"})}),
        ("chat", {"messages": block(type="input_audio", input_audio={"data": BASE64, "format": "wav"})}),
        ("chat", {"messages": block(type="file", file={"file_data": URL, "filename": "a.pdf"})}),
        ("messages", {"messages": [user([IMAGE])]}),
        ("messages", {"messages": [user([IMAGE | {"type": "document"}])]}),
        ("messages", {"messages": block(type="tool_result", content=[IMAGE])}),
        ("messages", {"messages": block(type="tool_result", content=IMAGE)}),
        ("messages", {"messages": block(type="redacted_thinking", data=BASE64)}),
        ("responses", {"input": block(type="input_image", image_url=URL)}),
        ("responses", {"input": block(type="input_file", file_data=URL)}),
        ("responses", {"input": [{"type": "computer_call_output", "output": SHOT}]}),
        ("responses", {"input": [{"type": "image_generation_call", "result": BASE64}]}),
    ],
)
def test_base64_is_no_text(surface: Surface, fields: dict[str, Any]) -> None:
    assert read(surface, fields).texts == []


@pytest.mark.parametrize(
    ("surface", "fields", "tokens"),
    [
        ("chat", {"messages": [user("U"), user("V")]}, 11),
        ("chat", {"messages": [{"role": "system", "content": "S"}, user("U")]}, 11),
        ("chat", {"messages": [user("U", name="Ann")]}, 8),
        ("chat", {"messages": [CALL]}, 12),
        ("chat", {"messages": block(type="image_url", image_url={"url": URL})}, 7 + TOKENS_PER_IMAGE),
        ("messages", {"messages": [user("U")]}, 7),
        ("messages", {"system": "S", "messages": [user("U")]}, 11),
        ("messages", {"messages": block(type="web_search_result", encrypted_content="x" * 388)}, 107),
        ("count_tokens", {"messages": [user("U")]}, 7),
        ("responses", {"instructions": "S", "input": "U"}, 11),
        ("responses", {"input": [REASONED]}, 7 + 50),
        ("completions", {"prompt": "U"}, 0),
        ("embeddings", {"input": [5, 6, 7]}, 3),
        ("embeddings", {"input": [[5], [6, 7], []]}, 3),
        ("embeddings", {"input": ["a", "b"]}, 0),
    ],
)
def test_frames_images_and_token_ids_are_counted_without_an_encoding(
    surface: Surface, fields: dict[str, Any], tokens: int
) -> None:
    assert read(surface, fields).tokens == tokens


def test_json_is_counted_without_its_spaces_and_escapes() -> None:
    tools = rb'[ {"name": "\u00fc" ,  "x": 12345678901234567890123} ]'
    assert chat(tools, b"").texts == ['[{"name":"ü","x":12345678901234567890123}]']


def test_a_piece_that_does_not_decode_counts_as_it_stands() -> None:
    lone = b'{"role": "user", "content": "\\ud800"}'
    found = chat(b"[1e999]", b"", lone, b'{"content": "\xff"}')
    assert found.texts == ["[1e999]", lone.decode(), '{"content": "�"}']


@pytest.mark.parametrize(
    ("depth", "texts"), [(MAX_DEPTH - 1, []), (MAX_DEPTH + 2, ["[[[]]]"]), (5000, ["[" * 5000 + "]" * 5000])]
)
def test_blocks_in_blocks_without_end_count_as_json(depth: int, texts: list[str]) -> None:
    raw = "[" * depth + "]" * depth
    found = chat(b"", b"", f'{{"content":{raw}}}'.encode()).texts
    assert [text.removeprefix('{"content":').removesuffix("}") for text in found] == texts


_leaves = st.none() | st.integers() | st.text() | st.sampled_from([URL, "text", "image"])
_names = st.sampled_from(
    ["type", "content", "text", "source", "data", "output", "input", "tool_calls", "name"]
)
_values = st.recursive(_leaves, lambda inner: st.lists(inner) | st.dictionaries(_names | st.text(), inner))
_places: list[tuple[Surface, str]] = [
    ("chat", "messages"),
    ("messages", "messages"),
    ("responses", "input"),
    ("embeddings", "input"),
]


@given(
    place=st.sampled_from(_places),
    value=_values | st.lists(st.builds(user, _values)),
    rest=st.dictionaries(st.sampled_from(["tools", "system", "instructions"]), _values),
)
def test_any_request_that_a_codec_takes_is_read(
    place: tuple[Surface, str], value: Any, rest: dict[str, Any]
) -> None:
    surface, field = place
    try:
        facts = facts_of(surface, rest | {field: value})
    except TidegateError:
        return
    prompt = PromptTexts(facts)
    assert all(text.isascii() or text.encode() for text in prompt.texts)
    assert prompt.tokens >= 0
