"""What the transport's tests share: limits, a call that reads its reply, both event loops."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.loops import run_on
from tests.support.raw_server import PATIENCE_S
from tidegate.providers.aiohttp_transport import AiohttpTransport
from tidegate.providers.direct_transport import DirectTransport
from tidegate.providers.transport import PhaseLimits, Transport, TransportError

LIMITS = PhaseLimits(connect_s=5, first_byte_s=5, idle_s=5)
SHORT_S = 0.05
SECRET = "sk-0123456789"
HEADERS = {"authorization": f"Bearer {SECRET}", "content-type": "application/json"}
BODY = b'{"model":"m"}'
CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"

Session = Callable[[Transport], Awaitable[None]]


@dataclass(frozen=True)
class Ground:
    """What a test of the seam runs on: an implementation and an event loop."""

    client: type[AiohttpTransport] | type[DirectTransport]
    loop: str

    def __str__(self) -> str:
        return f"{self.client.__name__.removesuffix('Transport').lower()}-{self.loop}"


GROUNDS = [
    pytest.param(ground, id=str(ground))
    for ground in (
        Ground(client, loop)
        for client in (AiohttpTransport, DirectTransport)
        for loop in ("asyncio", "uvloop")
    )
]


def run(ground: Ground, session: Session, **options: Any) -> None:
    """Run a coroutine with a transport, which is made before any loop runs, and close it."""
    run_with(ground.client(**options), ground.loop, session)


def run_with(transport: Transport, loop: str, session: Session) -> None:
    """Run a coroutine with a given transport, and close it."""

    async def main() -> None:
        try:
            await session(transport)
        finally:
            await transport.close()

    run_on(loop, main())


async def fetch(transport: Transport, url: str, *, body: bytes = BODY, limits: PhaseLimits = LIMITS) -> bytes:
    async with transport.post(url, headers=HEADERS, body=body, limits=limits) as reply:
        return await reply.read(1_000_000)


async def failure(transport: Transport, url: str, **options: Any) -> TransportError:
    with pytest.raises(TransportError) as caught:
        await fetch(transport, url, **options)
    return caught.value


def facts(error: TransportError) -> tuple[str, str, bool]:
    return error.phase, error.sent, error.got_bytes


async def wait_for(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, PATIENCE_S)
