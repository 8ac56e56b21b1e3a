"""`tidegate fx`: exchange rates from the European Central Bank's files."""

import json
from datetime import date
from pathlib import Path

import click

from tidegate.cli.desk_client import open_desk
from tidegate.cli.options import config_option, plain_errors, settings_at
from tidegate.control.exchange_rates import request_of
from tidegate.model.errors import BadRequest
from tidegate.model.money import Fx, is_currency
from tidegate.services.reference_rates import BASE, MAX_BYTES, read_rates
from tidegate.stores.sqlite import queries
from tidegate.stores.sqlite.store import DATABASE, Store


@click.group("fx")
def command() -> None:
    """Import and list exchange rates; nothing is fetched."""


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--currency",
    "currencies",
    multiple=True,
    metavar="CODE",
    default=("USD",),
    show_default=True,
    help="Against the euro; may be given several times. ALL takes every currency of the file.",
)
@config_option
def import_rates(*, file: Path, currencies: tuple[str, ...], config: str | None) -> None:
    """Import euro reference rates from a file of the European Central Bank: CSV, XML or the zipped CSV.

    A call is converted at the latest rate that is not after its day. An import only adds days: one whose
    rate is known with another value is refused, with the whole file.

    Example: tidegate fx import eurofxref-hist.zip
    """
    with plain_errors():
        try:
            with file.open("rb") as opened:
                raw = opened.read(MAX_BYTES + 1)
            rates = _chosen(read_rates(raw), [code.upper() for code in currencies])
        except OSError as error:
            raise BadRequest(f"{file} cannot be read: {error.strerror}") from error
        except BadRequest as error:
            raise BadRequest(f"{file}: {error.message}. Nothing was imported.") from None
        with open_desk(settings_at(config)) as desk:
            taken = desk.import_rates(request_of(rates))
    pairs = ", ".join(sorted({f"{fx.base}/{fx.quote}" for fx in rates}))
    click.echo(f"{pairs}: {rates[0].date} to {rates[-1].date}, {taken.added} new, {taken.known} known")


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
@config_option
def list_rates(*, as_json: bool, config: str | None) -> None:
    """Show each pair with its days and its last rate, imported and from the configuration."""
    with plain_errors():
        path = Path(settings_at(config).server.state_dir) / DATABASE
        with Store.open_read_only(path) as store:
            rates = queries.rates(store)
    pairs: dict[tuple[str, str, str], list[Fx]] = {}
    for fx in rates:
        pairs.setdefault((fx.base, fx.quote, fx.source), []).append(fx)
    if as_json:
        click.echo(json.dumps([_json(*key, of_pair) for key, of_pair in sorted(pairs.items())], indent=2))
        return
    if not pairs:
        click.echo("No exchange rate is known; tidegate fx import eurofxref-hist.zip takes them in.")
    for (base, quote, source), of_pair in sorted(pairs.items()):
        last = of_pair[-1]
        days = f"{_count(len(of_pair))} from {of_pair[0].date} to {last.date}"
        click.echo(f"1 {base} = {last.rate} {quote} from {last.date}; {days}; {source}")


def _chosen(rates: tuple[Fx, ...], currencies: list[str]) -> list[Fx]:
    if "ALL" in currencies:
        return list(rates)
    for code in currencies:
        if not is_currency(code):
            raise BadRequest(f"{code!r} is no currency; write three letters, such as USD")
    wanted = {code for code in currencies if code != BASE}
    missing = wanted - {fx.quote for fx in rates}
    if missing or not wanted:
        raise BadRequest(f"it holds no rate of {', '.join(sorted(missing)) or BASE}")
    return [fx for fx in rates if fx.quote in wanted]


def _count(days: int) -> str:
    return "1 day" if days == 1 else f"{days} days"


def _json(base: str, quote: str, source: str, rates: list[Fx]) -> dict[str, str | int]:
    first: date = rates[0].date
    last = rates[-1]
    return {
        "base": base,
        "quote": quote,
        "source": source,
        "days": len(rates),
        "first": first.isoformat(),
        "last": last.date.isoformat(),
        "rate": last.rate,
    }
