"""Serve an ASGI application on given sockets behind the guard, and drain it when asked to stop."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import Any

import uvicorn

from tidegate.gateway.guard import Guarded, Render, guarded
from tidegate.gateway.limits import Gate, Limits
from tidegate.gateway.pressure import Pressure

App = Callable[[Any, Any, Any], Awaitable[None]]

_POLL_S = 0.02
_CANCELLED_S = 1.0
"""How long a cancelled call may take to settle and return before its connection is dropped regardless."""


class Running:
    """A server that takes requests, as whoever started it sees it."""

    def __init__(self, server: "_Server") -> None:
        self._server = server

    @property
    def connections(self) -> int:
        """How many connections are open, idle ones included."""
        return len(self._server.server_state.connections)

    @property
    def calls(self) -> int:
        """How many calls the application is working on."""
        return len(self._server.server_state.tasks)

    @property
    def body_bytes_left(self) -> int:
        """What the shared budget for bodies in flight has left."""
        return self._server.gate.body_bytes_left

    def stop(self) -> None:
        """Take no more connections and let running calls finish in time; a second call cancels them."""
        self._server.stop()


async def serve(
    app: App,
    *,
    sockets: Sequence[socket.socket],
    limits: Limits,
    render: Render,
    graceful_timeout_s: float,
    on_started: Callable[[Running], None] | None = None,
    handle_signals: bool = True,
) -> None:
    """Serve `app` on bound stream sockets until stopped; return when every call has ended.

    The sockets are closed here at the first `stop`; another process that shares them keeps listening. With
    `handle_signals` SIGTERM and SIGINT stop, and a second one cancels what still runs; both get back their
    default meaning afterwards, and are not raised again: the caller has its own things to close. That needs
    the main thread. There is no lifespan: the caller opens before and closes after.
    Run it on uvloop (`asyncio.Runner(loop_factory=uvloop.new_event_loop)`).
    """
    for sock in sockets:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, limits.send_buffer_bytes)
    gate = Gate(limits)
    config = uvicorn.Config(
        app,
        http=guarded(limits, render, gate),
        ws="none",
        lifespan="off",
        interface="asgi3",
        loop="none",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        workers=1,
    )
    server = _Server(config, gate, graceful_timeout_s, on_started)
    with _stopped_by_signals(server.stop) if handle_signals else contextlib.nullcontext():
        await server.serve(sockets=list(sockets))


class _Server(uvicorn.Server):
    """uvicorn's server without its signal handling, with a drain that ends and leaves nothing running."""

    def __init__(
        self,
        config: uvicorn.Config,
        gate: Gate,
        graceful_timeout_s: float,
        on_started: Callable[[Running], None] | None,
    ) -> None:
        super().__init__(config)
        self.gate = gate
        self._pressure = Pressure(gate)
        self._graceful_timeout_s = graceful_timeout_s
        self._hurry = asyncio.Event()
        self._on_started = on_started
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Begin the drain, or, if it has begun, cancel what is left."""
        if self._stopping.is_set():
            self._hurry.set()
        self._stopping.set()
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals alone: uvicorn would raise SIGTERM again before the caller has closed its journal."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._pressure.start(asyncio.get_running_loop())
        await self.on_tick(0)
        if self._on_started is not None:
            self._on_started(Running(self))

    async def main_loop(self) -> None:
        """Refresh the Date header each second until stopped."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), 1.0)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, wait for running calls, cancel the late ones, drop what is still connected."""
        self.gate.draining = True
        self._pressure.stop()
        for server in self.servers:
            server.close()
        for sock in sockets or ():
            sock.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await self._quiet(self._graceful_timeout_s)
        self._cancel()
        if self.server_state.tasks:
            await asyncio.wait(set(self.server_state.tasks), timeout=_CANCELLED_S)
        await asyncio.sleep(0)
        for connection in list(self.server_state.connections):
            if isinstance(connection, Guarded):
                connection.abort()
        await asyncio.sleep(0)

    async def _quiet(self, seconds: float) -> None:
        """Wait until calls have ended and their last bytes have left, or `seconds`, or the second `stop`."""
        state = self.server_state
        until_s = asyncio.get_running_loop().time() + seconds
        while (state.tasks or state.connections) and asyncio.get_running_loop().time() < until_s:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), _POLL_S)
                return

    def _cancel(self) -> None:
        for task in list(self.server_state.tasks):
            task.cancel("the server is stopping")


@contextlib.contextmanager
def _stopped_by_signals(stop: Callable[[], None]) -> Generator[None, None, None]:
    loop = asyncio.get_running_loop()
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
