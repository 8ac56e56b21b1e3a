"""What a reader of requests gives: the conversation, and what of the client's request is not in it."""

import itertools
from collections.abc import Mapping, Sequence

import msgspec

from tidegate.model.message import Conversation, Message, Part, Text, Tool, ToolResult, ToolUse
from tidegate.wire.body import Body
from tidegate.wire.translate.loss import MAX_NAME, Loss


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was read.

    `lost` are values that the conversation does not hold, in the order they were met. `ignored` are the
    paths of fields that change no answer. `names` says what the client's dialect calls a field of chat, where
    that is another word.

    In the Responses dialect alone, `previous_id` is the response that this request goes on from, and `turns`
    are what must be remembered of it to be gone on from in turn: all but the instructions, which OpenAI does
    not carry over either.
    """

    conversation: Conversation
    lost: tuple[Loss, ...] = ()
    ignored: tuple[str, ...] = ()
    previous_id: str = ""
    turns: tuple[Message, ...] = ()
    names: Mapping[str, str] = {}


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


PREVIOUS = "previous_response_id"
"""The path of everything that an earlier request said: the one field by which this one says it again."""


def continued(asked: Asked, earlier: Sequence[Message]) -> Asked:
    """Return the request with earlier turns, the answers among them, before its own (trap K10).

    Its `turns` are then all of them, so that with the answer they are what the next request goes on from.
    """
    conversation = asked.conversation
    own_lead, _ = placed((), asked.turns)
    instructions = conversation.system[: len(conversation.system) - len(own_lead)]
    turns = (*map(_moved, earlier), *asked.turns)
    system, messages = placed(instructions, turns)
    called = _called(earlier)
    tools = tuple(_loaded(tool, called) for tool in conversation.tools)
    whole = msgspec.structs.replace(conversation, system=system, messages=messages, tools=tools)
    return msgspec.structs.replace(asked, conversation=whole, turns=turns)


def placed(
    instructions: Sequence[Text], turns: Sequence[Message]
) -> tuple[tuple[Text, ...], tuple[Message, ...]]:
    """Return the system prompt and the turns: instructions before the first turn belong to the prompt."""
    lead = tuple(itertools.takewhile(lambda turn: turn.role == "system", turns))
    texts = [part for turn in lead for part in turn.parts if isinstance(part, Text)]
    return (*instructions, *texts), tuple(turns[len(lead) :])


def _called(turns: Sequence[Message]) -> frozenset[str]:
    return frozenset(part.name for turn in turns for part in turn.parts if isinstance(part, ToolUse))


def _loaded(tool: Tool, called: frozenset[str]) -> Tool:
    """Return a tool that is loaded where an earlier turn called it (trap K5)."""
    return msgspec.structs.replace(tool, deferred=False) if tool.name in called else tool


def _moved(turn: Message) -> Message:
    parts = tuple(map(_moved_part, turn.parts))
    return msgspec.structs.replace(turn, parts=parts, at=PREVIOUS)


def _moved_part(part: Part) -> Part:
    if isinstance(part, ToolResult):
        inner = tuple(msgspec.structs.replace(one, at=PREVIOUS) for one in part.parts)
        return msgspec.structs.replace(part, parts=inner, at=PREVIOUS)
    return msgspec.structs.replace(part, at=PREVIOUS)
