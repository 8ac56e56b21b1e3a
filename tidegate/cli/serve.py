"""`tidegate serve`: both processes under a small supervisor, or either alone."""

import asyncio
import logging
import os
import socket
import sys

import click

from tidegate.cli.options import checked_settings, config_option, plain_errors
from tidegate.cli.supervisor import Child, Supervisor
from tidegate.gateway.listening import bound
from tidegate.services import parent as parent_process

BACKLOG = 2048
SOCKET_VARIABLE = "TIDEGATE_LISTEN_FD"


@click.group(invoke_without_command=True)
@config_option
@click.pass_context
def command(ctx: click.Context, *, config: str | None) -> None:
    """Run the gateway and the control process.

    A process that dies is started again, and connections wait meanwhile. SIGTERM drains; SIGHUP starts a new
    gateway on the same socket, with the new configuration, while the old one drains.
    """
    ctx.obj = config
    if ctx.invoked_subcommand is not None:
        return
    _log_plainly("tidegate")
    with plain_errors():
        path, settings = checked_settings(config)
        sock = bound(settings.server.listen, BACKLOG)
    os.set_inheritable(sock.fileno(), True)
    here = [sys.executable, "-m", "tidegate", "serve"]
    children = (
        Child("control", [*here, "--config", str(path), "control"]),
        Child("gateway", [*here, "--config", str(path), "gateway"], overlaps=True),
    )
    host, port = sock.getsockname()[:2]
    click.echo(f"Tidegate listens on http://{_shown(host)}:{port}", err=True)
    parent, _ours = os.pipe()  # its write end closes with this process, however that ends
    env = {**os.environ, SOCKET_VARIABLE: str(sock.fileno()), parent_process.VARIABLE: str(parent)}
    sys.exit(Supervisor(children, env=env, keep_fds=(sock.fileno(), parent)).run())


@command.command("gateway")
@click.pass_obj
def gateway_command(config: str | None) -> None:
    """Run the gateway process alone, for containers."""
    import uvloop  # noqa: PLC0415 - only the process that serves needs these

    from tidegate.wiring import run_gateway  # noqa: PLC0415

    _log_plainly("gateway")
    with plain_errors():
        _, settings = checked_settings(config)
        sock = _inherited() or bound(settings.server.listen, BACKLOG)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run_gateway(settings, sockets=[sock], env=os.environ))


@command.command("control")
@click.pass_obj
def control_command(config: str | None) -> None:
    """Run the control process alone, for containers."""
    from tidegate.wiring import run_control  # noqa: PLC0415 - only the process that projects needs a database

    _log_plainly("control")
    with plain_errors():
        path, settings = checked_settings(config)
        asyncio.run(run_control(settings, path, env=os.environ))


def _inherited() -> socket.socket | None:
    """The socket a supervisor handed over, if there is one."""
    number = os.environ.pop(SOCKET_VARIABLE, "")
    return socket.socket(fileno=int(number)) if number else None


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _log_plainly(name: str) -> None:
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format=f"%(asctime)s {name} %(levelname)s %(message)s"
    )
