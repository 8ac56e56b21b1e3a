"""Stopping: running calls finish, late ones are cut visibly, nothing is left running."""

import asyncio
import contextlib
import os
import signal
from typing import Any

import pytest

from tests.support.guarded_server import HOST, Site, run, site, status, until, until_closed
from tidegate.gateway.limits import Limits

GET = b"GET /v1/x HTTP/1.1\r\n" + HOST + b"\r\n"


class Gated:
    """An application that starts a stream and ends it when told."""

    def __init__(self) -> None:
        self.calls = 0
        self.cancelled = 0
        self.finish = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.calls += 1
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        try:
            await self.finish.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        await send({"type": "http.response.body", "body": b"two"})


@pytest.mark.parametrize("by_signal", [False, True], ids=["stop", "SIGTERM"])
def test_running_call_finishes_after_stop_and_idle_connections_close(by_signal: bool) -> None:  # case F19
    async def main() -> tuple[bytes, bytes, bool]:
        app = Gated()
        async with site(
            Limits(drain_idle_s=0.05), app, graceful_timeout_s=10, handle_signals=by_signal
        ) as here:
            idle_reader, idle_writer = await here.connect()
            reader, writer = await here.connect()
            writer.write(GET)
            await reader.readuntil(b"one")
            if by_signal:
                os.kill(os.getpid(), signal.SIGTERM)
            else:
                here.running.stop()
            idle = await until_closed(idle_reader)
            try:
                await here.connect()
                refused = False
            except ConnectionRefusedError:
                refused = True
            app.finish.set()
            rest = await until_closed(reader)
            writer.close()
            idle_writer.close()
            return rest, idle, refused

    rest, idle, refused = run(main())
    assert rest.endswith(b"two\r\n0\r\n\r\n")
    assert (idle, refused) == (b"", True)


@pytest.mark.parametrize("how", ["deadline", "second stop"])
def test_late_call_is_cancelled_and_its_stream_visibly_cut(
    how: str, caplog: pytest.LogCaptureFixture
) -> None:  # case F19, trap S6
    async def main() -> tuple[bytes, int]:
        app = Gated()
        async with site(None, app, graceful_timeout_s=0.05 if how == "deadline" else 60) as here:
            reader, writer = await here.connect()
            writer.write(GET)
            await reader.readuntil(b"one")
            here.running.stop()
            if how == "second stop":
                here.running.stop()
            rest = await until_closed(reader)
            writer.close()
            await until(lambda: here.running.connections == 0)
            return rest, app.cancelled

    rest, cancelled = run(main())
    assert cancelled == 1
    assert not rest.endswith(b"0\r\n\r\n")
    assert caplog.records == []


def test_reply_during_the_drain_says_that_the_connection_closes() -> None:
    go = asyncio.Event()
    started = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        started.set()
        await go.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async def main() -> bytes:
        async with site(None, app) as here:
            reader, writer = await here.connect()
            writer.write(GET)
            await started.wait()
            here.running.stop()
            await asyncio.sleep(0.01)
            go.set()
            reply = await until_closed(reader)
            writer.close()
            return reply

    reply = run(main())
    assert (status(reply), b"connection: close" in reply) == (204, True)


def test_signals_mean_what_they_meant_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)

    async def main() -> None:
        async with site(handle_signals=True):
            pass

    run(main())
    assert signal.getsignal(signal.SIGTERM) == before


def test_replies_carry_a_date_and_no_server_header() -> None:
    async def main() -> bytes:
        async with site() as here:
            return await here.talk(GET.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))

    reply = run(main()).lower()
    assert b"\r\ndate: " in reply
    assert b"\r\nserver:" not in reply


async def refused(here: Site) -> None:
    """Wait until nobody listens any more."""
    with contextlib.suppress(ConnectionRefusedError):
        while True:
            _, writer = await here.connect()
            writer.close()


@pytest.mark.parametrize("used", [False, True], ids=["new connection", "kept connection"])
def test_request_that_was_on_its_way_is_answered_and_ends_the_connection(used: bool) -> None:
    async def main() -> bytes:
        async with site(None) as here:
            reader, writer = await here.connect()
            if used:
                writer.write(GET)
                await reader.readuntil(b"\r\n\r\n")
            else:
                await until(lambda: here.running.connections == 1)
            here.running.stop()
            await refused(here)
            writer.write(GET)
            reply = await until_closed(reader)
            writer.close()
            return reply

    reply = run(main())
    assert (reply.count(b"200 OK"), b"connection: close" in reply) == (1, True)
