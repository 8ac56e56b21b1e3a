"""Where the money goes inside a call: system prompt, tools, history, tool results, last turn, output.

What a call's input cost is shared out by the tokens that each part of the request was measured to have
(estimates, made before the call). Every input token is taken to have cost the same, whether it was read from
a cache or not: nobody says which part of a request a cache held.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from tidegate.control.cells import Priced, shared_out
from tidegate.model.usage import INPUT_BUCKETS, TOKEN_BUCKETS
from tidegate.stores.sqlite.period_queries import PARTS

PLACES = (*PARTS, "input_unmeasured", "output", "other")
"""`input_unmeasured` is the input of requests without a measure, `other` are searches and fees of a call."""

_INPUT = slice(0, len(INPUT_BUCKETS))
_OUTPUT = slice(len(INPUT_BUCKETS), len(TOKEN_BUCKETS))
_OTHER = slice(len(TOKEN_BUCKETS), None)


@dataclass(frozen=True, slots=True)
class Inside:
    """One line: what it cost in nano-units, and the same by `PLACES`; those add up to it exactly."""

    cost_nano: int
    attempts: int
    places: tuple[int, ...]


def inside(cost_nano: int, priced: Iterable[Priced]) -> Inside:
    """Return where a line's money went."""
    weights, attempts = [Fraction(0)] * len(PLACES), 0
    for one in priced:
        attempts += one.cell.attempts
        amounts = [count * rate for count, rate in zip(one.cell.units, one.rates, strict=True)]
        of_input, measured = sum(amounts[_INPUT], Fraction(0)), sum(one.cell.parts)
        for at, tokens in enumerate(one.cell.parts):
            weights[at] += of_input * tokens / measured if measured else 0
        weights[len(PARTS)] += 0 if measured else of_input
        weights[-2] += sum(amounts[_OUTPUT], Fraction(0))
        weights[-1] += sum(amounts[_OTHER], Fraction(0))
    return Inside(cost_nano, attempts, tuple(shared_out(cost_nano, weights)))


def together(lines: Iterable[Inside]) -> Inside:
    """Return the sum of several lines."""
    listed = list(lines)
    places = tuple(sum(line.places[at] for line in listed) for at in range(len(PLACES)))
    return Inside(sum(line.cost_nano for line in listed), sum(line.attempts for line in listed), places)
