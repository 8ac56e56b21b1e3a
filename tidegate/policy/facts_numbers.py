"""Numbers as people write them: in digits with the separators of several countries, in Roman ones, in words.

A number is a set of values, as text: `1.234` may be 1234 or 1.234, and a reader who knows no more has both.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain

from tidegate.policy.facts_words import listed

ORDINAL = "th"
LANGUAGES_OF_WORDS = ("en", "de", "es")

_GROUPED = re.compile(
    r"(?<![A-Za-z\u00c0-\u024f])(?<!\d)(?<!\d[.,'])"
    r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d{1,3}(?:\.\d{3})+(?:,\d+)?|\d{1,3}(?:[ ']\d{3})+(?:[.,]\d+)?"
    r"|\d+(?:[.,]\d+)*)(?P<half>[\u00bc-\u00be])?(?![.,']?\d)|(?P<alone>[\u00bc-\u00be])"
)
_HALVES = {"\u00bc": "25", "\u00bd": "5", "\u00be": "75"}
_SCALES = {
    3: "thousand tausend tsd mil mille millares k",
    5: "lakh lakhs",
    6: "million millions mio mill millionen millón millones mln mn m",
    7: "crore crores",
    9: "billion billions bn milliarde milliarden mrd milliard milliards",
    12: "trillion trillions billionen billón billones",
}
_SCALE_OF = {word: power for power, words in _SCALES.items() for word in words.split()}
_LONG_SCALE = {"billion": 12, "trillion": 18}
"""What these mean outside of English; both are taken."""
_SCALE = re.compile(r"[ \u00a0-]?([^\W\d_]{1,12})(?![^\W\d_])")
_RANGE = re.compile(r"\s?(?:-|to|bis|a|y|und|and|or|oder|o|à|et|ou)\s?\Z")
_ROMAN = re.compile(r"(?<!\w)(?=[IVXLC]{2})(?:C{0,3}(?:XC|XL|L?X{0,3})(?:IX|IV|V?I{0,3}))(?!\w)")
_NO_ROMAN = {"", "CV", "XL", "CI", "LI", "XXL", "CC", "LC"}
_CENTURY = re.compile(r"(?:siglo|siècle|secolo|século|secolul)s? (?:al )?([IVXLC]{1,5})(?!\w)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Number:
    """A number at `text[start:end]`.

    `values` are what it may be as a whole, `parts` what a reader may also find in it: 3 in "3 million".
    `word` tells that it is written in letters, `several` that `parts` may be numbers of their own. One in
    letters that says which and not how many has the value `5th`.
    """

    start: int
    end: int
    values: frozenset[str]
    parts: frozenset[str] = frozenset()
    word: bool = False
    several: bool = False


def numbers(text: str, languages: tuple[str, ...] = LANGUAGES_OF_WORDS) -> list[Number]:
    """All numbers of a text; those in words of these languages alone."""
    found = sorted(
        chain(_in_digits(text), _roman(text), _in_words(text, languages)), key=lambda one: one.start
    )
    return _scaled_through_ranges(text, found)


def plain(digits: str) -> str:
    """One way to write a value: no zeros in front, none at the end of a fraction."""
    whole, point, fraction = digits.partition(".")
    if "." in fraction:
        return digits
    fraction = fraction.rstrip("0")
    return (whole.lstrip("0") or "0") + (point + fraction if fraction else "")


def _in_digits(text: str) -> Iterator[Number]:
    for found in _GROUPED.finditer(text):
        if found["alone"]:
            yield Number(*found.span(), frozenset({"0." + _HALVES[found["alone"]]}))
            continue
        written = found[0].removesuffix(found["half"] or "")
        values = _values(written)
        if found["half"]:
            values = {f"{value}.{_HALVES[found['half']]}" for value in values if "." not in value}
        several = bool(re.search("[ ']", written)) or all(value.count(".") > 1 for value in values)
        parts = {plain(part) for part in re.split("[ ',.]", written)} if several else set()
        scale = _SCALE.match(text, found.end())
        power = _SCALE_OF.get(scale[1].lower()) if scale else None
        if scale is None or power is None or (len(scale[1]) == 1 and scale[0] != scale[1]):
            yield Number(*found.span(), frozenset(values), frozenset(parts), several=several)
            continue
        powers = {power, _LONG_SCALE.get(scale[1].lower(), power)}
        scaled = frozenset(_times(value, by) for value in values for by in powers)
        yield Number(found.start(), scale.end(), scaled, frozenset(values | parts))


def _values(written: str) -> set[str]:
    """What a number in digits may be, by the country of who wrote it."""
    written = written.replace(" ", "").replace("'", "")
    points, commas = written.count("."), written.count(",")
    if points and commas:
        decimal = max(written.rfind("."), written.rfind(","))
        whole = re.sub(r"[.,]", "", written[:decimal])
        return {plain(f"{whole}.{written[decimal + 1 :]}")}
    separator = "." if points else ","
    if not points and not commas:
        return {plain(written)}
    first, *groups = written.split(separator)
    values: set[str] = set()
    if all(len(group) == 3 for group in groups) and len(first) <= 3 and first != "0":
        values.add(plain(first + "".join(groups)))
    if len(groups) == 1 and groups[0] != "000":
        values.add(plain(f"{first}.{groups[0]}"))
    return values or {written.replace(",", ".")}


def _times(value: str, power: int) -> str:
    whole, _, fraction = value.partition(".")
    return plain(
        whole + fraction[:power].ljust(power, "0") + ("." + fraction[power:] if fraction[power:] else "")
    )


def _scaled_through_ranges(text: str, found: list[Number]) -> list[Number]:
    """In "2 to 3 million" the 2 is in millions too."""
    for index in range(len(found) - 2, -1, -1):
        one, following = found[index], found[index + 1]
        if following.parts and not one.parts and _RANGE.fullmatch(text[one.end : following.start]):
            factors = {
                len(value.partition(".")[0]) - len(part.partition(".")[0])
                for value in following.values
                for part in following.parts
                if value.startswith(part.partition(".")[0])
            }
            scaled = frozenset(_times(value, power) for value in one.values for power in factors if power > 0)
            found[index] = Number(one.start, one.end, one.values, scaled, one.word)
    return found


def _roman(text: str) -> Iterator[Number]:
    worth = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}
    spans = {found.span() for found in _ROMAN.finditer(text) if found[0] not in _NO_ROMAN}
    spans |= {found.span(1) for found in _CENTURY.finditer(text)}
    for start, end in spans:
        ranks = [worth[char] for char in text[start:end].upper()]
        total = sum(-one if one < after else one for one, after in zip(ranks, [*ranks[1:], 0], strict=True))
        yield Number(start, end, frozenset({str(total)}))


def _english() -> dict[str, int]:
    ones = listed(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
        " sixteen seventeen eighteen nineteen"
    )
    tens = listed("twenty thirty forty fifty sixty seventy eighty ninety")
    words = {word: value for value, word in enumerate(ones)}
    for rank, ten in enumerate(tens, 2):
        words |= {ten: rank * 10} | {f"{ten}-{ones[one]}": rank * 10 + one for one in range(1, 10)}
    hundreds = {f"{word} hundred": 100 * value for word, value in words.items() if 1 <= value <= 19}
    return (
        words
        | hundreds
        | {"hundred": 100, "a hundred": 100, "one hundred": 100, "thousand": 1000, "dozen": 12}
    )


def _german() -> dict[str, int]:
    ones = listed("null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf")
    words = {word: value for value, word in enumerate(ones)}
    words |= {"dreizehn": 13, "vierzehn": 14, "fünfzehn": 15, "sechzehn": 16}
    words |= {"siebzehn": 17, "achtzehn": 18, "neunzehn": 19}
    tens = listed("zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig")
    for rank, ten in enumerate(tens, 2):
        words |= {ten: rank * 10, f"einund{ten}": rank * 10 + 1}
        words |= {f"{ones[one]}und{ten}": rank * 10 + one for one in range(2, 10)}
    hundreds = {f"{ones[one]}hundert": 100 * one for one in range(2, 10)}
    return words | hundreds | {"hundert": 100, "einhundert": 100, "tausend": 1000, "eintausend": 1000}


def _spanish() -> dict[str, int]:
    ones = listed(
        "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciséis"
        " diecisiete dieciocho diecinueve veinte veintiuno veintidós veintitrés veinticuatro veinticinco"
        " veintiséis veintisiete veintiocho veintinueve"
    )
    words = {word: value for value, word in enumerate(ones)} | {"veintiún": 21, "una": 1}
    for rank, ten in enumerate(listed("treinta cuarenta cincuenta sesenta setenta ochenta noventa"), 3):
        words |= {ten: rank * 10} | {f"{ten} y {ones[one]}": rank * 10 + one for one in range(1, 10)}
    hundreds = {
        "doscientos": 200,
        "trescientos": 300,
        "cuatrocientos": 400,
        "quinientos": 500,
        "seiscientos": 600,
    }
    return words | hundreds | {"cien": 100, "ciento": 100, "docena": 12}


def _ordinals_english(cardinals: dict[str, int]) -> dict[str, int]:
    odd = {1: "first", 2: "second", 3: "third", 5: "fifth", 8: "eighth", 9: "ninth", 12: "twelfth"}
    words: dict[str, int] = {}
    for word, value in cardinals.items():
        head, dash, last = word.rpartition("-")
        if 1 <= value <= 100 and " " not in word and word != "dozen":
            ending = odd.get(
                cardinals[last], last.removesuffix("y") + ("ieth" if last.endswith("y") else "th")
            )
            words[head + dash + ending] = value
    return words


def _ordinals_german(cardinals: dict[str, int]) -> dict[str, int]:
    odd = {1: "erst", 3: "dritt", 7: "siebt", 8: "acht"}
    stems = {
        odd.get(value, word + ("t" if value < 20 else "st")): value
        for word, value in cardinals.items()
        if 1 <= value <= 100
    }
    return {stem + ending: value for stem, value in stems.items() for ending in ("e", "en", "er", "es", "em")}


def _ordinals_spanish() -> dict[str, int]:
    stems = listed("primer segund tercer cuart quint sext séptim octav noven décim")
    endings = ("o", "a", "os", "as")
    words = {stem + ending: value for value, stem in enumerate(stems, 1) for ending in endings}
    return words | {"primer": 1, "tercer": 3}


def _all_words() -> dict[str, dict[str, str]]:
    """By language, what a number's words are worth."""
    english, german = _english(), _german()
    cardinals = {"en": english, "de": german, "es": _spanish()}
    ordinals = {"en": _ordinals_english(english), "de": _ordinals_german(german), "es": _ordinals_spanish()}
    return {
        language: {word: f"{value}{ORDINAL}" for word, value in ordinals[language].items()}
        | {word: str(value) for word, value in cardinals[language].items()}
        for language in LANGUAGES_OF_WORDS
    }


