"""Attacks on the whole product, over HTTP. The numbers are those of the list of cases."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Stage
from tests.acceptance.test_clients import CHAT, HELLO, MESSAGE, ask, forwarded
from tests.acceptance.test_openai_sdk import last_row


@pytest.mark.parametrize("key", ["", "' OR 1=1--", "tg_", "tg_aaaaaaaaaaaa_" + "b" * 32 + "_cccccc"])
def test_without_a_known_key_nothing_is_called(stage: Stage, key: str) -> None:  # cases 1, 2
    before = stage.upstream.app.stats.requests
    answer = ask(stage, "/v1/chat/completions", CHAT, key=key)
    assert answer.status == 401
    assert answer.headers["x-should-retry"] == "false"  # trap K1
    assert answer.json()["error"]["code"] == "invalid_api_key"
    assert stage.upstream.app.stats.requests == before


def test_two_different_keys_are_refused(stage: Stage) -> None:  # case 4
    other = stage.served.key()
    answer = ask(stage, "/v1/chat/completions", CHAT, headers={"x-api-key": other})
    assert answer.status == 400


def test_a_revoked_key_stops_within_a_second(stage: Stage) -> None:  # case 6
    key = stage.served.key()
    with stage.served.desk() as desk:
        desk.revoke_key(key.split("_")[1], "leaked")
    stage.served.wait_for(lambda: stage.served.status("/v1/models", key) == 401, within_s=5)
    assert ask(stage, "/v1/chat/completions", CHAT, key=key).json()["error"]["code"] == "revoked_api_key"


@pytest.mark.parametrize(
    "model", ["claude-x", "CLAUDE-X", "claude-x ", "claude", "anthropic-compatible/claude-x", "\u0441laude-x"]
)
def test_a_limited_key_reaches_no_other_model_by_any_spelling(stage: Stage, model: str) -> None:  # case 8
    key = stage.served.key(models=("small",))
    answer = ask(stage, "/v1/messages", {**MESSAGE, "model": model}, key=key)
    assert answer.status in (403, 404)
    assert answer.json()["type"] == "error"


@pytest.mark.parametrize(
    "path", ["/admin", "/admin/keys", "/metrics", "/docs", "/openapi.json", "/debug", "/keys", "/health"]
)
def test_the_data_port_has_no_other_route(stage: Stage, path: str) -> None:  # case 43, trap V6
    assert ask(stage, path, method="GET").status == 404


@pytest.mark.parametrize("path", ["/v1%2f..%2fadmin/keys", "/v1/../admin/keys", "//admin", "/v1/models%00"])
def test_paths_cannot_be_disguised(stage: Stage, path: str) -> None:  # case 11
    assert ask(stage, path, method="GET").status in (400, 404)


def test_what_a_client_may_not_say_stays_here(stage: Stage) -> None:  # case 15
    headers = {
        "x-forwarded-for": "1.2.3.4",
        "x-tenant": "other",
        "openai-organization": "org-other",
        "tidegate-tenant": "other",
        "tidegate-feature": "mine",
        "cookie": "a=b",
        "x-api-base": "http://evil.invalid",
    }
    answer = ask(stage, "/v1/chat/completions", {**CHAT, "api_base": "http://evil.invalid"}, headers=headers)
    assert answer.status == 200
    sent = forwarded(stage)["headers"]
    assert not {
        name for name in sent if name.startswith(("tidegate", "x-", "openai-", "cookie", "authorization"))
    }
    row = last_row(stage, answer.headers["tidegate-request-id"])
    assert (row["tenant"], row["feature"]) == ("acme", "mine")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"nonsense",
        b"[]",
        b'{"model": "small"',
        b'{"model":"small","model":"claude-x","messages":[]}',  # case 25
        b'{"model":"small","messages":[],"temperature":NaN}',  # case 25
        b'{"model":"small","messages":[{"role":"user","content":"\\ud800"}]}',  # case 25
        b'{"model":"small","messages":"hello"}',
        b'{"model":5,"messages":[]}',
        b'{"model":"small","messages":[],"stream":"yes"}',
        b"[" * 100_000,  # case 22
        b'{"model":"small","messages":[],"a":' + b"[" * 100_000,  # case 22
        b"{" + b",".join(b'"k%d":1' % n for n in range(5000)) + b"}",  # case 23
    ],
)
def test_bad_bodies_get_a_clear_400_in_both_dialects(stage: Stage, raw: bytes) -> None:
    for path in ("/v1/chat/completions", "/v1/messages"):
        answer = ask(stage, path, raw)
        assert answer.status == 400, answer.raw
        error = answer.json()["error"]
        assert error["type"] == "invalid_request_error"
        assert error["message"]
    row = last_refusal(stage, answer.headers["tidegate-request-id"])
    assert (row["tenant"], row["http"]) == ("acme", 400)
    assert row["outcome"] in ("refused", "failed"), "refused here, or by the provider in its own words"


def last_refusal(stage: Stage, request_id: str) -> dict[str, Any]:
    sql = "SELECT * FROM request WHERE id = ?"
    stage.served.wait_for(lambda: stage.served.rows(sql, request_id))
    return stage.served.rows(sql, request_id)[0]


@pytest.mark.parametrize("limit", ["-1", "1e30", '"5"', "true", "9223372036854775808", "1.5"])
def test_output_limits_out_of_range_are_refused(stage: Stage, limit: str) -> None:  # case 24
    raw = b'{"model":"small","messages":[],"max_tokens":' + limit.encode() + b"}"
    for path in ("/v1/chat/completions", "/v1/messages", "/v1/completions"):
        assert ask(stage, path, raw).status == 400
    assert ask(stage, "/v1/responses", raw.replace(b"max_tokens", b"max_output_tokens")).status == 400


def test_a_body_over_the_limit_is_a_413_in_the_clients_dialect(stage: Stage) -> None:  # case 17, trap V2
    raw = b'{"model":"small","messages":[],"x":"' + b"a" * 33_554_432 + b'"}'
    answer = ask(stage, "/v1/messages", raw)
    assert answer.status == 413
    assert answer.json()["error"]["type"] == "request_too_large"
    assert answer.headers["x-should-retry"] == "false"


def test_a_provider_that_echoes_our_key_is_scrubbed(stage: Stage) -> None:  # case 42
    body = {"error": {"message": "bad key sk-ant-secret-of-the-provider"}}
    script = f"[[script {json.dumps({'status': 401, 'error': body['error']})}]]"
    answer = ask(stage, "/v1/messages", {**MESSAGE, "messages": [{"role": "user", "content": script}]})
    assert answer.status == 401
    assert b"secret-of-the-provider" not in answer.raw
    assert b"[redacted]" in answer.raw


def test_no_prompt_key_or_secret_is_written_anywhere_in_clear(stage: Stage) -> None:  # case 41, traps V5, S14
    prompt = "my password is hunter2-sk-proj-abcdefabcdefabcdef"
    person = "anna.example@customer.invalid"
    headers = {"tidegate-user": person, "tidegate-customer": "Geheimkunde-GmbH"}
    body = {**CHAT, "messages": [{"role": "user", "content": prompt}], "user": "someone-else-42"}
    answer = ask(stage, "/v1/chat/completions", body, headers=headers)
    last_row(stage, answer.headers["tidegate-request-id"])
    needles = [b"hunter2", person.encode(), b"Geheimkunde", stage.key.encode(), b"secret-of-the-provider"]
    for path in sorted(stage.served.directory.rglob("*")):
        if path.is_file() and path.name != "tidegate.toml":
            raw = path.read_bytes()
            found = [needle for needle in needles if needle in raw]
            assert not found, (path, found)


def test_cross_origin_requests_get_no_permission(stage: Stage) -> None:  # case 44
    headers = {"origin": "https://evil.invalid", "access-control-request-method": "POST"}
    answer = ask(stage, "/v1/chat/completions", method="OPTIONS", headers=headers)
    assert answer.status == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_upgrades_are_refused(stage: Stage) -> None:  # case 45
    for protocol in ("websocket", "h2c"):
        headers = {"connection": "upgrade", "upgrade": protocol}
        assert ask(stage, "/v1/models", method="GET", headers=headers).status in (400, 426)


def test_a_gateway_process_loads_no_database(tmp_path: Path) -> None:
    script = (
        "import sys, tidegate.wiring; print([m for m in ('apsw', 'sqlite3', 'asyncpg') if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert found.stdout.strip() == "[]"


def test_a_tenant_sees_only_its_own(stage: Stage) -> None:
    other = stage.served.key(tenant="rival")
    answer = ask(
        stage, "/v1/chat/completions", {"model": "small", **HELLO}, key=other, headers={"tidegate-user": "u"}
    )
    mine = ask(stage, "/v1/chat/completions", {"model": "small", **HELLO}, headers={"tidegate-user": "u"})
    theirs = last_row(stage, answer.headers["tidegate-request-id"])
    ours = last_row(stage, mine.headers["tidegate-request-id"])
    assert (theirs["tenant"], ours["tenant"]) == ("rival", "acme")
    for column in ("end_user", "fingerprint", "exact", "prefixes"):
        assert theirs[column] != ours[column], column
