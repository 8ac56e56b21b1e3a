"""uvicorn's httptools protocol with its holes closed: nothing a client sends is endless or ambiguous.

It rests on internals of uvicorn 0.54; `tests/gateway/test_server_pin.py` says which.
"""

import asyncio
import math
from collections.abc import Callable
from typing import Any, ClassVar, NoReturn

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.server import ServerState

from tidegate.gateway.connection import BODY, HEAD, IDLE, RUNNING, SHUT, Connection
from tidegate.gateway.cycle import Cycle
from tidegate.gateway.head import CHUNKED, Headers, check_head, decode_path, too_large
from tidegate.gateway.limits import Gate, Limits
from tidegate.model.errors import (
    BadRequest,
    HeadersTooLarge,
    RequestTimeout,
    TidegateError,
    Unavailable,
    UpgradeRefused,
    UriTooLong,
)

Render = Callable[[TidegateError, str, Headers], tuple[int, Headers, bytes]]
"""(error, path or "" before it is known, headers seen so far) -> status, headers, body of the refusal.

It is called for every refusal before the application ran, so it is also where they are counted."""

_CHUNK_FRAME_BYTES = 16
_ASGI = {"version": "3.0", "spec_version": "2.3"}


class _Pipelined(Exception):  # noqa: N818 - a signal through the parser, never seen outside
    """A second request came while the first was being answered."""


