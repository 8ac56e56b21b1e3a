"""A full or stalled disk: new calls are refused for a moment, running ones settle, nothing is restarted."""

import asyncio
import errno
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from tests.faults.books import assert_rebuilds, assert_settled, catch_up, rows_of
from tests.faults.house import FakeClient, House, Ticks
from tests.faults.provider import Reply, answer
from tests.faults.traffic import CHUNKED, EVENT, LAST, config, running, until_seen
from tests.support.raw_server import Peer, RawServer
from tests.support.scripted_transport import ScriptedReply, ScriptedTransport, Sent
from tests.support.served import deployment, served
from tests.support.upstream import scripted_upstream
from tidegate.stores.journal import Disk
from tidegate.stores.journal.disk import preallocate

PATIENCE_S = 60.0


async def at_once() -> None:
    """Go on with the next turn of the loop."""
    await asyncio.sleep(0)


async def ask(house: House, client: FakeClient, *, stream: bool = False) -> None:
    _, task = house.call("small", client, stream=stream)
    await asyncio.wait_for(task, PATIENCE_S)


def test_a_full_disk_refuses_new_calls_and_recovers(tmp_path: Path) -> None:  # case F14
    made = count()
    full = True

    def one_segment(fd: int, size: int) -> None:
        if next(made) and full:
            raise OSError(errno.ENOSPC, "scripted")
        preallocate(fd, size)

    async def main() -> None:
        nonlocal full
        goes_on = asyncio.Event()
        started = asyncio.Event()
        running = FakeClient(on_byte=started.set)

        async def wait() -> None:
            if running.status:
                await goes_on.wait()

        def provider(call: Sent) -> ScriptedReply:
            words = 4000 if not running.status else 6
            return answer(call, Reply("whole", words=words), wait if not running.status else at_once)

        transport = ScriptedTransport(provider)
        house = House(
            tmp_path, transport, Ticks(1), disk=Disk(preallocate=one_segment), segment_bytes=1 << 17
        )
        _, held = house.call("small", running, stream=True)
        await asyncio.wait_for(started.wait(), PATIENCE_S)
        answers = [FakeClient()]
        async with asyncio.timeout(PATIENCE_S):
            while not answers[-1].refused:
                answers.append(FakeClient())
                await ask(house, answers[-1])
            while not house.ledger.lost_notes:  # refusals are recorded too, until they have no room either
                await ask(house, FakeClient())
        headers = dict(answers[-1].headers)
        assert int(headers[b"retry-after"]) >= 1
        assert headers[b"x-should-retry"] == b"true"
        goes_on.set()  # it passes its progress marks now, for which there is no room
        await asyncio.wait_for(held, PATIENCE_S)
        assert running.whole
        assert running.body.endswith(b"data: [DONE]\n\n")
        full = False
        async with asyncio.timeout(PATIENCE_S):
            while answers[-1].refused:
                answers.append(FakeClient())
                await ask(house, answers[-1])
        assert answers[-1].status == 200
        assert house.journal.stats.open_begins == 0
        await house.journal.close()

    asyncio.run(main())
    catch_up(tmp_path)
    requests, attempts = rows_of(tmp_path)
    assert_settled(requests, attempts)
    assert {row["outcome"] for row in requests} == {"ok"} | {row["outcome"] for row in requests} & {"refused"}
    assert_rebuilds(tmp_path)


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_stalled_disk_leaves_one_failed_call_and_no_hang(tmp_path: Path, stream: bool) -> None:  # case F15
    moves = threading.Event()
    moves.set()

    def sync(_: int) -> None:
        assert moves.wait(PATIENCE_S)

    async def main() -> FakeClient:
        transport = ScriptedTransport(lambda call: answer(call, Reply("whole"), at_once))
        house = House(tmp_path, transport, Ticks(1), disk=Disk(sync=sync), patience_s=0.05)
        moves.clear()
        client = FakeClient()
        try:
            await ask(house, client, stream=stream)
        finally:
            moves.set()
        assert house.journal.stats.open_begins == 0
        await house.journal.close()
        return client

    client = asyncio.run(main())
    assert client.status == 503
    assert b"retry-after" in dict(client.headers)
    catch_up(tmp_path)
    (request,), (attempt,) = rows_of(tmp_path)
    assert (request["outcome"], request["http"], request["error_code"]) == ("failed", 503, "unavailable")
    assert attempt["cost_nano"] > 0


