"""Where a passed-through call goes, and what it may cost: by the rules of every other call (M4, M10)."""

from typing import Protocol

import msgspec

from tidegate.exchange.call import Call
from tidegate.model.errors import (
    AccountShared,
    BadRequest,
    Forbidden,
    ModelNotAllowed,
    ModelNotFound,
    NotFound,
    SpendsLater,
    Unavailable,
    Unsupported,
    UsageUnknown,
)
from tidegate.model.provider import Deployment
from tidegate.model.request import Passed, RequestFacts
from tidegate.model.usage import Usage
from tidegate.policy.passing import Kind, kind_of, tells_usage
from tidegate.policy.residency import satisfies
from tidegate.policy.settle import Priced
from tidegate.services.deployments import ANY_MODEL
from tidegate.services.outbound import Outbound
from tidegate.services.pass_urls import pass_url, spoken_at
from tidegate.services.pricing import Held
from tidegate.services.state import State
from tidegate.wire.passthrough.request import generates

IMAGE_OUTPUT_TOKENS = 8192
"""A picture is held for as this many tokens of output: the largest that OpenAI lists come to about 6,240."""


class Prices(Protocol):
    """Prices calls to deployments."""

    def hold(
        self, deployment: Deployment, at_us: int, input_tokens: int, output_tokens: int, tier: str
    ) -> Held | None:
        """See Pricing.hold."""
        ...

    def cost(self, deployment: Deployment, usage: Usage, *, served: str, at_us: int, tier: str) -> Priced:
        """See Pricing.cost."""
        ...


class Free:
    """Prices what costs nothing."""

    def __init__(self, currency: str) -> None:
        self._currency = currency

    def hold(self, *_: object) -> Held:
        """Nothing is held."""
        return Held(0, 0, self._currency, "")

    def cost(self, *_: object, **__: object) -> Priced:
        """Nothing is due."""
        return Priced(0, self._currency)


class Unknown:
    """Prices what nobody can: the amount is unknown, never 0."""

    def hold(self, *_: object) -> None:
        """No amount is known."""

    def cost(self, *_: object, **__: object) -> Priced:
        """No amount is known."""
        return Priced(None)


UNKNOWN = Unknown()


class Route(msgspec.Struct, frozen=True):
    """A passed-through call, decided. `output_tokens` is what its answer is held for."""

    outbound: Outbound
    prices: Prices
    output_tokens: int
    is_free: bool


def route(state: State, call: Call, passed: Passed, facts: RequestFacts) -> Route:
    """Decide a passed-through call. Raises the TidegateError that refuses it, by name."""
    if state.passing == "off":
        raise NotFound('Pass-through is off here; the operator may set policy.pass_through = "metered".')
    if call.body and passed.method in ("GET", "HEAD"):
        raise BadRequest(f"{passed.method} is passed through without a body; leave it out")
    near = _near(state, call, passed)
    one = near[0]
    kind = kind_of(passed.method, passed.path, one.provider.pass_through)
    if kind == "later":
        raise SpendsLater(
            f"{passed.method} {passed.path[:200]} starts what is billed after its reply, so no budget can "
            "hold for it yet. Make the calls one by one, or call the provider itself."
        )
    if not facts.model and call.key.models is not None:
        raise ModelNotAllowed(
            "This key is limited to models, and the model of this call cannot be known. Name it in the body "
            "or the path, or use a key without that limit.",
            param="model",
        )
    if kind == "keeps" and state.is_shared and not state.passing_shared:
        raise AccountShared(
            f"What {one.provider.title} keeps belongs to its whole account, and this gateway serves several "
            "tenants. The operator may allow it with policy.pass_through_shared = true."
        )
    is_free = kind != "metered"
    outbound = _going(state, call, facts.model, near, is_free=is_free)
    if passed.method == "POST" and (surface := spoken_at(outbound, passed.path)):
        raise Unsupported(
            f"{passed.path[:200]} is not passed through: call {surface} of this gateway, with the model "
            f"{one.provider.name + '/' + facts.model if facts.model else 'named in full'!r}."
        )
    url = pass_url(outbound.deployment, outbound.provider, passed.path, call.query)
    return _priced(state, call, facts, outbound.calling(url), passed.path, kind)


def _near(state: State, call: Call, passed: Passed) -> tuple[Outbound, ...]:
    """The deployments that a place stands for, usable and in the key's region."""
    every = [state.outbounds[one.name] for one in state.deployments.all if one.name == passed.place]
    every = every or [one for one in state.outbounds.values() if one.provider.name == passed.place]
    if not every:
        raise NotFound(
            f"There is no deployment or provider {passed.place[:80]!a} here; the path is "
            "/pass/<deployment or provider>/<the provider's own path>."
        )
    region = call.key.region
    here = [one for one in every if satisfies(one.deployment.residency, one.deployment.jurisdiction, region)]
    if not here:
        raise Forbidden(
            f"This key is bound to the region {region!r}, and no deployment of {passed.place[:80]} is "
            "promised to stay there."
        )
    usable = tuple(one for one in here if not one.problem)
    if not usable:
        raise Unavailable(here[0].problem)
    return usable


def _going(state: State, call: Call, model: str, near: tuple[Outbound, ...], *, is_free: bool) -> Outbound:
    """The first deployment that stands for the model, and that the key may use.

    What names no model goes to the first of all. Bytes go on unchanged, so the model is the provider's id.
    """
    if not model:
        return near[0].standing_for("")
    found = next((one for one in near if one.deployment.model == model), None)
    if found is None:
        found = next((one for one in near if one.deployment.model == ANY_MODEL), None)
        if found is None and is_free and call.key.models is None:
            found = near[0]  # what checks or counts for nothing needs no model of its own
        found = found and found.standing_for(model)
    if found is None:
        raise ModelNotFound(
            f"No deployment of {near[0].provider.name} stands for the model {model[:80]!a} here. Names "
            "are the provider's own; a deployment of the model '*' takes them all.",
            param="model",
        )
    if not state.deployments.covers(found.deployment, call.key.models):
        raise ModelNotAllowed(f"This key may not use the model {model[:80]!a}.", param="model")
    return found


def _priced(
    state: State, call: Call, facts: RequestFacts, outbound: Outbound, path: str, kind: Kind
) -> Route:
    """Say what a call may cost. Raises UsageUnknown where that cannot be known and the policy refuses."""
    if kind != "metered":
        return Route(outbound, Free(state.currency), 0, is_free=True)
    told = bool(facts.model) and tells_usage(path)
    pictures = told and state.prices.omits(outbound.deployment, call.at_us, "output_image")
    if state.passing == "metered" and (not told or pictures):
        why = (
            "it names no model that is known"
            if not facts.model
            else "its reply does not say all that it costs"
        )
        raise UsageUnknown(
            f"{path[:200]} cannot be metered: {why}. It is let through, with its cost unknown, under "
            'policy.pass_through = "flag".',
            param=None if facts.model else "model",
        )
    prices: Prices = UNKNOWN if not tells_usage(path) or pictures else state.prices
    answer = facts.max_output or (IMAGE_OUTPUT_TOKENS if "/images/" in path else state.default_output_tokens)
    return Route(outbound, prices, answer * facts.n if generates(path) else 0, is_free=False)
