import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.policy.watch import Rule, Stop, StreamWatch, WatchRules

RULES = WatchRules()
KEY = b"a tenant's key"
WORDS = (
    *("harbour", "lamp", "kettle", "winter", "ledger", "violin", "orchard", "tunnel", "postman", "barley"),
    *("copper", "meadow", "signal", "thimble", "glacier", "lantern", "cousin", "ferry", "saddle", "almond"),
)


def prose(seed: int, words: int) -> str:
    """Sentences that hardly repeat."""
    draw = random.Random(seed)
    made = (f"{draw.choice(WORDS)}{draw.choice('aeiou')}{draw.choice('lnrst')}" for _ in range(words))
    return " ".join(f"{word}." if place % 9 == 8 else word for place, word in enumerate(made)) + " "


BEGIN = prose(1, 120)


def watched(text: str, size: int = 5, rules: WatchRules = RULES, *, arguments: bool = False) -> Stop | None:
    watch = StreamWatch(rules, KEY)
    feed = watch.tool_arguments if arguments else watch.text
    for at in range(0, len(text), size):
        if stop := feed(text[at : at + size]):
            return stop
    return None


def rule_of(text: str, *, arguments: bool = False) -> str | None:
    stop = watched(text, arguments=arguments)
    return stop.rule if stop else None


