"""What a client is told of budgets: why its call does not fit, and how much is left."""

from collections.abc import Iterable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from tidegate.model.budget import Budget
from tidegate.model.errors import BudgetExceeded
from tidegate.model.money import shown
from tidegate.policy.budget import SECOND_US, Standing

WORTH_WAITING_S = 60


def amount(value: int, unit: str) -> str:
    """An amount with its unit: `EUR 1.234567`, `12 tokens`."""
    return f"{value:,} {unit}" if unit in ("tokens", "calls") else f"{unit} {shown(value, 6)}"


def span(budget: Budget) -> str:
    """The time that a budget is for, in words."""
    window = budget.window
    match window.kind:
        case "total":
            return "in all"
        case "fixed":
            return f"per {window.seconds} s"
        case "rolling":
            return f"within any {window.seconds} s"
        case _:
            return f"per {window.kind}"


def refusal(standing: Standing, asked: int | None, *, now_us: int) -> BudgetExceeded:
    """Which budget a call does not fit, how much is left, and when that changes."""
    budget = standing.budget
    unit, limit = budget.unit, amount(standing.limit, budget.unit)
    if asked is None:
        return BudgetExceeded(
            f"Budget {budget.name!r} is kept in {unit}, and nobody knows what this call costs in {unit}: its "
            "model has no price, or no exchange rate is configured."
        )
    held = f", {amount(standing.held, unit)} of it held by calls that run" if standing.held else ""
    error = BudgetExceeded(
        f"Budget {budget.name!r} allows {limit} {span(budget)}; {amount(max(standing.unspent, 0), unit)} is "
        f"left{held}, and this call may take {amount(asked, unit)}. {_when(standing)}",
        facts={
            "budget": budget.name,
            "unit": unit,
            "limit": _plain(standing.limit, unit),
            "remaining": _plain(max(standing.left, 0), unit),
            "resets_at": "" if standing.resets_us is None else _iso(standing.resets_us, budget),
        },
    )
    if standing.resets_us is not None:
        wait_s = -(-(standing.resets_us - now_us) // SECOND_US)
        if 0 < wait_s <= WORTH_WAITING_S and asked <= standing.limit:
            error.retry_after_s = wait_s
    return error


def remaining_header(standings: Iterable[tuple[Standing, int]], *, now_us: int) -> bytes:
    """The budgets that a call was held against, less what it holds, as a structured list (RFC 9651)."""
    members = []
    for standing, held in standings:
        unit = standing.budget.unit
        text = f'"{standing.budget.name}";unit={unit};remaining={_plain(max(standing.left - held, 0), unit)}'
        if standing.resets_us is not None:
            text += f";reset={max(0, (standing.resets_us - now_us) // SECOND_US)}"
        members.append(text)
    return ", ".join(members).encode("ascii", "replace")


def _plain(value: int, unit: str) -> str:
    """An amount as a number; a structured field has at most twelve digits before the point, three behind."""
    return str(value) if unit in ("tokens", "calls") else shown(value, 3)


def _when(standing: Standing) -> str:
    if standing.resets_us is None:
        return "It does not reset; ask for a top-up."
    verb = "More comes free by" if standing.budget.window.kind == "rolling" else "It resets at"
    return f"{verb} {_iso(standing.resets_us, standing.budget)}."


def _iso(at_us: int, budget: Budget) -> str:
    moment = datetime.fromtimestamp(at_us // SECOND_US, UTC)
    return moment.astimezone(ZoneInfo(budget.window.time_zone)).isoformat()
