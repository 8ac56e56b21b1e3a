"""One request and its reply on a guarded connection: the exchange's client, and its ASGI view."""

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, cast

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.server import ServerState

from tidegate.exchange.call import Headers
from tidegate.gateway.limits import Gate
from tidegate.model.errors import ClientGone, TidegateError, Unavailable

log = logging.getLogger("tidegate.gateway")

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

_JOINED_BYTES = 65_536
"""Up to here a head and its body are one write."""
_BODILESS = (204, 304)
_CHUNKED = -1
_FAILED = "Tidegate failed to answer this call; its log says where"


class Link(Protocol):
    """What a cycle needs of its connection."""

    transport: asyncio.Transport
    flow: FlowControl
    tasks: set[asyncio.Task[None]]
    loop: asyncio.AbstractEventLoop
    server_state: ServerState

    @property
    def gate(self) -> Gate:
        """What all connections share."""
        ...

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        ...

    def close_after_reply(self) -> None:
        """Close once everything written has left."""
        ...

    def refuse(self, error: TidegateError) -> None:
        """Answer `error` and close."""
        ...

    def abort(self) -> None:
        """Drop the connection at once."""
        ...


class Cycle:
    """A request, its body delivered whole, and its reply; failures log no content and write no text.

    The body arrives in one piece because every reader needs all of it; that makes one copy at most, and
    none where it came in one read. What it holds of the shared budget is given back when the application
    returns, for the body lives as long as the call.
    """

    __slots__ = (
        "_body",
        "_callback",
        "_first_piece",
        "_head",
        "_held_bytes",
        "_is_head",
        "_left",
        "_waiter",
        "delivered",
        "disconnected",
        "keep_alive",
        "link",
        "more_body",
        "response_complete",
        "response_started",
        "scope",
        "task",
        "waiting_for_100_continue",
    )

    def __init__(self, link: Link, scope: dict[str, Any]) -> None:
        self.link = link
        self.scope = scope
        self.task: asyncio.Task[None] | None = None
        self.disconnected = self.response_started = self.response_complete = False
        self.delivered = self.keep_alive = self.waiting_for_100_continue = False
        self.more_body = True
        self._is_head = scope["method"] == "HEAD"
        self._first_piece = b""
        self._body: bytearray | None = None
        self._held_bytes = 0
        self._waiter: asyncio.Future[None] | None = None
        self._callback: Callable[[], object] | None = None
        self._head: bytes | None = None
        self._left = 0

    # --- the client's side: bytes of the body, and its leaving

    def hold(self, size_bytes: int) -> None:
        """Take `size_bytes` of the budget for bodies. Raises Unavailable (trap V2, case F23)."""
        gate = self.link.gate
        if size_bytes > gate.body_bytes_left:
            raise Unavailable(
                "Too many request bodies are in flight; send the call again in a moment", retry_after_s=2
            )
        gate.body_bytes_left -= size_bytes
        self._held_bytes += size_bytes

    def release(self) -> None:
        """Give back what the body held; a repeat does nothing."""
        self.link.gate.body_bytes_left += self._held_bytes
        self._held_bytes = 0

    def add(self, piece: bytes) -> None:
        """Keep one piece of the body."""
        if self._body is not None:
            self._body += piece
        elif self._first_piece:
            self._body = bytearray(self._first_piece)
            self._body += piece
        else:
            self._first_piece = piece

    def complete_body(self) -> None:
        """The body is whole."""
        self.more_body = False
        self._wake()

    def leave(self) -> None:
        """The client is gone, or as good as gone: wake and tell whoever waits. Repeats do nothing."""
        if self.response_complete or self.disconnected:
            return
        self.disconnected = True
        self._head = None
        self._wake()
        callback, self._callback = self._callback, None
        if callback is not None:
            try:
                callback()
            except Exception as exc:  # noqa: BLE001 - a task boundary: the loop called us
                log.error("a disconnect callback failed: %s", describe(exc))  # noqa: TRY400 - see describe

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def _wait(self) -> None:
        self._waiter = self.link.loop.create_future()
        await self._waiter

    # --- the application's side: the exchange's client

    @property
    def gone(self) -> bool:
        """The connection is lost, or the request was refused while the application waited for its body."""
        return self.disconnected

    @property
    def write_paused(self) -> bool:
        """The client reads more slowly than we send; writing waits until it has caught up (trap S13)."""
        return self.link.flow.write_paused

    def on_gone(self, callback: Callable[[], object]) -> None:
        """Call `callback` once, synchronously, when the client leaves before the reply is complete.

        If it has left already, it is called at once. A later callback replaces an earlier one. It runs
        inside the event loop's own callback: it must not await, and what it raises is logged (trap S14).
        """
        if not self.disconnected:
            self._callback = callback
        elif not self.response_complete:
            callback()

    async def body(self) -> bytes:
        """Give the whole body, once. Raises ClientGone if it never became whole."""
        if self.waiting_for_100_continue and not self.link.transport.is_closing():
            self.link.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.waiting_for_100_continue = False
        while self.more_body and not self.disconnected:
            await self._wait()
        if self.disconnected:
            raise ClientGone("The client left before its request was whole")
        self.delivered = True
        whole = self._first_piece if self._body is None else bytes(self._body)
        self._first_piece, self._body = b"", None
        return whole

    async def reply(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole reply, in one write where it is not large; its length is added here."""
        if self.link.flow.write_paused and not self.disconnected:
            await self.link.flow.drain()
        if self.disconnected:
            return
        bodiless = status in _BODILESS
        head = self._head_bytes(status, headers, b"" if bodiless else b"content-length: %d\r\n" % len(body))
        self.response_started = True
        if bodiless or self._is_head or not body:
            self.link.transport.write(head)
        elif len(body) <= _JOINED_BYTES:
            self.link.transport.write(head + body)
        else:
            self.link.transport.writelines((head, body))
        self._complete()

    async def start(self, status: int, headers: Headers) -> None:
        """Begin a reply that is written in pieces.

        The head leaves with the first of them, or at the end of the loop's turn.
        """
        if self.link.flow.write_paused and not self.disconnected:
            await self.link.flow.drain()
        if self.disconnected:
            return
        more = b""
        lengths = [value for name, value in headers if name == b"content-length"]
        if lengths:
            self._left = 0 if self._is_head else int(lengths[0])
        elif not self._is_head and status not in _BODILESS:
            self._left = _CHUNKED
            more = b"transfer-encoding: chunked\r\n"
        self._head = self._head_bytes(status, headers, more)
        self.response_started = True
        self.link.loop.call_soon(self._flush)

    async def write(self, data: bytes, *, more: bool) -> None:
        """Send a piece of the body; waits while the client does not read (trap S13). `more=False` ends it."""
        if self.link.flow.write_paused and not self.disconnected:
            await self.link.flow.drain()
        if self.disconnected:
            return
        if self._left != _CHUNKED:
            data = self._counted(data, more=more)
        elif not more:
            data = b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if data else b"0\r\n\r\n"
        elif data:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        if len(data) > _JOINED_BYTES:
            self._flush()
        elif self._head is not None:
            data, self._head = self._head + data, None
        if data:
            self.link.transport.write(data)
        if not more:
            self._complete()

    def _counted(self, data: bytes, *, more: bool) -> bytes:
        """A piece of a body whose length the head says; nothing of one that answers HEAD."""
        if self.response_complete or not self.response_started:
            raise RuntimeError("a body is written after the head and before the end of its reply")
        if self._is_head:
            return b""
        self._left -= len(data)
        if self._left < 0 or not (more or self._left == 0):
            raise RuntimeError("the body is not as long as its content-length says")
        return data

    def _head_bytes(self, status: int, headers: Headers, more: bytes) -> bytes:
        """The status line and fields. Raises ValueError for a field that would break them (case 14)."""
        if self.response_started:
            raise RuntimeError("a reply has one head")
        lines = [STATUS_LINE[status]]
        common = self.link.server_state.default_headers
        for name, value in common:
            lines += (name, b": ", value, b"\r\n")
        for name, value in headers:
            lines += (name, b": ", value, b"\r\n")
        head = b"".join(lines)
        count = len(common) + len(headers) + 1
        if head.count(b"\n") != count or head.count(b"\r") != count or b"\0" in head:
            raise ValueError("a header holds a control character")
        if not self.keep_alive:
            more += b"connection: close\r\n"
        return b"%b%b\r\n" % (head, more)

    def _flush(self) -> None:
        """Write the head that waits, if there is one."""
        head, self._head = self._head, None
        if head is not None:
            self.link.transport.write(head)

    def _complete(self) -> None:
        self.response_complete = True
        self._left = 0
        self._callback = None  # it leads back here: kept, each call would be left to the garbage collector
        self._wake()
        if not self.keep_alive:
            self.link.close_after_reply()
        self.link.on_response_complete()

    # --- ASGI

    async def receive(self) -> dict[str, Any]:
        """Give the whole body once, then wait for the end and say `http.disconnect`."""
        if not self.delivered:
            try:
                return {"type": "http.request", "body": await self.body(), "more_body": False}
            except ClientGone:
                return {"type": "http.disconnect"}
        while not (self.disconnected or self.response_complete):
            await self._wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Mapping[str, Any]) -> None:
        """Take one message of a reply."""
        if message["type"] == "http.response.start":
            await self.start(message["status"], [*message.get("headers", ())])
        else:
            await self.write(message.get("body", b""), more=message.get("more_body", False))

    async def run(self, app: ASGI3Application) -> None:
        """Run the application; whatever it does, the client gets a whole reply, a refusal or a cut."""
        try:
            await app(cast("Any", self.scope), cast("Any", self.receive), cast("Any", self.send))
        except asyncio.CancelledError:
            self._fail(Unavailable("Tidegate is shutting down; send the call again", retry_after_s=1))
        except TidegateError as error:
            self._fail(error)
        except Exception as exc:  # noqa: BLE001 - a task boundary
            log.error("the application failed: %s", describe(exc))  # noqa: TRY400 - see describe
            self._fail(TidegateError(_FAILED))
        else:
            if not (self.response_complete or self.disconnected):
                log.error("the application returned before its reply was complete")
                self._fail(TidegateError(_FAILED))
        finally:
            self.scope.pop("extensions", None)
            self.release()
            if self.task is not None:
                self.link.tasks.discard(self.task)

    def _fail(self, error: TidegateError) -> None:
        if self.response_complete or self.disconnected:
            return
        self._callback = None
        if self.response_started:
            self.link.abort()
        else:
            self.link.refuse(error)


def client_of(scope: Mapping[str, Any]) -> Cycle:
    """The client of a request that came through the guarded server."""
    return cast("Cycle", scope["extensions"]["tidegate"])


def describe(exc: BaseException) -> str:
    """Name an exception and where it came from, without its message: that could quote a prompt (trap V5)."""
    frames = traceback.extract_tb(exc.__traceback__)
    where = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames[-8:]))
    return f"{type(exc).__qualname__} at {where}"
