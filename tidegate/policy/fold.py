"""A text without what changes by itself: times, counters, line numbers, ids, durations, temporary paths.

Two results that fold to the same text say the same. What may be progress stays: percentages, fractions,
amounts, whatever no word marks as a counter. Every pattern is bounded, so that the time is linear (case 28).
"""

import re
from itertools import islice
from zlib import crc32

MAX_CHARS = 3_072
"""Of a longer text the ends are read word by word; what lies between counts without its digits."""

MAX_MIDDLE_CHARS = 262_144
MAX_NUMBERS = 128
"""Numbers of one text that are looked at; those after them stay as they are."""

_HALF = MAX_CHARS // 2
_DIGITS = b"0123456789"
_LETTERS = str.maketrans("0123456789", "ghijklmnop")

_ANSI = re.compile(r"\x1b\[[0-9;?]{0,16}[a-z]")
_TEMPORARY = re.compile(r"/(?:tmp|var/folders)/[\w./-]{1,200}")
_UNIT = re.compile(r"[ ]?(?:ns|us|µs|ms|s|secs?|seconds?|mins?|minutes?|[kmg]?i?b/s|it/s)\b")
_NUMBER = re.compile(
    r"[0-9](?:[0-9]{3}[-/.][0-9]{2}[-/.][0-9]{2} [0-9]{1,2}:[0-9][0-9:.]*"  # a date and its time
    r"|[0-9a-z_.:<-]*)"
)
_CHANGING = re.compile(
    r"[0-9]{1,3}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:[ap]m)?z?"  # a time of day, to the second
    r"|[0-9]{4}[-/.][0-9]{2}[-/.][0-9]{2}[ t][0-9]{1,2}:[0-9]{2}[0-9:.z-]{0,24}"  # a date with its time
    r"|[0-9]{1,3}:[0-9]{2}<[0-9]{1,3}:[0-9]{2}"  # a progress bar's times
    r"|[0-9]{1,12}(?:\.[0-9]{1,12})?(?:ns|us|ms|s|sec|min|it|kb|mb)"  # a duration, a speed
    r"|[0-9]{10,20}(?:\.[0-9]{1,9})?"  # a time stamp, an id
    r"|0x[0-9a-f]{1,16}"  # an address
    r"|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"  # a UUID
    r"|(?=[0-9]{0,40}[a-f])[0-9a-f]{8,64}"  # a hash
    r"|tmp[0-9a-z_]{6,16}",
)
_COUNTED = frozenset(
    (
        *("attempt", "attempts", "retry", "retries", "try", "tries", "iteration", "counter"),
        *("request", "requests", "req", "call", "poll", "tick", "nonce", "trace", "span", "session", "seed"),
        *("seq", "sequence", "correlation", "transaction", "incident", "pid", "port", "process", "thread"),
        *("line", "lines", "ln", "lineno", "col", "cell"),
        *("time", "timestamp", "ts", "now", "elapsed", "took", "duration", "latency", "uptime", "expires"),
    )
)
LEAST_ID_DIGITS = 10
_ENDS = frozenset(".:<-")
_FILLING = frozenset(" \t\n:=#([\"'")
_LISTING = frozenset(":|\t")
_UNIT_STARTS = frozenset(" nuµmskgi")
_PUNCTUATION = str.maketrans(dict.fromkeys("\"'(:=#[,.;{", " "))


def folded(text: str) -> str:
    """Return a text in lower case, with `#` for what changes from call to call.

    Of lines that a terminal would write over (progress bars) the last writing counts.
    """
    if len(text) > MAX_CHARS:
        text = f"{text[:_HALF]}\n{_middle(text[_HALF:-_HALF])}\n{text[-_HALF:]}"
    text = text.lower()
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    if "\r" in text:
        lines = text.replace("\r\n", "\n").split("\n")
        text = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)
    if "tmp/" in text or "/var/folders/" in text:
        text = _TEMPORARY.sub("#", text)
    return _without_changing(text)


def _middle(text: str) -> str:
    """A check sum of a long text's middle, its digits left out, in letters alone."""
    raw = text[:MAX_MIDDLE_CHARS].encode("utf-8", "replace").translate(None, _DIGITS)
    return f"{crc32(raw):08x}".translate(_LETTERS)


def _without_changing(text: str) -> str:
    """Put `#` for each number, or word with a number in it, that changes from call to call."""
    pieces: list[str] = []
    last = 0
    for match in islice(_NUMBER.finditer(text), MAX_NUMBERS):
        start, end = match.span()
        word = match[0]
        if word[-1] in _ENDS:
            word = word.rstrip(".:<-")
            end = start + len(word)
        before = text[start - 1 : start]
        if before.isalpha() or before == "_":
            name = _name_before(text[max(last, start - 24) : start])
            start, word = start - len(name), name + word
            changes = not _COUNTED.isdisjoint(name.split("_")) or _CHANGING.fullmatch(word) is not None
        elif word.isdigit() and len(word) < LEAST_ID_DIGITS:
            changes = _is_marked(text, before, max(last, start - 24), start, end)
        else:
            changes = _CHANGING.fullmatch(word) is not None or _is_marked(
                text, before, max(last, start - 24), start, end
            )
        if changes:
            pieces += (text[last:start], "#")
            last = end
    pieces.append(text[last:])
    return "".join(pieces)


def _name_before(head: str) -> str:
    """The letters at the end of a text, as of `attempt_3`."""
    at = len(head)
    while at and (head[at - 1].isalpha() or head[at - 1] == "_"):
        at -= 1
    return head[at:]


def _is_marked(text: str, before: str, first: int, start: int, end: int) -> bool:
    """Whether what stands around a number says that it changes: a unit of time, a line, a counter's name."""
    after = text[end : end + 1]
    if after in _UNIT_STARTS and _UNIT.match(text, end) is not None:
        return True
    if before and before not in _FILLING:
        return False
    head = text[first:start]
    return _is_line(head, before, after) or _is_counted(head)


def _is_line(head: str, before: str, after: str) -> bool:
    """Whether a number is that of a line, as in `file.py:12` or in a listing's `12: def x`."""
    if before == ":":
        _, dot, extension = head[-7:-1].rpartition(".")
        if dot and extension.isalpha():
            return True
    return after in _LISTING and head.rstrip(" ")[-1:] in ("", "\n")


def _is_counted(head: str) -> bool:
    """Whether the word before a number is a counter's or a time's, or opens a notebook's cell."""
    words = head.translate(_PUNCTUATION).rsplit(None, 1)
    if not words:
        return False
    if words[-1] in _COUNTED or head.endswith(("in [", "out[")):
        return True
    return "_" in words[-1] and not _COUNTED.isdisjoint(words[-1].split("_"))
