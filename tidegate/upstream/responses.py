"""OpenAI's responses."""

from dataclasses import replace
from typing import Any

import msgspec

from tidegate.upstream.answer import Answer, Ask, AskError, Call, Tool
from tidegate.upstream.dialect import Stream, Surface, encode, event, openai_error, parts_text
from tidegate.upstream.script import Script
from tidegate.upstream.usage import told


class _Body(msgspec.Struct):
    model: str
    input: msgspec.Raw
    instructions: msgspec.Raw = msgspec.Raw(b"")
    tools: msgspec.Raw = msgspec.Raw(b"")
    tool_choice: Any = "auto"
    stream: bool = False
    max_output_tokens: int | None = None
    text: Any = None
    reasoning: Any = None
    previous_response_id: str | None = None


class _Item(msgspec.Struct):
    type: str = "message"
    role: str = ""
    content: Any = None


_decoder = msgspec.json.Decoder(_Body)
_item_decoder = msgspec.json.Decoder(_Item)


def read(raw: bytes) -> Ask:
    """Read a request. Raises AskError."""
    try:
        body = _decoder.decode(raw)
        prompt = bytes(body.input)
        text, answered, prefill = _last_user(prompt)
        tools = tuple(_tools(msgspec.json.decode(body.tools))) if body.tools else ()
    except msgspec.DecodeError as error:
        raise AskError(str(error)) from None
    return Ask(
        model=body.model,
        prompt=b"".join((body.tools, body.instructions, prompt[:-1])),
        text=text,
        stream=body.stream,
        limit=body.max_output_tokens,
        tools=tools,
        tool_choice=_choice(body.tool_choice),
        answered=answered,
        prefill=prefill,
        schema=_schema(body.text),
        include_usage=True,
        reasons=isinstance(body.reasoning, dict) and body.reasoning.get("effort") not in (None, "none"),
        own=(body.previous_response_id, body.tools),
    )


def _last_user(raw: bytes) -> tuple[str, bool, bool]:
    """Return the last text of the user, whether a tool's result came after it, and a prefill last."""
    if raw[:1] == b'"':
        return msgspec.json.decode(raw, type=str), False, False
    answered, last = False, ""
    for part in reversed(msgspec.json.decode(raw, type=list[msgspec.Raw])):
        item = _item_decoder.decode(part)
        last = last or item.role or item.type
        if item.role == "user":
            return parts_text(item.content), answered, last == "assistant"
        answered = answered or item.type.endswith("_call_output")
    return "", answered, last == "assistant"


def _tools(tools: Any) -> list[Tool]:
    """Return the functions, those inside namespaces too."""
    found = []
    for tool in tools or ():
        if tool.get("type") == "function" and "name" in tool:
            found.append(Tool(name=tool["name"], schema=tool.get("parameters")))
        elif tool.get("type") == "namespace":
            found += _tools(tool.get("tools"))
    return found


def _choice(value: Any) -> str:
    if isinstance(value, dict):
        return str(value.get("name", "auto"))
    return str(value or "auto")


def _schema(text: Any) -> Any:
    match text:
        case {"format": {"type": "json_schema", "schema": schema}}:
            return schema
        case {"format": {"type": "json_object"}}:
            return {"type": "object", "properties": {"answer": {"type": "string"}}}
        case _:
            return None


def usage(answer: Answer, script: Script) -> dict[str, Any]:
    """Return the usage of a response."""
    counts = {
        "input_tokens": answer.input,
        "input_tokens_details": {
            "cached_tokens": answer.cache_read,
            "cache_write_tokens": answer.cache_write,
        },
        "output_tokens": answer.output,
        "output_tokens_details": {"reasoning_tokens": answer.reasoning},
        "total_tokens": answer.input + answer.output,
    }
    return told(counts, answer, script)


def _response(
    ask: Ask, answer: Answer, status: str, output: list[dict[str, Any]], counts: dict[str, Any] | None
) -> dict[str, Any]:
    previous, tools = ask.own
    incomplete = {"reason": "max_output_tokens"} if status == "incomplete" else None
    return {
        "id": answer.id,
        "object": "response",
        "created_at": answer.created_s,
        "status": status,
        "error": None,
        "incomplete_details": incomplete,
        "instructions": None,
        "max_output_tokens": ask.limit,
        "metadata": {},
        "model": answer.model,
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": previous,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": tools or msgspec.Raw(b"[]"),
        "top_p": 1.0,
        "usage": counts,
    }


def _text_item(answer: Answer, status: str, text: str | None) -> dict[str, Any]:
    content = [] if text is None else [_part(text)]
    return {
        "id": f"msg_{answer.id}",
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": content,
    }


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _call_item(call: Call, status: str, arguments: str) -> dict[str, Any]:
    return {
        "id": f"fc_{call.id}",
        "type": "function_call",
        "call_id": f"call_{call.id}",
        "name": call.name,
        "arguments": arguments,
        "status": status,
    }


