"""The way back: a provider's reply to its client, read on the way.

Nothing is given to the client before it is known that there is something to give: a failure until then is a
shortfall, and another attempt may follow (traps R5, S7).
"""

from collections.abc import AsyncIterator, Awaitable

from tidegate.exchange.forward import reply_headers, scrubbed
from tidegate.exchange.journey import Answer, Journey, Shortfall
from tidegate.exchange.pass_reply import pass_on
from tidegate.exchange.stream import Timing, stream
from tidegate.model.errors import UpstreamError
from tidegate.policy.classify_error import classify, should_retry, status_of
from tidegate.policy.retry_after import stated_wait
from tidegate.providers.catalog import usage_rules
from tidegate.providers.transport import Reply
from tidegate.wire.registry import CODECS

MAX_ERROR_BYTES = 1_048_576
MAX_REPLY_BYTES = 134_217_728
_EVENTS = (b"data:", b"event:", b":")
"""How a stream of events starts, whatever its content type says."""


def deliver(journey: Journey, reply: Reply, timing: Timing) -> Awaitable[Shortfall | None]:
    """Give the client this reply, or say what it failed of. Nothing is sent before the begin is on the disk.

    Awaiting it raises TransportError where a reply breaks off before its client was given anything.
    """
    flight = journey.flight
    flight.http = reply.status
    flight.upstream_id = reply.headers.get("x-request-id") or reply.headers.get("request-id") or ""
    if reply.status >= 300:
        return _error(journey, reply)
    if journey.plan.call.passed is not None:
        return pass_on(journey, reply)
    if reply.headers.get("content-type", "").startswith("text/event-stream"):
        return stream(journey, reply, timing) if journey.plan.facts.stream else _other_form(journey)
    return _plain(journey, reply, timing)


async def _error(journey: Journey, reply: Reply) -> Shortfall:
    """Read a provider's own error, and take our credentials out of it (case 42)."""
    plan, flight = journey.plan, journey.flight
    bridge = flight.prepared.bridge
    raw = scrubbed(await reply.read(MAX_ERROR_BYTES), plan.state.secrets)
    flight.reply = CODECS[bridge.surface].read_error(raw)
    facts = flight.reply.error
    assert facts is not None
    kind = classify(
        flight.outbound.provider.errors,
        status=reply.status,
        error=facts,
        has_retry_after="retry-after" in reply.headers,
    )
    flight.status, flight.error_class = "error", kind
    flight.error_code = (facts.code or facts.type or str(reply.status))[:64]
    headers = reply_headers(reply.headers, plan.call.id, journey.headers)
    if bridge.surface != plan.facts.surface:
        headers = [(name, value) for name, value in headers if name != b"content-type"]
        headers.append((b"content-type", b"application/json"))
    if "x-should-retry" not in reply.headers:
        headers.append((b"x-should-retry", b"true" if should_retry(kind, reply.status) else b"false"))
    headers.append((b"tidegate-error-source", b"upstream"))
    wait_us = stated_wait(reply.headers, raw, now_us=journey.ledger.clock.wall_us())
    name = flight.outbound.provider.name
    if reply.status < 400:  # a redirect, which is never followed (case 32)
        return Shortfall(kind, UpstreamError(f"{name} answered {reply.status} with what is no reply."))
    answer = Answer(reply.status, headers, bridge.error(reply.status, facts, raw))
    return Shortfall(kind, UpstreamError(f"{name} refused the call."), answer, wait_us)


async def _plain(journey: Journey, reply: Reply, timing: Timing) -> Shortfall | None:
    """Pass a whole answer on; one that is no answer, or an error inside a 200, is none (trap S12)."""
    plan, flight = journey.plan, journey.flight
    bridge = flight.prepared.bridge
    raw = await reply.read(MAX_REPLY_BYTES)
    if plan.facts.stream and raw.startswith(_EVENTS):
        return await stream(journey, _Mislabelled(reply, raw), timing)
    facts = flight.reply = CODECS[bridge.surface].read_reply(
        raw, usage_rules(flight.outbound.provider, bridge.surface)
    )
    headers = reply_headers(reply.headers, plan.call.id, journey.headers)
    error = facts.error
    if error is not None:
        kind = classify(
            flight.outbound.provider.errors, status=reply.status, error=error, has_retry_after=False
        )
        flight.status, flight.error_class = "error", kind
        flight.error_code = (error.code or error.type or "error_in_reply")[:64]
        status = status_of(kind)
        headers.append((b"x-should-retry", b"true" if should_retry(kind, status) else b"false"))
        headers.append((b"tidegate-error-source", b"upstream"))
        answer = Answer(status, headers, bridge.error(status, error, raw))
        return Shortfall(kind, UpstreamError("The provider answered with an error."), answer)
    if not facts.complete or plan.facts.stream or facts.empty:
        return await _other_form(journey)
    journey.shown()
    journey.succeed()
    body = raw
    if bridge.surface != plan.facts.surface:
        body = bridge.whole(raw)
    journey.keep()
    await journey.entry.synced()
    journey.http = reply.status
    await journey.client.reply(reply.status, headers, body)
    journey.bytes_out = len(body)
    return None


async def _other_form(journey: Journey) -> Shortfall:
    """A reply that is none, or not of the form that the client reads: a stream, or plain."""
    flight = journey.flight
    flight.status, flight.error_code = "error", "not_a_reply"
    name = flight.outbound.provider.name
    return Shortfall("broken", UpstreamError(f"{name} answered {flight.http} with what is no reply to this."))


class _Mislabelled:
    """A stream that came under another content type, read whole."""

    def __init__(self, reply: Reply, raw: bytes) -> None:
        self.status = reply.status
        self.headers = reply.headers
        self._raw = raw

    async def chunks(self) -> AsyncIterator[bytes]:
        """See Reply.chunks."""
        yield self._raw

    async def read(self, limit_bytes: int) -> bytes:
        """See Reply.read."""
        return self._raw[:limit_bytes]

    def abort(self) -> None:
        """See Reply.abort."""
