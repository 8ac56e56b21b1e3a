"""An export beside a record, both by hand: which cells there are, what is in them, what is noted."""

from collections.abc import Iterator
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.support.calls import (
    CARD,
    DAY_US,
    HOUR_US,
    NOON_US,
    attempt,
    begin,
    end,
    in_memory,
    listed,
    project,
    rate,
    settled,
)
from tidegate.control.exports.export import KINDS, Export, Line, Tokens
from tidegate.control.reconcile import (
    Cell,
    Keys,
    Reconciliation,
    Scope,
    Tolerance,
    effective_rates,
    reconcile,
)
from tidegate.control.reconcile_ours import plain_model
from tidegate.model.errors import BadRequest
from tidegate.model.money import Fx
from tidegate.model.price import PriceCard, price_id
from tidegate.model.provider import Target
from tidegate.model.record import Hold
from tidegate.model.usage import Usage
from tidegate.stores.sqlite.store import Store

UTC = ZoneInfo("UTC")
MIDNIGHT_US = NOON_US - 12 * HOUR_US
SEVENTH = date(2026, 11, 7)
OURS: Tokens = {"input": 100, "cache_read": 20, "output": 60}
"""What one call of `settled()` used; at CARD it is 100 * 2,000 + 20 * 2,000 + 60 * 8,000 nano-USD."""
COST = 720_000
PRICED = settled(cost_nano=COST)


@pytest.fixture
def store() -> Iterator[Store]:
    with in_memory() as opened:
        yield opened


def call(
    id_: str, *, at: int = NOON_US, last: Any = None, outcome: str = "ok", **facts: Any
) -> tuple[Any, Any]:
    return begin(id_, at=at, **facts), end(id_, at=at + 900, last=last or PRICED, outcome=outcome)


def line(nano: int | None = COST, *, day: int = 0, **facts: Any) -> Line:
    fields: dict[str, Any] = {
        "since_us": MIDNIGHT_US + day * DAY_US,
        "until_us": MIDNIGHT_US + (day + 1) * DAY_US,
        "model": "gpt-2026",
        "nano": nano,
    }
    return Line(**(fields | facts))


def export(*lines: Line, tokens: bool = False, money: bool = True, **facts: Any) -> Export:
    fields: dict[str, Any] = {
        "lines": lines,
        "spans": tuple(dict.fromkeys((one.since_us, one.until_us) for one in lines)),
        "kinds": frozenset(KINDS) if tokens else frozenset(),
        "currency": "USD" if money else "",
    }
    return Export(**(fields | facts))


def counted(nano: int | None = COST, *, calls: int = 1, times: int = 1, **facts: Any) -> Line:
    used = {kind: count * times for kind, count in OURS.items()}
    return line(nano, **{"tokens": used, "calls": calls, **facts})


def made(store: Store, found: Export, **facts: Any) -> Reconciliation:
    tolerance = facts.pop("tolerance", Tolerance())
    return reconcile(store, found, Scope(**{"zone": UTC, "providers": ("openai",), **facts}), tolerance)


def causes(found: Reconciliation) -> dict[str, Any]:
    return {" ".join(map(str, cell.spot)).strip(): cell.money for cell in found.cells}


def test_a_record_that_agrees_is_within(store: Store) -> None:
    project(store, *call("r1"), *call("r2"), decided=[listed()])
    found = made(store, export(counted(2 * COST, calls=2, times=2), tokens=True))
    (cell,) = found.cells
    assert (cell.money, cell.tokens, found.within, found.apart) == ({}, {}, True, ())
    assert (cell.ours.calls, cell.ours.nano, cell.spot) == (2, 2 * COST, (SEVENTH, "gpt-2026", ""))
    assert (found.total.theirs, found.total.ours, found.measure) == (2 * COST, 2 * COST, "money")


GUESS = settled(
    usage_source="estimated",
    cost_source="estimated",
    cost_nano=COST,
    flags=("estimated", "maybe_billed"),
)
LEFT = settled(
    status="cancelled",
    usage_source="mixed",
    cost_source="estimated",
    cost_nano=COST,
    flags=("estimated", "maybe_billed"),
)
UNPRICED = settled(cost_nano=None, cost_source="unpriced", price_id="", flags=("unpriced",))
ROOM = Hold(input_tokens=200, output_tokens=400, amount_nano=4 * COST, price_id=price_id(CARD))

