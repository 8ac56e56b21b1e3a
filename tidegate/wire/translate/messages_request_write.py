"""Write a conversation as a messages request."""

import re
from collections.abc import Mapping, Sequence

import msgspec

from tidegate.model.errors import Unsupported
from tidegate.model.message import (
    Conversation,
    Effort,
    Kept,
    Message,
    Output,
    Reasoning,
    TargetTraits,
    Thinking,
    Tool,
    ToolResult,
    ToolUse,
)
from tidegate.wire.translate.asked import Asked, Written
from tidegate.wire.translate.loss import Ledger, said
from tidegate.wire.translate.messages_turns_write import TurnWriter
from tidegate.wire.translate.reasoning import (
    LEAST_BUDGET,
    budget_of,
    effort_of,
)
from tidegate.wire.translate.schema import described, typed

DIALECT = "Anthropic's messages"
NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}", re.ASCII)
MAX_TEMPERATURE = 1
LEAST_TOP_P_THINKING = 0.95
NO_THINKING: dict[str, object] = {"thinking": {"type": "disabled"}}

_NOTHING: Mapping[str, Sequence[Kept]] = {}
_encode = msgspec.json.Encoder().encode


def write_messages(
    asked: Asked,
    traits: TargetTraits,
    *,
    model: str,
    drop_unsupported: bool = False,
    restored: Mapping[str, Sequence[Kept]] = _NOTHING,
) -> Written:
    """Return the request in Anthropic's words, for `model`.

    `restored` is the thinking that the gateway kept for a tool call, by its id (trap S11). Raises
    Unsupported, naming the first field that cannot be said, unless `drop_unsupported`; always where no turn
    is left.
    """
    ledger = Ledger(DIALECT, drop=drop_unsupported, adapted=asked.ignored, names=asked.names)
    for loss in asked.lost:
        ledger.lose(loss.path, loss.what)
    conversation = asked.conversation
    writer = TurnWriter(conversation, traits, ledger, restored)
    messages = writer.write()
    if not messages:
        path = ledger.own("messages")
        raise Unsupported(f"{path}: a conversation needs a turn of the user", param=path)
    max_output = traits.default_max_output if conversation.max_output is None else conversation.max_output
    body: dict[str, object] = {"model": model, "max_tokens": max_output, "messages": messages}
    if writer.system:
        body["system"] = _system(writer.system)
    _lose_what_has_no_word(conversation, ledger)
    body |= _tools(conversation, traits, ledger)
    thinking, config = _thinking(conversation, max_output, traits, ledger, restored)
    body |= thinking
    body |= _sampling(conversation, traits, ledger, thinks=thinking not in ({}, NO_THINKING))
    if conversation.output is not None:
        config |= _output(conversation.output, traits, ledger)
    if config:
        body["output_config"] = config
    body |= _envelope(conversation)
    return Written(body=_encode(body), dropped=ledger.dropped, adapted=ledger.adapted)


def _envelope(conversation: Conversation) -> dict[str, object]:
    fields: dict[str, object] = {}
    if conversation.stream:
        fields["stream"] = True
    if conversation.user:
        fields["metadata"] = {"user_id": conversation.user}
    if conversation.service_tier:
        fields["service_tier"] = "standard_only" if conversation.service_tier == "default" else "auto"
    if said(conversation.cache):
        fields["cache_control"] = conversation.cache
    return fields


def _system(blocks: Sequence[dict[str, object]]) -> object:
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        return blocks[0]["text"]
    return blocks


def _lose_what_has_no_word(conversation: Conversation, ledger: Ledger) -> None:
    if conversation.n != 1:
        ledger.lose("n", "more than one answer")
    if conversation.seed is not None:
        ledger.lose("seed", "this field")
    for name in ("frequency_penalty", "presence_penalty"):
        if getattr(conversation, name):
            ledger.lose(name, "this field")
        elif getattr(conversation, name) is not None:
            ledger.adapt(name)


def _sampling(
    conversation: Conversation, traits: TargetTraits, ledger: Ledger, *, thinks: bool
) -> dict[str, object]:
    """Say how to sample; a model that thinks takes less of it (docs, "Extended thinking")."""
    fields: dict[str, object] = {}
    for name in ("temperature", "top_p", "top_k"):
        value = getattr(conversation, name)
        if value is None:
            continue
        if value == 1 and name != "top_k" and (thinks or name in traits.refuses):
            ledger.adapt(name)
        elif name in traits.refuses:
            ledger.lose(name, "a value that the model does not take")
        elif thinks and not (name == "top_p" and value >= LEAST_TOP_P_THINKING):
            ledger.lose(name, "a value that does not go with thinking")
        elif name == "temperature" and value > MAX_TEMPERATURE:
            ledger.lose(name, "a temperature above 1")
        else:
            fields[name] = value
    if conversation.stop:
        blank = [index for index, text in enumerate(conversation.stop) if not text.strip()]
        for index in blank:
            ledger.lose(f"stop[{index}]", "a stop sequence of white space")
        kept = [text for text in conversation.stop if text.strip()]
        if kept:
            fields["stop_sequences"] = kept
    return fields


