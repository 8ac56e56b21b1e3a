"""`tidegate features`: what calls are attributed to, and names for what was recognised by itself."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from pathlib import Path

import click
import msgspec

from tidegate.cli.desk_client import open_desk
from tidegate.cli.options import config_option, plain_errors, settings_at
from tidegate.control.admin import NameRequest
from tidegate.stores.sqlite.queries import Feature, feature_names, features
from tidegate.stores.sqlite.store import DATABASE, Store


@click.group()
def command() -> None:
    """List features and name the automatic ones.

    An application that sends no `tidegate-feature` header is recognised by its system prompt and tools and
    gets a name such as auto-1a2b3c. A name given here holds in reports for the past too.
    """


@command.command("list")
@click.option("--tenant", default="", help="Only this tenant's.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@config_option
def list_(*, tenant: str, as_json: bool, config: str | None) -> None:
    """List features with their calls, most used first."""
    with plain_errors():
        path = Path(settings_at(config).server.state_dir) / DATABASE
        with Store.open_read_only(path) as store:
            found = [row for row in features(store) if not tenant or row.tenant == tenant]
            named = {place: names[-1][1] for place, names in feature_names(store).items()}
    if as_json:
        rows = [{**msgspec.to_builtins(row), "name": named.get((row.tenant, row.feature))} for row in found]
        click.echo(msgspec.json.format(msgspec.json.encode(rows), indent=2).decode())
    elif not found:
        click.echo("No calls yet.")
    else:
        _table(found, named)


@command.command()
@click.argument("feature")
@click.argument("name")
@click.option("--tenant", default="", help="Whose feature; may be left out where there is only one tenant.")
@click.option("--from", "since", metavar="DATE", help="From this UTC day on; else for all time.")
@config_option
def name(*, feature: str, name: str, tenant: str, since: str | None, config: str | None) -> None:
    """Call FEATURE by NAME in reports: tidegate features name auto-1a2b3c summaries."""
    asked = NameRequest(feature=feature, name=name, tenant=tenant, from_us=_start_of(since))
    with plain_errors(), open_desk(settings_at(config)) as desk:
        desk.name_feature(asked)
    click.echo(f"{feature} is called {name} in reports{f' from {since} on' if since else ''}.")


def _start_of(day: str | None) -> int:
    """The first microsecond of a UTC day; 0 for none."""
    if day is None:
        return 0
    try:
        start = datetime.combine(date.fromisoformat(day), time(), UTC)
    except ValueError:
        raise click.BadParameter(f"{day!r} is no date such as 2026-11-24", param_hint="--from") from None
    return int(start.timestamp()) * 1_000_000


def _table(found: list[Feature], named: Mapping[tuple[str, str], str]) -> None:
    from rich.console import Console  # noqa: PLC0415 - only where a table is drawn
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("tenant", "feature", "name", "named by"):
        table.add_column(heading)
    table.add_column("calls", justify="right")
    table.add_column("last call (UTC)")
    for row in found:
        last = datetime.fromtimestamp(row.last_at_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M")
        cells = (
            row.tenant,
            row.feature,
            named.get((row.tenant, row.feature), ""),
            row.source,
            str(row.calls),
            last,
        )
        table.add_row(*(Text(cell) for cell in cells))
    Console().print(table)
