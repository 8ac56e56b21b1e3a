"""What a run gave: samples by round, their medians, and the machine they hold for."""

import os
import platform
import statistics
import subprocess
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import tidegate
from benchmarks.scenarios import Effort, Figures


@dataclass(slots=True)
class Results:
    """Samples of one run. A scenario is a name such as `closed 1 kB` or `streams 50`."""

    effort: Effort
    began: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    samples: dict[tuple[str, str], list[Figures]] = field(default_factory=dict)
    ready_s: dict[str, dict[str, float]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    load: float = field(default_factory=lambda: os.getloadavg()[0])

    def add(self, scenario: str, peer: str, figures: Figures) -> None:
        """Keep one sample."""
        self.samples.setdefault((scenario, peer), []).append(figures)

    @property
    def peers(self) -> list[str]:
        """Who was measured, in order."""
        return list(dict.fromkeys(peer for _, peer in self.samples))

    def median(self, scenario: str, peer: str, figure: str) -> float | None:
        """The median over the rounds; None where it was not measured."""
        found = self.samples.get((scenario, peer), [])
        values = [sample[figure] for sample in found if figure in sample]
        return statistics.median(values) if values else None

    def added(self, scenario: str, peer: str, figure: str) -> float | None:
        """The median of what the peer adds to the direct way of the same round."""
        pairs = zip(
            self.samples.get((scenario, peer), []), self.samples.get((scenario, "direct"), []), strict=False
        )
        values = [through[figure] - direct[figure] for through, direct in pairs]
        return statistics.median(values) if values else None

    def as_json(self) -> dict[str, Any]:
        """Everything, for a file."""
        rows = [
            {
                "scenario": scenario,
                "peer": peer,
                "median": {name: self.median(scenario, peer, name) for name in rounds[0]},
                "rounds": rounds,
            }
            for (scenario, peer), rounds in self.samples.items()
        ]
        return {
            "began": self.began,
            "load_before": self.load,
            "machine": machine(),
            "versions": versions(),
            "effort": asdict(self.effort),
            "ready_s": self.ready_s,
            "skipped": self.skipped,
            "figures": rows,
        }


def machine() -> dict[str, Any]:
    """The machine's kind; nothing that names it."""
    return {
        "cores": os.cpu_count(),
        "architecture": platform.machine(),
        "system": platform.system(),
        "kernel": ".".join(platform.release().split(".")[:2]),
        "processor": _processor(),
    }


def versions() -> dict[str, str]:
    """The versions that figures depend on."""
    found = {
        "tidegate": tidegate.__version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }
    try:
        said = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=False).stderr
        found["nginx"] = said.strip().rpartition("/")[2]
    except OSError:
        pass
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
