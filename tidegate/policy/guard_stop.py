"""The stop list: words and phrases that an operator will not have in a text, however they are spelled.

Compared without case, in Unicode's compatibility form, with hidden characters passed over and look-alikes
read as Latin letters; only whole words count. Chinese, Japanese and Korean write no blanks: each character is
a word there.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from tidegate.model.errors import ConfigError
from tidegate.policy.guard import Finding, Guard, GuardContext, Severity
from tidegate.policy.guard_fold import fold
from tidegate.policy.guard_sight import Detector, Rule, Sight
from tidegate.policy.guard_stream import scan

KIND = "stop"
LONGEST_ENTRY = 200
LONGEST_GAP = 4
"""So many characters may stand between the words of a phrase."""
FEW_WORDS = 64
_STRETCH = 1024
"""So much of a text is asked at once whether a listed word may stand in it, and walked word by word if so."""

_SINGLE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3"
_MARKS = "\u0300-\u036f"
_WORD = re.compile(
    rf"[{_SINGLE}]|(?<![^\W_{_SINGLE}])(?<![{_MARKS}])(?:[^\W_{_SINGLE}]|[{_MARKS}])++",
)


@dataclass(slots=True)
class _Node:
    """How phrases go on after the words that led here; `rule` is of the phrase that ends here."""

    after: dict[str, "_Node"] = field(default_factory=dict)
    rule: Rule | None = None


def stop_list(entries: Sequence[str]) -> Detector:
    """A detector of these words and phrases; rules are called by their place in the list, from `stop/1` on.

    Its time does not depend on how many there are. Raises ConfigError for one that is empty or too long.
    """
    root = _Node()
    longest = 0
    for number, entry in enumerate(entries, 1):
        words = _words(fold(entry).text.lower())
        if not words or len(entry) > LONGEST_ENTRY:
            raise ConfigError(
                f"entry {number} of the stop list needs a letter or digit, and at most 200 characters"
            )
        node = root
        for word in words:
            node = node.after.setdefault(word, _Node())
        node.rule = node.rule or Rule(KIND, f"{KIND}/{number}", Severity.HIGH, rank=0)
        longest = max(longest, *map(len, words))

    firsts = frozenset(root.after)

    def detect(sight: Sight) -> None:
        for start in range(sight.begin, len(sight.text), _STRETCH):
            end = start + _STRETCH
            if _may_hold(sight.lowered[start : end + longest], firsts):
                for word in takewhile(lambda one: one.start() < end, _WORD.finditer(sight.lowered, start)):  # noqa: B023
                    _phrase(sight, word, root, longest)
        _hold_back(sight, longest)

    return detect


def stop_guard(entries: Sequence[str]) -> Guard:
    """A guard for whole texts that looks for these words and phrases."""
    detect = stop_list(entries)

    def guard(text: str, context: GuardContext) -> tuple[Finding, ...]:
        return scan(text, detect, digest_key=context.digest_key)

    return guard


def _words(lowered: str) -> list[str]:
    """The words of a text in lower case, as they are compared."""
    words = _WORD.findall(lowered)
    return words if lowered.isascii() else list(map(_compared, words))


def _compared(word: str) -> str:
    return word if word.isascii() else unicodedata.normalize("NFKD", word.casefold())


def _may_hold(lowered: str, firsts: frozenset[str]) -> bool:
    """Whether one of these words may stand in a text: quick to tell where there are few."""
    if len(firsts) > FEW_WORDS:
        return not firsts.isdisjoint(_words(lowered))
    compared = _compared(lowered)
    return any(word in compared for word in firsts)


def _phrase(sight: Sight, word: re.Match[str], root: _Node, longest: int) -> None:
    """Note the longest phrase that begins with this word."""
    text = sight.lowered
    start, end = word.span()
    found: tuple[Rule, int] | None = None
    node = root.after.get(_compared(word[0]))
    while node is not None:
        if node.rule is not None:
            found = (node.rule, end)
        if not node.after:
            break
        following = _next_word(text, end)
        if following is None:
            if len(text) - end <= LONGEST_GAP:
                sight.undecided(start)
            break
        end = following.end()
        if end == len(text) and len(following[0]) <= longest:
            sight.undecided(start)
        node = node.after.get(_compared(following[0]))
    if found is not None:
        sight.found(found[0], start, found[1])


def _next_word(text: str, at: int) -> re.Match[str] | None:
    near = _WORD.search(text, at, at + LONGEST_GAP + 1)
    return near and _WORD.match(text, near.start())


def _hold_back(sight: Sight, longest: int) -> None:
    """Leave the last word undecided, while it is no longer than any listed."""
    for word in _WORD.finditer(sight.lowered, max(sight.begin, len(sight.text) - longest - 1)):
        if word.end() == len(sight.text) and len(word[0]) <= longest:
            sight.undecided(word.start())
