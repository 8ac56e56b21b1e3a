"""`python -m benchmarks.grounding --data DIR`: whether the grounding check finds swapped facts.

Reads `context/xquad_*.json.gz` (SQuAD's layout) and `context/nq-*.jsonl.gz`. Each answer that is a number, a
date or a name is given as it is, and with another of its kind in its place: once from elsewhere, once from
the same passage where it has one. Whether a swapped value is absent from its context is decided here, by
means of its own. An answer is the bare span or stands in a sentence of ours.

Questions are split in two by the hash of their id: those that were looked at while the check was written, and
those that were held out, with sentences of their own. In other languages than English the kind of an answer
is that of its English twin, where there is one.

What people write about a passage is read too: each question of XQuAD with its true answer. Some name what the
passage does not ("Super Bowl 50"), so this bounds false alarms from above.
"""

import json
import os
import sys
from pathlib import Path

import click

from benchmarks.grounding.figures import PARTS, evaluate, people

WANTED = 0.95


def _share(share: float | None, interval: tuple[float, float] | None) -> str:
    return "-" if share is None or interval is None else f"{share:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"


@click.command()
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=lambda: os.environ.get("TIDEGATE_DATA"),
    required=True,
    help="A folder with context/; by default TIDEGATE_DATA.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON alone.")
@click.option(
    "--misses", is_flag=True, help="Print what was missed or wrongly found, of the seen part alone."
)
def main(*, data: Path, as_json: bool, misses: bool) -> None:
    """Swap facts in true answers and count what is found.

    Ends with status 1 where recall or precision is below .95.
    """
    lines: list[str] = []
    rows = evaluate(data / "context", lines)
    if not rows:
        raise click.UsageError(f"{data} has no context/xquad_*.json.gz and no context/nq-*.jsonl.gz")
    if as_json:
        figures = {"wanted": WANTED, "rows": rows, "people": people(data / "context")}
        print(json.dumps(figures, indent=1))
    else:
        print("| set | kind | part | true | alarms | absent | recall | precision | same passage, found |")
        print("|---|---|---|---:|---:|---:|---|---|---|")
        for one in rows:
            recall, precision = (_share(one[name], one[f"{name}_95"]) for name in ("recall", "precision"))
            counts = f"{one['true']} | {one['alarms']} | {one['absent']} | {recall} | {precision}"
            near = f"{one['same_passage_found']} of {one['same_passage']}"
            print(f"| {one['set']} | {one['kind']} | {one['part']} | {counts} | {near} |")
        for one in people(data / "context"):
            share = _share(one["found"] / one["sentences"], one["share_95"])
            print(
                f"{one['set']}, {one['part']}: found in {share} of {one['sentences']} texts that people wrote"
            )
    if misses:
        print(*(line for line in lines if line.startswith(PARTS[0])), sep="\n", file=sys.stderr)
    short = [one for one in rows if min(one["recall"] or 1, one["precision"] or 1) < WANTED]
    sys.exit(1 if short else 0)


if __name__ == "__main__":
    main()
