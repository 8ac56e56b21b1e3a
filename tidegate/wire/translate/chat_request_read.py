"""Read a chat request into a conversation."""

from typing import Literal, assert_never, get_args

import msgspec

from tidegate.model.errors import BadRequest
from tidegate.model.message import (
    Conversation,
    Effort,
    Output,
    Reasoning,
    Tool,
    ToolChoice,
)
from tidegate.wire import fields
from tidegate.wire.body import Body
from tidegate.wire.translate import chat_words as words
from tidegate.wire.translate.asked import Asked, other_fields
from tidegate.wire.translate.chat_turns_read import Turns
from tidegate.wire.translate.loss import Loss, decode, said

EFFORTS = frozenset(get_args(Effort))

KNOWN = frozenset(
    (
        *("model", "messages", "tools", "tool_choice", "parallel_tool_calls", "response_format"),
        *("max_tokens", "max_completion_tokens", "temperature", "top_p", "top_k", "stop", "seed", "n"),
        *("frequency_penalty", "presence_penalty", "stream", "stream_options", "user", "service_tier"),
        *("reasoning_effort", "reasoning", "safety_identifier", "cache_control"),
    )
)

HARMLESS: dict[str, tuple[bytes, ...] | None] = {
    "metadata": None,  # labels for the provider's own dashboards, and for ours
    "prompt_cache_key": None,  # changes cost and speed
    "prompt_cache_retention": None,
    "prompt_cache_options": None,
    "prediction": None,  # changes speed: a wrong prediction costs, and is not said
    "usage": None,  # OpenRouter's wish for a cost, which the record has
    "store": (b"false",),
    "logprobs": (b"false",),
    "top_logprobs": (b"0",),
    "logit_bias": (b"{}",),
    "modalities": (b'["text"]',),
    "functions": (b"[]",),
    "function_call": (b'"auto"', b'"none"'),
}
"""Fields that change no answer: with any value (None), or with the values that ask for nothing."""


def read_chat(body: Body) -> Asked:
    """Return what a chat request asks. Raises WrongType or BadRequest, naming the field's path."""
    lost: list[Loss] = []
    ignored = list(other_fields(body, KNOWN, HARMLESS, lost))
    turns = Turns(lost, ignored)
    raw = fields.bounded(body, "messages")
    if not raw:
        raise BadRequest("messages: a chat needs a list of messages", param="messages")
    turns.read(decode(words.MESSAGES, raw, "messages", lost))
    user, other = fields.string_of(body, "user"), fields.string_of(body, "safety_identifier")
    if user and other:
        ignored.append("safety_identifier")
    stream = bool(body.get("stream", bool))
    conversation = Conversation(
        model=fields.model_of(body),
        messages=tuple(turns.messages),
        system=tuple(turns.system),
        tools=_tools(body, lost),
        tool_choice=_tool_choice(body, lost),
        parallel_tools=body.get("parallel_tool_calls", bool),
        output=_output(body, lost),
        reasoning=_reasoning(body, lost),
        max_output=_max_output(body),
        temperature=body.get("temperature", float),
        top_p=body.get("top_p", float),
        top_k=body.get("top_k", int),
        stop=_stop(body, lost),
        seed=body.get("seed", int),
        frequency_penalty=body.get("frequency_penalty", float),
        presence_penalty=body.get("presence_penalty", float),
        n=body.get("n", int) or 1,
        stream=stream,
        asks_usage=_asks_usage(body, lost, ignored),
        user=user or other,
        service_tier=service_tier_of(body, lost),
        cache=msgspec.Raw(body.value("cache_control") or b""),
    )
    return Asked(conversation=conversation, lost=tuple(lost), ignored=tuple(ignored))


def _max_output(body: Body) -> int | None:
    old = fields.output_limit(body, "max_tokens")
    new = fields.output_limit(body, "max_completion_tokens")
    return old if new is None else new if old is None else max(old, new)


