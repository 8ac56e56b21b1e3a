"""How detectors look at a text that may still grow: each place is decided once, whatever pieces it comes in.

A detector names matches, and says from where on it cannot decide yet. What it decides about a place rests on
a bounded stretch around it, so that a stream is read in linear time and little of it has to be held back.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import NamedTuple

from tidegate.policy.guard import Severity

LOOK_BACK = 128
"""No decision rests on more of what came before."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What one kind of match is called. Where two begin at one place, the lower `rank` is taken."""

    kind: str
    name: str
    severity: Severity
    rank: int


Grow = Callable[[str, int, bool], tuple[int, bool]]
"""How far a match goes on from a place, and whether it ends there; the flag tells that no more text comes."""


class Match(NamedTuple):
    """A place where a rule holds; `grow` says how it goes on, `ended` whether it has come to its end."""

    start: int
    end: int
    rule: Rule
    grow: Grow | None = None
    ended: bool = True


class Sight:
    """A text as far as it is known, and what detectors see in it from `begin` on.

    What stands before `begin` has been decided, and is there to be looked back at.
    """

    def __init__(self, text: str, begin: int = 0, *, final: bool = True) -> None:
        self.text = text
        self.begin = begin
        self.final = final
        self.decided = len(text)
        self._matches: list[Match] = []
        self._lowered: str | None = None

    @property
    def lowered(self) -> str:
        """The text in lower case, of the same length."""
        if self._lowered is None:
            self._lowered = self.text.lower()
        return self._lowered

    def found(self, rule: Rule, start: int, end: int, grow: Grow | None = None) -> None:
        """Note a match that more text cannot change, but for what `grow` adds from `end` on."""
        if start >= self.begin:
            self._matches.append(Match(start, end, rule, grow))

    def undecided(self, start: int) -> None:
        """Note that a match may begin at `start`, or later, that only more text can tell."""
        if not self.final:
            self.decided = min(self.decided, max(start, self.begin))

    def keep(self, kinds: Collection[str]) -> None:
        """Forget matches of other kinds."""
        self._matches = [match for match in self._matches if match.rule.kind in kinds]

    def matches(self) -> list[Match]:
        """What is decided, the leftmost first, then by rank: none overlaps, none follows one that goes on."""
        taken: list[Match] = []
        at = self.begin
        for match in sorted(self._matches, key=lambda one: (one.start, one.rule.rank)):
            if at <= match.start < self.decided:
                taken.append(self._grown(match))
                at = taken[-1].end
                if not taken[-1].ended:
                    break
        return taken

    def _grown(self, match: Match) -> Match:
        """The match with all that belongs to it; only for those taken, so that none is walked twice."""
        if match.grow is None:
            return match
        end, ended = match.grow(self.text, match.end, self.final)
        return match._replace(end=end, ended=ended)


Detector = Callable[[Sight], None]


def going_on(kept: str) -> Grow:
    """A match that goes on over these characters, as a regular expression's set names them."""
    run = re.compile(f"[{kept}]*+")

    def grow(text: str, at: int, final: bool) -> tuple[int, bool]:  # noqa: FBT001
        found = run.match(text, at)
        assert found is not None
        return found.end(), final or found.end() < len(text)

    return grow
