"""Whether a key's id is known must not show in the work, nor in the time, that refusing it takes (case 5)."""

import hmac
import statistics
import sys
import time
from types import FrameType

import pytest

from tidegate.gateway.auth import Authenticator, LoginGuard
from tidegate.model.errors import Unauthenticated
from tidegate.model.identity import Key
from tidegate.policy.keyformat import assemble, key_id_of
from tidegate.services.keys import Keyring, mac_of

KEY_ID = "abcdefghijkl"
VALID = assemble(KEY_ID, "c" * 32)
WRONG_SECRET, UNKNOWN_ID = assemble(KEY_ID, "b" * 32), assemble("mnopqrstuvwx", "b" * 32)

LONG_PEPPER = b"p" * 65_536
"""HMAC reads a key over a block's length whole. With one this long it is nearly all of a check's time, so a
check without it takes a twentieth, and margins can be wide enough for any machine."""

ROUNDS = 400
SAME = (0.67, 1.5)


class Hasty(Keyring):
    """The mistake: an unknown id is refused before anything is computed."""

    def _verify(self, text: str) -> Key:
        if key_id_of(text) not in self._keys:
            raise Unauthenticated("No such key.")
        return super()._verify(text)


def ring(kind: type[Keyring] = Keyring, pepper: bytes = b"p" * 32) -> Keyring:
    return kind([Key(id=KEY_ID, mac=mac_of(VALID, pepper), tenant="acme")], pepper)


def refused(keyring: Keyring, text: str) -> Unauthenticated:
    """Check one key as a request does, from an address that has not failed before."""
    with pytest.raises(Unauthenticated) as caught:
        Authenticator(LoginGuard()).key_of(keyring, [text], "10.0.0.1", 60_000_000)
    return caught.value


def work(keyring: Keyring, text: str) -> list[str]:
    """Every function that checking one key calls, written in Python or in C, in order."""
    calls: list[str] = []

    def note(frame: FrameType, event: str, arg: object) -> None:
        if event == "call":
            calls.append(frame.f_code.co_qualname)
        elif event == "c_call":
            calls.append(
                "compare_digest" if arg is hmac.compare_digest else getattr(arg, "__qualname__", "?")
            )

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        keyring.verify(text, 0)
    except Unauthenticated:
        pass
    finally:
        sys.setprofile(before)
    return calls[: calls.index("setprofile")]


def ratio(keyring: Keyring) -> float:
    """The median time to refuse an unknown id over that to refuse a wrong secret, asked in turn."""
    times: dict[str, list[int]] = {UNKNOWN_ID: [], WRONG_SECRET: []}
    for round_ in range(ROUNDS):
        for text in (UNKNOWN_ID, WRONG_SECRET) if round_ % 2 else (WRONG_SECRET, UNKNOWN_ID):
            started = time.perf_counter_ns()
            try:
                keyring.verify(text, 0)
            except Unauthenticated:
                times[text].append(time.perf_counter_ns() - started)
    assert len(times[UNKNOWN_ID]) == len(times[WRONG_SECRET]) == ROUNDS
    return statistics.median(times[UNKNOWN_ID]) / statistics.median(times[WRONG_SECRET])


def test_an_unknown_id_and_a_wrong_secret_get_one_answer() -> None:  # case 5
    unknown, wrong = refused(ring(), UNKNOWN_ID), refused(ring(), WRONG_SECRET)
    assert (unknown.code, unknown.status, unknown.message) == (wrong.code, wrong.status, wrong.message)


def test_an_unknown_id_and_a_wrong_secret_are_the_same_work() -> None:  # case 5
    """Call for call: one HMAC, and one comparison in constant time."""
    unknown, wrong = work(ring(), UNKNOWN_ID), work(ring(), WRONG_SECRET)
    assert unknown == wrong
    assert (unknown.count("mac_of"), unknown.count("compare_digest")) == (1, 1)


def test_an_unknown_id_and_a_wrong_secret_take_the_same_time() -> None:  # case 5
    assert SAME[0] < ratio(ring(pepper=LONG_PEPPER)) < SAME[1]


def test_a_check_that_gives_up_early_would_be_noticed() -> None:  # case 5
    assert work(ring(Hasty), UNKNOWN_ID) != work(ring(Hasty), WRONG_SECRET)
    assert ratio(ring(Hasty, LONG_PEPPER)) < SAME[0] / 2
