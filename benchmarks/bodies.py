"""The requests that are sent: chat completions of 1 kB, of 8.5 kB, and of 80 kB with 25 tools."""

import json
from dataclasses import dataclass
from typing import Any

SMALL_BYTES = 1_000
MIDDLE_BYTES = 8_500
LARGE_BYTES = 80_000
LARGEST_BYTES = 100_000
TOOLS = 25
TURNS = 30

_PROSE = (
    "The harbour master wrote down every ship that came in on the morning tide, what it carried, "
    "for whom, and what the owner still had to pay. "
)


@dataclass(frozen=True, slots=True)
class Body:
    """One request body. `label` is what tables call it."""

    label: str
    raw: bytes


def _prose(size_bytes: int) -> str:
    return (_PROSE * (size_bytes // len(_PROSE) + 1))[:size_bytes]


def _filled(fields: dict[str, Any], message: dict[str, str], size_bytes: int) -> bytes:
    """Encode `fields`, with as much prose in `message` as makes the whole `size_bytes` long."""
    bare = len(json.dumps(fields, separators=(",", ":")))
    message["content"] = _prose(size_bytes - bare)
    return json.dumps(fields, separators=(",", ":")).encode()


def small(model: str, *, stream: bool = False) -> Body:
    """A short question under a system prompt."""
    question = {"role": "user", "content": ""}
    fields: dict[str, Any] = {"model": model, "max_tokens": 400}
    if stream:
        fields["stream"] = True
    fields["messages"] = [{"role": "system", "content": "You sort letters by subject."}, question]
    return Body("1 kB", _filled(fields, question, SMALL_BYTES))


def middle(model: str) -> Body:
    """A short conversation with a few tools and two results."""
    return _conversation("8.5 kB", model, MIDDLE_BYTES, system_bytes=1_500, turns=2, tools=4)


def large(model: str) -> Body:
    """A long conversation of an agent, with its tools."""
    return _conversation("80 kB, 25 tools", model, LARGE_BYTES, system_bytes=6_000, turns=TURNS, tools=TOOLS)


def largest(model: str) -> Body:
    """As long a conversation as a hold has its allotment for."""
    return _conversation(
        "100 kB, 25 tools", model, LARGEST_BYTES, system_bytes=6_000, turns=TURNS, tools=TOOLS
    )


def _conversation(
    label: str, model: str, size_bytes: int, *, system_bytes: int, turns: int, tools: int
) -> Body:
    question = {"role": "user", "content": ""}
    messages: list[dict[str, Any]] = [{"role": "system", "content": _prose(system_bytes)}]
    for turn in range(turns):
        function = {"name": f"tool_{turn % tools}", "arguments": json.dumps({"path": f"/letters/{turn}"})}
        call = {"id": f"call_{turn}", "type": "function", "function": function}
        messages += [
            {"role": "user", "content": _prose(300)},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": f"call_{turn}", "content": _prose(900)},
        ]
    listed = [_tool(number) for number in range(tools)]
    fields = {"model": model, "max_tokens": 400, "tools": listed, "messages": [*messages, question]}
    return Body(label, _filled(fields, question, size_bytes))


def _tool(number: int) -> dict[str, Any]:
    properties = {f"argument_{place}": {"type": "string", "description": _prose(90)} for place in range(4)}
    schema = {"type": "object", "properties": properties, "required": ["argument_0"]}
    return {
        "type": "function",
        "function": {"name": f"tool_{number}", "description": _prose(250), "parameters": schema},
    }
