"""`tidegate check --live` over real sockets: what is asked, what is told, and that nothing is billed."""

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from tests.support.scripted_transport import ScriptedReply, ScriptedTransport, Sent
from tests.support.upstream import Running, scripted_upstream
from tidegate.cli import main
from tidegate.cli.live import ask
from tidegate.model.provider import Deployment
from tidegate.providers.catalog import load

SECRET = "hush-hush-0123"


def row(
    name: str, base_url: str, *more: str, provider: str = "openai-compatible", model: str = "scripted-small"
) -> str:
    facts = [f'name = "{name}"', f'provider = "{provider}"', f'model = "{model}"', f'base_url = "{base_url}"']
    price = 'price = { currency = "EUR", rates = { input = "1", output = "2" } }'
    return "\n".join(["[[deployments]]", *facts, price, *more]) + "\n"


def run(tmp_path: Path, text: str, *options: str, env: dict[str, str | None] | None = None) -> Result:
    path = tmp_path / "tidegate.toml"
    path.write_text(text, encoding="utf-8")
    runner = CliRunner(env=env or {"TEST_KEY": SECRET})
    return runner.invoke(main, ["check", "--config", str(path), *options])


def told(done: Result) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(done.output)["live"]
    return rows


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def posts(running: Running) -> int:
    """Calls that a provider would have billed."""
    return running.app.stats.requests


def test_a_deployment_is_found_and_nothing_is_billed(tmp_path: Path) -> None:  # trap M14
    with scripted_upstream() as running:
        done = run(tmp_path, row("near", f"{running.base_url}/v1"), "--live")
        assert posts(running) == 0
    assert done.exit_code == 0, done.output
    assert "near        yes      none  200     not sent  listed" in done.output
    assert "unverified" in done.output


def test_json_holds_what_was_found(tmp_path: Path) -> None:
    with scripted_upstream() as running:
        text = row("near", f"{running.base_url}/v1") + row("gone", f"{running.base_url}/v1", model="no-such")
        done = run(tmp_path, text, "--live", "--json")
    near, gone = told(done)
    assert done.exit_code == 0
    assert (near["verdict"], near["found"]["model"], near["called"]) == ("ok", "listed", None)
    assert (gone["verdict"], gone["found"]["model"]) == ("warn", "not_listed")


def test_without_live_nothing_is_asked(tmp_path: Path) -> None:
    done = run(tmp_path, row("far", f"http://127.0.0.1:{closed_port()}/v1"), "--json")
    assert done.exit_code == 0
    assert json.loads(done.output)["live"] is None


def test_an_open_list_proves_no_key_and_none_is_shown(tmp_path: Path) -> None:
    with scripted_upstream() as running:
        text = row("near", f"{running.base_url}/v1", 'key = { env = "TEST_KEY" }')
        done = run(tmp_path, text, "--live")
    assert done.exit_code == 0
    assert "unproven" in done.output
    assert "near: warn: the list of models is open to everybody" in done.output
    assert SECRET not in done.output


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_is_not_there_fails(tmp_path: Path, scheme: str) -> None:
    done = run(tmp_path, row("far", f"{scheme}://127.0.0.1:{closed_port()}/v1"), "--live", "--json")
    (far,) = told(done)
    assert done.exit_code == 1
    assert (far["verdict"], far["found"]["reached"], far["found"]["status"]) == ("fail", False, None)
    assert "no connection to 127.0.0.1" in far["found"]["notes"][0]


def test_a_server_without_tls_fails_where_tls_is_configured(tmp_path: Path) -> None:
    with scripted_upstream() as running:
        base_url = running.base_url.replace("http:", "https:")
        done = run(tmp_path, row("plain", f"{base_url}/v1"), "--live", "--json")
    (plain,) = told(done)
    assert done.exit_code == 1
    assert (plain["found"]["reached"], plain["found"]["tls"]) == (False, "failed")


