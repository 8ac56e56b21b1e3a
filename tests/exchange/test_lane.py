import asyncio
from collections.abc import Callable

from tidegate.exchange.call import Headers
from tidegate.exchange.lane import Lane
from tidegate.services.clock import Clock

PING = b": ping\n\n"


class Reader:
    """A client that keeps what it was sent, and reads only while `reads` is set."""

    gone = False

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.reads = asyncio.Event()
        self.reads.set()

    async def reply(self, status: int, headers: Headers, body: bytes) -> None:
        raise AssertionError("answered elsewhere")

    async def start(self, status: int, headers: Headers) -> None:
        raise AssertionError("started elsewhere")

    async def write(self, data: bytes, *, more: bool) -> None:
        self.got.append(data if more else data + b"<end>")
        await self.reads.wait()

    def on_gone(self, callback: Callable[[], object]) -> None:
        raise AssertionError("watched elsewhere")


async def until(fact: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not fact():  # noqa: ASYNC110 - what is waited for is another task's doing
            await asyncio.sleep(0.001)


def test_a_quiet_stream_gets_keep_alives_between_whole_frames() -> None:  # trap S8
    async def run() -> None:
        client = Reader()
        lane = Lane(client, PING, 0.01, Clock())
        await lane.send(b"data: 1\n\n")
        await until(lambda: client.got.count(PING) >= 2)
        await lane.send(b"data: 2\n\n")
        await lane.finish()
        lane.stop()
        kept = [piece for piece in client.got if piece != PING]
        assert kept == [b"data: 1\n\n", b"data: 2\n\n", b"<end>"]
        assert lane.bytes_out == 18
        count = len(client.got)
        await asyncio.sleep(0.03)
        assert len(client.got) == count

    asyncio.run(run())


def test_a_client_that_does_not_read_gets_nothing_more(  # trap S13
) -> None:
    async def run() -> None:
        client = Reader()
        client.reads.clear()
        lane = Lane(client, PING, 0.005, Clock())
        sending = asyncio.create_task(lane.send(b"data: 1\n\n"))
        await asyncio.sleep(0.05)
        assert client.got == [b"data: 1\n\n"]
        client.reads.set()
        await sending
        lane.stop()

    asyncio.run(run())


def test_one_keep_alive_waits_for_a_slow_client_and_no_more() -> None:
    async def run() -> None:
        client = Reader()
        lane = Lane(client, PING, 0.005, Clock())
        client.reads.clear()
        await until(lambda: PING in client.got)
        await asyncio.sleep(0.05)
        assert client.got == [PING]
        client.reads.set()
        await lane.send(b"data: 1\n\n")
        lane.stop()
        assert client.got[-1] == b"data: 1\n\n"

    asyncio.run(run())


def test_stopping_twice_is_stopping_once() -> None:
    async def run() -> None:
        lane = Lane(Reader(), PING, 0.005, Clock())
        lane.stop()
        lane.stop()

    asyncio.run(run())
