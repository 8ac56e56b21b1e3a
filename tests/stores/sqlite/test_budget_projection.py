"""What attempts hold of budgets and are charged for, and what people give, as rows; each exactly once."""

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.support.calls import DAY_US, HOLD, NOON_US, Columns, attempt, begin, end, frames, project, settled
from tidegate.control.projector import Projector
from tidegate.model.budget import Share
from tidegate.model.record import Begin, BudgetRaised, GatewayRecord
from tidegate.policy.budget import FOREVER_US
from tidegate.stores.spent import OpenHold
from tidegate.stores.sqlite import budget_queries
from tidegate.stores.sqlite.budget_queries import Given
from tidegate.stores.sqlite.retention import expire
from tidegate.stores.sqlite.store import Store

TOTAL = "all|calls|total|"
MONTH = "teams|EUR|month|Europe/Berlin|team=docs"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "x.db") as opened:
        yield opened


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def held(id_: str, *shares: Share) -> Begin:
    return begin(id_, hold=replace(HOLD, shares=shares))


def spent(store: Store) -> dict[tuple[str, int], int]:
    rows = Columns(store, "budget_spent").where()
    return {(row["account"], row["window_us"]): row["spent"] for row in rows}


def test_a_hold_is_on_its_attempt_until_that_is_settled(store: Store) -> None:
    project(store, held("r1", Share(TOTAL, 0, 1), Share(MONTH, 7, 900)))
    (one,) = Columns(store, "attempt").where()
    assert json.loads(one["hold_shares"]) == [[TOTAL, 0, 1], [MONTH, 7, 900]]
    open_ = [OpenHold("r1", 0, (Share(TOTAL, 0, 1), Share(MONTH, 7, 900)))]
    assert budget_queries.open_holds(store) == {"b1": open_}
    assert spent(store) == {}
    again = replace(
        attempt("r1", 1, settled(charges=(Share(MONTH, 7, 4),))),
        hold=replace(HOLD, shares=(Share(TOTAL, 0, 2),)),
    )
    Projector(store).apply("b1", frames([again], 1))
    assert budget_queries.open_holds(store) == {"b1": [OpenHold("r1", 1, (Share(TOTAL, 0, 2),))]}
    Projector(store).apply("b1", frames([end("r1", n=1)], 2))
    assert budget_queries.open_holds(store) == {}
    assert spent(store) == {(MONTH, 7): 4}


def test_an_attempt_without_budgets_holds_nothing(store: Store) -> None:
    project(store, begin("r1"), end("r1"))
    assert [row["hold_shares"] for row in Columns(store, "attempt").where()] == [None]
    assert Columns(store, "budget_charge").where() == []


def test_every_attempt_is_charged_for_itself_and_windows_are_summed_apart(store: Store) -> None:
    failed = settled(status="error", charges=(Share(TOTAL, 0, 1), Share(MONTH, 7, 30)))
    last = settled(charges=(Share(TOTAL, 0, 1), Share(MONTH, 8, 500)))
    project(store, begin("r1"), attempt("r1", 1, failed), end("r1", n=1, last=last))
    rows = Columns(store, "budget_charge").where("1 = 1 ORDER BY n, account")
    assert [(row["n"], row["account"], row["amount"]) for row in rows] == [
        (0, TOTAL, 1),
        (0, MONTH, 30),
        (1, TOTAL, 1),
        (1, MONTH, 500),
    ]
    assert spent(store) == {(TOTAL, 0): 2, (MONTH, 7): 30, (MONTH, 8): 500}


RECORDS: tuple[GatewayRecord, ...] = (
    held("r1", Share(TOTAL, 0, 1)),
    attempt("r1", 1, settled(status="error", charges=(Share(TOTAL, 0, 3),))),
    end("r1", n=1, last=settled(charges=(Share(TOTAL, 0, 40),))),
)


