"""`tidegate check`: everything that is wrong with a configuration, by key and line, before it is served."""

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec

from tidegate.cli.live import Live, lines, live
from tidegate.cli.options import config_option
from tidegate.config.load import Reading, config_path, read
from tidegate.config.problem import Problem
from tidegate.config.secret import Secret
from tidegate.config.settings import Settings
from tidegate.model.errors import ConfigError
from tidegate.model.provider import Deployment, Provider
from tidegate.providers.catalog import load as load_catalog
from tidegate.providers.targets import price_section
from tidegate.services.deployments import ANY_MODEL, survey
from tidegate.services.pricebook import PriceBook, Unpriced


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One deployment as it would be called. `key` is where its secret is read; never the secret."""

    name: str
    provider: str
    model: str
    names: tuple[str, ...]
    base_url: str
    region: str
    residency: str
    key: str
    key_present: bool
    priced: bool | None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What `--json` prints. `live` is null unless deployments were asked (`--live`)."""

    file: str
    ok: bool
    errors: int
    warnings: int
    problems: tuple[Problem, ...]
    deployments: tuple[Row, ...] = ()
    aliases: dict[str, tuple[str, ...]] = {}
    live: tuple[Live, ...] | None = None


@dataclass(frozen=True, slots=True)
class _Book:
    """The price book, or why it cannot be used."""

    book: PriceBook | None
    problem: Problem | None = None


def check(path: Path, env: Mapping[str, str], now_us: int) -> Result:
    """Return everything that is known of a configuration. Never raises for its content."""
    try:
        reading = read(path)
    except ConfigError as error:
        return _result(path, (Problem(path="", message=error.message),))
    if reading.settings is None:
        return _result(path, reading.problems)
    return _deep(reading, reading.settings, env, now_us)


def _deep(reading: Reading, settings: Settings, env: Mapping[str, str], now_us: int) -> Result:
    catalog = load_catalog()
    found, problems = survey(settings, catalog)
    book = _book(settings, catalog)
    rows = tuple(_row(one, catalog, book.book, env, now_us) for one in found)
    more = [
        *problems,
        *_secrets(settings, env),
        *_unpriced(settings, rows),
        *([book.problem] if book.problem else []),
    ]
    placed = reading.placed([*reading.problems, *more])
    return _result(reading.path, placed, rows, settings.aliases)


def _result(
    path: Path,
    problems: tuple[Problem, ...],
    rows: tuple[Row, ...] = (),
    aliases: dict[str, tuple[str, ...]] | None = None,
) -> Result:
    errors = sum(problem.level == "error" for problem in problems)
    return Result(
        file=str(path),
        ok=not errors,
        errors=errors,
        warnings=len(problems) - errors,
        problems=problems,
        deployments=rows,
        aliases=aliases or {},
    )


def _secrets(settings: Settings, env: Mapping[str, str]) -> Iterator[Problem]:
    """Yield keys that cannot be read."""
    for at, row in enumerate(settings.deployments):
        if row.key is None:
            continue
        try:
            row.key.resolve(env)
        except ConfigError as error:
            yield Problem(path=f"deployments[{at}].key", message=error.message)
    for at, target in enumerate(settings.alerts.targets):
        for name in ("url_secret", "secret", "password"):
            secret: Secret | None = getattr(target, name)
            try:
                if secret is not None:
                    secret.resolve(env)
            except ConfigError as error:
                yield Problem(path=f"alerts.targets[{at}].{name}", message=error.message)


def _unpriced(settings: Settings, rows: tuple[Row, ...]) -> Iterator[Problem]:
    """Yield deployments that no card prices, with what will happen to their calls."""
    at_of = {row.name: at for at, row in enumerate(settings.deployments)}
    fate = {
        "refuse": "its calls are refused (402 price_unknown)",
        "flag": "its calls go through and are flagged",
    }
    for row in rows:
        if row.priced is False and row.model != ANY_MODEL:
            yield Problem(
                path=f"deployments[{at_of[row.name]}].model",
                level="warning",
                message=f"no price is known for {row.provider}/{row.model}: "
                f"{fate[settings.policy.unpriced]}; add `price`, or a row of [[prices.override]]",
            )


