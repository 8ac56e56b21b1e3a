import json
from typing import Any

import pytest

from tidegate.model.errors import BadRequest
from tidegate.model.provider import UsageRules
from tidegate.model.reply import ErrorFacts
from tidegate.model.request import RequestFacts
from tidegate.model.usage import Usage
from tidegate.wire.body import Body
from tidegate.wire.openai_embeddings import CODEC


def read(**fields: Any) -> RequestFacts:
    return CODEC.read_request(Body.parse(json.dumps({"model": "m", "input": "Hello"} | fields).encode()))


@pytest.mark.parametrize(
    ("given", "count", "text_bytes"),
    [("Hello", 1, 5), (["a", "bc"], 2, 3), ([5, 6], 1, 8), ([[5], [6], [7]], 3, 12), ([{"a": 1}], 1, 10)],
)
def test_inputs_of_every_form_are_measured(given: object, count: int, text_bytes: int) -> None:
    facts = read(input=given, dimensions=256, encoding_format="base64", user="u")
    assert (facts.surface, facts.stream, facts.n) == ("embeddings", False, 1)
    assert (facts.message_count, facts.parts.last_user.text_bytes) == (count, text_bytes)
    assert (facts.max_output, facts.metadata_user) == (None, "u")


def test_a_missing_model_is_left_to_routing_and_an_empty_one_is_refused() -> None:
    assert read(model=None).model == ""
    with pytest.raises(BadRequest) as caught:
        read(model="")
    assert caught.value.param == "model"


def test_a_reply_is_read_and_its_vectors_are_skipped() -> None:
    reply = {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.1] * 1000}],
        "model": "m-1",
        "usage": {"prompt_tokens": 8, "total_tokens": 8},
    }
    facts = CODEC.read_reply(json.dumps(reply).encode(), UsageRules())
    assert (facts.model, facts.complete, facts.started, facts.text_bytes) == ("m-1", True, True, 0)
    assert facts.usage is not None
    assert facts.usage.usage == Usage(input_uncached=8, output_text=0)
    assert (facts.usage.stated_input, facts.usage.stated_output) == (8, None)


def test_an_error_in_a_200_is_found() -> None:  # trap M17
    facts = CODEC.read_reply(b'{"error":{"message":"m","code":429}}', UsageRules())
    assert facts.error == ErrorFacts(code="429", message="m")
    assert not facts.started


@pytest.mark.parametrize("raw", [b"", b"<html>", b'{"data":[', b"[]", b'{"model":"\xff"}'])
def test_a_reply_that_is_cut_is_not_complete(raw: bytes) -> None:  # trap S6
    facts = CODEC.read_reply(raw, UsageRules())
    assert (facts.complete, facts.bad_frames) == (False, 1)
