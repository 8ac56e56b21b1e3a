"""Other paths of a provider, `/pass/...`: bytes unchanged both ways, and no way around a limit (M10, M4)."""

import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anthropic
import openai
import pytest
from anthropic import Anthropic
from openai import OpenAI

from tests.support.echo_provider import Echo, Got, Said, echo_provider
from tests.support.served import Served, deployment, served
from tidegate.cli.desk_client import ask_control

SECRET = "sk-secret-of-the-provider-0000"
IMAGE = {"created": 1, "data": [{"b64_json": "aGVsbG8="}], "usage": {}}
IMAGE_USAGE = {
    "input_tokens": 50,
    "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
    "output_tokens": 1000,
    "total_tokens": 1050,
}
TRANSCRIPT_USAGE = {
    "type": "tokens",
    "input_tokens": 30,
    "input_token_details": {"text_tokens": 2, "audio_tokens": 28},
    "output_tokens": 8,
    "total_tokens": 38,
}
GEMINI = {
    "candidates": [{"content": {"parts": [{"text": "42"}], "role": "model"}, "finishReason": "STOP"}],
    "usageMetadata": {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 60,
        "candidatesTokenCount": 2,
        "thoughtsTokenCount": 14,
        "totalTokenCount": 116,
    },
    "modelVersion": "gemini-2.5-flash",
    "responseId": "r1",
}
SOUND = bytes(range(256)) * 64
LIMIT = """
[[budgets]]
name = "small"
limit = "{limit}"
unit = "{unit}"
window = "total"
match = {{ team = "small" }}
"""


BODIES: dict[str, Any] = {
    "/generations": {**IMAGE, "usage": IMAGE_USAGE},
    "/transcriptions": {"text": "hello", "usage": TRANSCRIPT_USAGE},
    "/moderations": {"id": "m", "model": "omni", "results": [{"flagged": False}]},
    "/files": {"id": "file-1", "object": "file", "data": [], "filename": "a.txt", "purpose": "user_data"},
    ":generateContent": GEMINI,
}
"""What a reply says, by the end of the path."""


EVENTS = b"".join(b"data: " + json.dumps(GEMINI).encode() + b"\r\n\r\n" for _ in range(2))
WORDS = b'data: {"text": "word after word"}\n\n' * 200
REPLIES = {
    **{end: Said(json.dumps(body).encode()) for end, body in BODIES.items()},
    "/speech": Said(SOUND, content_type="audio/mpeg", pieces=1000),
    "/content": Said(SOUND, content_type="application/octet-stream", headers={"etag": '"e1"'}),
    ":streamGenerateContent": Said(EVENTS, content_type="text/event-stream", pieces=7),
    "/slow": Said(WORDS, content_type="text/event-stream", pieces=33, pause_s=0.05),
    "/torn": Said(b'{"a"', cut=100),
}


def answer(got: Got) -> Said:
    """What the provider of these tests says to each path."""
    path = urlsplit(got.target).path
    if path.endswith("/teapot"):
        error = {"error": {"message": f"no {got.headers.get('authorization')}", "code": "teapot"}}
        return Said(json.dumps(error).encode(), status=418)
    nothing = Said(b'{"object": "list", "data": []}')
    return next((said for end, said in REPLIES.items() if path.endswith(end)), nothing)


def config(url: str, more: str = "") -> str:
    key = '{ env = "K" }'
    return (
        deployment("images", "openai", f"{url}/v1", "gpt-image-1", key=key)
        + deployment("talk", "openai", f"{url}/v1", "gpt-4o-mini", key=key)
        + deployment("ears", "openai", f"{url}/v1", "gpt-4o-transcribe", key=key)
        + deployment("voice", "openai", f"{url}/v1", "gpt-4o-mini-tts", key=key)
        + deployment("gem", "google", f"{url}/v1beta/openai", "*", key=key)
        + deployment("claude", "anthropic", url, "claude-sonnet-4-5", key=key)
        + deployment("here", "openai-compatible", f"{url}/v1", "*", key=key, residency='"contractual"')
        + LIMIT.format(limit="0.001", unit="EUR")
        + '[[prices.fx]]\nbase = "USD"\nquote = "EUR"\nrate = "0.9"\ndate = 2026-01-01\nsource = "test"\n'
        + "[policy]\nbudget_wait_s = 0\n"
        + more
    )


