import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.model.errors import BadRequest, WrongType
from tidegate.model.request import Part, RequestFacts
from tidegate.wire.body import Body
from tidegate.wire.openai_chat import CODEC
from tidegate.wire.openai_chat.request import MAX_MESSAGES, read_messages, read_odd_messages

HELLO = [{"role": "user", "content": "Hello"}]


def read(**fields: Any) -> RequestFacts:
    asked = {"model": "m", "messages": HELLO} | fields
    return CODEC.read_request(
        Body.parse(json.dumps(asked, separators=(",", ":"), ensure_ascii=False).encode())
    )


def test_the_smallest_request_is_read() -> None:
    raw = b'{"role":"user","content":"Hello"}'
    facts = read()
    assert (facts.surface, facts.model, facts.stream, facts.n) == ("chat", "m", False, 1)
    assert (facts.max_output, facts.max_output_field, facts.has_tools) == (None, None, False)
    assert facts.prompt == (b"", b"", raw)
    assert facts.first_user == raw
    assert facts.parts.last_user == Part(size_bytes=len(raw), text_bytes=5, ascii_bytes=5)


def test_everything_we_act_on_is_read() -> None:
    tools = [{"type": "function", "function": {"name": "f"}}, {"type": "custom", "custom": {"name": "g"}}]
    facts = read(
        stream=True,
        stream_options={"include_usage": True, "include_obfuscation": False},
        max_completion_tokens=100,
        n=3,
        tools=tools,
        response_format={"type": "json_schema", "json_schema": {}},
        service_tier="flex",
        temperature=0.0,
        user="u-1",
        metadata={"feature": "search", "team": "core"},
        safe_prompt=True,
    )
    assert facts.stream
    assert facts.asks_usage
    assert (facts.max_output, facts.max_output_field, facts.n) == (100, "max_completion_tokens", 3)
    assert (facts.tool_count, facts.has_tools, facts.has_schema) == (2, True, True)
    assert facts.tools_raw == json.dumps(tools, separators=(",", ":")).encode()
    size = len(facts.tools_raw)
    assert facts.parts.tools == Part(size_bytes=size, text_bytes=size, ascii_bytes=size)
    assert (facts.service_tier, facts.temperature_zero) == ("flex", True)
    assert (facts.metadata_user, facts.metadata) == ("u-1", {"feature": "search", "team": "core"})


def test_bytes_are_counted_by_part() -> None:
    messages = [
        {"role": "system", "content": "Sei nett: ü"},
        {"role": "developer", "content": [{"type": "text", "text": "Be brief"}]},
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "a", "function": {"name": "f"}}]},
        {"role": "tool", "tool_call_id": "a", "content": "result"},
        {"role": "user", "content": [{"type": "text", "text": "second"}, {"type": "text", "text": "more"}]},
        {"role": "assistant", "content": "so"},
    ]
    facts = read(messages=messages)
    parts = facts.parts
    sizes = [len(piece) for piece in facts.prompt[2:]]
    assert parts.system == Part(size_bytes=sizes[0] + sizes[1], text_bytes=12 + 8, ascii_bytes=10 + 8)
    calls = len(b'[{"id":"a","function":{"name":"f"}}]')
    assert parts.history == Part(
        size_bytes=sizes[2] + sizes[3] + sizes[6], text_bytes=5 + calls + 2, ascii_bytes=5 + calls + 2
    )
    assert parts.tool_results == Part(size_bytes=sizes[4], text_bytes=6, ascii_bytes=6)
    assert parts.last_user == Part(size_bytes=sizes[5], text_bytes=10, ascii_bytes=10)
    assert facts.system_text == "Sei nett: ü\nBe brief"
    assert facts.prompt[1] == facts.system_text.encode()
    assert json.loads(facts.first_user)["content"] == "first"


