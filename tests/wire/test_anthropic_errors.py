"""Our errors in Anthropic's words, as its own SDK reads them."""

import json

import anthropic
import httpx2
import pytest

from tidegate.model import errors
from tidegate.model.errors import TidegateError
from tidegate.model.reply import ErrorFacts
from tidegate.wire.anthropic_messages import CODEC

START = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":"m","type":"message",'
    b'"role":"assistant","model":"c","content":[],"stop_reason":null,"usage":{"input_tokens":1,"output_tokens":1}}}\n\n'
)
CASES: list[tuple[TidegateError, str, type[anthropic.APIStatusError]]] = [
    (errors.BadRequest("m"), "invalid_request_error", anthropic.BadRequestError),
    (errors.Unauthenticated("m"), "authentication_error", anthropic.AuthenticationError),
    (errors.BudgetExceeded("m"), "billing_error", anthropic.PaymentRequiredError),
    (errors.ModelNotAllowed("m"), "permission_error", anthropic.PermissionDeniedError),
    (errors.ModelNotFound("m"), "not_found_error", anthropic.NotFoundError),
    (errors.MethodNotAllowed("m"), "invalid_request_error", anthropic.APIStatusError),
    (errors.RequestTimeout("m"), "timeout_error", anthropic.RequestTimeoutError),
    (errors.TooLarge("m"), "request_too_large", anthropic.ContentTooLargeError),
    (errors.UnsupportedMediaType("m"), "invalid_request_error", anthropic.APIStatusError),
    (errors.RateLimited("m"), "rate_limit_error", anthropic.RateLimitError),
    (errors.TidegateError("m"), "api_error", anthropic.InternalServerError),
    (errors.UpstreamTruncated("m"), "api_error", anthropic.InternalServerError),
    (errors.Unavailable("m"), "overloaded_error", anthropic.ServiceUnavailableError),
    (errors.UpstreamTimeout("m"), "timeout_error", anthropic.GatewayTimeoutError),
]


def client(status: int, media_type: str, body: bytes) -> anthropic.Anthropic:
    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, headers={"content-type": media_type}, content=body)

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    return anthropic.Anthropic(api_key="k", base_url="http://gateway", http_client=http, max_retries=0)


@pytest.mark.parametrize(("error", "kind", "raised"), CASES)
def test_the_sdk_reads_type_code_and_message_of_a_refusal(
    error: TidegateError, kind: str, raised: type[anthropic.APIStatusError]
) -> None:
    body = CODEC.error_body(error, "req_1")
    with (
        client(error.status, "application/json", body) as sdk,
        pytest.raises(anthropic.APIStatusError) as caught,
    ):
        sdk.messages.create(model="c", max_tokens=1, messages=[])
    found = caught.value
    assert type(found) is raised
    assert (found.type, found.error_code, found.api_message) == (kind, error.code, "m")
    assert json.loads(body)["request_id"] == "req_1"


def test_the_field_at_fault_is_named() -> None:
    body = json.loads(CODEC.error_body(errors.WrongType("max_tokens: no", param="max_tokens"), "r"))
    assert body["error"]["details"] == {"error_code": "invalid_type", "param": "max_tokens"}


@pytest.mark.parametrize("keep_alive", [b"", CODEC.keep_alive])
def test_the_sdk_raises_on_an_error_event_and_not_on_keep_alives(keep_alive: bytes) -> None:
    # traps S6, S8
    end = CODEC.error_event(errors.UpstreamTruncated("the answer was cut"), "req_1")
    with client(200, "text/event-stream", START + keep_alive + end) as sdk:
        stream = sdk.messages.create(model="c", max_tokens=1, messages=[], stream=True)
        assert next(iter(stream)).type == "message_start"
        with pytest.raises(anthropic.APIStatusError) as caught:
            next(iter(stream))
    assert (caught.value.type, caught.value.error_code) == ("api_error", "upstream_truncated")
    assert caught.value.api_message == "the answer was cut"


def test_our_own_error_reads_back() -> None:
    error = errors.BudgetExceeded("over")
    expected = ErrorFacts(type="billing_error", code="budget_exceeded", message="over")
    assert CODEC.read_error(CODEC.error_body(error, "r")).error == expected


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (
            b'{"error":{"type":"rate_limit_error","message":"no","details":{"error_code":"spend"}},"type":"error"}',
            ErrorFacts(type="rate_limit_error", code="spend", message="no"),
        ),
        (
            b'{"error":{"type":"not_found_error","message":"model: x"},"type":"error"}',
            ErrorFacts(type="not_found_error", message="model: x"),
        ),
        (b'{"message":"Input is too long"}', ErrorFacts(message="Input is too long")),
        (b"upstream connect error", ErrorFacts(message="upstream connect error")),
    ],
)
def test_a_providers_error_is_read_in_any_shape(raw: bytes, expected: ErrorFacts) -> None:
    assert CODEC.read_error(raw).error == expected
