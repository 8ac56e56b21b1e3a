"""Anthropic's messages and its token count."""

from typing import Any

import msgspec

from tidegate.upstream.answer import Answer, Ask, AskError, Tool
from tidegate.upstream.dialect import ERROR_TYPES, Stream, Surface, encode, event, parts_text, token_events
from tidegate.upstream.script import Script
from tidegate.upstream.usage import bent, told
from tidegate.upstream.words import prose

FINISH = {"stop": "end_turn", "length": "max_tokens", "tools": "tool_use"}
SIGNATURE = "c2NyaXB0ZWQ="


class _Body(msgspec.Struct):
    model: str
    messages: list[msgspec.Raw]
    max_tokens: int | None = None
    system: msgspec.Raw = msgspec.Raw(b"")
    tools: msgspec.Raw = msgspec.Raw(b"")
    tool_choice: Any = None
    stream: bool = False
    thinking: Any = None
    output_config: Any = None


class _Message(msgspec.Struct):
    role: str
    content: Any = None


_decoder = msgspec.json.Decoder(_Body)
_message_decoder = msgspec.json.Decoder(_Message)


def read(raw: bytes) -> Ask:
    """Read a request. Raises AskError."""
    ask = read_count(raw)
    if ask.limit is None:
        raise AskError("max_tokens: Field required")
    return ask


def read_count(raw: bytes) -> Ask:
    """Read a request for a token count, which has no limit. Raises AskError."""
    try:
        body = _decoder.decode(raw)
        if not body.messages:
            raise AskError("messages: at least one message is required")
        text, answered, prefill = _last_user(body.messages)
    except msgspec.DecodeError as error:
        raise AskError(str(error)) from None
    return Ask(
        model=body.model,
        prompt=b"".join((body.tools, body.system, *body.messages)),
        text=text,
        stream=body.stream,
        limit=body.max_tokens,
        tools=_tools(body.tools),
        tool_choice=_choice(body.tool_choice),
        answered=answered,
        prefill=prefill,
        schema=_schema(body.output_config),
        reasons=isinstance(body.thinking, dict) and body.thinking.get("type") in ("enabled", "adaptive"),
        cache="marks",
    )


def _last_user(messages: list[msgspec.Raw]) -> tuple[str, bool, bool]:
    """Return the last text of the user, whether a tool's result came after it, and a prefill last."""
    answered, last = False, ""
    for raw in reversed(messages):
        message = _message_decoder.decode(raw)
        last = last or message.role
        if message.role != "user":
            continue
        if _brings_result(message.content):
            answered = True
            continue
        return parts_text(message.content), answered, last == "assistant"
    return "", answered, last == "assistant"


def _brings_result(content: Any) -> bool:
    return isinstance(content, list) and any(
        isinstance(part, dict) and part.get("type") == "tool_result" for part in content
    )


def _tools(raw: msgspec.Raw) -> tuple[Tool, ...]:
    if not raw:
        return ()
    return tuple(
        Tool(name=tool["name"], schema=tool["input_schema"])
        for tool in msgspec.json.decode(raw) or ()
        if "input_schema" in tool and "name" in tool
    )


def _choice(value: Any) -> str:
    match value:
        case {"type": "tool", "name": str(name)}:
            return name
        case {"type": "any"}:
            return "required"
        case {"type": "none"}:
            return "none"
        case _:
            return "auto"


def _schema(output_config: Any) -> Any:
    match output_config:
        case {"format": {"type": "json_schema", "schema": schema}}:
            return schema
        case _:
            return None


def usage(answer: Answer) -> dict[str, Any]:
    """Return Anthropic's usage: input apart from cache reads and writes."""
    written, hour = answer.cache_write, answer.cache_write_1h
    return {
        "input_tokens": answer.input - answer.cache_read - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": answer.cache_read,
        "cache_creation": {"ephemeral_5m_input_tokens": written - hour, "ephemeral_1h_input_tokens": hour},
        "output_tokens": answer.output,
        "service_tier": "standard",
    }


def _thinking(answer: Answer) -> str:
    return prose(answer.id, answer.reasoning)


