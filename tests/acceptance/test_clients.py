"""What stock clients and agents really send, as the whole product answers it."""

import gzip
import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.acceptance.conftest import Stage
from tests.acceptance.test_openai_sdk import last_row


class Answer:
    """A reply, read whole."""

    def __init__(self, reply: http.client.HTTPResponse) -> None:
        self.status = reply.status
        self.headers = {name.lower(): value for name, value in reply.getheaders()}
        self.raw = reply.read()

    def json(self) -> Any:
        return json.loads(self.raw)


def ask(
    stage: Stage,
    path: str,
    body: Any = None,
    *,
    method: str = "POST",
    headers: dict[str, str] | None = None,
    key: str | None = None,
) -> Answer:
    """One request as a bare client sends it; `key` "" sends none."""
    address = urlsplit(stage.base_url)
    assert address.hostname is not None
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=20)
    sent = {"content-type": "application/json", **(headers or {})}
    if key != "":
        sent.setdefault("authorization", f"Bearer {key or stage.key}")
    raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    try:
        connection.request(method, path, body=raw, headers=sent)
        return Answer(connection.getresponse())
    finally:
        connection.close()


def forwarded(stage: Stage) -> dict[str, Any]:
    """The last request that reached the provider: path, headers and parsed body."""
    kept = ask_upstream(stage)[-1]
    return {**kept, "headers": dict(kept["headers"]), "body": json.loads(kept["body"])}


def ask_upstream(stage: Stage) -> list[dict[str, Any]]:
    address = urlsplit(stage.upstream.base_url)
    assert address.hostname is not None
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=20)
    try:
        connection.request("GET", "/__requests")
        found: list[dict[str, Any]] = json.loads(connection.getresponse().read())
        return found
    finally:
        connection.close()


HELLO = {"messages": [{"role": "user", "content": "hello"}]}
CHAT = {"model": "small", **HELLO}
MESSAGE = {"model": "claude-x", "max_tokens": 20, **HELLO}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/chat/completions", 200),
        ("/chat/completions", 200),
        ("/openai/v1/chat/completions", 200),
        ("/v1/v1/chat/completions", 200),
        ("/v2/chat/completions", 404),
    ],
)
def test_base_urls_with_and_without_a_version(stage: Stage, path: str, status: int) -> None:  # trap K12
    assert ask(stage, path, CHAT).status == status


def test_messages_without_a_version_name_the_right_path(stage: Stage) -> None:  # trap K12
    answer = ask(stage, "/messages", MESSAGE, headers={"anthropic-version": "2023-06-01"})
    assert answer.status == 404
    assert answer.json()["type"] == "error"
    assert "/v1/messages" in answer.json()["error"]["message"]


@pytest.mark.parametrize(("method", "path"), [("HEAD", "/"), ("HEAD", "/api/hello"), ("GET", "/healthz")])
def test_keyless_probes_are_answered_and_leave_no_record(
    stage: Stage, method: str, path: str
) -> None:  # trap K12
    marks = []
    for probe in (None, path, None):
        if probe is None:
            answer = ask(stage, "/v1/chat/completions", CHAT)
            marks.append(int(str(last_row(stage, answer.headers["tidegate-request-id"])["seq"])))
        else:
            assert ask(stage, probe, method=method, key="").status == 200
    assert marks[1] == marks[0] + 2, "a record between two calls"


def test_the_beta_query_reaches_the_provider(stage: Stage) -> None:  # trap K12
    headers = {"anthropic-version": "2026-10-21", "anthropic-beta": "some-new-beta-2026"}
    assert ask(stage, "/v1/messages?beta=true", MESSAGE, headers=headers).status == 200
    seen = forwarded(stage)
    assert seen["path"].endswith("/v1/messages")
    assert seen["headers"]["anthropic-beta"] == "some-new-beta-2026"  # trap K6
    assert seen["headers"]["anthropic-version"] == "2026-10-21"  # trap K2


@pytest.mark.parametrize(
    ("headers", "shape"),
    [
        ({}, "data"),
        ({"anthropic-version": "2023-06-01"}, "has_more"),
        ({"x-goog-api-client": "genai-py/3"}, "models"),
    ],
)
def test_one_path_lists_models_in_three_dialects(
    stage: Stage, headers: dict[str, str], shape: str
) -> None:  # K3
    assert shape in ask(stage, "/v1/models", method="GET", headers=headers).json()


