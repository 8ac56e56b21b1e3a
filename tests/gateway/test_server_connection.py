"""Connections over raw sockets: waiting, leaving, stalling, crowding."""

import asyncio
import socket
from typing import Any

import pytest

from tests.support.guarded_server import (
    HOST,
    Site,
    run,
    site,
    status,
    until,
    until_closed,
)
from tidegate.gateway.cycle import client_of
from tidegate.gateway.limits import Limits

GET = b"GET /v1/x HTTP/1.1\r\n" + HOST + b"\r\n"


def test_connection_without_a_byte_is_closed_without_a_word() -> None:
    async def main() -> bytes:
        async with site(Limits(first_byte_s=0.03)) as here:
            return await here.talk()

    assert run(main()) == b""


@pytest.mark.parametrize(
    "start",
    [b"G", b"\r\n", b"GET / HTTP/1.1\r\nhost: gate", GET[:-2]],
    ids=["byte", "empty", "half", "all but"],
)
def test_head_that_does_not_come_is_408(start: bytes) -> None:  # case 19
    async def main() -> tuple[int, int]:
        async with site(Limits(head_timeout_s=0.03)) as here:
            return status(await here.talk(start)), here.seen.calls

    assert run(main()) == (408, 0)


def test_dripping_head_does_not_restart_the_clock() -> None:  # case 19
    async def main() -> tuple[bytes, int]:
        async with site(Limits(head_timeout_s=0.1)) as here:
            reader, writer = await here.connect()
            closed = asyncio.ensure_future(until_closed(reader))
            dripped = 0
            while not closed.done():
                writer.write(b"x-a: 1\r\n" if dripped else b"GET / HTTP/1.1\r\n")
                dripped += 1
                await asyncio.sleep(0.01)
            writer.close()
            return await closed, here.seen.calls

    reply, calls = run(main())
    assert (status(reply), calls) == (408, 0)


def test_second_head_that_does_not_come_is_408_too() -> None:
    async def main() -> tuple[int, int]:
        async with site(Limits(head_timeout_s=0.03, keep_alive_s=60)) as here:
            reader, writer = await here.connect()
            writer.write(GET)
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"GET /")
            reply = await until_closed(reader)
            writer.close()
            return status(reply), here.seen.calls

    assert run(main()) == (408, 1)


def test_idle_connection_is_closed_without_a_word() -> None:
    async def main() -> bytes:
        async with site(Limits(keep_alive_s=0.03)) as here:
            reader, writer = await here.connect()
            writer.write(GET)
            await reader.readuntil(b"\r\n\r\n")
            rest = await until_closed(reader)
            writer.close()
            return rest

    assert run(main()) == b""


def test_one_connection_serves_many_requests() -> None:
    async def main() -> tuple[list[bytes], int]:
        async with site() as here:
            reader, writer = await here.connect()
            for number in range(5):
                body = b"%d" % number
                writer.write(b"POST / HTTP/1.1\r\n" + HOST + b"content-length: 1\r\n\r\n" + body)
                await reader.readuntil(b"\r\n\r\n")
                assert await reader.readexactly(1) == body
            writer.close()
            return here.seen.bodies, here.running.connections

    assert run(main()) == ([b"0", b"1", b"2", b"3", b"4"], 1)


def test_clock_does_not_run_while_the_application_works() -> None:
    limits = Limits(first_byte_s=0.3)

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await client_of(scope).body()
        link = scope["extensions"]["tidegate"].link
        await until(lambda: link._timer is None)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async def main() -> int:
        async with site(limits, slow) as here:
            reader, writer = await here.connect()
            writer.write(GET)
            reply = await reader.readuntil(b"\r\n\r\n")
            writer.close()
            return status(reply)

    assert run(main()) == 204


class Held:
    """An application that answers the head, or nothing, and waits to be told that its client is gone."""

    def __init__(self, *, streaming: bool) -> None:
        self.streaming = streaming
        self.calls = 0
        self.left = 0
        self.ended = 0
        self.late = 0
        self.go = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.calls += 1
        client = client_of(scope)
        client.on_gone(self._gone)
        await client_of(scope).body()
        if self.streaming:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        await self.go.wait()
        self.late += client.gone
        client.on_gone(self._gone)
        await send({"type": "http.response.body", "body": b"data: 2\n\n"})
        self.ended += 1

    def _gone(self) -> None:
        self.left += 1


