"""`tidegate reconcile`: a provider's export of usage or cost beside our record, and why they differ."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import click

from tidegate.cli import reconcile_text
from tidegate.cli.options import config_option, settings_at
from tidegate.cli.report import opened
from tidegate.cli.report_text import visible
from tidegate.control.exports import csv_export
from tidegate.control.exports.export import Export, Provider, joined
from tidegate.control.exports.pages import Repeats, read_text
from tidegate.control.exports.read import read_provider
from tidegate.control.period import zone_of
from tidegate.control.reconcile import Keys, Reconciliation, Scope, Tolerance, reconcile
from tidegate.model.errors import BadRequest, TidegateError
from tidegate.model.money import NANO, half_even, is_currency, scaled

NOT_COMPARED = 2
PPM = 10_000
"""Millionths in one per cent."""

F = TypeVar("F", bound=Callable[..., Any])

_SHARED = (
    click.option(
        "--since", metavar="DAY", help="The first day, such as 2026-11-01.  [default: the export's]"
    ),
    click.option("--until", metavar="DAY", help="The day after the last.  [default: the export's]"),
    click.option(
        "--key",
        "keys",
        multiple=True,
        metavar="ID=DEPLOYMENT",
        help="The deployment that uses a key (or project, or workspace) of the provider's; compare by key.",
    ),
    click.option(
        "--deployment", "deployments", multiple=True, metavar="NAME", help="Only our calls to this one."
    ),
    click.option(
        "--tolerance",
        default="0.5%,0.01",
        show_default=True,
        metavar="PERCENT%,AMOUNT",
        help="How far apart figures may be: a share, an amount, or either of both.",
    ),
    click.option("--json", "form", flag_value="json", help="Print one JSON object: every figure, exact."),
    click.option("--csv", "form", flag_value="csv", help="Print one CSV line for each cell."),
    click.option("--limit", type=click.IntRange(min=0), default=50, show_default=True, help="Lines; 0: all."),
    click.option("--state", metavar="DIR", help="The state directory.  [default: server.state_dir]"),
    config_option,
    click.argument("files", nargs=-1, required=True, metavar="FILE..."),
)


def _shared(command: F) -> F:
    for option in reversed(_SHARED):
        command = option(command)
    return command


def _provider_option(default: str | None) -> Callable[[F], F]:
    return click.option(
        "--provider",
        "providers",
        multiple=True,
        default=() if default is None else (default,),
        show_default=default is not None,
        metavar="NAME",
        help="Whose calls of ours to compare, as the catalogue names it; again for several.",
    )


@click.group()
def command() -> None:
    """Compare the record with a provider's export of usage or cost, and say why they differ.

    Per day, model and (with --key) key: theirs, ours, the difference, and its causes in parts that add up.
    Give a usage and a costs export together: tokens come from one, money from the other.

    Exit status: 0 where all is within the tolerance, 1 where it is not, 2 where nothing could be compared.
    """


@command.command("openai", short_help="Read OpenAI's usage and costs.")
@_provider_option("openai")
@_shared
def openai_command(**asked: Any) -> None:
    """Read OpenAI's usage or costs: saved pages of its API, or tables of its console; - is stdin.

    Example: tidegate reconcile openai usage.json costs.json --since 2026-11-01 --until 2026-12-01
    """
    _run(asked, lambda files: _pages("openai", files))


@command.command("anthropic", short_help="Read Anthropic's usage and costs.")
@_provider_option("anthropic")
@_shared
def anthropic_command(**asked: Any) -> None:
    """Read Anthropic's usage or costs: saved pages of its API, or tables of its console; - is stdin.

    Example: tidegate reconcile anthropic usage.json costs.json --key apikey_01Ab=claude
    """
    _run(asked, lambda files: _pages("anthropic", files))


@command.command("csv", short_help="Read a table of days with a cost or tokens.")
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="FIELD=HEADING",
    help=f"A column's heading: {', '.join(csv_export.FIELDS)}.  [default: the same word]",
)
@click.option("--decimal-comma", is_flag=True, help="Read 0,5 as a half, and semicolons between cells.")
@click.option("--time-zone", default="UTC", show_default=True, help="Whose days they are, as Europe/Rome.")
@click.option("--currency", default="USD", show_default=True, help="Currency of the costs.")
@_provider_option(None)
@_shared
def csv_command(
    *, columns: Sequence[str], decimal_comma: bool, time_zone: str, currency: str, **asked: Any
) -> None:
    """Read a table with a day, and a cost or tokens; columns are found by their headings; - is stdin.

    Example: tidegate reconcile csv bill.csv --column day=Date --column cost="Net amount"
    """

    def read(files: Sequence[str]) -> Export:
        form = csv_export.CsvForm(
            zone=zone_of(time_zone),
            columns=_columns(columns),
            decimal_comma=decimal_comma,
            currency=_currency(currency),
        )
        repeats = Repeats()
        return joined([csv_export.read(file, read_text(file, _stdin), form, repeats) for file in files])

    _run({**asked, "zone": time_zone}, read)


class _NotComparedError(click.ClickException):
    exit_code = NOT_COMPARED


@contextmanager
def _errors() -> Iterator[None]:
    """End with the message and exit status 2, so that 1 always means a difference."""
    try:
        yield
    except TidegateError as error:
        raise _NotComparedError(visible(error.message)) from None


def _run(asked: dict[str, Any], read: Callable[[Sequence[str]], Export]) -> None:
    with _errors():
        scope = Scope(
            zone=zone_of(asked.get("zone", "UTC")),
            since=_day("--since", asked["since"]),
            until=_day("--until", asked["until"]),
            providers=tuple(asked["providers"]),
            deployments=tuple(asked["deployments"]),
            keys=Keys.of([_pair("--key", text) for text in asked["keys"]]),
        )
        tolerance = parse_tolerance(asked["tolerance"])
        export = read(asked["files"])
        with opened(_root(asked["state"], asked["config"])) as (store, _):
            made = reconcile(store, export, scope, tolerance)
    _print(made, asked["form"], asked["limit"])
    if not made.within:
        sys.exit(1)


def parse_tolerance(text: str) -> Tolerance:
    """Return what `0.5%,0.01` allows: a share, an amount, or either; what is left out is 0."""
    ppm = nano = 0
    for part in text.replace(" ", "").split(","):
        try:
            units, scale = scaled(part.removesuffix("%"))
        except ValueError:
            raise BadRequest(f"the tolerance {text[:40]!r} is not such as 0.5%,0.01") from None
        if part.endswith("%"):
            ppm = half_even(units * PPM, 10**scale)
        else:
            nano = half_even(units * NANO, 10**scale)
    return Tolerance(ppm=ppm, nano=nano)


def _pages(provider: Provider, files: Sequence[str]) -> Export:
    repeats = Repeats()
    return joined([read_provider(provider, file, read_text(file, _stdin), repeats) for file in files])


def _stdin() -> BinaryIO:
    return sys.stdin.buffer


def _root(state: str | None, path: str | None) -> Path:
    if state is not None and path is None:
        return Path(state)
    return Path(state or settings_at(path).server.state_dir)


def _day(option: str, text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a day has no zone of its own
    except ValueError:
        raise BadRequest(f"{option} {text[:40]!r} is no day such as 2026-11-01") from None


def _pair(option: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise BadRequest(f"{option} {text[:80]!r} is not such as NAME=VALUE")
    return name, value


def _columns(texts: Sequence[str]) -> dict[str, str]:
    columns = dict(_pair("--column", text) for text in texts)
    for name in columns:
        if name not in csv_export.FIELDS:
            raise BadRequest(f"--column {name[:40]!r} is none of {', '.join(csv_export.FIELDS)}")
    return columns


def _currency(text: str) -> str:
    if not is_currency(text.upper()):
        raise BadRequest(f"{text[:20]!r} is no currency; write three letters, such as EUR")
    return text.upper()


def _print(made: Reconciliation, form: str | None, limit: int) -> None:
    if form == "json":
        click.echo(reconcile_text.as_json(made))
    elif form == "csv":
        click.echo(reconcile_text.as_csv(made), nl=False)
    else:
        for line in reconcile_text.as_text(made, limit):
            click.echo(line)