def drift(form: str, count: int = 200) -> str:
    return "".join(
        form.format(n=n, day=n % 28 + 1, month=n // 28 + 1, word=WORDS[n * 7 % 6]) for n in range(count)
    )


DEGENERATE = [
    ("repeated_text", "I am sorry, I cannot do that. " * 100),
    ("repeated_text", "the " * 1000),
    ("repeated_text", "ha" * 4000),
    ("repeated_text", "0, " * 4000),
    ("repeated_text", "-\n" * 3000),
    ("repeated_text", '{"type": "wall", "at": null}, ' * 300),
    ("repeated_text", prose(2, 90) * 12),
    ("drifting_repeat", drift("On day {n} we went down to the market and bought some bread. ")),
    ("drifting_repeat", drift("Report of 2026-{month:02}-{day:02}: nothing happened at the station today. ")),
    ("drifting_repeat", drift("We thought that the {word} was old, and then we went on with it again. ")),
    ("blank", "\n" * 1000),
    ("blank", " " * 3000),
    ("blank", "\t \n\u00a0\u200b" * 600),
    ("endless_list", ", ".join(map(str, range(1, 20_000)))),
    ("endless_list", "".join(f"{n}. {prose(n * 5 % 7, 6)}\n" for n in range(400))),
    (
        "repeated_lines",
        "".join(f"{random.Random(n).choice([prose(k, 6) for k in range(5)])}\n" for n in range(400)),
    ),
]


@pytest.mark.parametrize(("rule", "loop"), DEGENERATE)
def test_degenerate_text_is_stopped_by_its_rule(rule: str, loop: str) -> None:
    assert rule_of(BEGIN + loop) == rule


@pytest.mark.parametrize(("rule", "loop"), DEGENERATE)
def test_it_is_stopped_inside_arguments_too(rule: str, loop: str) -> None:
    written = msgspec.json.encode({"path": "notes.txt", "content": BEGIN + loop}).decode()
    assert rule_of(written, arguments=True) == rule


@pytest.mark.parametrize(("rule", "loop"), DEGENERATE)
def test_a_stop_lies_after_its_onset_and_that_after_the_beginning(rule: str, loop: str) -> None:
    stop = watched(BEGIN + loop)
    assert stop is not None
    assert len(BEGIN) - stop.unit_chars <= stop.onset_chars < stop.at_chars <= len(BEGIN + loop)
    assert 0 < stop.onset_tokens < stop.at_tokens


GENUINE = [
    prose(3, 6000),
    "".join(f"{n}, " for n in range(1, 6000)),
    "".join(f"{random.Random(n).random():.4f}," for n in range(3000)),
    "".join(f"{n},user{n},user{n}@example.com\n" for n in range(900)),
    "[" + ", ".join(f'{{"id": {n}, "name": "item {n}"}}' for n in range(900)) + "]",
    "\n".join(" ".join("0" * 40) for _ in range(40)),
    "| name | value |\n|---|---|\n" + "".join(f"| {WORDS[n % 20]} | {n * n} |\n" for n in range(700)),
    "".join(f"{n} bottles of beer on the wall, take one down, {n - 1} are left.\n" for n in range(99, 0, -1)),
    "".join(f"{n}. {random.Random(n).choice(('positive', 'negative'))}\n" for n in range(600)),
    "".join(f"The capital of {prose(n, 1)}is {prose(n + 9000, 1)}\n" for n in range(500)),
    "\n\n".join(prose(n, 30) + "\n" + "Row gently, row gently, the evening is long. " * 2 for n in range(60)),
    "#" + " " * 900 + "#",
    prose(4, 150) * 3,
]


@pytest.mark.parametrize("text", GENUINE)
@pytest.mark.parametrize("arguments", [False, True])
def test_genuine_text_goes_on(text: str, arguments: bool) -> None:
    written = msgspec.json.encode(text).decode() if arguments else text
    assert watched(written, arguments=arguments) is None


PARTS = st.one_of(
    st.text(max_size=60),
    st.sampled_from(["\n", " ", "\\n", "\\", "0, ", "no ", "step 1 of the plan. "]).map(
        lambda text: text * 400
    ),
    st.integers(1, 40).map(lambda words: prose(5, words) * 30),
    st.just(drift("On day {n} we went down to the market and bought bread. ", 120)),
)


@given(parts=st.lists(PARTS, max_size=6), draw=st.randoms(use_true_random=False), arguments=st.booleans())
def test_how_text_is_cut_does_not_matter(parts: list[str], draw: random.Random, arguments: bool) -> None:
    text = "".join(parts)
    watch, at, stop = StreamWatch(RULES, KEY), 0, None
    while at < len(text) and stop is None:
        size = draw.choice((1, 2, 7, 64, 65, 500))
        stop = (watch.tool_arguments if arguments else watch.text)(text[at : at + size])
        at += size
    assert stop == watched(text, max(1, len(text)), arguments=arguments)
    assert stop == watched(text, 1, arguments=arguments)


@given(beginning=st.integers(0, 80), unit=st.integers(8, 150))
def test_prose_to_the_letter_stops_within_six_repeats_or_the_limit(beginning: int, unit: int) -> None:
    begin, loop = prose(6, beginning), prose(7, unit)
    stop = watched(begin + loop * 120)
    assert stop is not None
    assert stop.rule in {"repeated_text", "drifting_repeat"}
    assert stop.at_chars <= len(begin) + max(RULES.loop_chars + len(loop), 6 * len(loop)) + 128


def test_a_stop_stays() -> None:
    watch = StreamWatch(RULES)
    stop = watch.text("no " * 1000)
    assert stop is not None
    assert watch.text("and now for something else") == watch.tool_arguments("{}") == watch.tool_call() == stop
    assert watch.tokens(10**9) == watch.spent(10**15) == stop


def test_no_text_is_in_a_stop_and_its_hash_needs_the_key() -> None:
    text = BEGIN + "the secret word is barley " * 100
    stop, bare, other = watched(text), StreamWatch(RULES).text(text), StreamWatch(RULES, b"other").text(text)
    assert stop is not None
    assert bare is not None
    assert other is not None
    assert b"barley" not in msgspec.json.encode(stop)
    assert (len(stop.hash), bare.hash) == (16, "")
    assert stop.hash != other.hash


def test_the_evidence_says_what_repeated_and_how_often() -> None:
    stop = watched("A sentence of this length. " * 100)
    assert stop is not None
    assert (stop.unit_chars, stop.onset_chars) == (27, 54)
    assert stop.repeats == stop.at_chars // 27


REPEATS: frozenset[Rule] = frozenset({"repeated_text", "repeated_lines", "drifting_repeat", "endless_list"})


def test_a_rule_that_is_off_stops_nothing() -> None:
    assert watched("no " * 3000, rules=WatchRules(off=REPEATS)) is None
    assert StreamWatch(WatchRules(max_output_tokens=1, off=frozenset({"output_limit"}))).tokens(5) is None


@pytest.mark.parametrize("limit", [1, 5])
def test_limits_stop_above_not_at(limit: int) -> None:
    rules = WatchRules(max_output_tokens=limit, max_spent_nano=limit, max_tool_calls=limit)
    assert StreamWatch(rules).tokens(limit) is None
    assert StreamWatch(rules).tokens(limit + 1) == Stop(rule="output_limit", repeats=limit + 1)
    assert StreamWatch(rules).spent(limit) is None
    assert StreamWatch(rules).spent(limit + 1) == Stop(rule="money_limit", repeats=limit + 1)
    watch = StreamWatch(rules)
    assert [watch.tool_call() for _ in range(limit)] == [None] * limit
    assert watch.tool_call() == Stop(rule="fan_out", repeats=limit + 1)


def test_without_a_limit_there_is_none() -> None:
    watch = StreamWatch(WatchRules(max_tool_calls=None))
    assert (watch.tokens(10**9), watch.spent(10**15)) == (None, None)
    assert [stop for _ in range(1000) if (stop := watch.tool_call())] == []


def test_parallel_calls_may_be_alike() -> None:
    watch = StreamWatch(RULES)
    for _ in range(100):
        assert watch.tool_call() is None
        assert watch.tool_arguments('{"city": "Bremen", "unit": "celsius", "days": 7}' * 2) is None


def test_text_and_arguments_are_looked_at_apart() -> None:
    watch = StreamWatch(RULES)
    for _ in range(30):
        assert watch.text("again and again. ") is None
        assert watch.tool_arguments("again and again. ") is None


@pytest.mark.parametrize("size", [1, 3, 4, 9, 1000])
def test_a_stop_text_is_found_across_deltas(size: int) -> None:
    rules = WatchRules(stop_texts=("<stop>", "END OF ANSWER", "ANSWER"))
    stop = watched("Here it is. END OF ANSWER, and more <stop>", size, rules)
    assert stop is not None
    assert (stop.rule, stop.at_chars, stop.repeats) == ("stop_rule", 25, 2)
    assert stop.at_tokens > 0


def test_a_stop_text_that_is_off_or_not_there_stops_nothing() -> None:
    rules = WatchRules(stop_texts=("<stop>",))
    assert watched("stop > <stop", 3, rules) is None
    assert watched("<stop>", 3, msgspec.structs.replace(rules, off=frozenset({"stop_rule"}))) is None


@given(cut=st.lists(st.integers(1, 9), min_size=1, max_size=40), at=st.integers(0, 1500))
def test_of_two_reasons_the_first_counts_however_text_is_cut(cut: list[int], at: int) -> None:
    rules, loop = WatchRules(stop_texts=("<stop>",)), "no " * 600
    text = loop[:at] + "<stop>" + loop[at:]
    watch, stop, place, turn = StreamWatch(rules, KEY), None, 0, 0
    while stop is None:
        size = cut[turn % len(cut)] * 30
        stop = watch.text(text[place : place + size])
        place, turn = place + size, turn + 1
    assert stop == watched(text, 1, rules)


def test_lone_surrogates_and_control_characters_are_survived() -> None:
    assert watched("\ud800\x00\x1b" * 40) is None
    assert rule_of("\ud800 \udfff and. " * 1000) == "repeated_text"
