"""Shares of a count, with the interval that their number allows."""

from dataclasses import dataclass
from math import sqrt
from typing import Any

Z = 1.959964
"""The normal quantile of a two-sided 95% interval."""


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `of`."""

    hits: int
    of: int

    @property
    def interval(self) -> tuple[float, float]:
        """The Wilson 95% interval (E. B. Wilson, 1927); everything where nothing was counted."""
        if not self.of:
            return 0.0, 1.0
        p, n = self.hits / self.of, self.of
        middle = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
        half = Z / (1 + Z * Z / n) * sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
        return max(0.0, middle - half), min(1.0, middle + half)

    def __str__(self) -> str:
        low, high = self.interval
        share = f"{100 * self.hits / self.of:.1f}%" if self.of else "-"
        return f"{self.hits} of {self.of} ({share}, 95% {100 * low:.1f} to {100 * high:.1f}%)"

    def as_json(self) -> dict[str, Any]:
        """The share and its interval, for a file."""
        low, high = self.interval
        share = self.hits / self.of if self.of else None
        return {"hits": self.hits, "of": self.of, "share": share, "low": low, "high": high}
