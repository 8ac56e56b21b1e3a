"""What a reader of requests gives: the conversation, and what of the client's request is not in it."""

from collections.abc import Mapping

import msgspec

from tidegate.model.message import Conversation
from tidegate.wire.body import Body
from tidegate.wire.translate.loss import MAX_NAME, Loss


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was read.

    `lost` are values that the conversation does not hold, in the order they were met. `ignored` are the
    paths of fields that change no answer.
    """

    conversation: Conversation
    lost: tuple[Loss, ...] = ()
    ignored: tuple[str, ...] = ()


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """A request in another dialect.

    `dropped` are the paths of values that it leaves out by the client's leave, `adapted` of those that go
    over in other words or change no answer.
    """

    body: bytes
    dropped: tuple[str, ...] = ()
    adapted: tuple[str, ...] = ()


def other_fields(
    body: Body, known: frozenset[str], harmless: Mapping[str, tuple[bytes, ...] | None], lost: list[Loss]
) -> tuple[str, ...]:
    """Sort out the top-level fields that the reader does not know; return those that change no answer.

    `harmless` maps a field to the raw values that ask for nothing, or to None when no value of it does.
    """
    ignored: list[str] = []
    for name, raw in body.items():
        if name in known or raw == b"null":
            continue
        values = harmless.get(name, ())
        if values is None or b"".join(raw.split()) in values:
            ignored.append(name[:MAX_NAME])
        else:
            lost.append(Loss(name[:MAX_NAME]))
    return tuple(ignored)
