"""Loops trip, and what only looks like one does not. A run is written as (tool, arguments, result) rows."""

from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.model.message import Message, Text, ToolResult, ToolUse
from tidegate.policy.loop_rules import DEFAULT, HIGH, LOW, MEDIUM, Limits, LoopRules, Thresholds, Trip
from tidegate.policy.loops import judge
from tidegate.policy.steps import EMPTY, KEPT, Tail, extended

KEY = b"k" * 32
Row = tuple[str, str, str]
"""A call with its result; without a tool, words to the user with the reply."""


def conversation(rows: Iterable[Row], first: int = 0) -> list[Message]:
    messages: list[Message] = []
    for number, (tool, asked, came) in enumerate(rows, first):
        if tool:
            use = ToolUse(id=f"c{number}", name=tool, arguments=asked)
            result = ToolResult(id=f"c{number}", parts=(Text(text=came),))
            messages.append(Message(role="assistant", parts=(Text(text=f"Try {number}."), use)))
            messages.append(Message(role="user", parts=(result,)))
        else:
            messages.append(Message(role="assistant", parts=(Text(text=asked),)))
            messages.append(Message(role="user", parts=(Text(text=came),)))
    return messages


def tail_of(rows: Iterable[Row]) -> Tail:
    return extended(EMPTY, conversation(rows), KEY)


def first_trips(rows: Sequence[Row], rules: LoopRules = DEFAULT) -> dict[str, tuple[int, str]]:
    """Of each level the step at which it first tripped, and the rule."""
    found: dict[str, tuple[int, str]] = {}
    tail = EMPTY
    for number, row in enumerate(rows):
        tail = extended(tail, conversation([row], number), KEY)
        for trip in judge(tail, rules):
            found.setdefault("notice", (number, trip.rule))
            if trip.level == "enforce":
                found.setdefault("enforce", (number, trip.rule))
    return found


def trips(rows: Sequence[Row], rules: LoopRules = DEFAULT) -> dict[str, Trip]:
    return {trip.rule: trip for trip in judge(tail_of(rows), rules)}


OPEN = ("open", '{"path": "a.md"}', "Notes on the migration")
FAILING = ("run", '{"command": "make"}', "Error: no rule to make target")
LOOPS: dict[str, tuple[list[Row], str]] = {
    "one call, one result": ([OPEN, *[("sql", '{"q": "select 1"}', "1 | 2 | 3")] * 4], "same_call"),
    "spelled in other ways": (
        [
            ("sql", '{"a": 1, "b": "x  y"}', "1 | 2"),
            ("sql", '{"b":"x y","a":1}', "1 | 2"),
            ("sql", '{ "a" : 1, "b" : "X y" }', "1  |  2"),
            ("sql", '{"b": "x y", "a": 1}', "1 | 2"),
        ],
        "same_call",
    ),
    "a result with a counter and a time": (
        [("run", "make", f"attempt {n} at 12:00:0{n} gave 3 warnings") for n in range(4)],
        "same_call",
    ),
    "among calls that fail": (
        [FAILING, FAILING, ("run", '{"command": "ls x"}', "no such file"), FAILING, FAILING],
        "same_call_again",
    ),
    "failing in other words": (
        [
            ("read", "x.csv", text)
            for text in ("not found", "cannot open", "missing", "no such file", "failed")
        ],
        "failing_call",
    ),
    "varied calls, one failure": (
        [("search", f'{{"q": "word {n} of it"}}', "No results.") for n in range(6)],
        "same_result",
    ),
    "varied calls, one long answer": (
        [
            ("search", f'{{"q": "word {n}"}}', "The page lists the opening hours of our five branches" * 2)
            for n in range(7)
        ],
        "same_result",
    ),
    "A-B-A-B": ([("edit", "a", "was a"), ("edit", "b", "was b")] * 3, "cycle"),
    "eight in turn": ([(f"t{n}", "{}", f"about {n} rows of it") for n in range(8)] * 2, "cycle"),
    "twelve in turn": ([(f"t{n}", "{}", f"about {n} rows of it") for n in range(12)] * 2, "cycle"),
    "known calls in no order": (
        [(f"t{n}", "{}", f"about {n} rows of it") for n in (0, 1, 2, 3, 2, 0, 3, 1, 0, 2, 1)],
        "nothing_new",
    ),
    "parts of what was read": (
        [
            ("read", "{}", "\n".join(f"row {n} of the book" for n in range(30))),
            *[
                ("read", f'{{"from": {at}}}', "\n".join(f"row {n} of the book" for n in range(at, at + 9)))
                for at in (3, 9, 1, 12, 7, 5, 2)
            ],
        ],
        "nothing_new",
    ),
    "its own words": ([("", "I will look into the archive.", "Continue.")] * 4, "same_text"),
    "its own words, reworded": (
        [
            ("", "I will look into the archive and report to you.", "go on"),
            ("", "Let me look into the archive now and then report.", "ok"),
            ("", "Now I look into the archive; then I will report.", "continue"),
            ("", "I look into the archive first, and then report to you.", "ok"),
        ],
        "same_text",
    ),
}


