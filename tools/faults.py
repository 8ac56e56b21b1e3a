"""Run the fault suite and print its table: what clients saw, what the record holds, who is charged for."""

import io
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field

import pytest

SIXTEEN = "tests/faults/test_sixteen.py"
REST = "tests/faults"


@dataclass(eq=False)
class Table:
    """Collects the rows of a run."""

    rows: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take in one test's end, or a set-up that failed or was skipped."""
        if report.when == "call" or report.outcome != "passed":
            name = report.nodeid.rpartition("::")[2]
            facts = {key: str(value) for key, value in report.user_properties}
            self.rows.append((name, report.outcome, facts))

    def lines(self) -> Iterator[str]:
        """The table."""
        head = ("FAULT", "", "CLIENT", "RECORD", "CHARGED")
        cells: list[tuple[str, ...]] = [head]
        for name, outcome, facts in self.rows:
            short = name.partition("[")[2].removesuffix("]") if facts else name
            told = [facts.get(key, "") for key in ("client", "record", "charged")]
            cells.append((short, outcome, *told))
        widths = [max(len(row[at]) for row in cells) for at in range(len(head))]
        for row in cells:
            yield "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()


def main() -> int:
    """Run the sixteen, then the rest; 0 where all passed."""
    status = 0
    for title, arguments in (("The sixteen", [SIXTEEN]), ("The rest", [REST, f"--ignore={SIXTEEN}"])):
        table = Table()
        with redirect_stdout(io.StringIO()) as said:
            status |= int(pytest.main(["-q", "-n", "0", *arguments], plugins=[table]))
        passed = sum(outcome == "passed" for _, outcome, _ in table.rows)
        print(f"\n{title}: {passed} of {len(table.rows)} passed\n")
        print("\n".join(table.lines()), flush=True)
        if passed != len(table.rows):
            print(said.getvalue())
    return status


if __name__ == "__main__":
    sys.exit(main())
