"""What a Responses request says of itself."""

import json
from typing import Any

import pytest

from tidegate.model.errors import BadRequest, SpendsLater, WrongType
from tidegate.model.request import Parts, RequestFacts
from tidegate.wire.body import Body
from tidegate.wire.openai_responses import CODEC

DATA_URL = "data:image/png;base64," + "iVBOR" * 400
IMAGE = {"type": "input_image", "detail": "auto", "image_url": DATA_URL}
FILE = {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64," + "JVBE" * 400}
SCREENSHOT = {"type": "computer_screenshot", "image_url": DATA_URL}
NAMES = ("system", "tools", "history", "tool_results", "last_user")


def read(**given: Any) -> RequestFacts:
    request = {"model": "gpt-6", **given}
    raw = json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode()
    return CODEC.read_request(Body.parse(raw))


def message(role: str, *content: Any) -> dict[str, Any]:
    return {"role": role, "content": content[0] if isinstance(content[0], str) else list(content)}


def text_bytes(parts: Parts) -> dict[str, int]:
    return {name: getattr(parts, name).text_bytes for name in NAMES}


def test_a_plain_request_is_read_whole() -> None:
    facts = read(
        input="größer\n",
        instructions="Be brief.",
        stream=True,
        max_output_tokens=64,
        temperature=0,
        service_tier="flex",
        metadata={"user_id": "u1", "n": 7},
        user="jane",
        text={"format": {"type": "json_schema", "name": "a", "schema": {}}},
        previous_response_id="resp_1",  # trap K10
        store=False,
        prompt_cache_key="k",
        client_metadata={"x": "y"},  # trap K7
    )
    assert facts == RequestFacts(
        surface="responses",
        model="gpt-6",
        stream=True,
        max_output=64,
        max_output_field="max_output_tokens",
        message_count=1,
        has_schema=True,
        service_tier="flex",
        temperature_zero=True,
        system_text="Be brief.",
        first_user='"größer\\n"'.encode(),
        prompt=(b"", b'"Be brief."', '"größer\\n"'.encode()),
        parts=facts.parts,
        previous_id="resp_1",
        keeps_reply=False,
        metadata={"user_id": "u1"},
        metadata_user="jane",
    )
    assert text_bytes(facts.parts) == {
        "system": 9,
        "tools": 0,
        "history": 0,
        "tool_results": 0,
        "last_user": 9,
    }
    assert facts.parts.last_user.ascii_bytes == 5


def test_items_count_where_they_belong() -> None:
    facts = read(
        instructions="top",
        input=[
            message("developer", "one"),
            message("user", {"type": "input_text", "text": "first"}),
            {
                "type": "reasoning",
                "summary": [{"type": "summary_text", "text": "hm"}],
                "encrypted_content": "e" * 99,
            },
            {"type": "message", **message("assistant", {"type": "output_text", "text": "said"})},
            {"type": "function_call", "call_id": "c", "name": "look", "arguments": '{"q": "x"}'},
            {"type": "function_call_output", "call_id": "c", "output": "found"},
            {"type": "item_reference", "id": "rs_1"},
            message("user", "second!"),
            message("developer", "late"),
        ],
    )
    assert text_bytes(facts.parts) == {
        "system": len("top" + "one" + "late"),
        "tools": 0,
        "history": len("first" + "hm" + "said" + "look" + '{"q": "x"}'),
        "tool_results": len("found"),
        "last_user": len("second!"),
    }
    assert facts.message_count == 9
    assert sum(getattr(facts.parts, name).size_bytes for name in NAMES) == sum(map(len, facts.prompt))


def test_two_developer_messages_stand_for_instructions() -> None:
    # traps K7, K16; a later one does not name the application
    facts = read(
        input=[
            message("developer", {"type": "input_text", "text": "one"}),
            message("developer", "two"),
            message("user", "hi"),
            message("assistant", "ho"),
            message("developer", "later"),
        ]
    )
    assert facts.system_text == "one\ntwo"


def test_a_second_call_with_nothing_but_tool_outputs_is_accepted() -> None:
    # trap K10
    facts = read(
        previous_response_id="resp_1",
        input=[{"type": "function_call_output", "call_id": "c", "output": "42"}],
    )
    assert (facts.message_count, facts.first_user) == (1, b"")
    assert facts.parts.tool_results.text_bytes == 2


def test_the_tools_of_a_namespace_count_one_by_one() -> None:
    # trap K7
    functions = [{"type": "function", "name": "a"}, {"type": "function", "name": "b"}]
    facts = read(
        tools=[
            {"type": "namespace", "name": "n", "tools": functions},
            {"type": "web_search"},
            {"type": "custom", "name": "c", "format": {"type": "text"}},
        ],
        input=[{"type": "additional_tools", "role": "developer", "tools": functions}],
    )
    assert (facts.tool_count, facts.has_tools, facts.system_text) == (6, True, "")
    assert facts.parts.tools.size_bytes == len(facts.tools_raw) + len(facts.prompt[2])


@pytest.mark.parametrize(
    ("item", "images"),
    [
        (message("user", IMAGE, FILE), 2),
        ({"type": "function_call_output", "call_id": "c", "output": [IMAGE]}, 1),
        (
            {
                "type": "computer_call_output",
                "output": {"type": "computer_screenshot", "image_url": DATA_URL},
            },
            1,
        ),
        ({"type": "reasoning", "summary": [], "encrypted_content": "e" * 2_000}, 0),
    ],
)
def test_base64_is_no_text(item: dict[str, Any], images: int) -> None:
    facts = read(input=[item])
    assert facts.image_count == images
    assert sum(text_bytes(facts.parts).values()) == 0


@pytest.mark.parametrize(
    ("item", "size"),
    [
        ({"type": "custom_tool_call", "input": "abc", "name": "n"}, 4),
        ({"type": "mcp_call", "arguments": "{}", "output": "yes"}, 5),
        ({"type": "tool_search_call", "arguments": {"q": 1}}, len('{"q":1}')),
        ({"type": "function_call_output", "output": {"stdout": 1}}, len('{"stdout":1}')),
        ({"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}, 2),
        ({"type": "next_years_item", "content": "words"}, 5),
    ],
)
def test_items_are_measured_by_their_fields(item: dict[str, Any], size: int) -> None:
    assert sum(text_bytes(read(input=[item]).parts).values()) == size


def test_an_answer_in_the_background_is_refused_until_it_can_be_metered() -> None:  # trap M10
    with pytest.raises(SpendsLater, match="background"):
        read(input="hi", background=True)
    assert read(input="hi", background=False).model == "gpt-6"


def test_a_stored_prompt_may_name_the_model() -> None:
    raw = b'{"prompt":{"id":"pmpt_1","variables":{"a":"b"}}}'
    assert CODEC.read_request(Body.parse(raw)).model == ""


@pytest.mark.parametrize("limit", [-1, 0, 1e30, "5", True, 2**63])
def test_an_impossible_output_limit_is_refused(limit: object) -> None:
    # case 24
    with pytest.raises(WrongType) as refused:
        read(max_output_tokens=limit)
    assert refused.value.param == "max_output_tokens"


def test_a_null_output_limit_is_none() -> None:
    assert read(max_output_tokens=None).max_output_field is None


@pytest.mark.parametrize(
    ("given", "param"), [({"model": ""}, "model"), ({"model": 4}, "model"), ({"stream": 1}, "stream")]
)
def test_what_we_act_on_has_its_type(given: dict[str, Any], param: str) -> None:
    with pytest.raises(WrongType) as refused:
        read(**given)
    assert refused.value.param == param


@pytest.mark.parametrize("given", [None, 7, {"role": "user"}, ["odd"], [{"role": 7}], [{"content": 7}], [[]]])
def test_what_we_only_measure_is_never_refused(given: object) -> None:
    # trap V3
    facts = read(input=given, tools="odd", instructions=[], text="x", metadata=[], user=7, brand_new=1)
    assert (facts.tool_count, facts.has_schema, facts.metadata_user) == (0, False, "")


@pytest.mark.parametrize(
    "items",
    [
        b"[" + b'{"role":"user"},' * 20_000 + b'{"role":"user"}]',
        b'[{"role":"user","content":[' + b'{"type":"x"},' * 20_000 + b'{"type":"x"}]}]',
        b"[" + b"{}," * 500_000 + b"{}]",
    ],
    ids=["items", "parts", "objects"],
)
def test_more_than_can_be_read_without_a_stall_is_refused(items: bytes) -> None:
    # case 23
    with pytest.raises(BadRequest, match="at most"):
        CODEC.read_request(Body.parse(b'{"model":"m","input":' + items + b"}"))
