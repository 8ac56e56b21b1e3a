"""What is decided before a provider is called: whose call, which target, what it may cost, what to record."""

import re
from hashlib import blake2b

import msgspec

from tidegate.exchange.call import Call, Headers
from tidegate.exchange.passing import Prices, route
from tidegate.model.errors import (
    BadRequest,
    ModelNotFound,
    PreviousResponseNotFound,
    PriceUnknown,
    TidegateError,
    WrongType,
)
from tidegate.model.message import Message
from tidegate.model.record import Decision, Hold, Measured, Who
from tidegate.model.request import Passed, RequestFacts
from tidegate.policy.attribute import attribute, header_values
from tidegate.policy.estimate import Estimate, corrected, estimated
from tidegate.policy.fingerprint import exact, prefixes
from tidegate.services.conversations import Conversations, Remembered
from tidegate.services.features import Features, Fingerprints
from tidegate.services.fleet import Fleet
from tidegate.services.outbound import Outbound
from tidegate.services.pseudonyms import Pseudonyms
from tidegate.services.state import State
from tidegate.services.tokens import Calibrations
from tidegate.wire.body import Body
from tidegate.wire.codec import Codec
from tidegate.wire.passthrough.request import body_of

NO_OUTPUT = frozenset({"embeddings", "count_tokens"})
DEFAULT_MODEL = "default"
"""The alias that a request without a model means, where the operator has made one."""
MAX_TIMEOUT_S = 86_400
_NONE: tuple[Decision, ...] = ()
_SECONDS = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One request, read: what it says, and whose it is."""

    call: Call
    codec: Codec
    body: Body
    facts: RequestFacts
    who: Who
    prefixes: tuple[tuple[int, str], ...]
    fingerprint: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One call, decided. `outbounds` are tried in order while nothing has reached a provider.

    `raw_tokens` is the estimate of its prompt before any correction, `max_output_total` the output tokens to
    hold for: the client's limit, or an assumed one, times the answers asked for. `timeout_s` is the client's
    own limit for the whole call, in seconds since it arrived. `prices` tell its cost; `is_free`: it has
    none, and no budget is asked. `degraded`: a budget sends it to a model cheaper than the client's.
    `earlier` are the turns that the client goes on from without sending them, `earlier_tokens` what the
    provider counted for these (trap K10).
    """

    asked: Asked
    call: Call
    codec: Codec
    facts: RequestFacts
    state: State
    outbounds: tuple[Outbound, ...]
    measured: Measured
    raw_tokens: int
    max_output_total: int
    decisions: tuple[Decision, ...]
    prices: Prices
    is_free: bool = False
    timeout_s: float | None = None
    degraded: bool = False
    earlier: tuple[Message, ...] = ()
    earlier_tokens: int = 0


