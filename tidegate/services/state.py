"""Everything the data path knows, made from one snapshot and replaced whole."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tidegate.config.secret import Secret
from tidegate.model.budget import Budget, OutputLimitsMode, Raise
from tidegate.model.errors import ConfigError, Forbidden, Unavailable
from tidegate.model.provider import Deployment, Provider
from tidegate.model.request import PassThroughMode, Surface
from tidegate.policy.residency import satisfies
from tidegate.providers.auth import headers_for, url_for
from tidegate.providers.catalog import surfaces
from tidegate.services.deployments import Deployments
from tidegate.services.keys import Keyring
from tidegate.services.outbound import Outbound
from tidegate.services.policies import ScopeLimits, SpendRules
from tidegate.services.pricebook import PriceBook
from tidegate.services.pricing import Pricing
from tidegate.stores.snapshot import LastResort, Policies, Snapshot

MAX_REMEMBERED = 4096
SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class State:
    """One snapshot, worked out; a call keeps to the one that it began with.

    `secrets` are the providers' keys, to be scrubbed from their errors. After `keep_alive_s` of silence a
    stream is kept alive, and its start is held no longer. `is_shared`: its keys are of several tenants.
    """

    version: int
    keyring: Keyring
    deployments: Deployments
    outbounds: Mapping[str, Outbound] = field(repr=False)
    prices: Pricing
    refuse_unpriced: bool
    secrets: tuple[str, ...] = field(repr=False)
    policies: Policies
    limits: ScopeLimits
    spending: SpendRules
    last_resort: Mapping[str, LastResort]
    keep_alive_s: float
    keep_responses_s: int
    currency: str
    budgets: tuple[Budget, ...]
    raises: tuple[Raise, ...]
    budget_wait_s: float
    output_limits: OutputLimitsMode
    default_output_tokens: int
    unpriced_hold_nano: int | None
    passing: PassThroughMode
    passing_shared: bool
    is_shared: bool
    _ready: dict[tuple[str, Surface, tuple[str, ...] | None, str], tuple[Outbound, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def ready(
        self, model: str, surface: Surface, allowed: tuple[str, ...] | None = None, region: str = ""
    ) -> tuple[Outbound, ...]:
        """The deployments that can take a call, in the operator's order, for a key that may use `allowed`.

        A key bound to a `region` gets those alone that are promised to stay in it. Raises ModelNotFound,
        ModelNotAllowed, Forbidden (none in the region), Unsupported (none speaks the surface, nor a dialect
        it can be translated to), or Unavailable (no key set). An answer is worked out once and remembered,
        a refusal is not.
        """
        asked = (model, surface, allowed, region)
        found = self._ready.get(asked)
        if found is None:
            if len(self._ready) >= MAX_REMEMBERED:
                self._ready.clear()
            found = self._ready[asked] = self._work_out(model, surface, allowed, region)
        return found

    def _work_out(
        self, model: str, surface: Surface, allowed: tuple[str, ...] | None, region: str
    ) -> tuple[Outbound, ...]:
        every = tuple(self.outbound(one) for one in self.deployments.resolve(model, allowed))
        here = tuple(
            one for one in every if satisfies(one.deployment.residency, one.deployment.jurisdiction, region)
        )
        if not here:
            raise Forbidden(
                f"This key is bound to the region {region!r}, and no deployment of this model is promised to "
                "stay there. Ask for another model, or have a deployment's residency stated.",
                param="model",
            )
        speaking = tuple(one for one in here if surface in one.through)
        if not speaking:
            self.deployments.supports(here[0].deployment, surface)  # words the refusal
        found = tuple(one for one in speaking if not one.problem)
        if not found:
            raise Unavailable(speaking[0].problem)
        return found

    def outbound(self, deployment: Deployment) -> Outbound:
        """The deployment made ready to call."""
        known = self.outbounds[deployment.name]
        return known if known.deployment is deployment else replace(known, deployment=deployment)


class Current:
    """The state in force; `state` is None until the first snapshot."""

    def __init__(self) -> None:
        self.state: State | None = None


def state_of(
    snapshot: Snapshot, catalog: Mapping[str, Provider], pepper: bytes, env: Mapping[str, str]
) -> State:
    """Work a snapshot out. Raises ConfigError for an alias that leads nowhere.

    A provider's key that cannot be read is not fatal: calls to its deployments are refused and say why.
    """
    deployments = Deployments(catalog, snapshot.deployments, snapshot.aliases)
    outbounds = {one.name: outbound_of(one, catalog[one.provider], env) for one in snapshot.deployments}
    book, keyring = PriceBook.load(snapshot.prices), Keyring(snapshot.keys, pepper)
    priced_as = {one.provider: catalog[one.provider].prices for one in snapshot.deployments}
    book.preload(provider for provider in set(priced_as.values()) if provider)
    return State(
        version=snapshot.version,
        keyring=keyring,
        deployments=deployments,
        outbounds=outbounds,
        prices=Pricing(book, priced_as, snapshot.currency),
        refuse_unpriced=snapshot.unpriced == "refuse",
        secrets=tuple(dict.fromkeys(one.secret for one in outbounds.values() if one.secret)),
        policies=snapshot.policies,
        limits=ScopeLimits(snapshot.limits),
        spending=SpendRules(snapshot.spend_limits),
        last_resort=snapshot.last_resort,
        keep_alive_s=snapshot.keep_alive_us / SECOND_US,
        keep_responses_s=snapshot.keep_responses_s,
        currency=snapshot.currency,
        budgets=snapshot.budgets,
        raises=snapshot.raises,
        budget_wait_s=snapshot.budget_wait_us / SECOND_US,
        output_limits=snapshot.output_limits,
        default_output_tokens=snapshot.default_output_tokens,
        unpriced_hold_nano=snapshot.unpriced_hold_nano,
        passing=snapshot.passing,
        passing_shared=snapshot.passing_shared,
        is_shared=len(keyring.tenants) > 1,
    )


def outbound_of(deployment: Deployment, provider: Provider, env: Mapping[str, str]) -> Outbound:
    """Make one deployment ready to call."""
    problem = secret = ""
    headers: dict[str, str] = {}
    try:
        named = Secret.of_ref(deployment.secret)
        secret = named.resolve(env) if named is not None else ""
        headers = headers_for(provider, deployment, secret)
    except ConfigError as error:
        problem = f"The deployment {deployment.name!r} cannot be called: {error.message}."
    urls: dict[Surface, str] = {
        surface: url_for(provider, deployment, surface)
        for surface in surfaces(provider, deployment.price_model or deployment.model)
    }
    allowed = frozenset(name.encode() for name in provider.client_headers)
    return Outbound(deployment, provider, urls, headers, secret, problem, allowed)
