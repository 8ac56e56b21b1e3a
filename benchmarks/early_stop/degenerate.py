"""Streams that degenerate, made by script: a real beginning, then a loop that never ends by itself.

The beginning and the units are cut from real answers (DIR/routing), so what repeats is what models write:
prose, steps of a calculation, lists, JSON, code. `loop_at` and `known_at` are pieces: where the loop begins,
and where its unit has stood twice, which is when it could first be known.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from itertools import count, cycle
from random import Random
from typing import Literal, NamedTuple

from benchmarks.early_stop.corpus import words
from benchmarks.early_stop.pieces import Piece, tokens

Kind = Literal["loop", "drift", "blank", "list"]
KINDS: tuple[Kind, ...] = ("loop", "drift", "blank", "list")

MAX_PIECES = 8_192
"""After the loop began: an application's usual output limit."""

TRIES = 100

_BLANKS = (" ", "\n", "\t", "  \n", "\n\n", " \n \n", "\r\n", "\u00a0", "\t\t\n", "    ", "\u200b", " \u3000")
_POOLS = (
    words("slowly quickly quietly gladly rarely often"),
    words("red green blue yellow grey"),
    words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday"),
    words("good fine great nice lovely pleasant fair calm"),
    words("first second third fourth"),
    words("house garden street river market office"),
    words("Anna Ben Clara David"),
    words("alpha beta gamma delta epsilon"),
)
_ITEMS = [
    "Drink enough water during the day",
    "Sleep for at least eight hours",
    "Take a short walk after lunch",
    "Write down three things you are grateful for",
    "Call a friend you have not seen for long",
    "Read ten pages of a book",
    "Cook a simple meal at home",
    "Stretch your back every hour",
    "Leave the phone in another room",
    "Plan the next day",
    "Listen to some calm music",
    "Clean up one small corner",
    "Learn five words of a language",
    "Say thank you more often",
]
_NAMES = words("apple banana cherry grape lemon mango orange peach pear plum")


class Degenerate(NamedTuple):
    """One stream. `detail` says what was made: the unit's tokens, or which kind of drift or list."""

    kind: Kind
    detail: str
    pieces: list[Piece]
    loop_at: int
    known_at: int


def degenerate(sources: Sequence[str], seeds: range) -> Iterator[Degenerate]:
    """One stream of each kind for each seed; every fourth is inside a tool's arguments."""
    makers: dict[Kind, Callable[[Random, Sequence[str]], tuple[str, Iterator[str]]]] = {
        "loop": _loop,
        "drift": _drift,
        "blank": _blank,
        "list": _list,
    }
    for seed in seeds:
        for kind, maker in makers.items():
            random = Random(f"{kind} {seed}")
            detail, units = maker(random, sources)
            prefix = _prefix(random, sources)
            yield _stream(kind, detail, prefix, units, as_argument=seed % 4 == 3)


def _stream(kind: Kind, detail: str, prefix: str, units: Iterator[str], *, as_argument: bool) -> Degenerate:
    begin = [*([Piece("call"), Piece("arguments", '{"content": "')] if as_argument else [])]
    name: Literal["text", "arguments"] = "arguments" if as_argument else "text"

    def said(text: str) -> list[Piece]:
        written = json.dumps(text, ensure_ascii=False)[1:-1] if as_argument else text
        return [Piece(name, token) for token in tokens(written)]

    pieces = [*begin, *said(prefix)]
    loop_at, known_at = len(pieces), 0
    for number, unit in enumerate(units, 1):
        pieces += said(unit)
        if number == 2:
            known_at = len(pieces)
        if len(pieces) - loop_at >= MAX_PIECES:
            break
    return Degenerate(
        kind,
        f"{detail}{', argument' if as_argument else ''}",
        pieces[: loop_at + MAX_PIECES],
        loop_at,
        known_at,
    )


def _prefix(random: Random, sources: Sequence[str]) -> str:
    """0 to about 6,000 characters of real answers."""
    texts = random.sample(sources, random.choice((0, 1, 1, 2, 5, 12)))
    return "".join(f"{text.strip()}\n\n" for text in texts)


