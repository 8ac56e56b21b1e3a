"""`python -m benchmarks.early_stop --data DIR`: what the watch stops, and what it lets through."""

import json
import os
from pathlib import Path

import click

from benchmarks.early_stop.local_model import PROMPTS
from benchmarks.early_stop.measure import measure
from benchmarks.early_stop.report import as_json, table
from tidegate.policy.watch import WatchRules


@click.command()
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=lambda: os.environ.get("TIDEGATE_DATA"),
    required=True,
    help="A folder with traffic/ and routing/; by default TIDEGATE_DATA.",
)
@click.option("--seeds", default=300, show_default=True, help="Degenerate streams of each kind and half.")
@click.option("--own-seeds", default=3, show_default=True, help="Times that our own texts are made anew.")
@click.option(
    "--model-prompts",
    default=24,
    show_default=True,
    type=click.IntRange(0, len(PROMPTS)),
    help="How many prompts the local model answers, up to 40 s each.",
)
@click.option("--json", "as_json_", is_flag=True, help="Print JSON instead of a table.")
def main(*, data: Path, seeds: int, own_seeds: int, model_prompts: int, as_json_: bool) -> None:
    """Replay real streams, our own long texts and degenerate streams through the watch, with its defaults."""
    measured = measure(data, WatchRules(), seeds=seeds, own_seeds=own_seeds, prompts=model_prompts)
    print(json.dumps(as_json(measured), indent=1, ensure_ascii=False) if as_json_ else table(measured))


if __name__ == "__main__":
    main()
