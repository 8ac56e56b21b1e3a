"""A fixed text in place of an error where every deployment has failed: marked as being no answer."""

from tidegate.exchange.call import Headers
from tidegate.exchange.journey import Journey
from tidegate.exchange.plan import Plan
from tidegate.model import event as ev
from tidegate.policy.resilience import Failure
from tidegate.wire.translate import ChatWriter, Fold, MessagesWriter, plain_chat, plain_message

MODEL = "tidegate-last-resort"
"""The model that such a reply names."""
EDIT = "reply.last_resort"
_MARK: Headers = [(b"tidegate-degraded", b"message")]
_OURS: frozenset[Failure] = frozenset({"bad", "context", "filter"})
"""Failures of the request itself, which its client must be told of."""
_JSON = (b"content-type", b"application/json")
_EVENTS = (b"content-type", b"text/event-stream; charset=utf-8")


def can_stand_in(plan: Plan, failure: Failure) -> bool:
    """Whether a text may stand for the answer: in chat and messages, where not the client erred."""
    return plan.facts.surface in ("chat", "messages") and failure not in _OURS


def text_reply(plan: Plan, text: str) -> tuple[Headers, bytes]:
    """The text as a reply of the client's dialect, as a stream where one was asked for."""
    facts, ident, created_s = plan.facts, plan.call.id, plan.call.at_us // 1_000_000
    events: tuple[ev.Event, ...] = (
        ev.Started(ident, MODEL),
        ev.TextDelta(text),
        ev.BlockEnded(),
        ev.Finished("stop"),
        ev.Ended(),
    )
    headers = [*_MARK, (b"tidegate-request-id", ident.encode()), (b"x-request-id", ident.encode())]
    is_chat = facts.surface == "chat"
    if facts.stream:
        writer = ChatWriter(created_s=created_s, asks_usage=False) if is_chat else MessagesWriter()
        return [_EVENTS, *headers], b"".join([writer.event(event) for event in events])
    fold = Fold()
    for event in events:
        fold.event(event)
    reply = fold.reply()
    return [_JSON, *headers], plain_chat(reply, created_s=created_s) if is_chat else plain_message(reply)


async def send_text(journey: Journey, text: str) -> None:
    """Answer a begun call with the text; it is recorded as failed."""
    headers, body = text_reply(journey.plan, text)
    journey.outcome, journey.error_code, journey.http = "failed", journey.flight.error_code, 200
    journey.edits.append(EDIT)
    await journey.entry.synced()
    await journey.client.reply(200, [*headers, *journey.headers], body)
    journey.bytes_out = len(body)