def _cut(random: Random, sources: Sequence[str], size: int) -> str:
    """So many pieces of real answers, beginning anywhere."""
    found: list[str] = []
    while len(found) < size:
        found += [*tokens(random.choice(sources)), "\n"]
    start = random.randint(0, len(found) - size)
    return "".join(found[start : start + size])


def _loop(random: Random, sources: Sequence[str]) -> tuple[str, Iterator[str]]:
    size = random.choice((random.randint(1, 12), random.randint(13, 200)))
    unit = _cut(random, sources, size)
    for _ in range(TRIES):
        if unit.strip():
            break
        unit = _cut(random, sources, size)
    return f"{size} tokens", cycle((unit,))


def _blank(random: Random, _: Sequence[str]) -> tuple[str, Iterator[str]]:
    unit = "".join(random.choice(_BLANKS) for _ in range(random.choice((1, 1, 1, 2, 3))))
    return f"{len(unit)} characters", cycle((unit,))


def _drift(random: Random, sources: Sequence[str]) -> tuple[str, Iterator[str]]:
    """A sentence or more in which a few places change: counters, dates, clock times, words of a small set."""
    size = random.randint(8, 120)
    words = _cut(random, sources, size).split()
    for _ in range(TRIES):
        if len(words) >= 6:
            break
        words = _cut(random, sources, size).split()
    kinds = random.sample(("counter", "date", "clock", "words", "words", "step"), random.randint(1, 3))
    places = sorted(random.sample(range(1, len(words) + 1), min(len(kinds), len(words))))
    end = random.choice((" ", "\n", "\n\n"))
    slots = [_slot(random, kind) for kind in kinds]

    def units() -> Iterator[str]:
        for number in count():
            parts = list(words)
            for place, slot in zip(reversed(places), slots, strict=False):
                parts.insert(place, slot(number))
            yield " ".join(parts) + end

    return f"{'+'.join(sorted(kinds))}, about {size} tokens", units()


def _slot(random: Random, kind: str) -> Callable[[int], str]:
    start = random.randint(1, 60)
    match kind:
        case "counter":
            return lambda number: str(start + number)
        case "step":
            step = random.randint(2, 25)
            return lambda number: str(start + step * number)
        case "date":
            first = date(2020 + start % 7, 1 + start % 12, 1 + start % 28)
            form = random.choice(("%Y-%m-%d", "%d.%m.%Y", "%B %d, %Y"))
            return lambda number: (first + timedelta(days=number)).strftime(form)
        case "clock":
            return lambda number: f"{(start + number) // 60 % 24:02}:{(start + number) % 60:02}"
        case _:
            pool = random.choice(_POOLS)
            own = Random(random.random())
            return lambda _number: own.choice(pool)


def _list(random: Random, sources: Sequence[str]) -> tuple[str, Iterator[str]]:
    """A list that goes on without a new item: in order, shuffled each time, or at random."""
    items = random.choice((_ITEMS, _NAMES, _real_items(random, sources)))
    pool = random.sample(items, random.randint(3, min(10, len(items))))
    order = random.choice(("in order", "shuffled", "at random"))
    mark = random.choice(("number", "dash", "bold number", "none", "comma"))
    own = Random(random.random())

    def drawn() -> Iterator[str]:
        while True:
            if order == "shuffled":
                own.shuffle(pool)
            yield from pool if order != "at random" else own.choices(pool, k=len(pool))

    def units() -> Iterator[str]:
        source, number = drawn(), 1
        while True:
            turn = []
            for _ in range(len(pool)):
                item = next(source)
                forms = {
                    "number": f"{number}. {item}\n",
                    "dash": f"- {item}\n",
                    "bold number": f"**{number}. {item}**\n",
                    "none": f"{item}\n",
                    "comma": f"{item}, ",
                }
                turn.append(forms[mark])
                number += 1
            yield "".join(turn)

    what = "names" if pool[0] in _NAMES else "phrases"
    return f"{what}, {mark}, {order}", units()


def _real_items(random: Random, sources: Sequence[str]) -> list[str]:
    """Ten lines of real answers; ours, where there are not so many."""
    items: dict[str, None] = {}
    for _ in range(TRIES):
        for line in random.choice(sources).splitlines():
            if len(line.strip()) >= 12:
                items[line.strip()[:90]] = None
        if len(items) >= 10:
            return list(items)[:14]
    return _ITEMS