def test_base64_is_no_text_and_images_are_counted() -> None:
    url = "data:image/png;base64," + "A" * 4000
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "input_audio", "input_audio": {"data": "A" * 4000, "format": "wav"}},
        {"type": "file", "file": {"file_data": "A" * 4000}},
    ]
    facts = read(messages=[{"role": "user", "content": content}])
    assert facts.image_count == 1
    assert facts.parts.last_user.text_bytes == 13
    assert facts.parts.last_user.size_bytes > 12_000


@pytest.mark.parametrize(
    "messages",
    [  # trap K16, trap K15
        [],
        [{"role": "assistant", "content": "I begin"}],
        [
            {"role": "system", "content": "a"},
            {"role": "system", "content": "b"},
            {"role": "system", "content": "c"},
        ],
        [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}],
        [{"role": "user", "content": ""}, {"role": "system", "content": "late"}],
        [{"role": "alien", "content": {"odd": [1]}}],
        [{"role": "tool", "content": None, "name": "t"}],
        [{"role": "user"}],
        [{"role": "user", "content": [1, "a", None]}],
        [{"role": "user", "content": [{"type": "text", "text": 5}]}],
        [{"role": "assistant", "content": "x", "prefix": True}],
    ],
)
def test_no_order_of_roles_and_no_content_is_refused(messages: list[Any]) -> None:
    facts = read(messages=messages)
    assert facts.message_count == len(messages)
    assert [json.loads(piece) for piece in facts.prompt[2:]] == messages


def test_only_an_opening_system_prompt_names_the_application() -> None:
    late = [{"role": "system", "content": "who I am"}, *HELLO, {"role": "system", "content": "reminder"}]
    facts = read(messages=late)
    assert facts.system_text == "who I am"
    assert facts.parts.system.text_bytes == 8 + 8


WRONG: dict[str, list[object]] = {
    "max_tokens": [-1, 0, 1e30, 5.0, "5", True, 2**63, [], 10**30],  # case 24
    "max_completion_tokens": [-1, 0, 1e30, 5.0, "5", True, 2**63, {}],
    "n": [0, -1, 129, 1000, "2", True, 1.5],  # case 26
    "model": ["", 5, ["m"], "m" * 257],
    "stream": ["true", 1, {}],
    "messages": [None, "hi", {}, 5],
}
REFUSED: list[tuple[dict[str, Any], str]] = [
    *(({name: value}, name) for name, values in WRONG.items() for value in values),
    ({"messages": [1]}, "messages[0]"),
    ({"messages": [None]}, "messages[0]"),
    ({"messages": [{}]}, "messages[0]"),
    ({"messages": [*HELLO, {"role": 5}]}, "messages[1].role"),
    ({"tools": "f"}, "tools"),
    ({"tools": [{}, 5]}, "tools[1]"),
    ({"stream_options": []}, "stream_options"),
    ({"stream_options": {"include_usage": "yes"}}, "stream_options.include_usage"),
]