@contextmanager
def small_disk(path: Path) -> Iterator[Callable[[int], None]]:
    """A file system of its own in memory; give what resizes it, in MiB. Skips where none can be mounted."""
    path.mkdir(parents=True)
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small file system needs root")

    def mount(*options: str) -> bool:
        return (
            subprocess.run(["mount", *options, str(path)], check=False, capture_output=True).returncode == 0
        )

    if not mount("-t", "tmpfs", "-o", "size=24m", "tmpfs"):
        pytest.skip("no small file system can be mounted here")

    def resize(mebibytes: int) -> None:
        assert mount("-o", f"remount,size={mebibytes}m")

    try:
        yield resize
    finally:
        subprocess.run(["umount", str(path)], check=True)


@pytest.mark.slow
def test_served_on_a_full_disk_refuses_and_recovers_without_restart(tmp_path: Path) -> None:  # case F14
    goes_on = threading.Event()

    def held(peer: Peer) -> None:
        peer.request()
        peer.send(CHUNKED)
        peer.chunk(EVENT)
        assert goes_on.wait(PATIENCE_S)
        peer.chunk(LAST)
        peer.chunk(b"")

    with (
        small_disk(tmp_path / ".tidegate") as resize,
        scripted_upstream(output_tokens=1) as upstream,
        RawServer(held) as other,
        served(tmp_path, config(upstream.base_url) + deployment("held", "vllm", other.url, "small")) as here,
    ):
        key, port = here.key(), int(here.base_url.rsplit(":")[-1])
        gateway = running(here.process.pid, "gateway")
        streams = [socket.create_connection(("127.0.0.1", port), PATIENCE_S) for _ in range(3)]
        for sock in streams:
            sock.sendall(request(key, "held"))
            assert b"one" in until_seen(sock, b"one")
        refusal = asyncio.run(fill(key, port))
        assert re.search(rb"(?i)\r\nretry-after: [1-9]", refusal), refusal
        goes_on.set()
        for sock in streams:
            until_seen(sock, b"[DONE]")
            sock.close()
        resize(256)
        here.wait_for(lambda: asyncio.run(ask_served(key, port)).startswith(b"HTTP/1.1 200"), PATIENCE_S)
        assert running(here.process.pid, "gateway") == gateway
        here.process.send_signal(signal.SIGTERM)
        here.process.wait(PATIENCE_S)
        catch_up(here.layout.root)
        requests, attempts = rows_of(here.layout.root)
        assert_settled(requests, attempts)
        assert len([row for row in requests if row["outcome"] == "ok"]) == upstream.app.stats.requests + 3
        assert_rebuilds(here.layout.root)


def request(key: str, model: str) -> bytes:
    """A call whose begin takes much room: every label is as long as it may be."""
    stream = model == "held"
    body = {"model": model, "stream": stream, "messages": [{"role": "user", "content": "hello"}] * 16}
    raw = json.dumps(body).encode()
    labels = {f"tidegate-{name}": "x" * 128 for name in ("run", "step", "prompt", "environment", "feature")}
    labels["tidegate-tags"] = ",".join(f"{number:064}=x" for number in range(16))
    lines = {"host": "localhost", "authorization": f"Bearer {key}", "content-length": str(len(raw)), **labels}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST /v1/chat/completions HTTP/1.1\r\n{head}\r\n".encode() + raw


async def fill(key: str, port: int) -> bytes:
    """Call until a call is refused; give that reply."""
    refused: list[bytes] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while not refused:
            writer.write(request(key, "small"))
            got = await reply(reader)
            if not got.startswith(b"HTTP/1.1 200"):
                refused.append(got)
        writer.close()

    async with asyncio.timeout(4 * PATIENCE_S):
        await asyncio.gather(*(client() for _ in range(16)))
    return refused[0]


async def ask_served(key: str, port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request(key, "small"))
        return await reply(reader)
    finally:
        writer.close()


async def reply(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
    assert length, head
    return head + await reader.readexactly(int(length[1]))
