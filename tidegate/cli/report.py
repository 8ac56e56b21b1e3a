"""`tidegate report`: what was spent, by feature, team, customer, model, provider, key or day."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import apsw
import click

from tidegate.cli import budget_views, change_views, limit_views, report_text, sheet, spend_views
from tidegate.cli.options import config_option, plain_errors, settings_at
from tidegate.cli.sheet import Sheet
from tidegate.cli.view import Asked
from tidegate.config import settings as config
from tidegate.control.lock import ControlRunningError, control_lock
from tidegate.control.period import FORMS, Period, parse_period, zone_of
from tidegate.control.report import DIMENSIONS, MOST_DIMENSIONS, Dimension, PlainName, Report, report
from tidegate.control.tail import Tail
from tidegate.model.budget import Budget
from tidegate.model.errors import BadRequest, NotFound, Unavailable
from tidegate.model.money import is_currency
from tidegate.stores.layout import Layout
from tidegate.stores.snapshot import SnapshotUnreadable, read_snapshot
from tidegate.stores.sqlite.names import Names
from tidegate.stores.sqlite.store import DATABASE, Store

if TYPE_CHECKING:
    from rich.table import Table

VIEWS: dict[str, Callable[[Store, Asked], Sheet]] = {
    "compare": change_views.compared,
    "forecast": change_views.forecasted,
    "inside": spend_views.insides,
    "naive": spend_views.naives,
    "unit-cost": spend_views.unit_costs,
    "top-runs": spend_views.top_runs,
    "budgets": budget_views.budgets,
    "limits": limit_views.limits,
}
NOT_BY = ("top-runs", "budgets", "limits")
"""Views whose lines are no dimension's."""
WRITERS: dict[str, Callable[[Report], str]] = {"json": report_text.as_json, "csv": report_text.as_csv}


def wall_us() -> int:
    """Return microseconds since the epoch."""
    return time.time_ns() // 1000


@click.command()
@click.option(
    "--by",
    metavar="DIMENSION[,DIMENSION]",
    help=f"One or two of {', '.join(DIMENSIONS)}.  [default: feature]",
)
@click.option("--period", help=f"Local days: {FORMS}.  [default: 30d; month of a forecast]")
@click.option("--tz", help="Time zone of the days, such as Europe/Rome.  [default: report.time_zone]")
@click.option("--currency", help="Currency of the amounts, such as EUR.  [default: report.currency]")
@click.option("--tenant", help="Only this tenant's calls.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", *WRITERS]),
    default="table",
    show_default=True,
    help="JSON and CSV hold every figure, exact.",
)
@click.option(
    "--compare", "view", flag_value="compare", help="What changed since the period before, and why."
)
@click.option("--forecast", "view", flag_value="forecast", help="What the period will come to.")
@click.option("--inside", "view", flag_value="inside", help="Where the money goes inside a call.")
@click.option("--naive", "view", flag_value="naive", help="The cost without caches and cheaper processing.")
@click.option("--unit-cost", "view", flag_value="unit-cost", help="The cost of a call and of 1,000.")
@click.option("--top-runs", "view", flag_value="top-runs", help="The dearest runs.")
@click.option("--budgets", "view", flag_value="budgets", help="What is spent of each budget, and a forecast.")
@click.option("--limits", "view", flag_value="limits", help="Answers that a limit of Tidegate's cut.")
@click.option("--limit", type=click.IntRange(min=0), default=50, show_default=True, help="Lines; 0: all.")
@click.option("--state", metavar="DIR", help="The state directory.  [default: server.state_dir]")
@config_option
def command(
    *,
    by: str | None,
    period: str | None,
    tz: str | None,
    currency: str | None,
    tenant: str | None,
    form: str,
    view: str | None,
    limit: int,
    state: str | None,
    config: str | None,
) -> None:
    """Show what was spent, by feature, team, customer, model, provider, key or day.

    --compare, --forecast, --inside, --naive, --unit-cost, --top-runs, --budgets and --limits each show
    something else. Works while the server runs and while it does not. Unknown costs are shown as unknown,
    never as 0.

    Example: tidegate report --by team,model --period 2026-11 --tz Europe/Rome
    """
    with plain_errors():
        root, defaults = state_of(state, config)
        wanted = (currency or defaults.currency).upper()
        if not is_currency(wanted):
            raise BadRequest(f"{wanted!r} is no currency; write three letters, such as EUR")
        _check_choices(view, {"by": by, "period": period, "currency": currency, "tz": tz})
        words = period or ("month" if view == "forecast" else "30d")
        asked = parse_period(words, zone_of(tz or defaults.time_zone), wall_us())
        dimensions = _dimensions(by or "feature")
        if view is not None:
            _show(read_view(root, view, dimensions, asked, wanted, tenant), form, limit)
            return
        made = read_report(root, by=dimensions, period=asked, currency=wanted, tenant=tenant)
    if form in WRITERS:
        click.echo(WRITERS[form](made), nl=form == "json")
    else:
        _print(*report_text.as_table(made, limit))


