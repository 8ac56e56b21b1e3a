"""The vocabulary of a messages request that has, or may have, a counterpart in another dialect.

The types forbid unknown fields, so that `loss.decode` finds everything else by its path. Source:
anthropic-sdk-python 2.12, `types/message_create_params.py`.
"""

# ruff: noqa: D101  # the names are the dialect's own

from typing import Literal

import msgspec

NONE = msgspec.Raw(b"")


class _Strict(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, gc=False):
    """A part of the vocabulary."""


class Base64(_Strict, tag_field="type", tag="base64"):
    data: str
    media_type: str = ""


class Url(_Strict, tag_field="type", tag="url"):
    url: str


class PlainText(_Strict, tag_field="type", tag="text"):
    data: str
    media_type: str = "text/plain"


class TextBlock(_Strict, tag_field="type", tag="text"):
    text: str
    citations: msgspec.Raw = NONE
    cache_control: msgspec.Raw = NONE


class ImageBlock(_Strict, tag_field="type", tag="image"):
    source: Base64 | Url | None
    cache_control: msgspec.Raw = NONE


class Citations(_Strict):
    enabled: bool | None = None


class DocumentBlock(_Strict, tag_field="type", tag="document"):
    source: Base64 | Url | PlainText | None
    title: str | None = None
    citations: Citations | None = None
    cache_control: msgspec.Raw = NONE


class ReferenceBlock(_Strict, tag_field="type", tag="tool_reference"):
    """A tool that a search found, and that is loaded from here on (trap K5)."""

    tool_name: str
    cache_control: msgspec.Raw = NONE


class AddedTool(_Strict):
    name: str = ""
    type: str = ""


class AdditionBlock(_Strict, tag_field="type", tag="tool_addition"):
    """A tool that the client loads in mid-conversation (trap K6)."""

    tool: AddedTool
    cache_control: msgspec.Raw = NONE


class Caller(_Strict):
    type: str = ""


class ToolUseBlock(_Strict, tag_field="type", tag="tool_use"):
    id: str
    name: str
    input: msgspec.Raw = NONE
    caller: Caller | None = None
    cache_control: msgspec.Raw = NONE


class ToolResultBlock(_Strict, tag_field="type", tag="tool_result"):
    tool_use_id: str
    content: str | list[TextBlock | ImageBlock | DocumentBlock | ReferenceBlock | None] | None = None
    is_error: bool | None = None
    cache_control: msgspec.Raw = NONE


class ThinkingBlock(_Strict, tag_field="type", tag="thinking"):
    thinking: str
    signature: str | None = None
    cache_control: msgspec.Raw = NONE


class RedactedBlock(_Strict, tag_field="type", tag="redacted_thinking"):
    data: str
    cache_control: msgspec.Raw = NONE


Block = (
    TextBlock
    | ImageBlock
    | DocumentBlock
    | ToolUseBlock
    | ToolResultBlock
    | ThinkingBlock
    | RedactedBlock
    | AdditionBlock
)


class Message(_Strict):
    role: Literal["user", "assistant", "system"]
    content: str | list[Block | None] | None = None


class CustomTool(_Strict):
    """A tool of the client's. A tool of the provider's own has another `type`."""

    name: str
    type: str | None = None
    description: str | None = None
    input_schema: msgspec.Raw = NONE
    strict: bool | None = None
    defer_loading: bool | None = None
    eager_input_streaming: bool | None = None
    allowed_callers: list[str] | None = None
    cache_control: msgspec.Raw = NONE


class Choice(_Strict):
    type: str
    name: str = ""
    disable_parallel_tool_use: bool | None = None


class ThinkingConfig(_Strict):
    type: str
    budget_tokens: int | None = None
    display: str | None = None


class SchemaFormat(_Strict):
    type: Literal["json_schema"]
    schema: msgspec.Raw = NONE
    name: str | None = None


class OutputConfig(_Strict):
    effort: str | None = None
    format: SchemaFormat | None = None


class Metadata(_Strict):
    user_id: str | None = None


class Edit(_Strict):
    """One edit of the context; only the one that clears thinking can do without a counterpart."""

    type: str = ""
    keep: msgspec.Raw = NONE


class ContextManagement(_Strict):
    edits: list[Edit] | None = None


MESSAGES = msgspec.json.Decoder(list[Message | None])
SYSTEM = msgspec.json.Decoder(str | list[TextBlock | None])
TYPED = msgspec.json.Decoder(list[msgspec.Raw])
TOOL = msgspec.json.Decoder(CustomTool)
CHOICE = msgspec.json.Decoder(Choice)
THINKING = msgspec.json.Decoder(ThinkingConfig)
OUTPUT_CONFIG = msgspec.json.Decoder(OutputConfig)
FORMAT = msgspec.json.Decoder(SchemaFormat)
METADATA = msgspec.json.Decoder(Metadata)
CONTEXT = msgspec.json.Decoder(ContextManagement)
STOP = msgspec.json.Decoder(list[str])
