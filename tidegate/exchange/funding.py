"""What an attempt holds of budgets before it is made: its worst case, less output, after a wait, or nothing.

In this order (trap M15): hold; count the prompt exactly where the estimate decides; wait for others to settle
for less than they hold; where the client set no output limit, hold for a shorter answer and send that limit;
refuse.
"""

from typing import NamedTuple, Protocol

import msgspec

from tidegate.exchange.plan import Plan, Planner
from tidegate.model.budget import Dimension
from tidegate.model.errors import TidegateError
from tidegate.model.record import Decision, Hold, LimitSource, Settled
from tidegate.model.request import RequestFacts
from tidegate.policy.budget import EXACT_MARGIN_PERMILLE, INPUT_MARGIN_PERMILLE
from tidegate.services import budgets
from tidegate.services.budget_accounts import Account
from tidegate.services.budgets import Budgets, Cost, Refusal, Values
from tidegate.services.outbound import Outbound
from tidegate.services.output_limits import OutputLimits

LEAST_OUTPUT = 256
"""The shortest answer that is held for where the client set no limit."""
WORTH_COUNTING = 512
"""Tokens of a prompt from which its exact count may decide."""
CUT = ("length", "max_tokens", "max_output_tokens")
OUR_LIMIT = "cut_by_our_limit"
SECOND_US = 1_000_000
MOST_TOKENS = 1_000_000_000
"""Of one attempt; no provider takes a thousandth of it."""


class Counter(Protocol):
    """Counts tokens exactly."""

    async def count(self, model: str, facts: RequestFacts) -> int | None:
        """The tokens of a prompt; None where it is not counted."""
        ...


class Funded(NamedTuple):
    """One attempt, held for. `limit` is the output limit to send in tokens, None where none of ours is."""

    hold: Hold
    taken: budgets.Hold
    limit: int | None = None
    source: LimitSource = "none"


