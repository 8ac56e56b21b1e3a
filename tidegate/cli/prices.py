"""`tidegate prices`: what calls cost, by whose word, and how a release takes in new figures."""

import difflib
import json
import os
import sys
from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from tidegate.config.load import config_path, load
from tidegate.model.errors import ConfigError
from tidegate.model.price import PriceCard, PriceSection, price_id
from tidegate.policy.price import choose_card, day_of, in_force
from tidegate.providers import catalog
from tidegate.providers.targets import price_section
from tidegate.services.price_rows import (
    PRICES,
    RULES,
    SECOND,
    Change,
    ProviderPrices,
    changes,
    conditions,
    price_lines,
    rates_text,
    read_prices,
    read_rules,
    same_rows,
)
from tidegate.services.pricebook import Listed, PriceBook, Quote

_COLUMNS = {
    "input": "input_uncached",
    "cache read": "cache_read",
    "cache write": "cache_write_5m",
    "output": "output_text",
}
_UNFOLDED = {"provider", "model", "price_id"}
_PIPED_WIDTH = 160


class _Time(click.ParamType[int]):
    """A UTC day or time, as microseconds since the epoch."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read `2026-07-01` or `2026-07-01T03:00`, in UTC where no offset is given."""
        if isinstance(value, int):
            return value
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a time such as 2026-07-01 or 2026-07-01T03:00 (UTC)", param, ctx)
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return int(aware.timestamp()) * 1_000_000


def _now_us() -> int:
    return int(datetime.now(UTC).timestamp()) * 1_000_000


_at = click.option(
    "--at", "at_us", type=_Time(), default=_now_us, metavar="TIME", help="As of this UTC time [now]."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
_config = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The configuration whose [[prices]] go first [tidegate.toml, where there is one].",
)


@click.group("prices")
def command() -> None:
    """Show what calls cost and by whose word; no server is needed."""


@command.command("list")
@click.option("--provider", help="Only this provider.")
@click.option("--model", help="Only models whose name holds this text.")
@click.option("--disagreements", is_flag=True, help="Only where two sources differ, with both figures.")
@_at
@_json
@_config
def list_prices(
    *,
    provider: str | None,
    model: str | None,
    disagreements: bool,
    at_us: int,
    as_json: bool,
    config: Path | None,
) -> None:
    """List providers, or a provider's models with their standard prices per million tokens."""
    book = _book(config)
    if provider is not None and provider not in book.providers():
        raise _unknown("provider", provider, book.providers())
    providers = [provider] if provider else book.providers()
    if disagreements:
        _show_disagreements(book, providers, at_us, as_json=as_json)
    elif provider is None and model is None:
        _show_providers(book, as_json=as_json)
    else:
        _show_models(book, providers, model or "", at_us, as_json=as_json)


@command.command("show")
@click.argument("name", metavar="PROVIDER/MODEL")
@click.option("--region", default="", help="Add the uplift of this region.")
@click.option("--all", "every", is_flag=True, help="Also cards that are not in force at the time.")
@_at
@_json
@_config
def show_prices(
    *, name: str, region: str, every: bool, at_us: int, as_json: bool, config: Path | None
) -> None:
    """Show every card of one model: rates, tiers, times, source, id."""
    book = _book(config)
    provider, slash, model = name.partition("/")
    if not slash or not model:
        raise click.ClickException(f"{name!r} is not PROVIDER/MODEL, for example openai/gpt-4o-mini")
    if provider not in book.providers():
        raise _unknown("provider", provider, book.providers())
    listed = book.cards_for(provider, model, at_us)
    if listed is None:
        raise _unknown("model", name, (f"{provider}/{known}" for known in book.names(provider)))
    quote = book.price(provider, model, at_us=at_us, input_tokens=0, region=region)
    cards = [card for card in listed.cards if every or in_force(card, day_of(at_us))]
    if as_json:
        _print_json(_model_json(book, name, listed, quote if isinstance(quote, Quote) else None, cards))
        return
    _show_model(book, name, listed, cards)
    if isinstance(quote, Quote):
        click.echo(f"A call at that time ({conditions(quote.card)}): {rates_text(quote.card)}")
        click.echo(
            f"  price_id {quote.price_id}; {quote.card.source}; flags {' '.join(quote.flags) or 'none'}"
        )
        if quote.second is not None:
            click.echo(f"  {quote.second.source} differs: {rates_text(quote.second)}; the dearer is held")
    else:
        click.echo(f"A standard call at that time is unpriced: {quote.message}")


