"""`tidegate reload`: bring the configuration into force now, and say what came of it."""

from pathlib import Path

import click

from tidegate.cli.desk_client import ask_control
from tidegate.cli.options import config_option, plain_errors, settings_at
from tidegate.control.reload import Status
from tidegate.model.errors import ConfigError
from tidegate.stores.layout import Layout


@click.command()
@config_option
def command(*, config: str | None) -> None:
    """Bring the configuration and the keys' files into force now, and say what came of it.

    A changed configuration comes into force by itself within two seconds; a changed key's file only by this,
    or by SIGHUP to `tidegate serve`. A wrong configuration is refused, and the one before stays in force. No
    stream is dropped.
    """
    with plain_errors():
        layout = Layout(Path(settings_at(config).server.state_dir))
        status = ask_control(layout, "POST", "/reload", None, Status)
        if status.refused:
            raise ConfigError(status.refused)
        click.echo(f"{status.file} is in force with snapshot {status.snapshot}")
        for name in status.upgrade:
            click.echo(f"{name} takes effect after `tidegate upgrade`")
        for name in status.restart:
            click.echo(f"{name} takes effect after a restart of `tidegate serve`")
