from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.upstream.words import IMAGE_TOKENS, MAX_ITEMS, count_input, instance, pieces, prose


@given(st.text(max_size=50), st.integers(0, 500))
def test_prose_is_as_long_as_asked_and_follows_from_the_text(text: str, tokens: int) -> None:
    said = prose(text, tokens)
    assert len(pieces(said)) == tokens
    assert len(said) == tokens * 4
    assert said == prose(text, tokens)


@given(st.text(max_size=100))
def test_pieces_make_the_text_again(text: str) -> None:
    assert "".join(pieces(text)) == text


@pytest.mark.parametrize(("prompt", "tokens"), [(b"", 0), (b"a", 1), (b"abcd", 1), (b"abcde", 2)])
def test_input_is_a_quarter_of_its_bytes(prompt: bytes, tokens: int) -> None:
    assert count_input(prompt) == tokens


def test_an_image_is_counted_once_whatever_its_size() -> None:
    small, large = (
        count_input(b'{"image_url":"data:image/png;base64,' + b"A" * n + b'"}') for n in (300, 90_000)
    )
    assert small == large == IMAGE_TOKENS + count_input(b'{"image_url":""}')


SCHEMAS: list[tuple[Any, Any]] = [
    ({"const": 7}, 7),
    ({"enum": ["a", "b"]}, "b"),
    ({"type": "integer", "minimum": 3}, 3),
    ({"type": "boolean"}, False),
    ({"type": "null"}, None),
    ({"type": ["string", "null"]}, "cap"),
    ({"anyOf": [{"type": "number"}, {"type": "null"}]}, 1),
    ({"properties": {"a": {"const": 1}}}, {"a": 1}),
    ({"type": "array", "minItems": 2, "items": {"const": 0}}, [0, 0]),
    ({"$ref": "#/$defs/x", "$defs": {"x": {"const": "y"}}}, "y"),
    (True, None),
]


@pytest.mark.parametrize(("schema", "value"), SCHEMAS)
def test_an_instance_fits_its_schema(schema: Any, value: Any) -> None:
    assert instance(schema, 1) == value


def test_a_schema_that_contains_itself_has_a_bounded_instance() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}, "n": {"type": "integer"}}}
    assert str(instance({"$ref": "#/$defs/node", "$defs": {"node": node}}, 1)).count("next") < 12
    assert len(instance({"type": "array", "minItems": 10**9, "items": {"const": 0}}, 1)) == MAX_ITEMS
