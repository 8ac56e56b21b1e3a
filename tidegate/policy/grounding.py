"""The grounding check: what an answer states and its context does not hold.

Numbers, dates, names, links and marks (`INV-4712`) of the answer are looked for in the context, each compared
as what it means: `1.234` as 1,234, "four" as 4, a year within a full date, a name in another case. It tells
what stands nowhere; whether what stands there is said of the right thing, it cannot tell.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tidegate.policy import facts_german
from tidegate.policy.facts_dates import Date, dates
from tidegate.policy.facts_links import links, marks
from tidegate.policy.facts_names import Name, folded, language_of, names
from tidegate.policy.facts_numbers import LANGUAGES_OF_WORDS, ORDINAL, Number, numbers
from tidegate.policy.guard import Finding, GuardContext, Severity, digest_of
from tidegate.policy.guard_fold import fold

KIND = "ungrounded"
MOST_FINDINGS = 200
"""An answer with more is not looked at further."""
_SHORTEST_STEM = 4
_LONG_STEM = 6
_LONGEST_ENDING = 4
_LONGEST_INITIALS = 6
_LONGEST_LINK = 2048
_LEFT_OUT, _ELSEWHERE = -1, -2
_SAYS_NOTHING = frozenset({"0", "1", "1th", "2th"})
"""What these say in words is often no number: "one of them", "first of all", "a second"."""
_WORDS = re.compile(r"(?:[^\W_]|[\u0300-\u036f]){1,80}")


@dataclass(frozen=True, slots=True)
class Given:
    """What a context holds, ready to be asked; made once for all answers that rest on it.

    `dates` has each date of the context in every way that an answer may give it: `_LEFT_OUT` where the answer
    does not say, `_ELSEWHERE` where the context's date does not. `stems` are what words begin with, `roots`
    those of them that lack only an ending.
    """

    numbers: frozenset[str]
    dates: frozenset[tuple[int, int, int]]
    words: frozenset[str]
    stems: frozenset[str]
    roots: frozenset[str]
    initials: frozenset[str]
    links: frozenset[str]
    marks: frozenset[str]
    language: str


def given(context: str) -> Given:
    """Read a context."""
    text = fold(context).text
    written = _WORDS.findall(text)
    words = frozenset(map(folded, written))
    stems = {word[:size] for word in words for size in range(_SHORTEST_STEM, len(word) + 1)}
    roots = {
        word[:size]
        for word in words
        for size in range(max(_SHORTEST_STEM, len(word) - _LONGEST_ENDING), len(word) + 1)
    }
    found_dates = dates(text)
    values = {value for one in numbers(text) for value in one.values | one.parts}
    values |= {str(part) for one in found_dates for part in (one.year, one.day) if part is not None}
    initials = "".join(word[0] for word in written if word[0].isupper())
    return Given(
        frozenset(values),
        frozenset(
            way
            for one in found_dates
            for year, month, day in one.readings()
            for way in _ways(year, month, day)
        ),
        words,
        frozenset(stems),
        frozenset(roots),
        frozenset(
            initials[at : at + size]
            for size in range(2, _LONGEST_INITIALS + 1)
            for at in range(len(initials))
        ),
        frozenset(start for *_, link in links(text) for start in _starts(link)),
        frozenset(mark for *_, mark in marks(text)),
        language_of(text),
    )


def _ways(year: int | None, month: int, day: int | None) -> Iterator[tuple[int, int, int]]:
    for one in (_LEFT_OUT, year or _ELSEWHERE):
        for other in (_LEFT_OUT, day or _ELSEWHERE):
            yield one, month, other


def _starts(link: str) -> Iterator[str]:
    """A link and each part of it that ends before a slash."""
    yield link
    yield from (link[: slash.start()] for slash in re.finditer("/", link[:_LONGEST_LINK]))


def ungrounded(answer: str, context: str | Given, *, digest_key: bytes) -> tuple[Finding, ...]:
    """What the answer states that stands nowhere in the context, in order."""
    known = given(context) if isinstance(context, str) else context
    view = fold(answer)
    text = view.text
    taken = bytearray(len(text))
    found: list[Finding] = []
    for what, start, end, missing, severity in _claims(text, known):
        if any(taken[start:end]):
            continue
        taken[start:end] = b"1" * (end - start)
        if missing:
            raw = (view.start(start), view.end(end))
            digest = digest_of(digest_key, folded(text[start:end]))
            counts = (("characters", raw[1] - raw[0]), ("missing", missing))
            found.append(Finding(KIND, f"{KIND}/{what}", *raw, severity, digest, counts))
        if len(found) == MOST_FINDINGS:
            break
    return tuple(sorted(found, key=lambda one: one.start))


def grounding_guard(text: str, context: GuardContext) -> tuple[Finding, ...]:
    """A guard: what a reply states that the text it is to rest on does not; nothing where none is given."""
    return ungrounded(text, context.given, digest_key=context.digest_key) if context.given else ()


def _claims(text: str, known: Given) -> Iterator[tuple[str, int, int, int, Severity]]:
    """Each thing that the text states, the more exact first: what, where, how much of it is missing."""
    for start, end, link in links(text):
        yield "link", start, end, int(link not in known.links), Severity.HIGH
    for date in dates(text):
        yield "date", date.start, date.end, int(not _has_date(known, date)), Severity.MEDIUM
    for start, end, mark in marks(text):
        yield "mark", start, end, int(mark not in known.marks and not _has_word(known, mark)), Severity.MEDIUM
    language = known.language or language_of(text)
    spoken = (language,) if language in LANGUAGES_OF_WORDS else ()
    for number in numbers(text, spoken):
        if not _says_nothing(number):
            yield "number", number.start, number.end, int(not _has_number(known, number)), Severity.MEDIUM
    for name in names(text, language):
        missing = [word for word in name.words if not _has_name(known, word[2])]
        yield "name", *_stretch(name, missing), len(missing), Severity.MEDIUM if name.sure else Severity.LOW


def _stretch(name: Name, missing: list[tuple[int, int, str]]) -> tuple[int, int]:
    return (missing[0][0], missing[-1][1]) if missing else (name.start, name.end)


def _says_nothing(number: Number) -> bool:
    return number.word and number.values <= _SAYS_NOTHING


def _has_number(known: Given, number: Number) -> bool:
    counted = {value.removesuffix(ORDINAL) for value in number.values}
    if not known.numbers.isdisjoint(number.values | counted):
        return True
    return number.several and number.parts <= known.numbers


def _has_date(known: Given, date: Date) -> bool:
    """Whether a date of the context agrees in all that both give, and the rest stands elsewhere in it."""
    return any(
        (one, month, other) in known.dates
        for year, month, day in date.readings()
        for one in _options(known, year)
        for other in _options(known, day)
    )


def _options(known: Given, part: int | None) -> tuple[int, ...]:
    if part is None:
        return (_LEFT_OUT,)
    return (part, _ELSEWHERE) if str(part) in known.numbers else (part,)


def _has_name(known: Given, word: str) -> bool:
    """Whether a word of a name stands there: whole, in parts, with another ending, or as initials."""
    if word.isupper() and word in known.initials:
        return True
    parts = re.split(r"[-.&'\u2019]", word)
    telling = [part for part in parts if part[:1].isupper() and not _says_little(known, part, of=len(parts))]
    return all(_has_word(known, folded(part)) for part in telling)


def _says_little(known: Given, part: str, *, of: int) -> bool:
    """Whether a part of a joined word is a common noun of German, as in `NASA-Gruppe`."""
    return of > 1 and known.language == "de" and facts_german.is_common(part)


def _has_word(known: Given, word: str) -> bool:
    """Whether a word stands there, with another ending, within a longer word or around a shorter one."""
    if word in known.words or word.removesuffix("s") in known.words or word + "s" in known.words:
        return True
    size = len(word)
    shortest = max(_SHORTEST_STEM, size - _LONGEST_ENDING)
    another_ending = word in known.roots or any(
        word[:end] in (known.words if end == _SHORTEST_STEM else known.roots) for end in range(shortest, size)
    )
    part_of_a_longer = size > _LONG_STEM - 1 and word in known.stems
    return (
        another_ending
        or part_of_a_longer
        or any(word[:end] in known.words for end in range(_LONG_STEM, size))
    )