def test_the_key_may_stand_where_any_sdk_puts_it(stage: Stage) -> None:  # trap K2
    for header in ("x-api-key", "api-key", "x-goog-api-key"):
        assert ask(stage, "/v1/models", method="GET", key="", headers={header: stage.key}).status == 200
    assert ask(stage, f"/v1beta/models?key={stage.key}", method="GET", key="").status == 200
    foreign = {"authorization": "Bearer ya29.foreign", "x-goog-api-key": stage.key}
    assert ask(stage, "/v1/models", method="GET", key="", headers=foreign).status == 200
    assert stage.key not in stage.served.log.read_text()


AGENT = {
    "model": "claude-x",
    "max_tokens": 20,
    "system": [
        {"type": "text", "text": "x-agent-billing-header: v=2.1.99; plan=max"},
        {"type": "text", "text": "S"},
    ],
    "thinking": {"type": "adaptive"},
    "output_config": {"effort": "high"},
    "tools": [
        {"name": "Read", "input_schema": {"type": "object"}},
        {"name": "Late", "input_schema": {"type": "object"}, "defer_loading": True},
    ],
    "messages": [
        {"role": "assistant", "content": "I begin."},
        {"role": "system", "content": "be kind"},
        {"role": "system", "content": [{"type": "text", "text": "be brief"}]},
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "t1",
                    "content": [{"type": "tool_reference", "tool_name": "Late"}],
                }
            ],
        },
    ],
    "unknown_field": {"kept": [1, 2.50, None]},
}
RESPONSES = {
    "model": "small",
    "input": [
        {"role": "developer", "content": "a"},
        {"role": "developer", "content": "b"},
        {"role": "user", "content": "c"},
    ],
    "tools": [
        {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": "f"}]},
        {"type": "web_search"},
    ],
    "client_metadata": {"x": "1"},
    "store": False,
}
CHAT_ODD = {
    "model": "small",
    "messages": [
        {"role": "system", "content": "1"},
        {"role": "system", "content": "2"},
        {"role": "user", "content": "3"},
    ],
    "safe_prompt": True,
    "tool_choice": "any",
    "reasoning_effort": "none",
}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/messages", AGENT),  # traps K5, K6, K13, K16
        ("/v1/responses", RESPONSES),  # trap K7
        ("/v1/chat/completions", CHAT_ODD),  # traps K15, K16, V3
    ],
)
def test_what_agents_send_goes_through_byte_for_byte(stage: Stage, path: str, body: dict[str, Any]) -> None:
    assert ask(stage, path, body).status == 200
    assert forwarded(stage)["body"] == body


def test_the_billing_line_of_an_agent_does_not_change_its_feature(stage: Stage) -> None:  # trap K13
    features = set()
    for version in ("2.1.99", "2.2.0"):
        system = [
            {"type": "text", "text": f"x-agent-billing-header: v={version}"},
            {"type": "text", "text": "Work."},
        ]
        answer = ask(stage, "/v1/messages", {**MESSAGE, "system": system})
        features.add(last_row(stage, answer.headers["tidegate-request-id"])["feature"])
    assert len(features) == 1
    assert str(features.pop()).startswith("auto-")


@pytest.mark.parametrize("surface", ["responses", "messages"])
def test_system_prompts_among_the_messages_tell_applications_apart(
    stage: Stage, surface: str
) -> None:  # K6, K7
    features = []
    for text in ("You label tickets.", "You write poems.", "You label tickets."):
        said = [
            {"role": "developer" if surface == "responses" else "system", "content": text},
            *HELLO["messages"],
        ]
        body = {"model": "small", "input": said} if surface == "responses" else {**MESSAGE, "messages": said}
        answer = ask(stage, f"/v1/{surface}", body)
        features.append(last_row(stage, answer.headers["tidegate-request-id"])["feature"])
    assert features[0] == features[2] != features[1]


