"""One request and its reply on a guarded connection, as an ASGI application sees it."""

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, cast

from uvicorn._types import ASGI3Application, ASGIReceiveEvent
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from tidegate.gateway.limits import Gate
from tidegate.model.errors import ClientGone, TidegateError, TooLarge, Unavailable

log = logging.getLogger("tidegate.gateway")

Receive = Callable[[], Awaitable[Any]]


class Client(Protocol):
    """The other end of a running request, in `scope["extensions"]["tidegate"]`."""

    @property
    def gone(self) -> bool:
        """The connection is lost, or the request was refused while the application waited for its body."""
        ...

    @property
    def write_paused(self) -> bool:
        """The client reads more slowly than we send; `send` waits until it has caught up (trap S13)."""
        ...

    def on_disconnect(self, callback: Callable[[], None]) -> None:
        """Call `callback` once, synchronously, when the client leaves before the reply is complete.

        If it has left already, it is called at once. A later callback replaces an earlier one. It runs
        inside the event loop's own callback: it must not await, and what it raises is logged (trap S14).
        """
        ...


def client_of(scope: Mapping[str, Any]) -> Client:
    """Return the client of a request that came through the guarded server."""
    return cast("Client", scope["extensions"]["tidegate"])


class Link(Protocol):
    """What a cycle needs of its connection beside writing to it."""

    transport: asyncio.Transport

    def refuse(self, error: TidegateError) -> None:
        """Answer `error` and close."""
        ...

    def abort(self) -> None:
        """Drop the connection at once."""
        ...


class Cycle(RequestResponseCycle):
    """uvicorn's cycle, with a body delivered whole, and failures that log no content and write no text.

    The body arrives in one piece because every reader needs all of it; that makes one copy at most, and
    none where it came in one read. What it holds of the shared budget is given back when the application
    returns, for the body lives as long as the call.
    """

    link: Link
    gate: Gate
    tasks: set[asyncio.Task[None]]
    first_piece: bytes = b""
    held_bytes: int = 0
    delivered: bool = False
    _callback: Callable[[], None] | None = None

    @property
    def gone(self) -> bool:
        """See `Client`."""
        return self.disconnected

    @property
    def write_paused(self) -> bool:
        """See `Client`."""
        return self.flow.write_paused

    def on_disconnect(self, callback: Callable[[], None]) -> None:
        """See `Client`."""
        if not self.disconnected:
            self._callback = callback
        elif not self.response_complete:
            callback()

    def leave(self) -> None:
        """The client is gone, or as good as gone: wake and tell whoever waits. Repeats do nothing."""
        if self.response_complete or self.disconnected:
            return
        self.disconnected = True
        self.message_event.set()
        callback, self._callback = self._callback, None
        if callback is not None:
            try:
                callback()
            except Exception as exc:  # noqa: BLE001 - a task boundary: the loop called us
                log.error("a disconnect callback failed: %s", describe(exc))  # noqa: TRY400 - see describe

    def hold(self, size_bytes: int) -> None:
        """Take `size_bytes` of the budget for bodies. Raises Unavailable (trap V2, case F23)."""
        if size_bytes > self.gate.body_bytes_left:
            raise Unavailable(
                "Too many request bodies are in flight; send the call again in a moment", retry_after_s=2
            )
        self.gate.body_bytes_left -= size_bytes
        self.held_bytes += size_bytes

    def ended(self, task: asyncio.Task[None]) -> None:
        """Take note that the application has returned."""
        self.tasks.discard(task)
        self.release()

    def release(self) -> None:
        """Give back what the body held; a repeat does nothing."""
        self.gate.body_bytes_left += self.held_bytes
        self.held_bytes = 0

    def add(self, piece: bytes) -> None:
        """Keep one piece of the body."""
        if self.body:
            self.body += piece
        elif self.first_piece:
            self.body += self.first_piece
            self.body += piece
            self.first_piece = b""
        else:
            self.first_piece = piece

    async def receive(self) -> ASGIReceiveEvent:
        """Return the whole body once, then wait for the end and say `http.disconnect`."""
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.link.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.waiting_for_100_continue = False
        while (self.more_body or self.delivered) and not (self.disconnected or self.response_complete):
            self.message_event.clear()
            await self.message_event.wait()
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        self.delivered = True
        whole = bytes(self.body) if self.body else self.first_piece
        self.body, self.first_piece = bytearray(), b""
        return {"type": "http.request", "body": whole, "more_body": False}

    async def run_asgi(self, app: ASGI3Application) -> None:
        """Run the application; whatever it does, the client gets a whole reply, a refusal or a cut."""
        try:
            await app(self.scope, self.receive, self.send)
        except asyncio.CancelledError:
            self._fail(Unavailable("Tidegate is shutting down; send the call again", retry_after_s=1))
        except TidegateError as error:
            self._fail(error)
        except Exception as exc:  # noqa: BLE001 - a task boundary
            log.error("the application failed: %s", describe(exc))  # noqa: TRY400 - see describe
            self._fail(TidegateError("Tidegate failed to answer this call; its log says where"))
        else:
            if not (self.response_complete or self.disconnected):
                log.error("the application returned before its reply was complete")
                self._fail(TidegateError("Tidegate failed to answer this call; its log says where"))
        finally:
            self.on_response = _nothing
            cast("dict[str, Any]", self.scope).pop("extensions", None)

    def _fail(self, error: TidegateError) -> None:
        if self.response_complete or self.disconnected:
            return
        self._callback = None
        if self.response_started:
            self.link.abort()
        else:
            self.link.refuse(error)


def describe(exc: BaseException) -> str:
    """Name an exception and where it came from, without its message: that could quote a prompt (trap V5)."""
    frames = traceback.extract_tb(exc.__traceback__)
    where = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames[-8:]))
    return f"{type(exc).__qualname__} at {where}"


async def read_body(receive: Receive, limit: int) -> bytes:
    """Return the whole request body. Raises TooLarge over `limit` bytes, ClientGone if it never became whole.

    From the guarded server the body comes in one piece and is not copied again.
    """
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone("The client left before its request was whole")
        piece: bytes = message.get("body", b"")
        size += len(piece)
        if size > limit:
            raise TooLarge(f"The body is over this route's limit of {limit} bytes; send a smaller one")
        if not message.get("more_body", False):
            return b"".join((*pieces, piece)) if pieces else piece
        pieces.append(piece)


def _nothing() -> None:
    """Replace `on_response` of a finished cycle, so that it holds its connection no longer."""
