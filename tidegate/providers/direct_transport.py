"""Outbound HTTP/1.1 by our own client: no cookies, redirects or proxies, and half of aiohttp's CPU a call."""

import asyncio
import ssl
from collections.abc import Mapping
from types import TracebackType

from tidegate.providers import direct_failure as words
from tidegate.providers.direct_pool import Pool
from tidegate.providers.direct_reply import DirectReply
from tidegate.providers.direct_request import Origin, Target, request_head, target
from tidegate.providers.transport import PhaseLimits, TransportError


class DirectTransport:
    """A pool of connections to every provider; it binds to the event loop of its first call.

    `limit_per_host`: open connections to one host and port. `keepalive_s`: how long an idle connection is
    kept; below the provider's own limit. `tls`: a context for a private CA, else the system's.
    `inflated_limit_bytes`: the most that one compressed reply may unfold to.
    """

    def __init__(
        self,
        *,
        limit_per_host: int = 4096,
        keepalive_s: float = 15.0,
        tls: ssl.SSLContext | None = None,
        inflated_limit_bytes: int = 64 * 1024 * 1024,
    ) -> None:
        self._limit_per_host = limit_per_host
        self._keepalive_s = keepalive_s
        self._tls = tls
        self.inflated_limit_bytes = inflated_limit_bytes
        self._pools: dict[Origin, Pool] = {}
        self.closed = False

    def post(self, url: str, *, headers: Mapping[str, str], body: bytes, limits: PhaseLimits) -> "Call":
        """See Transport.post."""
        if self.closed:
            raise RuntimeError("the transport is closed")
        return Call(self, b"POST", url, headers, body, limits)

    def get(self, url: str, *, headers: Mapping[str, str], limits: PhaseLimits) -> "Call":
        """See Transport.get."""
        if self.closed:
            raise RuntimeError("the transport is closed")
        return Call(self, b"GET", url, headers, None, limits)

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, limits: PhaseLimits
    ) -> "Call":
        """See Transport.send."""
        if self.closed:
            raise RuntimeError("the transport is closed")
        return Call(self, method.encode("ascii"), url, headers, body, limits)

    async def close(self) -> None:
        """See Transport.close."""
        self.closed = True
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            await pool.close()

    def pool(self, origin: Origin) -> Pool:
        """Return the connections to one origin."""
        pool = self._pools.get(origin)
        if pool is None:
            if self.closed:
                raise RuntimeError("the transport is closed")
            pool = self._pools[origin] = Pool(
                origin,
                limit=self._limit_per_host,
                keepalive_s=self._keepalive_s,
                tls=self._tls,
                loop=asyncio.get_running_loop(),
            )
        return pool


class Call:
    """One request; entering it gives the reply, leaving it gives the connection back or closes it."""

    __slots__ = ("_body", "_headers", "_limits", "_method", "_reply", "_transport", "_url")

    def __init__(
        self,
        transport: DirectTransport,
        method: bytes,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        limits: PhaseLimits,
    ) -> None:
        self._transport = transport
        self._method = method
        self._url = url
        self._headers = headers
        self._body = body
        self._limits = limits
        self._reply: DirectReply | None = None

    async def __aenter__(self) -> DirectReply:
        limits, total_s = self._limits, self._limits.total_s
        clock = asyncio.get_running_loop().time
        started_s = clock()
        head_s = started_s + (limits.first_byte_s if total_s is None else min(limits.first_byte_s, total_s))
        request = self._request()
        if isinstance(request, TransportError):
            raise request
        to, head = request
        deadline_s = None if total_s is None else started_s + total_s
        outcome = await self._attempt(to, head, started_s, head_s, deadline_s)
        if isinstance(outcome, TransportError) and outcome.phase == "send" and outcome.sent == "no":
            # a connection that its server closed before the request was written
            now_s = clock()
            if now_s < head_s and not self._transport.closed:
                outcome = await self._attempt(to, head, now_s, head_s, deadline_s)
        if isinstance(outcome, TransportError):
            raise outcome
        try:
            outcome.inflate(self._transport.inflated_limit_bytes)
        except TransportError:
            outcome.abort()
            raise
        self._reply = outcome
        return outcome

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reply is not None:
            self._reply.leave()

    def _request(self) -> tuple[Target, bytes] | TransportError:
        """Give the destination and the head. A failure is returned, not raised: its cause names a header."""
        try:
            to = target(self._url)
        except ValueError:
            return words.unusable(self._url)
        body = self._body
        try:
            return to, request_head(self._method, to, self._headers, None if body is None else len(body))
        except ValueError:
            return words.bad_header(self._url)

    async def _attempt(
        self, to: Target, head: bytes, now_s: float, head_s: float, deadline_s: float | None
    ) -> DirectReply | TransportError:
        """Send once."""
        pool = self._transport.pool(to.origin)
        connection = pool.take()
        if connection is None:
            made = await pool.connection(min(now_s + self._limits.connect_s, head_s))
            if isinstance(made, TransportError):
                return made
            connection = made
        reply = DirectReply(connection, url=self._url, limits=self._limits, deadline_s=deadline_s)
        if self._method == b"HEAD":
            reply.expect_no_body()
        if not connection.send(head, self._body or b"", reply):
            return words.closed_before_write(self._url)
        connection.watch(head_s)
        try:
            failure = await reply.head()
        except BaseException:
            reply.leave()
            raise
        if failure is not None:
            reply.leave()
            return failure
        return reply
