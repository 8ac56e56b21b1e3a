"""Runs that are made: loops of every kind, and runs that move on although they look alike.

A run is a list of acts. Whatever an agent may word differently differs between the repeats: what it says, how
it spells a call, and in a result what changes by itself.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from benchmarks.loops.wording import (
    ASKS,
    CHANGES,
    FACTS,
    FAILURES,
    NUDGES,
    THINGS,
    WHATS,
    WORDS_TO_USER,
    said,
    spelled,
)

REPEATS = 8
LONGEST_ROUND = 8


@dataclass(frozen=True, slots=True)
class Act:
    """One step: a call with its result, or, without a tool, words to the user with the reply."""

    tool: str
    arguments: str
    result: str
    words: str = ""


@dataclass(frozen=True, slots=True)
class Made:
    """A made run. Its loop begins at act `first`, one round of it has `period` acts."""

    name: str
    acts: tuple[Act, ...]
    first: int = 0
    period: int = 1


def loop(kind: str, chance: Random) -> Made:
    """Return a run that ends in a loop of one kind, of `REPEATS` rounds after the first one."""
    opening = tuple(_opening(chance))
    period = chance.randint(2, LONGEST_ROUND) if kind == "cycle" else 1
    make = LOOPS[kind]
    acts = make(chance, period)
    return Made(kind, (*opening, *acts), len(opening), period)


def moving(kind: str, chance: Random) -> Made:
    """Return a run that moves on."""
    return Made(kind, (*_opening(chance), *MOVING[kind](chance)))


def _opening(chance: Random) -> Iterator[Act]:
    for at in range(chance.randint(0, 4)):
        yield _act(
            chance, "open_file", {"path": f"notes/{at}.md"}, f"Note {at}: {chance.choice(WHATS)} {at}", 0
        )


def _act(
    chance: Random, tool: str, arguments: dict[str, Any], result: str, number: int, change: str = "nothing"
) -> Act:
    return Act(tool, spelled(chance, arguments), CHANGES[change](chance, number, result), said(chance))


def _change(chance: Random) -> str:
    return chance.choice(tuple(CHANGES))


def _call(chance: Random, number: int = 0) -> tuple[str, dict[str, Any]]:
    tool = chance.choice(("run", "query", "fetch", "search", "read"))
    return tool, {
        "target": chance.choice(THINGS),
        "limit": 10 + number,
        "mode": chance.choice(("fast", "full")),
    }


def _same_call(chance: Random, _: int) -> list[Act]:
    (tool, arguments), result, change = _call(chance), chance.choice(FACTS), _change(chance)
    return [_act(chance, tool, arguments, result, n, change) for n in range(REPEATS + 1)]


def _same_failure(chance: Random, _: int) -> list[Act]:
    (tool, arguments), thing = _call(chance), chance.choice(THINGS)
    return [
        _act(chance, tool, arguments, chance.choice(FAILURES).format(thing=thing), n)
        for n in range(REPEATS + 1)
    ]


def _same_result(chance: Random, _: int) -> list[Act]:
    what, result, change = chance.choice(WHATS), chance.choice(FACTS), _change(chance)
    if not _is_failure(result):
        change = "nothing"
    asks = chance.sample(ASKS, REPEATS + 1)
    return [
        _act(chance, "search", {"query": a.format(what=what)}, result, n, change) for n, a in enumerate(asks)
    ]


def _is_failure(text: str) -> bool:
    return any(word in text for word in ("No results", "Traceback", "denied", "failed"))


def _cycle(chance: Random, period: int) -> list[Act]:
    calls = [(*_call(chance, number), chance.choice(FACTS), _change(chance)) for number in range(period)]
    return [
        _act(chance, tool, arguments, result, n, change)
        for n in range(REPEATS + 1)
        for tool, arguments, result, change in calls
    ]


def _nothing_new(chance: Random, _: int) -> list[Act]:
    """Known calls in no order; their first time is the round that is repeated."""
    known = [(*_call(chance, n), f"{chance.choice(FACTS)} ({chance.choice(WHATS)})") for n in range(5)]
    change, order = _change(chance), list(range(5))
    last = -1
    for _n in range(REPEATS):
        last = chance.choice([one for one in range(5) if one != last])
        order.append(last)
    return [
        _act(chance, known[one][0], known[one][1], known[one][2], n, change) for n, one in enumerate(order)
    ]


def _known_lines(chance: Random, _: int) -> list[Act]:
    """Cuts of one text that was read whole: each call is new, no line is."""
    lines = [f"{chance.choice(WHATS)} of {chance.choice(THINGS)}, row {n}" for n in range(40)]
    acts = [_act(chance, "read", {"path": "all.txt"}, "\n".join(lines), 0)]
    for n in range(REPEATS):
        start = chance.randrange(25)
        part = "\n".join(lines[start : start + chance.randint(6, 14)])
        acts.append(_act(chance, "read", {"path": "all.txt", "start": start, "view": n}, part, n))
    return acts


def _same_text(chance: Random, _: int) -> list[Act]:
    thing = chance.choice(THINGS)
    return [
        Act("", "", chance.choice(NUDGES), chance.choice(WORDS_TO_USER).format(thing=thing))
        for _n in range(REPEATS + 1)
    ]


LOOPS: dict[str, Callable[[Random, int], list[Act]]] = {
    "same call, same result": _same_call,
    "same call, failing in other words": _same_failure,
    "same result, varied arguments": _same_result,
    "cycle": _cycle,
    "nothing new, known calls": _nothing_new,
    "nothing new, known lines": _known_lines,
    "same words, no tools": _same_text,
}


def _progress(chance: Random) -> list[Act]:
    style = chance.choice(
        ("{p}% done", '{{"progress": {p}}}', "{p}/100 files copied", "remaining: {q}", "step {p} of 100")
    )
    steps = range(0, 101, chance.choice((5, 10)))
    return [
        _act(
            chance,
            "status",
            {"job": "import"},
            style.format(p=p, q=100 - p),
            n,
            chance.choice(("nothing", "a time")),
        )
        for n, p in enumerate(steps)
    ]


def _waiting(chance: Random) -> list[Act]:
    """A job that is queued for a while, then runs, then is done."""
    states = ["queued"] * chance.randint(1, 5) + ["running"] * chance.randint(1, 5) + ["finished, 42 rows"]
    return [
        _act(chance, "status", {"job": "import"}, f"state: {s}", n, "a time") for n, s in enumerate(states)
    ]


def _paging(chance: Random) -> list[Act]:
    by_token = chance.random() < 0.5
    return [
        _act(
            chance,
            "next_page" if by_token else "list_orders",
            {} if by_token else {"page": page, "per_page": 5},
            json.dumps(
                [{"order": 1000 + 5 * page + n, "total": chance.randrange(10, 900)} for n in range(5)]
            ),
            page,
        )
        for page in range(14)
    ]


def _parts(chance: Random) -> list[Act]:
    return [
        _act(
            chance,
            "read",
            {"path": "src/app.py", "from": 40 * part, "to": 40 * part + 40},
            "\n".join(f"{40 * part + n}: value_{chance.randrange(10**6)} = load({n})" for n in range(40)),
            part,
        )
        for part in range(14)
    ]


def _retries(chance: Random) -> list[Act]:
    """Calls that fail one to five times as busy servers do, or one to three times else, then succeed."""
    acts: list[Act] = []
    for at in range(4):
        busy = chance.random() < 0.5
        failure = "HTTP 503 service unavailable" if busy else "Error: checksum does not match"
        arguments = {"url": f"https://example.test/{at}"}
        acts += [
            _act(chance, "fetch", arguments, failure, n, "a counter")
            for n in range(chance.randint(1, 5 if busy else 3))
        ]
        acts.append(
            _act(chance, "fetch", arguments, f"Page {at}: {chance.choice(WHATS)} and more, {at} of them", 0)
        )
    return acts


def _edits(chance: Random) -> list[Act]:
    """Edits that change something, each followed by tests that fail in the same way until the last."""
    acts: list[Act] = []
    for at in range(10):
        acts.append(
            _act(
                chance,
                "edit",
                {"path": "src/app.py", "text": f"x = {at}\ny = {chance.random()}"},
                "Edited src/app.py",
                at,
            )
        )
        outcome = "12 passed" if at == 9 else "FAILED test_total: AssertionError"
        acts.append(_act(chance, "run", {"command": "pytest -q"}, outcome, at, "seconds"))
    return acts


def _lookups(chance: Random) -> list[Act]:
    """One question on many different things; most answers are the same."""
    return [
        _act(
            chance,
            "is_available",
            {"room": f"R{at:02}", "date": "2026-12-01"},
            chance.choice(("available",) * 9 + ("taken",)),
            at,
        )
        for at in range(14)
    ]


def _writes(chance: Random) -> list[Act]:
    answer = chance.choice(('{"status": "ok"}', "Record created.", "File written successfully", "done"))
    return [
        _act(chance, "insert", {"name": f"row {at}", "value": chance.random()}, answer, at)
        for at in range(14)
    ]


def _talk(chance: Random) -> list[Act]:
    """A person asks for one thing after another and confirms each in few words."""
    return [
        Act(
            "",
            "",
            chance.choice(NUDGES),
            f"Order {4000 + 7 * at} has {n} items and ships to {chance.choice(THINGS)}. {what}?",
        )
        for at, (n, what) in enumerate(zip(chance.sample(range(2, 99), 10), ASKS, strict=False))
    ]


MOVING: dict[str, Callable[[Random], list[Act]]] = {
    "polling that moves on": _progress,
    "waiting for a job": _waiting,
    "paging": _paging,
    "parts of one file": _parts,
    "retries that then succeed": _retries,
    "tests between edits": _edits,
    "one lookup for many things": _lookups,
    "many writes": _writes,
    "a talk with short answers": _talk,
}