def _tools(conversation: Conversation, traits: TargetTraits, ledger: Ledger) -> dict[str, object]:
    tools: list[object] = []
    for tool in conversation.tools:
        if tool.deferred:
            ledger.adapt(tool.at)  # trap K5
        elif not traits.tools:
            ledger.lose(tool.at, "a tool, which the model does not take,")
        elif not NAME.fullmatch(tool.name):
            ledger.lose(f"{tool.at}.name", "a name of other than letters, digits, `_` and `-`, at most 128,")
        else:
            tools.append(_tool(tool, traits, ledger))
    choice = conversation.tool_choice
    if not tools:
        if choice is not None and choice.kind in ("any", "named"):
            ledger.lose("tool_choice", "a forced call without tools")
        elif choice is not None or conversation.parallel_tools is not None:
            ledger.adapt("tool_choice" if choice is not None else "parallel_tool_calls")
        return {}
    said_choice = _tool_choice(conversation, traits, ledger)
    return {"tools": tools} if said_choice is None else {"tools": tools, "tool_choice": said_choice}


def _tool(tool: Tool, traits: TargetTraits, ledger: Ledger) -> object:
    out: dict[str, object] = {"name": tool.name}
    if tool.description:
        out["description"] = tool.description
    out["input_schema"] = typed(tool.schema)
    if tool.strict and not traits.structured_output:
        ledger.lose(f"{tool.at}.strict", "a guarantee that the model does not give")
    elif tool.strict is not None:
        out["strict"] = tool.strict
    if said(tool.cache):
        out["cache_control"] = tool.cache
    return out


def _tool_choice(
    conversation: Conversation, traits: TargetTraits, ledger: Ledger
) -> dict[str, object] | None:
    choice, parallel = conversation.tool_choice, conversation.parallel_tools
    kind = "auto" if choice is None else choice.kind
    if kind in ("any", "named") and "tool_choice" in traits.refuses:
        ledger.lose("tool_choice", "a forced call, which the model does not take,")
        kind, choice = "auto", None
    if kind == "none":
        return {"type": "none"}
    if choice is None and parallel is not False:
        return None
    out: dict[str, object] = {"type": "tool" if kind == "named" else kind}
    if choice is not None and choice.name:
        out["name"] = choice.name
    if parallel is not None:
        out["disable_parallel_tool_use"] = not parallel
    return out


def _output(output: Output, traits: TargetTraits, ledger: Ledger) -> dict[str, object]:
    """Say the answer's form. Anthropic is always strict, and a schema there has no name."""
    if output.kind == "json":
        ledger.lose(output.at, "JSON without a schema")
        return {}
    if not traits.structured_output:
        ledger.lose(output.at, "a schema, which the model does not follow,")
        return {}
    if output.name:
        ledger.adapt(f"{output.at}.name")
    if output.strict is False:
        ledger.adapt(f"{output.at}.strict")
    schema = described(output.schema, output.description)
    if output.description and schema == output.schema:
        ledger.adapt(f"{output.at}.description")  # the schema says what it is for already
    return {"format": {"type": "json_schema", "schema": schema}}


def _thinking(
    conversation: Conversation,
    max_output: int,
    traits: TargetTraits,
    ledger: Ledger,
    restored: Mapping[str, Sequence[Kept]],
) -> tuple[dict[str, object], dict[str, object]]:
    """Say how much to think, as the model's generation is asked: fields of the body, and `output_config`."""
    reasoning = conversation.reasoning
    if reasoning is None:
        return {}, {}
    if reasoning.effort == "none":
        return ({} if traits.thinking == "no" else NO_THINKING), {}
    choice = conversation.tool_choice
    is_forced = bool(conversation.tools) and choice is not None and choice.kind in ("any", "named")
    if traits.thinking == "no" or is_forced:
        what = "beside a forced call" if is_forced else "which the model cannot be asked for"
        ledger.lose(reasoning.at, f"thinking, {what},")
        return {}, {}
    if traits.thinking == "adaptive":
        effort = _adaptive_effort(reasoning, max_output, ledger)
        return {"thinking": {"type": "adaptive"}}, ({"effort": effort} if effort else {})
    return _budget(reasoning, conversation.messages, max_output, ledger, restored), {}


def _budget(
    reasoning: Reasoning,
    messages: Sequence[Message],
    max_output: int,
    ledger: Ledger,
    restored: Mapping[str, Sequence[Kept]],
) -> dict[str, object]:
    budget = reasoning.budget_tokens
    if budget is None:
        budget = budget_of(reasoning.effort or "high", max_output)
        ledger.adapt(reasoning.at)
    if budget is None or budget >= max_output:
        ledger.lose(reasoning.at, "thinking within so small an output limit")
        return {}
    if _is_open_without_thinking(messages, restored):
        ledger.adapt(reasoning.at)
        return {}
    return {"thinking": {"type": "enabled", "budget_tokens": max(budget, LEAST_BUDGET)}}


def _adaptive_effort(reasoning: Reasoning, max_output: int, ledger: Ledger) -> Effort | None:
    """Return the effort in one of Anthropic's words; None where the model is to choose."""
    effort = reasoning.effort
    if effort is None and reasoning.budget_tokens is not None:
        effort = effort_of(reasoning.budget_tokens, max_output)
        ledger.adapt(reasoning.at)
    if effort == "minimal":
        ledger.adapt(reasoning.at)
        return "low"
    return effort


def _is_open_without_thinking(messages: Sequence[Message], restored: Mapping[str, Sequence[Kept]]) -> bool:
    """Whether tool results come last, and the turn that called does not start with signed thinking.

    An older model refuses to think on in a turn that it did not start by thinking.
    """
    for message in reversed(messages):
        if message.role == "assistant":
            calls = [part for part in message.parts if isinstance(part, ToolUse)]
            signed = any(isinstance(part, Thinking) and part.signature for part in message.parts)
            return bool(calls) and not signed and not any(restored.get(call.id) for call in calls)
        if message.role == "user" and not all(isinstance(part, ToolResult) for part in message.parts):
            return False
    return False
