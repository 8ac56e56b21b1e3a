"""`python -m benchmarks`: everything side by side, in one run, on the same cores."""

import json
import shlex
import sys
import tempfile
from collections.abc import Coroutine, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import click
import uvloop

from benchmarks import bodies, chart, holding, table
from benchmarks.client import closed_loop
from benchmarks.peers import PEERS, MissingPeerError, Peer, Place, cache_folder, provider
from benchmarks.processes import allow_files
from benchmarks.results import Results
from benchmarks.scenarios import (
    FULL,
    QUICK,
    RATES,
    STREAMS,
    Figures,
    closed,
    memory,
    opened,
    quiet,
    streamed,
    translated,
    why_not,
)

HERE = Path(__file__).parent
OUT = HERE / "out"
USUAL = "direct,nginx,tidegate,litellm"
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"


@click.command()
@click.option("--quick", is_flag=True, help="One short round: under three minutes.")
@click.option("--peers", default=USUAL, show_default=True, help=f"Some of: {', '.join(PEERS)}.")
@click.option("--rounds", type=click.IntRange(1, 20), help="How many rounds; the median counts.")
@click.option("--readme", is_flag=True, help="Write the figures into benchmarks/README.md.")
def main(*, quick: bool, peers: str, rounds: int | None, readme: bool) -> None:
    """Measure Tidegate beside a plain proxy and other gateways.

    Writes JSON, Markdown and a chart to benchmarks/out. CPU comes from /proc, so it runs on Linux.
    """
    names = [name.strip() for name in peers.split(",")]
    if unknown := [name for name in names if name not in PEERS]:
        raise click.UsageError(f"there is no peer {unknown[0]!r}; there are {', '.join(PEERS)}")
    if not Path("/proc/self/stat").exists():
        raise click.UsageError(
            "CPU time is read from /proc, which this system does not have; run it on Linux"
        )
    allow_files()
    effort = QUICK if quick else FULL
    OUT.mkdir(exist_ok=True)
    results = Results(effort if rounds is None else replace(effort, rounds=rounds))
    with tempfile.TemporaryDirectory(prefix="run-", dir=OUT) as work, ExitStack() as stack:
        place = Place(Path(work), cache_folder())
        stack.enter_context(provider(place))
        running = [peer for name in names if (peer := _started(name, place, stack, results))]
        uvloop.run(_measure(running, results))
        uvloop.run(_holds(running, results))
    _write(results, readme=readme)


def _started(name: str, place: Place, stack: ExitStack, results: Results) -> Peer | None:
    try:
        peer = stack.enter_context(PEERS[name](place))
    except MissingPeerError as missing:
        print(f"SKIPPED {name}: {missing}", file=sys.stderr, flush=True)
        results.skipped[name] = str(missing)
        return None
    results.ready_s[peer.name] = dict(peer.ready_s)
    print(f"started {peer.name}", flush=True)
    return peer


async def _measure(peers: Sequence[Peer], results: Results) -> None:
    effort = results.effort
    for peer in peers:
        await quiet((*peer.pids, *peer.beside))
        await _sample(results, "memory", peer, memory(peer, effort))
    for number in range(effort.rounds):
        order = [*peers[number % len(peers) :], *peers[: number % len(peers)]]
        print(f"round {number + 1} of {effort.rounds}", flush=True)
        for peer in order:
            await closed_loop(peer.address, bodies.small("fast").raw, connections=8, for_s=0.3)
        for body in (bodies.small("fast"), bodies.large("fast")):
            for peer in order:
                await _sample(results, f"closed {body.label}", peer, closed(peer, body, effort))
        for rate in RATES:
            for peer in order:
                await _sample(results, f"open {rate}", peer, opened(peer, rate, effort))
        await _streams(order, results)
        for peer in order:
            if peer.translates:
                await _sample(results, "translated", peer, translated(peer, effort))


async def _holds(peers: Sequence[Peer], results: Results) -> None:
    """What budgets add to a call: in this process, so that nothing else is in it."""
    for peer in peers:
        if peer.name == table.OURS:
            for body in holding.sizes():
                await _sample(results, f"hold {body.label}", peer, holding.figures(body))


async def _streams(peers: Sequence[Peer], results: Results) -> None:
    """More and more streams; who cannot carry so many is named and left out."""
    files = allow_files()
    for fewer, streams in zip((0, *STREAMS), STREAMS, strict=False):
        for peer in peers:
            before = results.samples.get((f"streams {fewer}", peer.name))
            if why := why_not(streams, before[-1] if before else None, fewer, files):
                print(f"SKIPPED {peer.name}, {streams:,} streams: {why}", file=sys.stderr, flush=True)
                results.skipped[f"{peer.name}, {streams:,} streams"] = why
            else:
                await _sample(results, f"streams {streams}", peer, streamed(peer, streams, results.effort))


async def _sample(
    results: Results, scenario: str, peer: Peer, measuring: Coroutine[None, None, Figures]
) -> None:
    figures = await measuring
    results.add(scenario, peer.name, figures)
    shown = " ".join(f"{name}={table.shown(value)}" for name, value in figures.items())
    print(f"  {scenario:<24}{peer.name:<10}{shown}", flush=True)


def _write(results: Results, *, readme: bool) -> None:
    command = shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]])
    figures = f"{table.markdown(results, command)}\n```text\n{chart.text(results)}```\n"
    (OUT / "results.json").write_text(json.dumps(results.as_json(), indent=1) + "\n")
    (OUT / "results.md").write_text(figures)
    (OUT / "chart.svg").write_text(chart.svg(results))
    print(f"\n{figures}\nWritten to {OUT}")
    if readme:
        path = HERE / "README.md"
        before, _, rest = path.read_text().partition(BEGIN)
        path.write_text(f"{before}{BEGIN}\n{figures}{END}{rest.partition(END)[2]}")
        (HERE / "chart.svg").write_text(chart.svg(results))


if __name__ == "__main__":
    main()