class Funding:
    """Holds for attempts, and settles what they came to."""

    def __init__(self, planner: Planner, accounts: Budgets, limits: OutputLimits, counter: Counter) -> None:
        self._planner = planner
        self._budgets = accounts
        self._limits = limits
        self._counter = counter

    def cheaper(self, plan: Plan) -> Plan:
        """The plan, or one with a cheaper model where a budget is so far spent that it says so."""
        if self._budgets.limits_nothing or plan.is_free or plan.call.passed is not None:
            return plan
        standing = self._budgets.degraded(self._budgets.accounts(values_of(plan, plan.outbounds[0])))
        if standing is None:
            return plan
        model = standing.budget.degrade_to
        try:
            instead = self._planner.plan(plan.asked, plan.state, instead=model)
        except TidegateError:
            return plan  # as long as there is room, the dear one is better than none
        if instead.outbounds[0] is plan.outbounds[0]:
            return plan
        facts: dict[str, str | int | None] = {"budget": standing.budget.name, "model": plan.facts.model}
        made = Decision(name="degrade", inputs=facts, result=model)
        return msgspec.structs.replace(instead, decisions=(*instead.decisions, made), degraded=True)

    async def fund(self, plan: Plan, outbound: Outbound, *, elapsed_us: int) -> Funded:
        """Hold for one attempt. Raises BudgetExceeded, or PriceUnknown where the policy refuses (M4)."""
        if plan.is_free:  # as counting is (trap K14)
            return Funded(self._planner.hold(plan, outbound, 0), budgets.Hold())
        accounts: tuple[Account, ...] = ()
        values: Values = {}
        if not self._budgets.limits_nothing:
            values = values_of(plan, outbound)
            accounts = self._budgets.accounts(values)
        limit, source = self._limit(plan, outbound, accounts)
        size = plan.max_output_total if limit is None else limit * plan.facts.n
        hold = self._planner.hold(plan, outbound, size)
        if not accounts:
            return Funded(hold, budgets.Hold(), limit, source)
        bid = _Bid(plan, outbound, hold.input_tokens * INPUT_MARGIN_PERMILLE // 1000)
        found = self._budgets.try_hold(accounts, bid.cost(size))
        if isinstance(found, Refusal):
            bid = await self._counted(bid)
            can_be_short = limit is not None and limit > LEAST_OUTPUT
            found = await self._budgets.hold(
                values,
                bid.cost(size),
                wait_s=_wait_s(plan, elapsed_us),
                shorter=bid.answer(LEAST_OUTPUT) if can_be_short else None,
            )
        if isinstance(found, Refusal):
            raise self._budgets.exceeded(found)
        if found.is_short and limit is not None:
            try:
                limit = self._budgets.enlarge(found, bid.answer, least=LEAST_OUTPUT, most=limit)
                hold = self._planner.hold(plan, outbound, limit * plan.facts.n)
            except BaseException:
                self._budgets.release(found)
                raise
            source = "budget"
        return Funded(msgspec.structs.replace(hold, shares=found.shares), found, limit, source)

    def release(self, taken: budgets.Hold) -> None:
        """Give back what was held for an attempt that is not made."""
        self._budgets.release(taken)

    def settle(self, plan: Plan, outbound: Outbound, funded: Funded, settled: Settled) -> Settled:
        """Charge what an attempt came to; its record says what each account was charged.

        Learns how long the answer got, and says where a limit of ours cut it. A repeat does neither again.
        """
        is_first = funded.taken.charges is None
        was_cut = funded.limit is not None and settled.finish in CUT
        if was_cut:
            settled = msgspec.structs.replace(settled, flags=(*settled.flags, OUR_LIMIT))
        tokens = settled.usage.output_total
        is_told = settled.status == "ok" and settled.usage_source == "provider"
        if is_first and is_told and tokens is not None and plan.call.passed is None:
            who, answers = plan.asked.who, max(1, plan.facts.n)
            self._limits.learn(
                *(who.tenant, who.feature, outbound.asked_model),
                -(-tokens // answers),
                cut_at=funded.limit if was_cut else None,
            )
        charges = self._budgets.settle(funded.taken, _cost_of(settled))
        return msgspec.structs.replace(settled, charges=charges) if charges else settled

    async def _counted(self, bid: "_Bid") -> "_Bid":
        """The bid with its prompt counted exactly, where that makes it less (trap M13)."""
        plan = bid.plan
        if plan.raw_tokens < WORTH_COUNTING:
            return bid
        counted = await self._counter.count(bid.outbound.asked_model, plan.facts)
        if counted is None:
            return bid
        exact = (counted + plan.earlier_tokens) * EXACT_MARGIN_PERMILLE // 1000
        return bid._replace(input_tokens=min(bid.input_tokens, exact))

    def _limit(
        self, plan: Plan, outbound: Outbound, accounts: tuple[Account, ...]
    ) -> tuple[int | None, LimitSource]:
        """The limit to send: a budget holds only where the provider keeps to it (trap M19)."""
        facts, state = plan.facts, plan.state
        if facts.max_output is not None:
            return None, "client"
        surface = outbound.through[facts.surface]
        if surface not in outbound.limit_fields:
            return None, "none"
        is_held = any(one.budget.mode != "soft" for one in accounts)
        if state.output_limits == "budgets" and not is_held:
            return None, "none"
        who = plan.asked.who
        learned = self._limits.of(who.tenant, who.feature, outbound.asked_model)
        if learned is not None:
            return learned, "learned"
        if is_held or state.output_limits == "always":
            return state.default_output_tokens, "default"
        return None, "none"


class _Bid(NamedTuple):
    """One attempt that is to be held for, with its prompt as long as it may be."""

    plan: Plan
    outbound: Outbound
    input_tokens: int

    def answer(self, tokens: int) -> Cost:
        """The worst case of answers that are at most so long, as many as are asked for."""
        return self.cost(tokens * self.plan.facts.n)

    def cost(self, output_tokens: int) -> Cost:
        """The worst case: its input as `input_tokens` has it, its output as long as it may get."""
        plan, state = self.plan, self.plan.state
        amount = plan.prices.hold(
            self.outbound.deployment,
            plan.call.at_us,
            self.input_tokens,
            output_tokens,
            plan.facts.service_tier,
        )
        tokens = self.input_tokens + output_tokens
        if amount is None:
            return Cost(tokens, state.unpriced_hold_nano, state.currency)
        return Cost(tokens, amount.total_nano, amount.currency)


def _cost_of(settled: Settled) -> Cost:
    """What an attempt came to, in every unit; a call that reached nobody costs nothing.

    A usage beyond belief is nobody's: its attempt is charged as it was held.
    """
    usage = settled.usage
    if settled.usage_source == "none":
        return Cost(0, 0, settled.currency, calls=0)
    tokens = (usage.input_total or 0) + (usage.output_total or 0)
    if tokens > MOST_TOKENS:
        return Cost(None, None, settled.currency)
    return Cost(tokens, settled.cost_nano, settled.currency)


def _wait_s(plan: Plan, elapsed_us: int) -> float:
    """How long a call may wait for a budget, within its client's own deadline."""
    wait_s = plan.state.budget_wait_s
    if plan.timeout_s is None:
        return wait_s
    return max(0.0, min(wait_s, plan.timeout_s - elapsed_us / SECOND_US))


def values_of(plan: Plan, outbound: Outbound) -> Values:
    """All names that an attempt has in each dimension of budgets, the one to keep its account by first."""
    who, key = plan.asked.who, plan.call.key
    named: dict[Dimension, tuple[str, ...]] = {
        "tenant": (who.tenant,),
        "project": (who.project,),
        "team": (who.team,),
        "feature": (who.feature,),
        "customer": (who.customer,),
        "user": (who.user,),
        "key": (key.id, key.name),
        "model": (outbound.asked_model, plan.facts.model),
        "provider": (outbound.provider.name,),
        "run": (who.run,),
        "environment": (who.environment,),
    }
    return {dimension: tuple(filter(None, names)) for dimension, names in named.items()}
