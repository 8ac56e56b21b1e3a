"""A reply read from aiohttp, with one timer for its idle and total limits."""

import asyncio

import aiohttp
from multidict import CIMultiDictProxy

from tidegate.providers.aiohttp_failure import body_failure
from tidegate.providers.attempt import Attempt
from tidegate.providers.inflating_reply import InflatingReply
from tidegate.providers.transport import Phase, PhaseLimits, TransportError, place


class AiohttpReply(InflatingReply):
    """See Reply. The idle limit runs only while somebody waits for the provider."""

    def __init__(
        self,
        response: aiohttp.ClientResponse,
        attempt: Attempt,
        *,
        url: str,
        limits: PhaseLimits,
        deadline_s: float | None,
    ) -> None:
        self._url = url
        self.headers = _fields(response.headers)
        self._response = response
        self._content = response.content
        self._attempt = attempt
        self._idle_s = limits.idle_s
        self._deadline_s = deadline_s
        self._loop = asyncio.get_running_loop()
        self._waiting_since_s: float | None = None
        self._failure: TransportError | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._taken_bytes = 0

    @property
    def status(self) -> int:
        """See Reply.status."""
        return self._response.status

    def give_up(self, phase: Phase, what: str) -> None:
        """Close the connection at once; a reader gets a TransportError."""
        if self._failure is None:
            text = f"the reply of {place(self._url)} {what}"
            self._failure = TransportError(text, sent="maybe", got_bytes=True, phase=phase)
        self.leave()

    def leave(self) -> None:
        """Settle the connection: back to the pool after a whole exchange, else closed now."""
        if self._watch is not None:
            self._watch.cancel()
        if self._response.connection is not None:
            self._attempt.drop()
            self._response.close()

    async def next_piece(self) -> bytes:
        """Give what has come, or wait for it; empty at the end."""
        if self._failure is not None:
            raise self._failure
        content = self._content
        if content.total_bytes == self._taken_bytes and not content.is_eof():
            self._wait()
        error: Exception | None = None
        try:
            piece = await content.readany()
        except (aiohttp.ClientError, OSError, RuntimeError) as caught:
            error = caught
        finally:
            self._waiting_since_s = None
        if error is None and not piece:
            error = self._end()
        if error is None:
            self._taken_bytes += len(piece)
            return piece
        if self._failure is None:
            self._failure = body_failure(error, self._url)
        raise self._failure

    def _end(self) -> Exception | None:
        """Return what broke a body that only the connection's end could end, if it did not end cleanly."""
        if self._watch is not None:
            self._watch.cancel()
        if "content-length" in self._response.headers or "transfer-encoding" in self._response.headers:
            return None
        protocol = self._attempt.protocol
        error = None if protocol is None else protocol.exception()
        return error if isinstance(error, OSError) else None

    def _wait(self) -> None:
        """Start to count the provider's silence; one timer serves all of a reply's waits."""
        self._waiting_since_s = now_s = self._loop.time()
        if self._watch is None:
            self._watch = self._loop.call_at(self._next_look_s(now_s), self._look)

    def _next_look_s(self, now_s: float) -> float:
        since_s = now_s if self._waiting_since_s is None else self._waiting_since_s
        look_s = since_s + self._idle_s
        return look_s if self._deadline_s is None else min(look_s, self._deadline_s)

    def _look(self) -> None:
        """Give the call up where a limit has passed, else come back when the next one could."""
        if self._content.is_eof():
            return
        now_s = self._loop.time()
        since_s = self._waiting_since_s
        if self._deadline_s is not None and now_s >= self._deadline_s:
            self.give_up("total", "is not whole within the limit of the call")
        elif since_s is not None and now_s >= since_s + self._idle_s:
            self.give_up("idle", f"paused for more than {self._idle_s:g} s")
        else:
            self._watch = self._loop.call_at(self._next_look_s(now_s), self._look)


def _fields(headers: CIMultiDictProxy[str]) -> dict[str, str]:
    """The fields with names in lower case; of two of a name the first counts."""
    fields: dict[str, str] = {}
    for name, value in headers.items():
        fields.setdefault(name.lower(), value)
    return fields
