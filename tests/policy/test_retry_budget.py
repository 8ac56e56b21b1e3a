from hypothesis import given
from hypothesis import strategies as st

from tidegate.policy.retry_budget import (
    RetryBudget,
    RetryBudgetPolicy,
    full_budget,
    has_retry,
    with_request,
    without_retry,
)

S = 1_000_000
POLICY = RetryBudgetPolicy()
BARE = RetryBudgetPolicy(ratio_permille=200, floor=0, capacity=2)


def test_a_fifth_of_the_requests_may_be_retried() -> None:  # trap K8
    budget = full_budget(0, BARE)
    taken = []
    for _ in range(20):
        budget = with_request(budget, 0, BARE)
        budget, ok = without_retry(budget, 0, BARE)
        taken.append(ok)
    assert sum(taken) == 2 + 3
    assert not has_retry(budget, 0, BARE)


def test_time_gives_a_floor() -> None:
    budget = full_budget(0, POLICY)
    for _ in range(POLICY.capacity):
        budget, ok = without_retry(budget, 0, POLICY)
        assert ok
    assert not without_retry(budget, S - 1, POLICY)[1]
    assert without_retry(budget, S, POLICY)[1]
    assert has_retry(budget, S, POLICY)


def test_it_is_filled_to_its_capacity_and_no_further() -> None:
    assert full_budget(0, POLICY).left_milli == 50_000
    assert with_request(RetryBudget(0, 0), 0, POLICY).left_milli == 200
    assert with_request(full_budget(0, POLICY), 0, POLICY).left_milli == 50_000
    assert without_retry(RetryBudget(0, 0), 3600 * S, POLICY)[0].left_milli == 49_000


def test_without_a_floor_time_gives_nothing() -> None:
    assert not has_retry(RetryBudget(999, 0), 3600 * S, BARE)


def test_a_slow_floor_is_no_quicker_than_it_says() -> None:
    slow = RetryBudgetPolicy(floor=1, floor_us=1000 * S)
    assert not has_retry(RetryBudget(0, 0), 1000 * S - 1, slow)
    assert has_retry(RetryBudget(0, 0), 1000 * S, slow)


def test_many_small_looks_add_up_to_one_long_one() -> None:
    policy = RetryBudgetPolicy(ratio_permille=0)
    often = rarely = RetryBudget(0, 0)
    for at_us in range(0, 10 * S, 1234):
        often = with_request(often, at_us, policy)
    assert with_request(often, 10 * S, policy) == with_request(rarely, 10 * S, policy)


def test_a_clock_that_goes_back_neither_fills_nor_stalls() -> None:
    back = with_request(RetryBudget(0, 100 * S), 40 * S, RetryBudgetPolicy(ratio_permille=0))
    assert back == RetryBudget(0, 40 * S)
    assert has_retry(back, 41 * S, POLICY)


steps = st.lists(st.tuples(st.booleans(), st.integers(-2 * S, 5 * S)), max_size=150)
policies = st.builds(
    RetryBudgetPolicy,
    ratio_permille=st.integers(0, 1000),
    floor=st.integers(0, 20),
    floor_us=st.integers(1, 20 * S),
    capacity=st.integers(0, 20),
)


@given(steps=steps, policy=policies)
def test_retries_never_pass_the_stated_bound(
    steps: list[tuple[bool, int]], policy: RetryBudgetPolicy
) -> None:  # trap K8
    now_us = passed_us = requests = retries = 0
    budget = full_budget(now_us, policy)
    for is_request, step_us in steps:
        now_us += step_us
        passed_us += max(step_us, 0)
        if is_request:
            requests += 1
            budget = with_request(budget, now_us, policy)
        else:
            budget, ok = without_retry(budget, now_us, policy)
            retries += ok
        assert 0 <= budget.left_milli <= policy.capacity * 1000
        allowed_milli = policy.capacity * 1000 + requests * policy.ratio_permille
        allowed_milli += policy.floor * 1000 * passed_us // policy.floor_us
        assert retries * 1000 <= allowed_milli
