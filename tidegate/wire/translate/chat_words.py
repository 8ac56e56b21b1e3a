"""The vocabulary of a chat request that has, or may have, a counterpart in another dialect.

The types forbid unknown fields, so that `loss.decode` finds everything else by its path. Source:
openai-python 3.54, `types/chat`, and what compatible providers add (trap K15).
"""

# ruff: noqa: D101  # the names are the dialect's own

import msgspec

NONE = msgspec.Raw(b"")


class _Strict(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, gc=False):
    """A part of the vocabulary."""


class TextPart(_Strict, tag_field="type", tag="text"):
    text: str
    cache_control: msgspec.Raw = NONE
    annotations: msgspec.Raw = NONE


class RefusalPart(_Strict, tag_field="type", tag="refusal"):
    refusal: str


class ImageUrl(_Strict):
    url: str
    detail: str | None = None


class ImagePart(_Strict, tag_field="type", tag="image_url"):
    image_url: str | ImageUrl
    cache_control: msgspec.Raw = NONE


class FileBody(_Strict):
    file_data: str | None = None
    filename: str | None = None
    file_id: str | None = None


class FilePart(_Strict, tag_field="type", tag="file"):
    file: FileBody
    cache_control: msgspec.Raw = NONE


Parts = list[TextPart | ImagePart | FilePart | RefusalPart | None]
Content = str | Parts | None


class CalledFunction(_Strict):
    """`parsed_arguments` is what OpenAI's SDK made of the arguments, sent back with them."""

    name: str
    arguments: msgspec.Raw = NONE
    parsed_arguments: msgspec.Raw = NONE


class Call(_Strict):
    """`extra_content` is where Google's endpoint keeps its thought signatures (trap S11)."""

    id: str | None = None
    type: str | None = None
    index: int | None = None
    function: CalledFunction | None = None
    custom: msgspec.Raw = NONE
    extra_content: msgspec.Raw = NONE
    cache_control: msgspec.Raw = NONE


class ReasoningDetail(msgspec.Struct, gc=False):
    """OpenRouter's account of what a model thought; read as far as another dialect can carry it."""

    type: str = ""
    text: str | None = None
    signature: str | None = None
    data: str | None = None
    format: str | None = None
    id: str | None = None


class SystemMessage(_Strict, tag_field="role", tag="system"):
    content: Content = None
    name: str | None = None
    cache_control: msgspec.Raw = NONE


class DeveloperMessage(SystemMessage, tag="developer"):
    pass


class UserMessage(_Strict, tag_field="role", tag="user"):
    content: Content = None
    name: str | None = None
    cache_control: msgspec.Raw = NONE


class ToolMessage(_Strict, tag_field="role", tag="tool"):
    content: Content = None
    tool_call_id: str | None = None
    name: str | None = None
    cache_control: msgspec.Raw = NONE


class AssistantMessage(_Strict, tag_field="role", tag="assistant"):
    """`parsed` is what OpenAI's SDK made of the content, sent back with it."""

    content: Content = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: list[Call | None] | None = None
    prefix: bool | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[ReasoningDetail] | None = None
    function_call: msgspec.Raw = NONE
    audio: msgspec.Raw = NONE
    annotations: msgspec.Raw = NONE
    parsed: msgspec.Raw = NONE
    cache_control: msgspec.Raw = NONE


Message = SystemMessage | DeveloperMessage | UserMessage | ToolMessage | AssistantMessage


class Function(_Strict):
    name: str
    description: str | None = None
    parameters: msgspec.Raw = NONE
    strict: bool | None = None


class FunctionTool(_Strict, tag_field="type", tag="function"):
    function: Function
    cache_control: msgspec.Raw = NONE


class NamedFunction(_Strict):
    name: str


class NamedChoice(_Strict, tag_field="type", tag="function"):
    function: NamedFunction


class JsonSchema(_Strict):
    name: str = ""
    description: str | None = None
    schema: msgspec.Raw = NONE
    strict: bool | None = None


class TextFormat(_Strict, tag_field="type", tag="text"):
    pass


class JsonFormat(_Strict, tag_field="type", tag="json_object"):
    pass


class SchemaFormat(_Strict, tag_field="type", tag="json_schema"):
    json_schema: JsonSchema


class StreamOptions(_Strict):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class ReasoningOptions(_Strict):
    """OpenRouter's `reasoning`, the richer form of `reasoning_effort`."""

    effort: str | None = None
    max_tokens: int | None = None
    enabled: bool | None = None


MESSAGES = msgspec.json.Decoder(list[Message | None])
TOOLS = msgspec.json.Decoder(list[FunctionTool | None])
CHOICE = msgspec.json.Decoder(str | NamedChoice | None)
FORMAT = msgspec.json.Decoder(TextFormat | JsonFormat | SchemaFormat | None)
STREAM_OPTIONS = msgspec.json.Decoder(StreamOptions)
REASONING = msgspec.json.Decoder(ReasoningOptions)
STOP = msgspec.json.Decoder(str | list[str])
