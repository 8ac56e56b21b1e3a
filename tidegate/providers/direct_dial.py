"""New connections of our own client: look-up, happy eyeballs (RFC 8305), TLS."""

import asyncio
import socket
import ssl
from collections.abc import Sequence
from functools import lru_cache

import aiohappyeyeballs
from aiohappyeyeballs import AddrInfoType

from tidegate.providers import direct_failure as words
from tidegate.providers.direct_connection import Connection, Owner
from tidegate.providers.direct_request import Origin
from tidegate.providers.transport import TransportError

_HEAD_START_S = 0.25
"""How long an address family is tried alone (RFC 8305, section 8)."""
_KEPT_S = 10.0
"""How long a name's addresses are used again."""


@lru_cache(maxsize=1)
def system_tls() -> ssl.SSLContext:
    """Return the context that trusts the system's authorities; made once, for it reads many files."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


class Dialer:
    """Opens connections to one origin."""

    def __init__(self, origin: Origin, *, tls: ssl.SSLContext | None) -> None:
        with_tls, self._host, self._port = origin
        self._tls = (tls or system_tls()) if with_tls else None
        host = f"[{self._host}]" if ":" in self._host else self._host
        self.place = f"{host}:{self._port}"
        self._lookup = asyncio.Lock()
        self._addresses: Sequence[AddrInfoType] = []
        self._known_until_s = 0.0

    async def dial(self, owner: Owner, loop: asyncio.AbstractEventLoop) -> Connection | TransportError:
        """Open one connection. What prevents it is returned, not raised; a cancel leaves nothing open."""
        connected = False
        try:
            addresses = await self._resolve(loop)
            sock = await aiohappyeyeballs.start_connection(addresses, happy_eyeballs_delay=_HEAD_START_S)
            connected = True
            with_tls = self._tls is not None
            _, connection = await loop.create_connection(
                lambda: Connection(owner, loop),
                sock=sock,
                ssl=self._tls,
                server_hostname=self._host.rstrip(".") if with_tls else None,
            )
        except (OSError, RuntimeError, ValueError) as error:
            self._known_until_s = 0.0
            return words.connect_failure(error, self.place, connected=connected)
        return connection

    async def _resolve(self, loop: asyncio.AbstractEventLoop) -> Sequence[AddrInfoType]:
        async with self._lookup:
            if loop.time() >= self._known_until_s:
                self._addresses = await self._look_up(loop)
                self._known_until_s = loop.time() + _KEPT_S
        return self._addresses

    async def _look_up(self, loop: asyncio.AbstractEventLoop) -> Sequence[AddrInfoType]:
        try:
            flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
            return socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM, flags=flags)
        except socket.gaierror:
            pass
        try:
            return await loop.getaddrinfo(
                self._host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
            )
        except OSError:
            raise words.LookupFailedError from None
