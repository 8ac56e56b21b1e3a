"""Inputs of the surfaces without messages: a text, several, token ids, or several lists of those."""

import re

import msgspec

from tidegate.model.errors import BadRequest
from tidegate.model.request import Part
from tidegate.wire import fields
from tidegate.wire.body import Body, wrong_type
from tidegate.wire.measure import Tally

BYTES_PER_TOKEN_ID = 4
"""An input of token ids is measured as if each were this much text, which is about an English token."""

MAX_TEXTS = 500_000
"""Far above what any provider takes (2,048 at OpenAI); decoding more would stall the loop (case 23)."""

_OPENING = re.compile(rb"[\[ \t\r\n]*")
_string = msgspec.json.Decoder(str)
_texts = msgspec.json.Decoder(list[str])


class _Object(msgspec.Struct, gc=False):
    pass


_objects = msgspec.json.Decoder(list[_Object])


class Inputs(msgspec.Struct, frozen=True, gc=False):
    """How many inputs a field holds, and where their bytes go."""

    count: int
    part: Part


def read_inputs(body: Body, name: str) -> Inputs:
    """Return what field `name` holds. Raises BadRequest above MAX_TEXTS, WrongType for a broken list.

    Token ids are counted by their commas and not decoded. A shape that is none of these is measured
    as its JSON and left to the provider to judge.
    """
    raw = fields.bounded(body, name)
    if not raw:
        return Inputs(0, Part())
    tally = Tally(size_bytes=len(raw))
    opening = _OPENING.match(raw)
    assert opening is not None, "the pattern matches the empty text"
    try:
        count = _count(raw, opening.group().count(b"["), raw[opening.end() :][:1], tally)
    except (msgspec.DecodeError, RecursionError) as error:
        raise wrong_type(name, error) from None
    return Inputs(count, tally.part())


def _count(raw: bytes, nested: int, start: bytes, tally: Tally) -> int:
    """Measure the inputs, whose first value starts with `start` inside `nested` lists; return how many."""
    if start == b'"' and nested == 0:
        tally.add(_string.decode(raw))
        return 1
    if start == b'"' and nested == 1:
        if len(raw) > MAX_TEXTS and raw.count(b'",') > MAX_TEXTS:
            raise BadRequest(f"more than {MAX_TEXTS} inputs in one request; send fewer")
        texts = _texts.decode(raw)
        tally.add("".join(texts))
        return len(texts)
    if nested and start.isdigit() and b'"' not in raw:
        size = (raw.count(b",") + 1) * BYTES_PER_TOKEN_ID
        tally.text_bytes, tally.ascii_bytes = size, size
        return raw.count(b"[") - 1 if nested > 1 else 1
    if nested and start == b"]":
        return 0
    tally.add_json(raw)
    return len(_objects.decode(raw)) if nested == 1 and start == b"{" else 1
