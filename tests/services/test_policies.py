"""The configuration reaches decisions in their units."""

from pathlib import Path

import msgspec
import pytest

from tidegate.config.load import read_text
from tidegate.config.settings import (
    Breaker,
    LimitRow,
    Policy,
    Resilience,
    Settings,
    SpendLimitRow,
)
from tidegate.config.settings import (
    LastResort as LastResortRow,
)
from tidegate.policy.breaker import BreakerPolicy
from tidegate.policy.rate import Kind, Limit
from tidegate.policy.resilience import ResiliencePolicy
from tidegate.policy.retry_budget import RetryBudgetPolicy
from tidegate.policy.spend_breaker import SpendPolicy
from tidegate.providers.catalog import load
from tidegate.providers.targets import targets
from tidegate.services.policies import (
    ScopeLimits,
    SpendRules,
    keep_alive_us_of,
    last_resorts_of,
    policies_of,
    scopes_of,
    spend_rules_of,
)
from tidegate.stores.snapshot import LastResort, Policies, Snapshot, SpendRule


def limits_of(settings: Settings) -> ScopeLimits:
    return ScopeLimits(scopes_of(settings))


def rules_of(settings: Settings) -> SpendRules:
    return SpendRules(spend_rules_of(settings))


CALL = {
    "tenant": "acme",
    "key": "k1",
    "key_name": "bot",
    "team": "red",
    "feature": "search",
    "model": "gpt",
    "provider": "openai",
}


def test_the_defaults_of_the_settings_are_those_of_the_policies() -> None:
    assert policies_of(Settings()) == Policies()


def test_a_snapshot_from_before_says_what_the_defaults_of_the_settings_say() -> None:
    old, settings = Snapshot(version=1, made_at_us=0), Settings()
    assert old.policies == policies_of(settings)
    assert old.limits == scopes_of(settings)
    assert old.spend_limits == spend_rules_of(settings)
    assert old.last_resort == last_resorts_of(settings)
    assert old.keep_alive_us == keep_alive_us_of(settings)


def test_last_resorts_and_the_keep_alive_arrive() -> None:
    rows = {"a": LastResortRow(model="m"), "b": LastResortRow(message="Later.")}
    settings = Settings(last_resort=rows, policy=Policy(keep_alive_s=2.5))
    assert last_resorts_of(settings) == {"a": LastResort(model="m"), "b": LastResort(message="Later.")}
    assert keep_alive_us_of(settings) == 2_500_000


def test_every_setting_of_resilience_arrives() -> None:
    resilience = Resilience(
        attempts_per_deployment=3,
        attempts=7,
        backoff_s=0.1,
        backoff_cap_s=2,
        patience_s=0.5,
        max_wait_s=9,
        retry_unknown=False,
        route_around_filter=True,
        down_s=1.5,
        balance="latency",
        sticky=False,
        retry_ratio=0.25,
    )
    policies = policies_of(Settings(resilience=resilience))
    assert policies.resilience == ResiliencePolicy(
        max_here=3,
        max_total=7,
        base_us=100_000,
        cap_us=2_000_000,
        patience_us=500_000,
        max_wait_us=9_000_000,
        retry_unknown=False,
        route_around_filter=True,
        down_us=1_500_000,
    )
    assert policies.retries == RetryBudgetPolicy(ratio_permille=250)
    assert (policies.balance, policies.sticky) == ("latency", False)


def test_every_setting_of_the_breaker_arrives() -> None:
    breaker = Breaker(
        last_calls=8,
        last_failures=6,
        window_s=60,
        min_calls=20,
        failure_share=0.3,
        slow_s=2.5,
        slow_share=0.9,
        cooldown_s=7,
        refused_cooldown_s=70,
        max_cooldown_s=700,
        probes=2,
        successes=3,
    )
    assert policies_of(Settings(breaker=breaker)).breaker == BreakerPolicy(
        last_calls=8,
        last_failures=6,
        window_us=60_000_000,
        min_calls=20,
        failure_permille=300,
        slow_us=2_500_000,
        slow_permille=900,
        cooldown_us=7_000_000,
        refused_cooldown_us=70_000_000,
        max_cooldown_us=700_000_000,
        probes=2,
        successes=3,
    )


def test_what_is_tiny_does_not_switch_a_rule_off() -> None:
    breaker = policies_of(Settings(breaker=Breaker(slow_s=1e-9, failure_share=0.0001, slow_share=0))).breaker
    assert (breaker.slow_us, breaker.failure_permille, breaker.slow_permille) == (1, 1, 0)


def test_a_weight_reaches_its_deployment() -> None:
    text = b'[[deployments]]\nname = "a"\nprovider = "openai"\nmodel = "m"\nkey = { env = "K" }\nweight = 0\n'
    settings = read_text(text, Path("/etc/tidegate.toml")).settings
    assert settings is not None
    assert targets(settings, load())[0][0].weight == 0


def limited(*rows: LimitRow, **call: str) -> list[tuple[str, Kind, int]]:
    """The limits of one call, shortly."""
    found = limits_of(Settings(limits=rows)).of(**{**CALL, **call})
    return [(scope, limit.kind, limit.amount) for scope, limit in found]


def test_without_rows_nothing_is_limited() -> None:
    assert limited() == []


