"""A tool call's arguments: JSON text in one dialect, a JSON object in the other."""

import msgspec

INVALID = "INVALID_JSON"
"""How Anthropic says to give back arguments that are no JSON (docs, "Fine-grained tool streaming")."""

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_wrapped = msgspec.json.Decoder(dict[str, str])


def input_of(arguments: str) -> tuple[msgspec.Raw, bool]:
    """Return a call's input, and whether the arguments were a JSON object; what is none is wrapped."""
    if not arguments.strip():
        return msgspec.Raw(b"{}"), True
    try:
        _object.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        return msgspec.Raw(msgspec.json.encode({INVALID: arguments})), False
    return msgspec.Raw(arguments.encode()), True


def arguments_in(raw: bytes) -> str:
    """Return the JSON text of an input, taken out of its wrapping where it has one."""
    raw = bytes(raw)
    if raw in (b"", b"null"):
        return "{}"
    if INVALID.encode() in raw:
        try:
            wrapped = _wrapped.decode(raw)
        except (msgspec.DecodeError, RecursionError):
            wrapped = {}
        if wrapped.keys() == {INVALID}:
            return wrapped[INVALID]
    return raw.decode()