@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_is_noticed_when_it_is_there(name: str) -> None:
    rows, rule = LOOPS[name]
    assert rule in trips(rows)
    assert first_trips(rows[:-1]).get("notice") is None or name in (
        "A-B-A-B",
        "eight in turn",
        "twelve in turn",
    )


@pytest.mark.parametrize("name", LOOPS)
def test_every_loop_is_stopped_within_three_more_rounds(name: str) -> None:
    rows, _ = LOOPS[name]
    tail = rows[-12:] if "twelve" in name else rows[-8:] if "eight" in name else rows[-1:]
    assert "enforce" in first_trips([*rows, *tail * 3])


MOVING: dict[str, list[Row]] = {
    "polling that moves on": [("status", "{}", f"{n}% done") for n in range(0, 100, 5)],
    "polling counts down": [("status", "{}", f'{{"remaining": {n}}}') for n in range(20, 0, -1)],
    "a job that starts late": [
        ("status", "{}", text) for text in ["queued"] * 6 + ["running"] * 6 + ["12 rows"]
    ],
    "paging by number": [
        ("list", f'{{"page": {n}}}', f"order {n * 3} and order {n * 3 + 1}") for n in range(20)
    ],
    "paging by the same call": [("next", "{}", f"order {n * 3} and order {n * 3 + 1}") for n in range(20)],
    "parts of one file": [
        ("read", f'{{"from": {at}}}', "\n".join(f"value_{at + n} = {n}" for n in range(9)))
        for at in range(0, 180, 9)
    ],
    "retries that then succeed": [
        row
        for n in range(5)
        for row in (*[FAILING] * 3, ("run", '{"command": "make"}', f"built file {n} of 5"))
    ],
    "a busy server": [*[("get", "{}", "HTTP 503, try again")] * 6, ("get", "{}", "the page")],
    "tests between edits": [
        row
        for n in range(12)
        for row in (("edit", f'{{"text": "x = {n} + y"}}', "Edited a.py"), ("test", "{}", "FAILED: 1 of 9"))
    ],
    "one question on many things": [("is_free", f'{{"room": "R{n}"}}', "available") for n in range(15)],
    "many writes": [("insert", f'{{"row": "item number {n}"}}', "Row inserted.") for n in range(15)],
    "a person confirms": [("", f"May I delete the file named {n}.txt?", "yes") for n in "abcdefghij"],
    "short answers that differ": [
        ("", "Tell me the next city, please.", city) for city in ("Rome", "Oslo", "Bonn", "Linz", "Graz")
    ],
    "words on other numbers": [("", f"Order {n} was shipped to you.", "ok") for n in range(4000, 4010)],
    "a talk": [
        ("", f"{w} is the next topic of our talk.", f"then tell me of {w} please") for w in "abcdefghij"
    ],
}


@pytest.mark.parametrize("name", MOVING)
def test_what_moves_on_trips_at_no_step(name: str) -> None:
    assert first_trips(MOVING[name]) == {}


def test_a_loop_that_was_left_is_none() -> None:
    assert trips([*[FAILING] * 6, OPEN]) == {}


def test_something_new_between_ends_the_count() -> None:
    assert "same_call_again" not in trips([FAILING, FAILING, OPEN, FAILING, FAILING])


def test_one_that_has_to_wait_may_ask_longer() -> None:
    waiting = [("status", "{}", "state: pending")] * 12
    assert first_trips(waiting) == {"notice": (7, "same_call"), "enforce": (7, "same_call")}
    in_turn = [("sleep", "{}", "slept"), ("status", "{}", "state: pending")] * 12
    assert first_trips(in_turn)["enforce"][0] >= 10


