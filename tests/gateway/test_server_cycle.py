"""What an application's failures look like to the client and in the log, and how bodies are read."""

import asyncio
import gc
import logging
import weakref
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.guarded_server import HOST, run, site, status, until, until_closed
from tidegate.gateway.cycle import client_of, describe
from tidegate.gateway.limits import Limits
from tidegate.model.errors import ClientGone, NotFound

GET = b"GET /v1/x HTTP/1.1\r\n" + HOST + b"\r\n"
LAST = GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
SECRET = "the patient is called Smith"


async def crash(scope: Any, receive: Any, send: Any) -> None:
    raise ValueError(SECRET)


async def crash_in_stream(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"data", "more_body": True})
    raise ValueError(SECRET)


async def silent(scope: Any, receive: Any, send: Any) -> None:
    return


async def refusing(scope: Any, receive: Any, send: Any) -> None:
    raise NotFound("no such thing")


def talked(app: Any, request: bytes = GET) -> bytes:
    async def main() -> bytes:
        async with site(None, app) as here:
            return await here.talk(request)

    return run(main())


def test_crash_is_a_json_500_and_the_log_names_the_place_only(caplog: pytest.LogCaptureFixture) -> None:  # V5
    reply = talked(crash)
    assert (status(reply), b"internal_error" in reply) == (500, True)
    assert SECRET.encode() not in reply
    assert SECRET not in caplog.text
    assert "ValueError at " in caplog.text
    assert "crash" in caplog.text


def test_crash_in_mid_stream_is_a_visible_cut(caplog: pytest.LogCaptureFixture) -> None:  # trap S6
    reply = talked(crash_in_stream)
    assert reply.count(b"HTTP/1.1") == 1
    assert not reply.endswith(b"0\r\n\r\n")
    assert SECRET not in caplog.text


def test_application_that_does_not_answer_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    assert status(talked(silent)) == 500
    assert "before its reply was complete" in caplog.text


def test_refusal_raised_by_the_application_is_rendered(caplog: pytest.LogCaptureFixture) -> None:
    reply = talked(refusing)
    assert (status(reply), b'"not_found"' in reply) == (404, True)
    assert caplog.records == []


def test_failing_disconnect_callback_is_logged_and_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    waiting = asyncio.Event()

    def fail() -> None:
        raise ValueError(SECRET)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        client_of(scope).on_gone(fail)
        waiting.set()
        while (await receive())["type"] != "http.disconnect":
            pass

    async def main() -> None:
        async with site(None, app) as here:
            _, writer = await here.connect()
            writer.write(GET)
            await waiting.wait()
            writer.close()
            await until(lambda: here.running.connections == 0)

    run(main())
    assert "a disconnect callback failed: ValueError at" in caplog.text
    assert SECRET not in caplog.text


def test_failing_application_is_not_told_that_its_client_left() -> None:
    called: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        client_of(scope).on_gone(lambda: called.append(True))
        raise NotFound("no such thing")

    assert (status(talked(app)), called) == (404, [])


@dataclass
class Call:
    client: Any


