"""One exchange under way: a reply is sent at its pace, and broken where its script says so."""

import asyncio
from collections.abc import Iterable

from tidegate.upstream.asgi_types import Scope, Send
from tidegate.upstream.client import Client
from tidegate.upstream.faults import Step
from tidegate.upstream.script import PLAIN, Script

TRANSPORT = "tidegate.upstream.transport"
"""The ASGI extension under which our server hands over the connection, so that a script can cut it."""
JSON_TYPE = (b"content-type", b"application/json")
STREAM_TYPE = (b"content-type", b"text/event-stream; charset=utf-8")

Headers = Iterable[tuple[bytes, bytes]]


class Exchange:
    """Sends one reply. Each method returns whether the reply is as whole as its script wants it."""

    def __init__(self, scope: Scope, client: Client, send: Send, script: Script) -> None:
        self._scope = scope
        self._client = client
        self._send = send
        self._script = script
        self._headers = [(name.encode(), value.encode()) for name, value in script.headers.items()]

    async def begin(self, latency_ms: float) -> bool | None:
        """Wait as long as a reply takes; None where one is to follow."""
        script = self._script
        if script.hang_after == 0:
            return await self._client.sleep(None)
        if script.latency_ms is not None:
            latency_ms = script.latency_ms
        if latency_ms and not await self._client.sleep(latency_ms / 1000):
            return False
        if script.cut_after == 0 or script.reset_after == 0:
            return await self._cut()
        return None

    async def plain(self, body: bytes) -> bool:
        """Send a reply that is no stream, or half of it."""
        script = self._script
        await send_head(self._send, script.status, len(body), self._headers)
        if script is PLAIN or not (script.cut_after or script.reset_after or script.hang_after):
            await self._send({"type": "http.response.body", "body": body})
            return True
        await self._send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        return await self._client.sleep(None) if script.hang_after else await self._cut()

    async def stream(self, steps: list[Step], rate: float) -> bool:
        """Send a stream's events, `rate` tokens a second; 0 sends them in one piece."""
        script = self._script
        if script.tokens_per_second is not None:
            rate = script.tokens_per_second
        await self._send(
            {"type": "http.response.start", "status": script.status, "headers": [STREAM_TYPE, *self._headers]}
        )
        if script is PLAIN and not rate:
            await self._send({"type": "http.response.body", "body": b"".join([step.data for step in steps])})
            return True
        due_s = asyncio.get_running_loop().time()
        for number, step in enumerate(steps):
            if number and script is not PLAIN and (broken := await self._break(number)) is not None:
                return broken
            if step.paced and rate:
                due_s += 1 / rate
                if not await self._client.sleep(max(0.0, due_s - asyncio.get_running_loop().time())):
                    return False
            await self._send({"type": "http.response.body", "body": step.data, "more_body": True})
        await self._send({"type": "http.response.body", "body": b""})
        return not self._client.gone

    async def _break(self, number: int) -> bool | None:
        """Do what the script wants after `number` events; None to go on."""
        script = self._script
        if number in (script.cut_after, script.reset_after):
            return await self._cut()
        if number == script.hang_after:
            return await self._client.sleep(None)
        if not script.stall_ms or number != script.stall_after:
            return None
        return None if await self._client.sleep(script.stall_ms / 1000) else False

    async def _cut(self) -> bool:
        """Close the connection in the middle, and wait until the server has noticed."""
        transport = self._scope.get("extensions", {}).get(TRANSPORT)
        if transport is None:
            return False
        if self._script.reset_after is not None:
            transport.reset()
        else:
            transport.close()
        await self._client.sleep(None)
        return True


async def send_head(send: Send, status: int, length: int, headers: Headers = ()) -> None:
    """Send the head of a reply of known length, JSON unless `headers` say otherwise."""
    lines = [(b"content-length", b"%d" % length), *headers]
    if all(name.lower() != b"content-type" for name, _ in headers):
        lines.append(JSON_TYPE)
    await send({"type": "http.response.start", "status": status, "headers": lines})


async def send_json(send: Send, status: int, body: bytes) -> None:
    """Send a whole JSON reply."""
    await send_head(send, status, len(body))
    await send({"type": "http.response.body", "body": body})
