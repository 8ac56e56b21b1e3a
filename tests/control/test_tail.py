import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.calls import NOON_US, Columns, begin, end, named, refused, tables
from tidegate.control.tail import Tail
from tidegate.model.record import encode
from tidegate.stores.journal import ControlJournal
from tidegate.stores.sqlite.store import Store

NOW_US = NOON_US + 10_000_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "x.db") as opened:
        yield opened


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def tail(store: Store, root: Path) -> Iterator[Tail]:
    with Tail(store, root, lambda: NOW_US) as opened:
        yield opened


def gateway(root: Path, boot: str = "b1") -> ControlJournal:
    """A journal that a gateway of this name would write; the synchronous writer is enough here."""
    return ControlJournal.open(root / "gateway", boot=boot)


def test_nothing_is_there_yet(tail: Tail) -> None:
    assert tail.catch_up() == 0


def test_live_journals_are_followed_as_they_grow(tail: Tail, store: Store, root: Path) -> None:
    with gateway(root) as journal:
        journal.append(encode(begin("r1")))
        assert tail.catch_up() == 1
        assert Columns(store, "request").where()[0]["outcome"] is None
        journal.append(encode(end("r1")))
        assert tail.catch_up() == 1
        assert tail.catch_up() == 0
        assert Columns(store, "request").where()[0]["outcome"] == "ok"
        assert [row["finished"] for row in Columns(store, "journal_position").where()] == [0]


def test_gateways_and_control_are_read_each_as_what_it_is(tail: Tail, store: Store, root: Path) -> None:
    with gateway(root) as journal, ControlJournal.open(root / "control", boot="c1") as decisions:
        journal.append(encode(begin("r1")))
        decisions.append(encode(named("auto-1a2b", "summaries")))
        assert tail.catch_up() == 2
    assert len(Columns(store, "feature_name").where()) == 1
    assert {row["source"] for row in Columns(store, "journal_position").where()} == {"gateway", "control"}


def test_a_journal_whose_owner_is_gone_is_sealed_and_its_open_calls_closed(  # trap M8
    tail: Tail, store: Store, root: Path
) -> None:
    with gateway(root) as journal:
        journal.append(encode(begin("r1")))
        journal.append(encode(begin("r2")))
        journal.append(encode(end("r2")))
        tail.catch_up()
    assert tail.catch_up() == 0, "whether the owner is gone is asked once a second"
    tail._looked.clear()
    assert tail.catch_up() == 1
    calls = {row["id"]: row for row in Columns(store, "request").where()}
    assert (calls["r1"]["outcome"], calls["r1"]["end_at_us"]) == ("interrupted", NOW_US)
    assert calls["r2"]["outcome"] == "ok"
    (lost,) = Columns(store, "attempt").where("request_id = 'r1'")
    assert (lost["status"], lost["cost_nano"], lost["cost_source"]) == ("interrupted", 400, "estimated")
    assert "maybe_billed" in lost["flags"]
    assert [row["finished"] for row in Columns(store, "journal_position").where()] == [1]
    assert tail.catch_up() == 0


def test_another_process_goes_on_where_the_last_one_was(tail: Tail, store: Store, root: Path) -> None:
    with gateway(root) as journal:
        journal.append(encode(begin("r1")))
        tail.catch_up()
        journal.append(encode(end("r1")))
        with Tail(store, root, lambda: NOW_US) as other:
            assert other.catch_up() == 1
        assert tail.catch_up() == 0


def test_a_flipped_bit_is_an_alarm_and_all_other_records_arrive(  # case F24
    tail: Tail, store: Store, root: Path
) -> None:
    with gateway(root) as journal:
        for number in range(5):
            journal.append(encode(refused(f"r{number}", seq=number)))
        path = journal.path
    with gateway(root, "b2") as journal:
        journal.append(encode(refused("r9")))
    segment = next(path.glob("*.seg"))
    raw = segment.read_bytes()
    segment.write_bytes(raw.replace(b'"id":"r2"', b'"id":"rX"'))
    tail.catch_up()
    assert [row["id"] for row in Columns(store, "request").where()] == ["r0", "r1", "r3", "r4", "r9"]
    (alarm,) = Columns(store, "alarm").where()
    assert (alarm["boot"], alarm["kind"]) == ("b1", "journal_corrupt")
    before = tables(store)
    tail.catch_up()
    assert tables(store) == before


def test_a_journal_that_cannot_be_opened_is_an_alarm_and_the_others_go_on(
    tail: Tail, store: Store, root: Path
) -> None:
    with gateway(root) as journal:
        path = journal.path
    with gateway(root, "b2") as journal:
        journal.append(encode(refused("r9")))
    (path / "lock").unlink()
    os.mkdir(path / "lock")  # noqa: PTH102 - nothing else fails for every user, root too
    tail.catch_up()
    assert [row["id"] for row in Columns(store, "request").where()] == ["r9"]
    assert [(row["boot"], row["kind"]) for row in Columns(store, "alarm").where()] == [
        ("b1", "journal_unreadable")
    ]


def test_the_moment_of_catching_up_is_kept(tail: Tail, store: Store, root: Path) -> None:
    with gateway(root) as journal:
        journal.append(encode(begin("r1")))
        tail.catch_up()
    assert list(store.rows("SELECT at_us FROM caught_up")) == [(NOW_US,)]
