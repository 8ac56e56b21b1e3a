"""Shares of a count, with the interval that their number allows."""

from dataclasses import dataclass
from typing import Any

from benchmarks.wilson import wilson


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `of`."""

    hits: int
    of: int

    @property
    def interval(self) -> tuple[float, float]:
        """The Wilson 95% interval (E. B. Wilson, 1927); everything where nothing was counted."""
        return wilson(self.hits, self.of)

    def __str__(self) -> str:
        low, high = self.interval
        share = f"{100 * self.hits / self.of:.1f}%" if self.of else "-"
        return f"{self.hits} of {self.of} ({share}, 95% {100 * low:.1f} to {100 * high:.1f}%)"

    def as_json(self) -> dict[str, Any]:
        """The share and its interval, for a file."""
        low, high = self.interval
        share = self.hits / self.of if self.of else None
        return {"hits": self.hits, "of": self.of, "share": share, "low": low, "high": high}
