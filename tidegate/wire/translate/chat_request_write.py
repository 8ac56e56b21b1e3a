"""Write a conversation as a chat request."""

from collections.abc import Mapping, Sequence

import msgspec

from tidegate.model.message import (
    Conversation,
    Kept,
    Output,
    Reasoning,
    TargetTraits,
    Tool,
    ToolChoice,
)
from tidegate.wire.translate.asked import Asked, Written
from tidegate.wire.translate.chat_turns_write import TurnWriter
from tidegate.wire.translate.loss import Ledger, said
from tidegate.wire.translate.reasoning import effort_of, nearest
from tidegate.wire.translate.schema import is_strict

DIALECT = "OpenAI's chat"
SCHEMA_NAME = "answer"
"""A name that a schema must have and that another dialect does not give it."""

NO_PARAMETERS = msgspec.Raw(b'{"type":"object","properties":{}}')

_NOTHING: Mapping[str, Sequence[Kept]] = {}
_encode = msgspec.json.Encoder().encode


def write_chat(
    asked: Asked,
    traits: TargetTraits,
    *,
    model: str,
    drop_unsupported: bool = False,
    restored: Mapping[str, Sequence[Kept]] = _NOTHING,
) -> Written:
    """Return the request in OpenAI's words, for `model`.

    `restored` is what the gateway kept for a tool call, by its id (trap S11). Raises Unsupported, naming the
    first field that cannot be said, unless `drop_unsupported`.
    """
    ledger = Ledger(DIALECT, drop=drop_unsupported, adapted=asked.ignored, names=asked.names)
    for loss in asked.lost:
        ledger.lose(loss.path, loss.what)
    conversation = asked.conversation
    body: dict[str, object] = {"model": model}
    body["messages"] = TurnWriter(conversation, traits, ledger, restored).write()
    body |= _limits(conversation, traits, ledger)
    body |= _sampling(conversation, traits, ledger)
    body |= _tools(conversation, traits, ledger)
    if conversation.output is not None:
        body |= _output(conversation.output, traits, ledger)
    if conversation.reasoning is not None:
        body |= _reasoning(conversation.reasoning, conversation.max_output, traits, ledger)
    body |= _envelope(conversation, traits, ledger)
    _refuse(body, traits, ledger)
    return Written(body=_encode(body), dropped=ledger.dropped, adapted=ledger.adapted)


