"""Clients that never stop calling a served Tidegate, and remember what each of them was given."""

import asyncio
import json
import random
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.served import Served, deployment

PATIENCE_S = 60.0
PRICE = '{ currency = "EUR", rates = { input_uncached = "0.5", cache_read = "0.1", output_text = "2" } }'
STEP = re.compile(r"call (\d+)")
"""What a request's text and its `tidegate-step` have in common."""

CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
EVENT = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"one"},"finish_reason":null}]}\n\n'
LAST = b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'

_IDENT = re.compile(rb"(?i)\r\ntidegate-request-id: (\S+)\r\n")


def config(upstream: str) -> str:
    """Chat and messages of the scripted provider, and a chat model whose first deployment nobody answers."""
    return (
        deployment("small", "vllm", f"{upstream}/v1", "small", price=PRICE)
        + deployment("claude", "anthropic-compatible", upstream, "claude-x", price=PRICE)
        + deployment("dead", "vllm", "http://127.0.0.1:9/v1", "small")
        + '\n[aliases]\nwobbly = ["dead", "small"]\n'
    )


@dataclass(slots=True)
class Given:
    """What one client was given: the request's id and the status, once a byte came; whether all of it."""

    step: str
    ident: str = ""
    status: int = 0
    whole: bool = False


@dataclass
class Traffic:
    """`width` clients at once until `stop` is set; each call is new, on a connection of its own."""

    served: Served
    key: str
    chance: random.Random
    width: int = 8
    calls: list[Given] = field(default_factory=list)
    answered: int = 0
    stop: bool = False

    async def run(self) -> None:
        """Call until told to stop, then let what runs end."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self.width):
                group.create_task(self._client())

    async def _client(self) -> None:
        while not self.stop:
            given = Given(str(len(self.calls)))
            self.calls.append(given)
            patience_s = self.chance.choice([PATIENCE_S, PATIENCE_S, PATIENCE_S, 0.15])
            try:
                async with asyncio.timeout(patience_s):
                    await self._call(given)
            except (OSError, EOFError):
                await asyncio.sleep(0.005)  # the gateway died, or is just being replaced
            except TimeoutError:
                assert patience_s < PATIENCE_S, f"call {given.step} was never answered: {given}"

    async def _call(self, given: Given) -> None:
        request = self._request(given.step)
        reader, writer = await asyncio.open_connection("127.0.0.1", int(self.served.base_url.rsplit(":")[-1]))
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            found = _IDENT.search(head)
            given.status = int(head.split(b" ", 2)[1])
            given.ident = found[1].decode() if found else ""
            self.answered += 1
            if b"\r\ntransfer-encoding: chunked" in head.lower():
                await reader.readuntil(b"\r\n0\r\n\r\n")
            else:
                length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
                assert length, head
                await reader.readexactly(int(length[1]))
            given.whole = True
        finally:
            writer.close()

    def _request(self, step: str) -> bytes:
        path, model = self.chance.choice(
            [("chat/completions", "small"), ("chat/completions", "wobbly"), ("messages", "claude")]
        )
        said = {"role": "user", "content": f"call {step} of many"}
        body = {"model": model, "max_tokens": 16, "messages": [said], "stream": self.chance.random() < 0.6}
        raw = json.dumps(body).encode()
        lines = {
            "host": "localhost",
            "authorization": f"Bearer {self.key}",
            "content-type": "application/json",
            "content-length": str(len(raw)),
            "connection": "close",
            "tidegate-step": step,
            "tidegate-feature": "load",
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"POST /v1/{path} HTTP/1.1\r\n{head}\r\n".encode() + raw


def until_seen(sock: socket.socket, wanted: bytes) -> bytes:
    got = b""
    while wanted not in got:
        piece = sock.recv(65536)
        assert piece, got
        got += piece
    return got


def running(parent: int, name: str) -> set[int]:
    """The children of a process whose command line ends in `name`."""
    if Path("/proc/self/stat").exists():
        listed = list(_of_proc())
    else:
        ps = subprocess.run(["ps", "-axo", "pid=,ppid=,command="], capture_output=True, text=True, check=True)
        listed = [
            (int(pid), int(ppid), command.split())
            for pid, ppid, command in map(_split, ps.stdout.splitlines())
        ]
    return {pid for pid, ppid, command in listed if ppid == parent and command[-1:] == [name]}


def _split(line: str) -> list[str]:
    return line.split(None, 2)


def _of_proc() -> Iterator[tuple[int, int, list[str]]]:
    """Every process: its id, its parent's, its command line (empty once it is dead)."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                yield int(entry.name), parent, (entry / "cmdline").read_text().split("\0")[:-1]
