"""`python -m benchmarks.loops --data DIR`: how well loops of agents are found, and what it costs."""

import json
import platform
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from benchmarks.loops import cost, report
from benchmarks.loops.money import Prices
from benchmarks.loops.recorded import read
from benchmarks.loops.replay import replay
from benchmarks.loops.trials import loops_found, others_tripped
from tidegate.model.money import Fx
from tidegate.policy.loop_rules import LoopRules
from tidegate.services.pricebook import PriceBook


@click.command()
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
@click.option("--half", type=click.Choice(["all", "tuned", "held out"]), default="all", show_default=True)
@click.option(
    "--sensitivity", type=click.Choice(["low", "medium", "high"]), default="medium", show_default=True
)
@click.option(
    "--model", default="openai/gpt-4o", show_default=True, help="Whose price counts, provider/model."
)
@click.option("--usd-per-eur", default="1.10", show_default=True, help="The rate amounts are shown at.")
@click.option("--made", default=100, show_default=True, help="Made runs of each kind and dialect.")
@click.option("--rounds", default=31, show_default=True, help="Rounds of the cost; the median counts.")
@click.option("--seed", default=1, show_default=True, help="Another seed makes other runs.")
def main(
    *,
    data: Path,
    as_json: bool,
    half: str,
    sensitivity: Any,
    model: str,
    usd_per_eur: str,
    made: int,
    rounds: int,
    seed: int,
) -> None:
    """Replay recorded runs, try made ones, and measure the cost.

    DATA holds agents/*.jsonl.gz with LOOPS.tsv and BORDERLINE.tsv, as its SOURCES.md describes.
    """
    rules = LoopRules(sensitivity=sensitivity)
    provider, _, name = model.partition("/")
    now = datetime.now(UTC)
    fx = Fx(base="EUR", quote="USD", rate=usd_per_eur, date=now.date(), source="--usd-per-eur")
    prices = Prices(provider, name, PriceBook.load(), fx, int(now.timestamp() * 1_000_000))
    try:
        runs = read(data)
        prices.card(1000)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    began = time.monotonic()
    outcomes = [replay(one, rules) for one in runs if half in ("all", one.half)]
    halves = {
        part: report.recorded([one for one in outcomes if part in ("all", one.labelled.half)], prices)
        for part in (("tuned", "held out", "all") if half == "all" else (half,))
    }
    loops, others, costs = (
        loops_found(rules, made, seed),
        others_tripped(rules, made, seed),
        cost.measure(rounds),
    )
    if as_json:
        found = {
            "began": now.isoformat(timespec="seconds"),
            "python": platform.python_version(),
            "sensitivity": sensitivity,
            "recorded": halves,
            "made_loops": report.trials(loops),
            "made_others": report.trials(others),
            "cost": costs,
            "took_s": round(time.monotonic() - began, 1),
        }
        click.echo(json.dumps(found, indent=2))
        return
    click.echo(
        f"Loops of agents at sensitivity {sensitivity}, {now:%Y-%m-%d}; shares with Wilson 95% intervals\n"
    )
    for part, figures in halves.items():
        click.echo(report.recorded_text(f"recorded, {part}", figures) + "\n")
    click.echo(
        report.trials_text(f"made loops that trip within 8 repeats ({made} a kind and dialect)", loops) + "\n"
    )
    click.echo(report.trials_text("made runs that move on and trip all the same", others) + "\n")
    click.echo(report.cost_text(costs))


if __name__ == "__main__":
    main()
