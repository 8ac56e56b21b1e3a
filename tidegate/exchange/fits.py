"""Whether a deployment can take a request at all, so that a fallback is not sent what it must refuse (R4)."""

import msgspec

from tidegate.model.request import RequestFacts
from tidegate.services.outbound import Outbound


class _Message(msgspec.Struct, gc=False):
    role: str = ""


_message = msgspec.json.Decoder(_Message)


def fits(facts: RequestFacts, outbound: Outbound) -> bool:
    """False only where the catalogue says that the model cannot: what nobody says is tried."""
    able = outbound.abilities
    if facts.has_tools and able.tools is False:
        return False
    if facts.image_count and able.images is False:
        return False
    if facts.has_schema and able.json_schema is False:
        return False
    return able.prefill not in ("refused", "not_taken") or not is_prefilled(facts)


def is_prefilled(facts: RequestFacts) -> bool:
    """Whether the request ends with the start of the answer: an assistant turn without a call."""
    if not facts.prompt or not facts.message_count:
        return False
    try:
        return _message.decode(facts.prompt[-1]).role == "assistant"
    except msgspec.DecodeError:
        return False
