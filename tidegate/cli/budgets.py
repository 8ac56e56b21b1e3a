"""`tidegate budgets`: how budgets stand, giving one more, and what was given."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args
from zoneinfo import ZoneInfo

import click

from tidegate.cli import sheet
from tidegate.cli.desk_client import open_desk
from tidegate.cli.options import config_option, plain_errors, settings_at
from tidegate.cli.report import opened
from tidegate.cli.report_text import WIDTH, visible
from tidegate.cli.sheet import Column, Row, Sheet
from tidegate.config.budget_rules import COUNTED
from tidegate.control.budget_book import BudgetLine, BudgetList, Named
from tidegate.control.raising import RaiseRequest
from tidegate.model.budget import Dimension
from tidegate.model.errors import NotFound
from tidegate.model.money import shown
from tidegate.policy.budget import SECOND_US
from tidegate.policy.budget_windows import parts_of
from tidegate.stores.sqlite.budget_queries import Given, given, tenants

WRITERS: dict[str, Callable[[Sheet], str]] = {"json": sheet.as_json, "csv": sheet.as_csv}

_COLUMNS = (
    Column("budget", "BUDGET", "text"),
    Column("whose", "WHOSE", "text"),
    Column("account", "", "text"),
    Column("window", "", "word"),
    Column("mode", "", "word"),
    Column("unit", "UNIT", "word"),
    Column("limit", "LIMIT", "amount"),
    Column("spent", "SPENT", "amount"),
    Column("held", "HELD", "amount"),
    Column("left", "LEFT", "amount"),
    Column("used_percent", "USED", "percent"),
    Column("resets_at", "RESETS", "word"),
)
_HISTORY = (
    Column("at", "WHEN", "word"),
    Column("by", "WHO", "text"),
    Column("whose", "WHOSE", "text"),
    Column("window_start", "WINDOW FROM", "word"),
    Column("unit", "UNIT", "word"),
    Column("amount", "AMOUNT", "amount"),
    Column("reason", "WHY", "text"),
)


def _written_as(run: Callable[..., None]) -> Callable[..., None]:
    csv = click.option("--csv", "written", flag_value="csv", help="Print CSV.")
    return csv(click.option("--json", "written", flag_value="json", help="Print JSON.")(run))


def _of_each_dimension(run: Callable[..., None]) -> Callable[..., None]:
    for name in reversed(get_args(Dimension)):
        text = f"Whose account, where the budget is kept per {name}."
        run = click.option(f"--{name}", metavar=name.upper(), help=text)(run)
    return run


@click.group(invoke_without_command=True)
@click.option("--budget", "only", default="", metavar="NAME", help="Only this one.")
@click.option("--limit", default=40, show_default=True, help="Lines of the table; 0 shows all.")
@_written_as
@config_option
@click.pass_context
def command(ctx: click.Context, *, only: str, limit: int, written: str | None, config: str | None) -> None:
    """Show how budgets stand, give one more, and see what was given.

    Alone it shows every account in the window that runs: its limit with what was given, what is spent, what
    calls that run hold, and what is left. It is as new as the last records that were read.
    """
    ctx.obj = config
    if ctx.invoked_subcommand is not None:
        return
    with plain_errors(), open_desk(settings_at(config)) as desk:
        found = desk.budgets(only)
    if only and not (found.lines or found.unused):
        raise click.ClickException(f"There is no budget {only!r}.")
    _show(_listed(found), written, limit)


@command.command("raise")
@click.argument("name")
@click.option("--amount", required=True, help="How much more, such as 50; negative for less.")
@click.option("--reason", required=True, help="Why; kept in the record.")
@_of_each_dimension
@config_option
@click.pass_obj
def raise_(
    outer: str | None, /, *, name: str, amount: str, reason: str, config: str | None, **values: str | None
) -> None:
    """Give budget NAME more in the window that runs now, or less; the next window has its limit again.

    A budget that is kept per something needs to know whose account is meant; "-" is that of calls without
    one. The amount is in the budget's unit. Running gateways have it within a second.

    Example: tidegate budgets raise teams --team research --amount 50 --reason "launch week"
    """
    chosen: dict[Dimension, str] = {
        dimension: value for dimension in get_args(Dimension) if (value := values[dimension]) is not None
    }
    with plain_errors(), open_desk(settings_at(config or outer)) as desk:
        made = desk.raise_budget(RaiseRequest(budget=name, amount=amount, reason=reason, values=chosen))
    until = "" if made.until_us is None else f" until {_iso(made.until_us, 'UTC')}"
    whose = ", ".join(f"{dimension} {visible(value)}" for dimension, value in chosen.items())
    click.echo(
        f"Budget {name}{f' of {whose}' if whose else ''}: {_signed(made.amount, made.unit)}; "
        f"its limit is {_amount(made.limit, made.unit)}{until}."
    )


@command.command()
@click.argument("name")
@_written_as
@config_option
@click.pass_obj
def history(outer: str | None, *, name: str, written: str | None, config: str | None) -> None:
    """Show what budget NAME was given, oldest first: who, when, how much, and why."""
    with plain_errors():
        settings = settings_at(config or outer)
        with opened(Path(settings.server.state_dir)) as (store, plain_name):
            raises = [one for one in given(store) if _budget_of(one) == name]
            named = Named(settings.budgets, tenants(store), plain_name)
            rows = [_given(one, named) for one in raises]
        if not rows and name not in {row.name for row in settings.budgets}:
            raise NotFound(f"there is no budget {name!r}, and none of that name was ever given anything")
    _show(Sheet("budget_history", _HISTORY, rows, None, None, ()), written, 0)


def _show(made: Sheet, written: str | None, limit: int) -> None:
    if written is not None:
        click.echo(WRITERS[written](made), nl=written == "json")
        return
    from rich.console import Console  # noqa: PLC0415 - only where a table is drawn

    table, below = sheet.as_table(made, limit)
    console = Console(width=WIDTH, highlight=False)
    if table is not None:
        console.print(table)
    for line in below:
        click.echo(line)


def _listed(found: BudgetList) -> Sheet:
    below = [f"no call has come under budget {name} yet" for name in found.unused]
    if found.left_out:
        below.append(f"{found.left_out} accounts with less spent are left out")
    rows = [_row(line) for line in found.lines]
    facts = {"at_us": found.at_us, "left_out": found.left_out}
    return Sheet("budgets", _COLUMNS, rows, None, None, below, facts)


def _row(line: BudgetLine) -> Row:
    return {
        "budget": line.budget,
        "whose": _words(line.whose),
        "account": line.account,
        "window": line.span,
        "mode": line.mode,
        "unit": line.unit,
        "limit": line.limit,
        "spent": line.spent,
        "held": line.held,
        "left": line.limit - line.spent - line.held,
        "used_percent": line.spent * 100 // line.limit if line.limit > 0 else None,
        "resets_at": None if line.resets_us is None else _iso(line.resets_us, line.time_zone),
    }


def _given(one: Given, named: Named) -> Row:
    parts = parts_of(one.account)
    return {
        "at": _iso(one.at_us, "UTC"),
        "by": one.by,
        "whose": _words(named.whose(one.account)),
        "window_start": _iso(one.window_us, "UTC") if one.window_us else None,
        "unit": parts.unit if parts else None,
        "amount": one.amount,
        "reason": one.reason,
    }


def _budget_of(one: Given) -> str | None:
    parts = parts_of(one.account)
    return parts.budget if parts else None


def _words(whose: dict[str, str]) -> str:
    return ", ".join(f"{dimension} {value}" for dimension, value in whose.items()) or "all"


def _iso(at_us: int, zone: str) -> str:
    moment = datetime.fromtimestamp(at_us // SECOND_US, UTC).astimezone(ZoneInfo(zone))
    return moment.isoformat(timespec="minutes").replace("+00:00", "Z")


def _amount(value: int, unit: str) -> str:
    """An exact amount with its unit."""
    if unit in COUNTED:
        return f"{value:,} {unit}"
    whole, _, decimals = shown(value).partition(".")
    return f"{unit} {whole}.{decimals.rstrip('0').ljust(2, '0')}"


def _signed(value: int, unit: str) -> str:
    return f"{'raised' if value > 0 else 'lowered'} by {_amount(abs(value), unit)}"
