"""Providers, their models and deployments: rows, written by people, with a source and a date."""

from typing import Literal

import msgspec

from tidegate.model.request import Surface

StreamUsage = Literal["ask", "always", "own", "never"]
"""`ask`: the usage of a stream comes only when asked for (`stream_options`); `always`: it comes unasked;
`own`: the dialect's own events carry it; `never`: asking is refused, so we do not ask."""

Disconnect = Literal["cancel", "drain", "unknown"]
"""What ends a generation when the client leaves (trap M6); `unknown` cancels and flags the estimate."""

Residency = Literal["contractual", "selectable", "none", "unknown"]

ErrorClass = Literal[
    "rate", "overload", "money", "context", "filter", "key", "forbidden", "model", "bad", "upstream"
]

OutputLimitField = Literal["max_tokens", "max_completion_tokens", "max_output_tokens"]

Prefill = Literal["taken", "marked", "not_taken", "refused"]
"""What becomes of an assistant turn at the end: `taken` and continued; taken where it is `marked` with
`prefix: true`; `not_taken`: answered anew or refused, but not continued; `refused`: a 400."""

Overlong = Literal["refuses", "truncates", "unknown"]
"""What becomes of a prompt longer than the context: an error, or a prompt cut without a word."""

SchemaExcludes = Literal["stream", "tools", "parallel_tools", "reasoning"]

ResetForm = Literal["duration", "seconds", "milliseconds", "instant", "epoch_ms"]
"""How a limit's reset is written: `6m0s` or `172ms`; a number of seconds or milliseconds from now; RFC 3339;
milliseconds since 1970."""


class Auth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the provider's key travels: `header: {prefix}{secret}`. `env` is its usual variable."""

    header: str = "authorization"
    prefix: str = "Bearer "
    env: str = ""
    required: bool = True


class UsageRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the provider's usage differs from its dialect's.

    `reasoning`: `outside` when reasoning tokens are not in the completion count (trap M16); a reply whose
    total says otherwise wins, and the rule applied is recorded. `cost_field` is the decimal the provider
    states (trap M11), a dotted path in `usage`; `cost_divisor` turns it into whole currency units.
    """

    reasoning: Literal["inside", "outside"] = "inside"
    cost_field: str = ""
    cost_divisor: int = 1
    cost_currency: str = "USD"


class Region(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One place the provider lets a caller choose; `price_factor` is the documented uplift, a decimal.

    `jurisdiction` is where inference runs there: `eu`, `us`, `ch`, ...; empty when nobody says.
    """

    base_url: str
    residency: Residency = "unknown"
    jurisdiction: str = ""
    price_factor: str = "1"


class ErrorRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of the error classifier: every field that is set must match; the first row that fits wins.

    `message` is a part of the provider's message, compared without regard to case.
    """

    is_: ErrorClass = msgspec.field(name="is")
    status: int | None = None
    code: str = ""
    type: str = ""
    message: str = ""
    retry_after: bool | None = None


class Capabilities(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the chat or messages surface takes; None, or nothing written, means that nobody says.

    `images`: in a user's message, as data; `image_urls`: by an address that the provider fetches;
    `documents`: PDF files as parts. `parallel_tools`: several calls in one turn, and the field that turns
    them off. `tool_choice`: a tool can be forced. `json_schema`: an answer held to a schema, which some take
    only without what `json_schema_excludes` names.
    """

    images: bool | None = None
    image_urls: bool | None = None
    documents: bool | None = None
    tools: bool | None = None
    parallel_tools: bool | None = None
    tool_choice: bool | None = None
    json_schema: bool | None = None
    json_schema_excludes: tuple[SchemaExcludes, ...] = ()
    logprobs: bool | None = None
    prefill: Prefill | None = None


class Translation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a provider wants what another dialect's clients ask for.

    `system_in_messages`: instructions in mid-conversation are taken (Anthropic). `cache_marks`: a chat
    provider takes Anthropic's marks. `top_k`: a chat provider takes it. `reasoning_field` is where it takes
    back what a model thought. `tool_ids`: `nine` where ids must be nine letters and digits.
    """

    system_in_messages: bool = False
    cache_marks: bool = False
    top_k: bool = False
    reasoning_field: Literal["", "reasoning_content", "reasoning", "reasoning_details"] = ""
    tool_ids: Literal["any", "nine"] = "any"


class LimitHeader(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One limit that a provider states on its replies, by the names of its headers; empty where it has none.

    `window` is the span the count is kept over, empty where nobody says.
    """

    counts: Literal["requests", "tokens", "input_tokens", "output_tokens"]
    window: Literal["", "minute", "day", "month"] = ""
    limit: str = ""
    remaining: str = ""
    reset: str = ""
    reset_form: ResetForm | None = None


class ModelRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model, or a family by prefix (`pattern` ends in `*`), where it differs from its provider.

    `refuses` names request fields that get a 400 (`prefill` is an assistant turn at the end). `surfaces`
    limits what this model is called through, where the provider speaks more. What `capabilities`
    says goes before the provider's word.
    """

    pattern: str
    output_limit_field: OutputLimitField | None = None
    stream_usage: StreamUsage | None = None
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    refuses: tuple[str, ...] = ()
    capabilities: Capabilities = Capabilities()
    surfaces: tuple[Surface, ...] | None = None
    source: str = ""
    checked: str = ""


class PassThrough(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of a provider's paths that are no surface here.

    `below` is the end of its base URL that its own paths begin with, or stand beside: it is taken off before
    a path is added. `free` are paths that cost nothing and keep nothing, `keeps` such that cost nothing and
    keep something for the whole account; each covers what is below it, and none is priced.
    """

    below: str = ""
    free: tuple[str, ...] = ()
    keeps: tuple[str, ...] = ()


class Provider(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One provider. `paths` maps the surfaces it speaks to the path after the base URL.

    `base_url` may hold placeholders (`{resource}`) that a deployment must fill; empty means the operator
    must state it (local servers). `output_limit_field` and `stream_usage` are the chat surface's; `usage`
    holds for every surface that `surface_usage` does not name. `client_headers` are the request headers of
    a client that go through. `takes` names what a deployment may state besides. `jurisdiction` is where
    inference runs when no region is chosen. `source` and `checked` say where the facts were read and when.

    `models_path` costs nothing to GET; `models_listed` is `offered` where the list names what could be
    deployed instead of what can be called. `key_path` answers a valid key alone, also free, where the list
    is open to everybody. `capabilities` are the provider's in general, its models' rows go before them.
    `refuses` names request fields that get a 400 (`n`: other than 1), `ignores` those without effect there.
    """

    name: str
    title: str
    base_url: str = ""
    auth: Auth = Auth()
    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    paths: dict[Surface, str]
    models_path: str = ""
    models_listed: Literal["callable", "offered"] = "callable"
    key_path: str = ""
    output_limit_field: OutputLimitField = "max_tokens"
    default_output_limit: int | None = None
    max_body_bytes: int | None = None
    capabilities: Capabilities = Capabilities()
    refuses: tuple[str, ...] = ()
    ignores: tuple[str, ...] = ()
    overlong: Overlong = "unknown"
    stream_usage: StreamUsage = "ask"
    usage: UsageRules = UsageRules()
    surface_usage: dict[Surface, UsageRules] = {}
    client_headers: tuple[str, ...] = ()
    takes: tuple[Literal["resource", "deployment", "api_version"], ...] = ()
    disconnect: Disconnect = "unknown"
    regions: dict[str, Region] = {}
    residency: Residency = "unknown"
    jurisdiction: str = ""
    prices: str = ""
    errors: tuple[ErrorRule, ...] = ()
    limits: tuple[LimitHeader, ...] = ()
    translation: Translation = Translation()
    pass_through: PassThrough = PassThrough()
    models: tuple[ModelRow, ...] = ()
    source: str
    checked: str
    verified: bool = False
    notes: str = ""


class Deployment(msgspec.Struct, frozen=True, kw_only=True):
    """One way to reach one model, resolved from the configuration; no secret in it.

    `model` is the id sent upstream. `names` are the model names clients may use for it. `base_url` has no
    placeholder left and no trailing slash. `secret` names where the key is read (`env:NAME`, `file:PATH`
    or empty for none). `region` is where the operator says it runs, `jurisdiction` what that means (`eu`).
    `price_model` is the model that is priced before the reply names one, where `model` is an Azure
    deployment's name; empty means `model`. `path_model` fills `{deployment}` in a path. `stream_usage` is
    the operator's word on a server that the catalogue does not know, as is `disconnect`.
    """

    name: str
    provider: str
    model: str
    names: tuple[str, ...]
    base_url: str
    secret: str = ""
    region: str = ""
    residency: Residency = "unknown"
    jurisdiction: str = ""
    price_factor: str = "1"
    price_model: str = ""
    query: dict[str, str] = {}
    headers: dict[str, str] = {}
    path_model: str = ""
    stream_usage: StreamUsage | None = None
    disconnect: Disconnect | None = None
    weight: int = 1


class Target(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where one attempt went, as the record keeps it."""

    provider: str
    deployment: str
    model: str
    region: str = ""
