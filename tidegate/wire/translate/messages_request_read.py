"""Read a messages request into a conversation."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from tidegate.model.errors import BadRequest
from tidegate.model.message import Conversation, Output, Reasoning, Tool, ToolChoice
from tidegate.wire import fields
from tidegate.wire.body import Body
from tidegate.wire.translate import messages_words as words
from tidegate.wire.translate.asked import Asked, other_fields
from tidegate.wire.translate.loss import Loss, decode, said
from tidegate.wire.translate.messages_turns_read import Turns
from tidegate.wire.translate.reasoning import ANTHROPIC_EFFORTS

KNOWN = frozenset(
    (
        *("model", "messages", "system", "tools", "tool_choice", "max_tokens", "temperature", "top_p"),
        *("top_k", "stop_sequences", "stream", "thinking", "output_config", "output_format", "metadata"),
        *("service_tier", "cache_control", "context_management"),
    )
)

HARMLESS: dict[str, tuple[bytes, ...] | None] = {
    "diagnostics": None,  # asks why a cache missed
    "speed": (b'"standard"',),
    "inference_geo": (b'"global"',),
    "mcp_servers": (b"[]",),
}
"""Fields that change no answer: with any value (None), or with the values that ask for nothing."""

NAMES: Mapping[str, str] = {
    "stop": "stop_sequences",
    "max_completion_tokens": "max_tokens",
    "response_format": "output_config.format",
    "reasoning_effort": "output_config.effort",
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
    "user": "metadata.user_id",
}
"""What a client of this dialect calls a field of chat."""

CLEARS_THINKING = "clear_thinking_"
"""An edit of the context that another dialect needs not be told: it does not carry thinking."""


def read_messages(body: Body) -> Asked:
    """Return what a messages request asks. Raises WrongType or BadRequest, naming the field's path."""
    lost: list[Loss] = []
    ignored = list(other_fields(body, KNOWN, HARMLESS, lost))
    turns = Turns(lost, ignored)
    system = fields.bounded(body, "system")
    if system:
        turns.read_system(decode(words.SYSTEM, system, "system", lost))
    raw = fields.bounded(body, "messages")
    if not raw:
        raise BadRequest("messages: a conversation needs a list of messages", param="messages")
    turns.read(decode(words.MESSAGES, raw, "messages", lost))
    choice, parallel = _tool_choice(body, lost)
    max_output = fields.output_limit(body, "max_tokens", least=0)
    _context(body, lost, ignored)
    output, effort = _output_config(body, lost)
    conversation = Conversation(
        model=fields.model_of(body),
        messages=tuple(turns.messages),
        system=tuple(turns.system),
        tools=_tools(body, turns.loaded, lost, ignored),
        tool_choice=choice,
        parallel_tools=parallel,
        output=output,
        reasoning=_reasoning(body, effort, lost, ignored),
        max_output=max_output,
        temperature=body.get("temperature", float),
        top_p=body.get("top_p", float),
        top_k=body.get("top_k", int),
        stop=_stop(body, lost),
        stream=bool(body.get("stream", bool)),
        asks_usage=True,
        user=_user(body, ignored),
        service_tier=_service_tier(body, lost),
        cache=msgspec.Raw(body.value("cache_control") or b""),
    )
    return Asked(conversation=conversation, lost=tuple(lost), ignored=tuple(ignored), names=NAMES)


def _tools(body: Body, loaded: set[str], lost: list[Loss], ignored: list[str]) -> tuple[Tool, ...]:
    raw = fields.bounded(body, "tools")
    if not raw:
        return ()
    tools: list[Tool] = []
    pieces = decode(words.TYPED, raw, "tools", lost)
    fields.check_count(len(pieces), "tools")
    for index, piece in enumerate(pieces):
        at = f"tools[{index}]"
        kind = tool_type(piece)
        if kind not in ("", "custom"):
            lost.append(Loss(at, f"the provider's own tool `{kind[:64]}`"))
            continue
        tool = decode(words.TOOL, piece, at, lost)
        if tool.eager_input_streaming is not None:
            ignored.append(f"{at}.eager_input_streaming")  # changes when arguments come, not which
        deferred = bool(tool.defer_loading) and tool.name not in loaded
        if tool.defer_loading and not deferred:
            ignored.append(f"{at}.defer_loading")
        if tool.allowed_callers not in (None, [], ["direct"]):
            lost.append(Loss(f"{at}.allowed_callers"))
        tools.append(
            Tool(
                name=tool.name,
                description=tool.description or "",
                schema=tool.input_schema if said(tool.input_schema) else words.NONE,
                strict=tool.strict,
                deferred=deferred,
                cache=tool.cache_control,
                at=at,
            )
        )
    return tuple(tools)