def _message(answer: Answer, content: list[dict[str, Any]], finish: str | None) -> dict[str, Any]:
    return {
        "id": answer.id,
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": content,
        "stop_reason": finish,
        "stop_sequence": None,
    }


def plain(_ask: Ask, answer: Answer, script: Script) -> bytes:
    """Return the whole reply."""
    content: list[dict[str, Any]] = []
    if answer.reasoning:
        content.append({"type": "thinking", "thinking": _thinking(answer), "signature": SIGNATURE})
    if answer.tokens or not answer.calls:
        content.append({"type": "text", "text": answer.text})
    for call in answer.calls:
        fields = {"id": f"toolu_{call.id}", "name": call.name, "input": msgspec.json.decode(call.arguments)}
        content.append({"type": "tool_use", **fields})
    reply = _message(answer, content, script.finish or FINISH[answer.finish])
    if script.empty_choices:
        reply["content"] = []
    if not script.no_usage:
        reply["usage"] = told(usage(answer), answer, script)
    return encode(reply)


def stream(_ask: Ask, answer: Answer, script: Script) -> Stream:
    """Return the reply's events."""
    start = _message(answer, [], None)
    if not script.no_usage:
        start["usage"] = {**bent({**usage(answer), "output_tokens": 1}, script), **script.usage_start}
    head = [event("message_start", {"message": start})]
    tokens: list[bytes] = []
    index = 0
    block: dict[str, Any]
    if answer.reasoning:
        tokens += _block(
            index,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "\0"},
            [_thinking(answer)],
            closing={"type": "signature_delta", "signature": SIGNATURE},
        )
        index += 1
    if answer.tokens or not answer.calls:
        block = {"type": "text", "text": ""}
        tokens += _block(index, block, {"type": "text_delta", "text": "\0"}, answer.tokens)
        index += 1
    for call in answer.calls:
        block = {"type": "tool_use", "id": f"toolu_{call.id}", "name": call.name, "input": {}}
        half = len(call.arguments) // 2
        pieces = ["", call.arguments[:half], call.arguments[half:]]
        tokens += _block(index, block, {"type": "input_json_delta", "partial_json": "\0"}, pieces)
        index += 1
    if script.empty_choices:
        tokens = []
    tokens.insert(1, event("ping", {}))
    delta = {"stop_reason": script.finish or FINISH[answer.finish], "stop_sequence": None}
    end: dict[str, Any] = {"delta": delta}
    if not script.no_usage:
        end["usage"] = told({"output_tokens": answer.output}, answer, script)
    return Stream(head, tokens, [event("message_delta", end), event("message_stop", {})])


def _block(
    index: int,
    block: dict[str, Any],
    delta: dict[str, Any],
    pieces: list[str],
    closing: dict[str, Any] | None = None,
) -> list[bytes]:
    """Return a content block's events; `delta` holds a NUL where each piece goes."""
    prefix, suffix = event("content_block_delta", {"index": index, "delta": delta}).split(b'"\\u0000"')
    events = [event("content_block_start", {"index": index, "content_block": block})]
    events += token_events(prefix, pieces, suffix)
    if closing is not None:
        events.append(event("content_block_delta", {"index": index, "delta": closing}))
    events.append(event("content_block_stop", {"index": index}))
    return events


def count_plain(_ask: Ask, answer: Answer, script: Script) -> bytes:
    """Return the token count alone."""
    return encode({"input_tokens": answer.input, **script.usage})


def error(status: int, message: str, change: dict[str, Any]) -> bytes:
    """Return Anthropic's error body."""
    kind = ERROR_TYPES.get(status, "api_error")
    return encode({"type": "error", "error": {"type": kind, "message": message, **change}})


def error_event(message: str, change: dict[str, Any]) -> bytes:
    """Return an error inside a stream."""
    return b"event: error\ndata: " + error(529, message, change) + b"\n\n"


MESSAGES = Surface("msg_", read, plain, stream, error, error_event, words="anthropic")
COUNT_TOKENS = Surface(
    "count_", read_count, count_plain, None, error, error_event, words="anthropic", bills=False
)
