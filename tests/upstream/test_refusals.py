"""What comes in the place of an answer, in each provider's words."""

from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, get_args

import pytest

from tests.support.upstream import Running, scripted_upstream
from tests.upstream.raw import CHAT, MESSAGES, RESPONSES, ask
from tidegate.upstream.script import Fault, Wording

PREFILLED = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "{"}]


@pytest.fixture(scope="module")
def upstream() -> Iterator[Running]:
    with scripted_upstream(output_tokens=4) as running:
        yield running


ROWS: list[tuple[str, str, int, str, str]] = [
    # trap M17, R3: the disguises of an empty wallet
    (CHAT, "money_429", 429, "insufficient_quota", "insufficient_quota"),
    (CHAT, "money_402", 402, "unknown_error", "invalid_request_error"),
    (CHAT, "money_400", 400, "invalid_request_error", "billing_hard_limit_reached"),
    (CHAT, "money_403", 403, "permission_error", "permission_denied"),
    (CHAT, "money_200", 200, "insufficient_quota", "insufficient_quota"),
    (MESSAGES, "money_402", 402, "billing_error", ""),
    (MESSAGES, "money_400", 400, "invalid_request_error", ""),
    (MESSAGES, "money_429", 429, "rate_limit_error", ""),
    (MESSAGES, "money_200", 200, "rate_limit_error", ""),
    (CHAT, "rate", 429, "requests", "rate_limit_exceeded"),
    (MESSAGES, "rate", 429, "rate_limit_error", ""),
    (CHAT, "overload", 503, "service_unavailable_error", "server_is_overloaded"),
    (MESSAGES, "overload", 529, "overloaded_error", ""),
    (RESPONSES, "overload", 503, "service_unavailable_error", "server_is_overloaded"),
    (CHAT, "context", 400, "invalid_request_error", "context_length_exceeded"),
    (CHAT, "filter", 400, "invalid_request_error", "content_policy_violation"),
    (CHAT, "key", 401, "invalid_request_error", "invalid_api_key"),
    (MESSAGES, "key", 401, "authentication_error", ""),
    (MESSAGES, "forbidden", 403, "permission_error", ""),
    (CHAT, "model", 404, "invalid_request_error", "model_not_found"),
    (MESSAGES, "model", 404, "not_found_error", ""),
    (CHAT, "bad", 400, "invalid_request_error", ""),
    (MESSAGES, "server", 500, "api_error", ""),
    (MESSAGES, "timeout", 504, "timeout_error", ""),
    (MESSAGES, "too_large", 413, "request_too_large", ""),
]


@pytest.mark.parametrize(("path", "fault", "status", "kind", "code"), ROWS)
def test_a_fault_is_worded_in_its_dialect(
    upstream: Running, path: str, fault: str, status: int, kind: str, code: str
) -> None:
    heard = ask(upstream.base_url, {"fault": fault}, path=path)
    error = heard.json["error"]
    assert (heard.status, error["type"], error.get("code") or "") == (status, kind, code)
    assert ("request_id" in heard.json) is (path == MESSAGES)


SAID: list[tuple[str, str, str]] = [
    ("openai", "context", "maximum context length is 8192 tokens"),
    ("vllm", "context", "maximum context length is 8192 tokens"),
    ("anthropic", "context", "prompt is too long: "),
    ("llamacpp", "context", "exceeds the available context size"),
    ("google", "context", "exceeds the maximum number of tokens allowed"),
    ("anthropic", "money_400", "credit balance is too low"),
    ("azure", "overload", "high demand"),
    ("mistral", "overload", "capacity exceeded"),
    ("openrouter", "money_402", "Insufficient credits"),
]


@pytest.mark.parametrize(("words", "fault", "said"), SAID)
def test_a_provider_has_its_own_words(upstream: Running, words: str, fault: str, said: str) -> None:
    assert said in ask(upstream.base_url, {"fault": fault, "words": words}).body.decode()


