"""The load generator: raw sockets on uvloop, about 12 us of CPU a call.

A closed loop keeps N calls in flight. An open loop starts calls at set times, whatever became of those
before, so that a stall is felt by every call that it holds up.
"""

import asyncio
import contextlib
import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import perf_counter as clock_s  # uvloop's own clock counts whole milliseconds
from typing import cast

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_END = b"0\r\n\r\n"
DRAIN_S = 20.0
MAX_CONNECTIONS = 512
EVENT = b'"delta"'


@dataclass(frozen=True, slots=True)
class Address:
    """Where calls go, and with which headers."""

    port: int
    path: str
    headers: Mapping[str, str]

    def post(self, body: bytes) -> bytes:
        """One request, ready to be written."""
        return (
            self._head(
                "POST", self.path, f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
            )
            + body
        )

    def get(self, path: str) -> bytes:
        """One request without a body."""
        return self._head("GET", path, "")

    def _head(self, method: str, path: str, more: str) -> bytes:
        own = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        return f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\n{own}{more}\r\n".encode()


@dataclass(slots=True)
class Tally:
    """What a run gave. Times are seconds, one for each call that was answered with 200."""

    latencies_s: list[float] = field(default_factory=list)
    failed: int = 0
    unsent: int = 0
    wall_s: float = 0.0


