"""What two prompts must share to be one question: numbers, dates, names, marks, links and negations."""

from tidegate.policy.facts_dates import dates
from tidegate.policy.facts_links import links, marks
from tidegate.policy.facts_names import folded, language_of, words_of
from tidegate.policy.facts_numbers import numbers
from tidegate.policy.facts_words import FUNCTION, NEGATIONS
from tidegate.policy.guard_fold import fold

_SMALL = frozenset().union(*FUNCTION.values())


def entities(text: str) -> tuple[str, ...]:
    """The entities of a text, each written in one way, sorted, every one as often as it stands there.

    Two texts with different entities are different questions, however near they are ("invoice 4711", "invoice
    4712"). Rather too many than too few: in German every noun counts. A name in small letters is not seen.
    """
    read = fold(text).text
    taken = bytearray(len(read))
    found: list[str] = []

    def take(start: int, end: int, entity: str) -> None:
        if not any(taken[start:end]):
            taken[start:end] = b"1" * (end - start)
            found.append(entity)

    for start, end, link in links(read):
        take(start, end, f"link:{link}")
    for date in dates(read):
        take(date.start, date.end, "date:" + "/".join(map(_written, sorted(date.readings(), key=str))))
    for start, end, mark in marks(read):
        take(start, end, f"id:{mark}")
    language = language_of(read)
    for number in numbers(read, (language,) if language else ()):
        take(number.start, number.end, "number:" + "|".join(sorted(number.values)))
    for start, end, word in words_of(read):
        lowered = word.lower()
        if lowered in NEGATIONS:
            take(start, end, "not")
        elif word[0].isupper() and lowered not in _SMALL:
            take(start, end, f"name:{folded(word)}")
    return tuple(sorted(found))


def _written(reading: tuple[int | None, int, int | None]) -> str:
    year, month, day = reading
    return f"{year or ''}-{month}-{day or ''}"
