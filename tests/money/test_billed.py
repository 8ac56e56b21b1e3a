"""A cap in billed money, in both directions: what passes it, and what it refuses though it would have fitted.

Fifty clients at once, in virtual time, for caps of 20, 200 and 2,000 average calls. Answers come at 60 tokens
a second, five seconds on average; a call may wait 30 seconds.
"""

from collections.abc import Callable

import pytest

from tests.money.market import PARALLEL, WAIT_S, Case, Outcome, run

CAPS = (20, 200, 2_000)
SEEDS = (1, 2)
ESTIMATES = {"up to 30% off": (0.7, 1.3), "all 30% low": (0.7, 0.7), "all 30% high": (1.3, 1.3)}
HOLDS = {"not learned": 28.0, "learned": 2.9, "the client's": 1.0}
"""Whose limits on answers are sent, and how many average bills the first hold is at least."""

FALSE_REFUSALS = 0.005
USED = 0.98

Record = Callable[[str, object], None]


def runs(cap: int, calls: int, *, learned: bool, limited: bool = False) -> list[Outcome]:
    """The case with every kind of wrong estimate, several times."""
    return [
        run(Case(cap, calls, estimates=estimates, learned=learned, limited=limited, seed=seed))
        for estimates in ESTIMATES.values()
        for seed in SEEDS
    ]


def told(cap: int, found: list[Outcome], limits: str) -> str:
    ratio = max(one.hold_ratio for one in found)
    return f"cap {cap:,} calls, limits {limits}, hold {ratio:.1f} times the bill, {len(found)} runs"


@pytest.mark.parametrize("limits", HOLDS)
@pytest.mark.parametrize("cap", CAPS)
def test_what_is_billed_passes_the_cap_by_no_more_than_one_error(
    cap: int, limits: str, record_property: Record
) -> None:
    asked = {"learned": limits == "learned", "limited": limits == "the client's"}
    found = runs(cap, cap * 3 // 2 + PARALLEL, **asked)
    assert max(one.hold_ratio for one in found) > HOLDS[limits], "not as hard as it is meant to be"
    worst = max(found, key=lambda one: one.overspend_nano - one.allowed_nano)
    allowed = worst.allowed_nano
    record_property(
        "figure",
        f"{told(cap, found, limits)}: overspend {worst.overspend_nano / 1e9:.6f} EUR = max(0, "
        f"billed {worst.billed_nano / 1e9:.6f} - cap {worst.cap_nano / 1e9:.6f}); allowed max(0.1% of the "
        f"cap, one call's error) = {allowed / 1e9:.6f}",
    )
    assert all(one.refusals for one in found), "nothing was refused, so nothing was tried"
    assert all(one.overspend_nano <= one.allowed_nano for one in found)


@pytest.mark.parametrize("limits", ["not learned", "learned"])
@pytest.mark.parametrize("cap", CAPS)
def test_a_cap_with_twice_the_room_refuses_nobody_who_fits(  # trap M15
    cap: int, limits: str, record_property: Record
) -> None:
    found = runs(cap, cap // 2, learned=limits == "learned")
    wrong, calls = sum(one.false_refusals for one in found), sum(one.calls for one in found)
    cut, longest_s = sum(one.cut for one in found), max(one.longest_s for one in found)
    record_property(
        "figure",
        f"{told(cap, found, limits)}, {cap // 2:,} calls each: false refusals {wrong} / {calls} = "
        f"{wrong / calls:.2%} (at most 0.5%); answers cut by our limit {cut}; longest call {longest_s:.1f} s",
    )
    assert all(one.false_refusals <= FALSE_REFUSALS * one.calls for one in found)
    assert longest_s < WAIT_S + 1_200 / 60 + 1


@pytest.mark.parametrize("limits", ["not learned", "learned"])
def test_a_cap_is_used_before_it_refuses_anybody(limits: str, record_property: Record) -> None:
    cap = 2_000
    found = runs(cap, cap * 3 // 2, learned=limits == "learned")
    used = [one.used_at_refusal for one in found if one.used_at_refusal is not None]
    assert len(used) == len(found), "nothing was refused, so nothing was tried"
    record_property(
        "figure",
        f"{told(cap, found, limits)}, steady traffic: billed / cap at the first refusal "
        f"{min(used):.2%} in the worst run, {max(used):.2%} in the best (at least 98%)",
    )
    assert min(used) >= USED
