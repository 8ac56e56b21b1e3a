"""How many retries a deployment may be sent beside its requests, so that failures do not multiply (K8)."""

import msgspec

SECOND_US = 1_000_000


class RetryBudget(msgspec.Struct, frozen=True):
    """A bucket of retries, in thousandths; it starts full. `at_us` is the latest moment it has seen."""

    left_milli: int
    at_us: int


class RetryBudgetPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Each request puts `ratio_permille` thousandths of a retry in, each `floor_us` `floor` retries more."""

    ratio_permille: int = 200
    floor: int = 10
    floor_us: int = 10 * SECOND_US
    capacity: int = 50


def full_budget(now_us: int, policy: RetryBudgetPolicy) -> RetryBudget:
    """Return the budget of a deployment that was never called."""
    return RetryBudget(policy.capacity * 1000, now_us)


def with_request(budget: RetryBudget, now_us: int, policy: RetryBudgetPolicy, count: int = 1) -> RetryBudget:
    """Return the budget after `count` first attempts.

    In any span of T seconds with N first attempts there are at most `capacity` + `floor` * T / `floor_us` +
    N * `ratio_permille` / 1000 retries (trap K8). A clock that goes back adds nothing and takes nothing.
    """
    filled = _filled(budget, now_us, policy)
    left_milli = min(filled.left_milli + count * policy.ratio_permille, policy.capacity * 1000)
    return RetryBudget(left_milli, filled.at_us)


def without_retry(budget: RetryBudget, now_us: int, policy: RetryBudgetPolicy) -> tuple[RetryBudget, bool]:
    """Take one retry out; False, and nothing taken, where less than one is left."""
    filled = _filled(budget, now_us, policy)
    if filled.left_milli < 1000:
        return filled, False
    return RetryBudget(filled.left_milli - 1000, filled.at_us), True


def has_retry(budget: RetryBudget, now_us: int, policy: RetryBudgetPolicy) -> bool:
    """Tell whether a retry could be taken now."""
    return _filled(budget, now_us, policy).left_milli >= 1000


def _filled(budget: RetryBudget, now_us: int, policy: RetryBudgetPolicy) -> RetryBudget:
    """Return the budget with what time has put in; a part of a thousandth waits for the next look."""
    passed_us = now_us - budget.at_us
    per_milli_us = -(-policy.floor_us // (policy.floor * 1000)) if policy.floor else 0
    if passed_us < 0 or not per_milli_us:
        return RetryBudget(budget.left_milli, now_us)
    milli = passed_us // per_milli_us
    left_milli = min(budget.left_milli + milli, policy.capacity * 1000)
    return RetryBudget(left_milli, budget.at_us + milli * per_milli_us)
