"""OpenAI's chat completions and the older completions."""

from typing import Any

import msgspec

from tidegate.upstream.answer import Answer, Ask, AskError, Tool
from tidegate.upstream.dialect import (
    Stream,
    Surface,
    data,
    encode,
    openai_error,
    openai_error_event,
    parts_text,
    token_events,
)
from tidegate.upstream.script import Script
from tidegate.upstream.usage import told

DONE = b"data: [DONE]\n\n"
FINISH = {"stop": "stop", "length": "length", "tools": "tool_calls"}


class _StreamOptions(msgspec.Struct):
    include_usage: bool = False


class _ChatBody(msgspec.Struct):
    model: str
    messages: list[msgspec.Raw]
    stream: bool = False
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    tools: msgspec.Raw = msgspec.Raw(b"")
    tool_choice: Any = "auto"
    response_format: Any = None
    reasoning_effort: str | None = None


class _Message(msgspec.Struct):
    role: str
    content: Any = None


class _CompletionBody(msgspec.Struct):
    model: str
    prompt: Any
    stream: bool = False
    stream_options: _StreamOptions | None = None
    max_tokens: int | None = 16


_chat_decoder = msgspec.json.Decoder(_ChatBody)
_message_decoder = msgspec.json.Decoder(_Message)
_completion_decoder = msgspec.json.Decoder(_CompletionBody)


def read_chat(raw: bytes) -> Ask:
    """Read a request. Raises AskError."""
    try:
        body = _chat_decoder.decode(raw)
        if not body.messages:
            raise AskError("'messages' is empty")
        text, answered, prefill = _last_user(body.messages)
    except msgspec.DecodeError as error:
        raise AskError(str(error)) from None
    return Ask(
        model=body.model,
        prompt=b"".join((body.tools, *body.messages)),
        text=text,
        stream=body.stream,
        limit=body.max_completion_tokens or body.max_tokens,
        tools=_tools(body.tools),
        tool_choice=_choice(body.tool_choice),
        answered=answered,
        prefill=prefill,
        schema=_schema(body.response_format),
        include_usage=body.stream_options is not None and body.stream_options.include_usage,
        reasons=body.reasoning_effort not in (None, "none", "minimal"),
    )


def _last_user(messages: list[msgspec.Raw]) -> tuple[str, bool, bool]:
    """Return the last user message's text, whether a tool's result came after it, and a prefill last."""
    answered, last = False, ""
    for raw in reversed(messages):
        message = _message_decoder.decode(raw)
        last = last or message.role
        if message.role == "user":
            return parts_text(message.content), answered, last == "assistant"
        answered = answered or message.role == "tool"
    return "", answered, last == "assistant"


def _tools(raw: msgspec.Raw) -> tuple[Tool, ...]:
    if not raw:
        return ()
    tools = []
    for tool in msgspec.json.decode(raw) or ():
        function = tool.get("function")
        if isinstance(function, dict):
            tools.append(Tool(name=function.get("name", ""), schema=function.get("parameters")))
    return tuple(tools)


def _choice(value: Any) -> str:
    if isinstance(value, dict):
        return str((value.get("function") or value).get("name", "auto"))
    return "required" if value == "any" else str(value or "auto")


def _schema(response_format: Any) -> Any:
    match response_format:
        case {"type": "json_schema", "json_schema": {"schema": schema}}:
            return schema
        case {"type": "json_object"}:
            return {"type": "object", "properties": {"answer": {"type": "string"}}}
        case _:
            return None


def usage(answer: Answer, script: Script) -> dict[str, Any]:
    """Return OpenAI's usage: cached tokens inside the prompt's, reasoning inside the completion's."""
    counts: dict[str, Any] = {
        "prompt_tokens": answer.input,
        "completion_tokens": answer.output,
        "total_tokens": answer.input + answer.output,
        "prompt_tokens_details": {"cached_tokens": answer.cache_read, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": answer.reasoning, "audio_tokens": 0},
    }
    if answer.cache_write:
        counts["prompt_tokens_details"]["cache_write_tokens"] = answer.cache_write
    return told(counts, answer, script)


def chat_plain(_ask: Ask, answer: Answer, script: Script) -> bytes:
    """Return the whole reply."""
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or None, "refusal": None}
    if answer.calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in answer.calls
        ]
    else:
        message["content"] = answer.text
    choice = {"index": 0, "message": message, "logprobs": None}
    reply: dict[str, Any] = {
        "id": answer.id,
        "object": "chat.completion",
        "created": answer.created_s,
        "model": answer.model,
        "choices": [] if script.empty_choices else [{**choice, "finish_reason": _finish(answer, script)}],
    }
    if not script.no_usage:
        reply["usage"] = usage(answer, script)
    return encode(reply)


