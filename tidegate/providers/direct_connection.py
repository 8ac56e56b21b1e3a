"""One connection to a provider: it carries one call at a time and tells its owner when it is free or gone."""

import asyncio
import contextlib
import select
import socket
import struct
from typing import Protocol, cast

SMALL_BODY_BYTES = 64 * 1024
"""Up to here head and body are one write, so that they go out whole or not at all."""
_SLICE_BYTES = 64 * 1024
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_NEVER = float("inf")


class Owner(Protocol):
    """The pool that a connection belongs to."""

    def give(self, connection: "Connection") -> None:
        """Take back a connection whose exchange is whole."""
        ...

    def forget(self, connection: "Connection") -> None:
        """Hear that a connection is gone; told once, or more often."""
        ...


class Reader(Protocol):
    """The call that a connection carries."""

    def received(self, data: bytes) -> None:
        """Take bytes; must not raise."""
        ...

    def lost(self, error: Exception | None) -> None:
        """Hear that no more will come; None for an orderly end."""
        ...

    def expired(self, now_s: float) -> None:
        """Hear that the time set by `watch` has come."""
        ...


class Connection(asyncio.Protocol):
    """See the module.

    `uploaded`: the whole request was handed to the socket. `gone`: never to be used again. `lost`: done when
    the socket is closed.
    """

    __slots__ = (
        "_due_s",
        "_owner",
        "_paused",
        "_poll",
        "_reader",
        "_reading",
        "_rest",
        "_rings_s",
        "_timer",
        "_transport",
        "gone",
        "idle_since_s",
        "loop",
        "lost",
        "uploaded",
    )

    def __init__(self, owner: Owner, loop: asyncio.AbstractEventLoop) -> None:
        self._owner = owner
        self.loop = loop
        self._transport: asyncio.Transport | None = None
        self._reader: Reader | None = None
        self._rest: memoryview | None = None
        self._paused = False
        self._reading = True
        self._poll: select.poll | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = self._rings_s = _NEVER
        self.gone = False
        self.idle_since_s = 0.0
        self.uploaded = False
        self.lost: asyncio.Future[None] = loop.create_future()

    def send(self, head: bytes, body: bytes, reader: Reader) -> bool:
        """Write a request; its reply goes to `reader`. False: the connection is gone, nothing was written."""
        transport = self._transport
        if self.gone or transport is None or transport.is_closing():
            return False
        self._reader = reader
        if len(body) <= SMALL_BODY_BYTES:
            self.uploaded = True
            transport.write(head + body)
        else:
            self.uploaded = False
            self._rest = memoryview(body)
            transport.write(head)
            self._upload(transport)
        return True

    def watch(self, due_s: float) -> None:
        """Tell the reader when the loop's time is `due_s`; replaces what was set before.

        The timer is moved only to ring earlier: most deadlines of a connection are later than the last.
        """
        self._due_s = due_s
        if due_s < self._rings_s:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self.loop.call_at(due_s, self._ring)
            self._rings_s = due_s

    def unwatch(self, due_s: float) -> None:
        """Put the time off; infinity puts it off for good."""
        self._due_s = due_s

    def pause(self) -> None:
        """Let the provider wait until what has come is read."""
        transport = self._transport
        if self._reading and not self.gone and transport is not None and not transport.is_closing():
            self._reading = False
            transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        transport = self._transport
        if not self._reading and not self.gone and transport is not None and not transport.is_closing():
            self._reading = True
            transport.resume_reading()

    def finish(self, *, reusable: bool) -> None:
        """End the exchange: the reply is whole."""
        self._reader = None
        self._due_s = _NEVER
        if not self.uploaded or self.gone:
            self.drop()
        elif reusable and self._transport is not None and not self._transport.is_closing():
            self.resume()
            self._owner.give(self)
        else:
            self.close()

    def stale(self) -> bool:
        """Say whether an idle connection has something to read that the loop has not told of yet."""
        if self.gone or self._transport is None or self._transport.is_closing():
            return True
        if self._poll is None:
            sock = self._transport.get_extra_info("socket")
            if sock is None or sock.fileno() < 0:
                return True
            self._poll = select.poll()
            self._poll.register(sock.fileno(), select.POLLIN)
        return bool(self._poll.poll(0))

    def cut(self) -> None:
        """Close now, and tell the reader if there is one."""
        reader = self._reader
        if reader is None:
            self.close()
        else:
            self.drop()
            reader.lost(ConnectionAbortedError())

    def drop(self) -> None:
        """Close now: what is unsent is thrown away, and the provider sees a reset."""
        if not self.gone and self._transport is not None:
            sock = self._transport.get_extra_info("socket")
            if sock is not None and sock.fileno() >= 0:
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self.close()

    def close(self) -> None:
        """Close now; nothing is owed to the provider."""
        self._reader = None
        self._rest = None
        self._due_s = _NEVER
        if self.gone:
            return
        self.gone = True
        if self._transport is not None:
            self._transport.abort()
        self._owner.forget(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Loop: connected, TLS included."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_SLICE_BYTES)

    def data_received(self, data: bytes) -> None:
        """Loop: bytes. Those that nobody asked for end the connection."""
        if self._reader is None:
            self.drop()
        else:
            self._reader.received(data)

    def eof_received(self) -> None:
        """Loop: the provider sends no more; the transport closes itself."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.lost(None)
        self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Loop: the end."""
        reader, self._reader = self._reader, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.gone = True
        self._rest = None
        self._owner.forget(self)
        if not self.lost.done():
            self.lost.set_result(None)
        if reader is not None:
            reader.lost(exc)

    def pause_writing(self) -> None:
        """Loop: the socket takes no more for now."""
        self._paused = True

    def resume_writing(self) -> None:
        """Loop: the socket takes more."""
        self._paused = False
        if self._transport is not None:
            self._upload(self._transport)

    def _upload(self, transport: asyncio.Transport) -> None:
        """Write slices while the socket takes them, so that a call given up is not delivered whole."""
        while self._rest is not None and not self._paused and not transport.is_closing():
            piece, self._rest = self._rest[:_SLICE_BYTES], self._rest[_SLICE_BYTES:]
            if not self._rest:
                self._rest = None
                self.uploaded = True
            transport.write(piece)

    def _ring(self) -> None:
        self._timer = None
        self._rings_s = _NEVER
        if self._reader is None or self._due_s == _NEVER:
            return
        now_s = self.loop.time()
        if now_s >= self._due_s:
            self._reader.expired(now_s)
        else:
            self.watch(self._due_s)
