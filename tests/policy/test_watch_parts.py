"""The parts of the watch on their own: thresholds, shapes, counts, and what they keep."""

import random
import tracemalloc

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.policy.watch import StreamWatch, WatchRules
from tidegate.policy.watch_blank import Blank
from tidegate.policy.watch_counts import Counts, Quiet
from tidegate.policy.watch_lines import Lines
from tidegate.policy.watch_loop import MAX_UNIT_CHARS, Loop
from tidegate.policy.watch_rules import Found
from tidegate.policy.watch_shape import SAMPLE_CHARS, is_prose, shape_of, text_size, texture_of
from tidegate.policy.watch_words import STALE, Words

RULES = WatchRules()
STEP = 64


def loops(text: str, rules: WatchRules = RULES) -> tuple[int, Found] | None:
    """Feed the detector of loops step by step; where it speaks first, and what it says."""
    loop, size = Loop(rules), STEP
    for end in range(size, len(text) + 1, size):
        if found := loop.step(text[max(0, end - MAX_UNIT_CHARS - 256) : end], size, end):
            return end, found
    return None


@pytest.mark.parametrize(
    ("unit", "chars", "repeats"),
    [
        ("So we went on. ", RULES.loop_chars, RULES.loop_repeats),
        ("".join(f"word{letter} in a row, " for letter in "abcdefghijklmnopqrst"), 0, RULES.loop_repeats),
        ('{"type": "wall", "at": null}, ', RULES.code_chars, RULES.code_repeats),
        ("ha", RULES.code_chars, RULES.code_repeats),
        ("-\n", RULES.code_chars, RULES.code_repeats),
        ("0, ", RULES.code_chars, RULES.value_repeats),
        ("[0, 0, 0, 0, 0, 0, 0, 0],\n", RULES.value_chars, 0),
        ("|          |          |          |          |          |\n", RULES.value_chars, 0),
    ],
)
def test_a_loop_is_told_at_its_threshold(unit: str, chars: int, repeats: int) -> None:
    told = loops(unit * 2000)
    assert told is not None
    end, found = told
    assert (found.unit_chars, found.start) == (len(unit), 0)
    enough = max(chars, repeats * len(unit), RULES.loop_chars)
    assert enough <= end <= enough + STEP


