"""`tidegate rebuild`: make every table again from the journals."""

import time
from pathlib import Path

import apsw
import click

from tidegate.cli.options import config_option, plain_errors, settings_at
from tidegate.control.rebuild import Rebuilt, rebuild
from tidegate.model.errors import NotFound, Unavailable
from tidegate.stores.layout import Layout


@click.command()
@click.option("--accept-loss", is_flag=True, help="Go on where calls are in no journal any more.")
@click.option("--state", metavar="DIR", help="The state directory.  [default: server.state_dir]")
@config_option
def command(*, accept_loss: bool, state: str | None, config: str | None) -> None:
    """Make every table again from the journals.

    The journals are the truth and the database is made from them. Stop the server first; the old database
    stays in place until the new one is whole.
    """
    with plain_errors():
        root = Path(state) if state is not None else Path(settings_at(config).server.state_dir)
        if not root.is_dir():
            raise NotFound(f"there is no state directory {root}; start `tidegate serve` first")
        try:
            made = rebuild(Layout(root), lambda: time.time_ns() // 1000, accept_loss=accept_loss)
        except apsw.Error as error:
            raise Unavailable(f"the database could not be rebuilt: {error}") from error
    _print(made)


def _print(made: Rebuilt) -> None:
    click.echo(f"{made.path}: {made.calls} calls from {made.frames} records")
    if made.lost:
        click.echo(f"{made.lost} calls were in the old database alone and are gone")
    if made.skipped:
        click.echo(f"{made.skipped} records were not understood: they are of a newer Tidegate, or damaged")
    if made.alarms:
        click.echo(f"{made.alarms} damaged places in the journals were passed over")
