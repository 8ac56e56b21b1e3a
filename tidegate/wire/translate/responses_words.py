"""The vocabulary of a Responses request that has, or may have, a counterpart in another dialect.

The types forbid unknown fields, so that `loss.decode` finds everything else by its path. `id` and `status`
name an item within its own provider and say nothing to a model. Source: openai-python 3.54,
`types/responses`.
"""

# ruff: noqa: D101  # the names are the dialect's own

from typing import Literal

import msgspec

NONE = msgspec.Raw(b"")


class _Strict(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, gc=False):
    """A part of the vocabulary."""


class TextPart(_Strict, tag_field="type", tag="input_text"):
    text: str
    prompt_cache_breakpoint: msgspec.Raw = NONE


class OutputTextPart(_Strict, tag_field="type", tag="output_text"):
    text: str
    annotations: msgspec.Raw = NONE
    logprobs: msgspec.Raw = NONE


class RefusalPart(_Strict, tag_field="type", tag="refusal"):
    refusal: str


class ImagePart(_Strict, tag_field="type", tag="input_image"):
    image_url: str | None = None
    file_id: str | None = None
    detail: str | None = None
    prompt_cache_breakpoint: msgspec.Raw = NONE


class FilePart(_Strict, tag_field="type", tag="input_file"):
    file_data: str | None = None
    file_url: str | None = None
    file_id: str | None = None
    filename: str | None = None
    detail: str | None = None
    prompt_cache_breakpoint: msgspec.Raw = NONE


Part = TextPart | OutputTextPart | RefusalPart | ImagePart | FilePart
Content = str | list[Part | None] | None


class Caller(_Strict):
    type: str = ""
    caller_id: str | None = None


class _Item(_Strict):
    type: str | None = None
    id: str | None = None
    status: str | None = None


class Message(_Item, kw_only=True):
    """`phase` says which part of a long answer this was."""

    role: Literal["user", "assistant", "system", "developer"]
    content: Content = None
    phase: str | None = None


class FunctionCall(_Item, kw_only=True):
    call_id: str
    name: str
    arguments: msgspec.Raw = NONE
    namespace: str | None = None
    caller: Caller | None = None


class FunctionCallOutput(_Item, kw_only=True):
    call_id: str
    output: Content = None
    name: str | None = None
    caller: Caller | None = None


class Thought(_Strict):
    text: str = ""
    type: str | None = None


class ReasoningItem(_Item, kw_only=True):
    """`summary` is what may be shown, `content` what a model thought in its own words."""

    summary: list[Thought] | None = None
    content: list[Thought] | None = None
    encrypted_content: str | None = None


Item = Message | FunctionCall | FunctionCallOutput | ReasoningItem


class FunctionTool(_Strict):
    name: str
    type: str | None = None
    description: str | None = None
    parameters: msgspec.Raw = NONE
    strict: bool | None = None
    defer_loading: bool | None = None
    allowed_callers: list[str] | None = None


class NamespaceTool(_Strict):
    """Functions under one name (trap K7)."""

    name: str
    type: str | None = None
    description: str | None = None
    tools: list[msgspec.Raw] = []


class FunctionChoice(_Strict):
    name: str
    type: str | None = None


class TextFormat(_Strict, tag_field="type", tag="text"):
    pass


class JsonFormat(_Strict, tag_field="type", tag="json_object"):
    pass


class SchemaFormat(_Strict, tag_field="type", tag="json_schema"):
    name: str = ""
    description: str | None = None
    schema: msgspec.Raw = NONE
    strict: bool | None = None


class TextConfig(_Strict):
    format: TextFormat | JsonFormat | SchemaFormat | None = None
    verbosity: str | None = None


class ReasoningConfig(_Strict):
    """`generate_summary` is the older name of `summary`."""

    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None
    context: str | None = None
    mode: str | None = None


class StreamOptions(_Strict):
    include_obfuscation: bool | None = None


PIECES = msgspec.json.Decoder(list[msgspec.Raw])
MESSAGE: msgspec.json.Decoder[Item] = msgspec.json.Decoder(Message)
ITEMS: dict[str, msgspec.json.Decoder[Item]] = {
    "": MESSAGE,
    "message": MESSAGE,
    "function_call": msgspec.json.Decoder(FunctionCall),
    "function_call_output": msgspec.json.Decoder(FunctionCallOutput),
    "reasoning": msgspec.json.Decoder(ReasoningItem),
}
"""How an item is read, by its type; what has none is a message in its short form."""

FUNCTION = msgspec.json.Decoder(FunctionTool)
NAMESPACE = msgspec.json.Decoder(NamespaceTool)
CHOICE = msgspec.json.Decoder(FunctionChoice)
TEXT = msgspec.json.Decoder(TextConfig)
REASONING = msgspec.json.Decoder(ReasoningConfig)
STREAM_OPTIONS = msgspec.json.Decoder(StreamOptions)
INCLUDE = msgspec.json.Decoder(list[str])
