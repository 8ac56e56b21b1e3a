"""Differences worked out by hand, and the promise that their parts always sum to them."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.control.drift import (
    CAUSES,
    MEANINGS,
    Ours,
    Parts,
    Share,
    Theirs,
    money_parts,
    rates_of,
    token_parts,
)
from tidegate.control.exports.export import KINDS, Kind

RATES: dict[Kind, Fraction] = {kind: Fraction(2) for kind in KINDS} | {"output": Fraction(10)}
"""Two nano-units for a token, ten for one of output."""


def share(calls: int, tokens: int, nano: int, room: int = 0) -> Share:
    return Share(
        calls=calls, tokens={"input": tokens, "output": 0}, nano=nano, room_nano=room, room_tokens=room // 2
    )


def theirs(nano: int | None, tokens: int | None = None, calls: int | None = None) -> Theirs:
    counted: dict[Kind, int] | None = None if tokens is None else {"input": tokens, "output": 0}
    return Theirs(listed=True, calls=calls, tokens=counted, nano=nano)


NOTHING = Theirs(nano=0, tokens={})
EXACT = share(5, 1000, 2000)
GUESS = share(1, 100, 200, room=300)

MONEY: list[tuple[str, Theirs, dict[str, Any], Parts]] = [
    ("all agrees", theirs(2000, 1000, 5), {"exact": EXACT}, {}),
    ("all agrees, tokens not said", theirs(2000), {"exact": EXACT}, {}),
    ("nothing of ours", theirs(700, 9, 1), {}, {"missing": 700}),
    ("a credit for nothing", theirs(-700), {}, {"rest": -700}),
    ("more calls", theirs(2600, 1300, 6), {"exact": EXACT}, {"missing": 600}),
    ("more tokens, calls not said", theirs(2600, 1300), {"exact": EXACT}, {"missing": 600}),
    ("more tokens in as many calls", theirs(2600, 1300, 5), {"exact": EXACT}, {"rest": 600}),
    ("more money, all that is said", theirs(2600), {"exact": EXACT}, {"rest": 600}),
    ("more money, more calls", theirs(2600, None, 6), {"exact": EXACT}, {"missing": 600}),
    ("another price", theirs(3000, 1000, 5), {"exact": EXACT}, {"price_differs": 1000}),
    ("a lower price", theirs(1000, 1000), {"exact": EXACT}, {"price_differs": -1000}),
    ("only rounding", theirs(2004, 1000, 5), {"exact": EXACT}, {"rest": 4}),
    (
        "another price and more calls",
        theirs(3900, 1300, 6),
        {"exact": EXACT},
        {"missing": 600, "price_differs": 1300},
    ),
    ("nothing of theirs", NOTHING, {"exact": EXACT}, {"not_billed": -2000}),
    (
        "nothing of theirs, in part guessed",
        NOTHING,
        {"exact": EXACT, "cancelled": GUESS},
        {"cancelled": -200, "not_billed": -2000},
    ),
    ("fewer calls", theirs(1600, 800, 4), {"exact": EXACT}, {"not_billed": -400}),
    ("fewer tokens, calls not said", theirs(1600, 800), {"exact": EXACT}, {"not_billed": -400}),
    ("less money, all that is said", theirs(1600), {"exact": EXACT}, {"rest": -400}),
    ("fewer tokens in as many calls", theirs(1600, 800, 5), {"exact": EXACT}, {"rest": -400}),
    (
        "without a price",
        theirs(2200, 1100, 6),
        {"exact": EXACT, "unpriced": share(1, 100, 0)},
        {"unpriced": 200},
    ),
    (
        "without a price, tokens not said",
        theirs(2200),
        {"exact": EXACT, "unpriced": share(1, 100, 0)},
        {"unpriced": 200},
    ),
    (
        "an estimate was too low",
        theirs(2400, 1200, 6),
        {"exact": EXACT, "estimated": GUESS},
        {"estimated": 200},
    ),
    (
        "an estimate was too high",
        theirs(2100, 1050, 6),
        {"exact": EXACT, "estimated": GUESS},
        {"estimated": -100},
    ),
    (
        "a cancelled call went on, as far as was held",
        theirs(2700, 1350),
        {"exact": EXACT, "cancelled": GUESS},
        {"cancelled": 300, "missing": 200},
    ),
    (
        "a cancelled call was not billed",
        theirs(2000, 1000, 5),
        {"exact": EXACT, "cancelled": GUESS},
        {"cancelled": -200},
    ),
    (
        "a cancelled call cost less, money alone",
        theirs(2100),
        {"exact": EXACT, "cancelled": GUESS},
        {"cancelled": -100},
    ),
    (
        "two classes of guesses, then what was not billed",
        theirs(1000, 500),
        {"exact": EXACT, "cancelled": GUESS, "estimated": GUESS},
        {"estimated": -200, "cancelled": -200, "not_billed": -1000},
    ),
]


@pytest.mark.parametrize(("name", "export", "record", "expected"), MONEY, ids=[row[0] for row in MONEY])
def test_money_has_its_causes(name: str, export: Theirs, record: dict[str, Any], expected: Parts) -> None:
    assert money_parts(export, Ours(**record, rates=RATES)) == expected


def test_tokens_of_another_kind_are_worth_what_ours_cost() -> None:
    """100 tokens more of output at 10, 100 fewer of input at 2: 800 that no call explains."""
    export = Theirs(listed=True, calls=5, tokens={"input": 900, "output": 100}, nano=2800)
    record = Ours(exact=EXACT, rates=RATES)
    assert money_parts(export, record) == {"rest": 800}
    assert token_parts(export, record) == {}


def test_without_a_card_our_mean_price_counts() -> None:
    assert money_parts(theirs(2600, 1300, 6), Ours(exact=EXACT)) == {"missing": 600}


def test_without_any_price_all_is_unpriced() -> None:
    record = Ours(unpriced=share(3, 900, 0))
    assert money_parts(theirs(2701, 900, 3), record) == {"unpriced": 2701}
    assert money_parts(theirs(2701), record) == {"unpriced": 2701}
    assert money_parts(theirs(2700, 1800, 6), record) == {"missing": 1350, "unpriced": 1350}


TOKENS: list[tuple[str, Theirs, dict[str, Any], Parts]] = [
    ("all agrees", theirs(None, 1000, 5), {"exact": EXACT}, {}),
    (
        "an unpriced call's tokens are known",
        theirs(None, 1100, 6),
        {"exact": EXACT, "unpriced": share(1, 100, 0)},
        {},
    ),
    ("more calls", theirs(None, 1300, 6), {"exact": EXACT}, {"missing": 300}),
    ("nothing of ours", theirs(None, 300, 6), {}, {"missing": 300}),
    (
        "nothing of theirs",
        NOTHING,
        {"exact": EXACT, "estimated": GUESS},
        {"estimated": -100, "not_billed": -1000},
    ),
    (
        "a cancelled call went on",
        theirs(None, 1250),
        {"exact": EXACT, "cancelled": GUESS},
        {"cancelled": 150},
    ),
]


@pytest.mark.parametrize(("name", "export", "record", "expected"), TOKENS, ids=[row[0] for row in TOKENS])
def test_tokens_have_their_causes(name: str, export: Theirs, record: dict[str, Any], expected: Parts) -> None:
    assert token_parts(export, Ours(**record, rates=RATES)) == expected


def test_rates_are_per_token_of_the_same_mix() -> None:
    export, record = theirs(3000, 1000, 5), Ours(exact=EXACT, rates=RATES)
    assert rates_of(export, money_parts(export, record)) == (Fraction(3), Fraction(2))
    assert rates_of(export, {"missing": 5}) is None
    assert rates_of(theirs(3000), {"price_differs": 5}) is None


def test_every_cause_has_a_meaning() -> None:
    assert list(MEANINGS) == list(CAUSES)


counts = st.integers(0, 10**12)
kinds = st.dictionaries(st.sampled_from(KINDS), counts)
shares = st.builds(
    Share, calls=st.integers(0, 9), tokens=kinds, nano=counts, room_nano=counts, room_tokens=counts
)
rates = st.none() | st.fixed_dictionaries(
    {kind: st.fractions(0, 10**6, max_denominator=10**6) for kind in KINDS}
)
records = st.builds(Ours, exact=shares, estimated=shares, cancelled=shares, unpriced=shares, rates=rates)
exports = st.builds(
    Theirs,
    listed=st.booleans(),
    calls=st.none() | st.integers(0, 50),
    tokens=st.none() | kinds,
    nano=st.integers(-(10**12), 10**15),
)


@given(exports, records)
def test_the_parts_always_sum_to_the_difference(export: Theirs, record: Ours) -> None:
    parts = money_parts(export, record)
    assert export.nano is not None
    assert sum(parts.values()) == export.nano - record.nano
    assert {type(part) for part in parts.values()} <= {int}
    assert all(parts.values())
    assert set(parts) <= set(CAUSES)
    if export.tokens is not None:
        counted = token_parts(export, record)
        assert sum(counted.values()) == sum(export.tokens.values()) - sum(record.tokens.values())


@given(exports, records)
def test_an_estimate_explains_no_more_than_it_can(export: Theirs, record: Ours) -> None:
    parts = money_parts(export, record)
    for name in ("estimated", "cancelled"):
        one = getattr(record, name)
        assert -one.nano <= parts.get(name, 0) <= one.room_nano
