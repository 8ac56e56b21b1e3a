"""The budgets of a configuration in the units that gateways count in."""

from collections.abc import Collection

import msgspec

from tidegate.config.budget_rules import COUNTED
from tidegate.config.budget_settings import BudgetRow
from tidegate.config.settings import Settings
from tidegate.model.budget import Budget, Dimension, Window
from tidegate.model.money import nano_of
from tidegate.policy.attribute import clean
from tidegate.services.pseudonyms import Pseudonyms

PEOPLE: tuple[Dimension, ...] = ("customer", "user")
"""Dimensions whose values are pseudonyms in records and snapshots."""


def budgets_of(settings: Settings) -> tuple[Budget, ...]:
    """Return the rows of `[[budgets]]` in their order, customers and users in them as they were written."""
    return tuple(_budget(row, settings.report.time_zone) for row in settings.budgets)


def with_pseudonyms(budget: Budget, tenants: Collection[str], pseudonyms: Pseudonyms) -> Budget:
    """Return a budget that names no customer or user, only their pseudonyms.

    They are those of the tenants that the budget is for: the ones that it names, else all `tenants`.
    """
    match = dict(budget.match)
    for kind in PEOPLE:
        if kind in match:
            match[kind] = tuple(
                pseudonyms.of(tenant, kind, clean(plain))
                for tenant in budget.match.get("tenant", tenants)
                for plain in match[kind]
            )
    return msgspec.structs.replace(budget, match=match)


def budget_wait_us_of(settings: Settings) -> int:
    """Return how long a call waits at most for others to settle."""
    return round(settings.policy.budget_wait_s * 1_000_000)


def unpriced_hold_nano_of(settings: Settings) -> int | None:
    """Return what a call without a price is held at, in nano-units of the report's currency."""
    amount = settings.policy.unpriced_hold
    return None if amount is None else nano_of(amount)


def _budget(row: BudgetRow, time_zone: str) -> Budget:
    return Budget(
        name=row.name,
        limit=int(row.limit) if row.unit in COUNTED else nano_of(row.limit),
        unit=row.unit,
        window=_window(row, row.time_zone or time_zone),
        match=row.match,
        per=row.per,
        mode=row.mode,
        degrade_permille=_permille(row.degrade_at),
        degrade_to=row.degrade_to or "",
        notify_permille=tuple(sorted({_permille(share) for share in row.notify_at})),
    )


def _window(row: BudgetRow, time_zone: str) -> Window:
    """Every window has a zone, if only to say in it when there is room again."""
    if row.rolling_s is not None:
        return Window("rolling", row.rolling_s, time_zone)
    if row.every_s is not None:
        return Window("fixed", row.every_s, time_zone)
    return Window(row.window or "total", time_zone=time_zone)


def _permille(share: float) -> int:
    return max(round(share * 1000), 1) if share else 0