def chat_stream(ask: Ask, answer: Answer, script: Script) -> Stream:
    """Return the reply's events."""
    shared: dict[str, Any] = {
        "id": answer.id,
        "object": "chat.completion.chunk",
        "created": answer.created_s,
        "model": answer.model,
        "choices": [],
    }
    tells = not script.no_usage and (ask.include_usage or script.usage_always)
    if tells:
        shared["usage"] = None

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        return data({**shared, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    head = [chunk({"role": "assistant", "content": None if answer.calls and not answer.tokens else ""})]
    if script.empty_choices_first:
        head.insert(0, data({**shared, "id": "", "prompt_filter_results": []}))
    prefix, suffix = chunk({"content": "\0"}).split(b'"\\u0000"')
    tokens = token_events(prefix, answer.tokens, suffix)
    for index, call in enumerate(answer.calls):
        start = {"index": index, "id": call.id, "type": "function"}
        tokens.append(chunk({"tool_calls": [{**start, "function": {"name": call.name, "arguments": ""}}]}))
        prefix, suffix = chunk({"tool_calls": [{"index": index, "function": {"arguments": "\0"}}]}).split(
            b'"\\u0000"'
        )
        tokens += token_events(prefix, _thirds(call.arguments), suffix)
    tail = [chunk({}, _finish(answer, script))]
    if script.empty_choices:
        head, tokens, tail = [data(shared)], [], []
    if tells:
        choices = [{"index": 0, "delta": {}, "finish_reason": None}] if script.usage_in_empty_delta else []
        counts = usage(answer, script)
        if script.usage_twice:
            early = {**counts, "completion_tokens": 1, "total_tokens": answer.input + 1, **script.usage_start}
            tail.insert(0, data({**shared, "choices": choices, "usage": early}))
        tail.append(data({**shared, "choices": choices, "usage": counts}))
    return Stream(head, tokens, [*tail, DONE])


def _finish(answer: Answer, script: Script) -> str:
    return script.finish or FINISH[answer.finish]


def _thirds(text: str) -> list[str]:
    step = max(1, -(-len(text) // 3))
    return [text[i : i + step] for i in range(0, len(text), step)]


def read_completion(raw: bytes) -> Ask:
    """Read a request of the older surface. Raises AskError."""
    try:
        body = _completion_decoder.decode(raw)
    except msgspec.DecodeError as error:
        raise AskError(str(error)) from None
    prompt = body.prompt[0] if isinstance(body.prompt, list) and body.prompt else body.prompt
    text = prompt if isinstance(prompt, str) else encode(prompt).decode()
    return Ask(
        model=body.model,
        prompt=text.encode(),
        text=text,
        stream=body.stream,
        limit=body.max_tokens,
        include_usage=body.stream_options is not None and body.stream_options.include_usage,
    )


def _completion(answer: Answer, text: str, finish: str | None) -> dict[str, Any]:
    return {
        "id": answer.id,
        "object": "text_completion",
        "created": answer.created_s,
        "model": answer.model,
        "choices": [{"index": 0, "text": text, "logprobs": None, "finish_reason": finish}],
    }


def completion_plain(_ask: Ask, answer: Answer, script: Script) -> bytes:
    """Return the whole reply."""
    reply = _completion(answer, answer.text, script.finish or answer.finish)
    if script.empty_choices:
        reply["choices"] = []
    return encode(reply if script.no_usage else {**reply, "usage": usage(answer, script)})


def completion_stream(ask: Ask, answer: Answer, script: Script) -> Stream:
    """Return the reply's events."""
    prefix, suffix = data(_completion(answer, "\0", None)).split(b'"\\u0000"')
    tail = [data(_completion(answer, "", script.finish or answer.finish))]
    if not script.no_usage and (ask.include_usage or script.usage_always):
        tail.append(data({**_completion(answer, "", None), "choices": [], "usage": usage(answer, script)}))
    if script.empty_choices:
        return Stream([data({**_completion(answer, "", None), "choices": []})], [], [*tail[1:], DONE])
    return Stream([], token_events(prefix, answer.tokens, suffix), [*tail, DONE])


CHAT = Surface("chatcmpl-", read_chat, chat_plain, chat_stream, openai_error, openai_error_event)
COMPLETIONS = Surface(
    "cmpl-", read_completion, completion_plain, completion_stream, openai_error, openai_error_event
)