@given(size=st.integers(1, MAX_UNIT_CHARS), begin=st.integers(0, 500), draw=st.randoms(use_true_random=False))
def test_every_period_is_found_whatever_stands_before(size: int, begin: int, draw: random.Random) -> None:
    def letters(count: int) -> str:
        return "".join(draw.choice("abcdefghij klmnop qrstuvw") for _ in range(count))

    unit, rules = letters(size), msgspec.structs.replace(RULES, loop_chars=1, code_chars=1, value_chars=1)
    told = loops("#" + letters(begin) + unit * (12 + 2000 // size), rules)
    assert told is not None
    assert size % told[1].unit_chars == 0 or told[1].unit_chars <= size


def test_a_longer_unit_is_no_loop() -> None:
    draw = random.Random(1)
    unit = "".join(draw.choice("abcdefgh ") for _ in range(MAX_UNIT_CHARS + 200))
    assert loops(unit * 10) is None


@pytest.mark.parametrize(
    ("unit", "shape"),
    [
        ("and so on, and so on. ", "prose"),
        ("the ", "prose"),
        ("とても美しい花が咲いています。", "prose"),
        ("AAAA", "code"),
        ("import os\nimport sys\nfoo(bar)\n", "code"),
        ("false, ", "prose"),
        ("false,", "values"),
        ("1.25;", "values"),
        ("*\n", "code"),
        ("**********\n", "values"),
    ],
)
def test_the_shape_of_a_unit(unit: str, shape: str) -> None:
    assert shape_of(unit) == shape


@pytest.mark.parametrize(
    ("text", "texture"),
    [
        ("On the next day we walked along the river and spoke of the years that were behind us. ", "prose"),
        (
            "Am nächsten Tag gingen wir am Fluss entlang und sprachen über die Jahre, die vergangen sind. ",
            "prose",
        ),
        ("true, false, true, true, ", "labels"),
        ("Move disk 3 from B to C\n", "labels"),
        ("12. neutral\n", "labels"),
        (
            "So the sum is 3 * (x + 4)^2 = 3x^2 + 24x + 48, and half of it is what we wanted to know: 24. ",
            "labels",
        ),
        ('{"id": 12, "name": "item"}, ', "rows"),
        ("12,anna,anna@example.com,true\n", "rows"),
        ("| 12 | anna | Bremen |\n", "rows"),
        ("    case 12: return x;\n", "rows"),
        ("https://example.com/page/12\n", "rows"),
    ],
)
def test_the_texture_of_a_sample(text: str, texture: str) -> None:
    assert texture_of((text * SAMPLE_CHARS)[:SAMPLE_CHARS]) == texture


def test_white_space_alone_is_no_prose() -> None:
    assert not is_prose(" " * 100)


@given(st.text())
def test_sizes_are_those_of_utf_8(text: str) -> None:
    raw = text.encode("utf-8", "replace")
    assert text_size(text) == (len(raw), sum(byte < 128 for byte in raw))


@given(st.lists(st.integers(0, 7), max_size=200))
def test_counts_are_exact_within_a_generation_where_no_place_is_shared(hashes: list[int]) -> None:
    counts = Counts(8, 1000)
    assert [counts.seen(one) for one in hashes] == [hashes[:at].count(one) for at, one in enumerate(hashes)]


def test_counts_stop_at_a_byte_and_are_forgotten_after_two_generations() -> None:
    counts = Counts(8, 600)
    assert [counts.seen(1) for _ in range(600)][-1] == 255
    assert [counts.seen(2) for _ in range(600)][:2] == [0, 1]
    assert counts.seen(1) == 0


def test_what_is_new_pays_for_what_is_stale() -> None:
    quiet = Quiet()
    for at in (10, 20, 30):
        quiet.add(5.0, at // 20, at)
    quiet.take(4.0)
    assert (quiet.length, quiet.start, quiet.stale) == (11.0, 10, 3)
    quiet.take(40.0)
    quiet.add(1.0, 9, 50)
    assert (quiet.length, quiet.start, quiet.stale) == (1.0, 50, 1)


def test_the_anchor_tells_how_far_apart_repeats_are() -> None:
    quiet = Quiet()
    assert quiet.unit_chars == 0
    for at in range(0, 400, 40):
        quiet.add(1.0, 7, at)
        quiet.add(1.0, at, at + 5)
    assert quiet.unit_chars == 40


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("\n" * 199, False),
        ("\n" * 200, True),
        (" " * 999, False),
        (" " * 1000, True),
        ("x" + "\u200b\u3000" * 500, True),
        ("\n" * 150 + "x" + "\n" * 150, False),
    ],
)
def test_white_space_is_counted_to_the_character(text: str, found: bool) -> None:
    blank = Blank(RULES)
    steps = [blank.step(text[at : at + 50], min(at + 50, len(text))) for at in range(0, len(text), 50)]
    assert any(steps) is found


def words(text: str, weight: float = 1.0) -> float:
    """What the detector of drift holds against a text, in characters."""
    detector = Words(msgspec.structs.replace(RULES, drift_chars=10**9))
    for at in range(0, len(text), STEP):
        detector.step(text[at : at + STEP], at + STEP, weight)
    return detector._quiet.length


def lines_of(form: str, values: list[int]) -> str:
    return "".join(form.format(value) + "\n" for value in values)


SENTENCE = "At the gate we counted {} people before the lamp went out"


def test_a_sentence_counts_once_it_stood_four_times() -> None:
    text = SENTENCE.format("many") + "\n"
    assert words(text * STALE) == 0.0
    line_end_too = len(text.split()) / (len(text.split()) + 1)
    assert words(text * 40) == pytest.approx(len(text) * (40 - STALE) * line_end_too, abs=STEP)


@pytest.mark.parametrize("values", [list(range(100)), list(range(0, 700, 7)), [12] * 100])
def test_numbers_that_follow_are_no_news(values: list[int]) -> None:
    assert words(lines_of(SENTENCE, values)) > 4000


@pytest.mark.parametrize("values", [[n * n * 7919 % 9973 for n in range(100)], list(range(1000, 900, -1))])
def test_numbers_without_order_and_falling_ones_are_news(values: list[int]) -> None:
    assert words(lines_of(SENTENCE, values)) < 600


def test_numbers_alone_never_drift() -> None:
    assert words(", ".join(map(str, range(5000)))) == 0.0


def test_a_new_word_in_each_sentence_is_news() -> None:
    letters = "abcdefghij"
    names = [f"{letters[n % 10]}{letters[n // 10]}nor" for n in range(100)]
    assert words("".join(f"We met {name} at the gate. " for name in names)) < 100


def items(lines: list[str], weight: float = 1.0) -> tuple[float, int]:
    detector = Lines(msgspec.structs.replace(RULES, line_chars=10**9))
    for line in lines:
        detector.step(line + "\n", 0, weight)
    return detector._quiet.length, detector._marked


PHRASES = ["Drink enough water every day", "Sleep for eight hours a night", "Take a walk after every lunch"]


@pytest.mark.parametrize("mark", ["{}. ", "- ", "* ", "**{}.** ", "({}) ", "## {}) "])
def test_what_marks_an_item_does_not_make_it_new(mark: str) -> None:
    length, marked = items([mark.format(n) + PHRASES[n % 3] for n in range(90)])
    assert (length > 2000, marked) == (True, 78)


def test_labels_count_less_than_phrases_and_rows_less_than_both() -> None:
    labels, _ = items([f"{n}. {('good', 'poor')[n % 2]}" for n in range(300)])
    phrases, _ = items([f"{n}. {PHRASES[n % 2]}" for n in range(300)])
    rows, _ = items([f"{n}. {PHRASES[n % 2]}" for n in range(300)], 1 / RULES.row_sparing)
    assert 0 < rows < labels < phrases / 10


def test_brackets_and_choices_are_neither_old_nor_new() -> None:
    assert items(["}", "]", "12", "A", "no"] * 200) == (0.0, 0)


def test_memory_stays_bounded_whatever_comes() -> None:
    draw, rules = random.Random(1), WatchRules(stop_texts=("never",))
    text = "".join(draw.choice("ab1\n,. 中é") for _ in range(50_000))
    tracemalloc.start()
    try:
        watch = StreamWatch(rules, b"key")
        for at in range(0, len(text), 7):
            watch.text(text[at : at + 7])
        first = tracemalloc.get_traced_memory()[0]
        for at in range(0, len(text), 7):
            watch.text(text[at : at + 7])
        assert tracemalloc.get_traced_memory()[0] <= max(first * 1.2, 100_000)
    finally:
        tracemalloc.stop()
    assert first < 150_000