@pytest.mark.parametrize(
    ("row", "label"),
    [
        (LimitRow(scope="tenant", name="*", concurrent=1), "tenant:acme"),
        (LimitRow(scope="key", name="*", concurrent=1), "key:k1"),
        (LimitRow(scope="key", name="k1", concurrent=1), "key:k1"),
        (LimitRow(scope="key", name="bot", concurrent=1), "key:acme/bot"),
        (LimitRow(scope="team", name="*", concurrent=1), "team:acme/red"),
        (LimitRow(scope="team", name="red", concurrent=1), "team:acme/red"),
        (LimitRow(scope="feature", name="search", concurrent=1), "feature:acme/search"),
        (LimitRow(scope="model", name="gpt", concurrent=1), "model:gpt"),
        (LimitRow(scope="provider", name="openai", concurrent=1), "provider:openai"),
    ],
)
def test_each_scope_is_counted_under_its_own_label(row: LimitRow, label: str) -> None:
    assert limited(row) == [(label, "concurrent", 1)]


@pytest.mark.parametrize("scope", ["tenant", "key", "team", "feature", "model", "provider"])
def test_a_row_of_another_name_limits_nothing(scope: str) -> None:
    row = msgspec.convert({"scope": scope, "name": "other", "concurrent": 1}, LimitRow)
    assert limited(row) == []


@pytest.mark.parametrize("scope", ["team", "feature", "model", "provider"])
def test_what_a_call_has_none_of_limits_nothing(scope: str) -> None:
    row = msgspec.convert({"scope": scope, "name": "*", "concurrent": 1}, LimitRow)
    assert limited(row, **{scope: ""}) == []


def test_a_call_comes_under_every_scope_with_every_kind() -> None:
    found = limited(
        LimitRow(scope="provider", name="*", concurrent=9),
        LimitRow(scope="key", name="*", requests_per_minute=60, tokens_per_minute=1_000, concurrent=5),
    )
    assert found == [
        ("key:k1", "requests", 60),
        ("key:k1", "tokens", 1_000),
        ("key:k1", "concurrent", 5),
        ("provider:openai", "concurrent", 9),
    ]


def test_a_named_row_goes_before_that_of_each_one_for_what_it_sets() -> None:
    rows = (
        LimitRow(scope="team", name="red", requests_per_minute=1_000),
        LimitRow(scope="team", name="*", requests_per_minute=60, concurrent=5),
    )
    assert limited(*rows) == [("team:acme/red", "requests", 1_000), ("team:acme/red", "concurrent", 5)]
    assert limited(*rows, team="blue") == [
        ("team:acme/blue", "requests", 60),
        ("team:acme/blue", "concurrent", 5),
    ]


def test_a_keys_id_goes_before_its_name() -> None:
    rows = (
        LimitRow(scope="key", name="bot", concurrent=1),
        LimitRow(scope="key", name="k1", concurrent=2),
    )
    assert limited(*rows) == [("key:k1", "concurrent", 2)]
    assert limited(*rows, key="k2") == [("key:acme/bot", "concurrent", 1)]


def test_no_tenant_counts_under_the_label_of_another() -> None:
    row = LimitRow(scope="team", name="*", concurrent=1)
    pairs = [("a", "b/c"), ("a/b", "c"), ("a%2Fb", "c"), ("a%252Fb", "c")]
    assert len({limited(row, tenant=tenant, team=team)[0][0] for tenant, team in pairs}) == 4


def test_a_limit_is_for_a_minute() -> None:
    found = limits_of(Settings(limits=(LimitRow(scope="key", name="*", requests_per_minute=3),)))
    assert found.of(tenant="acme", key="k1") == [("key:k1", Limit("requests", 3, 60_000_000))]


def test_a_spend_limit_arrives_in_nano_units_and_thousandths() -> None:
    row = SpendLimitRow(
        key="*",
        tokens_per_minute=5_000,
        amount_per_minute="2.5",
        currency="USD",
        times_usual=10.5,
        floor_tokens=7,
        floor_amount="0.000000001",
        cooldown_s=60,
    )
    assert rules_of(Settings(spend_limits=(row,))).of("k1") == SpendRule(
        SpendPolicy(
            max_tokens=5_000,
            max_nano=2_500_000_000,
            factor_permille=10_500,
            floor_tokens=7,
            floor_nano=1,
            cooldown_us=60_000_000,
        ),
        "USD",
    )


def test_the_defaults_of_a_spend_limit_are_those_of_its_policy() -> None:
    rule = rules_of(Settings(spend_limits=(SpendLimitRow(key="*", tokens_per_minute=1),))).of("k1")
    assert rule == SpendRule(SpendPolicy(max_tokens=1), None)


def test_only_an_operator_closes_what_has_no_cooldown() -> None:
    row = SpendLimitRow(key="*", tokens_per_minute=1, closed_by="operator")
    rule = rules_of(Settings(spend_limits=(row,))).of("k1")
    assert rule is not None
    assert rule.policy.cooldown_us is None


def test_a_keys_id_goes_before_its_name_and_that_before_each_one() -> None:
    rows = tuple(
        SpendLimitRow(key=key, tokens_per_minute=tokens) for key, tokens in (("*", 1), ("bot", 2), ("k1", 3))
    )
    rules = rules_of(Settings(spend_limits=rows))
    found = [rules.of("k1", "bot"), rules.of("k2", "bot"), rules.of("k2", "other"), rules.of("k2")]
    assert [rule.policy.max_tokens for rule in found if rule] == [3, 2, 1, 1]


def test_a_key_that_no_row_is_for_may_spend() -> None:
    rules = rules_of(Settings(spend_limits=(SpendLimitRow(key="bot", tokens_per_minute=1),)))
    assert rules.of("k1") is None
    assert rules_of(Settings()).of("k1", "bot") is None