def test_a_missing_key_fails_without_a_request(tmp_path: Path) -> None:
    with scripted_upstream() as running:
        keyed = row("keyed", f"{running.base_url}/v1", 'key = { env = "TEST_KEY" }', provider="openai")
        done = run(tmp_path, keyed, "--live", "--json", env={"TEST_KEY": None})
    (told_of,) = told(done)
    assert done.exit_code == 1
    assert (told_of["found"], told_of["verdict"]) == (None, "fail")
    assert "TEST_KEY is not set" in told_of["problem"]


def test_deployments_of_one_address_and_key_are_asked_once() -> None:  # trap M14
    def reply(call: Sent) -> ScriptedReply:
        known = call.headers.get("authorization") == f"Bearer {SECRET}"
        return ScriptedReply(status=200 if known else 401, body=[b'{"data":[{"id":"m"}]}'])

    transport = ScriptedTransport(reply)
    same = [
        Deployment(
            name=name, provider="openai", model=name, names=(name,), base_url="https://h", secret="env:K"
        )
        for name in ("m", "n", "o")
    ]
    other = msgspec.structs.replace(same[0], name="other", secret="env:OTHER")
    env = {"K": SECRET, "OTHER": "another"}
    rows = asyncio.run(ask(transport, load(), [*same, other], env, spend=False))
    assert [row.name for row in rows] == ["m", "n", "o", "other"]
    assert [row.found.key for row in rows if row.found] == ["accepted"] * 3 + ["refused"]
    assert [row.found.model for row in rows if row.found][:3] == ["listed", "not_listed", "not_listed"]
    assert len(transport.sent) == 3


def test_spend_makes_one_small_call_each_and_says_what_it_used(tmp_path: Path) -> None:
    with scripted_upstream(output_tokens=3) as running:
        text = row("near", f"{running.base_url}/v1", 'key = { env = "TEST_KEY" }')
        done = run(tmp_path, text, "--live", "--spend", "--json")
        shown = run(tmp_path, text, "--live", "--spend")
        assert posts(running) == 2
    (near,) = told(done)
    assert done.exit_code == 0
    called = near["called"]
    assert (called["surface"], called["error"], called["usage"]) == ("chat", "", True)
    assert (near["found"]["key"], near["found"]["notes"], near["verdict"]) == ("accepted", [], "ok")
    assert f"chat: {called['input_tokens']}+3 tokens" in shown.output


def test_spend_that_fails_is_a_failure(tmp_path: Path) -> None:
    with scripted_upstream() as running:
        script = "headers = { x-script = '{\"status\": 429}' }"
        done = run(tmp_path, row("near", f"{running.base_url}/v1", script), "--live", "--spend", "--json")
    (near,) = told(done)
    assert done.exit_code == 1
    assert (near["verdict"], near["called"]["status"], near["called"]["error"]) == ("fail", 429, "rate")


def test_a_deployment_of_every_model_is_asked_and_not_called(tmp_path: Path) -> None:
    with scripted_upstream() as running:
        done = run(tmp_path, row("any", f"{running.base_url}/v1", model="*"), "--live", "--spend", "--json")
        assert posts(running) == 0
    (every,) = told(done)
    assert (every["verdict"], every["found"]["model"], every["called"]) == ("ok", "unknown", None)


def test_what_is_not_reached_is_not_called(tmp_path: Path) -> None:
    far = row("far", f"http://127.0.0.1:{closed_port()}/v1")
    (told_of,) = told(run(tmp_path, far, "--live", "--spend", "--json"))
    assert (told_of["verdict"], told_of["called"]) == ("fail", None)


def test_spend_needs_live(tmp_path: Path) -> None:
    done = run(tmp_path, row("near", "http://127.0.0.1:9/v1"), "--spend")
    assert done.exit_code == 2
    assert "--spend needs --live" in done.output


def test_a_file_that_cannot_be_read_asks_nobody(tmp_path: Path) -> None:
    done = run(tmp_path, "[aliases", "--live", "--json")
    assert done.exit_code == 1
    assert json.loads(done.output)["live"] == []
