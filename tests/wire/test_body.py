import json
import tracemalloc

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.model.errors import BadRequest, DuplicateField, MalformedJson, TidegateError, WrongType
from tidegate.wire.body import MAX_FIELDS, Body

SIMPLE = b'{ "model" : "m1" ,\n"n":1, "messages":[{"role":"user"}] , "tail":null }\n'

MALFORMED = [  # case 22, case 25
    b"",
    b"null",
    b"[]",
    b'"text"',
    b'{"a":1',
    b'{"a":1} x',
    b'{"a":1}{"a":1}',
    b'{"a":1,}',
    b"{'a':1}",
    b'{"a":NaN}',
    b'{"a":[-Infinity]}',
    b'{"a":Infinity}',
    b'{"a":01}',
    b'{"a":"\x01"}',
    b'{"a":"\\ud800"}',
    b'{"a":["\\udc00"]}',
    b'{"a":"\\ud83d\\u0041"}',
    b'{"\\ud800":1}',
    b'{"a":"\xff"}',
    b'{"a":"\xed\xa0\x80"}',
    b'{"\xc0\x80":1}',
    b'\xef\xbb\xbf{"a":1}',
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
]


@pytest.mark.parametrize("raw", MALFORMED, ids=lambda raw: repr(raw[:24]))
def test_what_is_not_one_json_object_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedJson):
        Body.parse(raw)


def test_ten_megabytes_of_open_objects_are_refused_without_growing() -> None:  # case 22
    raw = b'{"a":' * 2_000_000
    tracemalloc.start()
    with pytest.raises(MalformedJson):
        Body.parse(raw)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


@pytest.mark.parametrize(
    "raw",
    [
        b'{"model":"a","model":"b"}',
        b'{"model":"a","model":"a"}',
        b'{"model":"a", "n":1, "model":"a"}',
        b'{"n":12,"n":1}',
        b'{"n":1,"n":12}',
        b'{"n":1,"n":1.0}',
        b'{"mod\\u0065l":"a","model":"b"}',
        b'{"model":"a","mod\\u0065l":"a"}',
        b'{"":1,"":2}',
        b'{"n":1, "a":2 ,"n":1 }',
        b'{"n":10,"a":2,"n":1}',
        b'{"a":2,"n":12 ,"n":1}',
        b'{"n":{"a":1},"n":{"a":2}}',
    ],
)
def test_a_field_that_stands_twice_is_refused(raw: bytes) -> None:  # case 25
    with pytest.raises(DuplicateField):
        Body.parse(raw)


def test_a_nested_field_may_stand_twice() -> None:
    assert Body.parse(b'{"a":{"b":1,"b":2}}').value("a") == b'{"b":1,"b":2}'


@pytest.mark.parametrize("pad", [b"", b'"x":"' + b"y" * 80_000 + b'",'])
def test_too_many_fields_are_refused_large_or_small(pad: bytes) -> None:  # case 23
    def body(count: int) -> bytes:
        return b"{" + pad + b",".join(b'"k%d":1' % i for i in range(count)) + b"}"

    assert len(Body.parse(body(MAX_FIELDS - 1)).fields) >= MAX_FIELDS - 1
    with pytest.raises(BadRequest, match=str(MAX_FIELDS)):
        Body.parse(body(MAX_FIELDS + 1))


def test_a_million_keys_are_not_decoded() -> None:  # case 23
    raw = b"{" + b",".join(b'"k%d":1' % i for i in range(1_000_000)) + b"}"
    tracemalloc.start()
    with pytest.raises(BadRequest):
        Body.parse(raw)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_an_array_of_two_million_stays_raw() -> None:  # case 23
    raw = b'{"a":[' + b"1," * 2_000_000 + b"1]}"
    body = Body.parse(raw)
    assert len(body.value("a") or b"") == len(raw) - 6


def test_a_field_is_read_as_its_type_and_null_is_absent() -> None:
    body = Body.parse(SIMPLE)
    assert body.get("model", str) == "m1"
    assert body.get("n", int) == 1
    assert body.get("tail", str) is None
    assert body.get("missing", str) is None
    assert "tail" in body
    assert "missing" not in body


@pytest.mark.parametrize(
    ("raw", "name", "kind", "param"),
    [
        (b'{"n":"1"}', "n", int, "n"),
        (b'{"n":true}', "n", int, "n"),
        (b'{"n":1e30}', "n", int, "n"),
        (b'{"s":{"x":[1,"2"]}}', "s", dict[str, list[int]], "s.*[1]"),
        (b'{"m":["a",2]}', "m", list[str], "m[1]"),
    ],
)
def test_a_wrong_type_names_its_path(raw: bytes, name: str, kind: type, param: str) -> None:
    with pytest.raises(WrongType) as caught:
        Body.parse(raw).get(name, kind)
    assert caught.value.param == param
    assert caught.value.message.startswith(param)


def test_a_long_name_is_cut_in_the_message() -> None:
    with pytest.raises(DuplicateField) as caught:
        Body.parse(b'{"%s":1,"%s":2}' % (b"k" * 5000, b"k" * 5000))
    assert len(caught.value.message) < 200


def test_an_edit_changes_nothing_but_its_value() -> None:
    assert Body.parse(SIMPLE).edited({"model": b'"other"'}) == SIMPLE.replace(b'"m1"', b'"other"')
    assert Body.parse(SIMPLE).edited({}) == SIMPLE


def test_a_field_is_put_in_or_taken_out_with_its_comma() -> None:
    assert Body.parse(b'{ "a" : 1 , "b" : 2 }').edited({"a": None}) == b'{ "b" : 2 }'
    assert Body.parse(b'{ "a" : 1 , "b" : 2 }').edited({"b": None}) == b'{ "a" : 1 }'
    assert Body.parse(b'{"a":1}\n').edited({"stream": b"true"}) == b'{"a":1,"stream":true}\n'
    assert Body.parse(b"{ }").edited({"a": b"1"}) == b'{"a":1 }'
    assert Body.parse(b'{"a":1}').edited({"a": None}) == b"{}"


def test_an_escaped_key_is_edited_where_it_stands() -> None:
    assert Body.parse(b'{"mod\\u0065l":"a"}').edited({"model": b'"b"'}) == b'{"mod\\u0065l":"b"}'


NAMES = st.sampled_from(["a", "b", "c", "d", 'q"\\', "é\n"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(alphabet='a"\\\né€\U0001f600', max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)


@given(
    st.dictionaries(NAMES, VALUES, max_size=5),
    st.dictionaries(NAMES, st.none() | VALUES.filter(lambda value: value is not None), max_size=4),
    st.sampled_from([None, 0, 2]),
    st.booleans(),
)
def test_edits_do_what_a_dictionary_does(
    before: dict[str, object], edits: dict[str, object], indent: int | None, plain: bool
) -> None:
    raw = json.dumps(before, indent=indent, ensure_ascii=plain).encode()
    wanted = {
        name: value
        for name, value in (before | edits).items()
        if name not in edits or edits[name] is not None
    }
    spliced = Body.parse(raw).edited(
        {name: None if value is None else msgspec.json.encode(value) for name, value in edits.items()}
    )
    assert json.loads(spliced) == wanted
    assert Body.parse(spliced).raw == spliced


@given(st.binary(max_size=40) | st.text(alphabet='{}[]":,\\ud8a01ntf \n', max_size=40).map(str.encode))
def test_any_bytes_give_a_body_or_a_refusal(raw: bytes) -> None:
    try:
        body = Body.parse(raw)
    except TidegateError:
        return
    assert json.loads(raw) == {name: msgspec.json.decode(value) for name, value in body.fields.items()}
