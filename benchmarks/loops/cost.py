"""What watching costs: a request with 200 tool calls, beside reading the same body."""

from collections.abc import Callable
from random import Random
from statistics import median
from time import process_time_ns
from typing import Any

import msgspec

from benchmarks.loops.replay import KEY
from tidegate.model.request import RequestFacts
from tidegate.policy.fingerprint import prefixes
from tidegate.policy.loops import judge
from tidegate.services.tails import Tails
from tidegate.wire.body import Body
from tidegate.wire.registry import CODECS

CALLS = 200
SIZES = (200, 700, 2_000, 5_000)
"""Bytes of a result: the quartiles of the recorded runs are near the first three."""


def measure(rounds: int) -> list[dict[str, Any]]:
    """Return, by size of a result and whether the run loops, medians in microseconds of CPU.

    `next`: the request after one that was seen, the usual case. `first`: a run nobody remembers, as after a
    start of the gateway.
    """
    return [_measured(size, rounds, loops=loops) for size in SIZES for loops in (False, True)]


def _measured(size: int, rounds: int, *, loops: bool) -> dict[str, Any]:
    messages = _conversation(size, loops=loops)
    raw = msgspec.json.encode({"model": "m", "messages": messages})
    before = _facts(msgspec.json.encode({"model": "m", "messages": messages[:-2]}))
    facts = _facts(raw)
    known, new = prefixes(KEY, before.prompt), prefixes(KEY, facts.prompt)

    def next_() -> int:
        tails = Tails()
        tails.of("t", KEY, before, known)
        return _time(lambda: judge(tails.of("t", KEY, facts, new)))

    parse_us = median(_time(lambda: _facts(raw)) for _ in range(rounds)) / 1000
    next_us = median(next_() for _ in range(rounds)) / 1000
    first_us = median(_time(lambda: judge(Tails().of("t", KEY, facts, new))) for _ in range(rounds)) / 1000
    return {
        "result_bytes": size,
        "loops": loops,
        "body_bytes": len(raw),
        "read_body_us": round(parse_us),
        "next_us": round(next_us),
        "first_us": round(first_us),
        "next_of_reading": round(next_us / parse_us, 3),
        "first_of_reading": round(first_us / parse_us, 3),
    }


def _facts(raw: bytes) -> RequestFacts:
    return CODECS["chat"].read_request(Body.parse(raw))


def _time(act: Callable[[], object]) -> int:
    began = process_time_ns()
    act()
    return process_time_ns() - began


def _conversation(size: int, *, loops: bool) -> list[dict[str, Any]]:
    """200 calls; the results have words, numbers and lines as programs print them."""
    chance = Random(size)
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": _text(chance, 4000)},
        {"role": "user", "content": _text(chance, 300)},
    ]
    same = _text(chance, size)
    for number in range(CALLS):
        command = "make test" if loops else _text(chance, 60)
        function = {"name": "run", "arguments": msgspec.json.encode({"command": command}).decode()}
        call = {"id": f"call_{number}", "type": "function", "function": function}
        result = same if loops else _text(chance, size)
        messages += [
            {"role": "assistant", "content": _text(chance, 120), "tool_calls": [call]},
            {"role": "tool", "tool_call_id": call["id"], "content": result},
        ]
    return messages


def _text(chance: Random, size: int) -> str:
    words: list[str] = []
    left = size
    while left > 0:
        word = str(chance.randrange(10**5)) if chance.random() < 0.08 else _word(chance)
        words.append(word + ("\n" if chance.random() < 0.1 else ""))
        left -= len(word) + 1
    return " ".join(words)


def _word(chance: Random) -> str:
    return "".join(chance.choices("etaoinshrdlu", k=chance.randint(2, 9)))