def _reasoning_item(answer: Answer) -> dict[str, Any]:
    return {"id": f"rs_{answer.id}", "type": "reasoning", "summary": []}


def _output(answer: Answer, script: Script) -> list[dict[str, Any]]:
    if script.empty_choices:
        return []
    items = [_reasoning_item(answer)] if answer.reasoning else []
    if answer.tokens or not answer.calls:
        items.append(_text_item(answer, _status(answer), answer.text))
    return items + [_call_item(call, "completed", call.arguments) for call in answer.calls]


def _status(answer: Answer) -> str:
    return "incomplete" if answer.finish == "length" else "completed"


def plain(ask: Ask, answer: Answer, script: Script) -> bytes:
    """Return the whole reply."""
    counts = None if script.no_usage else usage(answer, script)
    return encode(_response(ask, answer, _status(answer), _output(answer, script), counts))


class _Numbered:
    """Collects events, each with the next sequence number."""

    def __init__(self) -> None:
        self.events: list[bytes] = []

    def add(self, kind: str, /, **fields: Any) -> None:
        self.events.append(event(kind, {**fields, "sequence_number": len(self.events)}))


def stream(ask: Ask, answer: Answer, script: Script) -> Stream:
    """Return the reply's events."""
    log = _Numbered()
    opening = _response(ask, answer, "in_progress", [], None)
    log.add("response.created", response=opening)
    log.add("response.in_progress", response=opening)
    heads = len(log.events)
    index = 0
    if script.empty_choices:
        answer = replace(answer, reasoning=0, tokens=[], calls=[])
    if answer.reasoning:
        item = _reasoning_item(answer)
        log.add("response.output_item.added", output_index=index, item=item)
        log.add("response.output_item.done", output_index=index, item=item)
        index += 1
    if (answer.tokens or not answer.calls) and not script.empty_choices:
        _text_events(log, answer, index)
        index += 1
    for call in answer.calls:
        _call_events(log, call, index)
        index += 1
    status = _status(answer)
    counts = None if script.no_usage else usage(answer, script)
    log.add(f"response.{status}", response=_response(ask, answer, status, _output(answer, script), counts))
    return Stream(log.events[:heads], log.events[heads:-1], log.events[-1:])


def _text_events(log: _Numbered, answer: Answer, index: int) -> None:
    place = {"item_id": f"msg_{answer.id}", "output_index": index, "content_index": 0}
    log.add("response.output_item.added", output_index=index, item=_text_item(answer, "in_progress", None))
    log.add("response.content_part.added", **place, part=_part(""))
    first = len(log.events)
    shape = event(
        "response.output_text.delta", {**place, "delta": "\0", "logprobs": [], "sequence_number": -1}
    )
    prefix, rest = shape.split(b'"\\u0000"')
    middle, end = rest.split(b"-1")
    log.events += [
        prefix + encode(token) + middle + b"%d" % (first + number) + end
        for number, token in enumerate(answer.tokens)
    ]
    log.add("response.output_text.done", **place, text=answer.text, logprobs=[])
    log.add("response.content_part.done", **place, part=_part(answer.text))
    item = _text_item(answer, _status(answer), answer.text)
    log.add("response.output_item.done", output_index=index, item=item)


def _call_events(log: _Numbered, call: Call, index: int) -> None:
    place = {"item_id": f"fc_{call.id}", "output_index": index}
    log.add("response.output_item.added", output_index=index, item=_call_item(call, "in_progress", ""))
    half = len(call.arguments) // 2
    for piece in (call.arguments[:half], call.arguments[half:]):
        log.add("response.function_call_arguments.delta", **place, delta=piece)
    log.add("response.function_call_arguments.done", **place, name=call.name, arguments=call.arguments)
    item = _call_item(call, "completed", call.arguments)
    log.add("response.output_item.done", output_index=index, item=item)


def error_event(message: str, change: dict[str, Any]) -> bytes:
    """Return an error inside a stream."""
    fields = {"code": "server_error", "message": message, "param": None, "sequence_number": 0}
    return event("error", {**fields, **{name: change[name] for name in fields if name in change}})


def failed_event(id_: str, message: str, code: str, number: int) -> bytes:
    """Return the event that ends a response as failed, the `number`th of its stream."""
    response: dict[str, Any] = {
        "id": id_,
        "object": "response",
        "status": "failed",
        "output": [],
        "usage": None,
    }
    error = {"code": code, "message": message}
    return event("response.failed", {"response": {**response, "error": error}, "sequence_number": number})


RESPONSES = Surface("resp_", read, plain, stream, openai_error, error_event)
