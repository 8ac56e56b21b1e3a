"""The supervisor over real processes."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.served import Served, deployment, free_port, served
from tests.support.upstream import scripted_upstream
from tidegate.cli.supervisor import Child, Supervisor
from tidegate.model.errors import Unavailable

STUBBORN = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open(sys.argv[1], "w").close()
time.sleep(60)
"""

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


def test_sighup_takes_the_new_configuration_and_replaces_nothing(running: Served) -> None:
    key = running.key()
    before = children(running)
    text = running.config.read_text()
    running.config.write_text(text + '\n[aliases]\nrenamed = ["small"]\n')
    running.process.send_signal(signal.SIGHUP)
    running.wait_for(lambda: running.status("/v1/models/renamed", key) == 200)
    assert children(running) == before


def test_a_second_server_on_the_same_state_is_refused(running: Served, tmp_path: Path) -> None:
    text = running.config.read_text().replace(running.base_url.rpartition(":")[2], str(free_port()))
    running.config.with_name("other.toml").write_text(text)
    second = subprocess.run(
        [sys.executable, "-m", "tidegate", "serve", "--config", "other.toml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (second.returncode, "runs already" in second.stderr) == (1, True)
    assert running.status("/readyz") == 200


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


async def until(fact: Callable[[], object]) -> None:
    end_s = time.monotonic() + 20
    while not fact():
        assert time.monotonic() < end_s, "never true"
        await asyncio.sleep(0.01)


async def never() -> bool:
    return False


def sleeper(name: str) -> Child:
    return Child(name, [sys.executable, "-c", "import time; time.sleep(60)"])


def test_a_new_process_that_is_never_ready_is_ended_and_the_old_one_goes_on() -> None:
    async def main() -> None:
        here = Supervisor([sleeper("one")], env=os.environ)
        task = asyncio.create_task(here.run())
        await until(lambda: here.pid("one"))
        old = here.pid("one")
        with pytest.raises(Unavailable, match="not ready within"):
            await here.add_beside("one", never, ready_s=0.1, env={}, keep_fds=())
        assert here.pid("one") == old
        os.kill(os.getpid(), signal.SIGTERM)
        assert await asyncio.wait_for(task, 20) == 0
        assert here.pid("one") is None

    asyncio.run(main())


def test_a_program_that_is_gone_ends_nobody_else(tmp_path: Path) -> None:
    async def main() -> None:
        here = Supervisor([sleeper("one"), Child("two", [str(tmp_path / "nothing")])], env=os.environ)
        task = asyncio.create_task(here.run())
        await until(lambda: here.pid("one"))
        with pytest.raises(Unavailable, match="cannot be started"):
            await here.replace("two", never, stop_s=1, ready_s=1)
        assert here.pid("one")
        os.kill(os.getpid(), signal.SIGTERM)
        assert await asyncio.wait_for(task, 20) == 0

    asyncio.run(main())


def test_the_third_signal_kills_what_does_not_end(tmp_path: Path) -> None:
    async def main() -> None:
        ready = tmp_path / "ready"
        here = Supervisor(
            [Child("one", [sys.executable, "-c", STUBBORN, str(ready)])], env=os.environ, stop_s=60
        )
        task = asyncio.create_task(here.run())
        await until(ready.exists)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
            await asyncio.sleep(0)
        assert await asyncio.wait_for(task, 4) == 0
        assert here.pid("one") is None

    asyncio.run(main())
