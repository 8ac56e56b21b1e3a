"""A provider refuses its key: the webhook hears of it once, and once that it is over, also across kills."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.acceptance.conftest import PRICE
from tests.support.receivers import SECRET, Receiver, receiver
from tests.support.served import Served, deployment, served
from tests.support.upstream import Running, scripted_upstream
from tidegate.cli.desk_client import ask_control
from tidegate.control.admin import Health

ENV = {"K": "sk-0000000000", "HOOK": SECRET}
HELLO = json.dumps({"model": "small", "messages": [{"role": "user", "content": "hello"}]})
STARTED, RECOVERED = ("alert.started", "key_refused"), ("alert.recovered", "key_refused")
QUIET_S = 2.0
"""Longer than a few looks."""


def config(upstream: Running, hook: Receiver) -> str:
    return (
        deployment(
            "gpt",
            "openai-compatible",
            f"{upstream.base_url}/v1",
            "small",
            key='{ env = "K" }',
            price=PRICE,
        )
        + f"""
[breaker]
refused_cooldown_s = 0.2
max_cooldown_s = 5

[alerts]
every_s = 0.2
calm_s = 0.5

[[alerts.targets]]
name = "pager"
kind = "webhook"
url = "{hook.url}"
secret = {{ env = "HOOK" }}
"""
    )


@pytest.fixture
def upstream() -> Iterator[Running]:
    with scripted_upstream() as provider:
        yield provider


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as server:
        yield server


def refuses(upstream: Running, fault: str) -> None:
    """Let the provider refuse every call, or none."""
    address = urlsplit(upstream.base_url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=10)
    connection.request("PUT", "/__scripts", json.dumps({"default": {"fault": fault} if fault else {}}))
    assert connection.getresponse().status < 300
    connection.close()


def call(here: Served, key: str) -> int:
    address = urlsplit(here.base_url)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=10)
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    connection.request("POST", "/v1/chat/completions", HELLO, headers)
    with connection.getresponse() as reply:
        reply.read()
        status = reply.status
    connection.close()
    return status


def until_well(here: Served, key: str) -> None:
    here.wait_for(lambda: call(here, key) == 200)


def quiet(hook: Receiver, count: int) -> None:
    """Nothing more arrives."""
    time.sleep(QUIET_S)
    assert len(hook.posted) == count, hook.kinds()


def alerts(here: Served, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tidegate", "alerts", *arguments, "--config", str(here.config)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@contextmanager
def killed_in_the_end(directory: Path, text: str) -> Iterator[tuple[Served, Any]]:
    """A Tidegate, and what kills all of its processes at once."""
    with served(directory, text, env=ENV) as here:

        def kill() -> None:
            control = ask_control(here.layout, "GET", "/health", None, Health).pid
            os.kill(control, signal.SIGKILL)
            os.kill(here.process.pid, signal.SIGKILL)
            here.process.wait()

        yield here, kill


def test_a_refused_key_is_told_once_and_its_recovery_once(
    tmp_path: Path, upstream: Running, hook: Receiver
) -> None:
    with served(tmp_path, config(upstream, hook), env=ENV) as here:
        key = here.key()
        refuses(upstream, "key")
        for _ in range(5):
            assert call(here, key) >= 400
            time.sleep(0.3)
        hook.wait_for(1)
        quiet(hook, 1)
        assert hook.kinds() == [STARTED]
        shown = alerts(here)
        assert "key_refused  The provider refuses the key of deployment gpt." in shown.stdout
        refuses(upstream, "")
        until_well(here, key)
        hook.wait_for(2)
        quiet(hook, 2)
        assert hook.kinds() == [STARTED, RECOVERED]
        assert all(one.is_signed() for one in hook.posted)
        assert hook.posted[0].told["data"]["facts"] == {"deployment": "gpt", "code": "invalid_api_key"}
        assert alerts(here).stdout == "Nothing is firing.\n"
        log = here.log.read_text()
        assert log.count("alert: key refused, gpt: The provider refuses the key of deployment gpt.") == 1
        assert log.count("recovered: key refused, gpt") == 1
        assert SECRET not in log


BUDGET = """
[[budgets]]
name = "web"
limit = 4
unit = "calls"
window = "total"
notify_at = [0.5]
"""


def test_a_budgets_threshold_is_told_once_and_is_over_with_a_higher_limit(
    tmp_path: Path, upstream: Running, hook: Receiver
) -> None:
    text = config(upstream, hook) + BUDGET
    with served(tmp_path, text, env=ENV) as here:
        key = here.key()
        assert call(here, key) == 200
        quiet(hook, 0)
        assert [call(here, key) for _ in range(2)] == [200, 200]
        (first,) = hook.wait_for(1)
        assert first.told["data"]["subject"] == "50 % of web, calls in all"
        quiet(hook, 1)
        here.config.write_text(here.config.read_text().replace("limit = 4", "limit = 40"))
        hook.wait_for(2)
        quiet(hook, 2)
        assert hook.kinds() == [(f"alert.{kind}", "budget_threshold") for kind in ("started", "recovered")]


def test_a_test_message_is_sent_by_the_running_process(
    tmp_path: Path, upstream: Running, hook: Receiver
) -> None:
    with served(tmp_path, config(upstream, hook), env=ENV) as here:
        done = alerts(here, "test", "pager")
        assert (done.stdout, done.returncode) == ("pager: ok: answered 204\n", 0)
        hook.always = 500
        done = alerts(here, "test")
        assert (done.stdout, done.returncode) == ("pager: failed: answered 500\n", 1)
        assert "No target is called" in alerts(here, "test", "nobody").stderr
        assert [one.told["type"] for one in hook.posted] == ["alert.test", "alert.test"]


def test_kills_send_nothing_twice_and_lose_nothing(tmp_path: Path, upstream: Running, hook: Receiver) -> None:
    text = config(upstream, hook)
    hook.always = 503
    with killed_in_the_end(tmp_path, text) as (here, kill):
        key = here.key()
        refuses(upstream, "key")
        call(here, key)
        here.wait_for(lambda: "tries failed: answered 503" in alerts(here).stdout)
        kill()
    tried, hook.always = len(hook.posted), 204
    with killed_in_the_end(tmp_path, text) as (here, kill):
        hook.wait_for(tried + 1)
        quiet(hook, tried + 1)
        assert len({one.headers["webhook-id"] for one in hook.posted}) == 1
        kill()
    with served(tmp_path, text, env=ENV) as here:
        quiet(hook, tried + 1)
        refuses(upstream, "")
        until_well(here, key)
        hook.wait_for(tried + 2)
        quiet(hook, tried + 2)
        assert hook.kinds() == [STARTED] * (tried + 1) + [RECOVERED]


def test_a_control_process_that_is_killed_goes_on_where_it_was(
    tmp_path: Path, upstream: Running, hook: Receiver
) -> None:
    with served(tmp_path, config(upstream, hook), env=ENV) as here:
        key = here.key()
        refuses(upstream, "key")
        call(here, key)
        hook.wait_for(1)
        for _ in range(3):  # the first between what was taken and its note, with luck
            control = ask_control(here.layout, "GET", "/health", None, Health).pid
            os.kill(control, signal.SIGKILL)
            here.wait_for(lambda dead=control: _answers(here, dead))
        refuses(upstream, "")
        until_well(here, key)
        here.wait_for(lambda: hook.kinds()[-1] == RECOVERED)
        time.sleep(QUIET_S)
        by_id = {one.headers["webhook-id"]: kind for one, kind in zip(hook.posted, hook.kinds(), strict=True)}
        assert list(by_id.values()) == [STARTED, RECOVERED]
        assert len(hook.posted) <= 3


def _answers(here: Served, dead: int) -> bool:
    try:
        return ask_control(here.layout, "GET", "/health", None, Health).pid != dead
    except Exception:  # noqa: BLE001 - it is on its way
        return False
