import pytest

from tidegate.policy.fingerprint import fingerprint, prefixes, stable_lines

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
