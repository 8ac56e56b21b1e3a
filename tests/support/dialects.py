"""A plain HTTP client of three dialects: what a reply says, and whether it says that it is whole."""

import contextlib
import http.client
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from tidegate.model.request import Surface

PATHS: dict[Surface, str] = {
    "chat": "/v1/chat/completions",
    "messages": "/v1/messages",
    "responses": "/v1/responses",
}
PATIENCE_S = 20.0
"""Far more than any answer takes; a client that waits longer has been forgotten."""

Json = dict[str, Any]


@dataclass
class Answer:
    """What a client got. `text` and `tools` are what it was shown, `code` that of the error it ended in.

    `tools` are the arguments of tool calls in the order they began, `closed` how many of these the dialect
    calls complete. `ended`: the dialect's own end was there. `torn`: the connection broke inside the reply.
    `streamed`: it came as a stream. `bad_frames` are events that an SDK would fail at.
    """

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes = b""
    text: str = ""
    code: str | None = None
    finish: str | None = None
    tools: dict[str, str] = field(default_factory=dict)
    closed: int = 0
    ended: bool = False
    torn: bool = False
    streamed: bool = False
    bad_frames: int = 0
    took_s: float = 0.0

    @property
    def is_whole(self) -> bool:
        """A client takes this for the model's whole answer."""
        return self.status == 200 and self.ended and self.code is None and not self.torn

    @property
    def ident(self) -> str:
        """Tidegate's name of the call."""
        return self.headers["tidegate-request-id"]


def body_of(surface: Surface, model: str, turns: list[Json], *, stream: bool, tool: bool = False) -> Json:
    """A request; with `tool` its model may call one."""
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    body: Json = {"model": model, "stream": stream}
    match surface:
        case "chat":
            body |= {"messages": turns, "max_tokens": 60}
            tools: Json = {"type": "function", "function": {"name": "weather", "parameters": schema}}
        case "messages":
            body |= {"messages": turns, "max_tokens": 60}
            tools = {"name": "weather", "input_schema": schema}
        case _:
            body |= {"input": turns, "max_output_tokens": 60}
            tools = {"type": "function", "name": "weather", "parameters": schema}
    return body | ({"tools": [tools]} if tool else {})


def request_of(base_url: str, key: str, surface: Surface, body: Json) -> bytes:
    """The bytes of a call, for a test that sends them itself."""
    raw = json.dumps(body).encode()
    head = f"POST {PATHS[surface]} HTTP/1.1\r\nhost: {urlsplit(base_url).netloc}\r\n"
    lines = {**_headers(surface, key), "content-length": str(len(raw))}
    return (head + "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n").encode() + raw


def ask(base_url: str, key: str, surface: Surface, body: Json) -> Answer:
    """Call and read all of the reply."""
    address = urlsplit(base_url)
    assert address.hostname is not None
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=PATIENCE_S)
    began_s = time.monotonic()
    with contextlib.closing(connection):
        connection.request("POST", PATHS[surface], json.dumps(body), _headers(surface, key))
        reply = connection.getresponse()
        torn = False
        try:
            raw = reply.read()
        except http.client.IncompleteRead as error:
            raw, torn = error.partial, True
    answer = read(surface, reply.status, dict(reply.headers.items()), raw)
    answer.torn, answer.took_s = torn, time.monotonic() - began_s
    return answer


def read(surface: Surface, status: int, headers: Mapping[str, str], raw: bytes) -> Answer:
    """Read a reply as an SDK would, which takes the form it asked for whatever the head names."""
    answer = Answer(status, {name.lower(): value for name, value in headers.items()}, raw)
    named = answer.headers.get("content-type", "").startswith("text/event-stream")
    answer.streamed = named or raw.startswith((b"data:", b"event:"))
    if answer.streamed:
        for event in _events(answer, raw):
            _STREAMED[surface](answer, event)
        return answer
    try:
        found = json.loads(raw)
    except ValueError:
        return answer
    if found.get("error") is not None:
        answer.code = _code(found["error"])
    else:
        _PLAIN[surface](answer, found)
        answer.ended = True
    return answer


