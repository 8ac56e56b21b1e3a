"""The scripted transport keeps the promises of the seam that the exchange's tests rest on."""

import asyncio

import pytest

from tests.support.scripted_transport import ScriptedReply, ScriptedTransport
from tidegate.providers.aiohttp_transport import AiohttpTransport
from tidegate.providers.transport import PhaseLimits, ReplyTooLargeError, Transport, TransportError

LIMITS = PhaseLimits(connect_s=1, first_byte_s=1, idle_s=1)


def seam(transport: Transport) -> Transport:
    return transport


def test_both_transports_have_the_shape_of_the_seam() -> None:
    assert seam(ScriptedTransport([])) is not None
    assert seam(AiohttpTransport()) is not None


def test_a_script_answers_in_order_and_remembers_what_it_was_sent() -> None:
    waited = []

    async def wait() -> None:
        waited.append(True)

    broken = TransportError("cut", sent="maybe", got_bytes=True, phase="read")
    refused = TransportError("refused", sent="no", got_bytes=False, phase="connect")
    transport = ScriptedTransport(
        [
            ScriptedReply(headers={"X-Id": "1"}, body=[b"a", wait, b"b"]),
            ScriptedReply(body=[b"a", broken]),
            ScriptedReply(error=refused),
        ]
    )

    async def main() -> None:
        async with transport.post("http://p/1", headers={"k": "v"}, body=b"one", limits=LIMITS) as reply:
            assert reply.headers["x-id"] == "1"
            assert await reply.read(10) == b"ab"
        async with transport.post("http://p/2", headers={}, body=b"", limits=LIMITS) as reply:
            with pytest.raises(TransportError) as caught:
                await reply.read(10)
            assert caught.value is broken
        with pytest.raises(TransportError) as caught:
            async with transport.get("http://p/3", headers={}, limits=LIMITS):
                pass
        assert caught.value is refused

    asyncio.run(main())
    assert waited == [True]
    assert [(call.method, call.url, call.body) for call in transport.sent] == [
        ("POST", "http://p/1", b"one"),
        ("POST", "http://p/2", b""),
        ("GET", "http://p/3", b""),
    ]
    assert [reply.ended for reply in transport.replies] == [True, False]


def test_a_function_may_answer_and_a_reply_may_be_aborted() -> None:
    transport = ScriptedTransport(lambda call: ScriptedReply(body=[call.body, b"more"]))

    async def main() -> None:
        async with transport.post("http://p", headers={}, body=b"echo", limits=LIMITS) as reply:
            pieces = reply.chunks()
            assert await anext(pieces) == b"echo"
            reply.abort()
            with pytest.raises(TransportError):
                await anext(pieces)
        async with transport.post("http://p", headers={}, body=b"long", limits=LIMITS) as reply:
            with pytest.raises(ReplyTooLargeError):
                await reply.read(3)

    asyncio.run(main())
    assert transport.replies[0].aborted
