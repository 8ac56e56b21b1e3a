"""What breakers, spending and budgets tell of: the log for people, the journal for the control process."""

import logging
from collections.abc import Callable

from tidegate.policy.breaker import BreakerEvent
from tidegate.policy.budget import Standing
from tidegate.policy.spend_breaker import SpendEvent
from tidegate.services.ledger import Ledger

log = logging.getLogger("tidegate.gateway")


def breaker_notes(ledger: Ledger) -> Callable[[str, BreakerEvent], None]:
    """Where a breaker's changes are told: the journal, for control to act on."""

    def note(name: str, event: BreakerEvent) -> None:
        log.warning("breaker of %s: %s (%s)", name, event.kind, event.by)
        ledger.note(
            "breaker",
            deployment=name,
            change=event.kind,
            by=event.by,
            cooldown_us=event.cooldown_us,
            calls=event.calls,
            failures=event.failures,
            slow=event.slow,
        )

    return note


def budget_notes(ledger: Ledger) -> Callable[[Standing, int], None]:
    """Where budgets tell that a share of one is spent."""

    def note(standing: Standing, permille: int) -> None:
        budget = standing.budget
        log.warning("budget %s: %d permille of it spent", budget.name, permille)
        ledger.note(
            "budget_threshold",
            budget=budget.name,
            account=standing.account,
            window_us=standing.window_us,
            unit=budget.unit,
            spent=standing.spent,
            limit=standing.limit,
            permille=permille,
        )

    return note


def spend_notes(ledger: Ledger) -> Callable[[str, SpendEvent], None]:
    """Where a breaker on spend tells of its changes."""

    def note(key_id: str, event: SpendEvent) -> None:
        log.warning("spending of key %s: %s (%s)", key_id, event.kind, event.by)
        ledger.note(
            "spend_breaker",
            key=key_id,
            change=event.kind,
            by=event.by,
            measure=event.measure or "",
            spent=event.spent,
            allowed=event.allowed,
            cooldown_us=event.cooldown_us or 0,
        )

    return note