WAYS: list[tuple[str, list[Any], list[Line], dict[str, int]]] = [
    ("missing", [], [counted(5 * COST, calls=5, times=5)], {"missing": 5 * COST}),
    ("around the gateway", [{}], [counted(3 * COST, calls=3, times=3)], {"missing": 2 * COST}),
    ("not billed", [{}, {"at": NOON_US + 9}], [counted(COST, calls=1)], {"not_billed": -COST}),
    ("price differs", [{}], [counted(2 * COST)], {"price_differs": COST}),
    ("unpriced", [{"last": UNPRICED}], [counted()], {"unpriced": COST}),
    (
        "one of two unpriced",
        [{}, {"last": UNPRICED}],
        [counted(2 * COST, calls=2, times=2)],
        {"unpriced": COST},
    ),
    (
        "estimated too low",
        [{"last": GUESS, "hold": ROOM}],
        [counted(2 * COST, times=2)],
        {"estimated": COST},
    ),
    (
        "cancelled went on",
        [{"last": LEFT, "hold": ROOM, "outcome": "cancelled"}],
        [counted(2 * COST, times=2)],
        {"cancelled": COST},
    ),
    (
        "cancelled, not billed",
        [{}, {"last": LEFT, "hold": ROOM, "outcome": "cancelled"}],
        [counted()],
        {"cancelled": -COST},
    ),
]


@pytest.mark.parametrize(("name", "calls", "lines", "expected"), WAYS, ids=[row[0] for row in WAYS])
def test_each_way_has_its_cause(
    store: Store, name: str, calls: list[Any], lines: list[Line], expected: dict[str, int]
) -> None:
    records = [record for n, facts in enumerate(calls) for record in call(f"r{n}", **facts)]
    project(store, *records, decided=[listed()])
    found = made(store, export(*lines, tokens=True), tolerance=Tolerance(ppm=5_000, nano=0))
    assert causes(found) == {"2026-11-07 gpt-2026": expected}
    assert found.total.parts == expected
    assert found.total.difference == sum(expected.values())
    assert not found.within


