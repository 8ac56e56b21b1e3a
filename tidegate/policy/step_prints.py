"""What is kept of a step's texts: keyed hashes, check sums of lines and words, and what they amount to."""

import re
from array import array
from collections.abc import Iterable
from contextlib import suppress
from hashlib import blake2b
from zlib import crc32

import msgspec

from tidegate.policy.fold import folded
from tidegate.policy.outcome import is_done, is_unhelpful, is_waiting

SKETCH = 64
"""Lines or words of a text that are remembered: those with the smallest check sums."""

MIN_LINES = 4
MIN_LINE_CHARS = 4
SHORT_CHARS = 80
"""A result with no more is a word on the thing that was asked for (`available`)."""

PRINT_BYTES = 8

_OUTLINED_CHARS = 2_048
_WORD = re.compile(r"\w{3,40}|[0-9]{1,2}")
_LINE_END = re.compile(r"\n\s*|\. |\}, ?")
"""A line, a sentence, an object in a list: what may come again in another order."""
_DIGIT = re.compile(r"[0-9]")
_IN_NUMBERS = bytes(sorted({*range(33), *b"0123456789abcdefABCDEFxXtTzZ:.,-<#/()[]"}))
_NO_LINES = array("I")
_NEW_LINE = "\\n"
"""As JSON spells it."""
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder(order="sorted").encode


class Answer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What came back. `exact` is its print as it was, `result` that without what changes by itself.

    `unhelpful`, `waiting` and `done` are what `policy.outcome` says of it; `has_lines`: it has several.
    """

    result: int = 0
    exact: int = 0
    unhelpful: bool = False
    waiting: bool = False
    done: bool = False
    is_short: bool = False
    has_lines: bool = False


NO_ANSWER = Answer()


def answer_of(key: bytes, exact: int, text: str) -> "tuple[Answer, array[int]]":
    """Return all that is to be known of a result, and check sums of its lines where it has several."""
    plain = folded(text)
    lines = [line for line in _LINE_END.split(plain) if len(line) >= MIN_LINE_CHARS]
    unhelpful, has_lines = is_unhelpful(plain), len(lines) >= MIN_LINES
    answer = Answer(
        result=_print(key, " ".join(plain.split())),
        exact=exact,
        unhelpful=unhelpful,
        waiting=is_waiting(plain),
        done=not unhelpful and is_done(plain),
        is_short=len(plain) <= SHORT_CHARS,
        has_lines=has_lines,
    )
    return answer, _smallest(lines) if has_lines else _NO_LINES


def brief_answer(exact: int, text: str) -> "tuple[Answer, array[int]]":
    """Return what is to be known of a result that is like no other one: it is not folded."""
    return Answer(result=exact, exact=exact, unhelpful=is_unhelpful(text.lower())), _NO_LINES


def exact_print(key: bytes, text: str) -> int:
    """The print of a result as it is."""
    return _print(key, text)


def outline(text: str) -> int:
    """A check sum without what numbers, times, hashes and addresses are written with.

    Results that fold to one text have one outline, unless a unit or a temporary path sets them apart.
    """
    ends = text[:_OUTLINED_CHARS] + text[-_OUTLINED_CHARS:]
    return crc32(ends.encode("utf-8", "replace").translate(None, _IN_NUMBERS))


def call_prints(key: bytes, name: str, arguments: str) -> tuple[int, int]:
    """The print of a call, and that of its form: the same with single words and numbers left out.

    Arguments are brought to one spelling: JSON with sorted keys, lower case, single spaces. Calls of one form
    ask the same of different things.
    """
    form = ""
    with suppress(msgspec.DecodeError, RecursionError):
        given = _decode(arguments)
        arguments = _encode(given).decode()
        if isinstance(given, dict):
            form = _spelled(_encode({name: _form_of(value) for name, value in given.items()}).decode())
    return _print(key, f"{name}\0{_spelled(arguments)}"), _print(key, f"{name}\0{form}") if form else 0


def _form_of(value: object) -> object:
    is_word = isinstance(value, str) and len(value.split(None, 1)) < 2
    return None if is_word or isinstance(value, int | float) else value


def _spelled(arguments: str) -> str:
    return " ".join(arguments.lower().replace(_NEW_LINE, " ").split())


def text_prints(key: bytes, text: str) -> tuple[int, int, bytes]:
    """The print of what a model said, that of its numbers, and check sums of its words, packed.

    A question has no words: it is the same only if it is asked in the same words.
    """
    plain = folded(text)
    words = _WORD.findall(plain)
    numbers = sorted({word for word in words if _DIGIT.search(word)})
    sums = b"" if plain.rstrip().endswith("?") else _smallest(words).tobytes()
    return _print(key, " ".join(plain.split())), _print(key, " ".join(numbers)), sums


def _print(key: bytes, text: str) -> int:
    """A keyed hash of a text, never 0."""
    digest = blake2b(text.encode("utf-8", "replace"), key=key, digest_size=PRINT_BYTES, person=b"tg-step")
    return int.from_bytes(digest.digest(), "big") or 1


def _smallest(texts: Iterable[str]) -> "array[int]":
    """The `SKETCH` smallest check sums, so that of two texts the same parts are remembered."""
    sums = sorted({crc32(text.encode("utf-8", "replace")) for text in texts})
    return array("I", sums[:SKETCH])
