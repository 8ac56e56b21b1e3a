import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.policy.fingerprint import OLDER_BOUNDARIES, exact, fingerprint, prefixes, stable_lines

KEY = b"k" * 32


@pytest.mark.parametrize(
    "line",
    [
        "Today is 2026-11-24.",
        "Current time: 14:05",
        "The date is November 3, 2026",
        "x-agent-billing: cc_version=2.1; plan=pro",  # trap K13
        "Session 7f9c24e8-3b12-4f0a-9d61-0c3a8f2b1e77",
        "Build 9fceb02d0ae598e9",
        "Ticket 20261124001",
    ],
)
def test_volatile_lines_do_not_name_an_application(line: str) -> None:
    system = "You summarise support tickets.\nAnswer in English."
    assert fingerprint(KEY, f"{line}\n{system}", b"") == fingerprint(KEY, system, b"")


@pytest.mark.parametrize(
    "line",
    ["Answer in at most 50 words.", "You are a decade of facade.", "Rate from 1 to 10.", "Use 3 bullets."],
)
def test_rules_with_small_numbers_are_stable(line: str) -> None:
    assert stable_lines(line) == [line]


def test_tool_order_does_not_matter_but_tools_do() -> None:  # trap K5
    one = b'[{"name":"a"},{"name":"b"}]'
    other = b'[{"name": "b"}, {"name": "a"}]'
    assert fingerprint(KEY, "s", one) == fingerprint(KEY, "s", other)
    assert fingerprint(KEY, "s", one) != fingerprint(KEY, "s", b"")


def test_tenants_cannot_compare_fingerprints() -> None:
    assert fingerprint(KEY, "s", b"") != fingerprint(b"j" * 32, "s", b"")


def test_a_growing_conversation_shares_prefixes() -> None:
    pieces = [b"tools", b"system", b"m0", b"m1", b"m2"]
    short, long = dict(prefixes(KEY, pieces)), dict(prefixes(KEY, [*pieces, b"m3", b"m4"]))
    assert short[2] == long[2]
    assert short[-1] == long[-1]
    assert set(long) == {-1, 0, 2, 3, 4}


def test_moving_a_byte_between_messages_changes_the_prefix() -> None:
    assert prefixes(KEY, [b"", b"", b"ab", b"c"])[-1] != prefixes(KEY, [b"", b"", b"a", b"bc"])[-1]


FIELDS = [("model", b'"m"'), ("messages", b"[]"), ("temperature", b"0"), ("n", b"1")]


def test_hashes_stay_those_that_journals_hold() -> None:
    pieces = [b"tools", b"system", *(f"message {number}".encode() for number in range(20))]
    assert prefixes(KEY, pieces) == (
        (-1, "68a5cecb317a4f43"),
        (3, "d9811a78b7d4b614"),
        (11, "db03d76990f9c293"),
        (15, "d07f1d0b9ae75ca6"),
        (17, "bed89c700e09f432"),
        (18, "3e2876fa5458db8e"),
        (19, "76e2f62cc80b849f"),
    )
    assert prefixes(KEY, [b"", b""]) == ((-1, "9c0bce1684bf98eb"),)
    whole = exact(KEY, FIELDS, surface="chat", target="m-1", whole_prompt="abc")
    assert whole == "fcbffd627d924fc6f6a19920dd169fa7"
    unhashed = exact(KEY, FIELDS, surface="chat", target="m-1", whole_prompt="")
    assert unhashed == "4d31f27d1a5f08deb6d968eef3076bff"
    named = fingerprint(KEY, "You label tickets.", b'[{"name":"b"},{"name":"a"}]')
    assert named == "f501fe689b11c17a93e3212a68a0a90e"


@given(st.binary(max_size=64), st.lists(st.binary(max_size=40), min_size=2, max_size=40))
def test_a_prefix_is_the_hash_of_every_piece_up_to_its_boundary(key: bytes, pieces: list[bytes]) -> None:
    last = len(pieces) - 3
    wanted = {-1, last, last - 1, *(last - back for back in OLDER_BOUNDARIES)}
    expected = []
    for index in range(-1, last + 1):
        if index in wanted:
            framed = b"".join(len(piece).to_bytes(8, "little") + piece for piece in pieces[: index + 3])
            seed = b"tg-prefix".ljust(32, b"\0") + key[:32].ljust(32, b"\0")
            expected.append((index, hashlib.sha256(seed + framed).hexdigest()[:16]))
    assert prefixes(key, pieces) == tuple(expected)


def test_the_model_and_what_the_prompt_holds_are_not_hashed_again() -> None:
    def hashed(**changed: bytes) -> str:
        fields = {**dict(FIELDS), **changed}
        return exact(KEY, fields.items(), surface="chat", target="m-1", whole_prompt="abc")

    assert hashed(model=b'"alias"') == hashed(messages=b"[1]") == hashed()
    assert hashed(temperature=b"1") != hashed()


def test_raw_json_is_hashed_without_a_copy_of_it() -> None:
    raw = [(name, msgspec.Raw(value)) for name, value in FIELDS]
    same = {"surface": "chat", "target": "m-1", "whole_prompt": ""}
    assert exact(KEY, raw, **same) == exact(KEY, FIELDS, **same)