def test_an_answered_call_leaves_nothing_to_the_garbage_collector() -> None:
    """Its client leads to the callback, that to the call, and the call to its client."""
    seen: list[weakref.ref[Call]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        call = Call(client_of(scope))
        call.client.on_gone(lambda: call)
        seen.append(weakref.ref(call))
        await call.client.reply(200, [], b"answer")

    gc.disable()
    try:
        assert status(talked(app, LAST)) == 200
        assert [call() for call in seen] == [None]
    finally:
        gc.enable()


def test_reply_to_a_connection_that_is_just_lost_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        scope["extensions"]["tidegate"].link.transport.abort()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        await receive()
        await send({"type": "http.response.body", "body": b"late"})

    async def bare(scope: Any, receive: Any, send: Any) -> None:
        scope["extensions"]["tidegate"].link.transport.abort()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(0.01)

    assert (talked(app), talked(bare)) == (b"", b"")
    assert caplog.records == []


def test_a_whole_conversation_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:  # trap V5, case 41
    async def main() -> None:
        async with site(Limits(linger_s=5.0)) as here:
            for raw in (GET.replace(b"x H", b"x?key=tg_secret H"), b"junk tg_secret\r\n\r\n"):
                reader, writer = await here.connect()
                writer.write(raw)
                await reader.readuntil(b"\r\n\r\n")
                writer.close()

    with caplog.at_level(logging.DEBUG):
        logging.getLogger("asyncio").setLevel(logging.WARNING)
        run(main())
    assert "tg_secret" not in caplog.text


def test_receive_says_disconnect_after_the_body_and_the_end() -> None:
    kinds: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        kinds.append((await receive())["type"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})
        kinds.append((await receive())["type"])

    async def main() -> None:
        async with site(None, app) as here:
            reader, writer = await here.connect()
            writer.write(GET)
            await reader.readuntil(b"\r\n\r\n")
            await until(lambda: here.running.calls == 0)
            writer.close()

    run(main())
    assert kinds == ["http.request", "http.disconnect"]


def test_body_in_one_read_is_handed_on_once() -> None:
    got: list[bytes] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        client = client_of(scope)
        got.extend((await client.body(), await client.body()))
        await client.reply(200, [], b"")

    async def main() -> bytes:
        async with site(None, app) as here:
            return await here.talk(b"POST / HTTP/1.0\r\n" + HOST + b"content-length: 3\r\n\r\n", b"a", b"bc")

    assert (status(run(main())), got) == (200, [b"abc", b""])


def test_body_that_never_became_whole_says_that_the_client_left() -> None:
    got: list[type[BaseException]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await client_of(scope).body()
        except ClientGone as error:
            got.append(type(error))

    async def main() -> None:
        async with site(None, app) as here:
            _, writer = await here.connect()
            writer.write(b"POST / HTTP/1.1\r\n" + HOST + b"content-length: 3\r\n\r\na")
            await until(lambda: here.running.calls == 1)
            writer.close()
            await until(lambda: here.running.calls == 0)

    run(main())
    assert got == [ClientGone]


@pytest.mark.parametrize(
    ("name", "value"), [(b"x-a", b"1\r\nx-b: 2"), (b"x-a\r\nx-b", b"1"), (b"x-a", b"1\n"), (b"x-a", b"\0")]
)
def test_header_that_would_break_the_head_is_never_sent(name: bytes, value: bytes) -> None:  # case 14
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await client_of(scope).reply(200, [(name, value)], b"")

    reply = talked(app)
    assert (status(reply), b"x-b" in reply) == (500, False)


def test_whole_reply_states_its_length_and_a_head_reply_has_no_body() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await client_of(scope).reply(200, [], b"a" * 100_000)

    async def main() -> tuple[bytes, bytes]:
        async with site(None, app) as here:
            ask = GET.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
            return await here.talk(ask), await here.talk(ask.replace(b"GET", b"HEAD"))

    whole, head = run(main())
    assert b"content-length: 100000\r\n" in whole
    assert whole.endswith(b"\r\n\r\n" + b"a" * 100_000)
    assert b"content-length: 100000\r\n" in head
    assert head.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("code", [204, 304])
def test_reply_that_has_no_body_is_given_none(code: int) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await client_of(scope).reply(code, [], b"what follows would be read as another reply")

    async def main() -> bytes:
        async with site(None, app) as here:
            return await here.talk(GET.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))

    got = run(main())
    assert (status(got), got[-4:], b"content-length" in got) == (code, b"\r\n\r\n", False)


def test_second_head_is_never_sent() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        client = client_of(scope)
        await client.start(200, [])
        await client.write(b"data", more=True)
        await client.reply(500, [], b"")

    reply = talked(app)
    assert (reply.count(b"HTTP/1.1"), reply.endswith(b"0\r\n\r\n")) == (1, False)


@pytest.mark.parametrize("wrong", [b"ab", b"abcd"])
def test_body_of_another_length_than_its_head_says_is_cut(wrong: bytes) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        client = client_of(scope)
        await client.start(200, [(b"content-length", b"3")])
        await client.write(wrong, more=False)

    assert b"ab" not in talked(app)


def test_describe_leaves_the_message_out() -> None:
    with pytest.raises(KeyError) as caught:
        dict[str, int]()[SECRET]
    assert SECRET not in describe(caught.value)
    assert describe(caught.value).startswith("KeyError at ")


def test_cancelled_application_is_503_and_no_traceback(caplog: pytest.LogCaptureFixture) -> None:  # case F19
    started = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        started.set()
        await asyncio.Event().wait()

    async def main() -> bytes:
        async with site(None, app) as here:
            reader, writer = await here.connect()
            writer.write(GET)
            await started.wait()
            here.running.stop()
            here.running.stop()
            reply = await until_closed(reader)
            writer.close()
            return reply

    reply = run(main())
    assert (status(reply), b"retry-after: 1\r\n" in reply) == (503, True)
    assert caplog.records == []
