import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.policy.test_guard_patterns import HITS, RANDOM
from tidegate.policy.guard import Finding
from tidegate.policy.guard_patterns import KINDS, patterns
from tidegate.policy.guard_sight import Detector
from tidegate.policy.guard_stop import stop_list
from tidegate.policy.guard_stream import StreamScanner

KEY = b"k" * 32
ALL = patterns(KINDS)
STOP = stop_list(["new york city", "secret", "\u00e9t\u00e9"])
MOST_HELD = 600
"""Characters that any text of these tests had to wait for at most, hidden ones on top."""

PIECES = [text for text, *_ in HITS] + ["secret", "new york", "city", "\u00c9T\u00c9", "\u4eac"]
LETTERS = "a@.-+ ()/1234567890DE89sk-eyJ\\nu00e9\u200b\u200d,:ABXZ=\u00e9\u4eac"


def whole(text: str, detect: Detector, kinds: tuple[str, ...]) -> tuple[str, tuple[Finding, ...]]:
    passed = StreamScanner(detect, digest_key=KEY, redacted=kinds).close(text)
    return passed.text, passed.findings


def in_pieces(
    pieces: list[str], detect: Detector, kinds: tuple[str, ...]
) -> tuple[str, tuple[Finding, ...], int]:
    scanner = StreamScanner(detect, digest_key=KEY, redacted=kinds)
    texts: list[str] = []
    findings: list[Finding] = []
    held = 0
    for piece in pieces:
        passed = scanner.feed(piece)
        texts.append(passed.text)
        findings += passed.findings
        held = max(held, scanner.held)
    passed = scanner.close()
    return "".join([*texts, passed.text]), (*findings, *passed.findings), held


def cut(text: str, chance: random.Random) -> list[str]:
    pieces = []
    while text:
        size = chance.choice([1, 2, 3, 5, 9, 40])
        pieces.append(text[:size])
        text = text[size:]
    return pieces


TEXTS = st.lists(
    st.one_of(
        st.sampled_from(PIECES), st.text(LETTERS, max_size=30), st.text(LETTERS[:1] + "1-@", max_size=90)
    ),
    max_size=8,
)


@given(TEXTS, st.sampled_from(["", " ", "\n"]), st.randoms(use_true_random=False))
def test_cuts_do_not_matter(parts: list[str], joined_by: str, chance: random.Random) -> None:
    text = joined_by.join(parts)
    for detect, kinds in ((ALL, KINDS), (ALL, ("email",)), (STOP, ("stop",))):
        shown, findings, held = in_pieces(cut(text, chance), detect, kinds)
        assert (shown, findings) == whole(text, detect, kinds)
        assert held <= MOST_HELD


@pytest.mark.parametrize("text", [text for text, *_ in HITS])
def test_cut_at_every_place_a_match_is_one_match(text: str) -> None:
    framed = f"Well, {text} \u2013 that is it."
    expected = whole(framed, ALL, KINDS)
    for at in range(len(framed) + 1):
        assert in_pieces([framed[:at], framed[at:]], ALL, KINDS)[:2] == expected
    assert in_pieces(list(framed), ALL, KINDS)[:2] == expected


@pytest.mark.parametrize(
    "text",
    [
        "amex 3782 822463 10005,2 more",
        "Bearer abcDEF1234567890xyz.+++++(030) 123456",
        "4111 1111 1111 1111 1111 1111",
        "NL91 ABNA 0417 1643 00. 5555555555554444 +1 415-555-2671",
        "AKIAIOSFODNN7EXAMPLE y-7  5555555555554444 mail",
        "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY----- no",
        "new york\u200bcity, New Yorker",
    ],
)
def test_what_follows_a_match_decides_as_it_would_in_the_whole(text: str) -> None:
    for detect, kinds in ((ALL, KINDS), (STOP, ("stop",))):
        expected = whole(text, detect, kinds)
        assert in_pieces(list(text), detect, kinds)[:2] == expected
        for at in range(len(text)):
            assert in_pieces([text[:at], text[at : at + 2], text[at + 2 :]], detect, kinds)[:2] == expected


@pytest.mark.parametrize(
    "part", ["a", "1", "1 ", "a@", "-", "eyJ", "sk-", "\u200b", "\\", "DE89 ", "-----BEGIN ", "new york "]
)
def test_what_is_held_back_is_bounded(part: str) -> None:
    for detect in (ALL, STOP):
        assert in_pieces([part] * 2_000, detect, (*KINDS, "stop"))[2] <= MOST_HELD


@pytest.mark.parametrize("key", [f"sk-{RANDOM * 100}", "eyJhbGciOiJIUzI1.eyJzdWIiOiIx" + "Ab1." * 900])
def test_a_long_secret_is_taken_out_while_it_runs(key: str) -> None:
    pieces = [key[at : at + 7] for at in range(0, len(key), 7)]
    shown, findings, held = in_pieces(["so: ", *pieces, " done"], ALL, KINDS)
    assert shown == "so: [key] done"
    assert [(one.start, one.end) for one in findings] == [(4, 4 + len(key))]
    assert held <= MOST_HELD


def test_a_private_key_that_never_ends_shows_nothing_of_itself() -> None:
    shown, findings, _ = in_pieces(["-----BEGIN RSA PRIVATE KEY-----\n", *["MIIEabcd\n"] * 500], ALL, KINDS)
    assert shown == "[key]"
    assert len(findings) == 1


def test_without_redaction_every_piece_passes_at_once() -> None:  # trap K11
    scanner = StreamScanner(ALL, digest_key=KEY)
    passed = [scanner.feed(piece) for piece in ("mail an", "na@fir", "ma.de", " bye")]
    assert [one.text for one in passed] == ["mail an", "na@fir", "ma.de", " bye"]
    assert [one.rule for one in passed[-1].findings] == ["email"]


def test_prose_waits_for_no_more_than_its_last_word() -> None:
    scanner = StreamScanner(ALL, digest_key=KEY, redacted=KINDS)
    assert scanner.feed("The quick brown").text == "The quick "
    assert scanner.feed(" fox. ").text == "brown fox. "
