"""Deterministic content: text from a fixed vocabulary, values for a JSON schema, and a rule for tokens.

The rule: an output token is a piece of four characters; the input is a quarter of its JSON's bytes, rounded
up, where an image counts 85 tokens instead of its base64 text.
"""

import re
from typing import Any
from zlib import crc32

TOKEN_CHARS = 4
IMAGE_TOKENS = 85
MAX_SCHEMA_DEPTH = 12
MAX_ITEMS = 100
VOCABULARY = (
    "the cap sum net day key log row fee bill map run set top low mid old new big far one two six ten "
    "red tan our his her its day and but for nor yet all any few who how why yes not now day out off "
    "add cut end get let put say see use win ask buy fit fix own pay"
)
WORDS = tuple(word for word in VOCABULARY.split() if len(word) == TOKEN_CHARS - 1)
LOOP = " ".join(WORDS) + " "
IMAGE_DATA = re.compile(rb'"(?:data:image/[^"]*|[A-Za-z0-9+/=]{200,})"')


def seed(text: str) -> int:
    """Return a number that follows from the text alone."""
    return crc32(text.encode())


def prose(text: str, tokens: int) -> str:
    """Return exactly `tokens` tokens of words that follow from `text`."""
    start = seed(text) % len(WORDS) * TOKEN_CHARS
    length = tokens * TOKEN_CHARS
    if not length:
        return ""
    looped = LOOP * ((start + length) // len(LOOP) + 1)
    return looped[start : start + length - 1] + "."


def pieces(text: str, size: int = TOKEN_CHARS) -> list[str]:
    """Cut a text into its tokens, or into pieces of another size."""
    return [text[i : i + size] for i in range(0, len(text), size)]


def count_input(prompt: bytes) -> int:
    """Return the tokens of a prompt's JSON."""
    images = 0
    if b"image" in prompt:
        prompt, images = IMAGE_DATA.subn(b'""', prompt)
    return -(-len(prompt) // TOKEN_CHARS) + images * IMAGE_TOKENS


def instance(schema: Any, number: int, defs: dict[str, Any] | None = None, depth: int = 0) -> Any:
    """Return a small value that fits a JSON schema; `number` picks among an enum's values."""
    if not isinstance(schema, dict) or depth > MAX_SCHEMA_DEPTH:
        return None
    defs = defs if defs is not None else {**schema.get("definitions", {}), **schema.get("$defs", {})}
    if "const" in schema:
        return schema["const"]
    if enum := schema.get("enum"):
        return enum[number % len(enum)]
    name = str(schema.get("$ref", "")).rsplit("/", 1)[-1]
    options = schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf")
    other = defs.get(name) if name else options[0] if options else None
    if other is not None:
        return instance(other, number, defs, depth + 1)
    return _typed(schema, number, defs, depth)


def _typed(schema: dict[str, Any], number: int, defs: dict[str, Any], depth: int) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    match kind[0] if isinstance(kind, list) else kind:
        case "object":
            properties = schema.get("properties", {})
            names = properties if depth < MAX_SCHEMA_DEPTH // 2 else schema.get("required", ())
            return {name: instance(properties.get(name), number, defs, depth + 1) for name in names}
        case "array":
            item = instance(schema.get("items"), number, defs, depth + 1)
            return [item] * min(max(1, schema.get("minItems", 1)), MAX_ITEMS)
        case "integer" | "number":
            return schema.get("minimum", number % 10)
        case "boolean":
            return number % 2 == 0
        case "null":
            return None
        case _:
            return WORDS[number % len(WORDS)]
