"""What the transport's tests share: limits, a call that reads its reply, both event loops."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.support.loops import run_on
from tests.support.raw_server import PATIENCE_S
from tidegate.providers.aiohttp_transport import AiohttpTransport
from tidegate.providers.transport import PhaseLimits, TransportError

LIMITS = PhaseLimits(connect_s=5, first_byte_s=5, idle_s=5)
SHORT_S = 0.05
SECRET = "sk-0123456789"
HEADERS = {"authorization": f"Bearer {SECRET}", "content-type": "application/json"}
BODY = b'{"model":"m"}'
CHUNKED = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
LOOPS = ("asyncio", "uvloop")

Session = Callable[[AiohttpTransport], Awaitable[None]]


def run(loop: str, session: Session, transport: AiohttpTransport | None = None) -> None:
    """Run a coroutine with a transport, which is made before any loop runs, and close it."""
    made = transport or AiohttpTransport()

    async def main() -> None:
        try:
            await session(made)
        finally:
            await made.close()

    run_on(loop, main())


async def fetch(
    transport: AiohttpTransport, url: str, *, body: bytes = BODY, limits: PhaseLimits = LIMITS
) -> bytes:
    async with transport.post(url, headers=HEADERS, body=body, limits=limits) as reply:
        return await reply.read(1_000_000)


async def failure(transport: AiohttpTransport, url: str, **options: Any) -> TransportError:
    with pytest.raises(TransportError) as caught:
        await fetch(transport, url, **options)
    return caught.value


def facts(error: TransportError) -> tuple[str, str, bool]:
    return error.phase, error.sent, error.got_bytes


async def wait_for(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, PATIENCE_S)
