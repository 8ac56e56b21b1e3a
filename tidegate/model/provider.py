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


class ModelRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model, or a family by prefix (`pattern` ends in `*`), where it differs from its provider.

    `refuses` names request fields that get a 400 (`prefill` is an assistant turn at the end). `surfaces`
    limits what this model is called through, where the provider speaks more.
    """

    pattern: str
    output_limit_field: OutputLimitField | None = None
    stream_usage: StreamUsage | None = None
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    refuses: tuple[str, ...] = ()
    surfaces: tuple[Surface, ...] | None = None
    source: str = ""
    checked: str = ""


class Provider(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One provider. `paths` maps the surfaces it speaks to the path after the base URL.

    `base_url` may hold placeholders (`{resource}`) that a deployment must fill; empty means the operator
    must state it (local servers). `output_limit_field` and `stream_usage` are the chat surface's; `usage`
    holds for every surface that `surface_usage` does not name. `client_headers` are the request headers of
    a client that go through. `takes` names what a deployment may state besides. `jurisdiction` is where
    inference runs when no region is chosen. `source` and `checked` say where the facts were read and when.
    """

    name: str
    title: str
    base_url: str = ""
    auth: Auth = Auth()
    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    paths: dict[Surface, str]
    models_path: str = ""
    output_limit_field: OutputLimitField = "max_tokens"
    default_output_limit: int | None = None
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
    the operator's word on a server that the catalogue does not know.
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


class Target(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where one attempt went, as the record keeps it."""

    provider: str
    deployment: str
    model: str
    region: str = ""
