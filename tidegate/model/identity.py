"""Who calls, and to whom the cost belongs."""

from typing import Literal

import msgspec

AttributeSource = Literal["pinned", "header", "default", "baggage", "body", "fingerprint"]

ATTRIBUTES = (
    "feature",
    "team",
    "customer",
    "user",
    "session",
    "run",
    "step",
    "prompt",
    "environment",
)
"""The names a caller may give, as `tidegate-<name>` headers or W3C baggage `tidegate.<name>`."""


class Key(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A virtual key as the snapshot carries it: no secret, only its HMAC.

    `mac` is the hex HMAC-SHA256 of the whole key text under the pepper. `pinned` values win over anything
    a caller says; `defaults` give way to it. `models` None means every configured model. Times are
    microseconds since the epoch, UTC. `revoked_at_us` may lie ahead (rotation with an overlap).
    """

    id: str
    mac: str
    tenant: str
    name: str = ""
    project: str = ""
    team: str = ""
    region: str = ""
    models: tuple[str, ...] | None = None
    pinned: dict[str, str] = {}
    defaults: dict[str, str] = {}
    created_at_us: int = 0
    expires_at_us: int | None = None
    revoked_at_us: int | None = None


class Attribution(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The labels of one call, in plain text: they live in memory and are pseudonymised before a record.

    `tags` are (key, value) pairs, at most 16. `feature_source` says who named the feature.
    """

    feature: str = ""
    team: str = ""
    customer: str = ""
    user: str = ""
    session: str = ""
    run: str = ""
    step: str = ""
    prompt: str = ""
    environment: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    feature_source: AttributeSource = "fingerprint"
