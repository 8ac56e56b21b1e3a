"""Free probes: what is found of a deployment, and never a billed request (trap M14)."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from tests.support.scripted_transport import ScriptedReply, ScriptedTransport, Sent
from tidegate.model.errors import ConfigError
from tidegate.model.provider import Capabilities, Deployment, ModelRow, Provider
from tidegate.providers import catalog
from tidegate.providers.probe import PROBE_S, Found, found, look
from tidegate.providers.transport import Phase, TransportError

ROWS = catalog.load()
SECRET = "sk-0123456789abcdef0123"


def deployment(provider: str, **facts: Any) -> Deployment:
    given = {"name": "one", "model": "m", "names": ("m",), "base_url": "https://h/v1"} | facts
    return Deployment(provider=provider, **given)


def answer(status: int = 200, body: object = None) -> ScriptedReply:
    return ScriptedReply(status=status, body=[json.dumps(body).encode()] if body is not None else [])


def listing(*names: str, **more: Any) -> dict[str, Any]:
    return {"object": "list", "data": [{"id": name} for name in names], **more}


def probed(
    one: Deployment,
    replies: Iterable[ScriptedReply],
    *,
    secret: str = SECRET,
    provider: Provider | None = None,
) -> tuple[Found, ScriptedTransport]:
    """What is found by a script of replies, all of which must be used."""
    row = provider or ROWS[one.provider]
    script = list(replies)
    transport = ScriptedTransport(script)
    times = iter((1.0, 1.125))
    seen = asyncio.run(look(transport, row, one, secret, now_s=lambda: next(times)))
    assert len(transport.sent) == len(script)
    return found(row, one, seen), transport


def failing(phase: Phase) -> ScriptedReply:
    return ScriptedReply(
        error=TransportError("no connection to h:443", sent="no", got_bytes=False, phase=phase)
    )


def test_a_good_deployment_is_found_with_two_gets() -> None:  # trap M14
    seen, transport = probed(deployment("openai"), [answer(body=listing("m")), answer(401)])
    assert (seen.reached, seen.tls, seen.status, seen.latency_ms) == (True, "ok", 200, 125)
    assert (seen.key, seen.model, seen.notes) == ("accepted", "listed", ())
    assert [(call.method, call.url) for call in transport.sent] == [("GET", "https://h/v1/models")] * 2
    assert transport.sent[0].headers == {"authorization": f"Bearer {SECRET}"}
    assert transport.sent[1].headers == {}
    assert {call.limits.first_byte_s for call in transport.sent} == {PROBE_S}
    assert {call.limits.total_s for call in transport.sent} == {PROBE_S}


def test_the_row_stands_beside_what_was_found() -> None:
    seen, _ = probed(deployment("openai"), [answer(body=listing("m")), answer(401)])
    assert (seen.row_verified, seen.row_checked) == (False, ROWS["openai"].checked)


@pytest.mark.parametrize(
    ("provider", "status", "body", "key"),
    [
        ("openai", 401, {"error": {"message": "Incorrect API key", "code": "invalid_api_key"}}, "refused"),
        ("google", 400, [{"error": {"message": "API key not valid.", "status": "INVALID"}}], "refused"),
        ("scaleway", 403, {"message": "insufficient permissions"}, "refused"),
        ("openai", 403, {"error": {"message": "unsupported country"}}, "unknown"),
        ("openai", 429, {"error": {"message": "slow down"}}, "unknown"),
        ("openai", 503, {"error": {"message": "overloaded"}}, "unknown"),
        ("openai", 404, {"error": {"message": "no route"}}, "unknown"),
    ],
)
def test_an_error_tells_of_the_key_as_its_row_classifies_it(
    provider: str, status: int, body: object, key: str
) -> None:
    seen, _ = probed(deployment(provider), [answer(status, body)])
    assert (seen.reached, seen.status, seen.key, seen.model) == (True, status, key, "unknown")
    assert any("the provider says" in note for note in seen.notes)


@pytest.mark.parametrize(
    ("without_key", "key"),
    [
        (401, "accepted"),
        (403, "accepted"),
        (400, "accepted"),
        (200, "unproven"),
        (429, "unknown"),
        (502, "unknown"),
    ],
)
def test_a_list_that_is_open_to_everybody_proves_no_key(without_key: int, key: str) -> None:
    seen, _ = probed(deployment("openai"), [answer(body=listing("m")), answer(without_key)])
    assert seen.key == key
    assert any("proves nothing of the key" in note for note in seen.notes) == (key == "unproven")


@pytest.mark.parametrize(("status", "key"), [(200, "accepted"), (401, "refused"), (500, "unknown")])
def test_a_row_can_name_where_the_key_alone_opens(status: int, key: str) -> None:
    seen, transport = probed(
        deployment("openrouter"), [answer(body=listing("m")), answer(status, {"error": {"message": "no"}})]
    )
    assert seen.key == key
    assert transport.sent[1].url == "https://h/v1/key"
    assert transport.sent[1].headers["authorization"] == f"Bearer {SECRET}"


def test_a_server_without_a_key_is_asked_once() -> None:
    one = deployment("vllm", base_url="http://127.0.0.1:8000/v1")
    seen, transport = probed(one, [answer(body=listing("m"))], secret="")
    assert (seen.key, seen.tls, seen.model) == ("not_sent", "none", "listed")
    assert transport.sent[0].headers == {}


def test_a_missing_key_is_told_before_anything_is_sent() -> None:
    transport = ScriptedTransport([])
    with pytest.raises(ConfigError, match="has no key"):
        asyncio.run(look(transport, ROWS["openai"], deployment("openai"), ""))
    assert transport.sent == []


@pytest.mark.parametrize(
    ("phase", "tls"), [("connect", "unknown"), ("tls", "failed"), ("first_byte", "ok"), ("read", "ok")]
)
def test_a_call_without_an_answer_is_not_reached(phase: Phase, tls: str) -> None:
    seen, _ = probed(deployment("openai"), [failing(phase)])
    assert (seen.reached, seen.tls, seen.status, seen.key) == (False, tls, None, "unknown")
    assert seen.notes == ("no connection to h:443",)


def test_a_list_that_is_cut_is_reached_and_told() -> None:
    cut = TransportError("h:443 cut its reply", sent="maybe", got_bytes=True, phase="read")
    seen, _ = probed(deployment("openai"), [ScriptedReply(body=[b'{"data":[', cut])])
    assert (seen.reached, seen.status, seen.model) == (True, 200, "unknown")
    assert seen.notes == ("h:443 cut its reply",)


@pytest.mark.parametrize(
    ("provider", "model", "body", "expected"),
    [
        ("openai", "m", listing("other"), "not_listed"),
        ("together", "m", [{"id": "m"}], "listed"),
        ("google", "gemini-3", listing("models/gemini-3"), "listed"),
        ("google", "models/gemini-3", listing("models/gemini-3"), "listed"),
        ("anthropic", "claude-opus-4-5", listing("claude-opus-4-5-20251101"), "listed"),
        ("openai", "gpt-4.1", listing("gpt-4.1-2025-04-14"), "listed"),
        ("openai", "gpt-4.1", listing("gpt-4.1-mini-2025-04-14"), "not_listed"),
        ("anthropic", "m", listing("other", has_more=True), "unknown"),
        ("anthropic", "m", listing("m", has_more=True), "listed"),
        ("ollama", "llama3", {"data": [{"id": "llama3:latest"}]}, "listed"),
        ("huggingface", "org/model:cheapest", listing("org/model"), "listed"),
        ("llamacpp", "m", {"models": [{"name": "m"}]}, "listed"),
        ("openai", "*", listing("m"), "unknown"),
        ("azure", "m", listing("other"), "unknown"),
        ("openai", "m", {"data": [7, {"id": 7}, {"id": "m"}]}, "listed"),
    ],
)
def test_a_model_is_looked_for_as_its_provider_writes_it(
    provider: str, model: str, body: object, expected: str
) -> None:
    seen, _ = probed(deployment(provider, model=model), [answer(body=body), answer(401)])
    assert seen.model == expected


@pytest.mark.parametrize(
    ("provider", "replies", "note"),
    [
        ("openai", [answer(404)], "the row says that GET /models lists the models; here it does not"),
        ("openai", [answer(body={"hello": 1}), answer(401)], "the answer is no such list"),
        ("openai", [ScriptedReply(body=[b"<html>"]), answer(401)], "the answer is no such list"),
        ("openai", [answer(302)], "a redirect, which is never followed"),
        ("azure", [answer(body=listing("m")), answer(401)], "what could be deployed"),
        ("cohere", [answer(404)], "only a call tells whether the key is good"),
    ],
)
def test_what_is_not_as_the_row_has_it_is_told(
    provider: str, replies: list[ScriptedReply], note: str
) -> None:
    seen, _ = probed(deployment(provider), replies)
    assert any(note in one for one in seen.notes), seen.notes


def test_a_row_without_a_list_is_asked_at_its_address() -> None:
    seen, transport = probed(deployment("cohere"), [answer(404)])
    assert (seen.reached, seen.key) == (True, "unknown")
    assert transport.sent[0].url == "https://h/v1"


@pytest.mark.parametrize(
    "field", ["context_window", "max_context_length", "context_length", "max_model_len", "max_input_tokens"]
)
def test_another_context_window_than_the_rows_is_told(field: str) -> None:
    row = ModelRow(pattern="m", context_tokens=1000, capabilities=Capabilities())
    provider = msgspec.structs.replace(ROWS["openai"], models=(row,))
    body = {"data": [{"id": "m", field: 2000}]}
    seen, _ = probed(deployment("openai"), [answer(body=body), answer(401)], provider=provider)
    assert (seen.row_context, seen.listed_context) == (1000, 2000)
    assert seen.notes == ("the row says a context of 1000 tokens, the list 2000",)


def test_no_words_of_a_provider_carry_a_key_or_a_control_character() -> None:  # a key stays unseen
    words = f"wrong key {SECRET} or gsk_abcdefghijklmnopqrstu\x1b[31m" + "x" * 5_000
    seen, _ = probed(deployment("openai"), [answer(401, {"error": {"message": words}})])
    told = " ".join(seen.notes)
    assert SECRET not in told
    assert "gsk_" not in told
    assert "\x1b" not in told
    assert len(told) < 400


def test_the_clients_headers_of_a_deployment_are_sent() -> None:
    def reply(call: Sent) -> ScriptedReply:
        return answer(body=listing("m")) if "x-team" in call.headers else answer(400)

    one = deployment("anthropic", headers={"X-Team": "a"}, model="m")
    transport = ScriptedTransport(reply)
    seen = asyncio.run(look(transport, ROWS["anthropic"], one, SECRET))
    assert seen.status == 200
    assert transport.sent[0].headers["anthropic-version"]
    assert "x-api-key" not in transport.sent[1].headers
