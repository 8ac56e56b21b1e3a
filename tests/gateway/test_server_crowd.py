"""A crowd of slow clients at its full size, over real sockets."""

import asyncio
import contextlib
import resource
import selectors
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from types import FrameType
from typing import Any

import pytest

from tests.support.guarded_server import HOST, PATIENCE_S, Site, run, site, status, until
from tidegate.gateway.limits import Limits

CROWD = 2_000
AT_ONCE = 100
FILES = 2 * CROWD + 200
"""Open files that this process needs: it is both sides."""

HEAD = b"GET / HTTP/1.1\r\nx-slow: "
"""The start of one that never ends."""

GET = b"GET /v1/x HTTP/1.1\r\n" + HOST + b"\r\n"
WATCHED = ("/tidegate/gateway/", "/uvicorn/protocols/")


@pytest.fixture(autouse=True)
def files() -> Iterator[None]:
    """Room for the crowd; where there cannot be, the tests are skipped and say why."""
    before = soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < FILES:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, hard))
        except (ValueError, OSError) as error:
            pytest.skip(
                f"{CROWD} connections need {FILES} open files, the hard limit here is {hard}: {error}"
            )
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextlib.asynccontextmanager
async def crowd(here: Site) -> AsyncIterator[list[socket.socket]]:
    """So many connections, silent so far."""
    with contextlib.ExitStack() as stack:
        slow: list[socket.socket] = []
        before = here.running.connections
        while len(slow) < CROWD:
            for _ in range(AT_ONCE):
                sock = socket.create_connection(("127.0.0.1", here.port), PATIENCE_S)
                slow.append(stack.enter_context(sock))
            await until(lambda: here.running.connections == before + len(slow))
        yield slow


def say(slow: Iterable[socket.socket], data: bytes) -> None:
    for sock in slow:
        sock.sendall(data)


class Other:
    """A client that behaves, on one kept connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self) -> int:
        """The status of one call."""
        self._writer.write(GET)
        async with asyncio.timeout(PATIENCE_S):
            return status(await self._reader.readuntil(b"\r\n\r\n"))

    async def work(self) -> int:
        """How many steps the interpreter takes in the server for one call: the least of many."""
        least = sys.maxsize
        for _ in range(20):
            steps = 0

            def step(frame: FrameType, event: str, arg: Any) -> Any:
                nonlocal steps
                if not any(part in frame.f_code.co_filename for part in WATCHED):
                    return None
                frame.f_trace_opcodes = True
                steps += event == "opcode"
                return step

            before = sys.gettrace()
            sys.settrace(step)
            try:
                assert await self.ask() == 200
            finally:
                sys.settrace(before)
            least = min(least, steps)
        return least


@contextlib.asynccontextmanager
async def another(here: Site) -> AsyncIterator[Other]:
    reader, writer = await here.connect()
    try:
        yield Other(reader, writer)
    finally:
        writer.close()


def closed(slow: Iterable[socket.socket]) -> dict[socket.socket, int]:
    """Those that were answered or cut meanwhile, with the status they got (0 for none)."""
    found: dict[socket.socket, int] = {}
    with selectors.DefaultSelector() as selector:
        for sock in slow:
            selector.register(sock, selectors.EVENT_READ)
        for key, _ in selector.select(0):
            assert isinstance(key.fileobj, socket.socket)
            found[key.fileobj] = status(key.fileobj.recv(65_536))
    return found


def test_a_crowd_that_drips_its_heads_costs_the_others_nothing() -> None:  # case 19
    """Counted in steps of the interpreter, since on a busy machine a percentile is the scheduler's: a call
    takes as many with the crowd as without it, so nothing is looked through for each call.
    """

    async def main() -> None:
        limits = Limits(max_connections=CROWD + 1, first_byte_s=600, head_timeout_s=600)
        async with site(limits) as here, another(here) as other:
            alone = await other.work()
            async with crowd(here) as slow:
                say(slow, HEAD)
                answers = Counter[int]()
                for sock in slow:
                    sock.sendall(b"a")
                    answers[await other.ask()] += 1
                assert answers == {200: CROWD}
                assert await other.work() == alone > 100
                assert closed(slow) == {}, "nobody is cut before the deadline"

    run(main())


def test_a_crowd_that_drips_its_heads_is_gone_at_the_deadline() -> None:  # case 19
    async def main() -> None:
        limits = Limits(max_connections=CROWD + 1, first_byte_s=600, head_timeout_s=1, linger_s=600)
        async with site(limits) as here, crowd(here) as slow, another(here) as other:
            say(slow, HEAD)
            left, answers, served = set(slow), Counter[int](), set[int]()
            until_s = time.monotonic() + PATIENCE_S
            while left and time.monotonic() < until_s:
                for sock, code in closed(left).items():
                    answers[code] += 1
                    left.remove(sock)
                    sock.close()
                say(left, b"a")
                served.add(await other.ask())
                await asyncio.sleep(0.02)
            assert answers == {408: CROWD}
            assert served == {200}
            await until(lambda: here.running.connections == 1)

    run(main())


def test_a_crowd_in_every_place_sheds_the_others_until_its_deadline() -> None:  # case 19
    async def main() -> None:
        limits = Limits(max_connections=CROWD, first_byte_s=600, head_timeout_s=1)
        async with site(limits) as here, crowd(here) as slow:
            refused = await here.talk(GET)
            assert (status(refused), b"retry-after: 1\r\n" in refused) == (503, True)
            say(slow, HEAD)
            await until(lambda: here.running.connections == 0)
            assert Counter(closed(slow).values()) == {408: CROWD}
            async with another(here) as other:
                assert await other.ask() == 200

    run(main())
