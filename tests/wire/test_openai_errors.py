import json

import pytest

from tidegate.model.errors import BudgetExceeded, TidegateError, Unauthenticated, UpstreamTruncated, WrongType
from tidegate.model.reply import ErrorFacts
from tidegate.wire.openai_errors import KEEP_ALIVE, error_body, error_event, error_in, read_error

CHUNK = (
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m",'
    b'"choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":null}]}\n\n'
)

SHAPES: list[tuple[bytes, ErrorFacts]] = [
    (
        b'{"error":{"message":"no key","type":"invalid_request_error","code":"invalid_api_key"}}',
        ErrorFacts(type="invalid_request_error", code="invalid_api_key", message="no key"),
    ),
    (  # OpenRouter
        b'{"error":{"code":402,"message":"no credits","metadata":{"error_type":"payment"}},"user_id":"u"}',
        ErrorFacts(type="payment", code="402", message="no credits"),
    ),
    (  # Mistral
        b'{"object":"error","message":"bad","type":"invalid_model","param":null,"code":"1500"}',
        ErrorFacts(type="invalid_model", code="1500", message="bad"),
    ),
    (  # a validation report, as FastAPI words it
        b'{"detail":[{"type":"missing","loc":["body","messages",0],"msg":"Field required"},{"msg":"more"}]}',
        ErrorFacts(message="Field required; more", param="body.messages.0"),
    ),
    (  # Mistral's validation report
        b'{"object":"error","message":{"detail":[{"loc":["body","n"],"msg":"too big"}]},"type":"invalid"}',
        ErrorFacts(type="invalid", message="too big", param="body.n"),
    ),
    (b'{"detail":"Not allowed"}', ErrorFacts(message="Not allowed")),
    (b'{"message":"gone","type":"server_error"}', ErrorFacts(type="server_error", message="gone")),
    (b'{"Message":"denied"}', ErrorFacts(message="denied")),
    (b'{"error":"not found"}', ErrorFacts(message="not found")),
    (  # xAI
        b'{"code":"no_permission","error":"check the key"}',
        ErrorFacts(code="no_permission", message="check the key"),
    ),
    (  # Scaleway's gateway
        b'{"status":403,"error":"Forbidden","message":"denied"}',
        ErrorFacts(code="Forbidden", message="denied"),
    ),
    (  # Google's compatible surface
        b'[{"error":{"code":400,"message":"no","status":"S","details":[{"@type":"x"},{"reason":"R"}]}}]',
        ErrorFacts(type="S", code="R", message="no"),
    ),
    (b'{"errors":[{"message":"a","code":7}]}', ErrorFacts(code="7", message="a")),
    (b'"plain JSON text"', ErrorFacts(message="plain JSON text")),
    (b"upstream connect error", ErrorFacts(message="upstream connect error")),
    (
        b"<html>\n<head><title>502 Bad Gateway</title></head></html>",
        ErrorFacts(message="502 Bad Gateway"),
    ),
    (b"", ErrorFacts()),
    (b"\xff\xfe", ErrorFacts(message="\ufffd\ufffd")),
]


@pytest.mark.parametrize(("raw", "facts"), SHAPES, ids=lambda value: repr(value)[:30])
def test_every_shape_of_error_is_read(raw: bytes, facts: ErrorFacts) -> None:
    assert read_error(raw).error == facts


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 5000,
        b'{"message":' * 900 + b"1" + b"}" * 900,
        b'{"error":' * 400 + b"1" + b"}" * 400,
        b"[]",
        b"null",
        b'{"error":{}}',
        b'{"error":[1]}',
        b'{"detail":[[[1]]]}',
        b"9" * 6000,
    ],
)
def test_no_body_raises(raw: bytes) -> None:
    assert read_error(raw).error is not None


def test_a_huge_body_is_cut() -> None:  # case F8
    error = read_error(b"<p>" + b"x" * 3_000_000).error
    assert error is not None
    assert len(error.message) == 1000


def test_an_error_field_may_be_null() -> None:
    assert error_in(b"null") is None
    assert error_in(b"{}") is None
    assert error_in(b'{"code":1,"message":"m"}') == ErrorFacts(code="1", message="m")
    assert error_in(b'"m"') == ErrorFacts(message="m")


@pytest.mark.parametrize(
    "error",
    [
        WrongType("n: expected `int`", param="n"),
        Unauthenticated("no key was sent"),
        BudgetExceeded("needs 5, 3 left"),
    ],
)
def test_an_error_has_openais_fields_and_our_request_id(error: TidegateError) -> None:
    body = json.loads(error_body(error, "0199"))
    assert body == {
        "error": {
            "message": error.message,
            "type": error.kind,
            "param": error.param,
            "code": error.code,
            "request_id": "0199",
        }
    }


def chunks_of(raw: bytes) -> list[str]:
    """What the openai SDK gives an application for these bytes of a stream."""
    openai, httpx2 = pytest.importorskip("openai"), pytest.importorskip("httpx2")
    transport = httpx2.MockTransport(
        lambda _: httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=raw)
    )
    with openai.OpenAI(
        api_key="k",
        base_url="http://tidegate.test/v1",
        http_client=httpx2.Client(transport=transport),
        max_retries=0,
    ) as client:
        stream = client.chat.completions.create(model="m", messages=[], stream=True)
        return [chunk.choices[0].delta.content for chunk in stream]


def test_the_sdk_raises_our_error_out_of_a_stream() -> None:  # trap S6
    openai = pytest.importorskip("openai")
    event = error_event(UpstreamTruncated("the answer was cut"), "0199")
    with pytest.raises(openai.APIError, match="the answer was cut") as caught:
        chunks_of(CHUNK + event)
    assert caught.value.code == "upstream_truncated"
    assert b"[DONE]" not in event


def test_the_sdk_does_not_see_keep_alives() -> None:  # trap S8
    assert chunks_of(KEEP_ALIVE + CHUNK + KEEP_ALIVE * 2 + CHUNK + b"data: [DONE]\n\n" + KEEP_ALIVE) == [
        "Hi",
        "Hi",
    ]
