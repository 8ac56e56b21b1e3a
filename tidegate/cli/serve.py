"""`tidegate serve`: both processes under a small supervisor, or either alone."""

import asyncio
import logging
import os
import signal
import socket
import sys
from importlib import import_module
from pathlib import Path

import click
import msgspec

from tidegate import __version__
from tidegate.cli.options import config_option, plain_errors
from tidegate.cli.replacing import PROBE_VARIABLE, STOPPED_S, Facts, Replacing
from tidegate.cli.supervisor import Child, Supervisor
from tidegate.config.load import config_path
from tidegate.gateway.listening import bound
from tidegate.providers.catalog import load as load_catalog
from tidegate.services import parent as parent_process
from tidegate.services.configuration import Configuration, to_serve
from tidegate.stores.layout import Layout

BACKLOG = 2048
SOCKET_VARIABLE = "TIDEGATE_LISTEN_FD"
STATE_VARIABLE = "TIDEGATE_STATE_DIR"
"""The supervisor's state directory: it holds for its children, whatever the file says by now."""


@click.group(invoke_without_command=True)
@config_option
@click.pass_context
def command(ctx: click.Context, *, config: str | None) -> None:
    """Run the gateway and the control process.

    A process that dies is started again, and connections wait meanwhile. SIGTERM drains. A changed
    configuration comes into force by itself, or at once on SIGHUP; a wrong one is refused, and the one before
    stays. `tidegate upgrade` replaces both processes.
    """
    ctx.obj = config
    if ctx.invoked_subcommand is not None:
        return
    _log_plainly("tidegate")
    with plain_errors():
        found = _configuration(config)
        server = found.settings.server
        layout = Layout(Path(server.state_dir))
        layout.make()
        sock = bound(server.listen, BACKLOG)
        os.set_inheritable(sock.fileno(), True)
        here = [sys.executable, "-m", "tidegate", "serve", "--config", str(found.path)]
        parent, _ours = os.pipe()  # its write end closes with this process, however that ends
        supervisor = Supervisor(
            (Child("control", [*here, "control"], reloads=True), Child("gateway", [*here, "gateway"])),
            env={
                **os.environ,
                SOCKET_VARIABLE: str(sock.fileno()),
                STATE_VARIABLE: server.state_dir,
                parent_process.VARIABLE: str(parent),
            },
            keep_fds=(sock.fileno(), parent),
            stop_s=server.drain_timeout_s + STOPPED_S,
        )
        replacing = Replacing(supervisor, layout, server.listen, [*here, "preflight"])
        host, port = sock.getsockname()[:2]
        click.echo(f"Tidegate listens on http://{_shown(host)}:{port}", err=True)
        sys.exit(asyncio.run(supervisor.run(replacing.served())))


@command.command("gateway")
@click.pass_obj
def gateway_command(config: str | None) -> None:
    """Run the gateway process alone, for containers."""
    import uvloop  # noqa: PLC0415 - only the process that serves needs these

    from tidegate.wiring import run_gateway  # noqa: PLC0415

    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # what a reload changes comes with the snapshot
    _log_plainly("gateway")
    with plain_errors():
        settings = _configuration(config).settings
        sockets = [_inherited(SOCKET_VARIABLE) or bound(settings.server.listen, BACKLOG)]
        probe = _inherited(PROBE_VARIABLE)
        if probe is not None:
            sockets.append(probe)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run_gateway(settings, sockets=sockets, env=os.environ))


@command.command("control")
@click.pass_obj
def control_command(config: str | None) -> None:
    """Run the control process alone, for containers. SIGHUP reads the configuration again."""
    hung_up = _HungUp()
    _log_plainly("control")
    with plain_errors():
        asyncio.run(_run_control(_configuration(config), hung_up))


@command.command("preflight", hidden=True)
@click.pass_obj
def preflight_command(config: str | None) -> None:
    """Load what both processes need, read the configuration, and say what would be served."""
    with plain_errors():
        for module in ("uvloop", "tidegate.wiring", "tidegate.control.process"):
            import_module(module)
        server = _configuration(config).settings.server
        hosts = [host.replace("*", "probe") for host in server.allowed_hosts]
        facts = Facts(
            version=__version__,
            state_dir=server.state_dir,
            listen=server.listen,
            drain_timeout_s=server.drain_timeout_s,
            probe_host=hosts[0] if hosts else "localhost",
        )
        click.echo(msgspec.json.encode(facts))


async def _run_control(configuration: Configuration, hung_up: "_HungUp") -> None:
    # Only the process that projects needs a database.
    from tidegate.control.process import Control, desk, reloader  # noqa: PLC0415

    settings = configuration.settings
    with (
        parent_process.ends_with_parent(os.environ),
        desk(settings, load_catalog()) as taken,
        bound(settings.server.control) as sock,
    ):
        control = Control(taken, reloader(taken, configuration), hung_up=hung_up.since_asked)
        log = logging.getLogger("tidegate.control")
        await control.run(
            listen=sock, on_ready=lambda: log.info("ready; configuration %s", configuration.path)
        )


class _HungUp:
    """Remembers SIGHUP from the first moment on: a process that has no ear for it yet would die of it."""

    def __init__(self) -> None:
        self._came = False
        signal.signal(signal.SIGHUP, self._come)

    def _come(self, *_: object) -> None:
        self._came = True

    def since_asked(self) -> bool:
        came, self._came = self._came, False
        return came


def _configuration(config: str | None) -> Configuration:
    """What this process serves. Raises ConfigError."""
    return to_serve(config_path(config, os.environ), load_catalog(), os.environ.get(STATE_VARIABLE, ""))


def _inherited(variable: str) -> socket.socket | None:
    """The socket a supervisor handed over, if there is one."""
    number = os.environ.pop(variable, "")
    return socket.socket(fileno=int(number)) if number else None


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _log_plainly(name: str) -> None:
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format=f"%(asctime)s {name} %(levelname)s %(message)s"
    )
