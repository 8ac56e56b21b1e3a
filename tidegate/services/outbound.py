"""A deployment made ready to call: its addresses, headers and secret, worked out once."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from tidegate.model.provider import Deployment, Provider, Target
from tidegate.model.request import Surface


@dataclass(frozen=True, slots=True)
class Outbound:
    """What a call to one deployment needs. `urls` has an entry for each surface it speaks.

    `problem` says why it cannot be called (a key that is not set); empty when it can. `client_headers` are
    those of a client that go through.
    """

    deployment: Deployment
    provider: Provider
    urls: Mapping[Surface, str]
    headers: Mapping[str, str] = field(repr=False)
    secret: str = field(repr=False)
    problem: str = ""
    client_headers: frozenset[bytes] = frozenset()

    @property
    def target(self) -> Target:
        """The deployment as a record names it."""
        return Target(
            provider=self.provider.name,
            deployment=self.deployment.name,
            model=self.deployment.model,
            region=self.deployment.region,
        )