def test_a_trip_names_calls_and_never_text() -> None:
    trip = trips([OPEN, *[FAILING] * 5])["same_call"]
    assert trip.level == "enforce"
    assert (trip.count, trip.period, trip.calls, trip.known_from, trip.at) == (5, 1, (1, 2, 3, 4, 5), 2, 5)
    assert trip.messages == (2, 4, 6, 8, 10)
    assert len(trip.prints) == 2
    assert all(len(one) == 16 and int(one, 16) for one in trip.prints)


def test_a_cycle_says_its_period_and_when_it_could_be_known() -> None:
    rows = [OPEN, *[("a", "{}", "x"), ("b", "{}", "y"), ("c", "{}", "z")] * 3]
    trip = trips(rows)["cycle"]
    assert (trip.period, trip.count, trip.known_from, trip.at) == (3, 6, 4, 9)


def test_a_short_cycle_in_a_longer_one_hides_it_not() -> None:
    rows = [("a", "{}", "x"), ("b", "{}", "y"), ("a", "{}", "x"), ("b", "{}", "y"), ("c", "{}", "z")] * 2
    tail = [*rows, *rows[:4]]
    assert trips(tail)["cycle"].period == 5


def test_prints_of_two_tenants_cannot_be_compared() -> None:
    rows = conversation([FAILING] * 4)
    one, other = (judge(extended(EMPTY, rows, key))[0].prints for key in (b"a" * 32, b"b" * 32))
    assert not set(one) & set(other)


def test_what_is_to_be_stopped_comes_first() -> None:
    rules = LoopRules(medium=with_limits(same_call=Limits(2, 99), cycle=Limits(99, 99)))
    found = judge(tail_of([FAILING] * 8), rules)
    assert [trip.level for trip in found] == sorted(
        (trip.level for trip in found), key="enforce notice".index
    )
    assert found[0].level == "enforce"
    assert found[-1].rule == "same_call"


def test_a_level_of_0_is_off() -> None:
    off = Limits(0, 0)
    rules = LoopRules(
        medium=with_limits(
            same_call=off, same_call_again=off, failing_call=off, nothing_new=off, same_result=off
        )
    )
    assert judge(tail_of([FAILING] * 20), rules) == ()


def with_limits(**limits: Limits) -> Thresholds:
    given = {name: getattr(MEDIUM, name) for name in MEDIUM.__struct_fields__}
    return Thresholds(**{**given, **limits})


def test_a_higher_sensitivity_trips_no_later() -> None:
    for name in MEDIUM.__struct_fields__:
        if name == "patience":
            assert HIGH.patience <= MEDIUM.patience <= LOW.patience
            continue
        rows = [getattr(one, name) for one in (HIGH, MEDIUM, LOW)]
        assert [row.notice for row in rows] == sorted(row.notice for row in rows)
        assert [row.enforce for row in rows] == sorted(row.enforce for row in rows)
        assert all(row.notice <= row.enforce for row in rows)


@pytest.mark.parametrize(("sensitivity", "at"), [("high", 2), ("medium", 3), ("low", 5)])
def test_each_sensitivity_stops_at_its_own_count(sensitivity: str, at: int) -> None:
    rules = LoopRules(sensitivity=sensitivity)  # type: ignore[arg-type]
    assert first_trips([("sql", "{}", "1 | 2")] * 8, rules)["enforce"] == (at, "same_call")


ROWS = st.lists(
    st.tuples(
        st.sampled_from(("", "a", "b")),
        st.sampled_from(("x", "y", "{}")),
        st.sampled_from(("r", "s", "error")),
    ),
    max_size=40,
)


@given(ROWS, st.integers(0, 40))
def test_growing_step_by_step_gives_the_same_as_all_at_once(rows: list[Row], cut: int) -> None:
    messages = conversation(rows)
    in_parts = extended(extended(EMPTY, messages[:cut], KEY), messages[cut:], KEY)
    assert judge(in_parts) == judge(extended(EMPTY, messages, KEY))


@given(ROWS)
def test_evidence_points_to_steps_that_are_there(rows: list[Row]) -> None:
    tail = tail_of(rows)
    for trip in judge(tail):
        assert trip.count >= 2
        assert list(trip.messages) == sorted(trip.messages)
        assert 0 <= trip.known_from <= trip.at
        assert {*trip.messages} <= {step.message for step in tail.steps}


@given(st.integers(1, 200))
def test_distinct_calls_with_distinct_results_never_trip(size: int) -> None:
    rows: list[Row] = [("t", f'{{"n": {n}}}', f"value {n} of {size}") for n in range(size)]
    tail = tail_of(rows)
    assert judge(tail) == ()
    assert len(tail.steps) == min(size, KEPT)
    assert tail.calls == size
