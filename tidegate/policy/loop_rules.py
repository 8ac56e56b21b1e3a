"""When a repetition in a run is worth a notice, and when it is stopped; and what a trip says."""

from typing import Literal

import msgspec

Sensitivity = Literal["low", "medium", "high"]
Level = Literal["notice", "enforce"]

Rule = Literal[
    "same_call",
    "same_call_again",
    "failing_call",
    "same_result",
    "cycle",
    "nothing_new",
    "same_text",
]
"""What repeats.

`same_call`: one call with one result, again and again in a row. `same_call_again`: the same among other
calls that change nothing. `failing_call`: one call in a row that fails in varying words. `same_result`:
varied calls in a row with one result. `cycle`: several steps in turn. `nothing_new`: steps that all repeat
what is known. `same_text`: the model's own words to the user, the same or nearly so.
"""


class Limits(msgspec.Struct, frozen=True):
    """From how many occurrences on a rule trips; 0 switches the level off."""

    notice: int
    enforce: int


class Thresholds(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of one sensitivity, in occurrences: 4 is the first time and three repeats.

    `same_result` is for results that bring nothing (`policy.outcome`), `same_good_result` for all others,
    which must then be equal to the letter and more than a word that something was done. Of `cycle` the
    repeated steps are counted, so that a pair of calls seen three times is 4; it is at least one more round.
    `nothing_new` counts the repeated steps in a row.
    `patience`, times the steps of a round, is added where a result says that there is something to wait for.
    """

    same_call: Limits
    same_call_again: Limits
    failing_call: Limits
    same_result: Limits
    same_good_result: Limits
    cycle: Limits
    nothing_new: Limits
    same_text: Limits
    patience: int


LOW = Thresholds(
    same_call=Limits(5, 6),
    same_call_again=Limits(6, 7),
    failing_call=Limits(7, 8),
    same_result=Limits(8, 10),
    same_good_result=Limits(10, 12),
    cycle=Limits(5, 7),
    nothing_new=Limits(9, 12),
    same_text=Limits(6, 7),
    patience=8,
)
MEDIUM = Thresholds(
    same_call=Limits(4, 4),
    same_call_again=Limits(4, 5),
    failing_call=Limits(5, 6),
    same_result=Limits(6, 7),
    same_good_result=Limits(7, 8),
    cycle=Limits(3, 4),
    nothing_new=Limits(7, 7),
    same_text=Limits(4, 5),
    patience=4,
)
HIGH = Thresholds(
    same_call=Limits(3, 3),
    same_call_again=Limits(3, 4),
    failing_call=Limits(4, 5),
    same_result=Limits(4, 5),
    same_good_result=Limits(5, 6),
    cycle=Limits(2, 3),
    nothing_new=Limits(4, 5),
    same_text=Limits(3, 4),
    patience=2,
)


class LoopRules(msgspec.Struct, frozen=True, kw_only=True):
    """All that loop detection may be told. `within` is how far back, in steps, an occurrence counts.

    `longest_cycle` is in steps. `alike_permille` is the share of common words from which on two texts are
    nearly the same.
    """

    sensitivity: Sensitivity = "medium"
    low: Thresholds = LOW
    medium: Thresholds = MEDIUM
    high: Thresholds = HIGH
    within: int = 16
    longest_cycle: int = 12
    alike_permille: int = 400

    @property
    def thresholds(self) -> Thresholds:
        """Those of the chosen sensitivity."""
        match self.sensitivity:
            case "low":
                return self.low
            case "medium":
                return self.medium
            case "high":
                return self.high


DEFAULT = LoopRules()


class Trip(msgspec.Struct, frozen=True, kw_only=True):
    """A loop that was found: which rule, how strong, and what shows it. Never text.

    `count` is what the limits of the rule are compared with, `period` the steps of one round. `calls` are the
    newest steps it rests on, by the run's tool calls counted from 0 (of a text: the call that would be next),
    `messages` those messages, `prints` the keyed hashes of call and result. It was `known_from` that call on
    that something repeated; `at` is the newest.
    """

    rule: Rule
    level: Level
    count: int
    period: int = 1
    calls: tuple[int, ...]
    messages: tuple[int, ...]
    prints: tuple[str, ...]
    known_from: int
    at: int
