"""The journal's records: integers and strings only, never text of a prompt or an answer.

A simple call is two records: `Begin` before its provider is called, `End` when it is over. Each further
upstream call is an `Attempt`, which settles the one before it. All times are microseconds; `at` is since
the epoch (UTC), other `_us` fields are durations. Money is nano-units of the currency beside it. A reader
ignores fields it does not know; a new field always has a default.
"""

from typing import Literal

import msgspec

from tidegate.model.budget import Share
from tidegate.model.identity import AttributeSource
from tidegate.model.provider import ErrorClass, Target
from tidegate.model.request import Surface
from tidegate.model.usage import Usage, UsageSource

VERSION = 1

AttemptStatus = Literal["ok", "error", "truncated", "cancelled", "timeout", "unreachable", "interrupted"]
"""How one upstream call ended. `cancelled`: the client left. `interrupted`: this process ended first."""

Outcome = Literal["ok", "refused", "failed", "truncated", "cancelled", "interrupted"]
"""How a request ended for its client."""

CostSource = Literal["price", "stated", "estimated", "ceiling", "none", "unpriced"]
"""`price`: card times provider usage; `stated`: the provider's own figure; `estimated`: card times an
estimate; `ceiling`: a configured ceiling; `none`: nothing was billed; `unpriced`: no card, amount NULL."""


class Who(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """To whom a call belongs. `user`, `customer`, `session` and the values of `tags` are keyed pseudonyms."""

    tenant: str
    key: str
    project: str = ""
    team: str = ""
    feature: str = ""
    feature_source: AttributeSource = "fingerprint"
    customer: str = ""
    user: str = ""
    session: str = ""
    run: str = ""
    step: str = ""
    prompt: str = ""
    environment: str = ""
    tags: dict[str, str] = {}


LimitSource = Literal["client", "provider", "learned", "default", "budget", "none"]
"""Whose limit on an answer's length was sent: the client's, one learned from the answers before, the policy's
default, one lowered to what a budget had room for, or none of ours."""


class Hold(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one attempt may cost: tokens by estimate, and money at `price_id`; None where unpriced.

    `input_nano` is the input's share of `amount_nano`, so that an interrupted call can be estimated from
    this record alone. `shares` is what it takes of budgets' accounts.
    """

    input_tokens: int
    output_tokens: int
    amount_nano: int | None = None
    input_nano: int | None = None
    currency: str = "USD"
    price_id: str = ""
    calibration: str = ""
    shares: tuple[Share, ...] = ()


class Measured(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What can only be recorded from the first call on.

    Each part is `[bytes, estimated tokens]`. `prefixes` are `[message index, keyed hash]` at the newest and
    a few older message boundaries; `exact` is the keyed hash of everything that decides the answer.
    """

    body_bytes: int
    system: tuple[int, int] = (0, 0)
    tools: tuple[int, int] = (0, 0)
    history: tuple[int, int] = (0, 0)
    tool_results: tuple[int, int] = (0, 0)
    last_user: tuple[int, int] = (0, 0)
    messages: int = 0
    tool_count: int = 0
    images: int = 0
    fingerprint: str = ""
    prefixes: tuple[tuple[int, str], ...] = ()
    exact: str = ""


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One decision: its name, the values it was made from, and its result."""

    name: str
    inputs: dict[str, str | int | None] = {}
    result: str = ""


class Settled(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one attempt came to. Every token and amount that nobody knows is None, never 0.

    `sent`: `no` when no complete request can have reached the provider. `flags` name what a reader must
    know (`maybe_billed`, `estimated`, `unpriced`, `model_drift`, `cost_drift`, `cache_price_missing`, ...).
    `started_us`, `first_byte_us`, `first_event_us` and `ended_us` count from the request's `Begin.at`.
    `output_bytes` are bytes of generated text, from which an estimate was made where one was. `charges` is
    what each account that the attempt was held against was charged, in place of its `Hold.shares`.
    """

    status: AttemptStatus
    sent: Literal["no", "maybe", "yes"] = "yes"
    http: int | None = None
    error_class: ErrorClass | None = None
    error_code: str = ""
    usage: Usage = Usage()
    usage_source: UsageSource = "none"
    usage_rule: str = ""
    calibration: str = ""
    stated_input: int | None = None
    stated_output: int | None = None
    cost_nano: int | None = None
    currency: str = "USD"
    cost_source: CostSource = "none"
    price_id: str = ""
    fx_id: str = ""
    stated_cost_nano: int | None = None
    model_served: str = ""
    service_tier: str = ""
    upstream_id: str = ""
    finish: str = ""
    tool_calls: int = 0
    output_bytes: int = 0
    started_us: int = 0
    first_byte_us: int | None = None
    first_event_us: int | None = None
    ended_us: int = 0
    flags: tuple[str, ...] = ()
    charges: tuple[Share, ...] = ()


class Begin(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="t", tag="begin"):
    """A call that is about to reach its provider. `id` is the request's UUIDv7."""

    seq: int
    at: int
    id: str
    snapshot: int
    surface: Surface
    who: Who
    model_asked: str
    target: Target
    hold: Hold
    measured: Measured
    stream: bool = False
    max_output: int | None = None
    limit_sent: int | None = None
    limit_source: LimitSource = "none"
    service_tier: str = ""
    decisions: tuple[Decision, ...] = ()


class Attempt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="t", tag="attempt"):
    """A further upstream call of request `id`. `n` counts from 1 (the one of `Begin` is 0)."""

    seq: int
    at: int
    id: str
    n: int
    previous: Settled
    target: Target
    hold: Hold
    reason: str = ""


class End(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="t", tag="end"):
    """A call that is over. `last` settles its last attempt; `http` is the status its client was sent.

    `edits` lists every change to the request or the reply that a policy or the dialect's rules made.
    `ttft_us` and `duration_us` are what the client saw; `bytes_out` what it was sent.
    """

    seq: int
    at: int
    id: str
    outcome: Outcome
    last: Settled
    n: int = 0
    http: int | None = None
    error_code: str = ""
    edits: tuple[str, ...] = ()
    ttft_us: int | None = None
    duration_us: int = 0
    bytes_out: int = 0
    decisions: tuple[Decision, ...] = ()


class Refused(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="t", tag="refused"):
    """A call that reached no provider: who, what, and why. It cost nothing."""

    seq: int
    at: int
    id: str
    surface: Surface | None
    http: int
    code: str
    who: Who | None = None
    model_asked: str = ""
    body_bytes: int = 0
    duration_us: int = 0
    decisions: tuple[Decision, ...] = ()


class RefusedMany(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="t", tag="refused_many"
):
    """Refusals without a tenant beyond the rate at which each gets a record of its own: one row a minute."""

    seq: int
    at: int
    minute_us: int
    code: str
    count: int


class Progress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="t", tag="progress"):
    """A long stream is at least this far, so that a crash leaves a small gap to estimate."""

    seq: int
    at: int
    id: str
    n: int
    output_tokens: int
    output_bytes: int