class Guarded(Connection):
    """Reads requests from one connection. Use `guarded` to get a class that carries its limits."""

    render: ClassVar[Render]

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.url = b""
        self.headers: Headers = []
        self._head_size = 0
        self._body_size = 0
        self._chunks = 0
        self._chunked = False
        self._refusal: Exception | None = None
        self._unstarted: Cycle | None = None

    # --- bytes in

    def data_received(self, data: bytes) -> None:
        """Feed the parser; start the application only when all of `data` was in order."""
        self._raw += len(data)
        if self._phase == SHUT:
            if self._raw - self._window_raw > self.limits.body_bytes:
                self.abort()
            return
        if self._phase == RUNNING:
            if data.strip(b"\r\n"):
                self.abort()
            return
        try:
            self.parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as exc:
            self._parse_failed(exc)
        else:
            if self._chunked or self._phase != RUNNING:
                self._watch()
        cycle = self._unstarted
        if cycle is not None:
            self._unstarted = None
            if self._phase == SHUT:
                cycle.release()
            else:
                self._start(cycle)

    def _start(self, cycle: Cycle) -> None:
        cycle.task = task = self.loop.create_task(cycle.run(self.app))
        self.tasks.add(task)  # the cycle takes it out

    def _parse_failed(self, exc: Exception) -> None:
        refusal, self._refusal = self._refusal, None
        if isinstance(refusal, TidegateError):
            self.refuse(refusal)
        elif refusal is not None:
            self.abort()
        else:
            # The parser's reasons are constant texts; they never quote the request.
            self.refuse(BadRequest(f"Not a request that can be read: {exc}"))

    def _watch(self) -> None:
        """Check what is counted in bytes, and set the clock for what is not yet whole."""
        limits = self.limits
        if self._chunked:
            extra = self._raw - self._head_size - self._body_size - _CHUNK_FRAME_BYTES * (self._chunks + 1)
            if extra > limits.chunk_extra_bytes:
                self.refuse(
                    BadRequest(
                        f"Chunk extensions and trailers are over {limits.chunk_extra_bytes} bytes; send none"
                    )
                )
                return
        if self._phase == RUNNING or self._phase == self._watched == BODY:
            return
        if self._phase == BODY:
            self._watched = BODY
            self._body_until = self.loop.time() + limits.body_timeout_s
            self._window_raw = self._raw
            self._expire_in(min(limits.body_window_s, limits.body_timeout_s))
        elif self._raw > limits.head_bytes:
            self.refuse(_head_too_large(limits))
        elif self._watched != HEAD:
            self._watched = HEAD
            self._expire_in(limits.head_timeout_s)

    # --- the parser's callbacks

    def on_message_begin(self) -> None:
        """Begin a request; a second one beside a running one would hide its client's disconnect."""
        if self._phase not in (IDLE, HEAD):
            self._stop(_Pipelined())
        self._phase = HEAD
        self._chunked = False

    def on_url(self, url: bytes) -> None:
        """Collect the target, up to its limit."""
        self.url += url
        if len(self.url) > self.limits.url_bytes:
            self._stop(UriTooLong(f"The path and query are over {self.limits.url_bytes} bytes"))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect a header, up to their limit; a trailer is none, it would arrive behind every check."""
        if self._phase != HEAD:
            return
        headers = self.headers
        if len(headers) >= self.limits.header_count:
            self._stop(HeadersTooLarge(f"More than {self.limits.header_count} headers; send fewer"))
        headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Check the head and make its cycle; `data_received` starts it."""
        parser = self.parser
        method, version = parser.get_method(), parser.get_http_version()
        try:
            if self._raw > self.limits.head_bytes and self._measure_head() > self.limits.head_bytes:
                raise _head_too_large(self.limits)
            length, expects = check_head(method, version, self.headers, self.limits)
            if self.gate.overloaded and method == b"POST":
                raise Unavailable(
                    "Tidegate is given more calls than it can carry; try again", retry_after_s=1
                )
            if parser.should_upgrade():
                raise UpgradeRefused(
                    "No protocol upgrades here, nor WebSockets: what goes over them cannot be metered; "
                    "make the client use plain HTTP/1.1"
                )
            if b"#" in self.url:
                raise BadRequest("The target holds a fragment; leave out everything from `#`")
            raw_path, _, query = self.url.partition(b"?")
            path = decode_path(raw_path)
            self._keep_alive = version != "1.0" and parser.should_keep_alive() and not self.gate.draining
            cycle = self._new_cycle(method, version, path, raw_path, query)
            cycle.waiting_for_100_continue = expects
            if length > 0:
                cycle.hold(length)
        except TidegateError as error:
            self._stop(error)
        if length == CHUNKED:
            self._measure_head()
            self._chunked, self._body_size, self._chunks = True, 0, 0
        self.cycle = self._unstarted = cycle
        self._phase = BODY

    def _new_cycle(self, method: bytes, version: str, path: str, raw_path: bytes, query: bytes) -> Cycle:
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": _ASGI,
            "http_version": version,
            "method": method.decode("ascii"),
            "scheme": self.scheme,
            "path": path,
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": self.headers,
            "client": self.client,
            "server": self.server,
        }
        cycle = Cycle(self, scope)
        scope["extensions"] = {"tidegate": cycle}
        return cycle

    def on_chunk_header(self) -> None:
        """Count a chunk: each may cost some bytes of framing."""
        self._chunks += 1

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body; a chunked one is counted here, a declared one was judged."""
        cycle = self.cycle
        assert cycle is not None, "a body follows its head"
        if self._chunked:
            self._body_size += len(body)
            try:
                if self._body_size > self.limits.body_bytes:
                    raise too_large(self.limits)
                cycle.hold(len(body))
            except TidegateError as error:
                self._stop(error)
        cycle.add(body)

    def on_message_complete(self) -> None:
        """Hand the whole body over; no clock runs while the application works."""
        cycle = self.cycle
        assert cycle is not None, "a message ends after its head"
        if not cycle.response_started:
            cycle.keep_alive = self._keep_alive
        cycle.complete_body()
        self._phase = RUNNING
        self._deadline = math.inf

    def on_response_complete(self) -> None:
        """Wait for the next request; called by the cycle when it has sent its last byte."""
        self.server_state.total_requests += 1
        if self._phase != RUNNING:
            return
        self._phase = self._watched = IDLE
        self._raw = 0
        self.url, self.headers = b"", []
        self._expire_in(self.limits.keep_alive_s)

    def _stop(self, refusal: Exception) -> NoReturn:
        self._refusal = refusal
        raise refusal

    def _measure_head(self) -> int:
        fields = sum(len(name) + len(value) + 4 for name, value in self.headers)
        self._head_size = len(self.parser.get_method()) + len(self.url) + fields + 14
        return self._head_size

    # --- refusals

    def send_400_response(self, msg: str) -> None:
        """Replace uvicorn's plain text, which it would also write into a running stream."""
        self.refuse(BadRequest(msg))

    def refuse(self, error: TidegateError) -> None:
        """Answer `error` and close. Into a reply that has started nothing is written: it is cut."""
        cycle = self.cycle
        if self._phase == SHUT or (self._busy() and cycle is not None and cycle.response_started):
            self.abort()
            return
        if cycle is not None:
            cycle.leave()
        self.transport.write(self._refusal_bytes(error))
        if self._phase == RUNNING or isinstance(error, RequestTimeout):
            self._close()
        else:
            self._close_slowly()

    def _refusal_bytes(self, error: TidegateError) -> bytes:
        try:
            path = decode_path(self.url.partition(b"?")[0])
        except BadRequest:
            path = ""
        status, headers, body = type(self).render(error, path, self.headers)
        lines = [STATUS_LINE[status]]
        for name, value in (*self.server_state.default_headers, *headers):
            if name not in (b"content-length", b"connection"):
                lines += (name, b": ", value, b"\r\n")
        lines.append(b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body))
        if self.parser.get_method() != b"HEAD":
            lines.append(body)
        return b"".join(lines)


def guarded(limits: Limits, render: Render, gate: Gate | None = None) -> type[Guarded]:
    """Return the protocol class of one server: its limits, its words for refusals, its shared counters."""
    members = {"limits": limits, "render": staticmethod(render), "gate": gate or Gate(limits)}
    return type("GuardedConnection", (Guarded,), members)


def _head_too_large(limits: Limits) -> HeadersTooLarge:
    return HeadersTooLarge(f"The request's head is over {limits.head_bytes} bytes; send smaller headers")
