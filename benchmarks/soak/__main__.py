"""`python -m benchmarks.soak`: a busy day in minutes, and what must hold at the end of it."""

import random
import shutil
import sys
import tempfile
from pathlib import Path

import click
import uvloop

from benchmarks.processes import allow_files
from benchmarks.soak.house import house
from benchmarks.soak.run import MINUTE_S, Soak
from benchmarks.soak.traffic import Traffic

OUT = Path(__file__).parents[1] / "out"


@click.command()
@click.option("--minutes", default=10.0, show_default=True, type=click.FloatRange(0.05, 10_000))
@click.option("--streams", default=200, show_default=True, type=click.IntRange(1, 1_000))
@click.option(
    "--faults", default=0.05, show_default=True, type=click.FloatRange(0, 1), help="A share of all calls."
)
@click.option("--seed", default=1, show_default=True, help="Repeats the choice of calls and faults.")
def main(*, minutes: float, streams: int, faults: float, seed: int) -> None:
    """Keep many streams up through a whole Tidegate while providers and clients fail; then check its books.

    Ends with status 1 where something did not hold. Memory is read from /proc, so it runs on Linux.
    """
    if not Path("/proc/self/statm").exists():
        raise click.UsageError("memory is read from /proc, which this system does not have; run it on Linux")
    allow_files()
    OUT.mkdir(exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="soak-", dir=OUT))
    print(f"{streams} streams for {minutes:g} minutes, {faults:.0%} faults, seed {seed}", flush=True)
    with house(work, concurrent=streams + max(10, streams // 2)) as here:
        chance = random.Random(seed)
        traffic = Traffic(here, chance, streams, faults / 2)
        soak = Soak(here, traffic, minutes * MINUTE_S, chance, faults / 2)
        uvloop.run(soak.run())
    if soak.problems:
        print(f"\nFAILED; its files are in {work}")
        for name, found in soak.problems.items():
            print("\n".join(f"- {name}: {problem}" for problem in found))
        sys.exit(1)
    shutil.rmtree(work)
    print("\nAll of it held.")


if __name__ == "__main__":
    main()
