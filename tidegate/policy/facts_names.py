"""Names, as far as capital letters tell them.

In most languages a capital inside a sentence is a name. German writes every noun so: there a word counts
unless it looks like a common noun, by its ending, its length or a list of the usual ones.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace

from tidegate.policy import facts_german
from tidegate.policy.facts_dates import MONTHS, WEEKDAYS
from tidegate.policy.facts_words import (
    FUNCTION,
    LINKING,
    TITLES,
    VERBS,
)

_WORD = re.compile(
    r"[^\W\d_](?:[^\W_]|[\u0300-\u036f]){0,60}(?:[.'\u2019&-](?=[^\W\d_])(?:[^\W_]|[\u0300-\u036f]){1,60}){0,6}"
)
_BEGINS = re.compile(
    r"(?:\A|[.!?:;\n\u2022|>#*\"\u201c\u201e\u00ab([])[\s\"'\u201c\u201e\u00ab\u00bf\u00a1*_#>()\[-]{0,8}\Z"
)
_LOOK_BACK = 10
_ENDS = ("!", "?")
_FOREIGN = re.compile(r"[yqx\u00e0-\u00e3\u00e5-\u00f5\u00f8-\u00fb]|c(?![hk])|oo|ou|ee|ai")
"""Letters that German words seldom have; what has them is rather a name, even behind an article."""
_WIDEST_GAP = 12
_SHORTEST = 3
_FEW_WORDS = 8
_IN_A_BARE_NAME = LINKING | frozenset(
    {"the", "a", "an", "and", "in", "at", "for", "der", "die", "das", "dem", "und", "im", "los"}
)
_ALL_FUNCTION = frozenset().union(*FUNCTION.values())


@dataclass(frozen=True, slots=True)
class Name:
    """Words at `text[start:end]` that look like a name; `sure` where nothing speaks against it."""

    start: int
    end: int
    words: tuple[tuple[int, int, str], ...]
    sure: bool = True


@dataclass(frozen=True, slots=True)
class _Word:
    start: int
    end: int
    text: str
    first: bool
    bare: bool

    @property
    def capital(self) -> bool:
        return self.text[0].isupper()


def language_of(text: str) -> str:
    """The language whose small words a text has most of: en, de, es or fr; empty where that says nothing."""
    words = re.findall(r"[^\W\d_]+", text[:8000].lower())
    counts = {language: sum(word in known for word in words) for language, known in FUNCTION.items()}
    best = max(counts, key=lambda language: counts[language])
    return best if counts[best] >= max(1, len(words) // 12) else ""


def names(text: str, language: str) -> list[Name]:
    """What looks like a name in a text of this language, from left to right."""
    words = list(_words(text))
    linking = facts_german.LINKING if language == "de" else LINKING
    found: list[Name] = []
    run: list[_Word] = []
    before: _Word | None = None
    for at, word in enumerate(words):
        joined = bool(run) and _joined(text, run[-1], word, linking)
        if word.capital and joined:
            run.append(word)
        elif not (joined and word.text in linking and at + 1 < len(words) and words[at + 1].capital):
            found += _name(run, before, word, language)
            before = words[at - 1] if at else None
            run = [word] if word.capital else []
    return found + _name(run, before, None, language)


def folded(word: str) -> str:
    """A word without case and accents, as names are compared."""
    if word.isascii():
        return word.lower().removesuffix("'s").strip("'.")
    plain = "".join(
        char for char in unicodedata.normalize("NFKD", word.casefold()) if not unicodedata.combining(char)
    )
    return plain.replace("\u2019", "'").removesuffix("'s").strip("'.")


def words_of(text: str) -> Iterator[tuple[int, int, str]]:
    """All words of a text with their places."""
    return ((*match.span(), match[0]) for match in _WORD.finditer(text))


def _words(text: str) -> Iterator[_Word]:
    """The words of a text; those of a stretch that is nothing but names are marked as bare."""
    stretch: list[_Word] = []
    alone = True
    for found in _WORD.finditer(text):
        start = found.start()
        if start and (text[start - 1].isalnum() or text[start - 1] in "_@/"):
            continue
        inside = text[start - 1 : start] == " " and text[start - 2 : start - 1].isalnum()
        begins = None if inside else _BEGINS.search(text, max(0, start - _LOOK_BACK), start)
        if begins and stretch:
            yield from _marked(stretch, alone=alone and begins[0].strip()[:1] not in _ENDS)
            stretch = []
            alone = ":" in begins[0]
        stretch.append(_Word(start, found.end(), found[0], begins is not None, bare=False))
    yield from _marked(stretch, alone=alone)


def _marked(stretch: list[_Word], *, alone: bool) -> Iterator[_Word]:
    """Words of one stretch, bare where it is short and holds nothing but a name."""
    bare = (
        alone
        and len(stretch) <= _FEW_WORDS
        and all(word.capital or word.text.lower() in _IN_A_BARE_NAME for word in stretch)
    )
    return (replace(word, bare=True) for word in stretch) if bare else iter(stretch)


def _joined(text: str, one: _Word, other: _Word, linking: frozenset[str]) -> bool:
    """Whether two words may belong to one name: blanks between them, or the point of an abbreviation."""
    between = text[one.end : other.start]
    short = len(one.text) == 1 or one.text.lower() in TITLES
    return len(between) <= _WIDEST_GAP and all(
        not part or part.lower() in linking for part in between.removeprefix("." if short else "").split()
    )


def _name(run: list[_Word], before: _Word | None, after: _Word | None, language: str) -> list[Name]:
    """The name that a run of capitalised words is, where it is one, by the words around it."""
    kept = [word for word in run if not _says_little(word)]
    sure = not kept or kept[0].bare or kept[0] is not run[0] or not kept[0].first
    if language == "de":
        kept = _german_name(run, kept, before, sure=sure)
    elif (
        not sure
        and len(kept) == 1
        and (len(kept[0].text) < _SHORTEST or after is None or after.text not in VERBS)
    ):
        kept = []
    if not kept:
        return []
    words = tuple((one.start, one.end, one.text) for one in kept)
    alone = len(kept) == 1 and not kept[0].bare
    doubtful = alone and (not sure or (language == "de" and not _is_foreign(kept[0])))
    return [Name(kept[0].start, kept[-1].end, words, sure=not doubtful)]


def _german_name(run: list[_Word], kept: list[_Word], before: _Word | None, *, sure: bool) -> list[_Word]:
    """Those of the words that are no common nouns; at the head of a sentence only where all are none."""
    if not sure and facts_german.is_adjective(kept[0].text):
        before, run, kept, sure = kept[0], run[1:], kept[1:], True
    proper = [word for word in kept if not _german_noun(word, before, alone=len(run) == 1)]
    return proper if sure or len(proper) == len(kept) > 1 else []


def _is_foreign(word: _Word) -> bool:
    return word.text.isupper() or _FOREIGN.search(word.text.lower()) is not None


def _says_little(word: _Word) -> bool:
    lowered = word.text.lower().rstrip(".")
    return (
        lowered in _ALL_FUNCTION
        or lowered in TITLES
        or lowered in WEEKDAYS
        or (lowered in MONTHS and len(lowered) > 2)
        or (len(word.text) == 1)
    )


def _german_noun(word: _Word, before: _Word | None, *, alone: bool) -> bool:
    """Whether a word is a common noun, by its form, or by the article or adjective before it."""
    if word.text.isupper() or "-" in word.text:
        return False
    if facts_german.is_common(word.text):
        return True
    if not alone or word.bare:
        return False
    described = before is not None and (
        before.text.lower() in facts_german.ARTICLES
        or (before.first and facts_german.is_adjective(before.text))
        or (
            before.text.endswith(facts_german.INFLECTIONS)
            and before.text.lower() not in _ALL_FUNCTION
            and not before.capital
        )
    )
    return facts_german.is_long(word.text) or (described and not _is_foreign(word))
