"""`tidegate check --live`: every configured deployment asked, what was found beside what its row says."""

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import click
import msgspec

from tidegate.config.load import read
from tidegate.config.secret import Secret
from tidegate.config.settings import Settings
from tidegate.model.errors import ConfigError
from tidegate.model.provider import Deployment, Provider
from tidegate.providers.catalog import load as load_catalog
from tidegate.providers.probe import NO_LIST, OPEN_LIST, Found, Look, found, look
from tidegate.providers.probe_call import Called, call, surface_for
from tidegate.providers.transport import Transport
from tidegate.services.deployments import ANY_MODEL, survey
from tidegate.wiring import transport_of

AT_ONCE = 8


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """One deployment. `found` is None where nothing could be sent; `problem` then says why.

    `verdict`: `fail` where calls cannot work, `warn` where a note wants an eye.
    """

    name: str
    provider: str
    model: str
    verdict: Literal["ok", "warn", "fail"]
    problem: str = ""
    found: Found | None = None
    called: Called | None = None


def live(path: Path, env: Mapping[str, str], *, spend: bool) -> tuple[Live, ...]:
    """Ask every deployment of a configuration that is complete; empty where the file cannot be read.

    Without `spend` no call is billed. Never raises for what a provider does.
    """
    try:
        settings = read(path).settings
    except ConfigError:
        return ()
    return asyncio.run(_with_transport(settings, env, spend=spend)) if settings is not None else ()


async def _with_transport(settings: Settings, env: Mapping[str, str], *, spend: bool) -> tuple[Live, ...]:
    catalog = load_catalog()
    deployments, _ = survey(settings, catalog)
    transport = transport_of(settings)
    try:
        return await ask(transport, catalog, deployments, env, spend=spend)
    finally:
        await transport.close()


async def ask(
    transport: Transport,
    catalog: Mapping[str, Provider],
    deployments: Iterable[Deployment],
    env: Mapping[str, str],
    *,
    spend: bool,
) -> tuple[Live, ...]:
    """Ask deployments, eight at a time; those that share an address and a key are asked once."""
    every = tuple(deployments)
    groups: dict[tuple[object, ...], list[Deployment]] = {}
    for one in every:
        sent = (*sorted(one.query.items()), *sorted(one.headers.items()))
        same = (one.provider, one.base_url, one.secret, *sent)
        groups.setdefault(same, []).append(one)
    places = asyncio.Semaphore(AT_ONCE)
    results: dict[str, Live] = {}

    async def ask_group(group: list[Deployment]) -> None:
        async with places:
            results.update(await _group(transport, catalog[group[0].provider], group, env, spend=spend))

    async with asyncio.TaskGroup() as tasks:
        for group in groups.values():
            tasks.create_task(ask_group(group))
    return tuple(results[one.name] for one in every)


async def _group(
    transport: Transport,
    provider: Provider,
    group: list[Deployment],
    env: Mapping[str, str],
    *,
    spend: bool,
) -> dict[str, Live]:
    try:
        reference = Secret.of_ref(group[0].secret)
        secret = reference.resolve(env) if reference is not None else ""
        seen = await look(transport, provider, group[0], secret)
    except ConfigError as error:
        return {one.name: _live(one, problem=error.message) for one in group}
    results = {}
    for one in group:
        called = None
        if spend and one.model != ANY_MODEL and seen.status is not None:
            called = await _called(transport, provider, one, secret)
        results[one.name] = _seen(provider, one, seen, called)
    return results


async def _called(transport: Transport, provider: Provider, one: Deployment, secret: str) -> Called | None:
    surface = surface_for(provider, one)
    return await call(transport, provider, one, secret, surface=surface) if surface is not None else None


def _seen(provider: Provider, one: Deployment, seen: Look, called: Called | None) -> Live:
    what = found(provider, one, seen)
    if called is not None and not called.error and what.key in ("unknown", "unproven"):
        notes = tuple(note for note in what.notes if note not in (OPEN_LIST, NO_LIST))
        what = msgspec.structs.replace(what, key="accepted" if one.secret else "not_sent", notes=notes)
    return _live(one, found=what, called=called)


def _live(
    one: Deployment, *, problem: str = "", found: Found | None = None, called: Called | None = None
) -> Live:
    verdict: Literal["ok", "warn", "fail"] = "ok"
    if found is None or not found.reached or found.key == "refused" or (called is not None and called.error):
        verdict = "fail"
    elif found.notes or found.model == "not_listed" or (called is not None and called.notes):
        verdict = "warn"
    return Live(
        name=one.name,
        provider=one.provider,
        model=one.model,
        verdict=verdict,
        problem=problem,
        found=found,
        called=called,
    )


def lines(rows: tuple[Live, ...]) -> list[str]:
    """Return the table of what was found, and under it what is to be said of single deployments."""
    head = ("DEPLOYMENT", "REACHED", "TLS", "STATUS", "KEY", "MODEL", "CONTEXT", "MS", "ROW")
    cells: list[tuple[str, ...]] = [head, *(_cells(row) for row in rows)]
    if any(row.called is not None for row in rows):
        calls = ["CALL", *(_call_cell(row.called) for row in rows)]
        cells = [(*cell, called) for cell, called in zip(cells, calls, strict=True)]
    widths = [max(len(cell[at]) for cell in cells) for at in range(len(cells[0]))]
    table = [
        "  ".join(text.ljust(width) for text, width in zip(cell, widths, strict=True)).rstrip()
        for cell in cells
    ]
    return table + [f"{row.name}: {_coloured(row)}{note}" for row in rows for note in _notes(row)]


def _cells(row: Live) -> tuple[str, ...]:
    seen = row.found
    if seen is None:
        return (row.name, "not asked", "-", "-", "-", "-", "-", "-", "-")
    return (
        row.name,
        "yes" if seen.reached else "NO",
        seen.tls,
        str(seen.status or "-"),
        "REFUSED" if seen.key == "refused" else seen.key.replace("_", " "),
        seen.model.replace("_", " "),
        _context_cell(seen),
        "-" if seen.latency_ms is None else str(seen.latency_ms),
        f"{'verified' if seen.row_verified else 'unverified'} {seen.row_checked}",
    )


def _context_cell(seen: Found) -> str:
    stated = [
        f"{who} {count}"
        for who, count in (("row", seen.row_context), ("list", seen.listed_context))
        if count is not None
    ]
    return ", ".join(stated) or "-"


def _call_cell(called: Called | None) -> str:
    if called is None:
        return "-"
    if called.error:
        return f"{called.surface}: {called.error} ({called.status or 'no reply'})"
    used = f"{called.input_tokens}+{called.output_tokens or 0} tokens" if called.usage else "no usage"
    return f"{called.surface}: {used}, {called.latency_ms} ms (row: {called.row_usage})"


def _notes(row: Live) -> list[str]:
    notes = [row.problem] if row.problem else []
    if row.found is not None:
        notes += row.found.notes
        if row.found.model == "not_listed":
            notes.append(f"the provider does not list {row.model!r}")
    return [*notes, *(row.called.notes if row.called is not None else ())]


def _coloured(row: Live) -> str:
    return f"{click.style(row.verdict, fg='red' if row.verdict == 'fail' else 'yellow')}: "