class Planner:
    """Turns a request into a plan, or raises the error that refuses it."""

    def __init__(
        self,
        pseudonyms: Pseudonyms,
        calibrations: Calibrations,
        features: Features,
        fleet: Fleet,
        conversations: Conversations,
    ) -> None:
        self._conversations = conversations
        self._pseudonyms = pseudonyms
        self._calibrations = calibrations
        self._features = features
        self._fleet = fleet
        self._prints = Fingerprints()

    def read(self, call: Call, codec: Codec) -> Asked:
        """Read one request. Raises BadRequest and its kinds, naming the field."""
        body = Body.parse(call.body) if call.passed is None else body_of(call.body, call.passed)
        facts = codec.read_request(body)
        tenant_key = self._pseudonyms.tenant_key(call.key.tenant)
        hashed = prefixes(tenant_key, facts.prompt)
        print_ = self._prints.of(tenant_key, facts.system_text, facts.tools_raw, hashed=hashed[0][1])
        named, tags, baggage = header_values(call.headers)
        labels = attribute(
            call.key,
            headers=named,
            tags=tags,
            baggage=baggage,
            metadata=facts.metadata,
            metadata_user=facts.metadata_user,
            automatic_feature=self._features.automatic(call.key.id, print_),
        )
        who = self._pseudonyms.who(call.key, labels)
        return Asked(
            call=call, codec=codec, body=body, facts=facts, who=who, prefixes=hashed, fingerprint=print_
        )

    def plan(self, asked: Asked, state: State, *, instead: str = "") -> Plan:
        """Decide one call, with the operator's model `instead` of the client's where there is one.

        Raises the TidegateError that refuses it.
        """
        facts, call = asked.facts, asked.call
        if call.passed is not None:
            return self._passing(asked, call.passed, state)
        balanced = _NONE
        if instead:  # the operator chose it, so the key need not list it
            outbounds = state.ready(instead, call.surface, None, call.key.region)
        else:
            outbounds = usable(state, call, facts.model)
        before = self._before(facts, call, state) if facts.previous_id else None
        if facts.previous_id:
            outbounds = going_on(outbounds, facts, before)
        if len(outbounds) > 1:
            outbounds, balanced = self._fleet.order(outbounds, _conversation(asked))
        resort = state.last_resort.get(facts.model)
        if resort is not None and resort.model and not facts.previous_id:
            outbounds += _behind(outbounds, state, call, resort.model)
        target = outbounds[0].deployment.model
        estimate = self._estimate(facts, target)
        key = self._pseudonyms.tenant_key(call.key.tenant)
        return Plan(
            asked=asked,
            call=call,
            codec=asked.codec,
            facts=facts,
            state=state,
            outbounds=outbounds,
            measured=_measured(asked, estimate, key, target),
            raw_tokens=estimate.raw,
            max_output_total=_output_total(facts, state.default_output_tokens),
            decisions=(_route(instead or facts.model, outbounds), *balanced),
            prices=state.prices,
            is_free=facts.surface == "count_tokens",
            timeout_s=timeout_of(call.headers),
            earlier=(before.messages or ()) if before else (),
            earlier_tokens=before.tokens if before else 0,
        )

    def _passing(self, asked: Asked, passed: Passed, state: State) -> Plan:
        """Decide a passed-through call: one deployment, to which its bytes go on as they are."""
        facts, call = asked.facts, asked.call
        found = route(state, call, passed, facts)
        target = found.outbound.deployment.model
        estimate = self._estimate(facts, target)
        return Plan(
            asked=asked,
            call=call,
            codec=asked.codec,
            facts=facts,
            state=state,
            outbounds=(found.outbound,),
            measured=_measured(asked, estimate, self._pseudonyms.tenant_key(call.key.tenant), target),
            raw_tokens=estimate.raw,
            max_output_total=found.output_tokens,
            decisions=(_route(f"{passed.place} {facts.model}".strip(), (found.outbound,)),),
            prices=found.prices,
            is_free=found.is_free,
            timeout_s=timeout_of(call.headers),
        )

    def _estimate(self, facts: RequestFacts, model: str) -> Estimate:
        """How many tokens a prompt probably has for a model."""
        return estimated(
            facts.parts,
            self._calibrations.of_input(model),
            messages=facts.message_count,
            images=facts.image_count,
        )

    def _before(self, facts: RequestFacts, call: Call, state: State) -> Remembered | None:
        """What is known of the response that a request goes on from."""
        return self._conversations.get(
            call.key.tenant, facts.previous_id, now_us=call.at_us, keep_s=state.keep_responses_s
        )

    def hold(self, plan: Plan, outbound: Outbound, output_tokens: int) -> Hold:
        """What a call to this deployment may cost. Raises PriceUnknown where the policy refuses (M4)."""
        model = outbound.deployment.model
        calibration = self._calibrations.of_input(model)
        input_tokens = corrected(plan.raw_tokens, calibration) + plan.earlier_tokens
        amount = plan.prices.hold(
            outbound.deployment, plan.call.at_us, input_tokens, output_tokens, plan.facts.service_tier
        )
        if amount is None and not plan.is_free and _refuses_unpriced(plan):
            setting = "policy.unpriced" if plan.call.passed is None else "policy.pass_through"
            raise PriceUnknown(
                f"No price is known for {outbound.provider.name}/{model}. Add it under [[prices.override]], "
                f'or let unpriced calls through with {setting} = "flag".',
                param="model",
            )
        return Hold(
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            amount_nano=amount.total_nano if amount else None,
            input_nano=amount.input_nano if amount else None,
            currency=amount.currency if amount else "USD",
            price_id=amount.price_id if amount else "",
            calibration=calibration.label,
        )


