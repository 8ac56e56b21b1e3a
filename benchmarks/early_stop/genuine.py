"""Our own long texts that must not be stopped: (name, text) by seed."""

import json
from collections.abc import Iterator
from random import Random
from typing import NamedTuple

from benchmarks.early_stop.genuine_code import code
from benchmarks.early_stop.genuine_rows import rows
from benchmarks.early_stop.genuine_words import by_language, in_english
from benchmarks.early_stop.numerals import SPOKEN
from benchmarks.early_stop.pieces import Piece, as_stream

MIN_CHARS, MAX_CHARS = 2_000, 40_000


class Genuine(NamedTuple):
    """A text as a stream: as an answer, or inside the arguments of a call that writes a file."""

    name: str
    chars: int
    pieces: list[Piece]


def genuine(seeds: range) -> Iterator[Genuine]:
    """Every text once for each seed, as an answer and as a tool's argument."""
    for seed in seeds:
        for name, text in _texts(Random(seed)):
            cut = text[:MAX_CHARS]
            assert len(cut) >= MIN_CHARS, f"{name} is too short: {len(cut)}"
            yield Genuine(name, len(cut), as_stream(cut))
            arguments = json.dumps({"path": "file.txt", "content": cut}, ensure_ascii=False)
            yield Genuine(
                f"{name}, as an argument", len(cut), [Piece("call"), *as_stream(arguments, "arguments")]
            )


def _texts(random: Random) -> Iterator[tuple[str, str]]:
    for language in SPOKEN:
        yield from by_language(language, random)
    yield from in_english(random)
    yield from rows(random)
    yield from code(random)
