"""What `tidegate.toml` may say: typed and frozen. `docs/reference/configuration.md` explains each field."""

from typing import Annotated, Literal

import msgspec

from tidegate.config.budget_settings import BudgetRow
from tidegate.config.secret import Secret
from tidegate.model.alert import AlertEvent
from tidegate.model.budget import OutputLimitsMode
from tidegate.model.price import Override, PriceSection
from tidegate.model.provider import Residency, StreamUsage
from tidegate.model.request import PassThroughMode

Currency = Annotated[str, msgspec.Meta(extra={"kind": "currency"})]
"""Three capital letters, ISO 4217."""

Name = Annotated[str, msgspec.Meta(extra={"kind": "name"})]
"""A model's, deployment's or alias's name: printable ASCII without blanks, at most 200 characters."""

Address = Annotated[str, msgspec.Meta(extra={"kind": "address"})]
"""`host:port`, with brackets around an IPv6 address."""

Label = Annotated[str, msgspec.Meta(extra={"kind": "label"})]
"""A tenant's, key's, team's or feature's name, or `*`: 1 to 200 printable characters."""

Amount = Annotated[str, msgspec.Meta(extra={"kind": "decimal"})]
"""An exact decimal that is not negative, as text; a whole number may stand without quotes."""

ScopeName = Literal["tenant", "key", "team", "feature", "model", "provider"]

Count = Annotated[int, msgspec.Meta(ge=1)]
Quantity = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000_000)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=31_536_000)]
Span = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
"""Seconds, at most a day."""

