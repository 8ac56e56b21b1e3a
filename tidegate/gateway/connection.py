"""One guarded connection below HTTP: how it opens, waits, stalls and closes.

It rests on internals of uvicorn 0.54, as `guard.py` does; `tests/gateway/test_server_pin.py` says which.
"""

import asyncio
import math
import socket
import struct
from typing import Any, ClassVar

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from tidegate.gateway.cycle import Cycle
from tidegate.gateway.limits import SHEDDING_MAX, Gate, Limits
from tidegate.model.errors import RequestTimeout, TidegateError, Unavailable

IDLE, HEAD, BODY, RUNNING, SHUT = range(5)
"""What a connection waits for: a first byte, a whole head, a whole body, the application, its own end."""

_RESET = struct.pack("ii", 1, 0)


class Connection(HttpToolsProtocol):
    """A connection with deadlines. `Guarded` reads requests from it.

    One timer per connection is armed rarely and re-armed lazily: phases move `_deadline`, and the timer looks
    when it fires. `_raw` counts the bytes of the current message, framing included.
    """

    limits: ClassVar[Limits]
    gate: ClassVar[Gate]
    cycle: Cycle | None  # type: ignore[assignment]  # ours, not uvicorn's

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._phase = IDLE
        self._watched = IDLE
        self._raw = 0
        self._keep_alive = True
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._deadline = math.inf
        self._window_raw = 0
        self._body_until = math.inf
        self._stall: asyncio.TimerHandle | None = None
        self._stall_size = 0
        self._shed = False

    def refuse(self, error: TidegateError) -> None:
        """Answer `error` and close; a reply that has started is cut instead."""
        raise NotImplementedError

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, or tell it that there are too many."""
        super().connection_made(transport)
        # With 0 any byte the kernel does not take pauses the writer, so a stalled client is always noticed.
        transport.set_write_buffer_limits(0)
        if self.gate.draining:
            self._expire_in(self.limits.drain_idle_s)
        elif len(self.connections) > self.limits.max_connections:
            self._shed_load()
        else:
            self._expire_in(self.limits.first_byte_s)

    def _shed_load(self) -> None:
        self.connections.discard(self)
        if self.gate.shedding >= SHEDDING_MAX:
            self._reset()
            return
        self.gate.shedding += 1
        self._shed = True
        self.refuse(Unavailable("Too many connections; send the call again in a moment", retry_after_s=1))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the running call at once that its client is gone, and let go of everything."""
        if self._shed:
            self.gate.shedding -= 1
        for timer in (self._timer, self._stall):
            if timer is not None:
                timer.cancel()
        self._timer = self._stall = None
        self._phase = SHUT
        # The running application holds its cycle itself; held here too, each connection is a reference cycle.
        cycle, self.cycle = self.cycle, None
        if cycle is not None:
            cycle.leave()
        super().connection_lost(exc)

    def eof_received(self) -> None:
        """Take a half-closed connection for a client that left; LLM clients never half-close."""
        if self._busy():
            self.abort()

    def shutdown(self) -> None:
        """Finish the running request, or one that is on its way, and close.

        A client that is about to send cannot know yet that it should not: it gets `drain_idle_s` for it.
        """
        if self._phase == SHUT:
            self._close()
        elif self._busy():
            self._keep_alive = False
            if self.cycle is not None:
                self.cycle.keep_alive = False
        elif self._phase == IDLE:
            self._expire_in(self.limits.drain_idle_s)

    def _busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def abort(self) -> None:
        """Drop the connection at once; a reply that had started is visibly cut."""
        self._phase = SHUT
        self.transport.abort()

    def _reset(self) -> None:
        """Abort and take unsent bytes out of the kernel too: a close alone keeps megabytes for minutes."""
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.abort()

    def _close(self) -> None:
        self._phase = SHUT
        self.transport.close()

    def close_after_reply(self) -> None:
        """Close once everything written has left."""
        if self._phase in (RUNNING, SHUT):
            self._close()
        else:
            self._close_slowly()

    def _close_slowly(self) -> None:
        """Close our side and read on for a while: closing with bytes unread would reset our reply away."""
        self._phase = SHUT
        if not self.transport.can_write_eof():
            self.transport.close()
            return
        self.transport.write_eof()
        self._window_raw = self._raw
        self._expire_in(self.limits.linger_s)

    def _expire_in(self, seconds: float) -> None:
        when = self._deadline = self.loop.time() + seconds
        if when < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer, self._timer_at = self.loop.call_at(when, self._expired), when

    def _expired(self) -> None:
        self._timer, self._timer_at = None, math.inf
        now = self.loop.time()
        if now < self._deadline:
            if self._deadline < math.inf:
                self._expire_in(self._deadline - now)
        elif self._phase == IDLE and self._raw == 0:
            self._close()
        elif self._phase == BODY:
            self._check_body_rate(now)
        elif self._phase == SHUT:
            self._reset()
        else:
            seconds = self.limits.head_timeout_s
            self.refuse(RequestTimeout(f"The request's head was not whole after {seconds:g} s"))

    def _check_body_rate(self, now: float) -> None:
        limits = self.limits
        brought, self._window_raw = self._raw - self._window_raw, self._raw
        if now >= self._body_until:
            self.refuse(RequestTimeout(f"The body was not whole after {limits.body_timeout_s:g} s"))
        elif brought < limits.body_min_rate * limits.body_window_s:
            self.refuse(RequestTimeout(f"The body came more slowly than {limits.body_min_rate} bytes/s"))
        else:
            self._expire_in(min(limits.body_window_s, self._body_until - now))

    def pause_writing(self) -> None:
        """Make `send` wait until the kernel has taken what we hold, and watch the client for progress."""
        super().pause_writing()
        if self._stall is None:
            self._stall_size = self.transport.get_write_buffer_size()
            self._stall = self.loop.call_later(self.limits.write_stall_s, self._stalled)

    def resume_writing(self) -> None:
        """Let `send` go on: everything so far is with the kernel."""
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        super().resume_writing()

    def _stalled(self) -> None:
        """Go on if the client took its share since the last look, drop it if not (case 52)."""
        self._stall = None
        left = self.transport.get_write_buffer_size()
        if self._stall_size - left < self.limits.write_min_rate * self.limits.write_stall_s:
            self._reset()
            return
        self._stall_size = left
        self._stall = self.loop.call_later(self.limits.write_stall_s, self._stalled)
