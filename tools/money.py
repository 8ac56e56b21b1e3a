"""Run what shows that caps hold and bills match, and print every figure with its arithmetic."""

import io
import subprocess
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field

import pytest

SUITES: dict[str, tuple[str, ...]] = {
    "Any program of calls, faults, retries, resets, overrides, crashes and clock jumps": (
        "tests/money/test_programs.py",
        "tests/services/test_budgets.py",
        "tests/control/test_spending.py",
    ),
    "Billed money, 50 calls at once, in virtual time": ("tests/money/test_billed.py",),
    "A race over real sockets": ("tests/faults/test_budget_race.py",),
    "Spend over recorded traffic": ("tests/money/test_corpus.py",),
    "A provider's bill beside ours": (
        "tests/acceptance/test_reconcile.py",
        "tests/control/test_reconcile.py",
    ),
}
PROGRAMS = {
    "CPU of a hold, on this machine": "benchmarks.holding",
    "A cap beside another gateway's, on this machine": "benchmarks.caps",
}


@dataclass(eq=False)
class Told:
    """Collects what tests tell: their figures, the lines they print, and which did not pass."""

    lines: list[str] = field(default_factory=list)
    outcomes: list[str] = field(default_factory=list)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take in one test's end, or a set-up that failed or was skipped."""
        if report.when != "call" and report.outcome == "passed":
            return
        self.outcomes.append(report.outcome)
        self.lines += [str(value) for name, value in report.user_properties if name == "figure"]
        self.lines += report.capstdout.splitlines() if report.passed else []
        name = report.nodeid.rpartition("::")[2]
        if report.skipped:
            why = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
            self.lines.append(f"SKIPPED {name}: {why.removeprefix('Skipped: ')}")
        elif report.failed:
            self.lines.append(f"FAILED {name}")


def suite(paths: Sequence[str]) -> bool:
    """Run tests and print what they tell; whether none failed."""
    told = Told()
    with redirect_stdout(io.StringIO()) as said:
        status = pytest.main(["-q", "-n", "0", *paths], plugins=[told])
    print("".join(f"  {line}\n" for line in told.lines), end="")
    passed, skipped = told.outcomes.count("passed"), told.outcomes.count("skipped")
    print(f"  {passed} of {len(told.outcomes)} tests passed, {skipped} skipped", flush=True)
    if status != pytest.ExitCode.OK:
        print(said.getvalue())
    return status == pytest.ExitCode.OK


def program(module: str) -> bool:
    """Run a measurement in a process of its own and print what it says; whether it held."""
    done = subprocess.run(
        [sys.executable, "-m", module],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    print("".join(f"  {line}\n" for line in done.stdout.splitlines()), end="", flush=True)
    return done.returncode == 0


def main() -> int:
    """Run everything; 0 where all of it held."""
    held: dict[str, bool] = {}
    for title, paths in SUITES.items():
        print(f"\n{title}", flush=True)
        held[title] = suite(paths)
    for title, module in PROGRAMS.items():
        print(f"\n{title}", flush=True)
        held[title] = program(module)
    print()
    for title, is_held in held.items():
        print(f"{'held  ' if is_held else 'FAILED'}  {title}")
    return 0 if all(held.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
