"""What kind of text is it - prose, code, or values - and how much? By its marks, digits and letters."""

import re
from typing import Literal

Shape = Literal["prose", "code", "values"]
"""Of what repeats to the letter."""
Texture = Literal["prose", "labels", "rows"]
"""Of what goes on and on: running text, short items or text with marks, rows of a table or of code."""

_LETTERS = bytes(
    byte for byte in range(256) if byte >= 128 or chr(byte).isalpha()
)  # every byte of a character beyond ASCII
_MARKS = b'{}[]<>()|=;:/\\"@$%^&+~`_\t'
"""Frequent in code, markup and tables, rare in prose; not what Markdown sets prose with."""
_NOT_DIGITS = bytes(byte for byte in range(256) if not 48 <= byte <= 57)
_NOT_MARKS = bytes(byte for byte in range(256) if byte not in _MARKS)
_ROW_MARKS = b'{}[]<>|;"@_\t'
"""Of these, the ones that formulas and calculations have little of."""
_NOT_ROW_MARKS = bytes(byte for byte in range(256) if byte not in _ROW_MARKS)
_ROW_ENDS = (b";\n", b",\n", b"{\n", b"}\n", b")\n", b"]\n", b">\n", b"|\n", b'"\n')
_HIGH = bytes(range(128, 256))
_WORD = re.compile(r"[^\W\d_]{2,}")
_LITERALS = frozenset({"true", "false", "null", "none", "nil", "nan", "inf", "undefined", "yes", "no"})
"""Words that are values, as in a grid of cells."""
_VALUE = re.compile(r"\d[\d.,:]*|\b[B-HJ-Z]\b")
"""A number, or a letter that names something: a peg, a node, a choice."""

MARKS_PERCENT = 6
ROW_MARKS_PERCENT = 3
LINES_OF_ROWS = 4
DIGITS_PERCENT = 15
LETTERS_PERCENT = 55
BULLET_CHARS = 8
WORDS_OF_PROSE = 6
WORDS_OF_TEXT = 18
"""Different words in a sample, of which the first and the last may be cut."""
VALUES_PERCENT = 20
SAMPLE_CHARS = 512


def is_prose(text: str) -> bool:
    """Whether letters make up most of it, with few digits and few marks; ~1 us for 256 characters."""
    raw = text.encode("utf-8", "replace")
    size = len(raw)
    if (size - len(raw.translate(None, _LETTERS))) * 100 < LETTERS_PERCENT * size:
        return False
    if (len(raw.translate(None, _NOT_MARKS)) + _tight_commas(raw)) * 100 >= MARKS_PERCENT * size:
        return False
    return len(raw.translate(None, _NOT_DIGITS)) * 100 < DIGITS_PERCENT * size


def _tight_commas(raw: bytes) -> int:
    return raw.count(b",") - raw.count(b", ") - raw.count(b",\n")


def _is_rows(sample: str) -> bool:
    """Whether marks of tables, JSON or code are frequent, or end most lines, or lines are paths."""
    raw = sample.encode("utf-8", "replace")
    size, lines = len(raw), raw.count(b"\n")
    if (len(raw.translate(None, _NOT_ROW_MARKS)) + _tight_commas(raw)) * 100 >= ROW_MARKS_PERCENT * size:
        return True
    if sum(map(raw.count, _ROW_ENDS)) * 2 > max(lines, LINES_OF_ROWS):
        return True
    return raw.count(b" ") < lines and len(raw.translate(None, _NOT_MARKS)) * 100 >= MARKS_PERCENT * size


def texture_of(sample: str) -> Texture:
    """Return what the end of a text is made of; ~20 us for 512 characters.

    Prose has several words and tells more than values: `true, false, true` is none, nor the steps of a game.
    Rows have marks and few different words; a calculation with its reasons has many.
    """
    words = len(set(_WORD.findall(sample)))
    if words >= WORDS_OF_PROSE and is_prose(sample):
        spaces = sample.count(" ") + sample.count("\n")
        return "prose" if len(_VALUE.findall(sample)) * 100 < VALUES_PERCENT * (spaces + 1) else "labels"
    return "rows" if words < WORDS_OF_TEXT and _is_rows(sample) else "labels"


def shape_of(unit: str) -> Shape:
    """Return the shape of what repeats.

    A unit of one run without space ("ha", "AAAA") is code at best: encoded bytes look like that. A few marks
    alone, such as an empty bullet, are code too; longer rows of marks are drawings.
    """
    if is_prose(unit) and (any(map(str.isspace, unit)) or not unit.isascii()):
        return "prose"
    if unit.isalpha() or any(word.casefold() not in _LITERALS for word in _WORD.findall(unit)):
        return "code"
    bare = not any(map(str.isalnum, unit))
    return "code" if bare and len(unit) < BULLET_CHARS and "\n" in unit else "values"


def text_size(text: str) -> tuple[int, int]:
    """Return (UTF-8 bytes, ASCII bytes among them); `wire.measure` is beside this floor."""
    size = len(text)
    if text.isascii():
        return size, size
    raw = text.encode("utf-8", "replace")
    return len(raw), len(raw.translate(None, _HIGH))
