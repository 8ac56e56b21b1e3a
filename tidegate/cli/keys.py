"""`tidegate keys`: create, list, revoke and rotate virtual keys."""

import re
import sys
from datetime import UTC, datetime, timedelta

import click
import msgspec

from tidegate.cli.desk_client import open_desk
from tidegate.cli.options import config_option, plain_errors, settings_at
from tidegate.control.registry import KeyRequest, NewKey
from tidegate.model.identity import Key

_SPAN = re.compile(r"(\d+)([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class Span(click.ParamType[int, object]):
    """A length of time, such as `90d`, in seconds."""

    name = "span"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Seconds."""
        if isinstance(value, int):
            return value
        found = _SPAN.fullmatch(str(value))
        if found is None:
            self.fail(f"{value!r} is no length of time; write 30s, 15m, 24h, 90d or 2w", param, ctx)
        return int(found[1]) * _SECONDS[found[2]]


class Pair(click.ParamType[tuple[str, str], object]):
    """`name=value`."""

    name = "name=value"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Name and value."""
        name, equals, rest = str(value).partition("=")
        if not (name and equals and rest):
            self.fail(f"{value!r} is not name=value", param, ctx)
        return name, rest


@click.group()
def command() -> None:
    """Create, list, revoke and rotate virtual keys.

    A key is shown once, when it is made; only its HMAC is kept. With a server running the change holds
    within a second; without one it holds when it starts.
    """


@command.command()
@click.option("--tenant", required=True, help="Whose key it is: nothing of one tenant is seen by another.")
@click.option("--name", default="", help="What people call it.")
@click.option("--project", default="", help="The project its calls belong to.")
@click.option("--team", default="", help="The team its calls belong to, unless a call says otherwise.")
@click.option("--model", "models", multiple=True, help="A model it may use; repeat it. Without: every model.")
@click.option(
    "--pin", "pinned", multiple=True, type=Pair(), help="A label no call may change: feature=search."
)
@click.option("--default", "defaults", multiple=True, type=Pair(), help="A label for calls that say none.")
@click.option("--region", default="", help="The region its calls may not leave.")
@click.option("--expires", type=Span(), help="How long it lives: 90d.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--quiet", "-q", is_flag=True, help="Print the key alone, for scripts.")
@config_option
def create(
    *,
    tenant: str,
    name: str,
    project: str,
    team: str,
    models: tuple[str, ...],
    pinned: tuple[tuple[str, str], ...],
    defaults: tuple[tuple[str, str], ...],
    region: str,
    expires: int | None,
    as_json: bool,
    quiet: bool,
    config: str | None,
) -> None:
    """Create a key and print it, this once."""
    expires_at = datetime.now(UTC) + timedelta(seconds=expires) if expires else None
    asked = KeyRequest(
        tenant=tenant,
        name=name,
        project=project,
        team=team,
        region=region,
        models=models or None,
        pinned=dict(pinned),
        defaults=dict(defaults),
        expires_at_us=int(expires_at.timestamp() * 1_000_000) if expires_at else None,
    )
    with plain_errors(), open_desk(settings_at(config)) as desk:
        made = desk.create_key(asked)
    _show_new(made, as_json=as_json, quiet=quiet)


@command.command("list")
@click.option("--tenant", default="", help="Only this tenant's.")
@click.option("--all", "everything", is_flag=True, help="Revoked and expired ones too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@config_option
def list_(*, tenant: str, everything: bool, as_json: bool, config: str | None) -> None:
    """List keys; never their text."""
    with plain_errors(), open_desk(settings_at(config)) as desk:
        keys = desk.keys()
    now_us = int(datetime.now(UTC).timestamp() * 1_000_000)
    shown = [
        key
        for key in keys
        if (not tenant or key.tenant == tenant)
        and (everything or state_of(key, now_us) in ("active", "ending"))
    ]
    if as_json:
        rows = [{**msgspec.to_builtins(key), "state": state_of(key, now_us)} for key in shown]
        for row in rows:
            del row["mac"]
        click.echo(msgspec.json.format(msgspec.json.encode(rows), indent=2).decode())
        return
    if not shown:
        click.echo("No keys yet. Make one with: tidegate keys create --tenant NAME")
        return
    _table(shown, now_us)


@command.command()
@click.argument("key_id")
@click.option("--reason", default="", help="Why; kept in the record.")
@config_option
def revoke(*, key_id: str, reason: str, config: str | None) -> None:
    """Revoke a key; running gateways refuse it within a second."""
    with plain_errors(), open_desk(settings_at(config)) as desk:
        key = desk.revoke_key(_id_of(key_id), reason)
    click.echo(f"Key {key.id} ({key.tenant}) is revoked.")


@command.command()
@click.argument("key_id")
@click.option("--overlap", type=Span(), default="0s", help="How long the old key still works: 24h.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--quiet", "-q", is_flag=True, help="Print the new key alone, for scripts.")
@config_option
def rotate(*, key_id: str, overlap: int, as_json: bool, quiet: bool, config: str | None) -> None:
    """Make a key like this one, and end this one."""
    with plain_errors(), open_desk(settings_at(config)) as desk:
        made = desk.rotate_key(_id_of(key_id), overlap)
    _show_new(made, as_json=as_json, quiet=quiet)


def state_of(key: Key, now_us: int) -> str:
    """`active`, `ending` (a rotation's overlap), `expired` or `revoked`."""
    if key.revoked_at_us is not None:
        return "revoked" if key.revoked_at_us <= now_us else "ending"
    if key.expires_at_us is not None and key.expires_at_us <= now_us:
        return "expired"
    return "active"


def _id_of(text: str) -> str:
    """The id, also where a whole key was pasted."""
    return text.split("_")[1] if text.startswith("tg_") and text.count("_") == 3 else text


def _show_new(made: NewKey, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode({"id": made.key.id, "tenant": made.key.tenant, "key": made.text}))
    elif quiet:
        click.echo(made.text)
    else:
        click.echo(f"Key {made.key.id} for tenant {made.key.tenant}. It is shown this once:\n")
        click.echo(f"  {made.text}\n")
        if sys.stdout.isatty():
            click.echo("Use it with any OpenAI or Anthropic SDK; only base_url and the key change.")


def _table(keys: list[Key], now_us: int) -> None:
    from rich.console import Console  # noqa: PLC0415 - only where a table is drawn
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("key", "tenant", "name", "project", "team", "models", "state", "created"):
        table.add_column(heading)
    for key in keys:
        created = datetime.fromtimestamp(key.created_at_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M")
        models = "all" if key.models is None else ", ".join(key.models)
        cells = (key.id, key.tenant, key.name, key.project, key.team, models, state_of(key, now_us), created)
        table.add_row(*(Text(cell) for cell in cells))
    Console().print(table)
