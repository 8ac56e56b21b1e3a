"""The pieces whose hash stands for a prompt hold all of it, whatever shape it has (trap C2)."""

import json
from typing import Any

import pytest

from tidegate.model.request import Surface
from tidegate.wire.body import Body
from tidegate.wire.registry import CODECS

PLACES: list[tuple[Surface, str]] = [
    ("responses", "input"),
    ("messages", "messages"),
    ("completions", "prompt"),
    ("embeddings", "input"),
]
VALUES: list[tuple[Any, Any]] = [
    ("one", "two"),
    ({"text": "one"}, {"text": "two"}),
    (["one"], ["two"]),
    ([1, 2], [1, 3]),
    ([{"role": "user", "content": "one"}], [{"role": "user", "content": "two"}]),
]


@pytest.mark.parametrize(("surface", "field"), PLACES)
@pytest.mark.parametrize(("one", "two"), VALUES)
def test_two_prompts_never_have_the_same_pieces(surface: Surface, field: str, one: Any, two: Any) -> None:
    prompts = [
        CODECS[surface].read_request(Body.parse(json.dumps({"model": "m", field: value}).encode())).prompt
        for value in (one, two)
    ]
    assert prompts[0] != prompts[1]
    assert min(map(len, prompts)) >= 2
