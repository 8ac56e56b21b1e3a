"""The supervisor over real processes."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.served import Served, deployment, served
from tests.support.upstream import scripted_upstream

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="processes and signals of POSIX")


def children(of: Served) -> dict[str, int]:
    """The process ids of the gateway and the control process, by their command line."""
    found: dict[str, int] = {}
    task = Path(f"/proc/{of.process.pid}/task/{of.process.pid}/children")
    if not task.exists():
        pytest.skip("no /proc to look into")
    for pid in task.read_text().split():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except FileNotFoundError:
            continue
        for name in ("gateway", "control"):
            if name.encode() in words:
                found[name] = int(pid)
    return found


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Served]:
    with scripted_upstream() as upstream:
        config = '[policy]\nunpriced = "flag"\n' + deployment("small", "vllm", f"{upstream.base_url}/v1")
        with served(tmp_path, config) as here:
            yield here


@pytest.mark.parametrize("name", ["gateway", "control"])
def test_a_process_that_dies_is_started_again(running: Served, name: str) -> None:
    key = running.key()
    first = children(running)[name]
    os.kill(first, signal.SIGKILL)
    running.wait_for(lambda: children(running).get(name) not in (None, first))
    running.wait_for(lambda: running.status("/v1/models", key) == 200)
    assert running.key()


def test_connections_wait_while_the_gateway_comes_back(running: Served) -> None:
    key = running.key()
    os.kill(children(running)["gateway"], signal.SIGKILL)
    assert running.status("/v1/models", key) in (200, 503)  # never refused: the supervisor holds the socket


def test_an_upgrade_takes_the_new_configuration_and_refuses_nobody(running: Served) -> None:
    key = running.key()
    before = children(running)
    text = running.config.read_text()
    running.config.write_text(text + '\n[aliases]\nrenamed = ["small"]\n')
    running.process.send_signal(signal.SIGHUP)
    running.wait_for(lambda: running.status("/v1/models/renamed", key) == 200)
    after = children(running)
    assert not set(before.values()) & set(after.values())


def test_sigterm_ends_everything_and_leaves_nothing_open(running: Served) -> None:
    pids = children(running).values()
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(30) == 0
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    assert not running.layout.socket.exists()


def test_children_end_with_a_supervisor_that_was_killed(running: Served) -> None:
    pids = children(running).values()
    running.process.kill()
    running.process.wait()
    until = time.monotonic() + 30
    while [pid for pid in pids if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < until, running.log.read_text()[-2000:]
        time.sleep(0.02)
    assert not running.layout.socket.exists()
