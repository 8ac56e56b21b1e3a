"""What the two dialects ask of a JSON Schema."""

from collections.abc import Iterator

import msgspec

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_OBJECT = b'{"type":"object"'
MAX_DEPTH = 64


def is_strict(schema: bytes) -> bool:
    """Whether OpenAI's strict mode takes a schema: each object closed, and every property required.

    Source: OpenAI's guide "Structured model outputs", supported schemas.
    """
    try:
        found = msgspec.json.decode(schema)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and all(map(_is_closed, _objects(found, MAX_DEPTH)))


def typed(schema: bytes) -> msgspec.Raw:
    """Return a tool's schema with the `type` that Anthropic wants to see at its top."""
    if not schema:
        return msgspec.Raw(_OBJECT + b',"properties":{}}')
    if bytes(schema).startswith((_OBJECT, b'{"type": "object"')):
        return msgspec.Raw(schema)
    try:
        fields = _fields.decode(schema)
    except (ValueError, RecursionError):
        return msgspec.Raw(schema)
    if "type" in fields or "$ref" in fields:
        return msgspec.Raw(schema)
    return msgspec.Raw(msgspec.json.encode({"type": "object", **fields}))


def described(schema: bytes, description: str) -> msgspec.Raw:
    """Return a schema that says what it is for, where it does not say so already."""
    try:
        fields = _fields.decode(schema)
    except (ValueError, RecursionError):
        return msgspec.Raw(schema)
    if not description or "description" in fields:
        return msgspec.Raw(schema)
    return msgspec.Raw(msgspec.json.encode({**fields, "description": description}))


def _is_closed(schema: dict[str, object]) -> bool:
    properties = schema.get("properties", {})
    required = schema.get("required", [])
    if not isinstance(properties, dict) or not isinstance(required, list):
        return False
    return schema.get("additionalProperties") is False and set(properties) <= {
        name for name in required if isinstance(name, str)
    }


def _objects(value: object, depth: int) -> Iterator[dict[str, object]]:
    """Yield every schema of an object, however deep."""
    if depth < 0:
        yield {}
    elif isinstance(value, dict):
        if value.get("type") == "object" or isinstance(value.get("properties"), dict):
            yield value
        for inner in value.values():
            yield from _objects(inner, depth - 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _objects(inner, depth - 1)
