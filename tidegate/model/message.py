"""A conversation in no dialect's words: what is asked of a model, as one dialect reads and another writes it.

Raw JSON stays raw where no dialect looks into it: schemas, arguments, cache marks. `at` is the path of the
client's field that a value was read from, so that a refusal can name it; it says nothing else.
"""

from typing import Literal

import msgspec

NOTHING = msgspec.Raw(b"")

Role = Literal["system", "user", "assistant"]
"""`system` is an instruction in mid-conversation (trap K6); OpenAI's `developer` is the same rank."""

Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class _Part(msgspec.Struct, frozen=True, kw_only=True, tag_field="part", omit_defaults=True):
    """`cache` is the client's cache mark, opaque; empty when there is none."""

    cache: msgspec.Raw = NOTHING
    at: str = ""


class Text(_Part, frozen=True, tag="text"):
    """Text that a person, a model or a tool wrote."""

    text: str


class Image(_Part, frozen=True, tag="image"):
    """An image: by `url`, or as base64 `data` of a `media_type`."""

    url: str = ""
    data: str = ""
    media_type: str = ""
    detail: str = ""


class Document(_Part, frozen=True, tag="document"):
    """A document: by `url`, as base64 `data` of a `media_type`, or as plain `text`."""

    url: str = ""
    data: str = ""
    media_type: str = ""
    text: str = ""
    title: str = ""


class ToolUse(_Part, frozen=True, tag="tool_use"):
    """A model's call of a tool. `arguments` is the JSON text as the model wrote it, which may be invalid."""

    id: str
    name: str
    arguments: str


class ToolResult(_Part, frozen=True, tag="tool_result"):
    """What a tool answered to the call `id`."""

    id: str
    parts: "tuple[Text | Image | Document, ...]" = ()
    is_error: bool = False


class Thinking(_Part, frozen=True, tag="thinking"):
    """What a model thought. Only one with a `signature` can be given back to who signed it (trap S11)."""

    text: str
    signature: str = ""


class RedactedThinking(_Part, frozen=True, tag="redacted_thinking"):
    """Thinking that only its provider can read (trap S11)."""

    data: str


class Refusal(_Part, frozen=True, tag="refusal"):
    """A model's words when it refused."""

    text: str


class Opaque(_Part, frozen=True, tag="opaque"):
    """A provider's own field `name` of a tool call, to be given back unread (trap S11)."""

    name: str
    raw: msgspec.Raw


Part = Text | Image | Document | ToolUse | ToolResult | Thinking | RedactedThinking | Refusal
Kept = Thinking | RedactedThinking | Opaque
"""What a dialect may be unable to carry, and the gateway then keeps by tool-call id (trap S11)."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One turn, or a part of one: turns of one role may follow each other (trap K16).

    `prefix`: the last turn is the start of the answer, which the model continues.
    """

    role: Role
    parts: tuple[Part, ...]
    prefix: bool = False
    at: str = ""


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """A function that a model may call. `schema` is JSON Schema, empty when it takes nothing.

    `deferred`: not loaded yet, so the model does not see it (trap K5).
    """

    name: str
    description: str = ""
    schema: msgspec.Raw = NOTHING
    strict: bool | None = None
    deferred: bool = False
    cache: msgspec.Raw = NOTHING
    at: str = ""


class ToolChoice(msgspec.Struct, frozen=True, kw_only=True):
    """Whether tools may or must be called; `name` is set for `named` alone."""

    kind: Literal["auto", "none", "any", "named"]
    name: str = ""


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """The form an answer must have: any JSON object, or what `schema` allows.

    `strict` is None where the dialect has no such switch and is always strict.
    """

    kind: Literal["json", "schema"]
    name: str = ""
    description: str = ""
    schema: msgspec.Raw = NOTHING
    strict: bool | None = None
    at: str = ""


class Reasoning(msgspec.Struct, frozen=True, kw_only=True):
    """How much thinking is asked for: in words, in tokens, or as the model likes (`adaptive`)."""

    effort: Effort | None = None
    budget_tokens: int | None = None
    adaptive: bool = False
    at: str = ""


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """One request. None means that the client did not say.

    `system` is what stands before the first turn. `asks_usage`: the client wants usage at a stream's end;
    where the dialect always gives it, it is true.
    """

    model: str
    messages: tuple[Message, ...]
    system: tuple[Text, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tools: bool | None = None
    output: Output | None = None
    reasoning: Reasoning | None = None
    max_output: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    n: int = 1
    stream: bool = False
    asks_usage: bool = False
    user: str = ""
    service_tier: Literal["", "auto", "default"] = ""
    cache: msgspec.Raw = NOTHING


class TargetTraits(msgspec.Struct, frozen=True, kw_only=True):
    """What the model that a request goes to can take; the defaults are a current, able model.

    `refuses` names fields of the target's dialect that get a 400, as in a catalogue's `ModelRow`
    (`tool_choice`: a forced call). `efforts` are the words of `reasoning_effort` it takes, none for a model
    that does not reason. `thinking` is how an Anthropic model is asked to think. `reasoning_field` is where a
    chat provider takes back what a model thought. `tool_ids`: `nine` where ids must be nine letters and
    digits (Mistral). `cache_marks`: whether a chat provider takes Anthropic's marks (OpenRouter).
    `system_in_messages`: whether an Anthropic model takes instructions in mid-conversation (Opus 4.8 and
    later). `prefill`: how the start of an answer is given, if at all.
    """

    refuses: frozenset[str] = frozenset()
    images: bool = True
    image_urls: bool = True
    documents: bool = True
    tools: bool = True
    structured_output: bool = True
    json_output: bool = True
    system_in_messages: bool = True
    images_in_tool_results: bool = False
    cache_marks: bool = False
    top_k: bool = False
    asks_usage: bool = True
    prefill: Literal["no", "plain", "prefix"] = "no"
    thinking: Literal["no", "budget", "adaptive"] = "adaptive"
    efforts: tuple[Effort, ...] = ("none", "minimal", "low", "medium", "high")
    reasoning_field: Literal["", "reasoning_content", "reasoning", "reasoning_details"] = ""
    tool_name_chars: int = 64
    tool_ids: Literal["any", "nine"] = "any"
    output_limit_field: Literal["max_tokens", "max_completion_tokens"] = "max_completion_tokens"
    default_max_output: int = 4096
