"""A client that leaves takes its upstream call with it; a shutdown in the middle of everything settles it."""

import asyncio
import json
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.faults.books import assert_settled, flags_of, rows_of
from tests.faults.house import FakeClient, House, Ticks
from tests.faults.provider import Reply, answer
from tests.faults.traffic import CHUNKED, EVENT, LAST, config, until_seen
from tests.support.raw_server import PATIENCE_S, Peer, RawServer
from tests.support.scripted_transport import ScriptedTransport
from tests.support.served import Served, served
from tidegate.model.record import End, decode_gateway
from tidegate.stores.journal import START, Reader

WHOLE = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n"
STEPS = count(1)


@dataclass
class Stage:
    """A served Tidegate before a provider whose every byte a test decides."""

    serve: Callable[[Peer], None] = field(default=lambda peer: None)
    here: Served = field(init=False)
    key: str = ""

    def ask(self, path: str, body: dict[str, Any]) -> tuple[str, socket.socket]:
        """Send one call; give its step and its connection."""
        step, raw = f"step-{next(STEPS)}", json.dumps(body).encode()
        sock = socket.create_connection(("127.0.0.1", int(self.here.base_url.rsplit(":")[-1])), PATIENCE_S)
        sock.sendall(
            f"POST /v1/{path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {self.key}\r\n"
            f"tidegate-step: {step}\r\ncontent-length: {len(raw)}\r\n\r\n".encode()
            + raw
        )
        return step, sock

    def recorded(self, step: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """The settled request of a step and its one attempt."""
        sql = "SELECT * FROM request WHERE step = ? AND outcome IS NOT NULL"
        self.here.wait_for(lambda: self.here.rows(sql, step))
        (request,) = self.here.rows("SELECT * FROM request WHERE step = ?", step)
        (attempt,) = self.here.rows("SELECT * FROM attempt WHERE request_id = ?", request["id"])
        return request, attempt


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    made = Stage()

    def serve(peer: Peer) -> None:
        made.serve(peer)

    with (
        RawServer(serve) as provider,
        served(tmp_path_factory.mktemp("served"), config(provider.url)) as made.here,
    ):
        made.key = made.here.key()
        yield made


def chat(*, stream: bool) -> dict[str, Any]:
    return {"model": "small", "stream": stream, "messages": [{"role": "user", "content": "hello"}]}


def messages(*, stream: bool) -> dict[str, Any]:
    return {**chat(stream=stream), "model": "claude", "max_tokens": 9}


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before the head", "behind the head", "in the middle"])
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("path", ["chat/completions", "messages"])
def test_a_client_that_leaves_closes_the_upstream_connection(
    stage: Stage, path: str, stream: bool, moment: str
) -> None:  # case F10
    asked, closed = threading.Event(), threading.Event()

    def serve(peer: Peer) -> None:
        peer.request()
        if moment != "before the head":
            peer.send(CHUNKED if stream else WHOLE)
        if moment == "in the middle":
            peer.chunk(EVENT) if stream else peer.send(b'{"id":')
        asked.set()
        assert peer.drain() == 0
        closed.set()

    stage.serve = serve
    make = messages if path == "messages" else chat
    step, sock = stage.ask(path, make(stream=stream))
    assert asked.wait(PATIENCE_S)
    if stream and moment == "in the middle":
        until_seen(sock, b"\n\n")
    sock.close()
    assert closed.wait(PATIENCE_S), "the provider's connection stayed open"
    request, attempt = stage.recorded(step)
    assert (request["outcome"], attempt["status"]) == ("cancelled", "cancelled")
    assert {"estimated", "maybe_billed"} <= set(flags_of(attempt))
    assert attempt["cost_nano"] > 0


@pytest.mark.slow
def test_sigterm_lets_streams_end_and_settles_the_rest(tmp_path: Path) -> None:  # case F19, trap S14
    ending = threading.Event()
    numbers = count()

    def serve(peer: Peer) -> None:
        number = next(numbers)
        peer.request()
        peer.send(CHUNKED)
        peer.chunk(EVENT)
        if number % 5 == 0:
            assert ending.wait(PATIENCE_S)
            with suppress(ConnectionError):  # its client may be one of those that leave
                peer.chunk(LAST)
                peer.chunk(b"")
        peer.drain()

    stage = Stage(serve)
    with (
        RawServer(serve) as provider,
        served(tmp_path, "drain_timeout_s = 3\n" + config(provider.url)) as stage.here,
    ):
        stage.key = stage.here.key()
        open_calls = [stage.ask("chat/completions", chat(stream=True)) for _ in range(50)]
        for _, sock in open_calls:
            until_seen(sock, b"one")
        stage.here.process.send_signal(signal.SIGTERM)
        stage.here.wait_for(lambda: "stopping" in stage.here.log.read_text())
        for _, sock in open_calls[:5]:
            sock.close()
        ending.set()
        stage.here.process.wait(PATIENCE_S)
        cut = [rest(sock) for _, sock in open_calls[5:]]
    requests, attempts = rows_of(stage.here.layout.root)
    assert_settled(requests, attempts)
    outcomes = [row["outcome"] for row in requests if row["step"] is not None]
    assert len(outcomes) == 50
    assert sum(LAST in got for got in cut) <= outcomes.count("ok") <= 10
    assert outcomes.count("interrupted") >= 35
    assert outcomes.count("ok") + outcomes.count("interrupted") + outcomes.count("cancelled") == 50
    for row in attempts:
        assert row["status"] == "ok" or {"estimated", "maybe_billed"} <= set(flags_of(row))


def rest(sock: socket.socket) -> bytes:
    """What still comes until the connection ends."""
    got = b""
    try:
        while piece := sock.recv(65536):
            got += piece
    except ConnectionError:
        pass
    finally:
        sock.close()
    return got


@pytest.mark.parametrize(
    ("stream", "steps"), [(False, 0), (False, 1), (False, 2), (True, 0), (True, 1), (True, 2), (True, 5)]
)
@pytest.mark.parametrize(
    "order", ["leave", "leave, cancel", "cancel, leave", "cancel, cancel", "leave, later cancel"]
)
def test_two_cancels_leave_one_settled_record(
    tmp_path: Path, stream: bool, order: str, steps: int
) -> None:  # trap S14
    async def main() -> list[End]:
        reached, forever = count(), asyncio.Event()
        waits = asyncio.Event()

        async def wait() -> None:
            if next(reached) == steps:
                waits.set()
                await forever.wait()

        transport = ScriptedTransport(lambda call: answer(call, Reply("whole"), wait))
        house = House(tmp_path, transport, Ticks(1))
        client = FakeClient()
        _, task = house.call("small", client, stream=stream)
        await asyncio.wait_for(waits.wait(), PATIENCE_S)
        for act in order.split(", "):
            if act == "later cancel":
                await asyncio.sleep(0)
            client.leave() if act == "leave" else task.cancel()
        done, _ = await asyncio.wait([task], timeout=PATIENCE_S)
        assert done, "the call went on"
        assert house.journal.stats.open_begins == 0
        await house.journal.close()
        with Reader(house.directory) as reader:
            records = [decode_gateway(raw) for _, raw in reader.read(START)]
        return [record for record in records if isinstance(record, End)]

    (end,) = asyncio.run(main())
    assert end.outcome == ("interrupted" if order == "cancel, cancel" else "cancelled")
    assert end.last.cost_nano is not None
