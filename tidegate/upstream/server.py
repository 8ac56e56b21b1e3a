"""Serve the scripted provider with uvicorn on a socket that is bound beforehand."""

import contextlib
import socket
import struct
from asyncio import Transport

from uvicorn import Config, Server
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tidegate.upstream.asgi import Upstream
from tidegate.upstream.sending import TRANSPORT
from tidegate.upstream.settings import Settings

BACKLOG = 2048


class Wire:
    """The connection of one exchange, for a script to end it."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @property
    def closing(self) -> bool:
        """Whether it is closed, by either end."""
        return self._transport.is_closing()

    @property
    def waiting(self) -> int:
        """The bytes that wait to be sent."""
        return self._transport.get_write_buffer_size()

    def write(self, raw: bytes) -> None:
        """Send bytes beside the reply; what a lost connection is given is dropped."""
        if not self._transport.is_closing():
            self._transport.write(raw)

    def close(self) -> None:
        """Send what waits, then close."""
        self._transport.close()

    def reset(self) -> None:
        """Drop the connection with a reset, as a provider does that crashes."""
        sock = self._transport.get_extra_info("socket")
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()


class Protocol(HttpToolsProtocol):
    """uvicorn's own, which also shows the application its connection, and counts those there are."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Count the connection, and close it where a scenario drops new ones."""
        super().connection_made(transport)
        app = self.config.app
        if isinstance(app, Upstream):
            app.stats.connected()
            if app.scenario.drops():
                transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it no more."""
        super().connection_lost(exc)
        app = self.config.app
        if isinstance(app, Upstream):
            app.stats.connections -= 1

    def on_message_begin(self) -> None:
        """Add the connection to the request's scope."""
        super().on_message_begin()
        self.scope["extensions"] = {TRANSPORT: Wire(self.transport)}  # type: ignore[dict-item]


def listen(settings: Settings) -> socket.socket:
    """Bind the address; port 0 takes a free one. Raises OSError."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    return socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)


def server(app: Upstream) -> Server:
    """Return the server; `server(...).run([listen(...)])` serves until a signal or `should_exit`."""
    return Server(
        Config(
            app,
            http=Protocol,
            loop="uvloop",
            ws="none",
            lifespan="off",
            interface="asgi3",
            access_log=False,
            log_config=None,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=60,
            timeout_graceful_shutdown=1,
            backlog=BACKLOG,
        )
    )
