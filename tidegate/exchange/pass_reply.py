"""The way back of a passed-through call: byte for byte, as it comes, read for what it used on the way."""

from tidegate.exchange.forward import passed_headers
from tidegate.exchange.journey import Journey
from tidegate.model.errors import UpstreamTruncated
from tidegate.model.usage import Usage, UsageReport
from tidegate.providers.catalog import usage_rules
from tidegate.providers.transport import Reply, TransportError
from tidegate.wire.passthrough import PassCodec
from tidegate.wire.passthrough.reply import PassWatcher

FREE = UsageReport(usage=Usage(input_uncached=0, output_text=0), rule="free", stated_input=0, stated_output=0)
"""The usage of what costs nothing."""


async def pass_on(journey: Journey, reply: Reply) -> None:
    """Give the client a reply once the begin is on the disk.

    Raises UpstreamTruncated for one that breaks off: all that is left is a visible cut.
    """
    plan, flight, client = journey.plan, journey.flight, journey.client
    watcher = _watcher(journey, reply)
    await journey.entry.synced()
    journey.http = reply.status
    await client.start(reply.status, passed_headers(reply.headers, plan.call.id, journey.headers))
    whole_bytes = int(reply.headers.get("content-length", "-1"))
    try:
        async for chunk in reply.chunks():
            if flight.first_event_us is None:
                journey.shown()
            if watcher is not None:
                watcher.feed(chunk)
            journey.bytes_out += len(chunk)
            if journey.bytes_out == whole_bytes:  # its client may leave with the last byte
                _whole(journey, watcher)
            await client.write(chunk, more=True)
    except TransportError as error:
        journey.fail("upstream_truncated", status="truncated", outcome="truncated")
        text = f"The provider's reply broke off ({error.phase})."
        raise UpstreamTruncated(text) from None
    _whole(journey, watcher)
    await client.write(b"", more=False)


def _watcher(journey: Journey, reply: Reply) -> PassWatcher | None:
    """A watcher for a reply that may cost; what is free says so at once."""
    plan, flight = journey.plan, journey.flight
    if plan.is_free:
        flight.reply.usage, flight.reply.complete = FREE, True
        return None
    assert isinstance(plan.codec, PassCodec)
    rules = usage_rules(flight.outbound.provider, "pass")
    watcher = plan.codec.watch(reply.headers.get("content-type", ""), rules)
    flight.reply = watcher.facts
    return watcher


def _whole(journey: Journey, watcher: PassWatcher | None) -> None:
    """Note that the reply is whole; a repeat does nothing."""
    if journey.outcome is not None:
        return
    journey.delivered = True
    if watcher is not None:
        watcher.end()
        error = watcher.facts.error
        if error is not None:
            journey.fail(error.code or error.type or "error_in_reply")
            return
    journey.succeed()
