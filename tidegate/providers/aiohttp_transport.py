"""Outbound HTTP on aiohttp: one pool for the process, no cookies, redirects or proxies of the environment."""

import asyncio
import io
import ssl
from collections.abc import Mapping
from functools import lru_cache
from types import TracebackType

import aiohttp
from multidict import CIMultiDict

from tidegate.providers.aiohttp_failure import connect_failure, reply_failure
from tidegate.providers.aiohttp_reply import AiohttpReply
from tidegate.providers.attempt import CURRENT, SMALL_BODY_BYTES, Attempt, Connector
from tidegate.providers.transport import PhaseLimits, TransportError

READ_BUFFER_BYTES = 64 * 1024
MAX_HEAD_FIELD_BYTES = 16 * 1024
MAX_HEAD_FIELDS = 128


class AiohttpTransport:
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
        self._inflated_limit_bytes = inflated_limit_bytes
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    def post(self, url: str, *, headers: Mapping[str, str], body: bytes, limits: PhaseLimits) -> "Call":
        """See Transport.post."""
        return self._call("POST", url, headers, body, limits)

    def get(self, url: str, *, headers: Mapping[str, str], limits: PhaseLimits) -> "Call":
        """See Transport.get."""
        return self._call("GET", url, headers, None, limits)

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, limits: PhaseLimits
    ) -> "Call":
        """See Transport.send."""
        return self._call(method, url, headers, body, limits)

    async def close(self) -> None:
        """See Transport.close."""
        self._closed = True
        if self._session is not None:
            await self._session.close()

    def _call(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, limits: PhaseLimits
    ) -> "Call":
        if self._closed:
            raise RuntimeError("the transport is closed")
        if self._session is None:
            self._session = self._open()
        return Call(
            self._session,
            method=method,
            url=url,
            headers=headers,
            body=body,
            limits=limits,
            inflated_limit_bytes=self._inflated_limit_bytes,
        )

    def _open(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=Connector(
                limit_per_host=self._limit_per_host, keepalive_s=self._keepalive_s, tls=self._tls
            ),
            auto_decompress=False,
            skip_auto_headers=("Accept-Encoding", "User-Agent", "Accept"),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            read_bufsize=READ_BUFFER_BYTES,
            max_line_size=MAX_HEAD_FIELD_BYTES,
            max_field_size=MAX_HEAD_FIELD_BYTES,
            max_headers=MAX_HEAD_FIELDS,
        )


@lru_cache(maxsize=64)
def _timeouts(connect_s: float) -> aiohttp.ClientTimeout:
    """Bound the connecting alone: the first byte has a timer of the attempt, idle and total one of the reply.

    aiohttp's `sock_read` runs from the end of the upload, so that an idle limit below the first-byte limit
    would cut that short, starts again with each 1xx, and costs a timer per piece.
    """
    return aiohttp.ClientTimeout(total=None, connect=connect_s, sock_connect=connect_s, sock_read=None)


class Call:
    """One request; entering it gives the reply, leaving it gives the connection back or closes it."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        limits: PhaseLimits,
        inflated_limit_bytes: int,
    ) -> None:
        self._session = session
        self._method = method
        self._url = url
        self._headers = CIMultiDict(headers)
        self._headers["accept-encoding"] = "identity"
        self._body = body
        self._limits = limits
        self._inflated_limit_bytes = inflated_limit_bytes
        self._reply: AiohttpReply | None = None

    async def __aenter__(self) -> AiohttpReply:
        limits = self._limits
        clock = asyncio.get_running_loop().time
        started_s = clock()
        total_s = limits.total_s
        head_s = started_s + (limits.first_byte_s if total_s is None else min(limits.first_byte_s, total_s))
        outcome = await self._attempt(head_s)
        if isinstance(outcome, TransportError) and outcome.phase == "send" and outcome.sent == "no":
            # a pooled connection that its server closed under us; aiohttp repeats only idempotent calls
            outcome = await self._attempt(head_s) if clock() < head_s else outcome
        if isinstance(outcome, TransportError):
            raise outcome
        response, attempt = outcome
        deadline_s = None if total_s is None else started_s + total_s
        reply = AiohttpReply(response, attempt, url=self._url, limits=limits, deadline_s=deadline_s)
        try:
            reply.inflate(self._inflated_limit_bytes)
        except TransportError:
            reply.abort()
            raise
        self._reply = reply
        return reply

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reply is not None:
            self._reply.leave()

    async def _attempt(self, deadline_s: float) -> tuple[aiohttp.ClientResponse, Attempt] | TransportError:
        """Send once. A failure is returned, not raised: aiohttp's own names the headers, keys among them."""
        attempt = Attempt(0 if self._body is None else len(self._body))
        token = CURRENT.set(attempt)
        timer = asyncio.get_running_loop().call_at(deadline_s, attempt.expire)
        error: Exception
        try:
            response = await self._request(attempt)
            if not attempt.expired:
                return response, attempt
            response.close()
            error = TimeoutError()
        except (aiohttp.ClientError, OSError, ValueError) as caught:
            error = TimeoutError() if attempt.expired else caught
        except BaseException:
            attempt.drop()
            raise
        finally:
            timer.cancel()
            CURRENT.reset(token)
        attempt.drop()
        if attempt.protocol is None:
            return connect_failure(error, self._url)
        return reply_failure(error, self._url, sent=attempt.sent, uploaded=attempt.uploaded)

    async def _request(self, attempt: Attempt) -> aiohttp.ClientResponse:
        body = self._body
        return await self._session.request(
            self._method,
            self._url,
            headers=self._headers,
            data=io.BytesIO(body) if body is not None and len(body) > SMALL_BODY_BYTES else body,
            allow_redirects=False,
            timeout=_timeouts(min(self._limits.connect_s, self._limits.first_byte_s)),
            upload_tracker=attempt.upload,
        )