@command.command("import")
@click.option("--write", is_flag=True, help="Write the files; without it only the difference is shown.")
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=PRICES,
    help="Where the rows are [the package's own].",
)
@click.option(
    "--litellm",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Also take LiteLLM's table of prices as the second source.",
)
@click.option("--litellm-version", default="", help="The release that table is from.")
@click.option("--litellm-date", type=click.DateTime(["%Y-%m-%d"]), help="The day of that table [today].")
def import_prices(
    *, write: bool, directory: Path, litellm: Path | None, litellm_version: str, litellm_date: datetime | None
) -> None:
    """Take in the figures of the installed genai-prices: show the difference, then --write it.

    A task of each release; nothing is read from the network.
    """
    from tidegate.services.price_import import import_genai  # noqa: PLC0415 - a release task only
    from tidegate.services.price_litellm import import_litellm  # noqa: PLC0415

    today = datetime.now(UTC).date()
    try:
        rules = read_rules(directory / RULES if (directory / RULES).exists() else PRICES / RULES)
        found, report = import_genai(rules, imported=today)
        count = _take_in(found, directory, write=write)
        if litellm is not None:
            dated: date = litellm_date.date() if litellm_date else today
            second = import_litellm(litellm, version=litellm_version, dated=dated)
            count += _take_in(second, directory / SECOND, write=write)
    except ConfigError as error:
        raise click.ClickException(error.message) from error
    for line in report.skipped:
        click.echo(f"left out  {line}", err=True)
    if report.unmetered:
        click.echo(f"left out  {report.unmetered} models with no price in a unit that is metered", err=True)
    done = "written" if write else "to write; look at them, then add --write"
    click.echo(f"{count} differences {done}")


def _take_in(found: Iterable[ProviderPrices], directory: Path, *, write: bool) -> int:
    count = 0
    old_files = {path.stem: path for path in directory.glob("*.jsonl")}
    for new in found:
        path = old_files.pop(new.head.provider, directory / f"{new.head.provider}.jsonl")
        old = read_prices(path) if path.exists() else None
        differences = changes(old, new)
        count += len(differences)
        for change in differences:
            click.echo(_change_line(change))
        if write and (old is None or not same_rows(old, new)):
            directory.mkdir(parents=True, exist_ok=True)
            path.write_bytes(price_lines(new))
    for stem, path in sorted(old_files.items()):
        click.echo(f"removed   {stem}: the source no longer has this provider")
        count += 1
        if write:
            path.unlink()
    return count


def _change_line(change: Change) -> str:
    arrow = " -> ".join(text for text in (change.old, change.new) if text)
    return f"{change.kind:<9} {change.provider}/{change.model} ({change.where}): {arrow}"


def _book(config: Path | None) -> PriceBook:
    path = config_path(str(config) if config else None, os.environ)
    try:
        section = PriceSection()
        if config is not None or path.exists():
            section = price_section(load(path), catalog.load())
        return PriceBook.load(section)
    except (ConfigError, ValueError) as error:
        raise click.ClickException(str(error)) from error


def _unknown(kind: str, name: str, known: Iterable[str]) -> click.ClickException:
    near = difflib.get_close_matches(name, list(known), n=5, cutoff=0.6)
    hint = f" Names like it: {', '.join(near)}." if near else ""
    return click.ClickException(f"no price is known for the {kind} {name}.{hint} A name must match exactly.")


def _show_providers(book: PriceBook, *, as_json: bool) -> None:
    rows: list[dict[str, Any]] = []
    for provider in book.providers():
        head = book.head(provider)
        about = (
            {"source": head.source, "version": head.source_version} if head else {"source": "", "version": ""}
        )
        day = head.imported.isoformat() if head else ""
        rows.append({"provider": provider, "models": len(book.models(provider)), **about, "imported": day})
    _print_rows(rows, as_json=as_json)