def test_deltas_are_neither_joined_nor_split(stage: Stage) -> None:  # trap K11
    script = '[[script {"text": "a code fence ``` and\\n\\n its newline", "split": 7}]]'
    body = {"model": "small", "stream": True, "messages": [{"role": "user", "content": script}]}
    direct = http.client.HTTPConnection(urlsplit(stage.upstream.base_url).netloc, timeout=20)
    asked = {**body, "stream_options": {"include_usage": True}}
    direct.request("POST", "/v1/chat/completions", json.dumps(asked), {"content-type": "application/json"})
    there = deltas(direct.getresponse().read())
    direct.close()
    assert deltas(ask(stage, "/v1/chat/completions", body).raw) == there


def deltas(stream: bytes) -> list[str]:
    found = []
    for line in stream.split(b"\n\n"):
        if line.startswith(b"data: {"):
            choices = json.loads(line[6:])["choices"]
            found += [choice["delta"].get("content") or "" for choice in choices]
    return found


@pytest.mark.parametrize(
    "script",
    [
        {"empty_choices_first": True},  # trap S9
        {"usage_in_empty_delta": True},  # trap S1
        {"usage_twice": True},  # trap S1
        {"crlf": True, "split": 1},  # trap S4
        {"comment": True, "bom": True},
        {"malformed_after": 2},  # trap S5
        {"no_done": True},  # trap S5
    ],
)
def test_odd_streams_are_metered_and_passed_on(stage: Stage, script: dict[str, Any]) -> None:
    text = f"[[script {json.dumps(script)}]]"
    body = {"model": "small", "stream": True, "messages": [{"role": "user", "content": text}]}
    answer = ask(stage, "/v1/chat/completions", body)
    assert b'"error"' not in answer.raw
    row = last_row(stage, answer.headers["tidegate-request-id"])
    assert (row["outcome"], row["usage_source"]) == ("ok", "provider")


def test_a_stream_without_usage_is_estimated_and_says_so(stage: Stage) -> None:  # trap M5
    body = {
        "model": "small",
        "stream": True,
        "messages": [{"role": "user", "content": '[[script {"no_usage": true}]]'}],
    }
    answer = ask(stage, "/v1/chat/completions", body)
    row = last_row(stage, answer.headers["tidegate-request-id"])
    assert (row["usage_source"], row["cost_source"]) == ("estimated", "estimated")
    assert "estimated" in json.loads(str(row["flags"]))
    assert row["calibration"]
    assert int(str(row["output_text"])) > 0


def test_another_model_than_asked_is_recorded_and_flagged(stage: Stage) -> None:  # trap M18
    body = {"model": "small", "messages": [{"role": "user", "content": '[[script {"model": "other-9b"}]]'}]}
    answer = ask(stage, "/v1/chat/completions", body)
    assert answer.json()["model"] == "other-9b"
    row = last_row(stage, answer.headers["tidegate-request-id"])
    assert (row["model"], row["model_served"]) == ("small", "other-9b")
    assert "model_drift" in json.loads(str(row["flags"]))
    notes = stage.served.rows("SELECT * FROM note WHERE kind = 'model_drift'")
    assert [json.loads(note["facts"])["served"] for note in notes] == ["other-9b"]


def test_a_200_that_carries_an_error_is_a_failure(stage: Stage) -> None:  # trap S12
    text = '[[script {"error_event_after": 3}]]'
    body = {"model": "small", "stream": True, "messages": [{"role": "user", "content": text}]}
    answer = ask(stage, "/v1/chat/completions", body)
    row = last_row(stage, answer.headers["tidegate-request-id"])
    assert (row["http"], row["outcome"], row["status"]) == (200, "failed", "error")


def test_a_large_agent_request_goes_through(stage: Stage) -> None:  # trap K13
    tools = [
        {
            "type": "function",
            "function": {"name": f"t{n}", "description": "d" * 3000, "parameters": {"type": "object"}},
        }
        for n in range(25)
    ]
    body = {**CHAT, "tools": tools}
    answer = ask(stage, "/v1/chat/completions", body)
    assert answer.status == 200
    row = last_row(stage, answer.headers["tidegate-request-id"])
    assert row["tool_count"] == 25
    assert int(str(row["tools_bytes"])) > 75_000


def test_a_compressed_body_is_refused_by_name(stage: Stage) -> None:  # case 21
    raw = gzip.compress(json.dumps(CHAT).encode())
    answer = ask(stage, "/v1/chat/completions", raw, headers={"content-encoding": "gzip"})
    assert answer.status == 415
    assert answer.json()["error"]["code"] == "unsupported_media_type"