Wait = Annotated[float, msgspec.Meta(ge=0, le=86_400)]
"""Seconds, at most a day, where 0 means none."""

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Server(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the two processes listen, where state lives, and what one request may take.

    `state_dir` is absolute once loaded. `head_timeout_s` and `body_timeout_s` hold for what clients send;
    the other limits for the provider's answer. An empty `allowed_hosts` takes any well-formed Host.
    """

    listen: Address = "127.0.0.1:4180"
    control: Address = "127.0.0.1:4181"
    control_remote: bool = False
    state_dir: Annotated[str, msgspec.Meta(min_length=1)] = ".tidegate"
    allowed_hosts: tuple[str, ...] = ()
    max_body_bytes: Annotated[int, msgspec.Meta(ge=1_024, le=1_073_741_824)] = 33_554_432
    max_connections: Count = 2_000
    head_timeout_s: Seconds = 10.0
    body_timeout_s: Seconds = 300.0
    connect_timeout_s: Seconds = 10.0
    first_byte_timeout_s: Seconds = 600.0
    first_content_timeout_s: Seconds = 600.0
    idle_timeout_s: Seconds = 300.0
    total_timeout_s: Seconds = 3_600.0
    drain_timeout_s: Seconds = 30.0
    transport: Literal["direct", "aiohttp"] = "direct"


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done with calls that need a rule.

    `unpriced`: a call whose model has no price is refused (402), or let through and flagged; a budget of
    money holds and charges `unpriced_hold` of the report's currency for it, or refuses it without.
    `output_limits`: when a call that sets no limit on its answer is sent one: always, once one was learned,
    or only where a budget needs it. Until then `default_output_tokens` are assumed.
    `pass_through`: whether other paths of a provider may be called, and those whose price or usage cannot be
    known; `pass_through_shared`: what a provider keeps for an account may be seen by several tenants.
    `budget_wait_s`: how long a call waits where only what others hold keeps it from fitting a budget.
    `keep_responses_s`: how long a client of Responses may go on from an answer that no provider keeps. Beyond
    `refused_records_per_minute`, refusals without a tenant are only counted: a flood must not fill a disk.
    """

    unpriced: Literal["refuse", "flag"] = "refuse"
    keep_alive_s: Annotated[float, msgspec.Meta(ge=1, le=60)] = 10.0
    output_limits: OutputLimitsMode = "learned"
    default_output_tokens: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 4096
    unpriced_hold: Amount | None = None
    pass_through: PassThroughMode = "metered"  # noqa: S105 - a mode, no password
    pass_through_shared: bool = False
    budget_wait_s: Annotated[float, msgspec.Meta(ge=0, le=30)] = 5.0
    keep_responses_s: Annotated[int, msgspec.Meta(ge=0, le=2_592_000)] = 86_400
    retention_days: Annotated[int, msgspec.Meta(ge=1, le=36_500)] = 400
    refused_records_per_minute: Annotated[int, msgspec.Meta(ge=0)] = 600


class DeploymentPrice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A price stated beside its deployment, as a row of `prices.override` without its conditions."""

    currency: Currency
    rates: dict[str, str | int]
    illustration: bool = False
    source: str = "configuration"

    def override(self, provider: str, model: str, region: str) -> Override:
        """Return the row this is short for."""
        return Override(
            provider=provider,
            model=model,
            region=region,
            currency=self.currency,
            rates=self.rates,
            illustration=self.illustration,
            source=self.source,
        )


class DeploymentRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way to reach one model, as written.

    `model` is the provider's id of the model and the one that is priced. `names` are the model names that
    clients may use (`model` itself when empty). `resource` and `deployment` fill an Azure row's placeholders.
    `residency` is the operator's own statement, and wins over the catalogue's.
    """

    name: Name
    provider: Name
    model: Name
    names: tuple[Name, ...] = ()
    key: Secret | None = None
    base_url: str = ""
    region: str = ""
    residency: Residency | None = None
    resource: str = ""
    deployment: str = ""
    api_version: str = ""
    headers: dict[str, str] = {}
    stream_usage: StreamUsage | None = None
    disconnect: Literal["cancel", "drain"] | None = None
    price: DeploymentPrice | None = None
    weight: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = 1


class Resilience(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far to go for one request, and how its deployments are spread.

    `patience_s` is the longest wait at one deployment while another is left, `max_wait_s` the longest at all.
    `down_s`: how long one that cannot be reached is passed over. `retry_ratio`: retries for each request.
    """

    attempts_per_deployment: Annotated[int, msgspec.Meta(ge=1, le=10)] = 2
    attempts: Annotated[int, msgspec.Meta(ge=1, le=32)] = 4
    backoff_s: Wait = 0.25
    backoff_cap_s: Wait = 8.0
    patience_s: Wait = 1.0
    max_wait_s: Wait = 2.0
    retry_unknown: bool = True
    route_around_filter: bool = False
    down_s: Wait = 5.0
    balance: Literal["in_order", "weight", "latency"] = "in_order"
    sticky: bool = True
    retry_ratio: Share = 0.2


class Breaker(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a deployment's breaker opens, and for how long. 0 switches a rule off, `enabled` all of them."""

    enabled: bool = True
    last_calls: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 5
    last_failures: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = 5
    window_s: Annotated[float, msgspec.Meta(ge=1, le=86_400)] = 30.0
    min_calls: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 10
    failure_share: Share = 0.5
    slow_s: Wait = 0.0
    slow_share: Share = 0.8
    cooldown_s: Span = 5.0
    refused_cooldown_s: Span = 60.0
    max_cooldown_s: Span = 300.0
    probes: Annotated[int, msgspec.Meta(ge=1, le=100)] = 1
    successes: Annotated[int, msgspec.Meta(ge=1, le=100)] = 2


class LimitRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much one tenant, key, ... may call; at least one amount is set. `*` is each one by itself."""

    scope: ScopeName
    name: Label
    requests_per_minute: Quantity | None = None
    tokens_per_minute: Quantity | None = None
    concurrent: Quantity | None = None


class SpendLimitRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What opens a key's spend breaker; at least one rule is set. Money is of `currency`.

    `times_usual` is a factor over the key's usual minute; the floors are what it may spend however little
    is usual.
    """

    key: Label
    tokens_per_minute: Quantity | None = None
    amount_per_minute: Amount | None = None
    currency: Currency | None = None
    times_usual: Annotated[float, msgspec.Meta(ge=1, le=1_000)] | None = None
    floor_tokens: Quantity = 100_000
    floor_amount: Amount = "1"
    closed_by: Literal["cooldown", "operator"] = "cooldown"
    cooldown_s: Span = 300.0


class LastResort(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What follows when an alias's deployments have all failed: first `model`, then the text `message`."""

    model: Name | None = None
    message: Annotated[str, msgspec.Meta(min_length=1, max_length=10_000)] | None = None


class AlertTarget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where alerts are sent. `url` or `url_secret`, and `secret`, are of webhooks; the rest of e-mail.

    A Slack webhook's address is its secret, so it is only named. No `events` means all of them, no `teams`
    the alerts of every team and of none.
    """

    name: Name
    kind: Literal["webhook", "slack", "email"]
    url: str = ""
    url_secret: Secret | None = None
    secret: Secret | None = None
    smtp: Address | None = None
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    password: Secret | None = None
    sender: str = ""
    to: tuple[str, ...] = ()
    events: tuple[AlertEvent, ...] = ()
    teams: tuple[Label, ...] = ()


class Alerts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is told, and how often. The log always is; `targets` are where else.

    `calm_s`: how long something must be over before that is told. A `remind_s` of 0 reminds of nothing, a
    `spend_jump_ratio` of 0 looks at no jumps. `spend_jump_min_amount` is in the report's currency.
    """

    enabled: bool = True
    every_s: Annotated[float, msgspec.Meta(ge=0.1, le=3_600)] = 10.0
    calm_s: Wait = 60.0
    remind_s: Annotated[float, msgspec.Meta(ge=0, le=2_592_000)] = 86_400.0
    spend_jump_ratio: Annotated[float, msgspec.Meta(ge=0, le=1_000)] = 3.0
    spend_jump_min_amount: Amount = "10"
    spend_jump_min_weeks: Annotated[int, msgspec.Meta(ge=1, le=4)] = 2
    targets: tuple[AlertTarget, ...] = ()


class Report(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How reports are shown when nothing else is asked for."""

    currency: Currency = "EUR"
    time_zone: str = "UTC"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file. `prices` are the operator's and win over the price book.

    `aliases` give a model name an ordered list of deployments or `provider/model`; `last_resort` says by
    alias what follows when all of them failed.
    """

    server: Server = Server()
    policy: Policy = Policy()
    deployments: tuple[DeploymentRow, ...] = ()
    aliases: dict[Name, tuple[Name, ...]] = {}
    last_resort: dict[Name, LastResort] = {}
    resilience: Resilience = Resilience()
    breaker: Breaker = Breaker()
    limits: tuple[LimitRow, ...] = ()
    spend_limits: tuple[SpendLimitRow, ...] = ()
    budgets: tuple[BudgetRow, ...] = ()
    prices: PriceSection = PriceSection()
    report: Report = Report()
    alerts: Alerts = Alerts()


def host_port(address: str) -> tuple[str, int]:
    """Split `host:port`; brackets around an IPv6 host are taken off. Raises ValueError."""
    host, colon, port = address.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("an IPv6 address needs brackets: [::1]:4180")
    if not (colon and host and port.isascii() and port.isdigit() and int(port) < 65_536):
        raise ValueError("write host:port, such as 127.0.0.1:4180")
    return host, int(port)
