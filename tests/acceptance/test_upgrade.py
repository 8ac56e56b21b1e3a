"""Start-up, shut-down, upgrade and reload of whole processes while calls run through them."""

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.faults.books import assert_once, assert_settled, rows_of
from tests.faults.traffic import CHUNKED, EVENT, LAST, running
from tests.support.served import Served, deployment, served
from tidegate.cli.desk_client import ask_control
from tidegate.control.admin import Health

PATIENCE_S = 40.0
IDENT = re.compile(rb"(?i)\r\ntidegate-request-id: (\S+)\r\n")
AUTHORIZATION = re.compile(rb"(?i)\r\nauthorization: ([^\r]+)\r\n")
USAGE = '"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}'
ANSWER = (
    '{"id":"c","object":"chat.completion","created":1,"model":"small","choices":[{"index":0,"message":'
    '{"role":"assistant","content":"one"},"finish_reason":"stop"}],' + USAGE + "}"
).encode()

pytestmark = pytest.mark.slow


class Provider:
    """Answers whole calls at once; sends a stream's first event and its end when `gate` opens."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.keys: list[bytes] = []
        self.base_url = ""
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
                while True:
                    await self._answer(reader, writer)
        finally:
            self._tasks.remove(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        asked = json.loads(await reader.readexactly(int(length[1])) if length else b"{}")
        self.keys += AUTHORIZATION.findall(head)
        if asked.get("stream"):
            writer.write(CHUNKED + chunk(EVENT))
            await self.gate.wait()
            writer.write(chunk(LAST) + chunk(b""))
        else:
            kind = b"content-type: application/json\r\n"
            writer.write(b"HTTP/1.1 200 OK\r\n%scontent-length: %d\r\n\r\n" % (kind, len(ANSWER)) + ANSWER)
        await writer.drain()

    async def close(self) -> None:
        """End every connection."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@dataclass
