"""What may be asked of the scripted provider for one reply, as JSON.

A call brings its own script in the header `x-script`, in the query as `script=`, in the model's name behind
`#`, or in `[[script {...}]]` in the last user message; the first of these wins. The others are in `scenario`.
"""

import math
import re
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

IN_TEXT = re.compile(r"\[\[script (\{.*\})\]\]", re.DOTALL)
MAX_CHARS = 262_144
UNSENDABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]")
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

Place = int | float | Literal["reading", "head", "utf8", "tool"]
"""A place in a reply: so many events and a part of the next, or a named one."""
Milliseconds = Annotated[float, Meta(ge=0, le=86_400_000)]
Count = Annotated[int, Meta(ge=0, le=1_000_000)]
Tokens = Annotated[int, Meta(ge=0, le=200_000)]
Header = str | int | float
T = TypeVar("T")

Fault = Literal[
    "rate",
    "overload",
    "server",
    "timeout",
    "money_429",
    "money_402",
    "money_400",
    "money_403",
    "money_200",
    "money_in_flight",
    "context",
    "filter",
    "key",
    "forbidden",
    "model",
    "bad",
    "too_large",
    "prefill",
    "html",
    "empty",
]
Wording = Literal["openai", "azure", "anthropic", "google", "openrouter", "mistral", "vllm", "llamacpp"]


class ScriptError(ValueError):
    """The script is no JSON, or has a field or value that means nothing here."""


class ToolCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One call the model makes; without arguments they follow from the tool's schema."""

    name: str
    arguments: dict[str, Any] | None = None


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rates per million tokens, for `usage.cost`. Where the cached rates are left out, input's holds."""

    input: Decimal = Decimal(0)
    output: Decimal = Decimal(0)
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None


