"""What an Anthropic request says of itself."""

import json
from typing import Any

import pytest

from tidegate.model.errors import BadRequest, WrongType
from tidegate.model.request import Parts, RequestFacts
from tidegate.wire.anthropic_messages import CODEC, COUNT_CODEC
from tidegate.wire.body import Body

IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBOR" * 400}}
PDF = {
    "type": "document",
    "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE" * 400},
}
NAMES = ("system", "tools", "history", "tool_results", "last_user")


def read(**given: Any) -> RequestFacts:
    request = {"model": "claude-opus-5", "max_tokens": 64, "messages": [], **given}
    raw = json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode()
    return CODEC.read_request(Body.parse(raw))


def user(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content[0] if isinstance(content[0], str) else list(content)}


def text_bytes(parts: Parts) -> dict[str, int]:
    return {name: getattr(parts, name).text_bytes for name in NAMES}


def test_a_plain_request_is_read_whole() -> None:
    facts = read(
        stream=True,
        system="Be brief.",
        temperature=0.0,
        service_tier="standard_only",
        messages=[user("größer")],
    )
    assert facts == RequestFacts(
        surface="messages",
        model="claude-opus-5",
        stream=True,
        max_output=64,
        max_output_field="max_tokens",
        message_count=1,
        service_tier="standard_only",
        temperature_zero=True,
        system_text="Be brief.",
        first_user='{"role":"user","content":"größer"}'.encode(),
        prompt=(b"", b'"Be brief."', '{"role":"user","content":"größer"}'.encode()),
        parts=facts.parts,
    )
    assert text_bytes(facts.parts) == {
        "system": 9,
        "tools": 0,
        "history": 0,
        "tool_results": 0,
        "last_user": 8,
    }
    assert facts.parts.last_user.ascii_bytes == 4


def test_counting_tokens_reads_the_same_request() -> None:
    raw = b'{"model":"claude-opus-5","messages":[{"role":"user","content":"hi"}]}'
    facts = COUNT_CODEC.read_request(Body.parse(raw))
    assert (facts.surface, facts.message_count, facts.max_output) == ("count_tokens", 1, None)


def test_turns_tool_results_and_the_last_user_turn_count_apart() -> None:
    facts = read(
        tools=[{"name": "look", "input_schema": {"type": "object"}}],
        messages=[
            user("first"),
            {"role": "assistant", "content": [{"type": "text", "text": "one"}]},
            user({"type": "text", "text": "second!"}),
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "look", "input": {}}]},
            user({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "found"}]}),
        ],
    )
    tools = len(b'[{"name": "look", "input_schema": {"type": "object"}}]'.replace(b" ", b""))
    assert text_bytes(facts.parts) == {
        "system": 0,
        "tools": tools,
        "history": len("first") + len("one") + len("look") + len("{}"),
        "tool_results": len("found"),
        "last_user": len("second!"),
    }
    assert (facts.tool_count, facts.has_tools, facts.message_count) == (1, True, 5)
    sizes = sum(getattr(facts.parts, name).size_bytes for name in NAMES)
    assert sizes == sum(len(piece) for piece in facts.prompt)


