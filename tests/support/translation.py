"""Requests of both dialects in short words, for the tests of their translation."""

import json
from typing import Any

import msgspec

from tidegate.model.message import TargetTraits
from tidegate.wire.body import Body
from tidegate.wire.translate import (
    Asked,
    Written,
    read_chat,
    read_messages,
    read_responses,
    write_chat,
    write_messages,
)

ABLE = TargetTraits()
HI: Any = [{"role": "user", "content": "Hi"}]
TOOL: Any = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
OWN: Any = {"name": "f", "input_schema": {"type": "object"}}
CALL: Any = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
SCHEMA: Any = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}


def body_of(fields: dict[str, Any]) -> Body:
    return Body.parse(msgspec.json.encode(fields))


def to_messages(traits: TargetTraits = ABLE, *, drop: bool = False, **fields: Any) -> Written:
    asked = read_chat(body_of({"model": "a", "messages": HI} | fields))
    return write_messages(asked, traits, model="b", drop_unsupported=drop)


def to_chat(traits: TargetTraits = ABLE, *, drop: bool = False, **fields: Any) -> Written:
    asked = read_messages(body_of({"model": "a", "max_tokens": 1000, "messages": HI} | fields))
    return write_chat(asked, traits, model="b", drop_unsupported=drop)


def asked_of(**fields: Any) -> Asked:
    """What a Responses request asks."""
    return read_responses(body_of({"model": "a", "input": "Hi"} | fields))


def said(written: Written) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(written.body)
    return body


def user(*parts: Any) -> list[Any]:
    return [{"role": "user", "content": list(parts)}]


def image(url: str) -> Any:
    return {"type": "image_url", "image_url": {"url": url}}


def beside(part: Any) -> Any:
    """A user's turn of which something is left when a part is dropped."""
    return {"messages": user({"type": "text", "text": "a"}, part)}


def turns(*messages: Any) -> list[Any]:
    """A conversation that ends as it began: with the user."""
    return [*HI, *messages, *HI]


def assistant(**fields: Any) -> Any:
    return {"role": "assistant", "content": "x"} | fields


def schema(**fields: Any) -> Any:
    return {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}} | fields}


def function(**fields: Any) -> Any:
    return {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}} | fields}


def file(media_type: str, data: str) -> Any:
    return {"type": "file", "file": {"filename": "a", "file_data": f"data:{media_type};base64,{data}"}}


def tool(**fields: Any) -> Any:
    return {"role": "tool", "tool_call_id": "c", "content": "x"} | fields


REFUSED_PART: Any = {"type": "refusal", "refusal": "No."}
AUDIO: Any = {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}
CUSTOM: Any = {"type": "custom", "custom": {"name": "c"}}
ALLOWED: Any = {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}


def document(**fields: Any) -> Any:
    return {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "a"}} | fields


def by_url(kind: str) -> Any:
    return {"type": kind, "source": {"type": "url", "url": "https://x/a"}}


def pdf() -> Any:
    return {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AAAA"}}