class Stream:
    """One stream that runs: what came so far."""

    ident: str
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def rest(self) -> bytes:
        """Everything that still comes."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self.reader.read()
        finally:
            self.writer.close()


@dataclass
class Stage:
    """A served Tidegate, its provider, and who calls it."""

    here: Served
    provider: Provider
    key: str
    idents: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    stop: bool = False

    async def stream(self, model: str = "small") -> Stream:
        """A stream whose first event has come."""
        reader, writer = await self.connect()
        writer.write(self.request(stream=True, model=model))
        async with asyncio.timeout(PATIENCE_S):
            head = await reader.readuntil(b"\r\n\r\n")
            assert b" 200 " in head, head
            await reader.readuntil(b'"one"')
        found = IDENT.search(head)
        assert found, head
        self.idents.append(found[1].decode())
        return Stream(self.idents[-1], reader, writer)

    async def streams(self, count: int) -> list[Stream]:
        return list(await asyncio.gather(*(self.stream() for _ in range(count))))

    async def call(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One whole call; tells whether the connection may be used again."""
        async with asyncio.timeout(PATIENCE_S):
            writer.write(self.request(stream=False))
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            body = await reader.readexactly(int(length[1]) if length else 0)
        found = IDENT.search(head)
        self.idents.append(found[1].decode() if found else "")
        if b" 200 " not in head or body != ANSWER:
            self.wrong.append(f"{head!r} {body!r}")
        return b"connection: close" not in head.lower()

    async def asked(self, model: str) -> tuple[int, bytes]:
        """The status and body of one call to a model, with a question of its own."""
        reader, writer = await self.connect()
        try:
            async with asyncio.timeout(PATIENCE_S):
                writer.write(self.request(stream=False, model=model, text=f"hello {len(self.idents)}"))
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"(?i)content-length: (\d+)", head)
                body = await reader.readexactly(int(length[1]) if length else 0)
        finally:
            writer.close()
        self.idents += [found.decode() for found in IDENT.findall(head)]
        return int(head.split()[1]), body

    async def calls(self, *, keeping: bool) -> None:
        """Call in a loop until told to stop, on one connection for as long as it is kept, or on new ones."""
        while not self.stop:
            try:
                reader, writer = await self.connect()
                try:
                    while await self.call(reader, writer) and keeping and not self.stop:
                        pass
                finally:
                    writer.close()
            except (OSError, EOFError) as error:
                self.wrong.append(repr(error))
            await asyncio.sleep(0.002)

    @contextlib.asynccontextmanager
    async def calling(self) -> AsyncIterator[None]:
        """Two clients call meanwhile."""
        tasks = [asyncio.create_task(self.calls(keeping=keeping)) for keeping in (True, False)]
        try:
            await self.more_calls()
            yield
            await self.more_calls()
        finally:
            self.stop = True
            await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE_S)

    async def more_calls(self, count: int = 20) -> None:
        """Wait until so many more calls were answered."""
        seen = len(self.idents)
        await self.until(lambda: len(self.idents) >= seen + count or bool(self.wrong))
        assert self.wrong == []

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", int(self.here.base_url.rsplit(":")[-1]))

    def request(self, *, stream: bool, model: str = "small", text: str = "hello") -> bytes:
        said = [{"role": "user", "content": text}]
        raw = json.dumps({"model": model, "max_tokens": 8, "stream": stream, "messages": said}).encode()
        return (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {self.key}\r\n"
            f"content-type: application/json\r\n{'connection: close' if stream else 'x: y'}\r\n"
            f"content-length: {len(raw)}\r\n\r\n"
        ).encode() + raw

    def pid(self, name: str) -> int:
        """The one process of a name."""
        (found,) = running(self.here.process.pid, name)
        return found

    def kill(self, name: str) -> int:
        """Kill the one process of a name; give its id."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        return pid

    async def is_back(self, name: str, killed: int) -> None:
        """Wait for the process that comes in the place of a killed one."""
        await self.until(lambda: bool(running(self.here.process.pid, name) - {killed}))

    async def command(self, *words: str) -> tuple[int, str]:
        """Run a command of `tidegate` on this configuration; give its status and all it printed."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tidegate", *words, "--config", str(self.here.config)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await asyncio.wait_for(process.communicate(), PATIENCE_S)
        assert process.returncode is not None
        return process.returncode, out.decode()

    async def until(self, fact: Callable[[], bool]) -> None:
        """Wait until something is true, with the loop running."""
        end_s = time.monotonic() + PATIENCE_S
        while not fact():
            assert time.monotonic() < end_s, f"never true\n{self.log()[-3000:]}"
            await asyncio.sleep(0.02)

    def log(self) -> str:
        return self.here.log.read_text()

    def health(self) -> Health:
        return ask_control(self.here.layout, "GET", "/health", None, Health)

    async def settled(self) -> Counter[str]:
        """Every call has one settled row; the outcomes."""
        count = len(self.idents)
        await self.until(lambda: len(self.closed()) >= count)
        requests, attempts = rows_of(self.here.layout.root)
        known = [row for row in requests if row["tenant"] is not None]
        assert_settled(known, [row for row in attempts if row["request_id"] in {one["id"] for one in known}])
        assert_once(known, self.idents)
        assert len(known) == count
        return Counter(row["outcome"] for row in known)

    def closed(self) -> list[dict[str, Any]]:
        return self.here.rows("SELECT id FROM request WHERE tenant IS NOT NULL AND outcome IS NOT NULL")


def on_stage(
    directory: Path, play: Callable[[Stage], Coroutine[Any, Any, None]], server: str = "", key: str = ""
) -> None:
    """Run a test's coroutine with a served Tidegate; `server` are more settings of its table."""

    async def main() -> None:
        provider = Provider()
        async with await asyncio.start_server(provider, "127.0.0.1", 0, backlog=256) as listening:
            provider.base_url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
            more = {"key": key} if key else {}
            rows = deployment("small", "openai-compatible", provider.base_url, **more)
            config = f'{server}\n[policy]\nunpriced = "flag"\n{rows}'
            with served(directory, config) as here:
                stage = Stage(here, provider, here.key())
                try:
                    await asyncio.wait_for(play(stage), 2 * PATIENCE_S)
                finally:
                    await provider.close()  # this loop stands still while the server stops

    asyncio.run(main())


async def whole(streams: list[Stream]) -> None:
    """Every stream goes on to its end, which it has once."""
    for rest in await asyncio.gather(*(stream.rest() for stream in streams)):
        assert rest.count(b"[DONE]") == 1
        assert rest.endswith(b"\r\n0\r\n\r\n")


