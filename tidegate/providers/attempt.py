"""One attempt to send a request: its connection once there is one, how far the upload got, how to cut it."""

import asyncio
import contextlib
import select
import socket
import ssl
import struct
from contextvars import ContextVar
from weakref import WeakSet

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

from tidegate.providers.transport import Sent

SMALL_BODY_BYTES = 64 * 1024
"""Up to here aiohttp hands head and body to the socket in one piece, or nothing of them."""
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Attempt:
    """What is known of a request under way."""

    __slots__ = ("body_bytes", "expired", "protocol", "transport", "upload")

    def __init__(self, body_bytes: int) -> None:
        self.body_bytes = body_bytes
        self.upload = aiohttp.UploadTracker()
        self.protocol: ResponseHandler | None = None
        self.transport: asyncio.Transport | None = None
        self.expired = False

    @property
    def uploaded(self) -> bool:
        """Whether the whole request was handed to the socket."""
        done = self.upload.upload_complete
        return done.done() and not done.cancelled() and done.exception() is None

    @property
    def sent(self) -> Sent:
        """`no` without a connection, or while a small body waits: it goes out whole or not at all."""
        waits = not self.uploaded and self.body_bytes <= SMALL_BODY_BYTES
        return "no" if self.protocol is None or waits else "maybe"

    def expire(self) -> None:
        """Give up waiting for the reply's head; the loss of its connection wakes whoever waits for it."""
        self.expired = True
        self.drop()

    def drop(self) -> None:
        """Close the connection now, unsent bytes included; a plain close would first deliver them."""
        if self.transport is None:
            return
        sock = None if self.uploaded else self.transport.get_extra_info("socket")
        if sock is not None and sock.fileno() >= 0:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self.transport.abort()


CURRENT: ContextVar[Attempt] = ContextVar("attempt")
"""The attempt on whose behalf the connector is asked."""


class Connector(aiohttp.TCPConnector):
    """Tells the attempt which connection it got, and gives it none that the provider has just closed."""

    def __init__(
        self, *, limit_per_host: int = 0, keepalive_s: float, tls: ssl.SSLContext | None = None
    ) -> None:
        super().__init__(
            limit=0, limit_per_host=limit_per_host, keepalive_timeout=keepalive_s, ssl=tls or True
        )
        self._used: WeakSet[ResponseHandler] = WeakSet()

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[aiohttp.tracing.Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> Connection:
        """Give a fresh connection, or a pooled one on which nothing waits to be read, not even its end."""
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol, transport = connection.protocol, connection.transport
            if protocol is None or transport is None:
                connection.close()
                raise aiohttp.ServerDisconnectedError
            if protocol not in self._used:
                self._used.add(protocol)
            elif _readable(transport):
                transport.abort()
                connection.close()
                continue
            attempt = CURRENT.get()
            if attempt.expired:
                connection.close()
                raise TimeoutError
            attempt.protocol, attempt.transport = protocol, transport
            return connection


def _readable(transport: asyncio.Transport) -> bool:
    """Say whether an idle connection has something to read: its end, or bytes nobody asked for."""
    sock = transport.get_extra_info("socket")
    if transport.is_closing() or sock is None or sock.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    return bool(poll.poll(0))