def test_the_effective_rates_are_of_the_same_tokens(store: Store) -> None:
    project(store, *call("r1"), decided=[listed()])
    (cell,) = made(store, export(counted(2 * COST), tokens=True)).cells
    assert effective_rates(cell) == (2 * COST * 1_000_000 // 180, COST * 1_000_000 // 180)


def test_a_usage_export_is_compared_in_tokens(store: Store) -> None:
    project(store, *call("r1"), *call("r2", last=UNPRICED), decided=[listed()])
    found = made(store, export(counted(None, calls=3, times=3), tokens=True, money=False))
    (cell,) = found.cells
    assert (found.measure, cell.money, cell.tokens) == ("tokens", None, {"missing": 180})
    assert (found.total.theirs, found.total.ours, found.within) == (540, 360, False)


def test_usage_and_costs_of_one_cell_meet(store: Store) -> None:
    project(store, *call("r1"), decided=[listed()])
    half = COST // 2
    lines = (counted(None), line(half, model="GPT-2026-2026-11-01"), line(half, model="openai/gpt-2026"))
    (cell,) = made(store, export(*lines, tokens=True)).cells
    assert (cell.theirs.nano, cell.theirs.calls, cell.money) == (COST, 1, {})


def test_a_cost_without_tokens_in_a_counting_export_is_money_alone(store: Store) -> None:
    project(store, *call("r1"), decided=[listed()])
    found = made(store, export(counted(), line(5, model="file search"), tokens=True))
    assert causes(found) == {"2026-11-07 gpt-2026": {}, "2026-11-07 file search": {"missing": 5}}
    assert found.cells[0].tokens is None


NAMES = [
    ("gpt-5-mini-2025-08-07", "gpt-5-mini"),
    ("openai/GPT-5-mini", "gpt-5-mini"),
    ("claude-haiku-4-5-20251001", "claude-haiku-4-5"),
    ("claude-3-5-sonnet@20241022", "claude-3-5-sonnet"),
    ("mistral-small-latest", "mistral-small"),
    ("gpt-4-0613", "gpt-4-0613"),
    ("gpt-5", "gpt-5"),
    ("gpt-4-1106-preview", "gpt-4-1106-preview"),
]


@pytest.mark.parametrize(("name", "plain"), NAMES)
def test_a_dated_spelling_is_the_same_model(name: str, plain: str) -> None:
    assert plain_model(name) == plain


def test_two_models_are_two_cells_though_one_name_begins_the_other(store: Store) -> None:
    project(store, *call("r1", last=settled(cost_nano=COST, model_served="gpt-2026-mini")))
    assert causes(made(store, export(line()))) == {
        "2026-11-07 gpt-2026": {"missing": COST},
        "2026-11-07 gpt-2026-mini": {"not_billed": -COST},
    }


def test_an_answer_that_never_named_its_model_is_of_the_one_that_others_got(store: Store) -> None:
    silent = settled(status="truncated", cost_nano=COST, model_served="")
    project(store, *call("r1"), *call("r2", last=silent))
    assert causes(made(store, export(line(2 * COST)))) == {"2026-11-07 gpt-2026": {}}


def test_attempts_of_another_provider_and_unsent_ones_are_not_compared(store: Store) -> None:
    unsent = settled(status="unreachable", sent="no", usage=Usage(), cost_nano=0, cost_source="none")
    project(
        store, begin("r1"), attempt("r1", 1, PRICED), end("r1", n=1, last=PRICED), *call("r2", last=unsent)
    )
    (cell,) = made(store, export(line())).cells
    assert (cell.money, cell.ours.calls) == ({}, 1)
    assert made(store, export(line()), providers=()).total.ours == 2 * COST
    assert made(store, export(line()), providers=(), deployments=("fr",)).total.ours == COST


def test_a_usage_of_chats_leaves_embeddings_out(store: Store) -> None:
    project(store, *call("r1"), *call("r2", surface="embeddings"))
    assert made(store, export(line(), surfaces=frozenset({"chat"}))).total.ours == COST
    assert made(store, export(line())).total.ours == 2 * COST


def target(deployment: str) -> Target:
    return Target(provider="openai", deployment=deployment, model="gpt")


def test_keys_are_summed_unless_they_are_named(store: Store) -> None:
    project(store, *call("r1", target=target("eu")), *call("r2", target=target("us")))
    lines = (line(ids=("key_1",)), line(ids=("key_2", "proj")), line(9, ids=("key_3",)), line(7))
    assert causes(made(store, export(*lines))) == {"2026-11-07 gpt-2026": {"rest": 16}}
    named = made(store, export(*lines), keys=Keys.of([("key_1", "eu"), ("key_2", "us")]))
    assert causes(named) == {
        "2026-11-07 gpt-2026 eu": {},
        "2026-11-07 gpt-2026 us": {},
        "2026-11-07 gpt-2026 key_3": {"missing": 9},
        "2026-11-07 gpt-2026 (no key)": {"missing": 7},
    }
    project_ = made(store, export(*lines), keys=Keys.of([("key_1", "eu"), ("proj", "us")]))
    assert causes(project_)["2026-11-07 gpt-2026 us"] == {}


def test_a_key_of_two_deployments_and_two_keys_of_one_are_one_cell() -> None:
    keys = Keys.of([("k1", "eu"), ("k1", "us"), ("k2", "fr"), ("k3", "fr")])
    assert [keys.of_line(line(ids=(key,))) for key in ("k1", "k2", "k3")] == ["eu+us", "fr", "fr"]
    assert [keys.of_deployment(name) for name in ("eu", "fr", "other")] == ["eu+us", "fr", "other"]
    with pytest.raises(BadRequest, match="'us' stands with several keys"):
        Keys.of([("k1", "eu"), ("k1", "us"), ("k2", "us")])


def test_days_are_the_buckets_days_and_only_the_stretch_they_speak_of_counts(store: Store) -> None:
    moments = [MIDNIGHT_US - 1, MIDNIGHT_US, MIDNIGHT_US + 2 * HOUR_US - 1, MIDNIGHT_US + 2 * HOUR_US]
    project(store, *(one for n, at in enumerate(moments) for one in call(f"r{n}", at=at)))
    hours = [(MIDNIGHT_US + n * HOUR_US, MIDNIGHT_US + (n + 1) * HOUR_US) for n in range(2)]
    lines = [line(COST, since_us=since, until_us=until) for since, until in hours]
    assert causes(made(store, export(*lines))) == {"2026-11-07 gpt-2026": {}}


def test_a_day_on_which_the_export_has_no_line_says_nothing_was_used(store: Store) -> None:
    project(store, *call("r1"), *call("r2", at=NOON_US + DAY_US))
    spans = tuple((MIDNIGHT_US + n * DAY_US, MIDNIGHT_US + (n + 1) * DAY_US) for n in range(2))
    assert causes(made(store, export(line(), spans=spans))) == {
        "2026-11-07 gpt-2026": {},
        "2026-11-08 gpt-2026": {"not_billed": -COST},
    }
    only = made(store, export(line(), spans=spans), until=date(2026, 11, 8))
    assert (only.days, only.within) == ((SEVENTH,), True)
    other = made(store, export(line(), spans=spans), since=date(2026, 11, 8))
    assert [cell.spot[0] for cell in other.cells] == [date(2026, 11, 8)]


def test_a_call_at_midnight_that_both_sides_date_otherwise_is_within(store: Store) -> None:
    project(store, *call("r1", at=MIDNIGHT_US - 1))
    found = made(store, export(line(0, day=-1), line()))
    assert [cell.money for cell in found.cells] == [{"rest": -COST}, {"missing": COST}]
    assert found.within


def test_two_models_do_not_make_up_for_each_other(store: Store) -> None:
    dear = settled(cost_nano=10**9)
    project(store, *call("r1", last=dear))
    found = made(store, export(line(10**9, model="other"), line(0)))
    assert (found.total.difference, found.within) == (0, False)
    assert found.apart == (("gpt-2026", ""), ("other", ""))


TOLERANCES = [
    (1_004_999, 1_000_000, Tolerance(ppm=5_000, nano=0), True),
    (1_005_000, 1_000_000, Tolerance(ppm=4_000, nano=0), False),
    (10_000_000, 0, Tolerance(), True),
    (10_000_001, 0, Tolerance(), False),
    (0, 10_000_000, Tolerance(), True),
    (0, 10_000_001, Tolerance(), False),
    (0, 0, Tolerance(ppm=0, nano=0), True),
]


@pytest.mark.parametrize(("theirs", "ours", "tolerance", "within"), TOLERANCES)
def test_a_tolerance_is_a_share_or_an_amount(
    theirs: int, ours: int, tolerance: Tolerance, within: bool
) -> None:
    assert tolerance.allows(theirs - ours, theirs, "money") is within


def test_an_amount_of_money_allows_no_tokens() -> None:
    assert not Tolerance().allows(1, 100, "tokens")
    assert Tolerance().allows(1, 200, "tokens")


def test_amounts_of_ours_are_converted_or_count_as_unpriced(store: Store) -> None:
    euros = settled(cost_nano=COST, currency="EUR")
    project(store, *call("r1", last=euros))
    found = made(store, export(line(2 * COST)))
    assert causes(found) == {"2026-11-07 gpt-2026": {"unpriced": 2 * COST}}
    assert any("our amounts in EUR count as unpriced" in note for note in found.notes)
    fx = Fx(base="EUR", quote="USD", rate="2", date=date(2026, 11, 1), source="test")
    project(store, decided=[rate(fx)])
    assert made(store, export(line(2 * COST))).within


def test_a_card_of_another_currency_or_unread_prices_nothing(store: Store) -> None:
    card = PriceCard(provider="openai", model="gpt", rates={"input_uncached": "2"}, source="test")
    project(store, *call("r1", last=settled(cost_nano=COST, price_id=price_id(card))), decided=[listed(card)])
    (cell,) = made(store, export(counted(2 * COST, calls=2, times=2), tokens=True)).cells
    assert (cell.ours.rates, cell.money) == (None, {"missing": COST})


def test_lines_without_a_model_are_compared_as_one(store: Store) -> None:
    project(store, *call("r1"), *call("r2", last=settled(cost_nano=COST, model_served="other")))
    found = made(store, export(line(2 * COST, model=""), line(0)))
    assert causes(found) == {"2026-11-07": {}}
    assert any("some lines name no model" in note for note in found.notes)


NOTES: list[tuple[int, dict[str, Any], str]] = [
    (MIDNIGHT_US + 2 * DAY_US, {}, "before our first record: 2026-11-07"),
    (NOON_US, {}, "partly before our first record, 12:00: 2026-11-07"),
    (NOON_US, {}, "not over by the end of our record, 2026-11-07 12:00: 2026-11-07"),
    (NOON_US, {"more": True}, "the export's last page says that there are more"),
]


@pytest.mark.parametrize(("at", "facts", "note"), NOTES)
def test_what_is_only_partly_comparable_is_named(
    store: Store, at: int, facts: dict[str, Any], note: str
) -> None:
    project(store, *call("r1", at=at))
    assert [one for one in made(store, export(line(), **facts)).notes if one.startswith(note)]


def test_days_that_are_covered_are_not_named(store: Store) -> None:
    project(store, *call("r1", at=MIDNIGHT_US), *call("r2", at=NOON_US + DAY_US))
    assert made(store, export(line())).notes == ()


def test_an_empty_record_and_an_unknown_provider_are_named(store: Store) -> None:
    found = made(store, export(line()))
    assert "our record is empty: no call was ever made through this gateway" in found.notes
    assert "no call to a provider named openai is on record" in found.notes
    project(store, *call("r1"))
    notes = made(store, export(line()), providers=("openia",)).notes
    assert "no call to a provider named openia is on record; those called are openai (--provider)" in notes


def test_gaps_of_our_record_are_named(store: Store) -> None:
    project(store, *call("r1"), end("lost", at=NOON_US + 5, last=PRICED, outcome="ok"))
    assert "our record has gaps: `tidegate report` tells which" in made(store, export(line())).notes


def test_attempts_that_still_run_are_named_and_unpriced(store: Store) -> None:
    project(store, *call("r1"), begin("r2", at=NOON_US + 5))
    found = made(store, export(line(2 * COST)))
    assert sum(cell.ours.unpriced.calls for cell in found.cells) == 1
    assert "still running, so without a cost: 1 of our attempts" in found.notes


ODD: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"until_us": MIDNIGHT_US + 2 * DAY_US}, {}, "not within one day; export by day"),
    ({"until_us": MIDNIGHT_US}, {}, "not within one day"),
    ({}, {"since": date(2027, 1, 1)}, "nothing in this period"),
    ({"since_us": -1}, {}, "a bucket before 1970"),
    ({"until_us": 10**18}, {}, "or after 9990"),
]


@pytest.mark.parametrize(("facts", "scope", "message"), ODD)
def test_stretches_that_cannot_be_compared_are_refused(
    store: Store, facts: dict[str, Any], scope: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadRequest, match=message):
        made(store, export(line(**facts)), **scope)


def test_cells_and_totals_add_up(store: Store) -> None:
    calls = [one for n in range(4) for one in call(f"r{n}", at=NOON_US + n * DAY_US)]
    project(store, *calls, decided=[listed()])
    lines = [counted(COST + 10**6 * n, day=n, calls=n, times=n + 1) for n in range(4)]
    found = made(store, export(*lines, tokens=True))

    def differs(cell: Cell) -> int:
        assert cell.theirs.nano is not None
        return cell.theirs.nano - cell.ours.nano

    assert [sum((cell.money or {}).values()) for cell in found.cells] == [differs(one) for one in found.cells]
    assert sum(found.total.parts.values()) == found.total.difference == sum(map(differs, found.cells))
