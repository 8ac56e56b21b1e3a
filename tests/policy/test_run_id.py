from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.policy.run_id import NO_RUN, RUN_HEX, conversation_of, run_of, trace_id

KEY = b"k" * 32
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
NAMED = {"run": "r-1", "conversation": "conv_1", "session": "s-1", "traceparent": TRACE}


def test_the_first_source_that_says_anything_wins() -> None:
    left: dict[str, Any] = dict(NAMED)
    sources = []
    for name in NAMED:
        sources.append(run_of(KEY, key_id="k1", first_user=b"hi", **left).source)
        del left[name]
    sources.append(run_of(KEY, key_id="k1", first_user=b"hi").source)
    assert sources == ["run", "conversation", "session", "trace", "start"]
    assert run_of(KEY, key_id="k1") == NO_RUN


@pytest.mark.parametrize("name", NAMED)
def test_a_named_run_is_the_same_for_all_keys_of_its_tenant(name: str) -> None:
    said: dict[str, Any] = {name: NAMED[name]}
    one, other = run_of(KEY, key_id="k1", **said), run_of(KEY, key_id="k2", **said)
    assert one == other
    assert len(one.id) == RUN_HEX
    assert run_of(b"o" * 32, key_id="k1", **said).id != one.id


def test_one_text_in_two_sources_is_two_runs() -> None:
    assert run_of(KEY, key_id="k", run="x").id != run_of(KEY, key_id="k", session="x").id


def start(system: str = "You fix bugs.", first: bytes = b'{"role":"user"}', key_id: str = "k1") -> str:
    return run_of(KEY, key_id=key_id, system_text=system, first_user=first).id


def test_a_run_by_its_start_is_of_one_key_one_prompt_and_one_task() -> None:
    ids = {start(), start("You write."), start(first=b"{}"), start(key_id="k2")}
    assert len(ids) == 4


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x-anthropic-billing-header: cc_version=2.1.3;\nYou fix bugs.", "You fix bugs."),
        ("Today is 2026-11-24.\nYou fix bugs.", "Today is 2026-11-25.\nYou fix bugs."),
        ("You fix bugs.\nVersion 2.1.30 build 123456789", "You fix bugs.\nVersion 2.1.31 build 123456790"),
    ],
)
def test_volatile_lines_of_the_system_prompt_stay_out(one: str, other: str) -> None:  # trap K13
    assert start(one) == start(other)


def test_numbers_in_the_task_do_not_stay_out() -> None:
    assert start(first=b"Refund order 1234567") != start(first=b"Refund order 1234568")


@given(st.text(max_size=20), st.binary(min_size=1, max_size=20), st.binary(min_size=1, max_size=20))
def test_parts_of_a_start_cannot_be_moved_into_each_other(system: str, one: bytes, other: bytes) -> None:
    assert (start(system, one) == start(system, other)) == (one == other)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (TRACE, "4bf92f3577b34da6a3ce929d0e0e4736"),
        (f" {TRACE.upper()} ", "4bf92f3577b34da6a3ce929d0e0e4736"),
        (f"cc{TRACE[2:]}-what-is-to-come", "4bf92f3577b34da6a3ce929d0e0e4736"),
        (f"00-{'0' * 32}-00f067aa0ba902b7-01", ""),
        ("00-4bf92f-00f067aa0ba902b7-01", ""),
        ("", ""),
        ("x" * 5000, ""),
    ],
)
def test_the_trace_id_of_a_traceparent(header: str, found: str) -> None:
    assert trace_id(header) == found


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({"field": b'"conv_7"'}, "conv_7"),
        ({"field": b'{"id": "conv_7", "more": 1}'}, "conv_7"),
        ({"field": b"null", "metadata": {"session_id": "s"}}, "s"),
        ({"field": b"17"}, ""),
        ({"metadata": {"thread_id": "t", "session_id": "s"}}, "t"),
        ({"metadata": {"team": "red"}}, ""),
        ({"headers": [(b"session_id", b"abc")]}, "abc"),
        ({"headers": [(b"x-claude-code-session-id", b"abc"), (b"accept", b"x")]}, "abc"),
        ({"metadata_user": "user_1f_account__session_8b7d0a4e-11"}, "8b7d0a4e-11"),
        ({"metadata_user": '{"device_id": "d", "session_id": "8b7d"}'}, "8b7d"),
        ({"metadata_user": "{broken"}, ""),
        ({"metadata_user": "alice"}, ""),
        ({}, ""),
    ],
)
def test_the_conversation_that_a_dialect_states(said: dict[str, Any], found: str) -> None:
    assert conversation_of(**said) == found
