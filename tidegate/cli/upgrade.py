"""`tidegate upgrade`: let the running `tidegate serve` replace its processes by what is installed now."""

import socket
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from tidegate.cli.desk_client import ask_control
from tidegate.cli.options import config_option, plain_errors, settings_at
from tidegate.cli.replacing import Asked, Told
from tidegate.control.admin import OpenCalls
from tidegate.model.errors import NotFound, TidegateError, Unavailable
from tidegate.stores.layout import Layout

SILENCE_S = 300.0
"""The longest step of an upgrade is the end of the old control process."""


@click.command()
@click.option("--wait", is_flag=True, help="Wait until the old gateway has ended, not only until it drains.")
@config_option
def command(*, wait: bool, config: str | None) -> None:
    """Replace the processes of the running server by what is installed now; no call is dropped.

    First the installed version has to load and to take the configuration. Then the control process is
    replaced, then a new gateway starts on the same socket, and once it is ready the old one drains: calls
    that run there get server.drain_timeout_s. Where the new one is not ready in time the old one goes on, and
    this exits with 1.
    """
    with plain_errors():
        layout = Layout(Path(settings_at(config).server.state_dir))
        last = Told()
        for last in _answers(layout, Asked("upgrade", wait)):
            if last.ok is None:
                click.echo(last.say)
        if last.ok is None:
            raise Unavailable("`tidegate serve` ended in the middle of it; see its log.")
        if not last.ok:
            raise TidegateError(last.say)
        click.echo(_of_the_old(layout, last))


def _of_the_old(layout: Layout, told: Told) -> str:
    if not told.old_pid:
        return "No old gateway was running."
    if told.old_gone:
        return f"The old gateway, process {told.old_pid}, has ended."
    try:
        every = ask_control(layout, "GET", "/gateways", None, tuple[OpenCalls, ...])
    except TidegateError:
        return f"The old gateway, process {told.old_pid}, drains."
    left = sum(one.calls for one in every[:-1])
    return f"The old gateway, process {told.old_pid}, drains; open calls left: {left}."


def _answers(layout: Layout, asked: Asked) -> Iterator[Told]:
    """Ask the supervisor; yield its lines. Raises NotFound, Unavailable."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(SILENCE_S)
        try:
            sock.connect(str(layout.supervisor_socket))
        except OSError:
            raise NotFound(
                f"No `tidegate serve` answers on {layout.supervisor_socket}. A process that was started "
                "alone (`serve gateway`, `serve control`) is replaced by whoever started it."
            ) from None
        try:
            sock.sendall(msgspec.json.encode(asked) + b"\n")
            with sock.makefile("rb") as lines:
                for line in lines:
                    yield msgspec.json.decode(line, type=Told)
        except (OSError, msgspec.DecodeError) as error:
            raise Unavailable(f"`tidegate serve` does not answer: {error}.") from None