class Note(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="t", tag="note"):
    """An event worth keeping: start, stop, drift, alarm. `id` names the request it belongs to, if any."""

    seq: int
    at: int
    kind: str
    id: str = ""
    facts: dict[str, str | int] = {}


GatewayRecord = Begin | Attempt | End | Refused | RefusedMany | Progress | Note


class KeyCreated(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="t", tag="key_created"
):
    """A virtual key was made. `key` is `model.identity.Key` as JSON-able values."""

    seq: int
    at: int
    by: str
    key: dict[str, str | int | dict[str, str] | list[str] | None]


class KeyRevoked(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="t", tag="key_revoked"
):
    """A virtual key ends at `revoked_at_us`."""

    seq: int
    at: int
    by: str
    key_id: str
    revoked_at_us: int
    reason: str = ""


class FeatureNamed(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="t", tag="feature_named"
):
    """A fingerprint (or another feature name) is called `name` from `valid_from_us` on; 0 is always."""

    seq: int
    at: int
    by: str
    tenant: str
    feature: str
    name: str
    valid_from_us: int = 0


class PriceListed(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="t", tag="price_listed"
):
    """A price card came into use: `content` is its JSON, kept so that a pinned `price_id` stays readable."""

    seq: int
    at: int
    by: str
    price_id: str
    content: str


class RateSet(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="t", tag="rate_set"):
    """An exchange rate came into use: `model.money.Fx` as JSON-able values, `date` as `2026-11-01`."""

    seq: int
    at: int
    by: str
    fx_id: str
    base: str
    quote: str
    rate: str
    date: str
    source: str


class BudgetRaised(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="t", tag="budget_raised"
):
    """One window of a budget's account was given more, or less where `amount` is negative, for a reason."""

    seq: int
    at: int
    by: str
    account: str
    window_us: int
    amount: int
    reason: str


class RatesImported(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="t", tag="rates_imported"
):
    """Reference rates were imported: one unit of `base` is `rate` units of `quote` from a day on.

    `rates` are `[quote, day, rate]`, days as `2026-11-02`, oldest first. Many fit one record; the id of each
    is that of `model.money.Fx`.
    """

    seq: int
    at: int
    by: str
    base: str
    source: str
    rates: tuple[tuple[str, str, str], ...]


ControlRecord = (
    KeyCreated | KeyRevoked | FeatureNamed | PriceListed | RateSet | RatesImported | BudgetRaised | Note
)

_encoder = msgspec.json.Encoder()
encode = _encoder.encode
"""A record as its JSON bytes."""

decode_gateway = msgspec.json.Decoder(GatewayRecord).decode
"""JSON bytes of a gateway's journal as a record; raises msgspec.ValidationError (unknown tags too)."""

decode_control = msgspec.json.Decoder(ControlRecord).decode
"""JSON bytes of the control process's journal as a record; raises msgspec.ValidationError."""
