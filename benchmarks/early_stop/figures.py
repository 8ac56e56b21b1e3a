"""Figures with their intervals: shares (Wilson) and quantiles (by order statistics), at 95%."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.wilson import Z, wilson


class Share(NamedTuple):
    """`hits` of `count`, with Wilson's 95% interval."""

    hits: int
    of: int

    @property
    def interval(self) -> tuple[float, float]:
        """The interval; all of 0 to 1 where nothing was counted."""
        return wilson(self.hits, self.of)

    def as_json(self) -> dict[str, object]:
        """For a report."""
        share = self.hits / self.of if self.of else None
        return {"hits": self.hits, "count": self.of, "share": share, "interval": list(self.interval)}

    def text(self) -> str:
        """For a table."""
        below, above = self.interval
        return f"{self.hits:,} of {self.of:,} ({below:.2%} to {above:.2%})"


class Quantile(NamedTuple):
    """A quantile of whole numbers and the order statistics that hold it with 95%."""

    value: int
    below: int
    above: int

    def text(self) -> str:
        """For a table."""
        return f"{self.value:,} ({self.below:,} to {self.above:,})"


def quantile(values: Sequence[int], share: float) -> Quantile | None:
    """The quantile; None where there is nothing to take it of."""
    if not values:
        return None
    ordered, count = sorted(values), len(values)
    width = Z * math.sqrt(count * share * (1 - share))
    places = (count * share, count * share - width, count * share + width)
    value, below, above = (ordered[min(count - 1, max(0, int(place)))] for place in places)
    return Quantile(value, below, above)
