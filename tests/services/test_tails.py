from typing import Any

import msgspec
import pytest

from tidegate.model.request import RequestFacts
from tidegate.policy.fingerprint import prefixes
from tidegate.policy.loops import judge
from tidegate.policy.steps import EMPTY, Tail, extended
from tidegate.services.tails import READ_ANEW, Tails
from tidegate.wire.body import Body
from tidegate.wire.registry import CODECS
from tidegate.wire.turns import FIRST, read_turns

KEY = b"k" * 32
Json = dict[str, Any]


def messages(calls: int, task: str = "Tidy up.", *, loops: bool = False) -> list[Json]:
    found: list[Json] = [
        {"role": "system", "content": "You are an agent."},
        {"role": "user", "content": task},
    ]
    for number in range(calls):
        asked = "{}" if loops else f'{{"n": {number}}}'
        call = {"id": f"c{number}", "type": "function", "function": {"name": "run", "arguments": asked}}
        found.append({"role": "assistant", "content": None, "tool_calls": [call]})
        found.append(
            {"role": "tool", "tool_call_id": f"c{number}", "content": "x" if loops else f"value {number}"}
        )
    return found


def facts(given: list[Json]) -> RequestFacts:
    return CODECS["chat"].read_request(Body.parse(msgspec.json.encode({"model": "m", "messages": given})))


def tail_of(tails: Tails, given: list[Json], tenant: str = "t", key: bytes = KEY) -> Tail:
    read = facts(given)
    return tails.of(tenant, key, read, prefixes(key, read.prompt))


def whole(given: list[Json]) -> Tail:
    return extended(EMPTY, read_turns("chat", facts(given).prompt[FIRST:]), KEY)


@pytest.mark.parametrize("step", [1, 2, 3, 5, 9, 11, 13, 40])
def test_a_growing_conversation_gives_the_same_as_one_read_whole(step: int) -> None:
    given = messages(40, loops=True)
    tails = Tails()
    for end in range(2, len(given) + 1, step):
        assert tail_of(tails, given[:end]) == whole(given[:end])


@pytest.mark.parametrize("step", [0, 1, 2, 4, 8])
def test_of_a_known_conversation_only_what_is_new_is_read(step: int) -> None:
    given = messages(20)
    tails = Tails()
    tail_of(tails, given[: len(given) - step])
    read = facts(given)
    first_new = len(read.prompt) - step
    unreadable = (b"17",) * (first_new - FIRST)
    damaged = msgspec.structs.replace(
        read, prompt=(*read.prompt[:FIRST], *unreadable, *read.prompt[first_new:])
    )
    assert tails.of("t", KEY, damaged, prefixes(KEY, read.prompt)) == whole(given)


def test_a_conversation_that_was_changed_is_read_anew() -> None:
    tails = Tails()
    tail_of(tails, messages(10))
    changed = messages(12)
    changed[5]["content"] = "something else"
    assert tail_of(tails, changed) == whole(changed)


def test_a_conversation_that_became_shorter_is_read_anew() -> None:
    tails = Tails()
    tail_of(tails, messages(10))
    assert tail_of(tails, messages(3)) == whole(messages(3))


def test_conversations_that_begin_alike_are_told_apart() -> None:
    tails = Tails()
    one, other = messages(10), messages(10)
    other[-1]["content"] = "another value"
    tail_of(tails, one)
    assert tail_of(tails, other) == whole(other)
    assert tail_of(tails, one) == whole(one)


def test_a_tenant_is_given_nothing_of_another() -> None:
    tails = Tails()
    given = messages(5)
    one = tail_of(tails, given)
    other = tail_of(tails, given, tenant="u", key=b"u" * 32)
    assert {step.call for step in one.steps}.isdisjoint(step.call for step in other.steps)


def test_of_a_long_conversation_that_nobody_knows_the_end_is_read_and_all_is_counted() -> None:
    given = messages(READ_ANEW, loops=True)
    tail = tail_of(Tails(), given)
    assert (tail.calls, tail.messages) == (READ_ANEW, len(given))
    assert tail.steps == whole(given).steps
    assert judge(tail) == judge(whole(given))


def test_what_is_kept_is_bounded() -> None:
    tails = Tails(max_runs=4)
    for number in range(20):
        tail_of(tails, messages(2, f"Task {number}"))
    assert len(tails) == 8


def test_one_long_run_takes_the_place_of_one() -> None:
    tails = Tails()
    for calls in range(30):
        tail_of(tails, messages(calls))
    assert len(tails) == 2
