"""One way to read a text that can be spelled in many: for comparing only, the text itself stays as it came.

Full-width letters and digits, styled letters, other blanks and dashes and the look-alikes of Latin letters in
Greek and Cyrillic are read as the plain ones. Characters that show nothing (zero-width, direction marks) are
passed over. JSON escapes are read as blanks, so that a match never begins in the middle of one.
"""

import re
import unicodedata
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

HIDDEN_RUN = 8
"""More characters in a row that show nothing are a gap: so what a stream has to hold back is bounded."""

_HIDDEN = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e01ef"
)
_HIDDEN_RUN = re.compile(f"[{_HIDDEN}]++")
_COMMON = (
    "\x00-\x7f\u00a1-\u00ac\u00ae-\u012f\u0131-\u024f\u2018-\u201f\u2026\u20ac"
    "\u3001-\u30ff\u4e00-\u9fff\uac00-\ud7a3"
)
"""Read as they are; a text of these alone needs no second look."""
_UNCOMMON = re.compile(f"[^{_COMMON}]++")

_LOOK_ALIKES = {
    "a": "\u0430\u03b1\u0251",
    "b": "\u042c",
    "c": "\u0441\u03f2",
    "d": "\u0501",
    "e": "\u0435\u04bd",
    "g": "\u0261",
    "h": "\u04bb",
    "i": "\u0456\u03b9\u0131",
    "j": "\u0458\u03f3",
    "k": "\u043a\u03ba",
    "l": "\u04cf",
    "m": "\u043c",
    "n": "\u057c",
    "o": "\u043e\u03bf\u03c3\u0585",
    "p": "\u0440\u03c1",
    "q": "\u051b",
    "s": "\u0455",
    "t": "\u0442\u03c4",
    "u": "\u057d\u03c5",
    "v": "\u03bd\u0475",
    "w": "\u051d\u0461",
    "x": "\u0445\u03c7",
    "y": "\u0443\u03b3",
    "z": "\u1d22",
    "A": "\u0410\u0391",
    "B": "\u0412\u0392",
    "C": "\u0421\u03f9",
    "D": "\u13a0",
    "E": "\u0415\u0395",
    "G": "\u050c",
    "H": "\u041d\u0397",
    "I": "\u0406\u0399\u04c0",
    "J": "\u0408\u037f",
    "K": "\u041a\u039a",
    "L": "\u13de",
    "M": "\u041c\u039c",
    "N": "\u039d",
    "O": "\u041e\u039f",
    "P": "\u0420\u03a1",
    "S": "\u0405",
    "T": "\u0422\u03a4",
    "V": "\u0474",
    "W": "\u051c",
    "X": "\u0425\u03a7",
    "Y": "\u04ae\u03a5",
    "Z": "\u0396",
}
"""Letters of Cyrillic, Greek and Armenian that look like Latin ones."""


class _Folded(dict[int, str | int]):
    """What a character is read as, found once and remembered; always one character."""

    def __missing__(self, code: int) -> str | int:
        read: str | int = code
        char = chr(code)
        plain = unicodedata.normalize("NFKD", char)
        if not _UNCOMMON.match(char):
            pass
        elif unicodedata.category(char) in {"Zs", "Zl", "Zp"}:
            read = " "
        elif unicodedata.category(char) == "Pd" or char == "\u2212":
            read = "-"
        elif unicodedata.category(char) == "Nd":
            read = str(unicodedata.decimal(char))
        elif len(plain) == 1 and plain.isascii() and plain.isprintable():
            read = plain
        self[code] = read
        return read


_FOLDED = _Folded({0x130: "I", 0x2024: ".", 0x2044: "/", 0xFF0E: "."})
_FOLDED.update({ord(odd): plain for plain, odds in _LOOK_ALIKES.items() for odd in odds})

_ESCAPE = re.compile(r'\\(?:u[0-9a-fA-F]{4}|["\\/bfnrt])')
_UNFINISHED = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?\Z")


@dataclass(frozen=True, slots=True)
class View:
    """A text as it is read.

    `raw_at` gives each read character's place in the text; None where the places are the same. `read` is how
    much of the text is read: what follows needs more of the stream. `in_gap` is true where that ends in a
    gap.
    """

    text: str
    raw_at: Sequence[int] | None
    read: int
    in_gap: bool = False

    def start(self, index: int) -> int:
        """Where the read character `index` begins in the text; after the last one, where reading ends."""
        if index >= len(self.text):
            return self.read
        return index if self.raw_at is None else self.raw_at[index]

    def end(self, index: int) -> int:
        """Where the read text `[:index]` ends in the text, without hidden characters that follow."""
        if not index or self.raw_at is None:
            return index
        return self.raw_at[index - 1] + 1


def fold(raw: str, *, final: bool = True, in_gap: bool = False) -> View:
    """Read a text; `final` tells that no more of it comes, `in_gap` that a gap goes before it."""
    view = View(raw, None, len(raw))
    if not raw.isascii() and _UNCOMMON.search(raw):
        text = _UNCOMMON.sub(lambda run: run[0].translate(_FOLDED), raw)
        hidden = _HIDDEN_RUN.search(text) is not None
        view = _without_hidden(text, final=final, in_gap=in_gap) if hidden else View(text, None, len(text))
    return _without_escapes(view, final=final) if "\\" in view.text else view


def _without_hidden(text: str, *, final: bool, in_gap: bool) -> View:
    parts: list[str] = []
    raw_at = array("l")
    read = len(text)
    at = 0
    gap = False
    for run in _HIDDEN_RUN.finditer(text):
        start, end = run.span()
        parts.append(text[at:start])
        raw_at.extend(range(at, start))
        at = end
        gap = end - start > HIDDEN_RUN or (in_gap and start == 0)
        if gap:
            parts.append(" " * (end - start))
            raw_at.extend(range(start, end))
        elif end == len(text) and not final:
            read = start
    parts.append(text[at:])
    raw_at.extend(range(at, len(text)))
    return View("".join(parts), raw_at, read, in_gap=gap and at == len(text))


def _without_escapes(view: View, *, final: bool) -> View:
    text = _ESCAPE.sub(lambda escape: " " * len(escape[0]), view.text)
    unfinished = None if final else _UNFINISHED.search(text, max(0, len(text) - 5))
    if unfinished is None:
        return View(text, view.raw_at, view.read, in_gap=view.in_gap)
    return View(text[: unfinished.start()], view.raw_at, view.start(unfinished.start()))
