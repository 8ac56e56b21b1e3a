"""What only aiohttp's transport has: a connector that can lose a connection before its write."""

import aiohttp
import pytest
from aiohttp.connector import Connection

from tests.support.raw_server import RawServer, echo
from tests.support.transport_session import fetch, run_with
from tidegate.providers.aiohttp_transport import AiohttpTransport
from tidegate.providers.attempt import Connector
from tidegate.providers.transport import Transport, TransportError

pytestmark = pytest.mark.parametrize("loop", ["asyncio", "uvloop"])


class ClosingConnector(Connector):
    """Loses the first `losses` connections between handing them out and the write."""

    losses = 1

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[aiohttp.tracing.Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        if self.losses > 0:
            self.losses -= 1
            assert connection.transport is not None
            connection.transport.abort()
        return connection


class ClosingTransport(AiohttpTransport):
    def __init__(self, losses: int) -> None:
        super().__init__()
        self.losses = losses

    def _open(self) -> aiohttp.ClientSession:
        connector = ClosingConnector(keepalive_s=15)
        connector.losses = self.losses
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())


def test_a_post_lost_before_its_write_is_sent_once_more(loop: str) -> None:
    async def session(transport: Transport) -> None:
        assert await fetch(transport, server.url, body=b"again") == b"again"

    with RawServer(echo) as server:
        run_with(ClosingTransport(losses=1), loop, session)


def test_a_post_lost_twice_before_its_write_is_given_up_unsent(loop: str) -> None:
    async def session(transport: Transport) -> None:
        with pytest.raises(TransportError) as caught:
            await fetch(transport, server.url)
        assert (caught.value.phase, caught.value.sent, caught.value.got_bytes) == ("send", "no", False)

    with RawServer(echo) as server:
        run_with(ClosingTransport(losses=2), loop, session)
    assert server.connections <= 2