@pytest.mark.parametrize("streaming", [False, True], ids=["before the head", "in mid-stream"])
@pytest.mark.parametrize("how", ["close", "reset", "half-close"])
def test_application_is_told_at_once_that_the_client_is_gone(
    streaming: bool, how: str
) -> None:  # case F10, S14
    async def main() -> tuple[int, int, int]:
        app = Held(streaming=streaming)
        async with site(None, app) as here:
            reader, writer = await here.connect()
            writer.write(GET)
            await until(lambda: app.calls == 1)
            if streaming:
                await reader.readuntil(b"data: 1\n\n")
            if how == "reset":
                writer.transport.abort()
            elif how == "close":
                writer.close()
            else:
                writer.write_eof()
            await until(lambda: app.left == 1)
            told_late = app.left
            app.go.set()
            await until(lambda: app.ended == 1)
            writer.close()
            return told_late, app.left, app.late

    assert run(main()) == (1, 2, 1)


def test_callback_is_not_called_for_a_complete_reply() -> None:
    called: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        client_of(scope).on_gone(lambda: called.append(True))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async def main() -> None:
        async with site(None, app) as here:
            reader, writer = await here.connect()
            writer.write(GET)
            await reader.readuntil(b"\r\n\r\n")
            writer.close()
            await until(lambda: here.running.connections == 0)

    run(main())
    assert called == []


def test_client_that_leaves_before_its_body_is_whole_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> list[bytes]:
        async with site() as here:
            _, writer = await here.connect()
            writer.write(b"POST / HTTP/1.1\r\n" + HOST + b"content-length: 9\r\n\r\nabc")
            await until(lambda: here.seen.calls == 1)
            writer.close()
            await until(lambda: here.running.calls == 0)
            return here.seen.bodies

    assert run(main()) == []
    assert caplog.records == []


@pytest.mark.parametrize("together", [True, False], ids=["in one read", "later"])
@pytest.mark.parametrize("connection", [b"", b"connection: close\r\n"], ids=["keep", "close"])
def test_pipelined_second_request_drops_the_connection(together: bool, connection: bytes) -> None:
    first = b"GET /1 HTTP/1.1\r\n" + HOST + connection + b"\r\n"

    async def main() -> tuple[bytes, int]:
        app = Held(streaming=False)
        async with site(None, app) as here:
            reader, writer = await here.connect()
            if together:
                writer.write(first + GET)
            else:
                writer.write(first)
                await until(lambda: app.calls == 1)
                writer.write(GET)
            if together and connection:  # the parser drops what follows; the disconnect is still seen
                await until(lambda: app.calls == 1)
                writer.close()
            reply = await until_closed(reader)
            writer.close()
            await until(lambda: app.left == app.calls)
            app.go.set()
            await until(lambda: here.running.connections == 0)
            return reply, app.calls

    reply, calls = run(main())
    assert reply == b""
    assert calls == (0 if together and not connection else 1)


def test_nothing_is_written_into_a_running_stream() -> None:
    async def main() -> bytes:
        app = Held(streaming=True)
        async with site(None, app) as here:
            reader, writer = await here.connect()
            writer.write(GET)
            got = await reader.readuntil(b"data: 1\n\n")
            writer.write(b"\x00 this is no HTTP \r\n\r\n")
            got += await until_closed(reader)
            writer.close()
            app.go.set()
            return got

    got = run(main())
    assert got.count(b"HTTP/1.1") == 1
    assert not got.endswith(b"0\r\n\r\n")


def test_broken_body_cuts_a_reply_that_has_started() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        await receive()

    async def main() -> bytes:
        async with site(None, app) as here:
            reader, writer = await here.connect()
            writer.write(b"POST / HTTP/1.1\r\n" + HOST + b"transfer-encoding: chunked\r\n\r\n")
            got = await reader.readuntil(b"one\r\n")
            writer.write(b"zz\r\n")
            got += await until_closed(reader)
            writer.close()
            return got

    got = run(main())
    assert got.endswith(b"one\r\n")
    assert got.count(b"HTTP/1.1") == 1


def test_head_of_a_reply_does_not_wait_for_its_body() -> None:
    go = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await go.wait()
        await send({"type": "http.response.body", "body": b"ok"})

    async def main() -> bytes:
        async with site(None, app) as here:
            reader, writer = await here.connect()
            writer.write(GET)
            assert status(await reader.readuntil(b"\r\n\r\n")) == 200
            go.set()
            body = await reader.readexactly(2)
            writer.close()
            return body

    assert run(main()) == b"ok"


