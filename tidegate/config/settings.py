"""What `tidegate.toml` may say: typed and frozen. `docs/reference/configuration.md` explains each field."""

from typing import Annotated, Literal

import msgspec

from tidegate.config.secret import Secret
from tidegate.model.price import Override, PriceSection
from tidegate.model.provider import Residency, StreamUsage

Currency = Annotated[str, msgspec.Meta(extra={"kind": "currency"})]
"""Three capital letters, ISO 4217."""

Name = Annotated[str, msgspec.Meta(extra={"kind": "name"})]
"""A model's, deployment's or alias's name: printable ASCII without blanks, at most 200 characters."""

Address = Annotated[str, msgspec.Meta(extra={"kind": "address"})]
"""`host:port`, with brackets around an IPv6 address."""

Count = Annotated[int, msgspec.Meta(ge=1)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]


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
    idle_timeout_s: Seconds = 300.0
    total_timeout_s: Seconds = 3_600.0
    drain_timeout_s: Seconds = 30.0
    transport: Literal["direct", "aiohttp"] = "direct"


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done with calls that need a rule.

    `unpriced`: a call whose model has no price is refused (402), or let through and flagged. Beyond
    `refused_records_per_minute`, refusals without a tenant are only counted: a flood must not fill a disk.
    """

    unpriced: Literal["refuse", "flag"] = "refuse"
    keep_alive_s: Annotated[float, msgspec.Meta(ge=1, le=60)] = 10.0
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
    price: DeploymentPrice | None = None


class Report(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How reports are shown when nothing else is asked for."""

    currency: Currency = "EUR"
    time_zone: str = "UTC"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file. `prices` are the operator's and win over the price book.

    `aliases` give a model name an ordered list of deployments or `provider/model`.
    """

    server: Server = Server()
    policy: Policy = Policy()
    deployments: tuple[DeploymentRow, ...] = ()
    aliases: dict[Name, tuple[Name, ...]] = {}
    prices: PriceSection = PriceSection()
    report: Report = Report()


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