class Script(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One reply's script; docs/guide/scripted-provider.md says what each field does."""

    # what comes instead of an answer
    status: Annotated[int, Meta(ge=200, le=599)] | None = None
    fault: Fault | None = None
    words: Wording | None = None
    error: dict[str, Any] = {}
    body: str | None = None
    redirect: str | None = None
    form: Literal["plain", "stream"] | None = None
    gzip_bomb_bytes: Annotated[int, Meta(ge=1, le=16 << 30)] | None = None
    # the head
    headers: dict[str, str] = {}
    retry_after: Header | None = None
    retry_after_date_s: Annotated[float, Meta(ge=-1e10, le=1e11)] | None = None
    retry_after_ms: Header | None = None
    retry_info: Header | None = None
    limit_reset_s: Annotated[float, Meta(ge=0, le=1e9)] | None = None
    limit_remaining: Count = 0
    informational: Count | Literal["endless"] = 0
    extra_headers: Annotated[int, Meta(ge=0, le=100_000)] = 0
    extra_header_bytes: Annotated[int, Meta(ge=0, le=1_048_576)] = 32
    # time
    latency_ms: Milliseconds | None = None
    first_event_ms: Milliseconds = 0
    event_ms: Milliseconds = 0
    drip_ms: Milliseconds = 0
    tokens_per_second: Annotated[float, Meta(ge=0)] | None = None
    jitter: Annotated[float, Meta(ge=0, le=1)] = 0
    seed: int = 0
    # the answer
    output_tokens: Tokens | None = None
    text: str | None = None
    model: str | None = None
    tool_call: ToolCall | list[ToolCall] | None = None
    reasoning_tokens: Tokens | None = None
    finish: str | None = None
    delta_chars: Annotated[int, Meta(ge=1)] | None = None
    empty_choices: bool = False
    # what the model takes
    no_prefill: bool = False
    refuse_fields: list[str] = []
    context_window: Count | None = None
    # usage, cache and cost
    usage: dict[str, Any] = {}
    usage_start: dict[str, Any] = {}
    usage_as: Literal["bare", "totals", "negative", "absurd"] | None = None
    no_usage: bool = False
    usage_always: bool = False
    usage_twice: bool = False
    usage_in_empty_delta: bool = False
    cost: Decimal | None = None
    price: Price | None = None
    cache: Literal["auto", "marks", "off"] | None = None
    cache_min_tokens: Annotated[int, Meta(ge=0)] = 1024
    cache_block_tokens: Annotated[int, Meta(ge=16, le=65_536)] = 1024
    cache_ttl_s: Annotated[float, Meta(ge=0)] = 300
    disconnect: Literal["stop", "finish"] = "stop"
    # the stream's shape
    empty_choices_first: bool = False
    comment: bool = False
    crlf: bool = False
    bom: bool = False
    split: Annotated[int, Meta(ge=1)] | None = None
    no_done: bool = False
    malformed_after: Count | None = None
    error_event_after: Count | None = None
    response_failed: bool = False
    long_line_bytes: Annotated[int, Meta(ge=0, le=1 << 30)] = 0
    long_line_after: Count = 1
    # where it breaks
    cut_after: Place | None = None
    reset_after: Place | None = None
    hang_after: Place | None = None
    end_after: Place | None = None
    stall_ms: Milliseconds = 0
    stall_after: Place = 1

    @property
    def calls(self) -> list[ToolCall]:
        """The tool calls, however many were written."""
        if self.tool_call is None:
            return []
        return self.tool_call if isinstance(self.tool_call, list) else [self.tool_call]

    def breaks_at(self, place: Place) -> bool:
        """Whether the connection breaks, or goes silent, exactly there."""
        return place in (self.cut_after, self.reset_after, self.hang_after)

    def __post_init__(self) -> None:
        """Refuse what no field's own bounds refuse; msgspec reports it with the field's path."""
        places = {
            "cut_after": self.cut_after,
            "reset_after": self.reset_after,
            "hang_after": self.hang_after,
            "end_after": self.end_after,
            "stall_after": self.stall_after,
        }
        for name, place in places.items():
            if isinstance(place, int | float) and not (0 <= place <= 1e9 and math.isfinite(place)):
                raise ValueError(f"{name} must be at least 0")
            if place == "reading" and name not in ("cut_after", "reset_after"):
                raise ValueError(f"{name} cannot be 'reading'")
        if self.end_after == 0:
            raise ValueError("end_after must be above 0; a reply that has no event ends after 'head'")
        if self.extra_headers * self.extra_header_bytes > 64 << 20:
            raise ValueError("extra_headers times extra_header_bytes is over 64 MB")
        lines = dict(self.headers)
        lines |= {"retry_after": str(self.retry_after), "retry_after_ms": str(self.retry_after_ms)}
        lines["redirect"] = self.redirect or ""
        for name, value in lines.items():
            if UNSENDABLE.search(value) or not HEADER_NAME.fullmatch(name):
                raise ValueError(f"header {name!r} cannot be sent")


PLAIN = Script()


def read(raw: str | bytes, kind: type[T]) -> T:
    """Read JSON of `kind`. Raises ScriptError naming the field."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise ScriptError(f"the script cannot be used: {error}") from None


@lru_cache(maxsize=128)
def _parse(raw: str) -> Script:
    return read(raw, Script)


def parse(raw: str) -> Script:
    """Read a script. Raises ScriptError naming the field."""
    if len(raw) > MAX_CHARS:
        raise ScriptError(f"the script cannot be used: it is over {MAX_CHARS} characters")
    return _parse(raw)


def find(header: str, model: str, text: str) -> tuple[str, Script]:
    """Return the model's name without a script, and the call's own script, else PLAIN. Raises ScriptError."""
    name, hash_, behind = model.partition("#")
    if header:
        return name, parse(header)
    if hash_:
        return name, parse(behind)
    if "[[script " in text and (found := IN_TEXT.search(text)) is not None:
        return name, parse(found[1])
    return name, PLAIN
