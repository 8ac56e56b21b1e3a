"""The way back: a provider's reply to its client, byte for byte, read on the way."""

from collections.abc import Awaitable, Iterable

from tidegate.exchange.call import Headers
from tidegate.exchange.forward import injects_usage, reply_headers, scrubbed
from tidegate.exchange.journey import Journey
from tidegate.exchange.lane import Lane
from tidegate.model.errors import TidegateError, UpstreamTruncated
from tidegate.policy.classify_error import classify, should_retry
from tidegate.policy.estimate import raw_tokens
from tidegate.providers.catalog import usage_rules
from tidegate.providers.transport import Reply, TransportError
from tidegate.wire.codec import StreamWatcher
from tidegate.wire.sse import Frame, FrameReader, FrameTooLarge

MAX_ERROR_BYTES = 1_048_576
MAX_REPLY_BYTES = 134_217_728
MAX_FRAME_BYTES = 16_777_216
"""A stream's last event may repeat the whole answer, images included."""
PROGRESS_TOKENS = 1000


def deliver(journey: Journey, reply: Reply, *, keep_alive_s: float) -> Awaitable[None]:
    """Give the client this reply, whatever it is. Nothing is sent before the begin is on the disk.

    Awaiting it raises TransportError where a reply breaks off before its client was given anything.
    """
    flight = journey.flight
    flight.http = reply.status
    flight.upstream_id = reply.headers.get("x-request-id") or reply.headers.get("request-id") or ""
    if reply.status >= 300:
        return _error(journey, reply)
    if reply.headers.get("content-type", "").startswith("text/event-stream"):
        return _stream(journey, reply, keep_alive_s)
    return _plain(journey, reply)


async def _error(journey: Journey, reply: Reply) -> None:
    """Pass a provider's own error on, with our credentials taken out of it (case 42)."""
    plan, flight = journey.plan, journey.flight
    raw = scrubbed(await reply.read(MAX_ERROR_BYTES), plan.state.secrets)
    flight.reply = plan.codec.read_error(raw)
    facts = flight.reply.error
    assert facts is not None
    flight.error_class = classify(
        flight.outbound.provider.errors,
        status=reply.status,
        error=facts,
        has_retry_after="retry-after" in reply.headers,
    )
    journey.fail(facts.code or facts.type or str(reply.status))
    headers = reply_headers(reply.headers, plan.call.id)
    if "x-should-retry" not in reply.headers:
        again = should_retry(flight.error_class, reply.status)
        headers.append((b"x-should-retry", b"true" if again else b"false"))
    headers.append((b"tidegate-error-source", b"upstream"))
    await _send_whole(journey, reply.status, headers, raw)


async def _plain(journey: Journey, reply: Reply) -> None:
    """Pass a whole answer on."""
    plan, flight = journey.plan, journey.flight
    raw = await reply.read(MAX_REPLY_BYTES)
    flight.reply = plan.codec.read_reply(raw, usage_rules(flight.outbound.provider, plan.facts.surface))
    journey.ttft_us = flight.first_event_us = journey.elapsed_us()
    error = flight.reply.error
    if error is None:
        journey.succeed()
    else:
        journey.fail(error.code or error.type or "error_in_reply")
    await _send_whole(journey, reply.status, reply_headers(reply.headers, plan.call.id), raw)


async def _send_whole(journey: Journey, status: int, headers: Headers, raw: bytes) -> None:
    await journey.entry.synced()
    journey.http = status
    await journey.client.reply(status, headers, raw)
    journey.bytes_out = len(raw)


async def _stream(journey: Journey, reply: Reply, keep_alive_s: float) -> None:
    """Pass a stream on frame by frame; one that ends without its own end mark ends in an error (S6)."""
    plan, flight = journey.plan, journey.flight
    watcher = plan.codec.watch_stream(
        usage_rules(flight.outbound.provider, plan.facts.surface),
        injected_usage=injects_usage(plan, flight.outbound),
    )
    facts = flight.reply = watcher.facts
    await journey.entry.synced()
    journey.http = reply.status
    await journey.client.start(reply.status, reply_headers(reply.headers, plan.call.id))
    lane = Lane(journey.client, plan.codec.keep_alive, keep_alive_s, journey.ledger.clock)
    try:
        fault = await _pump(journey, reply, watcher, lane)
        if facts.error is not None:
            journey.fail(facts.error.code or facts.error.type or "error_in_stream")
        elif facts.complete or (facts.finish and fault is None):
            facts.complete = True
            journey.succeed()
        else:
            error = fault or UpstreamTruncated("The provider's stream ended before its answer was complete.")
            journey.fail(error.code, status="truncated", outcome="truncated")
            journey.edits.append("reply.error_event")
            await lane.send(plan.codec.error_event(error, plan.call.id))
        await lane.finish()
    finally:
        if journey.delivered and journey.outcome is None and facts.error is None:
            journey.succeed()
        lane.stop()
        journey.bytes_out = lane.bytes_out


async def _pump(journey: Journey, reply: Reply, watcher: StreamWatcher, lane: Lane) -> TidegateError | None:
    """Move frames until the stream ends; give the fault that ended it, if one did."""
    reader, facts, flight = FrameReader(MAX_FRAME_BYTES), watcher.facts, journey.flight
    next_progress = PROGRESS_TOKENS
    try:
        async for chunk in reply.chunks():
            out = _watched(reader.feed(chunk), watcher, journey)
            if flight.first_event_us is None and facts.started:
                flight.first_event_us = journey.ttft_us = journey.elapsed_us()
            if out:
                await lane.send(out)
            journey.delivered = facts.complete
            if facts.text_bytes >= next_progress:  # at least a byte a token, so never too late
                tokens = raw_tokens(facts.ascii_bytes, facts.text_bytes - facts.ascii_bytes)
                if tokens >= next_progress:
                    journey.entry.progress(flight.n, tokens, facts.text_bytes)
                    next_progress = tokens + PROGRESS_TOKENS
        if reader.pending():  # a last frame without its blank line, such as a bare `data: [DONE]`
            out = _watched(reader.feed(b"\n\n"), watcher, journey)
            journey.edits.append("reply.frame_closed")
            await lane.send(out)
    except TransportError as error:
        return UpstreamTruncated(f"The provider's stream broke off ({error.phase}).")
    except FrameTooLarge as error:
        return error
    return None


def _watched(frames: Iterable[Frame], watcher: StreamWatcher, journey: Journey) -> bytes:
    """Read frames and give the bytes of those that go on: all but a usage chunk that only we asked for."""
    kept: list[bytes] = []
    for frame in frames:
        if not frame.data or watcher.event(frame.event, frame.data):
            kept.append(frame.raw)
        else:
            journey.edits.append("reply.usage_chunk_removed")
    return kept[0] if len(kept) == 1 else b"".join(kept)
