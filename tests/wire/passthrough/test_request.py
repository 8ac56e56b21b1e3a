import json
import time
from typing import Any

import pytest

from tidegate.model.errors import BadRequest, DuplicateField, SpendsLater
from tidegate.model.request import Passed, RequestFacts
from tidegate.wire.passthrough.request import body_of, generates, read_request

GEMINI = "/v1beta/models/gemini-2.5-flash:generateContent"


def read(
    body: Any, path: str = "/v1/x", kind: str = "application/json", method: str = "POST"
) -> RequestFacts:
    passed = Passed(method=method, place="p", path=path, content_type=kind)
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_request(body_of(raw, passed), passed)


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/v1/x", {"model": "m"}, "m"),
        ("/v1/x", {}, ""),
        (GEMINI, {}, "gemini-2.5-flash"),
        (GEMINI, {"model": "models/gemini-2.5-flash"}, "gemini-2.5-flash"),
        ("/v1beta/models/a%20b:embedContent", {}, "a b"),
        ("/v1beta/tunedModels/t:generateContent", {}, ""),
        ("/openai/deployments/d/images/generations", {"model": "d"}, "d"),
        ("/v1/engines/ada/embeddings", {}, "ada"),
    ],
)
def test_the_model_is_found(path: str, body: Any, expected: str) -> None:
    assert read(body, path).model == expected


def test_path_and_body_may_not_name_two_models() -> None:
    with pytest.raises(BadRequest, match="name one"):
        read({"model": "gemini-2.5-pro"}, GEMINI)


def test_json_is_read_as_everywhere() -> None:  # case 25
    with pytest.raises(DuplicateField):
        read(b'{"model": "a", "model": "b"}')


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_what_is_no_json_names_no_model(kind: str) -> None:
    assert read(b'{"model": "m"}', kind=kind).model == ""


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"max_tokens": 5}, (5, "max_tokens", 1)),
        ({"max_tokens": 5, "max_output_tokens": 7, "n": 3}, (7, "max_output_tokens", 3)),
        ({"generationConfig": {"maxOutputTokens": 9, "candidateCount": 2}}, (9, "maxOutputTokens", 2)),
        ({"options": {"num_predict": 4}}, (4, "num_predict", 1)),
        ({"options": {"num_predict": -1}, "n": 0}, (None, None, 1)),
        ({"max_tokens": "many", "n": "x", "options": []}, (None, None, 1)),
    ],
)
def test_limits_are_read_in_every_dialect(body: Any, expected: tuple[Any, Any, int]) -> None:
    facts = read(body)
    assert (facts.max_output, facts.max_output_field, facts.n) == expected


@pytest.mark.parametrize("name", ["background", "deferred"])
def test_an_answer_that_comes_later_is_refused(name: str) -> None:  # trap M10
    with pytest.raises(SpendsLater, match=name):
        read({name: True})


def test_a_picture_may_have_a_background() -> None:
    assert read({"model": "m", "background": "transparent"}).model == "m"


@pytest.mark.parametrize(
    ("body", "path", "expected"),
    [
        ({"stream": True}, "/v1/x", True),
        ({}, GEMINI, False),
        ({}, "/v1/models/m:streamGenerateContent", True),
    ],
)
def test_a_stream_is_known(body: Any, path: str, expected: bool) -> None:
    assert read(body, path).stream is expected


def test_data_is_not_counted_as_text() -> None:  # case 33
    picture = "data:image/png;base64," + "A" * 100_000
    facts = read({"prompt": "word " * 200, "image": picture})
    assert facts.image_count == 1
    assert 1000 < facts.parts.last_user.text_bytes < 1200
    assert facts.parts.last_user.size_bytes > 100_000


def test_a_large_body_is_measured_at_once() -> None:  # case 33
    raw = json.dumps({"a": ["A" * 600] * 20_000, "b": '"' * 2_000_000}).encode()
    started = time.perf_counter()
    read(raw)
    assert time.perf_counter() - started < 1


def test_a_form_is_read_for_its_model_and_held_by_its_size() -> None:
    raw = (
        b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm-1\r\n'
        b'--b\r\nContent-Disposition: form-data; name="n"\r\n\r\n4\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + b"0" * 256_000
    ) + b"\r\n--b--\r\n"
    facts = read(raw, kind="multipart/form-data; boundary=b")
    assert (facts.model, facts.n) == ("m-1", 4)
    assert 1000 <= facts.parts.last_user.text_bytes < 1100


def test_two_bodies_are_two_questions() -> None:
    one, other = (read(body, kind="text/plain") for body in (b"a", b"b"))
    assert one.prompt != other.prompt


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/v1/embeddings", False),
        ("/v2/embed", False),
        ("/v1beta/models/m:batchEmbedContents", False),
        ("/v2/rerank", False),
        ("/v1/moderations/", False),
        ("/v1/images/generations", True),
        (GEMINI, True),
    ],
)
def test_vectors_and_verdicts_are_no_answer(path: str, expected: bool) -> None:
    assert generates(path) is expected
