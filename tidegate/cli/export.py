"""`tidegate export`: what was spent, in the forms of others."""

import csv
import io
import time
from pathlib import Path

import click

from tidegate.cli.options import config_option, plain_errors
from tidegate.cli.report import opened, state_of
from tidegate.cli.report_text import csv_text
from tidegate.control import focus
from tidegate.control.period import FORMS, Period, parse_period, zone_of

_NUMBERS = {
    *("BilledCost", "EffectiveCost", "ListCost", "ContractedCost", "ListUnitPrice", "ContractedUnitPrice"),
    *("ConsumedQuantity", "PricingQuantity", "x_Attempts"),
}


@click.group("export")
def command() -> None:
    """Write what was spent as other tools read it."""


@command.command("focus")
@click.option("--period", default="last-month", show_default=True, help=f"Days in UTC: {FORMS}.")
@click.option("--tenant", help="Only this tenant's calls.")
@click.option("--state", metavar="DIR", help="The state directory.  [default: server.state_dir]")
@config_option
def export_focus(*, period: str, tenant: str | None, state: str | None, config: str | None) -> None:
    """Write charges as CSV by FOCUS 1.2, the FinOps Open Cost and Usage Specification.

    A row for each day, owner, price and kind of token, in the currency that was billed. What has no known
    cost is not in it and is told on standard error.

    Example: tidegate export focus --period 2026-10 > focus.csv
    """
    with plain_errors():
        root, _ = state_of(state, config)
        asked = parse_period(period, zone_of("UTC"), time.time_ns() // 1000)
        click.echo(_written(root, asked, tenant), nl=False)


def _written(root: Path, asked: Period, tenant: str | None) -> str:
    with opened(root) as (store, _):
        found = focus.billed(store, asked, tenant)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(focus.COLUMNS)
    for charge in focus.charges(found.charges, found.cards):
        writer.writerow(text if name in _NUMBERS else csv_text(text) for name, text in charge.items())
    if found.left_out:
        click.echo(f"without a price and not in it: {found.left_out} attempts", err=True)
    return out.getvalue()
