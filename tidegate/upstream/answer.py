"""What was asked and what is answered, free of any dialect."""

from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from tidegate.upstream.script import Script
from tidegate.upstream.words import count_input, instance, pieces, prose, seed

REASONING_TOKENS = 16
ANY_OBJECT: dict[str, Any] = {"type": "object"}


class AskError(ValueError):
    """The request is not one of its dialect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A function the model may call."""

    name: str
    schema: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request. `prompt` is the JSON that counts as input, oldest first; `text` the last user message.

    `tool_choice`: a tool's name, `required`, `auto` or `none`. `answered`: the last turn brings a tool's
    result. `prefill`: the last turn is the assistant's. `cache`: how the surface's provider caches a prompt.
    `own`: what only the surface's renderer reads.
    """

    model: str
    prompt: bytes
    text: str
    stream: bool = False
    limit: int | None = None
    tools: tuple[Tool, ...] = ()
    tool_choice: str = "auto"
    answered: bool = False
    schema: Any = None
    include_usage: bool = False
    reasons: bool = False
    prefill: bool = False
    cache: Literal["auto", "marks"] = "auto"
    own: Any = None

    @property
    def input(self) -> int:
        """The tokens of the prompt."""
        return count_input(self.prompt)


@dataclass(frozen=True, slots=True)
class Call:
    """One tool call of the answer; `arguments` is JSON."""

    id: str
    name: str
    arguments: str


@dataclass(slots=True, kw_only=True)
class Answer:
    """One reply. `finish`: stop, length or tools. `tokens` are the text's deltas.

    `cache_read` and `cache_write` are parts of `input`, `cache_write_1h` of the latter, `reasoning` of
    `output`.
    """

    id: str
    created_s: int
    model: str
    tokens: list[str]
    calls: list[Call] = field(default_factory=list)
    finish: str = "stop"
    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    reasoning: int = 0
    output: int = 0

    @property
    def text(self) -> str:
        """The whole visible text."""
        return "".join(self.tokens)


def answer(ask: Ask, script: Script, *, id_: str, model: str, created_s: int, output_tokens: int) -> Answer:
    """Return what the scripted provider says to `ask`."""
    number = seed(ask.text)
    calls = _calls(ask, script, number, id_)
    wanted = output_tokens if script.output_tokens is None else script.output_tokens
    reasoning = script.reasoning_tokens
    if reasoning is None:
        reasoning = REASONING_TOKENS if ask.reasons else 0
    if script.text is not None:
        text = script.text
    elif calls:
        text = ""
    elif ask.schema is not None:
        text = msgspec.json.encode(instance(ask.schema, number)).decode()
    else:
        text = prose(ask.text, wanted)
        if script.breaks_at("utf8") or "utf8" in (script.end_after, script.stall_after):
            text = text.replace("e", "\u00e9").replace("o", "\u4e16")
    tokens, finish = pieces(text), "tools" if calls else "stop"
    if ask.limit is not None and len(tokens) + reasoning > ask.limit:
        reasoning = min(reasoning, ask.limit)
        tokens, finish = tokens[: ask.limit - reasoning], "length"
    spoken = len(tokens) + sum(len(pieces(call.arguments)) for call in calls)
    if script.delta_chars is not None:
        tokens = pieces("".join(tokens), script.delta_chars)
    return Answer(
        id=id_,
        created_s=created_s,
        model=script.model or model,
        tokens=tokens,
        calls=calls,
        finish=finish,
        input=ask.input,
        reasoning=reasoning,
        output=spoken + reasoning,
    )


def _calls(ask: Ask, script: Script, number: int, id_: str) -> list[Call]:
    """Call what the script names; else the forced tool; else one that the user's text mentions by name."""
    if ask.answered or ask.tool_choice == "none":
        return []
    schemas = {tool.name: tool.schema for tool in ask.tools}
    wanted: list[tuple[str, Any]] = [(call.name, call.arguments) for call in script.calls]
    if not wanted and ask.tools:
        if ask.tool_choice in schemas:
            wanted = [(ask.tool_choice, None)]
        elif ask.tool_choice == "required" or _in_a_call(script):
            wanted = [(ask.tools[0].name, None)]
        else:
            wanted = [(name, None) for name in schemas if name in ask.text][:1]
    if not wanted and _in_a_call(script):
        wanted = [("scripted_tool", {"scripted": "arguments that are cut"})]
    calls = []
    for index, (name, arguments) in enumerate(wanted):
        given = instance(schemas.get(name) or ANY_OBJECT, number) if arguments is None else arguments
        calls.append(Call(f"{id_}{index}", name, msgspec.json.encode(given).decode()))
    return calls


def _in_a_call(script: Script) -> bool:
    """Whether the script wants something to happen inside a call's arguments, so that there has to be one."""
    return script.breaks_at("tool") or "tool" in (script.end_after, script.stall_after)
