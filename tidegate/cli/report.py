"""`tidegate report`: what was spent, by feature, team, customer, model, provider, key or day."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import apsw
import click

from tidegate.cli import report_text
from tidegate.cli.options import config_option, plain_errors, settings_at
from tidegate.config import settings as config
from tidegate.control.lock import ControlRunningError, control_lock
from tidegate.control.period import FORMS, Period, parse_period, zone_of
from tidegate.control.report import DIMENSIONS, Dimension, Report, report
from tidegate.control.tail import Tail
from tidegate.model.errors import BadRequest, NotFound, Unavailable
from tidegate.model.money import is_currency
from tidegate.stores.layout import Layout
from tidegate.stores.sqlite.names import Names
from tidegate.stores.sqlite.store import DATABASE, Store

WRITERS: dict[str, Callable[[Report], str]] = {"json": report_text.as_json, "csv": report_text.as_csv}


def wall_us() -> int:
    """Return microseconds since the epoch."""
    return time.time_ns() // 1000


@click.command()
@click.option(
    "--by",
    default="feature",
    show_default=True,
    metavar="DIMENSION[,DIMENSION]",
    help=f"One or two of {', '.join(DIMENSIONS)}.",
)
@click.option("--period", default="30d", show_default=True, help=f"Local days: {FORMS}.")
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
@click.option("--limit", type=click.IntRange(min=0), default=50, show_default=True, help="Lines; 0: all.")
@click.option("--state", metavar="DIR", help="The state directory.  [default: server.state_dir]")
@config_option
def command(
    *,
    by: str,
    period: str,
    tz: str | None,
    currency: str | None,
    tenant: str | None,
    form: str,
    limit: int,
    state: str | None,
    config: str | None,
) -> None:
    """Show what was spent, by feature, team, customer, model, provider, key or day.

    Works while the server runs and while it does not. Unknown costs are shown as unknown, never as 0.

    Example: tidegate report --by team,model --period 2026-11 --tz Europe/Rome
    """
    with plain_errors():
        root, defaults = _where(state, config)
        wanted = (currency or defaults.currency).upper()
        if not is_currency(wanted):
            raise BadRequest(f"{wanted!r} is no currency; write three letters, such as EUR")
        asked = parse_period(period, zone_of(tz or defaults.time_zone), wall_us())
        made = read_report(root, by=_dimensions(by), period=asked, currency=wanted, tenant=tenant)
    if form in WRITERS:
        click.echo(WRITERS[form](made), nl=form == "json")
    else:
        _print(made, limit)


def read_report(
    root: Path, *, by: tuple[Dimension, ...], period: Period, currency: str, tenant: str | None
) -> Report:
    """Return the report of a state directory, projecting first what no control process has projected.

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
                known = {} if names is None else {"plain_name": names.get}
                return report(store, by=by, period=period, currency=currency, tenant=tenant, **known)
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


def _where(state: str | None, path: str | None) -> tuple[Path, config.Report]:
    """Return the state directory and the report's defaults; a configuration is not needed beside --state."""
    if state is not None and path is None:
        return Path(state), config.Report()
    settings = settings_at(path)
    return Path(state or settings.server.state_dir), settings.report


def _dimensions(text: str) -> tuple[Dimension, ...]:
    known = {str(name): name for name in DIMENSIONS}
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise BadRequest(f"{name!r} is none of {', '.join(DIMENSIONS)}", param="by")
    return tuple(known[name] for name in names)


def _print(made: Report, limit: int) -> None:
    from rich.console import Console  # noqa: PLC0415 - only where a table is printed

    table, below = report_text.as_table(made, limit)
    console = Console(file=sys.stdout, width=report_text.WIDTH, highlight=False, markup=False, emoji=False)
    if table is not None:
        console.print(table)
        click.echo()
    for line in below:
        click.echo(line)