def _book(settings: Settings, catalog: Mapping[str, Provider]) -> _Book:
    try:
        return _Book(PriceBook.load(price_section(settings, catalog)))
    except (ConfigError, ValueError) as error:
        return _Book(None, Problem(path="prices", message=f"the price book cannot be used: {error}"))


def _row(
    deployment: Deployment,
    catalog: Mapping[str, Provider],
    book: PriceBook | None,
    env: Mapping[str, str],
    now_us: int,
) -> Row:
    provider = catalog[deployment.provider]
    model = deployment.price_model or deployment.model
    priced = None
    if book is not None:
        quote = book.price(
            provider.prices or provider.name,
            model,
            at_us=now_us,
            input_tokens=1,
            region=deployment.region,
            price_factor=deployment.price_factor,
        )
        priced = not isinstance(quote, Unpriced)
    return Row(
        name=deployment.name,
        provider=deployment.provider,
        model=model,
        names=deployment.names,
        base_url=deployment.base_url,
        region=deployment.region,
        residency=deployment.residency,
        key=deployment.secret,
        key_present=_present(deployment.secret, env),
        priced=priced,
    )


def _present(ref: str, env: Mapping[str, str]) -> bool:
    secret = Secret.of_ref(ref)
    if secret is None:
        return False
    try:
        secret.resolve(env)
    except ConfigError:
        return False
    return True


@click.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
@click.option("--live", "ask", is_flag=True, help="Ask each deployment's provider too; nothing is billed.")
@click.option("--spend", is_flag=True, help="With --live: make one small billed call to each deployment.")
def command(config: str | None, *, as_json: bool, ask: bool, spend: bool) -> None:
    """Validate the configuration and say what is wrong, by key and line.

    Also tells whether each key can be read (never its value), whether aliases lead somewhere and which
    models have no price. Exits with 1 when there is an error; warnings alone are fine.

    With --live it asks every provider for its models, which costs nothing, and says what it found beside
    what the catalogue says: reached, TLS, status, whether the key is taken, whether the model is listed. It
    exits with 1 when a deployment cannot be called. Calls made with --spend are in no record of Tidegate's.
    """
    if spend and not ask:
        raise click.UsageError("--spend needs --live")
    path = config_path(config, os.environ)
    result = check(path, os.environ, time.time_ns() // 1_000)
    if ask:
        result = msgspec.structs.replace(result, live=live(path, os.environ, spend=spend))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(result)).decode())
    else:
        _print(result)
    failed = any(row.verdict == "fail" for row in result.live or ())
    raise SystemExit(0 if result.ok and not failed else 1)


def _print(result: Result) -> None:
    for problem in result.problems:
        colour = "red" if problem.level == "error" else "yellow"
        line = problem.located(result.file)
        click.echo(line.replace(f" {problem.level}: ", f" {click.style(problem.level, fg=colour)}: ", 1))
    if result.problems:
        click.echo()
    if result.deployments:
        for line in _table(result.deployments):
            click.echo(line)
        click.echo()
    if result.live:
        for line in lines(result.live):
            click.echo(line)
        click.echo()
    verdict = "can be served" if result.ok else "cannot be served"
    click.echo(f"{result.file} {verdict}: {_summary(result)}")


def _table(rows: tuple[Row, ...]) -> list[str]:
    cells = [("DEPLOYMENT", "PROVIDER", "CLIENTS ASK FOR", "KEY", "PRICE", "RUNS IN")]
    cells += [
        (
            row.name,
            row.provider,
            ", ".join(row.names),
            _key_cell(row),
            {True: "known", False: "none", None: "?"}[row.priced],
            row.region or "-",
        )
        for row in rows
    ]
    widths = [max(len(cell[at]) for cell in cells) for at in range(len(cells[0]))]
    return [
        "  ".join(text.ljust(width) for text, width in zip(cell, widths, strict=True)).rstrip()
        for cell in cells
    ]


def _key_cell(row: Row) -> str:
    if not row.key:
        return "none needed"
    kind, _, name = row.key.partition(":")
    place = name if kind == "env" else Path(name).name
    return f"{place} ({'present' if row.key_present else 'MISSING'})"


def _summary(result: Result) -> str:
    parts = [
        _count(result.errors, "error"),
        _count(result.warnings, "warning"),
        _count(len(result.deployments), "deployment"),
        _count(len(result.aliases), "alias", "aliases"),
    ]
    return ", ".join(parts)


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