@pytest.mark.parametrize(("fields", "param"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_we_act_on_is_checked_and_named(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(**fields)
    assert caught.value.param == param
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "name",
    [
        "stream",
        "n",
        "max_tokens",
        "max_completion_tokens",
        "tools",
        "stream_options",
        "temperature",
        "user",
        "metadata",
        "response_format",
        "service_tier",
    ],
)
def test_null_means_unset(name: str) -> None:
    assert read(**{name: None}) == read()


@pytest.mark.parametrize(
    "fields",
    [  # trap V3, trap K15
        {"temperature": "hot"},
        {"metadata": {"nested": {"a": 1}}},
        {"metadata": "text"},
        {"user": 5},
        {"service_tier": ["x"]},
        {"response_format": "json"},
        {"thinking": {"budget_tokens": 5}, "reasoning_effort": "maximal", "tool_choice": "any"},
        {"api_base": "http://elsewhere"},
    ],
)
def test_what_we_do_not_act_on_is_the_providers_to_judge(fields: dict[str, Any]) -> None:
    assert read(**fields).metadata_user == ""


def test_of_two_limits_the_larger_is_held() -> None:
    facts = read(max_tokens=10, max_completion_tokens=500)
    assert (facts.max_output, facts.max_output_field) == (500, "max_completion_tokens")
    facts = read(max_tokens=700, max_completion_tokens=500)
    assert (facts.max_output, facts.max_output_field) == (700, "max_tokens")


@pytest.mark.parametrize(
    ("value", "zero"), [(0, True), (0.0, True), (-0.0, True), (0.1, False), (1, False), ("0", False)]
)
def test_temperature_zero_is_seen(value: object, zero: bool) -> None:
    assert read(temperature=value).temperature_zero is zero


def test_functions_of_the_older_form_are_tools() -> None:
    facts = read(functions=[{"name": "f"}, {"name": "g"}])
    assert (facts.tool_count, facts.has_tools) == (2, True)
    assert b'"name":"f"' in facts.tools_raw


@pytest.mark.parametrize("form", ["json_object", "json_schema", "grammar"])
def test_a_bound_form_is_seen(form: str) -> None:
    assert read(response_format={"type": form}).has_schema
    assert not read(response_format={"type": "text"}).has_schema


def test_messages_are_bounded() -> None:  # case 27
    one = {"role": "user", "content": "x"}
    assert read(messages=[one] * 5000).message_count == 5000
    with pytest.raises(BadRequest, match=str(MAX_MESSAGES)):
        read(messages=[one] * (MAX_MESSAGES + 1))


def test_junk_in_place_of_messages_is_refused_before_it_is_split() -> None:  # case 23
    body = Body.parse(b'{"model":"m","messages":[' + b"1," * 2_000_000 + b"1]}")
    with pytest.raises(WrongType) as caught:
        CODEC.read_request(body)
    assert caught.value.param == "messages[0]"


def test_no_error_shows_a_prompt() -> None:  # trap V5
    with pytest.raises(WrongType) as caught:
        read(messages=[{"role": {"secret": "prompt"}, "content": "secret"}])
    assert "secret" not in caught.value.message


TEXTS = st.text(max_size=3)
PARTS = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "image_url"])},
    optional={"text": st.none() | TEXTS, "image_url": st.none() | st.just({"url": "data:"})},
)
CONTENT = st.none() | TEXTS | st.lists(PARTS, max_size=3)
MESSAGES: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool"])},
    optional={"content": CONTENT, "reasoning_content": CONTENT, "tool_calls": st.none() | st.just([{}])},
)


def texts(content: Any) -> Any:
    if not isinstance(content, list):
        return content
    return [(part.text or "", bytes(part.image_url)) for part in content]


@given(st.lists(MESSAGES, max_size=4))
def test_the_short_way_and_the_long_way_read_the_same_messages(messages: list[Any]) -> None:
    raw = json.dumps(messages).encode()
    short, long = (
        [
            (
                m.role,
                texts(m.content),
                texts(m.reasoning_content),
                bytes(m.tool_calls),
                bytes(m.function_call),
            )
            for m in read(raw)
        ]
        for read in (read_messages, read_odd_messages)
    )
    assert short == long


@pytest.mark.parametrize("odd", [5, True, {"text": "no part"}, [5], [{"type": 5, "text": "a"}], [["a"]]])
def test_a_message_of_an_odd_shape_changes_no_other(odd: object) -> None:  # trap K15
    facts = read(messages=[{"role": "system", "content": "Sei nett"}, {"role": "user", "content": odd}])
    assert facts.system_text == "Sei nett"
    assert facts.parts.system.text_bytes == 8
    assert facts.parts.last_user.text_bytes == 0
    assert facts.parts.last_user.size_bytes == len(facts.prompt[3])


def test_of_odd_parts_those_that_are_text_are_counted() -> None:
    content = [
        {"type": "text", "text": 5},
        {"type": "text", "text": "abc"},
        {"type": "image_url", "image_url": 1},
    ]
    facts = read(messages=[{"role": "user", "content": content}])
    assert (facts.parts.last_user.text_bytes, facts.image_count) == (3, 1)
