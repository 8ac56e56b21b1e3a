"""Made runs put to the rules: how many loops are found in time, and how many others are taken for one."""

from dataclasses import dataclass
from random import Random

from benchmarks.loops.dialects import SURFACES, requests
from benchmarks.loops.made import LOOPS, MOVING, REPEATS, loop, moving
from benchmarks.loops.replay import seen
from benchmarks.loops.shares import Share
from tidegate.policy.loop_rules import LoopRules


@dataclass(frozen=True, slots=True)
class Trial:
    """One kind in one dialect: at notice and at enforcing."""

    kind: str
    surface: str
    notice: Share
    enforce: Share


def loops_found(rules: LoopRules, runs: int, seed: int) -> list[Trial]:
    """Return how many made loops trip within `REPEATS` repeats, and not before they begin."""
    trials: list[Trial] = []
    for kind in LOOPS:
        for surface in SURFACES:
            notice = enforce = 0
            for number in range(runs):
                made = loop(kind, Random(f"{seed} {kind} {surface} {number}"))
                last = made.first + made.period * (REPEATS + 1)
                if kind.startswith("nothing new"):
                    last = len(made.acts)
                levels = {
                    trip.level
                    for at, request in enumerate(seen(requests(made.acts, surface), surface, rules))
                    if made.first < at < last
                    for trip in request.trips
                }
                notice += bool(levels)
                enforce += "enforce" in levels
            trials.append(Trial(kind, surface, Share(notice, runs), Share(enforce, runs)))
    return trials


def others_tripped(rules: LoopRules, runs: int, seed: int) -> list[Trial]:
    """Return how many made runs that move on trip at any point."""
    trials: list[Trial] = []
    for kind in MOVING:
        for surface in SURFACES:
            levels = [
                {
                    trip.level
                    for request in seen(
                        requests(moving(kind, Random(f"{seed} {kind} {surface} {number}")).acts, surface),
                        surface,
                        rules,
                    )
                    for trip in request.trips
                }
                for number in range(runs)
            ]
            notice, enforce = sum(map(bool, levels)), sum("enforce" in one for one in levels)
            trials.append(Trial(kind, surface, Share(notice, runs), Share(enforce, runs)))
    return trials
