from tidegate.policy.retry_budget import RetryBudgetPolicy
from tidegate.services.retries import RetryBudgets

POLICY = RetryBudgetPolicy(ratio_permille=500, floor=0, capacity=1)


def test_each_deployment_has_a_budget_of_its_own() -> None:  # trap K8
    budgets = RetryBudgets(POLICY)
    assert budgets.retried("a", 0)
    assert not budgets.retried("a", 0)
    assert not budgets.has_retry("a", 0)
    assert budgets.has_retry("b", 0)
    budgets.requested("a")
    budgets.requested("a")
    assert budgets.retried("a", 0)


def test_the_table_is_bounded() -> None:  # trap V4
    budgets = RetryBudgets(POLICY, max_budgets=2)
    for name in "abc":
        assert budgets.retried(name, 0)
    assert len(budgets) == 2
    assert (budgets.has_retry("a", 0), budgets.has_retry("b", 0)) == (True, False)


def test_another_policy_takes_over_what_is_left() -> None:
    budgets = RetryBudgets(POLICY)
    assert budgets.retried("a", 0)
    budgets.requested("a")
    budgets.configure(RetryBudgetPolicy(ratio_permille=1000, floor=0, capacity=1), 0)
    assert not budgets.has_retry("a", 0), "a request from before counts as it did"
    budgets.requested("a")
    assert budgets.has_retry("a", 0)
