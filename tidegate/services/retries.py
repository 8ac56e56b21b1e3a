"""The retry budgets of deployments, in memory."""

from tidegate.policy.retry_budget import (
    RetryBudget,
    RetryBudgetPolicy,
    full_budget,
    has_retry,
    with_request,
    without_retry,
)

MAX_BUDGETS = 4096


class RetryBudgets:
    """One budget a deployment; beyond `max_budgets` the oldest is forgotten, and full when it returns."""

    def __init__(self, policy: RetryBudgetPolicy, *, max_budgets: int = MAX_BUDGETS) -> None:
        self.policy = policy
        self._max_budgets = max_budgets
        self._budgets: dict[str, RetryBudget] = {}
        self._requests: dict[str, int] = {}

    def configure(self, policy: RetryBudgetPolicy, now_us: int) -> None:
        """Go on under another policy; what is left stays, requests until now put in by the one before."""
        if policy != self.policy:
            for name in tuple(self._requests):
                self._of(name, now_us)
            self.policy = policy

    def requested(self, name: str) -> None:
        """Take in that a deployment gets the first attempt of a request; counted up until one fails."""
        requests = self._requests
        if name in requests or len(requests) < self._max_budgets:
            requests[name] = requests.get(name, 0) + 1

    def has_retry(self, name: str, now_us: int) -> bool:
        """Tell whether one more retry may go to a deployment."""
        return has_retry(self._of(name, now_us), now_us, self.policy)

    def retried(self, name: str, now_us: int) -> bool:
        """Take a retry out; False where none is left."""
        budget, taken = without_retry(self._of(name, now_us), now_us, self.policy)
        self._keep(name, budget)
        return taken

    def __len__(self) -> int:
        return len(self._budgets)

    def _of(self, name: str, now_us: int) -> RetryBudget:
        budget = self._budgets.get(name) or full_budget(now_us, self.policy)
        count = self._requests.pop(name, 0)
        if count:
            budget = with_request(budget, now_us, self.policy, count)
            self._keep(name, budget)
        return budget

    def _keep(self, name: str, budget: RetryBudget) -> None:
        if name not in self._budgets and len(self._budgets) >= self._max_budgets:
            del self._budgets[next(iter(self._budgets))]
        self._budgets[name] = budget
