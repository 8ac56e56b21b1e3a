"""One snapshot, worked out: which deployments can take a call."""

from typing import get_args

import pytest
from msgspec import structs

from tidegate.model.errors import Forbidden, ModelNotAllowed, ModelNotFound, Unavailable, Unsupported
from tidegate.model.provider import Deployment, StreamUsage, Target
from tidegate.model.request import Surface
from tidegate.policy.spend_breaker import SpendPolicy
from tidegate.providers.catalog import load, stream_usage
from tidegate.services.state import MAX_REMEMBERED, State, state_of
from tidegate.stores.snapshot import Snapshot, SpendRule

CATALOG = load()


def deployment(name: str, provider: str, model: str, secret: str = "", **facts: str) -> Deployment:
    return Deployment(
        name=name,
        provider=provider,
        model=model,
        names=(model,),
        base_url="https://host.invalid/v1",
        secret=secret,
        **facts,  # type: ignore[arg-type]
    )


ALL = (
    deployment("claude", "anthropic", "claude-opus", "env:KEY"),
    deployment("first", "vllm", "small", region="eu"),
    deployment("locked", "openai", "gpt-big", "env:UNSET"),
    deployment("second", "vllm", "large"),
    deployment("any", "openrouter", "*", "env:KEY"),
)
ALIASES = {"mixed": ("claude", "locked", "first", "second"), "closed": ("claude", "locked")}


def state(deployments: tuple[Deployment, ...] = ALL) -> State:
    snapshot = Snapshot(version=1, made_at_us=0, keys=(), deployments=deployments, aliases=ALIASES)
    return state_of(snapshot, CATALOG, b"p" * 32, {"KEY": "sk-test-1234"})


HERE = state()


@pytest.mark.parametrize(
    ("model", "surface", "expected"),
    [
        ("mixed", "chat", ["claude", "first", "second"]),  # one is translated for, one has no key
        ("mixed", "messages", ["claude", "first", "second"]),
        ("small", "chat", ["first"]),
        ("any/vendor/model", "chat", ["any"]),
    ],
)
def test_those_that_speak_the_surface_and_have_a_key_are_ready(
    model: str, surface: Surface, expected: list[str]
) -> None:
    for _ in range(2):  # worked out, then remembered
        assert [one.name for one in HERE.ready(model, surface)] == expected


def test_why_nothing_is_ready_is_said_every_time() -> None:
    for _ in range(2):
        with pytest.raises(ModelNotFound):
            HERE.ready("nothing", "chat")
        with pytest.raises(Unsupported, match="Anthropic"):  # nothing stands in for embeddings
            HERE.ready("claude", "embeddings")
        with pytest.raises(Unavailable, match="'locked' cannot be called"):
            HERE.ready("gpt-big", "chat")


def test_what_one_key_may_use_says_nothing_for_another() -> None:  # case 8
    assert HERE.ready("small", "chat")
    with pytest.raises(ModelNotAllowed):
        HERE.ready("small", "chat", ("large",))
    assert HERE.ready("small", "chat", ("small",))


def test_a_key_bound_to_a_region_gets_what_is_promised_to_stay_there() -> None:
    with pytest.raises(Forbidden, match="'eu'"):
        HERE.ready("small", "chat", region="eu")
    promised = {"residency": "contractual", "jurisdiction": "eu"}
    bound = state(tuple(structs.replace(one, **promised) if one.name == "first" else one for one in ALL))
    assert [one.name for one in bound.ready("small", "chat", region="eu")] == ["first"]
    with pytest.raises(Forbidden):
        bound.ready("small", "chat", region="ch")


def test_what_is_remembered_is_bounded() -> None:
    here = state()
    for number in range(MAX_REMEMBERED + 10):
        here.ready(f"any/model-{number}", "chat")
    assert len(here._ready) <= MAX_REMEMBERED


def test_a_call_to_any_model_is_told_by_the_model_asked_for() -> None:
    (found,) = HERE.ready("any/vendor/model", "chat")
    assert (found.asked_model, found.deployment.model) == ("vendor/model", "vendor/model")
    assert found.target == Target(provider="openrouter", deployment="any", model="vendor/model")
    assert HERE.ready("small", "chat")[0].target.region == "eu"


@pytest.mark.parametrize("name", ["first", "claude", "locked"])
def test_usage_is_asked_for_where_the_catalogue_says_so(name: str) -> None:  # trap S2
    outbound = HERE.outbounds[name]
    assert outbound.asks_usage == {
        surface
        for surface in outbound.provider.paths
        if stream_usage(outbound.provider, outbound.asked_model, surface) == "ask"
    }


@pytest.mark.parametrize("stated", get_args(StreamUsage))
def test_the_operators_word_on_streams_goes_first(stated: StreamUsage) -> None:  # trap S2
    one = Deployment(
        name="d", provider="vllm", model="m", names=("m",), base_url="http://x", stream_usage=stated
    )
    snapshot = Snapshot(version=1, made_at_us=0, keys=(), deployments=(one,), aliases={})
    (found,) = state_of(snapshot, CATALOG, b"p" * 32, {}).ready("m", "chat")
    assert ("chat" in found.asks_usage) is (stated == "ask")
    assert "responses" not in found.asks_usage


def test_the_rules_of_a_snapshot_are_in_reach_of_a_call() -> None:
    rule = SpendRule(SpendPolicy(max_tokens=1))
    snapshot = Snapshot(version=1, made_at_us=0, spend_limits={"*": rule}, keep_alive_us=2_500_000)
    here = state_of(snapshot, CATALOG, b"p" * 32, {})
    assert here.spending.of("anybody") == rule
    assert here.limits.of(tenant="acme", key="k1") == []
    assert (here.policies, here.keep_alive_s) == (snapshot.policies, 2.5)
