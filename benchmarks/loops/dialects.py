"""A made run as the requests of one dialect."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from benchmarks.loops.made import Act
from tidegate.model.request import Surface

Json = dict[str, Any]
SYSTEM = "You are an agent with tools. Work until the task is done."
TASK = "Look into the open questions of the archive and report."


def requests(acts: tuple[Act, ...], surface: Surface) -> Iterator[tuple[Json, bool]]:
    """Yield the request that follows each act, as the gateway would get it."""
    said = _SAYS[surface]
    turns: list[Json] = [{"role": "user", "content": TASK}]
    for number, act in enumerate(acts):
        turns += said(act, f"call_{number}")
        match surface:
            case "chat":
                yield {"model": "m", "messages": [{"role": "system", "content": SYSTEM}, *turns]}, True
            case "messages":
                yield {"model": "m", "max_tokens": 1000, "system": SYSTEM, "messages": turns}, True
            case _:
                yield {"model": "m", "instructions": SYSTEM, "input": turns}, True


def _chat(act: Act, id_: str) -> list[Json]:
    if not act.tool:
        return [{"role": "assistant", "content": act.words}, {"role": "user", "content": act.result}]
    function = {"name": act.tool, "arguments": act.arguments}
    call = {"id": id_, "type": "function", "function": function}
    return [
        {"role": "assistant", "content": act.words or None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": id_, "content": act.result},
    ]


def _messages(act: Act, id_: str) -> list[Json]:
    if not act.tool:
        return [{"role": "assistant", "content": act.words}, {"role": "user", "content": act.result}]
    use = {"type": "tool_use", "id": id_, "name": act.tool, "input": msgspec.json.decode(act.arguments)}
    words = [{"type": "text", "text": act.words}] if act.words else []
    answer = [{"type": "text", "text": act.result}]
    result = {"type": "tool_result", "tool_use_id": id_, "content": answer}
    return [{"role": "assistant", "content": [*words, use]}, {"role": "user", "content": [result]}]


def _responses(act: Act, id_: str) -> list[Json]:
    words: list[Json] = []
    if act.words:
        content = [{"type": "output_text", "text": act.words}]
        words = [{"type": "message", "role": "assistant", "content": content}]
    if not act.tool:
        return [*words, {"type": "message", "role": "user", "content": act.result}]
    call = {"type": "function_call", "call_id": id_, "name": act.tool, "arguments": act.arguments}
    return [*words, call, {"type": "function_call_output", "call_id": id_, "output": act.result}]


_SAYS: dict[Surface, Callable[[Act, str], list[Json]]] = {
    "chat": _chat,
    "messages": _messages,
    "responses": _responses,
}
SURFACES: tuple[Surface, ...] = tuple(_SAYS)