NEUTRAL: Mapping[str, tuple[object, ...]] = {
    "temperature": (1,),
    "top_p": (1,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "parallel_tool_calls": (True,),
    "tool_choice": ("auto",),
}
"""Values that ask for what happens anyway."""

UNHEARD = frozenset({"user", "service_tier", "stream_options"})
"""Fields that change no answer."""


def _refuse(body: dict[str, object], traits: TargetTraits, ledger: Ledger) -> None:
    """Leave out what the model refuses: without a word where it asks for nothing."""
    for name in sorted(traits.refuses & body.keys()):
        path = ledger.own(name)
        if name in UNHEARD or body[name] in NEUTRAL.get(name, ()):
            ledger.adapt(path)
        else:
            ledger.lose(path, "a value that the model does not take")
        del body[name]


def _envelope(conversation: Conversation, traits: TargetTraits, ledger: Ledger) -> dict[str, object]:
    fields: dict[str, object] = {}
    if conversation.user:
        fields["user"] = conversation.user
    if conversation.service_tier:
        fields["service_tier"] = conversation.service_tier
    if said(conversation.cache):
        if traits.cache_marks:
            fields["cache_control"] = conversation.cache
        else:
            ledger.adapt("cache_control")
    return fields


def _limits(conversation: Conversation, traits: TargetTraits, ledger: Ledger) -> dict[str, object]:
    fields: dict[str, object] = {}
    if conversation.max_output == 0:
        ledger.lose("max_tokens", "a request that only fills the cache")
    elif conversation.max_output is not None:
        fields[traits.output_limit_field] = conversation.max_output
    if conversation.stop:
        fields["stop"] = conversation.stop
    if conversation.n != 1:
        fields["n"] = conversation.n
    if conversation.stream:
        fields["stream"] = True
        if traits.asks_usage:
            fields["stream_options"] = {"include_usage": True}
    return fields


def _sampling(conversation: Conversation, traits: TargetTraits, ledger: Ledger) -> dict[str, object]:
    fields: dict[str, object] = {}
    for name in ("temperature", "top_p", "seed", "frequency_penalty", "presence_penalty"):
        value = getattr(conversation, name)
        if value is not None:
            fields[name] = value
    if conversation.top_k is not None:
        if traits.top_k:
            fields["top_k"] = conversation.top_k
        else:
            ledger.lose("top_k", "this field")
    return fields


def _tools(conversation: Conversation, traits: TargetTraits, ledger: Ledger) -> dict[str, object]:
    tools: list[object] = []
    for tool in conversation.tools:
        if tool.deferred:
            ledger.adapt(tool.at)  # trap K5
        elif not traits.tools:
            ledger.lose(tool.at, "a tool, which the model does not take,")
        elif len(tool.name) > traits.tool_name_chars:
            ledger.lose(f"{tool.at}.name", f"a name of more than {traits.tool_name_chars} characters")
        else:
            tools.append(_tool(tool, traits, ledger))
    if not tools:
        return _without_tools(conversation, ledger)
    fields: dict[str, object] = {"tools": tools}
    if conversation.tool_choice is not None:
        fields["tool_choice"] = _tool_choice(conversation.tool_choice)
    if conversation.parallel_tools is not None:
        fields["parallel_tool_calls"] = conversation.parallel_tools
    return fields


def _without_tools(conversation: Conversation, ledger: Ledger) -> dict[str, object]:
    choice = conversation.tool_choice
    if choice is not None and choice.kind in ("any", "named"):
        ledger.lose("tool_choice", "a forced call without tools")
    elif choice is not None or conversation.parallel_tools is not None:
        ledger.adapt("tool_choice" if choice is not None else ledger.own("parallel_tool_calls"))
    return {}


def _tool(tool: Tool, traits: TargetTraits, ledger: Ledger) -> object:
    function: dict[str, object] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    function["parameters"] = tool.schema if said(tool.schema) else NO_PARAMETERS
    if tool.strict:
        if not traits.structured_output:
            ledger.lose(f"{tool.at}.strict", "a guarantee that the model does not give")
        elif is_strict(tool.schema):
            function["strict"] = True
        else:
            ledger.adapt(f"{tool.at}.strict")
    elif tool.strict is False:
        function["strict"] = False
    wrapped: dict[str, object] = {"type": "function", "function": function}
    if said(tool.cache):
        if traits.cache_marks:
            wrapped["cache_control"] = tool.cache
        else:
            ledger.adapt(f"{tool.at}.cache_control")
    return wrapped


def _tool_choice(choice: ToolChoice) -> object:
    match choice.kind:
        case "named":
            return {"type": "function", "function": {"name": choice.name}}
        case "any":
            return "required"
        case kind:
            return kind


def _output(output: Output, traits: TargetTraits, ledger: Ledger) -> dict[str, object]:
    """Say the answer's form.

    OpenAI's strict mode takes fewer schemas than Anthropic's: the others go without it, and that is noted.
    """
    if output.kind == "json":
        if not traits.json_output:
            ledger.lose(output.at, "a JSON answer, which the model does not promise,")
            return {}
        return {"response_format": {"type": "json_object"}}
    if not traits.structured_output:
        ledger.lose(output.at, "a schema, which the model does not follow,")
        return {}
    schema: dict[str, object] = {"name": output.name or SCHEMA_NAME}
    if output.description:
        schema["description"] = output.description
    schema["schema"] = output.schema
    strict = is_strict(output.schema) if output.strict is None else output.strict
    if output.strict is None and not strict:
        ledger.adapt(output.at)
    schema["strict"] = strict
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def _reasoning(
    reasoning: Reasoning, max_output: int | None, traits: TargetTraits, ledger: Ledger
) -> dict[str, object]:
    """Say how much to think. What leaves it to the model needs no saying (trap K6)."""
    effort = reasoning.effort
    if effort is None and reasoning.budget_tokens is not None:
        effort = effort_of(reasoning.budget_tokens, max_output or traits.default_max_output)
        ledger.adapt(reasoning.at)
    if effort is None:
        ledger.adapt(reasoning.at)
        return {}
    word = nearest(effort, traits.efforts)
    if word is not None:
        if word != effort or reasoning.adaptive:
            ledger.adapt(reasoning.at)
        return {"reasoning_effort": word}
    if effort == "none" or reasoning.adaptive or reasoning.at == "output_config.effort":
        ledger.adapt(reasoning.at)
    else:
        ledger.lose(reasoning.at, "thinking, which the model cannot be asked for,")
    return {}
