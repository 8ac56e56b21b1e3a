"""A transport without a network: it answers from a script and remembers what it was sent."""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

from tidegate.providers.transport import PhaseLimits, ReplyTooLargeError, TransportError

Step = bytes | Exception | Callable[[], Awaitable[object]]
"""One step of a body: bytes to give, an error to raise, or something to wait for first."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One call as the provider would have seen it."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes
    limits: PhaseLimits


@dataclass(slots=True)
class ScriptedReply:
    """What one call gets. `before` runs ahead of the head, to wait; `error` stands for a reply."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Iterable[Step] = ()
    before: Callable[[], Awaitable[object]] | None = None
    error: TransportError | None = None


class OpenReply:
    """A reply being read. `ended`: read to its end; `aborted`: given up; else it was left in the middle."""

    def __init__(self, script: ScriptedReply) -> None:
        self.status = script.status
        self.headers: Mapping[str, str] = {name.lower(): value for name, value in script.headers.items()}
        self.aborted = False
        self.ended = False
        self._steps = deque(script.body)

    async def chunks(self) -> AsyncIterator[bytes]:
        while True:
            if self.aborted:
                raise TransportError("was given up here", sent="maybe", got_bytes=True, phase="read")
            if not self._steps:
                self.ended = True
                return
            step = self._steps.popleft()
            match step:
                case bytes():
                    yield step
                case Exception():
                    raise step
                case _:
                    await step()

    async def read(self, limit_bytes: int) -> bytes:
        whole = b""
        async for piece in self.chunks():
            whole += piece
            if len(whole) > limit_bytes:
                raise ReplyTooLargeError("too long", limit_bytes=limit_bytes)
        return whole

    def abort(self) -> None:
        self.aborted = True


Script = Iterable[ScriptedReply] | Callable[[Sent], ScriptedReply]


class ScriptedTransport:
    """Answers each call with the next reply of a list, or with what a function of the call returns."""

    def __init__(self, script: Script) -> None:
        self._answer = script if callable(script) else None
        self._replies = deque(() if callable(script) else script)
        self.sent: list[Sent] = []
        self.replies: list[OpenReply] = []
        self.closed = False

    def post(
        self, url: str, *, headers: Mapping[str, str], body: bytes, limits: PhaseLimits
    ) -> AbstractAsyncContextManager[OpenReply]:
        return self._open(Sent("POST", url, dict(headers), body, limits))

    def get(
        self, url: str, *, headers: Mapping[str, str], limits: PhaseLimits
    ) -> AbstractAsyncContextManager[OpenReply]:
        return self._open(Sent("GET", url, dict(headers), b"", limits))

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None, limits: PhaseLimits
    ) -> AbstractAsyncContextManager[OpenReply]:
        return self._open(Sent(method, url, dict(headers), body or b"", limits))

    async def close(self) -> None:
        self.closed = True

    @asynccontextmanager
    async def _open(self, call: Sent) -> AsyncIterator[OpenReply]:
        self.sent.append(call)
        if self._answer is not None:
            script = self._answer(call)
        else:
            assert self._replies, f"the script has no reply for call {len(self.sent)}: {call.url}"
            script = self._replies.popleft()
        if script.before is not None:
            await script.before()
        if script.error is not None:
            raise script.error
        reply = OpenReply(script)
        self.replies.append(reply)
        yield reply
