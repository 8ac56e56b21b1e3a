"""Clients that keep a number of streams up, and remember how each of their calls ended."""

import asyncio
import json
import random
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from benchmarks.soak.faults import Fault, choose
from benchmarks.soak.house import House

PATIENCE_S = 60.0
DRAIN_S = 2.0
REFUSED_WAIT_S = 0.5
MODELS = ("front", "back")
"""Aliases whose first deployment is the provider at the same place."""
TOKENS, WAVE_TOKENS = (10, 75), (25, 25)
PROSE = "The harbour master wrote down every ship that came in on the morning tide. "
TAIL_BYTES = 2_048
STEP = re.compile(r"call (\d+) of many")
"""In a request's text: its number, which is its `tidegate-step` as well."""

End = Literal[
    "running", "whole", "unmarked", "error event", "refused", "hung up", "broken", "truncated", "unanswered"
]
"""`unmarked`: with a finish reason, which ends an answer as well as the last mark does (trap S5).
`broken`: the connection ended in the reply. `truncated`: whole by HTTP, without an end or an error."""
BAD: frozenset[End] = frozenset({"broken", "truncated", "unanswered"})

_IDENT = re.compile(rb"(?i)\r\ntidegate-request-id: (\S+)\r\n")
_LENGTH = re.compile(rb"(?i)\r\ncontent-length: (\d+)")
_ENDS = {"chat/completions": b"data: [DONE]", "messages": b"event: message_stop"}
_FINISHES = {
    "chat/completions": re.compile(rb'"finish_reason":\s*"'),
    "messages": re.compile(rb'"stop_reason":\s*"'),
}
_ERRORS = {"chat/completions": b'data: {"error"', "messages": b"event: error"}


@dataclass(slots=True)
class Given:
    """What one client was given: the request's id and the status once a head came, and how it ended."""

    ident: str = ""
    status: int = 0
    end: End = "running"
    fault: str = ""


class _Line:
    """A client's connection, kept for its next call while it is whole."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ends: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, request: bytes) -> asyncio.StreamReader:
        """Send a request; give where its reply is read."""
        if self._ends is None:
            self._ends = await asyncio.open_connection("127.0.0.1", self._port)
        self._ends[1].write(request)
        return self._ends[0]

    def drop(self, *, resets: bool = False) -> None:
        """Close it."""
        if self._ends is not None:
            writer = self._ends[1]
            if resets:
                writer.transport.abort()
            else:
                writer.close()
            self._ends = None


@dataclass
class Traffic:
    """`width` streams at once until `stop` is called; a share of the calls gets a fault of its own."""

    house: House
    chance: random.Random
    width: int
    share: float
    calls: list[Given] = field(default_factory=list)
    open: int = 0
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, ramp_s: float) -> None:
        """Start the clients over `ramp_s`; call until told to stop, then give what runs a few seconds."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self.width):
                group.create_task(self._client())
                await asyncio.sleep(ramp_s / self.width)

    def stop(self) -> None:
        """Start no more calls."""
        self._stopping.set()

    async def wave(self, width: int) -> list[Given]:
        """So many calls at once, none with a fault; give what became of them."""
        begun = len(self.calls)
        lines = [_Line(self.house.port) for _ in range(width)]
        await asyncio.gather(*(self._call(line, None, WAVE_TOKENS) for line in lines))
        for line in lines:
            line.drop()
        return self.calls[begun:]

    def ended(self) -> list[Given]:
        """The calls that are over."""
        return [given for given in self.calls if given.end != "running"]

    def ends(self) -> Counter[str]:
        """How many calls ended in which way."""
        return Counter(given.end for given in self.calls)

    async def _client(self) -> None:
        line = _Line(self.house.port)
        try:
            while not self._stopping.is_set():
                fault = choose(self.chance) if self.chance.random() < self.share else None
                given = await self._call(line, fault)
                if given.status != 200 and given.end != "hung up":
                    await asyncio.sleep(REFUSED_WAIT_S)
        finally:
            line.drop()

    async def _call(self, line: _Line, fault: Fault | None, tokens: tuple[int, int] = TOKENS) -> Given:
        given = Given(fault=fault.name if fault else "")
        number = len(self.calls)
        self.calls.append(given)
        text = f"call {number} of many. {PROSE * self.chance.randint(1, 60)}"
        path, model = self.chance.choice(tuple(_ENDS)), self.chance.choice(MODELS)
        leaves_s = None
        if fault is not None:
            leaves_s = fault.hang_up_s
            if fault.script:
                text += f"[[script {fault.script}]]"
        request = self._request(path, model, str(number), text, tokens)
        self.open += 1
        try:
            given.end = await self._within(line, path, request, given, leaves_s)
        except (OSError, EOFError):
            line.drop()
            given.end = "broken" if given.status else "unanswered"
        finally:
            self.open -= 1
        if given.end == "hung up":
            line.drop(resets=fault.resets if fault else False)
        return given

    async def _within(
        self, line: _Line, path: str, request: bytes, given: Given, leaves_s: float | None
    ) -> End:
        """Make a call; leave at a set time, or when the soak is over and it does not end."""
        call = asyncio.create_task(self._exchange(line, path, request, given))
        over = asyncio.create_task(self._over())
        try:
            patience_s = PATIENCE_S if leaves_s is None else leaves_s
            done, _ = await asyncio.wait(
                (call, over), timeout=patience_s, return_when=asyncio.FIRST_COMPLETED
            )
            if call in done:
                return call.result()
            return "hung up" if leaves_s is not None or over in done else "unanswered"
        finally:
            over.cancel()
            call.cancel()
            with suppress(asyncio.CancelledError, OSError, EOFError):
                await call

    async def _over(self) -> None:
        await self._stopping.wait()
        await asyncio.sleep(DRAIN_S)

    async def _exchange(self, line: _Line, path: str, request: bytes, given: Given) -> End:
        reader = await line.send(request)
        head = await reader.readuntil(b"\r\n\r\n")
        found, length = _IDENT.search(head), _LENGTH.search(head)
        given.ident = found[1].decode() if found else ""
        given.status = int(head.split(b" ", 2)[1])
        tail = b""
        if length:
            tail = await reader.readexactly(int(length[1]))
        else:
            while size := int(await reader.readuntil(b"\r\n"), 16):
                tail = (tail + await reader.readexactly(size))[-TAIL_BYTES:]
                await reader.readexactly(2)
            await reader.readexactly(2)
        if b"\r\nconnection: close" in head.lower():
            line.drop()
        if given.status != 200:
            return "refused"
        if _ERRORS[path] in tail:
            return "error event"
        if _ENDS[path] in tail:
            return "whole"
        return "unmarked" if _FINISHES[path].search(tail) else "truncated"

    def _request(self, path: str, model: str, step: str, text: str, tokens: tuple[int, int]) -> bytes:
        body = {
            "model": model,
            "max_tokens": self.chance.randint(*tokens),
            "stream": True,
            "messages": [{"role": "user", "content": text}],
        }
        raw = json.dumps(body).encode()
        head = (
            f"POST /v1/{path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {self.house.key}\r\n"
            f"content-type: application/json\r\ntidegate-step: {step}\r\ncontent-length: {len(raw)}\r\n\r\n"
        )
        return head.encode() + raw