@pytest.mark.parametrize("size", [0, 10, 65_536, 65_537, 1_000_000])
def test_head_and_body_arrive_in_order_whatever_the_size(size: int) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"%d" % size)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"a" * size})

    async def main() -> bytes:
        async with site(None, app) as here:
            return await here.talk(GET.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))

    head, _, body = run(main()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert body == b"a" * size


class Flood:
    """An application that sends without end and counts what it could send."""

    def __init__(self) -> None:
        self.sent = 0
        self.left = 0
        self.paused = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        client = client_of(scope)
        client.on_gone(self._gone)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not client.gone:
            await send({"type": "http.response.body", "body": b"a" * 4_096, "more_body": True})
            self.sent += 4_096
            self.paused = self.paused or client.write_paused

    def _gone(self) -> None:
        self.left += 1


async def deaf(here: Site) -> socket.socket:
    """Connect with a small receive buffer, ask, and read nothing."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, ("127.0.0.1", here.port))
    await loop.sock_sendall(sock, GET)
    return sock


def test_client_that_does_not_read_pauses_the_sender_and_is_dropped() -> None:  # case 52, case F11, S13
    async def main() -> tuple[int, int, bool]:
        app = Flood()
        async with site(Limits(write_stall_s=0.1, send_buffer_bytes=65_536), app) as here:
            sock = await deaf(here)
            await until(lambda: app.left == 1)
            await until(lambda: here.running.connections == 0)
            sock.close()
            return app.left, app.sent, app.paused

    left, sent, paused = run(main())
    assert (left, paused) == (1, True)
    assert sent <= 256 * 1024


def test_dropped_reader_sees_a_reset_and_not_an_end() -> None:  # case 52
    async def main() -> bool:
        app = Flood()
        async with site(Limits(write_stall_s=0.05, send_buffer_bytes=65_536), app) as here:
            sock = await deaf(here)
            await until(lambda: app.left == 1)
            loop = asyncio.get_running_loop()
            try:
                while await loop.sock_recv(sock, 65_536):
                    pass
            except ConnectionResetError:
                return True
            finally:
                sock.close()
            return False

    assert run(main())


def test_client_that_leaves_while_the_sender_waits_is_noticed_at_once() -> None:  # case F10, trap S13
    async def main() -> int:
        app = Flood()
        async with site(Limits(write_stall_s=3_600, send_buffer_bytes=65_536), app) as here:
            sock = await deaf(here)
            await until(lambda: app.sent > 0)
            sock.shutdown(socket.SHUT_WR)
            await until(lambda: app.left == 1)
            await until(lambda: here.running.calls == 0)
            sock.close()
            return app.left

    assert run(main()) == 1


def test_slow_reader_that_keeps_the_rate_is_kept() -> None:
    async def main() -> int:
        app = Flood()
        limits = Limits(write_stall_s=0.05, write_min_rate=0, send_buffer_bytes=65_536)
        async with site(limits, app) as here:
            sock = await deaf(here)
            loop = asyncio.get_running_loop()
            got = 0
            while got < 2_000_000:
                got += len(await loop.sock_recv(sock, 16_384))
            left = app.left
            sock.close()
            await until(lambda: app.left == 1)
            return left

    assert run(main()) == 0


def test_stalled_client_of_a_finished_reply_is_dropped_too() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"2000000"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"a" * 2_000_000})

    async def main() -> int:
        async with site(Limits(write_stall_s=0.05, send_buffer_bytes=65_536), app) as here:
            sock = await deaf(here)
            await until(lambda: here.running.connections == 1)
            await until(lambda: here.running.connections == 0)
            sock.close()
            return here.running.connections

    assert run(main()) == 0


def test_few_unsent_bytes_of_a_finished_reply_are_watched_too() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        transport = scope["extensions"]["tidegate"].link.transport
        while not transport.get_write_buffer_size():
            await send({"type": "http.response.body", "body": b"a" * 4_096, "more_body": True})
        await send({"type": "http.response.body"})

    async def main() -> int:
        limits = Limits(write_stall_s=0.05, keep_alive_s=0.01, send_buffer_bytes=65_536)
        async with site(limits, app) as here:
            sock = await deaf(here)
            await until(lambda: here.running.connections == 1)
            await until(lambda: here.running.connections == 0)
            sock.close()
            return here.running.connections

    assert run(main()) == 0


def test_connections_over_the_limit_get_503_as_json() -> None:
    async def main() -> tuple[bytes, int, int]:
        async with site(Limits(max_connections=2, linger_s=5.0)) as here:
            held = [await here.connect() for _ in range(2)]
            await until(lambda: here.running.connections == 2)
            reply = await here.talk(GET)
            for _, writer in held:
                writer.close()
            await until(lambda: here.running.connections == 0)
            again = await here.talk(GET.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
            return reply, status(again), here.seen.calls

    reply, again, calls = run(main())
    assert (status(reply), again, calls) == (503, 200, 1)
    assert b"retry-after: 1\r\n" in reply
    assert b"application/json" in reply


def test_refused_client_that_stays_is_cut_after_lingering() -> None:
    async def main() -> int:
        async with site(Limits(linger_s=0.03)) as here:
            reader, writer = await here.connect()
            writer.write(b"GET // HTTP/1.1\r\n\r\n")
            assert status(await until_closed(reader)) == 400
            await until(lambda: here.running.connections == 0)
            writer.close()
            return here.running.connections

    assert run(main()) == 0