@pytest.mark.parametrize("words", get_args(Wording))
@pytest.mark.parametrize("fault", [fault for fault in get_args(Fault) if fault not in ("html", "empty")])
def test_every_provider_words_every_fault(upstream: Running, words: str, fault: str) -> None:
    heard = ask(upstream.base_url, {"fault": fault, "words": words})
    assert heard.status == 200 if fault == "money_200" else heard.status >= 400
    assert b"message" in heard.body
    assert b"{" not in heard.body.replace(b'{"', b"").replace(b"{}", b""), "a place was left open"


def test_shapes_differ_between_providers(upstream: Running) -> None:
    def body(words: str, fault: str) -> Any:
        return ask(upstream.base_url, {"fault": fault, "words": words}).json

    assert body("google", "overload")[0]["error"]["status"] == "UNAVAILABLE"
    assert body("google", "key")[0]["error"]["details"][0]["reason"] == "API_KEY_INVALID"
    assert body("mistral", "rate")["object"] == "error"
    assert body("openrouter", "money_in_flight")["error"]["metadata"] == {"limit_source": "in_flight"}
    assert body("azure", "filter")["error"]["innererror"]["code"] == "ResponsibleAIPolicyViolation"
    assert body("llamacpp", "context")["error"]["n_ctx"] == 8192
    assert body("vllm", "model")["error"]["code"] == 404
    spent = body("anthropic", "money_429")["error"]
    assert spent["details"]["error_code"] == "enforced_spend_limit_reached"


def test_status_and_fields_of_a_fault_may_be_changed(upstream: Running) -> None:
    heard = ask(upstream.base_url, {"fault": "rate", "status": 200, "error": {"code": "x"}}, stream=True)
    assert (heard.status, heard.headers["content-type"]) == (200, "application/json")
    assert heard.json["error"]["code"] == "x"


# traps R1, M17, fault F4
ADVICE: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({}, {}),
    ({"retry_after": 2}, {"retry-after": "2"}),
    ({"retry_after": 0.5}, {"retry-after": "0.5"}),
    ({"retry_after": "soon"}, {"retry-after": "soon"}),
    ({"retry_after": -3}, {"retry-after": "-3"}),
    ({"retry_after": 1_000_000_000}, {"retry-after": "1000000000"}),
    ({"retry_after_ms": 250}, {"retry-after-ms": "250"}),
    (
        {"limit_reset_s": 0.12},
        {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "120ms"},
    ),
    ({"limit_reset_s": 360, "limit_remaining": 7}, {"x-ratelimit-remaining-requests": "7"}),
    ({"limit_reset_s": 360}, {"x-ratelimit-reset-tokens": "6m0s"}),
    ({"limit_reset_s": 1.5}, {"x-ratelimit-reset-requests": "1.5s"}),
]


@pytest.mark.parametrize(("advice", "lines"), ADVICE)
def test_a_throttled_call_is_told_when_to_come_back(
    upstream: Running, advice: dict[str, Any], lines: dict[str, str]
) -> None:
    headers = ask(upstream.base_url, {"fault": "rate", **advice}).headers
    assert lines.items() <= headers.items()
    if not advice:
        assert "retry-after" not in headers


@pytest.mark.parametrize("seconds", [5, -5])
def test_the_time_to_come_back_may_be_a_date(upstream: Running, seconds: int) -> None:
    script = {"fault": "rate", "retry_after_date_s": seconds}
    at = parsedate_to_datetime(ask(upstream.base_url, script).headers["retry-after"])
    assert abs((at - datetime.now(UTC)).total_seconds() - seconds) < 4


def test_anthropics_limits_reset_at_a_time(upstream: Running) -> None:
    headers = ask(upstream.base_url, {"fault": "rate", "limit_reset_s": 60}, path=MESSAGES).headers
    at = datetime.fromisoformat(headers["anthropic-ratelimit-requests-reset"])
    assert 50 < (at - datetime.now(UTC)).total_seconds() < 61
    assert headers["anthropic-ratelimit-requests-remaining"] == "0"


