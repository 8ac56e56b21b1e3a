"""The configuration of staying up in the units that decisions take: microseconds, thousandths, nano-units."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tidegate.config.settings import LimitRow, Settings, SpendLimitRow
from tidegate.model.money import nano_of
from tidegate.policy.balance import SECOND_US
from tidegate.policy.breaker import BreakerPolicy
from tidegate.policy.rate import Kind, Limit
from tidegate.policy.resilience import ResiliencePolicy
from tidegate.policy.retry_budget import RetryBudgetPolicy
from tidegate.policy.spend_breaker import SpendPolicy
from tidegate.services.rates import ScopedLimit
from tidegate.stores.snapshot import LastResort, Policies, Scope, SpendRule

EACH = "*"
"""The name of a row that holds for each one by itself."""

_KINDS: tuple[tuple[str, Kind], ...] = (
    ("requests_per_minute", "requests"),
    ("tokens_per_minute", "tokens"),
    ("concurrent", "concurrent"),
)


def policies_of(settings: Settings) -> Policies:
    """Return how calls are spread and kept up."""
    resilience = settings.resilience
    return Policies(
        resilience=ResiliencePolicy(
            max_here=resilience.attempts_per_deployment,
            max_total=resilience.attempts,
            base_us=_us(resilience.backoff_s),
            cap_us=_us(resilience.backoff_cap_s),
            patience_us=_us(resilience.patience_s),
            max_wait_us=_us(resilience.max_wait_s),
            down_us=_us(resilience.down_s),
            retry_unknown=resilience.retry_unknown,
            route_around_filter=resilience.route_around_filter,
        ),
        breaker=_breaker_policy(settings),
        retries=RetryBudgetPolicy(ratio_permille=_permille(resilience.retry_ratio)),
        balance=resilience.balance,
        sticky=resilience.sticky,
    )


def _breaker_policy(settings: Settings) -> BreakerPolicy:
    breaker = settings.breaker
    return BreakerPolicy(
        enabled=breaker.enabled,
        last_calls=breaker.last_calls,
        last_failures=breaker.last_failures,
        window_us=_us(breaker.window_s),
        min_calls=breaker.min_calls,
        failure_permille=_permille(breaker.failure_share),
        slow_us=_us(breaker.slow_s),
        slow_permille=_permille(breaker.slow_share),
        cooldown_us=_us(breaker.cooldown_s),
        refused_cooldown_us=_us(breaker.refused_cooldown_s),
        max_cooldown_us=_us(breaker.max_cooldown_s),
        probes=breaker.probes,
        successes=breaker.successes,
    )


def scopes_of(settings: Settings) -> dict[str, Scope]:
    """Return the rows of `[[limits]]` by their scope."""
    rows: dict[str, list[LimitRow]] = {}
    for row in settings.limits:
        rows.setdefault(row.scope, []).append(row)
    return {scope: _scope(of_scope) for scope, of_scope in rows.items()}


def spend_rules_of(settings: Settings) -> dict[str, SpendRule]:
    """Return the rows of `[[spend_limits]]` by their key."""
    return {row.key: SpendRule(_spend_policy(row), row.currency) for row in settings.spend_limits}


def last_resorts_of(settings: Settings) -> dict[str, LastResort]:
    """Return what follows by alias when nothing is left."""
    rows = settings.last_resort.items()
    return {alias: LastResort(model=row.model or "", message=row.message or "") for alias, row in rows}


def keep_alive_us_of(settings: Settings) -> int:
    """Return after how much silence a stream is kept alive, and how long its start is held at most."""
    return _us(settings.policy.keep_alive_s)


@dataclass(frozen=True, slots=True)
class ScopeLimits:
    """The limits of all scopes that have any.

    A named row goes before the row of `*` for the kinds it sets; the others stay as they are for each one. A
    key is meant by its id or, after that, by its name.
    """

    scopes: Mapping[str, Scope]

    def of(
        self,
        *,
        tenant: str,
        key: str,
        key_name: str = "",
        team: str = "",
        feature: str = "",
        model: str = "",
        provider: str = "",
    ) -> list[ScopedLimit]:
        """Return the limits of one call and whose each is: `key:k1`, `team:acme/red`.

        Teams, features and keys by their name are counted for each tenant by itself, so that nobody uses up
        what is another tenant's. What a call has none of (the empty text) limits nothing.
        """
        scopes = self.scopes
        found: list[ScopedLimit] = []
        if not scopes:
            return found
        own = f"{_escaped(tenant)}/"
        key_of, key_text = "", key
        if key_name and (keys := scopes.get("key")) and key_name in keys.named and key not in keys.named:
            key_of, key_text = own, key_name
        asked = (
            ("tenant", "", tenant),
            ("key", key_of, key_text),
            ("team", own, team),
            ("feature", own, feature),
            ("model", "", model),
            ("provider", "", provider),
        )
        for kind, before, name in asked:
            scope = scopes.get(kind) if name else None
            if scope is not None:
                label = f"{kind}:{before}{name}"
                found += [(label, limit) for limit in scope.named.get(name, scope.each)]
        return found


@dataclass(frozen=True, slots=True)
class SpendRules:
    """The rows of `[[spend_limits]]`: a key's id goes before its name, that before `*`."""

    rules: Mapping[str, SpendRule]

    def of(self, key: str, key_name: str = "") -> SpendRule | None:
        """Return the rule for a key; None where nothing limits what it spends."""
        rules = self.rules
        if not rules:
            return None
        return rules.get(key) or (rules.get(key_name) if key_name else None) or rules.get(EACH)


def _spend_policy(row: SpendLimitRow) -> SpendPolicy:
    return SpendPolicy(
        max_tokens=row.tokens_per_minute,
        max_nano=None if row.amount_per_minute is None else nano_of(row.amount_per_minute),
        factor_permille=0 if row.times_usual is None else _permille(row.times_usual),
        floor_tokens=row.floor_tokens,
        floor_nano=nano_of(row.floor_amount),
        cooldown_us=None if row.closed_by == "operator" else _us(row.cooldown_s),
    )


def _scope(rows: Iterable[LimitRow]) -> Scope:
    by_name = {row.name: _limits(row) for row in rows}
    each = by_name.pop(EACH, {})
    named = {name: tuple((each | own).values()) for name, own in by_name.items()}
    return Scope(named, tuple(each.values()))


def _limits(row: LimitRow) -> dict[Kind, Limit]:
    amounts = ((kind, getattr(row, name)) for name, kind in _KINDS)
    return {kind: Limit(kind, amount) for kind, amount in amounts if amount is not None}


def _escaped(tenant: str) -> str:
    """Return a tenant's name without a slash, so that no two tenants' labels read alike."""
    return tenant.replace("%", "%25").replace("/", "%2F") if "/" in tenant or "%" in tenant else tenant


def _us(seconds: float) -> int:
    """Return seconds in microseconds; only 0, which switches things off, becomes 0."""
    return max(round(seconds * SECOND_US), 1) if seconds else 0


def _permille(share: float) -> int:
    """Return a share in thousandths; only 0, which switches things off, becomes 0."""
    return max(round(share * 1000), 1) if share else 0