def _tools(body: Body, lost: list[Loss]) -> tuple[Tool, ...]:
    raw = fields.bounded(body, "tools")
    if not raw:
        return ()
    tools = decode(words.TOOLS, raw, "tools", lost)
    fields.check_count(len(tools), "tools")
    return tuple(
        Tool(
            name=tool.function.name,
            description=tool.function.description or "",
            schema=tool.function.parameters if said(tool.function.parameters) else words.NONE,
            strict=tool.function.strict,
            cache=tool.cache_control,
            at=f"tools[{index}].function",
        )
        for index, tool in enumerate(tools)
        if tool is not None
    )


def _tool_choice(body: Body, lost: list[Loss]) -> ToolChoice | None:
    raw = body.value("tool_choice")
    if raw is None:
        return None
    choice = decode(words.CHOICE, raw, "tool_choice", lost)
    match choice:
        case None:
            return None
        case words.NamedChoice():
            return ToolChoice(kind="named", name=choice.function.name)
        case "auto" | "none":
            return ToolChoice(kind=choice)
        case "required" | "any":  # trap K15
            return ToolChoice(kind="any")
        case str():
            lost.append(Loss("tool_choice", f"`{choice[:32]}`"))
            return None
        case _:
            assert_never(choice)


def _output(body: Body, lost: list[Loss]) -> Output | None:
    raw = body.value("response_format")
    if raw is None:
        return None
    wanted = decode(words.FORMAT, raw, "response_format", lost)
    match wanted:
        case words.JsonFormat():
            return Output(kind="json", at="response_format")
        case words.SchemaFormat():
            schema = wanted.json_schema
            return Output(
                kind="schema",
                name=schema.name,
                description=schema.description or "",
                schema=schema.schema,
                strict=bool(schema.strict),
                at="response_format.json_schema",
            )
        case words.TextFormat() | None:
            return None
        case _:
            assert_never(wanted)


def _reasoning(body: Body, lost: list[Loss]) -> Reasoning | None:
    effort = body.get("reasoning_effort", str)
    if effort is not None:
        return effort_word(effort, "reasoning_effort", lost)
    raw = body.value("reasoning")
    if raw is None:
        return None
    options = decode(words.REASONING, raw, "reasoning", lost)
    if options.enabled is False:
        return Reasoning(effort="none", at="reasoning.enabled")
    if options.max_tokens is not None:
        return Reasoning(budget_tokens=options.max_tokens, at="reasoning.max_tokens")
    if options.effort is not None:
        return effort_word(options.effort, "reasoning.effort", lost)
    return Reasoning(adaptive=True, at="reasoning.enabled") if options.enabled else None


def effort_word(word: str, at: str, lost: list[Loss]) -> Reasoning | None:
    """Return how much thinking a word of OpenAI's asks for; one it does not have is lost."""
    if word not in EFFORTS:
        lost.append(Loss(at, f"`{word[:32]}`"))
        return None
    return Reasoning(effort=msgspec.convert(word, Effort), at=at)


def _stop(body: Body, lost: list[Loss]) -> tuple[str, ...]:
    raw = body.value("stop")
    if raw is None:
        return ()
    stop = decode(words.STOP, raw, "stop", lost)
    return (stop,) if isinstance(stop, str) else tuple(stop)


def _asks_usage(body: Body, lost: list[Loss], ignored: list[str]) -> bool:
    raw = body.value("stream_options")
    if raw is None:
        return False
    options = decode(words.STREAM_OPTIONS, raw, "stream_options", lost)
    if options.include_obfuscation is not None:
        ignored.append("stream_options.include_obfuscation")
    return bool(options.include_usage)


def service_tier_of(body: Body, lost: list[Loss]) -> Literal["", "auto", "default"]:
    """Return the tier asked for; one that only some providers sell is lost."""
    match tier := fields.string_of(body, "service_tier"):
        case "" | "auto" | "default":
            return tier
        case _:
            lost.append(Loss("service_tier", f"`{tier[:32]}`"))
            return ""