@pytest.mark.parametrize(
    ("content", "images"),
    [
        ([IMAGE], 1),
        ([PDF], 1),
        ([{"type": "tool_result", "tool_use_id": "t", "content": [IMAGE, PDF]}], 2),
        ([{"type": "document", "source": {"type": "content", "content": [IMAGE]}}], 1),
        ([{"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}], 1),
        (
            [{"type": "web_fetch_tool_result", "tool_use_id": "t", "content": {"type": "x", "content": PDF}}],
            1,
        ),
        ([{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": ""}}], 0),
    ],
)
def test_base64_is_no_text(content: list[Any], images: int) -> None:
    facts = read(messages=[user(*content)])
    assert facts.image_count == images
    assert sum(text_bytes(facts.parts).values()) == 0


@pytest.mark.parametrize(
    ("block", "size"),
    [
        ({"type": "thinking", "thinking": "hmm", "signature": "c2lnbmF0dXJl" * 50}, 3),
        ({"type": "document", "title": "T", "source": {"type": "text", "data": "plain"}}, 6),
        ({"type": "search_result", "title": "T", "content": [{"type": "text", "text": "ab"}]}, 3),
        ({"type": "bash_code_execution_tool_result", "content": {"stdout": "ok"}}, len('{"stdout":"ok"}')),
        ({"type": "web_search_tool_result", "content": [{"type": "r", "encrypted_content": "abcd"}]}, 4),
        ({"type": "tool_result", "content": "plain"}, 5),
        ({"type": "tool_result", "content": None}, 0),
        ({"type": "next_years_block", "text": "words"}, 5),
    ],
)
def test_blocks_are_measured_by_their_fields(block: dict[str, Any], size: int) -> None:
    assert sum(text_bytes(read(messages=[user(block)]).parts).values()) == size


def test_late_tools_and_references_are_accepted() -> None:
    # trap K5
    facts = read(
        tools=[
            {"type": "tool_search_tool_bm25_20251119", "name": "find"},
            {"name": "late", "defer_loading": True, "input_schema": {}},
        ],
        messages=[
            user(
                {
                    "type": "tool_result",
                    "tool_use_id": "t",
                    "content": [{"type": "tool_reference", "tool_name": "late"}],
                }
            ),
            {"role": "system", "content": [{"type": "tool_addition", "tool": {"name": "late"}}]},
        ],
    )
    assert (facts.tool_count, facts.message_count) == (2, 2)


def test_a_system_role_inside_messages_is_system_text() -> None:
    # traps K6, K16: several, as blocks or a string; those after an answer do not name the application
    facts = read(
        system=[{"type": "text", "text": "x-billing: 1"}, {"type": "text", "text": "top"}],
        thinking={"type": "adaptive"},
        output_config={"effort": "high"},
        messages=[
            {"role": "system", "content": "one"},
            user("hi"),
            {"role": "system", "content": [{"type": "text", "text": "two"}]},
            {"role": "assistant", "content": "ok"},
            {"role": "system", "content": "later"},
        ],
    )
    assert (
        facts.system_text == "x-billing: 1\ntop\none\ntwo"
    )  # trap K13: the policy leaves the first line out
    assert facts.parts.system.text_bytes == len("x-billing: 1" + "top" + "one" + "two" + "later")


def test_a_moved_cache_mark_leaves_the_prompt_the_same() -> None:
    mark = {"type": "ephemeral", "ttl": "1h"}
    plain = read(messages=[user({"type": "text", "text": "a"})])
    for block in (
        {"type": "text", "text": "a", "cache_control": mark},
        {"cache_control": mark, "type": "text", "text": "a"},
        {"type": "text", "cache_control": None, "text": "a"},
    ):
        assert read(messages=[user(block)]).prompt == plain.prompt


def test_a_cache_mark_inside_text_stays() -> None:
    text = 'say "cache_control": {"type": "ephemeral"}, please'
    assert b"cache_control" in read(messages=[user(text)]).prompt[2]


@pytest.mark.parametrize(
    "given",
    [
        {"output_config": {"format": {"type": "json_schema", "schema": {}}}},
        {"output_format": {"type": "json_schema", "schema": {}}},
    ],
)
def test_a_schema_is_seen_in_both_places(given: dict[str, Any]) -> None:
    assert read(**given).has_schema


@pytest.mark.parametrize("config", [{"effort": "high"}, {"format": None}, "odd", None])
def test_an_output_config_without_a_schema_is_none(config: object) -> None:
    assert not read(output_config=config).has_schema


def test_the_user_id_is_kept_as_text_and_bounded() -> None:
    agent = json.dumps({"device_id": "d" * 64, "session_id": "s"})
    assert read(metadata={"user_id": agent}).metadata_user == agent
    assert len(read(metadata={"user_id": "u" * 2_000}).metadata_user) == 256
    assert read(metadata={"user_id": 7}).metadata_user == ""


def test_fast_processing_is_the_tier_asked_for() -> None:
    # trap M3
    assert read(speed="fast", service_tier="auto").service_tier == "fast"


@pytest.mark.parametrize("limit", [-1, 1e30, "5", True, 2**63, 5.5, [5]])
def test_an_impossible_output_limit_is_refused(limit: object) -> None:
    # case 24
    with pytest.raises(WrongType) as refused:
        read(max_tokens=limit)
    assert refused.value.param == "max_tokens"


def test_no_output_limit_is_the_providers_to_refuse_and_zero_fills_the_cache() -> None:
    assert read(max_tokens=None).max_output is None
    assert read(max_tokens=0).max_output == 0


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"model": ""}, "model"),
        ({"model": 4}, "model"),
        ({"model": "m" * 257}, "model"),
        ({"stream": "true"}, "stream"),
    ],
)
def test_what_we_act_on_has_its_type(given: dict[str, Any], param: str) -> None:
    with pytest.raises(WrongType) as refused:
        read(**given)
    assert refused.value.param == param


@pytest.mark.parametrize(
    "messages",
    [None, "text", 7, {"role": "user"}, ["odd"], [{"role": 7}], [{"role": "user", "content": 7}], [[]]],
)
def test_what_we_only_measure_is_never_refused(messages: object) -> None:
    # trap V3
    facts = read(messages=messages, tools="odd", system=7, temperature="warm", metadata=[], brand_new=1)
    assert facts.tool_count == 0


def test_one_odd_message_does_not_hide_the_others() -> None:
    facts = read(messages=[user("seen"), "odd", user(IMAGE)])
    assert (facts.message_count, facts.image_count) == (3, 1)


@pytest.mark.parametrize(
    "messages",
    [
        b"[" + b'{"role":"user"},' * 20_000 + b'{"role":"user"}]',
        b'[{"role":"user","content":[' + b'{"type":"x"},' * 20_000 + b'{"type":"x"}]}]',
        b"[" + b"{}," * 500_000 + b"{}]",
    ],
    ids=["messages", "blocks", "objects"],
)
def test_more_than_can_be_read_without_a_stall_is_refused(messages: bytes) -> None:
    # case 23
    body = Body.parse(b'{"model":"m","messages":' + messages + b"}")
    with pytest.raises(BadRequest, match="at most"):
        CODEC.read_request(body)


def test_five_thousand_messages_and_two_hundred_tools_are_read() -> None:
    # case 27
    facts = read(messages=[user("a")] * 5_000, tools=[{"name": "t"}] * 200)
    assert (facts.message_count, facts.tool_count) == (5_000, 200)


def test_blocks_nested_without_end_are_bounded() -> None:
    # case 22
    raw = (
        b'{"model":"m","messages":[{"role":"user","content":'
        + b'[{"content":' * 200
        + b'""'
        + b"}]" * 200
        + b"}]}"
    )
    assert CODEC.read_request(Body.parse(raw)).message_count == 1
