"""One exchange under way: a reply is sent at its pace, and broken where its script says so."""

import asyncio
from collections.abc import Iterable, Iterator
from random import Random
from typing import Protocol

from tidegate.upstream.asgi_types import Scope, Send
from tidegate.upstream.client import Client
from tidegate.upstream.dialect import Stream
from tidegate.upstream.faults import Break, Plan, Step, plan, recut, steps
from tidegate.upstream.replies import EVENTS, JSON, Lines, Whole
from tidegate.upstream.script import PLAIN, Script

TRANSPORT = "tidegate.upstream.transport"
"""The ASGI extension under which our server hands over the connection, so that a script can break it."""
PROCESSING = b"HTTP/1.1 102 Processing\r\n\r\n"
FLUSH_S = 1.0


class Connection(Protocol):
    """The connection of one exchange, as our server gives it."""

    @property
    def closing(self) -> bool:
        """Whether it is closed, by either end."""
        ...

    @property
    def waiting(self) -> int:
        """The bytes that wait to be sent."""
        ...

    def write(self, raw: bytes) -> None:
        """Send bytes beside the reply."""

    def close(self) -> None:
        """Send what waits, then close."""

    def reset(self) -> None:
        """Drop the connection with a reset."""


class Exchange:
    """Sends one reply. Each method returns whether the reply is as whole as its script wants it.

    `status`: what was sent, 0 before. `began`: a reply was to follow. `spoken`: how many of a stream's tokens
    were sent.
    """

    def __init__(
        self, scope: Scope, client: Client, send: Send, script: Script, lines: Lines | None = None
    ) -> None:
        self._client = client
        self._send = send
        self.script = script
        self._connection: Connection | None = scope.get("extensions", {}).get(TRANSPORT)
        self._chance = Random(script.seed) if script.jitter else None  # noqa: S311 - not for secrets
        self._lines: Lines = lines or []
        self.status = 0
        self.began = False
        self.spoken = 0

    async def begin(self, latency_ms: float) -> bool | None:
        """Wait as long as a reply takes; None where one is to follow."""
        script = self.script
        if script.breaks_at("reading"):
            return await self._lose(reset=script.cut_after != "reading")
        if script.informational and not await self._inform():
            return False
        if script.hang_after == 0:
            return await self._client.sleep(None)
        if script.latency_ms is not None:
            latency_ms = script.latency_ms
        if script.stall_after == 0:
            latency_ms += script.stall_ms
        if latency_ms and not await self._wait(latency_ms):
            return False
        if 0 in (script.cut_after, script.reset_after):
            return await self._lose(reset=script.cut_after != 0)
        self.began = True
        return None

    async def plain(self, reply: Whole) -> bool:
        """Send a reply that is no stream, or a part of it."""
        script = self.script
        body = reply.body
        if script is PLAIN:
            self.status = reply.status
            await send_head(self._send, reply.status, len(body), reply.kind, self._lines)
            await self._send({"type": "http.response.body", "body": body})
            return True
        planned = plan([Step(body)], script, streamed=False)
        if script.split is not None:
            planned = [part for step in planned for part in _recut(step, script.split)]
        whole = sum(len(step.data) for step in _until_end(planned))
        self.status = reply.status
        await send_head(self._send, reply.status, whole, reply.kind, self._lines)
        return await self._play(planned, 0)

    async def stream(self, stream: Stream, rate: float, error_event: bytes) -> bool:
        """Send a stream's events, `rate` tokens a second; 0 sends them in one piece."""
        script = self.script
        if script.tokens_per_second is not None:
            rate = script.tokens_per_second
        await self._stream_head(EVENTS)
        if script is PLAIN and not rate:
            whole = b"".join([*stream.head, *stream.tokens, *stream.tail])
            await self._send({"type": "http.response.body", "body": whole})
            self.spoken = len(stream.tokens)
            return True
        return await self._play(plan(steps(stream, script, error_event), script, streamed=True), rate)

    async def bomb(self, pieces: Iterable[bytes], *, streamed: bool) -> bool:
        """Send a packed reply whose size grows when it is inflated."""
        self._lines.append((b"content-encoding", b"gzip"))
        await self._stream_head(EVENTS if streamed else JSON)
        for piece in pieces:
            await self._body(piece)
            if not await self._client.sleep(0):
                return False
        return await self._end()

    async def _stream_head(self, kind: bytes) -> None:
        self.status = self.script.status or 200
        lines = _typed(self._lines, kind)
        await self._send({"type": "http.response.start", "status": self.status, "headers": lines})

    async def _play(self, planned: Plan, rate: float) -> bool:
        """Send the steps at their times and break where the plan says."""
        now = asyncio.get_running_loop().time
        slow = self.script.drip_ms or self.script.event_ms or self.script.first_event_ms
        due_s, first = now(), True
        for step in planned:
            if isinstance(step, Break):
                broken = await self._break(step)
                if broken is not None:
                    return broken
                due_s = now()
                continue
            if self._left():
                return False
            if slow:
                if not await self._slow(step, first=first):
                    return False
                first, due_s = False, max(due_s, now())
            if step.paced and rate:
                due_s += self._varied(1 / rate)
                if not await self._client.sleep(max(0.0, due_s - now())):
                    return False
            await self._body(step.data)
            if step.times > 1 and not await self._fill(step):
                return False
            self.spoken += step.paced
        return await self._end()

    async def _fill(self, step: Step) -> bool:
        """Send a step as often again as it wants; False when the client left meanwhile."""
        for _ in range(step.times - 1):
            if not await self._client.sleep(0):
                return False
            await self._body(step.data)
        return True

    async def _slow(self, step: Step, *, first: bool) -> bool:
        """Wait as long as an event, or each write of it, takes."""
        script = self.script
        wait_ms = script.drip_ms
        if first:
            wait_ms += script.first_event_ms
        elif step.begins:
            wait_ms += script.event_ms
        return not wait_ms or await self._wait(wait_ms)

    async def _wait(self, wait_ms: float) -> bool:
        return await self._client.sleep(self._varied(wait_ms / 1000))

    def _varied(self, seconds: float) -> float:
        """Return a time that the script's jitter has made longer or shorter."""
        if self._chance is None:
            return seconds
        return seconds * (1 + self.script.jitter * (2 * self._chance.random() - 1))

    async def _body(self, raw: bytes) -> None:
        await self._send({"type": "http.response.body", "body": raw, "more_body": True})

    async def _end(self) -> bool:
        left = self._left()
        await self._send({"type": "http.response.body", "body": b""})
        return not left

    def _left(self) -> bool:
        """Whether the client left, also where no wait has shown it."""
        if self._connection is not None and self._connection.closing:
            self._client.gone = True
        return self._client.gone

    async def _break(self, stop: Break) -> bool | None:
        """Do what the plan wants between two steps; None to go on."""
        match stop.how:
            case "stall":
                return None if await self._wait(self.script.stall_ms) else False
            case "hang":
                return await self._client.sleep(None)
            case "end":
                return await self._end()
            case "cut" | "reset":
                return await self._lose(reset=stop.how == "reset")

    async def _lose(self, *, reset: bool) -> bool:
        """Close the connection, and wait until the server has noticed. What was sent before still arrives."""
        connection = self._connection
        if connection is None:
            return False
        if reset:
            until_s = asyncio.get_running_loop().time() + FLUSH_S
            while connection.waiting and asyncio.get_running_loop().time() < until_s:
                if not await self._client.sleep(0.001):
                    return False
            connection.reset()
        else:
            connection.close()
        await self._client.sleep(None)
        return True

    async def _inform(self) -> bool:
        """Send the informational heads that precede a reply; False when the client left meanwhile."""
        wanted = self.script.informational
        sent = 0
        while self._connection is not None and (wanted == "endless" or sent < wanted):
            if not self._connection.waiting:
                self._connection.write(PROCESSING)
                sent += 1
            if not await self._client.sleep(0.001):
                return False
        return True


def _until_end(planned: Plan) -> Iterator[Step]:
    """Yield the steps before the place where a reply ends early."""
    for step in planned:
        if isinstance(step, Step):
            yield step
        elif step.how == "end":
            return


def _recut(step: Step | Break, size: int) -> Plan:
    return [*recut([step], size)] if isinstance(step, Step) else [step]


def _typed(lines: Lines, kind: bytes) -> Lines:
    """Return header lines with a content type; one that a script chose stays."""
    if any(name == b"content-type" for name, _ in lines):
        return lines
    return [(b"content-type", kind), *lines]


async def send_head(
    send: Send, status: int, length: int, kind: bytes = JSON, lines: Lines | None = None
) -> None:
    """Send the head of a reply of known length."""
    headers = [(b"content-length", b"%d" % length), *_typed(lines or [], kind)]
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def send_json(send: Send, status: int, body: bytes) -> None:
    """Send a whole JSON reply."""
    await send_head(send, status, len(body))
    await send({"type": "http.response.body", "body": body})
