"""Limits that change while calls go on."""

from typing import Any

import pytest

from tidegate.model.errors import RateLimited, SpendPaused
from tidegate.model.identity import Key
from tidegate.model.record import Settled, Who
from tidegate.model.usage import Usage
from tidegate.policy.rate import Kind, Limit
from tidegate.policy.spend_breaker import SpendPolicy
from tidegate.services.clock import Clock
from tidegate.services.limiter import Admitted, Limiter
from tidegate.services.policies import ScopeLimits, SpendRules
from tidegate.stores.snapshot import Scope, SpendRule

KEY = Key(id="k1", mac="", tenant="acme")
WHO = Who(tenant="acme", key="k1")
NO_RULES = SpendRules({})
BILL = Settled(status="ok", usage=Usage(input_uncached=60, output_text=40))


def limits(**amounts: int) -> ScopeLimits:
    kinds: dict[str, Kind] = {"requests": "requests", "tokens": "tokens", "concurrent": "concurrent"}
    return ScopeLimits({"key": Scope({}, tuple(Limit(kinds[name], amounts[name]) for name in amounts))})


class Gate:
    """A limiter, and calls to it."""

    def __init__(self) -> None:
        self.told: list[str] = []
        clock = Clock(wall_us=lambda: 0, mono_s=lambda: 1000.0)
        self.limiter = Limiter(clock, on_spend=lambda key, event: self.told.append(event.kind))

    def enter(self, tokens: int = 10) -> Admitted | None:
        asked: Any = {"model": "m", "provider": "p", "tokens": tokens}
        return self.limiter.enter(KEY, WHO, "chat", **asked)

    def is_refused(self) -> bool:
        try:
            admitted = self.enter()
        except RateLimited:
            return True
        if admitted is not None:
            admitted.leave()
        return False


def test_nothing_is_limited_until_something_is_configured() -> None:
    gate = Gate()
    assert gate.limiter.limits_nothing
    gate.limiter.configure(limits(requests=1), NO_RULES)
    assert not gate.limiter.limits_nothing
    gate.limiter.configure(ScopeLimits({}), NO_RULES)
    assert gate.limiter.limits_nothing
    gate.limiter.configure(ScopeLimits({}), SpendRules({"*": SpendRule(SpendPolicy(max_tokens=1))}))
    assert not gate.limiter.limits_nothing


def test_what_was_used_counts_under_the_new_amount() -> None:
    gate = Gate()
    gate.limiter.configure(limits(requests=5), NO_RULES)
    for _ in range(3):
        gate.enter()
    gate.limiter.configure(limits(requests=3), NO_RULES)
    assert gate.is_refused()
    gate.limiter.configure(limits(requests=4, tokens=1000), NO_RULES)
    assert [gate.is_refused() for _ in range(2)] == [False, True]


def test_calls_that_run_give_back_what_they_took_under_other_limits() -> None:
    gate = Gate()
    gate.limiter.configure(limits(concurrent=2, tokens=1000), NO_RULES)
    running = [gate.enter(tokens=400) for _ in range(2)]
    gate.limiter.configure(limits(concurrent=1, tokens=950), NO_RULES)
    assert gate.is_refused()
    for admitted in running:
        assert admitted is not None
        admitted.settle(BILL)
    assert not gate.is_refused()
    with pytest.raises(RateLimited):
        gate.enter(tokens=745)  # 100 are left of 400, twice, and 10
    assert gate.enter(tokens=740) is not None


def test_a_bill_counts_by_the_rule_that_holds_when_it_comes() -> None:
    gate = Gate()
    gate.limiter.configure(ScopeLimits({}), SpendRules({"*": SpendRule(SpendPolicy(max_tokens=1000))}))
    admitted = gate.enter()
    assert admitted is not None
    gate.limiter.configure(ScopeLimits({}), SpendRules({"*": SpendRule(SpendPolicy(max_tokens=99))}))
    admitted.settle(BILL)
    with pytest.raises(SpendPaused):
        gate.enter()
    gate.limiter.configure(limits(requests=9), NO_RULES)
    assert gate.enter() is not None
    assert gate.told == ["opened"]