_WORDS = _all_words()
_FIRST_OF_TWO = frozenset(
    part
    for words in _WORDS.values()
    for word in words
    for part in (word.partition(" ")[0], word.partition("-")[0])
    if part != word
)
_WORD = re.compile(r"[^\W\d_]++(?:-[^\W\d_]++)?")
_JOINED = re.compile(r" (?:y )?([^\W\d_]++)")


@lru_cache(maxsize=16)
def _worth(languages: tuple[str, ...]) -> dict[str, str]:
    return {word: value for language in languages for word, value in _WORDS.get(language, {}).items()}


def _in_words(text: str, languages: tuple[str, ...]) -> Iterator[Number]:
    lowered = text.lower()
    worth = _worth(languages)
    at = 0
    for found in _WORD.finditer(lowered):
        if found.start() < at:
            continue
        span, written = found.span(), found[0]
        more = _JOINED.match(lowered, found.end()) if written in _FIRST_OF_TWO else None
        if more and (longer := _joined(written, more[0])) in worth:
            span, written = (found.start(), more.end()), longer
        if written not in worth:
            written = written.partition("-")[0]
            span = (span[0], span[0] + len(written))
        if written not in worth:
            continue
        at = span[1]
        yield _word_with_scale(lowered, span, worth[written])


def _joined(word: str, more: str) -> str:
    """Two words of one number: `twenty one` as `twenty-one`, `treinta y uno` as it is."""
    return f"{word}-{more[1:]}" if f"{word}-{more[1:]}" in _WORDS["en"] else word + more


def _word_with_scale(lowered: str, span: tuple[int, int], value: str) -> Number:
    scale = _SCALE.match(lowered, span[1])
    power = _SCALE_OF.get(scale[1]) if scale and len(scale[1]) > 2 else None
    if scale is None or power is None or value.endswith(ORDINAL):
        return Number(*span, frozenset({value}), word=True)
    powers = {power, _LONG_SCALE.get(scale[1], power)}
    scaled = frozenset(_times(value, by) for by in powers)
    return Number(span[0], scale.end(), scaled, frozenset({value}), word=True)
