"""The few request fields that every dialect shares and that we check, because we act on them."""

from collections.abc import Sequence
from typing import TypeVar

import msgspec

from tidegate.model.errors import BadRequest, WrongType
from tidegate.wire.body import Body

MAX_MODEL_CHARS = 256
MAX_OUTPUT_TOKENS = 2**31 - 1
"""A limit no model comes near; above it a number is a mistake (case 24)."""

COUNTED_FROM_BYTES = 1_048_576
MAX_OBJECTS = 250_000
"""JSON objects one large field may hold; decoding more would stall the loop (case 23)."""

MAX_ELEMENTS = 20_000
"""Messages or blocks one request may hold."""

MAX_WORD_CHARS = 64
"""Words that records keep, of a client or a provider, are cut."""
MAX_METADATA = 64
MAX_METADATA_NAME = 64
MAX_METADATA_VALUE = 512

T = TypeVar("T")

_NULL = msgspec.Raw(b"null")
_elements = msgspec.json.Decoder(list[msgspec.Raw])
_metadata = msgspec.json.Decoder(dict[str, msgspec.Raw])
_string = msgspec.json.Decoder(str)


def model_of(body: Body) -> str:
    """Return the model's name, "" when none is given. Raises WrongType for one that is empty, or too long.

    Some servers need no model, and a stored prompt names its own; the operator may configure a default.
    """
    model = body.get("model", str)
    if model is None:
        return ""
    if not model:
        raise WrongType("model: name a model, such as an alias or provider/model", param="model")
    if len(model) > MAX_MODEL_CHARS:
        raise WrongType(
            f"model: {len(model)} characters, at most {MAX_MODEL_CHARS} are allowed", param="model"
        )
    return model


def output_limit(body: Body, name: str, *, least: int = 1) -> int | None:
    """Return a limit on output tokens; None when it is not set. Raises WrongType out of range (case 24)."""
    limit = body.get(name, int)
    if limit is not None and not least <= limit <= MAX_OUTPUT_TOKENS:
        raise WrongType(f"{name}: expected `int` from {least} to {MAX_OUTPUT_TOKENS}", param=name)
    return limit


def bounded(body: Body, name: str) -> bytes:
    """Return a field's raw bytes, empty when unset. Raises BadRequest above MAX_OBJECTS objects."""
    found = body.fields.get(name)
    raw = b"" if found is None or found == _NULL else bytes(found)
    if len(raw) > COUNTED_FROM_BYTES and (objects := raw.count(b"{")) > MAX_OBJECTS:
        raise BadRequest(f"{name}: {objects} JSON objects, at most {MAX_OBJECTS} are allowed", param=name)
    return raw


def string_of(body: Body, name: str) -> str:
    """Return a field that is a string; empty when it is not: the provider judges it."""
    raw = body.fields.get(name)
    try:
        return "" if raw is None else _string.decode(raw)
    except msgspec.DecodeError:
        return ""


def word_of(body: Body, name: str) -> str:
    """Return the start of a field that is one short word, such as a service tier: records keep it."""
    return string_of(body, name)[:MAX_WORD_CHARS]


def text_of(raw: bytes) -> str:
    """Return raw JSON that is a string; empty when it is something else, or nothing."""
    if not raw:
        return ""
    try:
        return _string.decode(raw)
    except msgspec.DecodeError:
        return ""


def is_zero(body: Body, name: str) -> bool:
    """Whether a field is the number 0, however it is spelled."""
    raw = body.fields.get(name)
    return raw is not None and bytes(raw).strip(b"-0.") == b""


def string_map(raw: bytes) -> dict[str, str]:
    """Return the string values of a JSON object, bounded; empty when it is no object."""
    if not raw:
        return {}
    try:
        pairs = _metadata.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return {}
    found: dict[str, str] = {}
    for name, value in pairs.items():
        text = text_of(value)
        if text and name and len(found) < MAX_METADATA:
            found[name[:MAX_METADATA_NAME]] = text[:MAX_METADATA_VALUE]
    return found


def elements(
    raw: bytes, every: msgspec.json.Decoder[list[T]], one: msgspec.json.Decoder[T], name: str
) -> tuple[Sequence[T | None], list[msgspec.Raw]] | None:
    """Return the elements of a JSON list, decoded and as bytes; one that does not decode is None.

    None when there is no list, or one that would cost too much to read element by element. Raises
    BadRequest above MAX_ELEMENTS.
    """
    if not raw:
        return [], []
    try:
        decoded = every.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        if raw.count(b",") > MAX_OBJECTS:
            return None
    else:
        check_count(len(decoded), name)
        return decoded, _elements.decode(raw)
    try:
        found = _elements.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None
    check_count(len(found), name)
    return [_element(element, one) for element in found], found


def check_count(count: int, name: str) -> None:
    """Raise BadRequest when a list holds more elements than can be read without a stall (case 23)."""
    if count > MAX_ELEMENTS:
        raise BadRequest(f"{name}: {count} elements, at most {MAX_ELEMENTS} are allowed", param=name)


def _element(raw: bytes, one: msgspec.json.Decoder[T]) -> T | None:
    try:
        return one.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        return None