class _Typed(msgspec.Struct):
    type: str | None = None


_typed = msgspec.json.Decoder(_Typed)


def tool_type(raw: bytes) -> str:
    """Return the `type` of a tool; empty when it has none."""
    try:
        return _typed.decode(raw).type or ""
    except (msgspec.DecodeError, RecursionError):
        return ""


def _tool_choice(body: Body, lost: list[Loss]) -> tuple[ToolChoice | None, bool | None]:
    """Return the choice, and whether tools may be called in parallel."""
    raw = body.value("tool_choice")
    if raw is None:
        return None, None
    choice = decode(words.CHOICE, raw, "tool_choice", lost)
    disabled = choice.disable_parallel_tool_use
    parallel = None if disabled is None else not disabled
    match choice.type:
        case "auto" | "none" | "any":
            return ToolChoice(kind=choice.type), parallel
        case "tool":
            return ToolChoice(kind="named", name=choice.name), parallel
        case other:
            lost.append(Loss("tool_choice", f"`{other[:32]}`"))
            return None, parallel


def _output_config(body: Body, lost: list[Loss]) -> tuple[Output | None, str]:
    """Return the form asked for and the effort; the older `output_format` says the form alone."""
    raw, older = body.value("output_config"), body.value("output_format")
    config = decode(words.OUTPUT_CONFIG, raw, "output_config", lost) if raw else words.OutputConfig()
    wanted, at = config.format, "output_config.format"
    if wanted is None and older is not None:
        wanted, at = decode(words.FORMAT, older, "output_format", lost), "output_format"
    effort = config.effort or ""
    if wanted is None:
        return None, effort
    return Output(kind="schema", name=wanted.name or "", schema=wanted.schema, at=at), effort


def _reasoning(body: Body, effort: str, lost: list[Loss], ignored: list[str]) -> Reasoning | None:
    """Return how much thinking is asked for, from `thinking` and from the effort beside it."""
    if effort and effort not in ANTHROPIC_EFFORTS:
        lost.append(Loss("output_config.effort", f"`{effort[:32]}`"))
        effort = ""
    raw = body.value("thinking")
    if raw is None:
        return _said_effort(effort, adaptive=False) if effort else None
    config = decode(words.THINKING, raw, "thinking", lost)
    if config.display is not None:
        ignored.append("thinking.display")  # how much of it is shown
    match config.type:
        case "disabled":
            return Reasoning(effort="none", at="thinking")
        case "adaptive":
            return _said_effort(effort, adaptive=True)
        case "enabled":
            return Reasoning(budget_tokens=config.budget_tokens or 1024, at="thinking.budget_tokens")
        case other:
            lost.append(Loss("thinking.type", f"`{other[:32]}`"))
            return None


def _said_effort(effort: str, *, adaptive: bool) -> Reasoning:
    at = "output_config.effort" if effort else "thinking"
    return msgspec.convert({"effort": effort or None, "adaptive": adaptive, "at": at}, Reasoning)


def _context(body: Body, lost: list[Loss], ignored: list[str]) -> None:
    raw = body.value("context_management")
    if raw is None:
        return
    context = decode(words.CONTEXT, raw, "context_management", lost)
    for index, edit in enumerate(context.edits or ()):
        at = f"context_management.edits[{index}]"
        if edit.type.startswith(CLEARS_THINKING):
            ignored.append(at)
        else:
            lost.append(Loss(at, f"`{edit.type[:64]}`"))


def _stop(body: Body, lost: list[Loss]) -> tuple[str, ...]:
    raw = body.value("stop_sequences")
    if raw is None:
        return ()
    stop = decode(words.STOP, raw, "stop_sequences", lost)
    return tuple(stop)


def _user(body: Body, ignored: list[str]) -> str:
    """Return the user's id; other metadata are labels."""
    raw = body.value("metadata")
    if raw is None:
        return ""
    others: list[Loss] = []
    found = decode(words.METADATA, raw, "metadata", others)
    ignored += (loss.path for loss in others)
    return found.user_id or ""


def _service_tier(body: Body, lost: list[Loss]) -> Literal["", "auto", "default"]:
    match tier := fields.string_of(body, "service_tier"):
        case "" | "auto":
            return tier
        case "standard_only":
            return "default"
        case _:
            lost.append(Loss("service_tier", f"`{tier[:32]}`"))
            return ""