@pytest.mark.parametrize("order", list(itertools.permutations(RECORDS)))
@pytest.mark.parametrize("at_once", [True, False], ids=["one batch", "one by one"])
def test_whatever_comes_first_and_however_often_it_is_counted_once(
    store: Store, order: tuple[GatewayRecord, ...], at_once: bool
) -> None:
    twice = frames([*order, *order])
    for batch in [twice] if at_once else [[one] for one in twice]:
        Projector(store).apply("b1", batch)
    assert spent(store) == {(TOTAL, 0): 43}


def test_frames_that_are_in_the_tables_already_are_passed_over(store: Store) -> None:
    for _ in range(2):
        project(store, *RECORDS)
    assert spent(store) == {(TOTAL, 0): 43}


@pytest.mark.parametrize(
    ("account", "window_us", "until_us"),
    [
        (TOTAL, 0, FOREVER_US),
        (MONTH, us("2026-09-30T22:00"), us("2026-11-30T23:00")),
        ("d|EUR|day|UTC", us("2026-11-24"), us("2026-11-26")),
        ("w|EUR|week|UTC", us("2026-11-23"), us("2026-12-07")),
        ("y|EUR|year|UTC", us("2026-01-01"), us("2028-01-01")),
        ("f|calls|fixed:60|", us("2026-11-24"), us("2026-11-24T00:02")),
        ("r|calls|rolling:200|", us("2026-11-24"), us("2026-11-24T00:03:40")),
        ("no account at all", 5, FOREVER_US),
        ("z|EUR|day|Nowhere/Atall", 5, FOREVER_US),
    ],
)
def test_a_charge_says_until_when_it_counts(
    store: Store, account: str, window_us: int, until_us: int
) -> None:
    project(store, begin("r1"), end("r1", last=settled(charges=(Share(account, window_us, 3),))))
    for table in ("budget_charge", "budget_spent"):
        assert [row["counts_until_us"] for row in Columns(store, table).where()] == [until_us]
    assert budget_queries.spent(store, until_us - 1) == (Share(account, window_us, 3),)
    assert budget_queries.spent(store, until_us) == ()


def test_a_charge_that_no_column_holds_is_as_much_as_one_does(store: Store) -> None:
    for id_ in ("r1", "r2"):
        Projector(store).apply(
            id_, frames([begin(id_), end(id_, last=settled(charges=(Share(TOTAL, 0, 10**30),)))])
        )
    assert spent(store) == {(TOTAL, 0): 4 * 10**18}
    assert len(Columns(store, "request").where()) == 2


def test_what_people_give_is_a_row_each(store: Store) -> None:
    raises = [
        BudgetRaised(seq=at, at=at, by="ann", account=MONTH, window_us=7, amount=amount, reason="launch")
        for at, amount in enumerate((50, -20))
    ]
    for _ in range(2):
        project(store, decided=raises)
    assert list(budget_queries.given(store)) == [
        Given(0, MONTH, 7, 50, "ann", "launch"),
        Given(1, MONTH, 7, -20, "ann", "launch"),
    ]


def test_charges_go_with_their_call_and_sums_when_they_count_no_more(store: Store) -> None:
    day = "d|EUR|day|UTC"
    shares = (Share(TOTAL, 0, 1), Share(day, NOON_US - 100 * DAY_US, 2))
    for id_, at_us in (("old", NOON_US - 100 * DAY_US), ("new", NOON_US)):
        project(store, begin(id_, at=at_us), end(id_, last=settled(charges=shares)), boot=id_)
    expire(store, NOON_US - 99 * DAY_US)
    assert {row["request_id"] for row in Columns(store, "budget_charge").where()} == {"new"}
    assert spent(store) == {(TOTAL, 0): 2, (day, NOON_US - 100 * DAY_US): 4}
    expire(store, NOON_US - 90 * DAY_US)
    assert spent(store) == {(TOTAL, 0): 2}
