"""OpenAI's embeddings: vectors that follow from the text alone."""

import base64
import math
import struct
from typing import Any

import msgspec

from tidegate.upstream.answer import Answer, Ask, AskError
from tidegate.upstream.dialect import Surface, encode, openai_error, openai_error_event
from tidegate.upstream.script import Script
from tidegate.upstream.usage import told
from tidegate.upstream.words import seed

DIMENSIONS = 16
MAX_DIMENSIONS = 4096


class _Body(msgspec.Struct):
    model: str
    input: Any
    encoding_format: str = "float"
    dimensions: int = DIMENSIONS


_decoder = msgspec.json.Decoder(_Body)


def read(raw: bytes) -> Ask:
    """Read a request; its body travels in the ask, since the answer needs each input. Raises AskError."""
    try:
        body = _decoder.decode(raw)
    except msgspec.DecodeError as error:
        raise AskError(str(error)) from None
    if not 1 <= body.dimensions <= MAX_DIMENSIONS:
        raise AskError(f"'dimensions' must be between 1 and {MAX_DIMENSIONS}")
    inputs = _inputs(body.input)
    return Ask(
        model=body.model,
        prompt=encode(inputs),
        text=inputs[-1],
        own=(inputs, body.dimensions, body.encoding_format),
        limit=0,
    )


def _inputs(value: Any) -> list[str]:
    """Return one text per vector; token ids stand as their JSON."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list) or not value:
        raise AskError("'input' must be a text, a list of texts or token ids")
    if isinstance(value[0], int):
        return [encode(value).decode()]
    return [item if isinstance(item, str) else encode(item).decode() for item in value]


def vector(text: str, dimensions: int) -> list[float]:
    """Return a vector of length 1."""
    number = seed(text)
    raw = [math.sin(number % 9973 * (i + 1)) for i in range(dimensions)]
    length = math.sqrt(sum(value * value for value in raw)) or 1.0
    return [value / length for value in raw]


def plain(ask: Ask, answer: Answer, script: Script) -> bytes:
    """Return the reply."""
    inputs, dimensions, form = ask.own
    rows: list[dict[str, Any]] = []
    for index, text in enumerate(inputs):
        values: Any = vector(text, dimensions)
        if form == "base64":
            values = base64.b64encode(struct.pack(f"<{dimensions}f", *values)).decode()
        rows.append({"object": "embedding", "index": index, "embedding": values})
    reply: dict[str, Any] = {
        "object": "list",
        "data": [] if script.empty_choices else rows,
        "model": answer.model,
    }
    if not script.no_usage:
        counts = {"prompt_tokens": answer.input, "total_tokens": answer.input}
        reply["usage"] = told(counts, answer, script)
    return encode(reply)


EMBEDDINGS = Surface("embd-", read, plain, None, openai_error, openai_error_event)
