"""A streamed reply: held until its first content, then passed on frame by frame as it comes."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

import msgspec

from tidegate.exchange.bridge import Straight
from tidegate.exchange.forward import reply_headers
from tidegate.exchange.journey import Answer, Journey, Shortfall
from tidegate.exchange.lane import Lane
from tidegate.model.errors import TidegateError, UpstreamTimeout, UpstreamTruncated
from tidegate.policy.classify_error import classify
from tidegate.policy.estimate import raw_tokens
from tidegate.providers.catalog import usage_rules
from tidegate.providers.transport import Reply, TransportError
from tidegate.wire.codec import StreamWatcher
from tidegate.wire.registry import CODECS
from tidegate.wire.sse import Frame, FrameReader, FrameTooLarge

MAX_FRAME_BYTES = 16_777_216
"""A stream's last event may repeat the whole answer, images included."""
MAX_HELD_BYTES = 1_048_576
AFTER_ERROR_S = 0.1
"""How long the rest of a stream is read that began with an error, so that it can be passed on whole."""
PROGRESS_TOKENS = 1000
MESSAGE_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Limits of one stream, in seconds.

    `hold_s`: how long a start without content is kept back at most (trap S8). `first_content_s`: how long the
    first content may take from when the provider answered (trap R5).
    """

    keep_alive_s: float
    hold_s: float
    first_content_s: float


async def stream(journey: Journey, reply: Reply, timing: Timing) -> Shortfall | None:
    """Pass a stream on; one that ends without its own end mark ends in an error (trap S6).

    Gives what it failed of where the client was shown nothing yet.
    """
    plan, made = journey.plan, journey.flight.prepared
    watcher = CODECS[made.bridge.surface].watch_stream(
        usage_rules(journey.flight.outbound.provider, made.bridge.surface),
        injected_usage=made.injects_usage,
    )
    journey.flight.reply = watcher.facts
    flow = _Flow(journey, reply, watcher)
    shortfall = await flow.open(timing)
    if shortfall is not None:
        return shortfall
    await journey.entry.synced()
    journey.http = reply.status
    await journey.client.start(reply.status, reply_headers(reply.headers, plan.call.id, journey.headers))
    lane = Lane(journey.client, plan.codec.keep_alive, timing.keep_alive_s, journey.ledger.clock)
    try:
        await flow.run(lane, timing)
        await lane.finish()
    finally:
        if journey.delivered and journey.outcome is None and watcher.facts.error is None:
            journey.succeed()
        lane.stop()
        journey.bytes_out = lane.bytes_out
    return None


class _Flow:
    """One stream on its way: chunks in, frames out."""

    __slots__ = (
        "_chunks",
        "_ended",
        "_fault",
        "_held",
        "_journey",
        "_next_progress",
        "_reader",
        "_reply",
        "_watcher",
    )

    def __init__(self, journey: Journey, reply: Reply, watcher: StreamWatcher) -> None:
        self._journey = journey
        self._reply = reply
        self._watcher = watcher
        self._reader = FrameReader(MAX_FRAME_BYTES)
        self._chunks: AsyncIterator[bytes] = reply.chunks()
        self._held = b""
        self._ended = False
        self._fault: TidegateError | None = None
        self._next_progress = PROGRESS_TOKENS

    async def open(self, timing: Timing) -> Shortfall | None:
        """Read to the first content, or as long as a start may be held; say what it failed of before."""
        facts = self._watcher.facts
        first_content_s = timing.first_content_s
        try:
            async with asyncio.timeout(min(timing.hold_s, first_content_s)):
                while not (facts.started or facts.complete or facts.error or self._ended):
                    self._held += await self._next()
                    if len(self._held) > MAX_HELD_BYTES:
                        break
        except TimeoutError:
            if first_content_s <= timing.hold_s:
                return self._late(first_content_s)
        if facts.error is not None and not facts.started:
            return await self._error_first()
        if not facts.started and self._ended and not (facts.complete or facts.finish):
            self._journey.flight.status, self._journey.flight.error_code = "truncated", "upstream_truncated"
            error = self._fault or UpstreamTruncated("The provider's stream ended before it had begun.")
            return Shortfall("broken", error)
        if facts.empty:
            self._journey.flight.status, self._journey.flight.error_code = "error", "not_a_reply"
            return Shortfall("broken", UpstreamTruncated("The provider's stream ended without an answer."))
        return None

    async def run(self, lane: Lane, timing: Timing) -> None:
        """Send what is held, then what comes, to the stream's end or to a clean error."""
        journey, facts = self._journey, self._watcher.facts
        if self._held:
            await lane.send(self._held)
            journey.delivered = facts.complete
        if not (facts.started or self._ended):
            await self._first_content(lane, timing)
        if not self._ended:
            await self._pass_on(lane)
        bridge = journey.flight.prepared.bridge
        if facts.error is not None:
            journey.fail(facts.error.code or facts.error.type or "error_in_stream")
        elif facts.complete or (facts.finish and self._fault is None):
            if not facts.complete and bridge.surface == journey.plan.facts.surface == "messages":
                journey.edits.append("reply.end_mark_added")  # its SDKs wait for it
                await lane.send(MESSAGE_STOP)
            facts.complete = True
            if rest := bridge.close():
                await lane.send(rest)
            journey.succeed()
            journey.keep()
        else:
            error = self._fault or UpstreamTruncated(
                "The provider's stream ended before its answer was complete."
            )
            journey.fail(error.code, status="truncated", outcome="truncated")
            journey.edits.append("reply.error_event")
            await lane.send(journey.plan.codec.error_event(error, journey.plan.call.id))

    async def _first_content(self, lane: Lane, timing: Timing) -> None:
        """Go on waiting for content behind a start that the client was given."""
        facts = self._watcher.facts
        try:
            async with asyncio.timeout(max(0.0, timing.first_content_s - timing.hold_s)):
                while not (facts.started or facts.complete or facts.error or self._ended):
                    out = await self._next()
                    if out:
                        await lane.send(out)
        except TimeoutError:
            self._fault, self._ended = _no_content(timing.first_content_s), True

    async def _pass_on(self, lane: Lane) -> None:
        """Move chunks until the stream ends; `_fault` says what ended it, if something did."""
        journey, facts = self._journey, self._watcher.facts
        try:
            async for chunk in self._chunks:
                out = self._take(chunk)
                if out:
                    await lane.send(out)
                journey.delivered = facts.complete
            if out := self._tail():
                await lane.send(out)
        except (TransportError, FrameTooLarge) as error:
            self._broke(error)

    async def _next(self) -> bytes:
        """Wait for one chunk and give what of it goes on; `_ended` is set where there is none."""
        try:
            async for chunk in self._chunks:
                return self._take(chunk)
            return self._tail()
        except (TransportError, FrameTooLarge) as error:
            self._broke(error)
            return b""

    def _take(self, chunk: bytes) -> bytes:
        """Read a chunk and give what of it goes on."""
        facts = self._watcher.facts
        out = _watched(self._reader.feed(chunk), self._watcher, self._journey)
        if facts.started and self._journey.flight.first_event_us is None:
            self._journey.shown()
        if facts.complete:
            self._journey.keep()
        if facts.text_bytes >= self._next_progress:  # at least a byte a token, so never too late
            self._progress()
        return out

    def _tail(self) -> bytes:
        """The stream's end: a last frame may lack its blank line, such as a bare `data: [DONE]`."""
        self._ended = True
        if not self._reader.pending():
            return b""
        frames = self._reader.feed(b"\n\n")
        if not all(_is_sound(frame.data) for frame in frames):
            self._journey.edits.append("reply.torn_frame_dropped")
            return b""
        self._journey.edits.append("reply.frame_closed")
        return _watched(frames, self._watcher, self._journey)

    def _broke(self, error: TransportError | FrameTooLarge) -> None:
        self._ended = True
        self._fault = (
            UpstreamTruncated(f"The provider's stream broke off ({error.phase}).")
            if isinstance(error, TransportError)
            else error
        )

    def _progress(self) -> None:
        """Record how far the stream is, so that a crash leaves a small gap."""
        facts, journey = self._watcher.facts, self._journey
        tokens = raw_tokens(facts.ascii_bytes, facts.text_bytes - facts.ascii_bytes)
        if tokens >= self._next_progress:
            journey.entry.progress(journey.flight.n, tokens, facts.text_bytes)
            self._next_progress = tokens + PROGRESS_TOKENS

    def _late(self, first_content_s: float) -> Shortfall:
        self._journey.flight.status, self._journey.flight.error_code = "timeout", "upstream_timeout"
        return Shortfall("timeout", _no_content(first_content_s), phase="first_byte")

    async def _error_first(self) -> Shortfall:
        """A stream that begins with an error is an error reply; its client gets it as it is."""
        journey, facts = self._journey, self._watcher.facts
        flight, error = journey.flight, facts.error
        assert error is not None
        try:
            async with asyncio.timeout(AFTER_ERROR_S):
                while not self._ended and len(self._held) < MAX_HELD_BYTES:
                    self._held += await self._next()
        except TimeoutError:
            pass
        kind = classify(
            flight.outbound.provider.errors, status=self._reply.status, error=error, has_retry_after=False
        )
        flight.status, flight.error_class = "error", kind
        flight.error_code = (error.code or error.type or "error_in_stream")[:64]
        headers = reply_headers(self._reply.headers, journey.plan.call.id, journey.headers)
        answer = Answer(self._reply.status, headers, self._held)
        return Shortfall(kind, UpstreamTruncated("The provider answered with an error."), answer)


def _no_content(limit_s: float) -> UpstreamTimeout:
    return UpstreamTimeout(f"The provider began to answer but sent no content within {limit_s:g} s.")


def _is_sound(data: bytes) -> bool:
    """Whether an event's data is something that a client can read: JSON, or an end mark."""
    if data.strip() in (b"", b"[DONE]"):
        return True
    try:
        msgspec.json.decode(data)
    except (ValueError, RecursionError):
        return False
    return True


def _watched(frames: Iterable[Frame], watcher: StreamWatcher, journey: Journey) -> bytes:
    """Read frames and give the bytes of those that go on: all but a usage chunk that only we asked for."""
    bridge = journey.flight.prepared.bridge
    straight = type(bridge) is Straight
    kept: list[bytes] = []
    facts = watcher.facts
    for frame in frames:
        bad_frames = facts.bad_frames
        if not frame.data or watcher.event(frame.event, frame.data):
            if facts.bad_frames > bad_frames and not _is_sound(frame.data):
                journey.edits.append("reply.bad_frame_dropped")  # trap S5
                continue
            kept.append(frame.raw if straight else bridge.frame(frame))
        else:
            journey.edits.append("reply.usage_chunk_removed")
    return kept[0] if len(kept) == 1 else b"".join(kept)
