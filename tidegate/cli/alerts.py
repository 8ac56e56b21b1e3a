"""`tidegate alerts`: what is firing now, and whether a target takes a message."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from tidegate.cli.desk_client import ask_control, is_running
from tidegate.cli.options import config_option, plain_errors, settings_at
from tidegate.cli.report_text import visible
from tidegate.control.admin import Tried, TryRequest
from tidegate.policy.alerting import Standing
from tidegate.stores.layout import Layout
from tidegate.stores.sqlite.alert_book import AlertBook, Delivery

TEST_S = 60.0
"""All targets are tried at once, and a control process gives up after 35 seconds."""


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@config_option
@click.pass_context
def command(ctx: click.Context, *, as_json: bool, config: str | None) -> None:
    """Show what is firing, and send a test message.

    Alone it shows which alerts are firing, oldest first, and which messages have not arrived yet.
    """
    ctx.obj = config
    if ctx.invoked_subcommand is not None:
        return
    with plain_errors(), AlertBook.open_read_only(Path(settings_at(config).server.state_dir)) as book:
        standings, waiting = book.standings().values(), book.waiting()
    firing = sorted((one for one in standings if one.phase != "resolved"), key=lambda one: one.since_us)
    if as_json:
        click.echo(msgspec.json.format(_json(firing, waiting), indent=2).decode())
        return
    if not firing:
        click.echo("Nothing is firing.")
    for one in firing:
        about, calm = one.about, " (over, if it stays so)" if one.phase == "clearing" else ""
        click.echo(f"{_time(one.since_us)}  {about.event}  {visible(about.text)}{calm}")
    for delivery in waiting:
        said = f"; {delivery.tries} tries failed: {visible(delivery.said)}" if delivery.tries else ""
        about, kind = delivery.message.about, delivery.message.kind
        click.echo(f"waiting for {delivery.target}: {kind}, {about.event}, {visible(about.subject)}{said}")


@command.command()
@click.argument("target", default="")
@config_option
@click.pass_obj
def test(outer: str | None, *, target: str, config: str | None) -> None:
    """Send a test message to TARGET, or to every target, and say what came back.

    The running control process sends it, with its configuration and its environment; without one this
    command does.
    """
    with plain_errors():
        settings = settings_at(config or outer)
        layout = Layout(Path(settings.server.state_dir))
        if is_running(layout):
            asked = TryRequest(target=target)
            tried = ask_control(layout, "POST", "/alerts/test", asked, tuple[Tried, ...], timeout_s=TEST_S)
        else:
            from tidegate.control.alert_watch import try_targets  # noqa: PLC0415 - only where it sends
            from tidegate.services.clock import Clock  # noqa: PLC0415

            tried = try_targets(settings, target, os.environ, Clock())
    for one in tried:
        click.echo(f"{one.target}: {'ok' if one.ok else 'failed'}: {visible(one.said)}")
    if not all(one.ok for one in tried):
        raise SystemExit(1)


def _json(firing: Sequence[Standing], waiting: Sequence[Delivery]) -> bytes:
    return msgspec.json.encode(
        {
            "firing": [
                {
                    **msgspec.to_builtins(one.about),
                    "since_us": one.since_us,
                    "told_us": one.told_us,
                    "clearing": one.phase == "clearing",
                }
                for one in firing
            ],
            "waiting": [
                {
                    "target": one.target,
                    "id": one.message.id,
                    "kind": one.message.kind,
                    "event": one.message.about.event,
                    "subject": one.message.about.subject,
                    "tries": one.tries,
                    "next_us": one.next_us,
                    "said": one.said,
                }
                for one in waiting
            ],
        }
    )


def _time(at_us: int) -> str:
    return datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S")
