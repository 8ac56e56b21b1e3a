"""Drifting repeats: every few words stood before, and the numbers between them follow from the last ones.

Four words in a row are looked at, with numbers masked. Where they have stood `STALE` times among the last one
to two thousand words they are stale; in prose that says something nine in ten are new. What is new pays for
stale characters: words where they begin to be new `NEW`, the next ones `NEXT_NEW`, a number that does not
follow from an earlier one `DIGIT` a digit. So a log or a table with measured values goes on for ever, and a
diary whose date alone moves does not.
"""

import re
from zlib import crc32

from tidegate.policy.watch_counts import Counts, Quiet
from tidegate.policy.watch_rules import Found, WatchRules

STALE = 4
NEW = 120.0
NEXT_NEW = 10.0
DIGIT = 20.0
FALLING_DIGIT = 60.0
"""Counting down comes to an end by itself."""
OF_LABELS = 0.34
"""Where a stale character counts less than in prose, so does what pays for it, though not by as much."""
GENERATION = 1_280
SLOTS = 8_192
MAX_CONTEXTS = 256
MAX_COLUMNS = 64
"""A number's place is told by the words before it, and by which one of its line it is."""

_TOKEN = re.compile(
    rb"\n"
    rb"|[0-9]{1,18}"
    rb"|[\xe3-\xed][\x80-\xbf]{2}"  # a character of a script without spaces
    rb"|\xf0[\x80-\xbf]{3}"  # an emoji
    rb"|(?:[A-Za-z]|[\xc3-\xdf][\x80-\xbf]|\xe0[\x80-\xbf]{2}|\xe1[\x80-\xbf]{2}){1,24}"
)
_UNFINISHED = re.compile(r"[^\W_]{1,24}\Z")
_NUMBER = 0x9E3779B1


class Words:
    """Follows the words of one channel, step by step."""

    __slots__ = (
        "_a",
        "_b",
        "_c",
        "_column",
        "_counts",
        "_new",
        "_numbers",
        "_plain",
        "_quiet",
        "_rest",
        "_rules",
    )

    def __init__(self, rules: WatchRules) -> None:
        self._rules = rules
        self._counts = Counts(SLOTS, GENERATION)
        self._quiet, self._plain = Quiet(), Quiet()
        self._numbers: dict[int, tuple[int, int]] = {}
        self._rest = ""
        self._a = self._b = self._c = 0
        self._new = False
        self._column = 0

    def step(self, text: str, end: int, weight: float) -> Found | None:
        """Take the next characters, which end at `end` of the channel, each worth `weight`."""
        text = self._rest + text
        cut = _UNFINISHED.search(text)
        self._rest = cut[0] if cut and cut.start() else ""
        raw = text[: len(text) - len(self._rest)].encode("utf-8", "replace")
        tokens = _TOKEN.findall(raw)
        if not tokens:
            return None
        at = end - len(text)
        worth = _worth(tokens, len(raw)) * weight
        counted = self._take(tokens, worth, at, 1.0 if weight == 1.0 else OF_LABELS)
        self._count(counted, len(raw), at)
        return self._verdict(end, counting=counted > 0)

    def _take(self, tokens: list[bytes], worth: float, at: int, cost: float) -> int:
        """Count each token; return how many numbers there were if there were no words and all followed."""
        a, b, c, new = self._a, self._b, self._c, self._new
        seen, quiet, numbers, words = self._counts.seen, self._quiet, 0, 0
        for token in tokens:
            if token == b"\n":
                self._column = 0
                continue
            frame = 31 * c + 961 * b + 29_791 * a
            hashed = crc32(token)
            if 48 <= token[0] <= 57:
                stood = seen(hashed + frame) >= STALE
                news = self._news(frame, token)
                if self._column < MAX_COLUMNS:
                    self._column += 1
                    news = min(news, self._news(self._column, token))
                if stood or not news:
                    numbers += 1
                else:
                    words += 1
                    quiet.take(news * cost)
                hashed = _NUMBER
            else:
                words += 1
            before = seen(hashed + frame)
            if before >= STALE:
                quiet.add(worth, hashed + frame, at)
            elif not before:
                quiet.take((NEXT_NEW if new else NEW) * cost)
            new = not before
            a, b, c = b, c, hashed
        self._a, self._b, self._c, self._new = a, b, c, new
        return 0 if words else numbers

    def _news(self, context: int, token: bytes) -> float:
        """What a number pays for: nothing if it is the last one in this place, one more, or as far up again.

        One that falls pays most: counting down comes to an end by itself.
        """
        value, numbers = int(token), self._numbers
        last = numbers.get(context)
        if last is None:
            if len(numbers) >= MAX_CONTEXTS:
                numbers.clear()
            numbers[context] = (value, 0)
            return DIGIT * len(token)
        step = value - last[0]
        numbers[context] = (value, step)
        if 0 <= step <= 1 or 0 < step == last[1]:
            return 0.0
        return (DIGIT if step > 0 else FALLING_DIGIT) * len(token)

    def _count(self, counted: int, size: int, at: int) -> None:
        if counted:
            self._plain.add(size, _NUMBER, at)
            self._plain.stale += counted - 1
        else:
            self._plain.take(self._plain.length)

    def _verdict(self, end: int, *, counting: bool) -> Found | None:
        rules = self._rules
        if self._plain.length >= rules.count_chars:
            start = self._plain.start
            return Found("endless_list", start, (end - start) // self._plain.stale, self._plain.stale)
        quiet = self._quiet
        if counting or quiet.length < rules.drift_chars:
            return None
        unit = quiet.unit_chars or (end - quiet.start)
        start = max(0, quiet.start - STALE * unit)
        return Found("drifting_repeat", start, unit, (end - start) // unit)


def _worth(tokens: list[bytes], size: int) -> float:
    """What each token, line ends too, is worth: half where many are numbers, nothing without a word."""
    numbers, words = sum(map(bytes.isdigit, tokens)), len(tokens) - tokens.count(b"\n")
    if numbers == words:
        return 0.0
    return size / len(tokens) * (0.5 if numbers * 5 >= words * 2 else 1.0)