def _show_models(book: PriceBook, providers: Iterable[str], text: str, at_us: int, *, as_json: bool) -> None:
    rows: list[dict[str, Any]] = []
    for provider in providers:
        for model in book.models(provider):
            if text.lower() not in model.lower():
                continue
            card = _standard_card(book, provider, model, at_us)
            if card is None:
                continue
            rates = {title: card.rates.get(name, "") for title, name in _COLUMNS.items()}
            marks = " ".join((*card.flags, *(["override"] if card.override else [])))
            currency = {"currency": card.currency}
            rows.append({"provider": provider, "model": model, **currency, **rates, "flags": marks})
    if not rows:
        raise click.ClickException(f"no model's name holds {text!r}")
    _print_rows(rows, as_json=as_json)


def _standard_card(book: PriceBook, provider: str, model: str, at_us: int) -> PriceCard | None:
    listed = book.listed_as(provider, model)
    return choose_card(listed, at_us=at_us, input_tokens=0) if listed else None


def _show_disagreements(book: PriceBook, providers: Iterable[str], at_us: int, *, as_json: bool) -> None:
    rows: list[dict[str, Any]] = []
    for provider in providers:
        for found in book.disagreements(provider, at_us):
            for rate in found.rates:
                first, second = found.first, found.second
                rows.append(
                    {
                        "provider": provider,
                        "model": first.model,
                        "over": first.input_over,
                        "rate": rate,
                        first.source: f"{first.rates[rate]} {first.currency}",
                        second.source: f"{second.rates[rate]} {second.currency}",
                    }
                )
    _print_rows(rows, as_json=as_json)


def _show_model(book: PriceBook, name: str, listed: Listed, cards: Iterable[PriceCard]) -> None:
    head = book.head(name.partition("/")[0])
    click.echo(f"{name}, listed as {listed.model}; per million units")
    if listed.alias is not None:
        click.echo(f"  the name stands for {listed.alias.is_}: {listed.alias.source}")
    if head is not None:
        click.echo(f"  {head.source} {head.source_version}, read {head.imported}; {' '.join(head.urls)}")
    _print_rows([_card_row(card) for card in cards], as_json=False)


def _card_row(card: PriceCard) -> dict[str, Any]:
    rates = "\n".join(
        f"{name} {rate}{' (by ratio)' if name in card.estimated else ''}" for name, rate in card.rates.items()
    )
    until = f"\nuntil {card.valid_to}" if card.valid_to else ""
    notes = [*card.flags, *(["override"] if card.override else [])]
    notes += ["illustration"] if card.illustration else []
    notes += [f"not priced: {name}" for name in card.omits]
    return {
        "when": conditions(card).replace(", ", "\n") + until,
        "rates": f"{card.currency}\n{rates}",
        "notes": "\n".join(notes),
        "source": f"{card.source} {card.source_version}".strip(),
        "price_id": price_id(card),
    }


def _model_json(
    book: PriceBook, name: str, listed: Listed, quote: Quote | None, cards: Iterable[PriceCard]
) -> dict[str, Any]:
    head = book.head(name.partition("/")[0])
    return {
        "name": name,
        "listed_as": listed.model,
        "alias": msgspec.to_builtins(listed.alias) if listed.alias else None,
        "head": msgspec.to_builtins(head) if head else None,
        "flags": list(quote.flags if quote else listed.flags),
        "applies": quote.price_id if quote else None,
        "cards": [{"price_id": price_id(card), **msgspec.to_builtins(card)} for card in cards],
    }


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _print_rows(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        _print_json(rows)
        return
    if not rows:
        click.echo("nothing to show")
        return
    from rich.console import Console  # noqa: PLC0415 - a table is not needed for JSON
    from rich.table import Table  # noqa: PLC0415

    table = Table(show_lines=any("\n" in str(cell) for row in rows for cell in row.values()))
    columns = list(dict.fromkeys(name for row in rows for name in row))
    for name in columns:
        table.add_column(name, overflow="fold", no_wrap=name in _UNFOLDED)
    for row in rows:
        table.add_row(*(str(row.get(name, "")) for name in columns))
    Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH).print(table, markup=False)