def read_report(
    root: Path, *, by: tuple[Dimension, ...], period: Period, currency: str, tenant: str | None
) -> Report:
    """Return the report of a state directory. Raises what `opened` does."""
    with opened(root) as (store, known):
        return report(store, by=by, period=period, currency=currency, tenant=tenant, plain_name=known)


def read_view(
    root: Path, view: str, by: tuple[Dimension, ...], period: Period, currency: str, tenant: str | None
) -> Sheet:
    """Return another view of a state directory. Raises what `opened` does, and BadRequest."""
    if len(by) > MOST_DIMENSIONS:
        raise BadRequest(f"a report is by one or two of {', '.join(DIMENSIONS)}", param="by")
    budgets = _budgets(root) if view == "budgets" else ()
    with opened(root) as (store, known):
        return VIEWS[view](store, Asked(by, period, currency, tenant, known, wall_us(), budgets))


@contextmanager
def opened(root: Path) -> Iterator[tuple[Store, PlainName]]:
    """Open a state directory for reading, projecting first what no control process has projected.

    Raises NotFound where nothing was ever recorded, Unavailable where the database cannot be read.
    """
    layout = Layout(root)
    if not root.is_dir():
        raise NotFound(f"there is no state directory {root}; start `tidegate serve` first")
    try:
        _catch_up(layout)
        with Store.open_read_only(root / DATABASE) as store:
            names = Names.open_read_only(root)
            try:
                yield store, (lambda *_: None) if names is None else names.get
            finally:
                if names is not None:
                    names.close()
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise Unavailable(f"{root / DATABASE} is damaged ({error}); run `tidegate rebuild`") from error
    except apsw.Error as error:
        raise Unavailable(f"{root / DATABASE} cannot be read: {error}") from error


def _catch_up(layout: Layout) -> None:
    """Project what is new, unless a control process does that already or we may not write here."""
    try:
        with (
            control_lock(layout.control_lock),
            Store.open(layout.root / DATABASE) as store,
            Tail(store, layout.root / "journal", wall_us) as tail,
        ):
            tail.catch_up()
    except (ControlRunningError, PermissionError, apsw.ReadOnlyError):
        return


def state_of(state: str | None, path: str | None) -> tuple[Path, config.Report]:
    """Return the state directory and the report's defaults; a configuration is not needed beside --state."""
    if state is not None and path is None:
        return Path(state), config.Report()
    settings = settings_at(path)
    return Path(state or settings.server.state_dir), settings.report


def _check_choices(view: str | None, chosen: Mapping[str, str | None]) -> None:
    """Raise BadRequest for an option that the view would pass over in silence."""
    for name in ("by", *(chosen if view == "budgets" else ())):
        if view in NOT_BY and chosen[name] is not None:
            raise BadRequest(f"--{name} says nothing to --{view}; leave it out", param=name)


def _budgets(root: Path) -> tuple[Budget, ...]:
    """Return the budgets in force: those that gateways were told of last."""
    try:
        snapshot = read_snapshot(root)
    except SnapshotUnreadable as error:
        raise Unavailable(str(error)) from error
    return () if snapshot is None else snapshot.budgets


def _dimensions(text: str) -> tuple[Dimension, ...]:
    known = {str(name): name for name in DIMENSIONS}
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise BadRequest(f"{name!r} is none of {', '.join(DIMENSIONS)}", param="by")
    return tuple(dict.fromkeys(known[name] for name in names))


def _show(made: Sheet, form: str, limit: int) -> None:
    if form == "table":
        _print(*sheet.as_table(made, limit))
    else:
        writer = sheet.as_json if form == "json" else sheet.as_csv
        click.echo(writer(made), nl=form == "json")


def _print(table: "Table | None", below: list[str]) -> None:
    from rich.console import Console  # noqa: PLC0415 - only where a table is printed

    console = Console(file=sys.stdout, width=report_text.WIDTH, highlight=False, markup=False, emoji=False)
    if table is not None:
        console.print(table)
        click.echo()
    for line in below:
        click.echo(line)
