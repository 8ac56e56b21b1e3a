"""Lines, sentences and list items that stood before, in whatever order they come back."""

import re
from zlib import crc32

from tidegate.policy.watch_counts import Counts, Quiet
from tidegate.policy.watch_rules import Found, Rule, WatchRules

STALE = 4
NEW, NEW_CHAR = 200.0, 4.0
"""So many stale characters a new line pays for, and so many more for each of its own."""
GENERATION = 512
SLOTS = 2_048
MAX_LINE_CHARS = 512
LABEL_LETTERS = 16
"""An item with fewer is a label (`positive`, `yes`): a long row of them may be the answer."""
NO_ITEM_LETTERS = 4
"""A bracket, a number, a letter to choose: neither old nor new."""

_END = re.compile(r"\n|(?<!\d)[.!?;:,](?=\s)|(?<=[\u3002\uff01\uff1f\u3001])")
_MARK = re.compile(r"[\s*_#>+•-]*(?:\(?(?:\d{1,9}|[a-zA-Z])[.):])?[\s*_]*")
"""What numbers or sets off an item; it tells nothing new."""
_LETTERS = re.compile(r"[^\W\d_]")


class Lines:
    """Follows the lines of one channel, step by step."""

    __slots__ = ("_counts", "_marked", "_quiet", "_rest", "_rules")

    def __init__(self, rules: WatchRules) -> None:
        self._rules = rules
        self._counts = Counts(SLOTS, GENERATION)
        self._quiet = Quiet()
        self._rest = ""
        self._marked = 0

    def step(self, text: str, end: int, weight: float) -> Found | None:
        """Take the next characters, which end at `end` of the channel, each worth `weight`."""
        *lines, rest = _END.split(self._rest + text)
        at = end - len(text) - len(self._rest)
        self._rest = rest if len(rest) <= MAX_LINE_CHARS else ""
        for line in lines:
            self._line(line, at, weight)
            at += len(line) + 1
        quiet, rules = self._quiet, self._rules
        if quiet.length < rules.line_chars or quiet.stale < rules.line_count:
            return None
        unit = quiet.unit_chars or (end - quiet.start)
        start = max(0, quiet.start - STALE * unit)
        rule: Rule = "endless_list" if self._marked * 2 > quiet.stale else "repeated_lines"
        return Found(rule, start, unit, (end - start) // unit)

    def _line(self, line: str, at: int, weight: float) -> None:
        mark = _MARK.match(line)
        marked = mark.end() if mark else 0
        item = line[marked:].rstrip()
        letters = len(_LETTERS.findall(item))
        if letters < NO_ITEM_LETTERS:
            return
        hashed, quiet = crc32(item.encode("utf-8", "replace")), self._quiet
        before = self._counts.seen(hashed)
        if not before:
            quiet.take(NEW + NEW_CHAR * len(item))
        elif before >= STALE:
            if not quiet.length:
                self._marked = 0
            if letters < LABEL_LETTERS:
                weight /= self._rules.label_sparing if weight == 1.0 else 2
            quiet.add((len(line) + 1) * weight, hashed, at)
            self._marked += not line[:marked].isspace() and marked > 0