def test_google_says_in_the_body_when_to_come_back(upstream: Running) -> None:
    script = {"fault": "rate", "words": "google", "retry_info": 2.5}
    details = ask(upstream.base_url, script).json[0]["error"]["details"]
    assert details[-1] == {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2.5s"}


@pytest.mark.parametrize("status", [200, 500, None])
def test_an_html_page_is_no_answer(upstream: Running, status: int | None) -> None:
    heard = ask(upstream.base_url, {"fault": "html"} | ({"status": status} if status else {}), stream=True)
    assert (heard.status, heard.headers["content-type"]) == (status or 502, "text/html")
    assert heard.body.startswith(b"<html>")


def test_a_body_may_be_empty(upstream: Running) -> None:
    heard = ask(upstream.base_url, {"fault": "empty"}, stream=True)
    assert (heard.status, heard.headers["content-length"], heard.body) == (200, "0", b"")


def test_a_call_is_sent_elsewhere(upstream: Running) -> None:
    heard = ask(upstream.base_url, {"redirect": "http://127.0.0.1:9/v1"})
    assert (heard.status, heard.headers["location"]) == (307, "http://127.0.0.1:9/v1")
    assert ask(upstream.base_url, {"redirect": "/x", "status": 301}).status == 301


@pytest.mark.parametrize(("path", "said"), [(CHAT, "assistant"), (MESSAGES, "assistant message prefill")])
def test_a_model_may_take_no_prefill(upstream: Running, path: str, said: str) -> None:
    # trap R4
    heard = ask(upstream.base_url, {"no_prefill": True}, path=path, messages=PREFILLED)
    assert heard.status == 400
    assert said in heard.json["error"]["message"]
    assert ask(upstream.base_url, {"no_prefill": True}, path=path).status == 200
    assert ask(upstream.base_url, path=path, messages=PREFILLED).status == 200


def test_a_tools_result_is_no_prefill(upstream: Running) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turns = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "1"},
    ]
    assert ask(upstream.base_url, {"no_prefill": True}, messages=turns).status == 200


def test_a_model_may_refuse_fields_by_name(upstream: Running) -> None:
    script = {"refuse_fields": ["logprobs", "messages.name"]}
    heard = ask(upstream.base_url, script, logprobs=True)
    assert (heard.status, heard.json["error"]["param"]) == (400, "logprobs")
    named = [{"role": "user", "content": "Hi", "name": "me"}]
    assert ask(upstream.base_url, script, messages=named).json["error"]["param"] == "messages.name"
    heard = ask(upstream.base_url, script, path=MESSAGES, logprobs=True)
    assert heard.json["error"]["message"] == "logprobs: Extra inputs are not permitted"
    assert ask(upstream.base_url, script).status == 200


@pytest.mark.parametrize(
    ("path", "window", "status"),
    [(CHAT, 200, 200), (CHAT, 100, 400), (MESSAGES, 100, 200), (MESSAGES, 5, 400)],
)
def test_a_context_window_holds_the_output_too_where_the_provider_counts_it(
    upstream: Running, path: str, window: int, status: int
) -> None:
    # trap R2
    heard = ask(upstream.base_url, {"context_window": window}, path=path)
    assert heard.status == status
    if status == 400:
        assert str(window) in heard.json["error"]["message"]


def test_a_head_may_be_a_bomb(upstream: Running) -> None:
    heard = ask(upstream.base_url, {"extra_headers": 2_000, "extra_header_bytes": 50})
    assert sum(name.startswith("x-scripted-") for name in heard.headers) == 2_000
    assert len(heard.head) > 2_000 * 50


def test_informational_heads_come_first(upstream: Running) -> None:
    heard = ask(upstream.base_url, {"informational": 3}, stream=True)
    assert (heard.informed, heard.status, heard.ended) == (3, 200, True)
    heard = ask(upstream.base_url, {"informational": "endless"}, limit=2_000)
    assert heard.end == "open"
    assert heard.raw.replace(b"HTTP/1.1 102 Processing\r\n\r\n", b"") in b"HTTP/1.1 102 Processing\r\n\r\n"