def _events(answer: Answer, raw: bytes) -> Iterator[Json]:
    for line in raw.splitlines():
        name, _, data = line.partition(b": ")
        if name != b"data" or data == b"[DONE]":
            continue
        try:
            event = json.loads(data)
        except ValueError:
            answer.bad_frames += 1
        else:
            yield event


def _headers(surface: Surface, key: str) -> dict[str, str]:
    lines = {"content-type": "application/json"}
    if surface == "messages":
        return lines | {"x-api-key": key, "anthropic-version": "2023-06-01"}
    return lines | {"authorization": f"Bearer {key}"}


def _code(error: Json) -> str:
    return str(error.get("code") or error.get("type"))


def _chat(answer: Answer, found: Json) -> None:
    for choice in found["choices"]:
        answer.text += choice["message"].get("content") or ""
        answer.finish = choice["finish_reason"]
        for call in choice["message"].get("tool_calls") or ():
            answer.tools[call["id"]] = call["function"]["arguments"]
            answer.closed += 1


def _message(answer: Answer, found: Json) -> None:
    answer.finish = found["stop_reason"]
    for block in found["content"]:
        answer.text += block.get("text", "")
        if block["type"] == "tool_use":
            answer.tools[block["id"]] = json.dumps(block["input"])
            answer.closed += 1


def _response(answer: Answer, found: Json) -> None:
    answer.finish = found["status"]
    for item in found["output"]:
        for part in item.get("content") or ():
            answer.text += part.get("text", "")
        if item["type"] == "function_call":
            answer.tools[item["id"]] = item["arguments"]
            answer.closed += 1


def _chat_event(answer: Answer, event: Json) -> None:
    if event.get("error"):
        answer.code = _code(event["error"])
    for choice in event.get("choices") or ():
        answer.text += choice["delta"].get("content") or ""
        for call in choice["delta"].get("tool_calls") or ():
            place = str(call["index"])
            answer.tools[place] = answer.tools.get(place, "") + (call["function"].get("arguments") or "")
        if choice["finish_reason"] is not None:
            answer.finish, answer.ended, answer.closed = choice["finish_reason"], True, len(answer.tools)


def _message_event(answer: Answer, event: Json) -> None:
    match event.get("type"):
        case "error":
            answer.code = _code(event["error"])
        case "content_block_delta":
            answer.text += event["delta"].get("text", "")
            if event["delta"]["type"] == "input_json_delta":
                answer.tools[str(event["index"])] += event["delta"]["partial_json"]
        case "content_block_start" if event["content_block"]["type"] == "tool_use":
            answer.tools[str(event["index"])] = ""
        case "content_block_stop" if str(event["index"]) in answer.tools:
            answer.closed += 1
        case "message_delta":
            answer.finish = event["delta"]["stop_reason"]
        case "message_stop":
            answer.ended = True
        case _:
            pass


def _response_event(answer: Answer, event: Json) -> None:
    match event.get("type"):
        case "error":
            answer.code = _code(event.get("error") or event)
        case "response.output_text.delta":
            answer.text += event["delta"]
        case "response.function_call_arguments.delta":
            answer.tools[event["item_id"]] = answer.tools.get(event["item_id"], "") + event["delta"]
        case "response.function_call_arguments.done":
            answer.closed += 1
        case "response.failed":
            answer.code = _code(event["response"]["error"])
        case "response.completed" | "response.incomplete":
            answer.finish, answer.ended = event["response"]["status"], True
        case _:
            pass


_PLAIN = {"chat": _chat, "messages": _message, "responses": _response}
_STREAMED = {"chat": _chat_event, "messages": _message_event, "responses": _response_event}