@dataclass
class Stage:
    served: Served
    echo: Echo
    key: str

    def ask(
        self, path: str, body: Any = None, *, method: str = "POST", key: str = "", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """One request of a bare client."""
        address = urlsplit(self.served.base_url)
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=20)
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {"authorization": f"Bearer {key or self.key}", "content-type": "application/json"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body=raw, headers=sent)
            reply = connection.getresponse()
            return reply.status, {name.lower(): text for name, text in reply.getheaders()}, reply.read()
        finally:
            connection.close()

    def code(self, *args: Any, **kwargs: Any) -> tuple[int, str]:
        """The status and the error code of a request; nothing of it reached the provider."""
        before = len(self.echo.got)
        status, _, raw = self.ask(*args, **kwargs)
        assert len(self.echo.got) == before, raw
        error = json.loads(raw)["error"]
        return status, str(error["code"])

    def last(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The newest closed request and its attempt."""
        ask_control(self.served.layout, "POST", "/catch-up", None, object)
        newest = "SELECT * FROM request WHERE tenant IS NOT NULL ORDER BY at_us DESC, id DESC LIMIT 1"
        self.served.wait_for(lambda: self.served.rows(newest)[0]["outcome"] is not None)
        request = self.served.rows(newest)[0]
        attempts = self.served.rows("SELECT * FROM attempt WHERE request_id = ?", request["id"])
        return request, attempts[-1]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with echo_provider() as echo:
        echo.answer = answer
        directory = tmp_path_factory.mktemp("pass")
        with served(directory, config(echo.base_url), env={"K": SECRET}) as running:
            yield Stage(running, echo, running.key())


@pytest.fixture(scope="module")
def flagging(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The same where calls whose cost is unknown are let through."""
    with echo_provider() as echo:
        echo.answer = answer
        directory = tmp_path_factory.mktemp("flag")
        text = config(echo.base_url, 'pass_through = "flag"\n')
        with served(directory, text, env={"K": SECRET}) as running:
            yield Stage(running, echo, running.key())


@pytest.fixture
def client(stage: Stage) -> OpenAI:
    return OpenAI(base_url=f"{stage.served.base_url}/pass/openai/v1", api_key=stage.key, max_retries=0)


def test_an_image_is_metered_by_its_reply(stage: Stage, client: OpenAI) -> None:
    made = client.images.generate(model="gpt-image-1", prompt="a boat")
    assert made.data is not None
    assert made.data[0].b64_json == "aGVsbG8="
    got = stage.echo.got[-1]
    assert (got.method, got.target) == ("POST", "/v1/images/generations")
    assert got.headers["authorization"] == f"Bearer {SECRET}"
    request, attempt = stage.last()
    assert (request["surface"], request["outcome"], request["model_asked"]) == ("pass", "ok", "gpt-image-1")
    buckets = (attempt["input_uncached"], attempt["input_image"], attempt["output_text"])
    assert (buckets, attempt["usage_source"]) == ((10, 40, 1000), "provider")
    assert (attempt["cost_source"], attempt["cost_nano"]) == (
        "price",
        10 * 5000 + 40 * 10_000 + 1000 * 40_000,
    )


def test_a_transcription_is_sent_as_it_is_and_its_model_is_found_in_the_form(
    stage: Stage, client: OpenAI
) -> None:
    said = client.audio.transcriptions.create(model="gpt-4o-transcribe", file=("a.wav", SOUND))
    assert said.text == "hello"
    got = stage.echo.got[-1]
    assert SOUND in got.body
    assert got.headers["content-type"].startswith("multipart/form-data; boundary=")
    request, attempt = stage.last()
    assert request["model_asked"] == "gpt-4o-transcribe"
    assert (attempt["input_uncached"], attempt["input_audio"], attempt["output_text"]) == (2, 28, 8)
    assert attempt["cost_nano"] == 2 * 2500 + 28 * 6000 + 8 * 10_000


def test_what_is_free_costs_nothing(stage: Stage, client: OpenAI) -> None:
    verdict = client.moderations.create(input="hello", model="omni-moderation-latest")
    assert verdict.results[0].flagged is False
    client.files.create(file=("a.txt", b"text"), purpose="user_data")
    assert stage.echo.got[-1].target == "/v1/files"
    assert client.files.list().data == []
    request, attempt = stage.last()
    assert (request["outcome"], attempt["cost_nano"], attempt["cost_source"]) == ("ok", 0, "price")


def test_a_file_comes_back_byte_for_byte(stage: Stage, client: OpenAI) -> None:
    assert client.files.content("file-1").read() == SOUND
    status, headers, raw = stage.ask("/pass/openai/v1/files/file-1/content", method="GET")
    assert (status, raw, headers["etag"]) == (200, SOUND, '"e1"')
    assert headers["content-type"] == "application/octet-stream"


def test_head_has_the_length_and_no_body(stage: Stage) -> None:
    status, headers, raw = stage.ask("/pass/openai/v1/files/file-1/content", method="HEAD")
    assert (status, raw, headers["content-length"]) == (200, b"", str(len(SOUND)))
    assert stage.echo.got[-1].method == "HEAD"
    assert stage.ask("/pass/openai/v1/files", method="GET")[0] == 200  # the connection goes on


def test_gemini_is_metered_and_the_clients_key_goes_nowhere(stage: Stage) -> None:
    path = f"/pass/google/v1beta/models/gemini-2.5-flash:generateContent?key={stage.key}&alt=json"
    body = {"contents": [{"parts": [{"text": "6 * 7?"}]}], "generationConfig": {"maxOutputTokens": 50}}
    raw = json.dumps(body, indent=3).encode()
    status, _, answered = stage.ask(path, raw, authorization="Bearer none-of-ours")
    assert (status, json.loads(answered)) == (200, GEMINI)
    got = stage.echo.got[-1]
    assert got.target == "/v1beta/models/gemini-2.5-flash:generateContent?alt=json"
    assert got.body == raw
    assert stage.key not in str(got)
    _, attempt = stage.last()
    buckets = [attempt[name] for name in ("input_uncached", "cache_read", "output_text", "reasoning")]
    assert buckets == [40, 60, 2, 14]  # trap M16
    assert (attempt["stated_input"], attempt["stated_output"], attempt["usage_rule"]) == (100, 16, "gemini")
    assert attempt["cost_nano"] == 40 * 300 + 60 * 30 + 16 * 2500


def test_a_stream_passes_as_it_is_and_is_watched(stage: Stage) -> None:
    path = "/pass/gem/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    status, headers, raw = stage.ask(path, {"contents": [{"parts": [{"text": "hi"}]}]})
    assert (status, headers["content-type"]) == (200, "text/event-stream")
    assert raw == EVENTS
    request, attempt = stage.last()
    assert (request["stream"], request["outcome"], attempt["usage_source"]) == (1, "ok", "provider")
    assert json.loads(attempt["flags"] or "[]") == []


LATER = (
    *("/pass/openai/v1/batches", "/pass/openai/v1/fine_tuning/jobs", "/pass/openai/v1/videos"),
    *("/pass/openai/v1/threads/t/runs", "/pass/openai/v1/assistants", "/pass/openai/v1/realtime/sessions"),
    *("/pass/openai/v1/vector_stores", "/pass/openai/V1/Batches", "/pass/claude/v1/messages/batches"),
    "/pass/gem/v1beta/models/gemini-2.5-flash:batchGenerateContent",
)


@pytest.mark.parametrize("path", LATER)
def test_what_spends_later_is_refused_by_name(stage: Stage, flagging: Stage, path: str) -> None:  # case 46
    for one in (stage, flagging):
        assert one.code(path, {"input": "hi"}) == (501, "spends_later")


@pytest.mark.parametrize(
    "path", ["/v1/responses", "/pass/here/v1/responses/compact", "/pass/openai/v1/responses/compact"]
)
def test_what_runs_in_the_background_is_refused_by_name(stage: Stage, path: str) -> None:
    body = {"model": "gpt-4o-mini", "input": "hi", "background": True}
    assert stage.code(path, body) == (501, "spends_later")


def test_sdks_are_told_in_their_own_dialect(stage: Stage, client: OpenAI) -> None:
    with pytest.raises(openai.InternalServerError, match="billed after its reply"):
        client.batches.create(completion_window="24h", endpoint="/v1/responses", input_file_id="f")
    other = Anthropic(base_url=f"{stage.served.base_url}/pass/claude", api_key=stage.key, max_retries=0)
    with pytest.raises(anthropic.InternalServerError, match="billed after its reply") as caught:
        other.messages.batches.create(requests=[])
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["type"] == "error"


def test_a_websocket_is_refused_by_name(stage: Stage) -> None:
    status, _, raw = stage.ask(
        "/pass/openai/v1/realtime?model=gpt-realtime",
        method="GET",
        connection="upgrade",
        upgrade="websocket",
    )
    assert (status, json.loads(raw)["error"]["code"]) == (400, "upgrade_refused")


REFUSED = [
    ("/pass/openai/v1/chat/completions", {"model": "gpt-4o-mini"}, (400, "unsupported")),
    ("/pass/openai/v1/chat/completions/", {"model": "gpt-4o-mini"}, (400, "unsupported")),
    ("/pass/openai/v1/audio/speech", {"model": "gpt-4o-mini-tts", "input": "a"}, (402, "usage_unknown")),
    ("/pass/openai/v1/new/things", {"prompt": "a"}, (402, "usage_unknown")),
    ("/pass/here/v1/new/things", {"model": "never-priced"}, (402, "price_unknown")),
    ("/pass/openai/v1/images/generations", {"model": "gpt-image-2"}, (404, "model_not_found")),
    ("/pass/openai/v1/images/generations", b'{"model":"a","model":"b"}', (400, "duplicate_field")),
    ("/pass/gem/v1beta/models/gemini-2.5-flash:generateContent", {"model": "pro"}, (400, "invalid_request")),
    ("/pass/gem/v1beta/models/gemini-2.5-flash-image:generateContent", {}, (402, "usage_unknown")),
    ("/pass/nobody/v1/files", {}, (404, "not_found")),
    ("/pass/openai", {}, (404, "not_found")),
    ("/pass/openai//v1/files", {}, (400, "invalid_request")),
    ("/pass/openai/v1/%2e%2e/admin", {}, (400, "invalid_request")),
    ("/pass/openai/v1%2ffiles", {}, (400, "invalid_request")),
]


@pytest.mark.parametrize(("path", "body", "expected"), REFUSED)
def test_what_cannot_be_metered_is_refused(
    stage: Stage, path: str, body: Any, expected: tuple[int, str]
) -> None:
    assert stage.code(path, body) == expected


def test_a_second_model_cannot_hide_in_a_form(stage: Stage) -> None:
    def form(*parts: bytes) -> bytes:
        return b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"

    model = b'Content-Disposition: form-data; name="model"\r\n\r\n'
    kind = "multipart/form-data; boundary=b"
    path = "/pass/openai/v1/audio/transcriptions"
    twice = form(model + b"gpt-4o-transcribe", model + b"gpt-4o-mini-transcribe")
    assert stage.code(path, twice, content_type=kind) == (400, "invalid_request")
    hidden = form(model + b"gpt-4o-transcribe", b"Content-Disposition: form-data; name=model\r\n\r\nother")
    assert stage.code(path, hidden, content_type=kind) == (402, "usage_unknown")


def test_no_way_around_a_budget(stage: Stage) -> None:  # cases 26, 46
    key = stage.served.key(team="small")
    body = {"model": "gpt-image-1", "prompt": "a boat", "n": 10}
    assert stage.code("/pass/openai/v1/images/generations", body, key=key) == (402, "budget_exceeded")
    assert stage.ask("/pass/openai/v1/files", method="GET", key=key)[0] == 200


def test_no_way_around_a_list_of_models(stage: Stage) -> None:
    key = stage.served.key(models=["gpt-4o-mini", "gem/gemini-2.5-flash", "omni-moderation-latest"])
    images = "/pass/openai/v1/images/generations"
    assert stage.code(images, {"model": "gpt-image-1"}, key=key) == (403, "model_not_allowed")
    assert stage.code("/pass/openai/v1/files", method="GET", key=key) == (403, "model_not_allowed")
    assert stage.code("/pass/openai/v1/new", {}, key=key) == (403, "model_not_allowed")
    path = "/pass/gem/v1beta/models/{}:generateContent"
    assert stage.code(path.format("gemini-2.5-pro"), {}, key=key) == (403, "model_not_allowed")
    assert stage.code(path.format("Gemini-2.5-flash"), {}, key=key) == (403, "model_not_allowed")
    assert stage.ask(path.format("gemini-2.5-flash"), {}, key=key)[0] == 200


def test_no_way_around_a_region(stage: Stage) -> None:
    key = stage.served.key(region="eu")
    body = {"model": "gpt-image-1", "prompt": "a"}
    assert stage.code("/pass/openai/v1/images/generations", body, key=key) == (403, "forbidden")


def test_a_body_cannot_hide_behind_get(stage: Stage) -> None:
    path = "/pass/openai/v1/models/x"
    assert stage.code(path, {"model": "gpt-image-1"}, method="GET") == (400, "invalid_request")


def test_no_key_no_call(stage: Stage) -> None:
    assert stage.code("/pass/openai/v1/files", method="GET", key="sk-foreign") == (401, "invalid_api_key")


def test_a_providers_error_passes_without_our_secret(stage: Stage) -> None:
    status, headers, raw = stage.ask("/pass/here/v1/models/teapot", method="GET")
    assert (status, headers["tidegate-error-source"]) == (418, "upstream")
    assert SECRET.encode() not in raw
    request, attempt = stage.last()
    assert (request["outcome"], request["error_code"], attempt["cost_nano"]) == ("failed", "teapot", 0)


def test_a_reply_that_breaks_off_is_cut_visibly(stage: Stage) -> None:  # case F3
    with pytest.raises(http.client.IncompleteRead):
        stage.ask("/pass/here/v1/models/torn", method="GET")
    request, attempt = stage.last()
    assert (request["outcome"], attempt["status"]) == ("truncated", "truncated")


def test_a_client_that_leaves_is_settled(stage: Stage) -> None:  # case F10
    address = urlsplit(stage.served.base_url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=20)
    headers = {"authorization": f"Bearer {stage.key}", "content-type": "application/json"}
    connection.request("POST", "/pass/talk/v1/slow", body=b'{"model": "gpt-4o-mini"}', headers=headers)
    reply = connection.getresponse()
    assert reply.read(20)
    reply.close()
    connection.close()
    request, attempt = stage.last()
    assert (request["outcome"], attempt["status"]) == ("cancelled", "cancelled")
    assert {"estimated", "maybe_billed"} <= set(json.loads(attempt["flags"]))
    assert attempt["cost_nano"] > 0


def test_a_flagged_call_says_that_its_cost_is_unknown(flagging: Stage) -> None:  # trap M4
    client = OpenAI(base_url=f"{flagging.served.base_url}/pass/openai/v1", api_key=flagging.key)
    spoken = client.audio.speech.create(model="gpt-4o-mini-tts", voice="alloy", input="hello")
    assert spoken.read() == SOUND
    request, attempt = flagging.last()
    assert (request["outcome"], attempt["cost_nano"], attempt["cost_source"]) == ("ok", None, "unpriced")
    assert {"estimated", "unpriced"} <= set(json.loads(attempt["flags"]))
    assert flagging.ask("/pass/openai/v1/new/things", {"prompt": "a"})[0] == 200
    key = flagging.served.key(team="small")
    refused = flagging.code("/pass/openai/v1/new/things", {"prompt": "a"}, key=key)
    assert refused == (402, "budget_exceeded")  # money that nobody can count fits no budget of money


def test_what_a_provider_keeps_is_not_shown_to_several_tenants(tmp_path: Path) -> None:
    with echo_provider() as echo:
        echo.answer = answer
        with served(tmp_path, config(echo.base_url), env={"K": SECRET}) as running:
            one = Stage(running, echo, running.key(tenant="acme"))
            assert one.ask("/pass/openai/v1/files", method="GET")[0] == 200
            running.key(tenant="other")
            assert one.code("/pass/openai/v1/files", method="GET") == (403, "account_shared")
            assert one.ask("/pass/openai/v1/models", method="GET")[0] == 200
            images = {"model": "gpt-image-1", "prompt": "a boat"}
            assert one.ask("/pass/openai/v1/images/generations", images)[0] == 200


def test_off_is_off(tmp_path: Path) -> None:
    with echo_provider() as echo:
        text = config(echo.base_url, 'pass_through = "off"\n')
        with served(tmp_path, text, env={"K": SECRET}) as running:
            one = Stage(running, echo, running.key())
            assert one.code("/pass/openai/v1/files", method="GET") == (404, "not_found")