class Connection(asyncio.Protocol):
    """One connection, with one request at a time; `done` is called with True for a whole 200."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._head = bytearray()
        self._left: int | None = None
        self._in_body = self._ok = False
        self._tail = b""
        self._done: Callable[[bool], None] | None = None
        self.first_s = 0.0
        self.events = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the base class names it
        """A call that was under way has failed."""
        self._transport = None
        self._finish(ok=False)

    def send(self, request: bytes, done: Callable[[bool], None]) -> None:
        """Start a call."""
        self._done, self._in_body, self._left, self.first_s, self.events = done, False, None, 0.0, 0
        self._head.clear()
        if self._transport is None:
            self._finish(ok=False)
        else:
            self._transport.write(request)

    def abort(self) -> None:
        """Drop the connection."""
        if self._transport is not None:
            self._transport.abort()

    @property
    def usable(self) -> bool:
        """True while the connection stands."""
        return self._transport is not None

    def data_received(self, data: bytes) -> None:
        """Read a piece of a reply."""
        if not self._in_body:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            head, data = bytes(self._head[: end + 2]), bytes(self._head[end + 4 :])
            self._in_body, self._ok, self._tail = True, head[9:12] == b"200", b""
            length = _LENGTH.search(head)
            self._left = int(length.group(1)) if length else None
        if EVENT in data:
            self.first_s = self.first_s or clock_s()
            self.events += data.count(EVENT)
        if self._left is not None:
            self._left -= len(data)
            whole = self._left <= 0
        else:
            self._tail = (self._tail + data)[-len(_END) :]
            whole = self._tail == _END
        if whole:
            self._finish(ok=self._ok)

    def _finish(self, *, ok: bool) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(ok)


async def connect(port: int) -> Connection:
    """Open a connection."""
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(lambda: Connection(loop), "127.0.0.1", port)
    return connection


async def closed_loop(
    address: Address, body: bytes, *, connections: int, for_s: float, calls: int = 1 << 62
) -> Tally:
    """Keep `connections` calls in flight for a time, or for a number of calls; then let them end."""
    loop = asyncio.get_running_loop()
    tally, request = Tally(), address.post(body)
    opened = [await connect(address.port) for _ in range(connections)]
    ended = loop.create_future()
    begun_s = clock_s()
    until_s, busy, left = begun_s + for_s, connections, calls

    def drive(connection: Connection) -> None:
        started_s = clock_s()

        def done(ok: bool) -> None:  # noqa: FBT001 - called by the connection
            nonlocal started_s, busy, left
            now_s = clock_s()
            if ok:
                tally.latencies_s.append(now_s - started_s)
            else:
                tally.failed += 1
            left -= 1
            if now_s < until_s and left >= busy and connection.usable:
                started_s = now_s
                connection.send(request, done)
                return
            busy -= 1
            if not busy:
                ended.set_result(None)

        connection.send(request, done)

    for connection in opened:
        drive(connection)
    async with asyncio.timeout(for_s + DRAIN_S):
        await ended
    tally.wall_s = clock_s() - begun_s
    for connection in opened:
        connection.abort()
    return tally


async def open_loop(address: Address, body: bytes, *, per_s: float, for_s: float) -> Tally:
    """Start `per_s` calls a second, whatever becomes of them; a call that finds no connection is unsent."""
    tally, request = Tally(), address.post(body)
    idle = deque([await connect(address.port) for _ in range(8)])
    opened, under_way, sent_all, all_ended = len(idle), 0, False, asyncio.Event()

    def start(connection: Connection, started_s: float) -> None:
        nonlocal under_way
        under_way += 1

        def done(ok: bool) -> None:  # noqa: FBT001 - called by the connection
            nonlocal under_way
            under_way -= 1
            if not under_way and sent_all:
                all_ended.set()
            if ok:
                tally.latencies_s.append(clock_s() - started_s)
                idle.append(connection)
            else:
                tally.failed += 1

        connection.send(request, done)

    begun_s = clock_s()
    for number in range(int(per_s * for_s)):
        due_s = begun_s + number / per_s
        await asyncio.sleep(max(0.0, due_s - clock_s()))
        started_s = clock_s()
        if not idle and opened < MAX_CONNECTIONS:
            opened += 1
            idle.append(await connect(address.port))
        if idle:
            start(idle.popleft(), started_s)
        else:
            tally.unsent += 1
    sent_all = True
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S if under_way else 0):
            await all_ended.wait()
    tally.failed += under_way
    tally.wall_s = clock_s() - begun_s
    for connection in idle:
        connection.abort()
    return tally


async def probe(address: Address, path: str, *, every_s: float, until: asyncio.Event) -> list[float]:
    """Ask a cheap route on one connection at set times; give how long each answer took.

    While an answer is late no probe is sent, but those that were due then are counted as if they had been.
    """
    connection, request = await connect(address.port), address.get(path)
    loop = asyncio.get_running_loop()
    waits_s: list[float] = []
    while not until.is_set():
        answered = loop.create_future()
        started_s = clock_s()
        connection.send(request, answered.set_result)
        if not await answered:
            break
        took_s = clock_s() - started_s
        waits_s += [took_s - missed * every_s for missed in range(1 + int(took_s / every_s))]
        await asyncio.sleep(every_s - took_s % every_s)
    connection.abort()
    return waits_s


class Streams:
    """Many streams at once, from one address."""

    def __init__(self, address: Address, body: bytes) -> None:
        self._address = address
        self._request = address.post(body)
        self._open: list[Connection] = []
        self.ended = 0

    @property
    def events(self) -> int:
        """Events that all of them have received so far."""
        return sum(connection.events for connection in self._open)

    @property
    def begun(self) -> int:
        """How many have received their first event."""
        return sum(connection.events > 0 for connection in self._open)

    async def start(self, streams: int, *, within_s: float) -> None:
        """Start streams, spread over a time."""
        for _ in range(streams):
            connection = await connect(self._address.port)
            self._open.append(connection)
            connection.send(self._request, self._count)
            await asyncio.sleep(within_s / streams)

    def _count(self, _: object) -> None:
        self.ended += 1

    def abort(self) -> None:
        """Hang up on all of them."""
        for connection in self._open:
            connection.abort()

    async def first_tokens(self, *, per_s: float, for_s: float) -> list[float]:
        """Start more streams at set times and drop each at its first event; give the times to those."""
        waits_s: list[float] = []
        probes: list[tuple[Connection, float]] = []
        begun_s = clock_s()
        for number in range(int(per_s * for_s)):
            due_s = begun_s + number / per_s
            await asyncio.sleep(max(0.0, due_s - clock_s()))
            started_s = clock_s()
            connection = await connect(self._address.port)
            connection.send(self._request, _ignore)
            probes.append((connection, started_s))
            probes = _hang_up(probes, waits_s)
        until_s = clock_s() + DRAIN_S / 2
        while probes and clock_s() < until_s:
            await asyncio.sleep(0.01)
            probes = _hang_up(probes, waits_s)
        for connection, started_s in probes:
            waits_s.append(clock_s() - started_s)
            connection.abort()
        return waits_s


def _ignore(_: object) -> None:
    """A probe is dropped, not finished."""


def _hang_up(probes: list[tuple[Connection, float]], waits_s: list[float]) -> list[tuple[Connection, float]]:
    """Drop the probes that have their first event, noting their times; give the others."""
    waiting = []
    for connection, started_s in probes:
        if connection.first_s:
            waits_s.append(connection.first_s - started_s)
            connection.abort()
        else:
            waiting.append((connection, started_s))
    return waiting
