"""What stops a stream, and what is kept of a stop: counts and hashes, never text."""

from typing import Literal

import msgspec

Rule = Literal[
    "repeated_text",
    "repeated_lines",
    "drifting_repeat",
    "blank",
    "endless_list",
    "output_limit",
    "money_limit",
    "fan_out",
    "stop_rule",
]
Channel = Literal["text", "arguments"]

HASH_HEX = 16


class WatchRules(msgspec.Struct, frozen=True, kw_only=True):
    """Every threshold. Lengths are characters of one channel; `None` is no limit.

    Prose that repeats is broken; a matrix of zeros, a table or a list of test rows is not. So what must be
    seen before a stream stops depends on what repeats: prose, code (marks and words) or bare values.
    """

    loop_chars: int = 800
    loop_repeats: int = 5
    """Prose repeated to the letter stops after both."""
    code_chars: int = 2_400
    code_repeats: int = 8
    """Code, markup and other text of marks and words, to the letter, stops after both."""
    value_chars: int = 8_000
    value_repeats: int = 500
    """Values without words, to the letter: after `value_chars`, or `code_chars` and this many repeats."""

    line_chars: int = 1_200
    line_count: int = 20
    """Lines, sentences or list items of which none is new: both."""
    drift_chars: int = 1_200
    """Prose in which every four words in a row stood before, numbers aside."""
    label_sparing: int = 6
    row_sparing: int = 30
    """In labels and text with many marks, and in rows of a table, of JSON or of code, a character counts so
    many times less towards the two above."""
    count_chars: int = 64_000
    """Bare counting: numbers of which each follows from the one before."""

    blank_chars: int = 1_000
    blank_lines: int = 200
    """White space and nothing else: either."""

    max_tool_calls: int | None = 128
    """Of one reply."""
    max_output_tokens: int | None = None
    max_spent_nano: int | None = None
    stop_texts: tuple[str, ...] = ()
    """A reply in which one of these stands, to the letter, stops. Not empty."""
    off: frozenset[Rule] = frozenset()
    """Rules that do not stop anything."""


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """Why and where a stream is to stop.

    `onset` is where the loop could first have been known, after its unit had stood twice, and `at` where it
    was stopped: characters of the channel, and the same in estimated tokens. `unit_chars` is how long one
    repeat is (about, where repeats differ) and `repeats` how often it was seen. `hash` is of the unit, keyed;
    empty without a key. For a limit, `repeats` is what was reached and nothing else is set. For a stop text,
    `hash` is that text's and `repeats` its place in the rules, from 1.
    """

    rule: Rule
    channel: Channel = "text"
    onset_chars: int = 0
    onset_tokens: int = 0
    at_chars: int = 0
    at_tokens: int = 0
    unit_chars: int = 0
    repeats: int = 0
    hash: str = ""


class Found(msgspec.Struct, frozen=True, gc=False):
    """What a detector saw: the unit that repeats, how often, and where it first stood."""

    rule: Rule
    start: int
    unit_chars: int
    repeats: int