def _refuses_unpriced(plan: Plan) -> bool:
    """Whether the policy refuses a call that has no price."""
    state = plan.state
    return state.refuse_unpriced if plan.call.passed is None else state.passing != "flag"


def usable(state: State, call: Call, model: str) -> tuple[Outbound, ...]:
    """The deployments that may take this call, in the operator's order; `default` answers for no model.

    Raises ModelNotFound, ModelNotAllowed, Forbidden (another region), Unsupported (another dialect), or
    Unavailable (no key set).
    """
    try:
        return state.ready(model or DEFAULT_MODEL, call.surface, call.key.models, call.key.region)
    except ModelNotFound:
        if model:
            raise
        raise WrongType("model: name a model, such as an alias or provider/model", param="model") from None


def going_on(
    outbounds: tuple[Outbound, ...], facts: RequestFacts, before: Remembered | None
) -> tuple[Outbound, ...]:
    """Those deployments that can go on from the response that a request names (trap K10).

    Where its turns are kept here, any of another dialect; else those of the account that keeps it. Where none
    of these is asked for, or the response is not known here, a provider of the same dialect may still know it
    and says so itself if not. Raises PreviousResponseNotFound.
    """
    same = tuple(one for one in outbounds if one.through[facts.surface] == facts.surface)
    if before is None:
        able = same
    elif before.messages is None:
        able = tuple(one for one in same if one.place.wallet == before.wallet) or same
    else:
        able = tuple(one for one in outbounds if one not in same)
    if not able:
        raise PreviousResponseNotFound(
            "The response that previous_response_id names is not kept for this model: it is too old, was "
            "asked for with store=false, or another model gave it. Send the whole conversation as input.",
            param="previous_response_id",
        )
    return able


def _behind(outbounds: tuple[Outbound, ...], state: State, call: Call, model: str) -> tuple[Outbound, ...]:
    """The deployments of an alias's last resort that are not among its own; none where none can be used.

    The operator chose them, so the key need not list the model.
    """
    try:
        found = state.ready(model, call.surface, None, call.key.region)
    except TidegateError:
        return ()
    return tuple(one for one in found if one not in outbounds)


def _route(model: str, outbounds: tuple[Outbound, ...]) -> Decision:
    """Why the call goes where it goes: the first deployment of its name that is healthy."""
    names = [outbound.name for outbound in outbounds]
    inputs: dict[str, str | int | None] = {"model": model, "candidates": ",".join(names[:8])}
    return Decision(name="route", inputs=inputs, result=names[0])


def timeout_of(headers: Headers) -> float | None:
    """The limit that a client sets for its whole call, in seconds; None without one. Raises BadRequest."""
    for name, value in headers:
        if name == b"tidegate-timeout":
            text = value.decode("latin-1").strip()
            if _SECONDS.fullmatch(text) and 0 < float(text) <= MAX_TIMEOUT_S:
                return float(text)
            raise BadRequest(
                f"tidegate-timeout: expected seconds, more than 0 and at most {MAX_TIMEOUT_S}",
                param="tidegate-timeout",
            )
    return None


def _conversation(asked: Asked) -> str:
    """A digest that the turns of one conversation share: its session, or how it began (trap R6)."""
    if asked.who.session:
        return asked.who.session
    begun = asked.facts.first_user + asked.fingerprint.encode()
    return blake2b(begun, digest_size=16).hexdigest() if asked.facts.first_user else ""


def _output_total(facts: RequestFacts, assumed: int) -> int:
    if facts.surface in NO_OUTPUT:
        return 0
    return (facts.max_output or assumed) * facts.n


def _measured(asked: Asked, estimate: Estimate, key: bytes, model: str) -> Measured:
    facts, (system, tools, history, tool_results, last_user) = asked.facts, estimate.parts
    return Measured(
        body_bytes=len(asked.call.body),
        system=system,
        tools=tools,
        history=history,
        tool_results=tool_results,
        last_user=last_user,
        messages=facts.message_count,
        tool_count=facts.tool_count,
        images=facts.image_count,
        fingerprint=asked.fingerprint,
        prefixes=asked.prefixes,
        exact=exact(
            key,
            asked.body.fields.items(),
            surface=facts.surface,
            target=model,
            whole_prompt=asked.prefixes[-1][1],
        ),
    )
