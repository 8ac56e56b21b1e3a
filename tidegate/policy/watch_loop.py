"""Loops to the letter: one stretch of up to 1,600 characters again and again."""

from tidegate.policy.watch_rules import Found, WatchRules
from tidegate.policy.watch_shape import Shape, shape_of

MAX_UNIT_CHARS = 1_600
"""200 tokens of any language are shorter."""
TAILS = (24, 96)
"""How much of the end must have stood before for its distance to be tried as a period. The longer one passes
over what also repeats inside a unit."""
KEPT_CHARS = MAX_UNIT_CHARS + 256


class Loop:
    """Follows the one period that the end of a text may have.

    While a period holds, a step costs one comparison; otherwise two searches in the last `KEPT_CHARS`.
    """

    __slots__ = ("_period", "_rules", "_same", "_shape")

    def __init__(self, rules: WatchRules) -> None:
        self._rules = rules
        self._period = 0
        self._same = 0
        self._shape: Shape = "prose"

    def step(self, window: str, size: int, end: int) -> Found | None:
        """Take the last `size` characters of `window`, which end at `end` of the channel."""
        period = self._period
        if period and window[-size:] == window[-size - period : -period]:
            self._same += size
        else:
            self._search(window)
            period = self._period
            if not period:
                return None
        run = self._same + period
        if run < self._rules.loop_chars or not self._is_enough(run, run // period):
            return None
        return Found("repeated_text", end - run, period, run // period)

    def _search(self, window: str) -> None:
        """Find the period that reaches back furthest; 0 where the end never stood before."""
        self._period = self._same = 0
        last = len(window)
        for tail in TAILS:
            at = window.rfind(window[-tail:], max(0, last - MAX_UNIT_CHARS - tail), last - 1)
            if at < 0:
                break
            period = last - tail - at
            if 0 < period != self._period and (same := _same_chars(window, period)) > self._same:
                self._period, self._same = period, same
        if self._period:
            self._shape = shape_of(window[-self._period :])

    def _is_enough(self, run: int, repeats: int) -> bool:
        rules = self._rules
        match self._shape:
            case "prose":
                return repeats >= rules.loop_repeats
            case "code":
                return run >= rules.code_chars and repeats >= rules.code_repeats
            case _:
                return run >= (rules.code_chars if repeats >= rules.value_repeats else rules.value_chars)


def _same_chars(window: str, period: int) -> int:
    """How many characters at the end equal those one period before."""
    low, high = 0, len(window) - period
    while low < high:
        middle = (low + high + 1) // 2
        if window[-middle:] == window[-middle - period : -period]:
            low = middle
        else:
            high = middle - 1
    return low
