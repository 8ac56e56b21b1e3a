"""Budgets as people see them: whose account stands how, as far as the journals are in the tables."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from tidegate.config.budget_settings import BudgetRow
from tidegate.control.raising import PSEUDONYM
from tidegate.model.budget import Budget, Dimension, Mode, Raise, Share
from tidegate.policy.budget import NOBODY, Standing, account_of
from tidegate.policy.budget_windows import parts_of, whose
from tidegate.policy.budget_words import span
from tidegate.services.budget_accounts import Account, Sums
from tidegate.services.budget_rules import PEOPLE
from tidegate.stores.sqlite import budget_queries
from tidegate.stores.sqlite.store import Store

MOST_LINES = 1_000
PlainName = Callable[[str, str, str], str | None]
"""The plain name behind `(tenant, kind, pseudonym)`, None where it was never kept or was erased."""


class BudgetLine(msgspec.Struct, frozen=True, kw_only=True):
    """One account in the window that runs. Amounts are in `unit`, money in nano-units.

    `whose` are the values that the budget is kept per, `limit` has all raises in it. `resets_us` is when the
    window ends, or more comes free; None where it never does.
    """

    budget: str
    whose: dict[str, str]
    account: str
    unit: str
    mode: Mode
    span: str
    time_zone: str
    limit: int
    spent: int
    held: int
    window_us: int
    resets_us: int | None


class BudgetList(msgspec.Struct, frozen=True, kw_only=True):
    """The accounts with the largest share spent first, `left_out` more; and budgets that have none yet."""

    at_us: int
    lines: tuple[BudgetLine, ...] = ()
    left_out: int = 0
    unused: tuple[str, ...] = ()


class Named:
    """Whose an account is, with plain names where anybody knows them."""

    def __init__(self, budgets: Iterable[BudgetRow], tenants: Iterable[str], plain_name: PlainName) -> None:
        self._budgets = {budget.name: budget for budget in budgets}
        self._tenants = tuple(tenants)
        self._plain_name = plain_name

    def whose(self, account: str) -> dict[str, str]:
        """Return the value of each dimension; all in one where its budget is not kept like that any more."""
        parts = parts_of(account)
        if parts is None or not parts.whose:
            return {}
        budget = self._budgets.get(parts.budget)
        values = whose(account, budget.per) if budget else {}
        if not budget or not values:
            return {"account": parts.whose}
        tenant = values.get("tenant")
        tenants = (tenant,) if tenant else budget.match.get("tenant", self._tenants)
        return {name: self._shown(name, value, tenants) for name, value in values.items()}

    def _shown(self, dimension: Dimension, value: str, tenants: Sequence[str]) -> str:
        if dimension not in PEOPLE or value == NOBODY:
            return value
        found = (self._plain_name(tenant, dimension, value) for tenant in tenants)
        return next((name for name in found if name is not None), f"{PSEUDONYM}{value}")


def listed(
    store: Store,
    budgets: Sequence[Budget],
    raises: Iterable[Raise],
    named: Named,
    now_us: int,
    *,
    only: str = "",
) -> BudgetList:
    """Return how every account of some budgets stands. `only` names one budget; empty is all of them."""
    with store.transaction():
        accounts = _accounts(store, raises, now_us)
    standings: list[Standing] = []
    unused: list[str] = []
    for budget in budgets:
        if only in ("", budget.name):
            found = _standings(budget, accounts, now_us)
            standings += found
            unused += [] if found else [budget.name]
    standings.sort(key=lambda one: (-_permille(one), one.account))
    return BudgetList(
        at_us=now_us,
        lines=tuple(_line(one, named) for one in standings[:MOST_LINES]),
        left_out=max(0, len(standings) - MOST_LINES),
        unused=tuple(unused),
    )


def _accounts(store: Store, raises: Iterable[Raise], now_us: int) -> dict[str, dict[str, Sums]]:
    """Return the sums of every account that anything counts of, by what comes before whose it is."""
    found: dict[str, dict[str, Sums]] = {}

    def sums(one: Share | Raise) -> Sums:
        alone = "|".join(one.account.split("|", 4)[:4])
        return found.setdefault(alone, {}).setdefault(one.account, Sums())

    for share in budget_queries.spent(store, now_us):
        account = sums(share)
        account.of(share.window_us).spent += share.amount
        account.latest_us = max(account.latest_us, share.window_us)
    finished = {boot for boot, journal in budget_queries.journals(store).items() if journal.finished}
    for boot, holds in budget_queries.open_holds(store).items():
        for share in (share for hold in holds if boot not in finished for share in hold.shares):
            sums(share).of(share.window_us).held += share.amount
    for one in raises:
        sums(one).of(one.window_us).raised += one.amount
    return found


def _standings(budget: Budget, accounts: Mapping[str, Mapping[str, Sums]], now_us: int) -> list[Standing]:
    """Return how the accounts of a budget stand, which are those of its unit, window and dimensions."""
    alone = account_of(msgspec.structs.replace(budget, per=()), {})
    known = accounts.get(alone, {})
    if not budget.per:
        return [Account(budget, alone, known.get(alone, Sums())).standing(now_us)]
    return [
        Account(budget, account, sums).standing(now_us)
        for account, sums in known.items()
        if whose(account, budget.per)
    ]


def _permille(standing: Standing) -> int:
    used = standing.spent + standing.held
    return used * 1000 // standing.limit if standing.limit > 0 else (1 << 62 if used else 0)


def _line(standing: Standing, named: Named) -> BudgetLine:
    budget = standing.budget
    return BudgetLine(
        budget=budget.name,
        whose=named.whose(standing.account),
        account=standing.account,
        unit=budget.unit,
        mode=budget.mode,
        span=span(budget),
        time_zone=budget.window.time_zone,
        limit=standing.limit,
        spent=standing.spent,
        held=standing.held,
        window_us=standing.window_us,
        resets_us=standing.resets_us,
    )
