"""The guarded server in this process, on a free loopback port, and raw sockets to try it with."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import uvloop

from tidegate.gateway.cycle import client_of
from tidegate.gateway.limits import Limits
from tidegate.gateway.server import App, Running, serve
from tidegate.model.errors import TidegateError

T = TypeVar("T")
Headers = list[tuple[bytes, bytes]]

PATIENCE_S = 10.0
"""How long a wait lasts before the test fails; never reached when all is well."""

HOST = b"host: gate.test\r\n"


@dataclass
class Seen:
    """What reached the application and the renderer."""

    calls: int = 0
    scopes: list[dict[str, Any]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    refusals: list[tuple[str, str, Headers]] = field(default_factory=list)

    def render(self, error: TidegateError, path: str, headers: Headers) -> tuple[int, Headers, bytes]:
        self.refusals.append((error.code, path, list(headers)))
        sent = [(b"content-type", b"application/json")]
        if error.retry_after_s is not None:
            sent.append((b"retry-after", b"%d" % error.retry_after_s))
        return error.status, sent, json.dumps({"code": error.code, "message": error.message}).encode()


@dataclass
class Site:
    """A running server. `answer` is the default application's reply."""

    port: int
    running: Running
    seen: Seen

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def talk(self, *pieces: bytes) -> bytes:
        """Send `pieces` on one connection, each after a loop turn, and read until the server closes."""
        reader, writer = await self.connect()
        try:
            for piece in pieces:
                writer.write(piece)
                with contextlib.suppress(ConnectionError):
                    await writer.drain()
                await asyncio.sleep(0)
            return await until_closed(reader)
        finally:
            writer.close()


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    """Read until the server closes or resets the connection."""
    got = bytearray()
    async with asyncio.timeout(PATIENCE_S):
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(65_536):
                got += piece
    return bytes(got)


def status(reply: bytes) -> int:
    """The status of a raw reply; 0 when there is none."""
    return int(reply.split(b" ", 2)[1]) if reply.startswith(b"HTTP/1.1 ") else 0


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until `condition` holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - what changes is not ours to signal
            await asyncio.sleep(0.001)


def echo(seen: Seen) -> App:
    """An application that reads the whole body and answers with it."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.calls += 1
        seen.scopes.append({name: value for name, value in scope.items() if name != "extensions"})
        assert client_of(scope).gone is False
        body = await client_of(scope).body()
        seen.bodies.append(body)
        length = b"%d" % len(body)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": body})

    return app


@contextlib.asynccontextmanager
async def site(
    limits: Limits | None = None,
    app: App | None = None,
    *,
    graceful_timeout_s: float = 5.0,
    handle_signals: bool = False,
) -> AsyncIterator[Site]:
    """Serve `app` (by default `echo`) for the length of the block; leaving it stops and cancels."""
    seen = Seen()
    sock = socket.create_server(("127.0.0.1", 0))
    port: int = sock.getsockname()[1]
    started: asyncio.Future[Running] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(
        serve(
            app or echo(seen),
            sockets=[sock],
            limits=limits or Limits(),
            render=seen.render,
            graceful_timeout_s=graceful_timeout_s,
            on_started=started.set_result,
            handle_signals=handle_signals,
        )
    )
    async with asyncio.timeout(PATIENCE_S):
        running = await started
    try:
        yield Site(port, running, seen)
    finally:
        running.stop()
        running.stop()
        async with asyncio.timeout(PATIENCE_S):
            await task


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a test's coroutine on the loop that the gateway uses."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(asyncio.wait_for(main, 3 * PATIENCE_S))
