"""Read a Responses request into a conversation."""

from collections.abc import Mapping
from typing import assert_never

from tidegate.model.errors import BadRequest
from tidegate.model.message import Conversation, Output, Reasoning, Text
from tidegate.wire import fields
from tidegate.wire.body import Body
from tidegate.wire.translate import responses_words as words
from tidegate.wire.translate.asked import Asked, other_fields, placed
from tidegate.wire.translate.chat_request_read import effort_word, service_tier_of
from tidegate.wire.translate.loss import Loss, decode
from tidegate.wire.translate.namespaces import namespaces_of
from tidegate.wire.translate.responses_tools_read import Tools, tool_choice
from tidegate.wire.translate.responses_turns_read import Turns

KNOWN = frozenset(
    (
        *("model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "text"),
        *("reasoning", "max_output_tokens", "temperature", "top_p", "stream", "stream_options", "user"),
        *("safety_identifier", "service_tier", "previous_response_id", "include"),
    )
)

HARMLESS: Mapping[str, tuple[bytes, ...] | None] = {
    "metadata": None,  # labels for the provider's own dashboards, and for ours; the reply repeats them
    "store": None,  # whether the gateway remembers the response (trap K10)
    "prompt_cache_key": None,  # changes cost and speed
    "prompt_cache_retention": None,
    "prompt_cache_options": None,
    "truncation": (b'"disabled"',),
    "background": (b"false",),
    "top_logprobs": (b"0",),
    "context_management": (b"[]",),
}
"""Fields that change no answer: with any value (None), or with the values that ask for nothing."""

NAMES: Mapping[str, str] = {
    "messages": "input",
    "max_completion_tokens": "max_output_tokens",
    "max_tokens": "max_output_tokens",
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
    "image_url.detail": "detail",
}
"""What a client of this dialect calls a field of chat."""

SEALED = "reasoning.encrypted_content"
"""What a client includes to give thinking back; a reply has it in any case."""

STANDS_FOR_INPUT = ("previous_response_id", "prompt", "conversation")
"""Fields without which a request must have an input."""


def read_responses(body: Body) -> Asked:
    """Return what a Responses request asks. Raises WrongType or BadRequest, naming the field's path.

    `turns` are the request's own: what came before `previous_id` is put before them by `continued`.
    """
    lost: list[Loss] = []
    ignored = list(other_fields(body, KNOWN, HARMLESS, lost))
    names = namespaces_of(body)
    turns = Turns(names, lost, ignored)
    raw = fields.bounded(body, "input")
    if raw:
        turns.read(raw)
    elif not any(body.value(name) for name in STANDS_FOR_INPUT):
        raise BadRequest("input: a response needs an input, a text or a list of items", param="input")
    _include(body, lost, ignored)
    _stream_options(body, lost, ignored)
    user, other = fields.string_of(body, "user"), fields.string_of(body, "safety_identifier")
    if user and other:
        ignored.append("safety_identifier")
    instructions = body.get("instructions", str)
    given = (Text(text=instructions, at="instructions"),) if instructions else ()
    own = turns.messages
    system, messages = placed(given, own)
    conversation = Conversation(
        model=fields.model_of(body),
        messages=messages,
        system=system,
        tools=Tools(names, turns.called, lost, ignored).read(body),
        tool_choice=tool_choice(body, lost),
        parallel_tools=body.get("parallel_tool_calls", bool),
        output=_output(body, lost, ignored),
        reasoning=_reasoning(body, lost, ignored),
        max_output=fields.output_limit(body, "max_output_tokens"),
        temperature=body.get("temperature", float),
        top_p=body.get("top_p", float),
        stream=bool(body.get("stream", bool)),
        asks_usage=True,
        user=user or other,
        service_tier=service_tier_of(body, lost),
    )
    return Asked(
        conversation=conversation,
        lost=tuple(lost),
        ignored=tuple(ignored),
        previous_id=body.get("previous_response_id", str) or "",
        turns=own,
        names=NAMES,
    )


def _output(body: Body, lost: list[Loss], ignored: list[str]) -> Output | None:
    raw = body.value("text")
    if raw is None:
        return None
    config = decode(words.TEXT, raw, "text", lost)
    if config.verbosity == "medium":
        ignored.append("text.verbosity")
    elif config.verbosity:
        lost.append(Loss("text.verbosity", f"`{config.verbosity[:32]}`"))
    match wanted := config.format:
        case words.JsonFormat():
            return Output(kind="json", at="text.format")
        case words.SchemaFormat():
            return Output(
                kind="schema",
                name=wanted.name,
                description=wanted.description or "",
                schema=wanted.schema,
                strict=bool(wanted.strict),
                at="text.format",
            )
        case words.TextFormat() | None:
            return None
        case _:
            assert_never(wanted)


def _reasoning(body: Body, lost: list[Loss], ignored: list[str]) -> Reasoning | None:
    raw = body.value("reasoning")
    if raw is None:
        return None
    config = decode(words.REASONING, raw, "reasoning", lost)
    shown = (name for name in ("summary", "generate_summary") if getattr(config, name))
    ignored += (f"reasoning.{name}" for name in shown)
    for name, default in (("context", "auto"), ("mode", "standard")):
        value = getattr(config, name)
        if value == default:
            ignored.append(f"reasoning.{name}")
        elif value:
            lost.append(Loss(f"reasoning.{name}", f"`{value[:32]}`"))
    return effort_word(config.effort, "reasoning.effort", lost) if config.effort is not None else None


def _include(body: Body, lost: list[Loss], ignored: list[str]) -> None:
    raw = body.value("include")
    if raw is None:
        return
    included = decode(words.INCLUDE, raw, "include", lost)
    for index, name in enumerate(included):
        at = f"include[{index}]"
        if name == SEALED:
            ignored.append(at)
        else:
            lost.append(Loss(at, f"`{name[:64]}`"))


def _stream_options(body: Body, lost: list[Loss], ignored: list[str]) -> None:
    raw = body.value("stream_options")
    if (
        raw is not None
        and decode(words.STREAM_OPTIONS, raw, "stream_options", lost).include_obfuscation is not None
    ):
        ignored.append("stream_options.include_obfuscation")
