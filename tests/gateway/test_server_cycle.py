"""What an application's failures look like to the client and in the log, and how bodies are read."""

import asyncio
import logging
from typing import Any

import pytest

from tests.support.guarded_server import HOST, run, site, status, until, until_closed
from tidegate.gateway.cycle import client_of, describe, read_body
from tidegate.gateway.limits import Limits
from tidegate.model.errors import ClientGone, NotFound, TooLarge

GET = b"GET /v1/x HTTP/1.1\r\n" + HOST + b"\r\n"
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


def talked(app: Any) -> bytes:
    async def main() -> bytes:
        async with site(None, app) as here:
            return await here.talk(GET)

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
        client_of(scope).on_disconnect(fail)
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
        client_of(scope).on_disconnect(lambda: called.append(True))
        raise NotFound("no such thing")

    assert (status(talked(app)), called) == (404, [])


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


def feeding(*messages: dict[str, Any]) -> Any:
    left = list(messages)

    async def receive() -> dict[str, Any]:
        return left.pop(0)

    return receive


def part(body: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def test_read_body_hands_on_a_whole_body_without_a_copy() -> None:
    body = b"abcd" * 100
    assert asyncio.run(read_body(feeding(part(body, more=False)), 1_000)) is body


def test_read_body_joins_pieces_of_other_servers() -> None:
    pieces = (part(b"ab", more=True), part(b"", more=True), part(b"cd", more=False))
    assert asyncio.run(read_body(feeding(*pieces), 4)) == b"abcd"


def test_read_body_refuses_at_the_limit() -> None:
    with pytest.raises(TooLarge):
        asyncio.run(read_body(feeding(part(b"ab", more=True), part(b"cd", more=True)), 3))


def test_read_body_says_that_the_client_left() -> None:
    with pytest.raises(ClientGone):
        asyncio.run(read_body(feeding(part(b"ab", more=True), {"type": "http.disconnect"}), 3))


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
