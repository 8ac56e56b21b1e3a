from collections import Counter

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.model.record import Decision
from tidegate.policy.balance import (
    MAX_CANDIDATES,
    Candidate,
    Choice,
    Latency,
    Mode,
    latency_now,
    order,
    recorded,
    replayed,
    with_sample,
)

S = 1_000_000


def row(name: str, **facts: int | None) -> Candidate:
    return msgspec.convert({"name": name, **facts}, Candidate)


@pytest.mark.parametrize(
    ("candidates", "expected"),
    [
        ([row("a")], "a"),
        ([row("b"), row("a")], "ba"),
        ([row("a", tier=1), row("b")], "ba"),
        ([row("a", back_us=5), row("b", back_us=3), row("c")], "cba"),
        ([row("a", back_us=5), row("b", tier=1)], "ba"),
        ([row("a", back_us=5, tier=1), row("b", back_us=5)], "ba"),
        ([row("a", tier=2), row("b", tier=1), row("c", tier=2)], "bac"),
        ([row("a", back_us=-1), row("b")], "ab"),
        ([], ""),
    ],
)
def test_the_ready_go_first_by_tier_and_the_others_soonest_first(
    candidates: list[Candidate], expected: str
) -> None:
    assert "".join(order(Choice(candidates=tuple(candidates)))) == expected


def firsts(candidates: list[Candidate], mode: Mode, draws: int = 4000) -> Counter[str]:
    return Counter(
        order(Choice(candidates=tuple(candidates), mode=mode, draw=draw))[0] for draw in range(draws)
    )


def test_weights_are_shares() -> None:
    got = firsts([row("a", weight=1), row("b", weight=3), row("c", weight=0)], "weight")
    assert got["c"] == 0
    assert 0.22 < got["a"] / 4000 < 0.28


def test_one_without_weight_follows_all_others() -> None:
    rows = (row("a", weight=0), row("b"), row("c"))
    assert {order(Choice(candidates=rows, mode="weight", draw=draw))[-1] for draw in range(50)} == {"a"}
    assert {order(Choice(candidates=rows, mode="latency", draw=draw))[-1] for draw in range(50)} == {"a"}


def test_of_two_that_are_drawn_the_quicker_goes_first() -> None:
    got = firsts([row("a", latency_us=100), row("b", latency_us=200), row("c", latency_us=300)], "latency")
    assert got["c"] == 0
    assert 0.62 < got["a"] / 4000 < 0.71


def test_a_busy_one_costs_more_than_a_slower_idle_one() -> None:
    got = firsts([row("a", latency_us=100, running=3), row("b", latency_us=200)], "latency", 50)
    assert set(got) == {"b"}


@pytest.mark.parametrize(
    ("candidates", "expected"),
    [
        ([row("a", weight=0, latency_us=1), row("b", latency_us=100)], "ba"),
        ([row("a", latency_us=100, running=1), row("b", latency_us=199)], "ba"),
        ([row("a", latency_us=100, running=1), row("b", latency_us=201)], "ab"),
        ([row("a", latency_us=5), row("b", latency_us=0, running=9)], "ba"),
    ],
)
def test_a_cost_is_the_latency_of_each_call_there(candidates: list[Candidate], expected: str) -> None:
    assert "".join(order(Choice(candidates=tuple(candidates), mode="latency"))) == expected


def test_an_unmeasured_one_is_tried() -> None:
    assert set(firsts([row("a", latency_us=1), row("b")], "latency", 50)) == {"b"}


names = st.lists(st.text("abcdefgh", min_size=1, max_size=4), min_size=1, max_size=8, unique=True)
candidates_ = st.lists(
    st.builds(
        Candidate,
        name=st.text(min_size=1, max_size=8),
        tier=st.integers(0, 2),
        weight=st.integers(0, 100),
        latency_us=st.none() | st.integers(0, 10**9),
        running=st.integers(0, 50),
        back_us=st.integers(0, 2),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda one: one.name,
).map(tuple)
choices = st.builds(
    Choice,
    candidates=candidates_,
    mode=st.sampled_from(["in_order", "weight", "latency"]),
    draw=st.integers(0, (1 << 32) - 1),
    sticky=st.sampled_from(["", "00ff", "f" * 64, "g" * 200]),
)


@given(choices)
def test_a_record_orders_again_alike(choice: Choice) -> None:
    got = order(choice)
    assert sorted(got) == sorted(one.name for one in choice.candidates)
    decision = msgspec.json.decode(msgspec.json.encode(recorded(choice, got)), type=Decision)
    assert replayed(decision) == got
    back = {one.name: one.back_us for one in choice.candidates}
    assert [back[name] for name in got] == sorted(back[name] for name in got)


def test_more_candidates_than_a_record_holds_follow() -> None:
    many = tuple(row(f"n{number}") for number in range(MAX_CANDIDATES + 2))
    choice = Choice(candidates=many, mode="weight")
    got = order(choice)
    assert got[MAX_CANDIDATES:] == (f"n{MAX_CANDIDATES}", f"n{MAX_CANDIDATES + 1}")
    assert replayed(recorded(choice, got)) == got[:MAX_CANDIDATES]


@given(names=names, sticky=st.text("0123456789abcdef", min_size=1, max_size=32), draw=st.integers(0, 9))
def test_a_conversation_stays_while_its_deployment_does(names: list[str], sticky: str, draw: int) -> None:
    """Trap R6: neither the draw nor the coming and going of another one moves it."""
    rows = tuple(row(name) for name in names)
    whole = order(Choice(candidates=rows, mode="latency", sticky=sticky, draw=draw))
    for gone in names:
        left = tuple(one for one in rows if one.name != gone)
        rest = order(Choice(candidates=left, mode="weight", sticky=sticky))
        assert rest == tuple(name for name in whole if name != gone)


def test_conversations_are_spread_by_weight() -> None:
    rows = (row("a", weight=1), row("b", weight=3))
    got = Counter(order(Choice(candidates=rows, sticky=f"{number:x}"))[0] for number in range(4000))
    assert 0.22 < got["a"] / 4000 < 0.28


def test_a_latency_jumps_up_and_comes_down_slowly() -> None:
    first = with_sample(None, 100, 0, decay_us=S)
    up = with_sample(first, 900, 0, decay_us=S)
    assert up.value_us == 900
    down = with_sample(up, 100, S, decay_us=S)
    assert down.value_us == 394
    assert latency_now(down, S, decay_us=S) == 394
    assert latency_now(down, 2 * S, decay_us=S) == 145
    assert latency_now(None, 0, decay_us=S) is None
    assert with_sample(Latency(0, 0), -5, 0, decay_us=S).value_us == 0
    assert latency_now(Latency(100, 5), 5, decay_us=S) == 100


@given(
    value_us=st.integers(0, 10**12),
    sample_us=st.integers(-5, 10**12),
    now_us=st.integers(-(10**15), 10**15),
    decay_us=st.integers(0, 10**10),
)
def test_a_latency_stays_between_its_samples(
    value_us: int, sample_us: int, now_us: int, decay_us: int
) -> None:
    after = with_sample(Latency(value_us, 0), sample_us, now_us, decay_us=decay_us)
    assert max(min(value_us, sample_us), 0) <= after.value_us <= max(value_us, sample_us)
    assert after.at_us >= min(now_us, 0)