def test_an_upgrade_cuts_no_stream_and_refuses_no_call(tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        old_gateway, old_control = stage.pid("gateway"), stage.pid("control")
        streams = await stage.streams(100)
        async with stage.calling():
            status, said = await stage.command("upgrade")
            assert status == 0, said
            left = re.search(rf"process {old_gateway}, drains; open calls left: (\d+)", said)
            assert left, said
            assert int(left[1]) >= 100
            (new_gateway,) = running(stage.here.process.pid, "gateway") - {old_gateway}
            assert f"process {new_gateway} is ready" in said
            assert stage.pid("control") != old_control
            await stage.more_calls()
            stage.provider.gate.set()
            await whole(streams)
        await stage.until(lambda: running(stage.here.process.pid, "gateway") == {new_gateway})
        assert stage.wrong == []
        assert await stage.settled() == {"ok": len(stage.idents)}

    on_stage(tmp_path, play)


BROKEN = {
    "the package does not load": ("tidegate/__init__.py", "raise RuntimeError('half an install')"),
    "the gateway does not start": ("uvloop.py", "def new_event_loop():\n    raise RuntimeError('broken')"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_after_a_bad_install_the_old_gateway_goes_on(tmp_path: Path, how: str) -> None:
    async def play(stage: Stage) -> None:
        gateway = stage.pid("gateway")
        (stream,) = await stage.streams(1)
        name, text = BROKEN[how]
        (stage.here.directory / name).parent.mkdir(exist_ok=True)
        (stage.here.directory / name).write_text(text)  # where the server was started: it comes first
        async with stage.calling():
            status, said = await stage.command("upgrade")
            assert status == 1, said
            assert "Error: " in said
        assert stage.pid("gateway") == gateway
        stage.provider.gate.set()
        await whole([stream])
        assert await stage.settled() == {"ok": len(stage.idents)}

    on_stage(tmp_path, play)


def test_an_upgrade_with_a_wrong_configuration_replaces_nothing(tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        before = {name: stage.pid(name) for name in ("gateway", "control")}
        stage.here.config.write_text(stage.here.config.read_text() + "\n[policy]\n")
        status, said = await stage.command("upgrade")
        assert (status, str(stage.here.config) in said) == (1, True)
        assert {name: stage.pid(name) for name in before} == before

    on_stage(tmp_path, play)


def test_an_upgrade_without_a_server_says_so(tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        stage.here.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(stage.here.process.wait, PATIENCE_S)
        status, said = await stage.command("upgrade")
        assert (status, "No `tidegate serve` answers" in said) == (1, True)

    on_stage(tmp_path, play)


def test_a_reload_adds_a_deployment_and_cuts_no_stream(tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        gateway = stage.pid("gateway")
        streams = await stage.streams(20)
        text = stage.here.config.read_text()
        async with stage.calling():
            more = deployment("second", "openai-compatible", stage.provider.base_url, "large")
            stage.here.config.write_text(text.replace("[server]", "[server]\nmax_connections = 500") + more)
            await stage.until(lambda: b'"large"' in models_of(stage))
            stage.provider.gate.set()
            await whole(streams)
        assert stage.pid("gateway") == gateway
        assert "server.max_connections takes effect after `tidegate upgrade`" in stage.log()
        configuration = stage.health().configuration
        assert configuration is not None
        assert configuration.upgrade == ("server.max_connections",)
        assert await stage.settled() == {"ok": len(stage.idents)}

    on_stage(tmp_path, play)


RULES = """
[breaker]
last_failures = 2
cooldown_s = 300

[resilience]
attempts = 1

[[limits]]
scope = "model"
name = "small"
requests_per_minute = 100
"""
OTHER_RULES = """
[breaker]
enabled = false

[resilience]
attempts = 1

[[limits]]
scope = "model"
name = "small"
requests_per_minute = 20

[aliases]
fast = ["dead"]

[last_resort.fast]
message = "Please try again later."
"""


def test_a_reload_changes_the_rules_for_new_calls_and_cuts_no_stream(tmp_path: Path) -> None:
    async def new_rules_hold(stage: Stage) -> None:
        assert (await stage.asked("small"))[0] == 429, "the streams count under the lower limit"
        for _ in range(4):
            assert (await stage.asked("dead"))[0] == 502, "no breaker keeps a call from it"
        status, body = await stage.asked("fast")
        assert (status, b"Please try again later." in body) == (200, True)

    async def play(stage: Stage) -> None:
        gateway, good = stage.pid("gateway"), stage.here.config.read_text()
        rows = deployment("dead", "openai-compatible", "http://127.0.0.1:9/v1", "dead")
        rows += deployment("large", "openai-compatible", stage.provider.base_url, "large")
        started = good.replace('"flag"', '"flag"\nkeep_alive_s = 60') + rows
        stage.here.config.write_text(started + RULES)
        await stage.until(lambda: b'"large"' in models_of(stage))
        streams = await stage.streams(20)
        assert [(await stage.asked("dead"))[0] for _ in range(3)] == [502, 502, 503]

        stage.here.config.write_text(started.replace("= 60", "= 1") + OTHER_RULES)
        await stage.until(lambda: b'"fast"' in models_of(stage))
        await new_rules_hold(stage)
        kept_alive = await stage.stream("large")
        async with asyncio.timeout(PATIENCE_S):
            await kept_alive.reader.readuntil(b"\n: ping")

        stage.here.config.write_text(started + OTHER_RULES.replace('"model"', '"nobody"'))
        await stage.until(lambda: "configuration refused" in stage.log())
        await new_rules_hold(stage)
        stage.provider.gate.set()
        await whole([*streams, kept_alive])
        assert stage.pid("gateway") == gateway
        assert "takes effect after" not in stage.log()
        outcomes = await stage.settled()
        assert (outcomes["ok"], outcomes["cancelled"]) == (21, 0)

    on_stage(tmp_path, play)


def test_a_wrong_configuration_is_named_by_line_and_changes_nothing(tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        good = stage.here.config.read_text()
        bad = good + '\n[aliases]\nfast = ["nobody"]\n'
        line = bad.count("\n")
        place = f"{stage.here.config.name}:{line}: error: aliases.fast[0]: 'nobody'"
        async with stage.calling():
            stage.here.config.write_text(bad)
            await stage.until(lambda: place in stage.log())
            refused = stage.health().configuration
            assert refused is not None
            assert place in refused.refused
        for name in ("gateway", "control"):
            stage.kill(name)  # started again, the last good configuration serves
        await stage.until(lambda: b'"small"' in models_of(stage))
        stage.here.config.write_text(good + '\n[aliases]\nfast = ["small"]\n')
        await stage.until(lambda: b'"fast"' in models_of(stage))
        status, said = await stage.command("reload")
        assert (status, "is in force with snapshot" in said) == (0, True)

    on_stage(tmp_path, play)


def test_sighup_takes_a_changed_key_file(tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        gateway, secret = stage.pid("gateway"), stage.here.directory / "key"
        async with stage.calling():
            await stage.until(lambda: stage.provider.keys[-1] == b"Bearer first-key")
            secret.write_text("second-key")
            stage.here.process.send_signal(signal.SIGHUP)
            await stage.until(lambda: stage.provider.keys[-1] == b"Bearer second-key")
        assert stage.pid("gateway") == gateway

    (tmp_path / "key").write_text("first-key")
    on_stage(tmp_path, play, key='{ file = "key" }')


def test_no_call_fails_while_control_is_killed(tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        streams = await stage.streams(5)
        async with stage.calling():
            for _ in range(3):
                killed = stage.kill("control")
                await stage.more_calls()
                await stage.is_back("control", killed)
            stage.provider.gate.set()
            await whole(streams)
        assert await stage.settled() == {"ok": len(stage.idents)}

    on_stage(tmp_path, play)


def test_a_gateway_that_crashes_is_back_and_no_connection_is_refused(tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        for _ in range(3):
            stage.kill("gateway")
            reader, writer = await stage.connect()
            assert await stage.call(reader, writer)
            writer.close()
        assert stage.wrong == []
        assert await stage.settled() == {"ok": 3}

    on_stage(tmp_path, play)


def test_sigterm_lets_streams_end_and_settles_them(tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        streams = await stage.streams(10)
        stage.here.process.send_signal(signal.SIGTERM)
        await stage.until(lambda: "stopping" in stage.log())
        stage.provider.gate.set()
        await whole(streams)
        assert await asyncio.to_thread(stage.here.process.wait, PATIENCE_S) == 0
        assert await stage.settled() == {"ok": 10}

    on_stage(tmp_path, play)


def test_a_stream_beyond_the_drain_limit_is_cut_visibly_and_settled(tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        streams = await stage.streams(10)
        stage.here.process.send_signal(signal.SIGTERM)
        for rest in await asyncio.gather(*(stream.rest() for stream in streams)):
            assert b"[DONE]" not in rest
        assert await asyncio.to_thread(stage.here.process.wait, PATIENCE_S) == 0
        assert sum((await stage.settled()).values()) == 10

    on_stage(tmp_path, play, server="drain_timeout_s = 0.5")


def models_of(stage: Stage) -> bytes:
    """What the gateway lists, or nothing while it comes back."""
    request = urllib.request.Request(
        f"{stage.here.base_url}/v1/models", headers={"authorization": f"Bearer {stage.key}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            listed: bytes = reply.read()
            return listed
    except OSError:
        return b""
