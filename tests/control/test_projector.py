"""Exactly once, whatever the batches, the crashes and the records."""

import random
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.calls import (
    NOON_US,
    Columns,
    attempt,
    begin,
    end,
    frames,
    in_memory,
    named,
    refused,
    settled,
    tables,
    who,
)
from tidegate.control.projector import Projector
from tidegate.model.record import GatewayRecord, Note, RefusedMany, encode
from tidegate.stores.journal import Position
from tidegate.stores.sqlite.store import Row, Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "x.db") as opened:
        yield opened


CALLS: list[GatewayRecord] = [
    begin("r1", seq=1),
    refused("r2", seq=2),
    begin("r3", seq=3),
    attempt("r1", 1, settled(status="error", cost_nano=3), seq=4),
    begin("r1", seq=1),
    end("r1", n=1, seq=5),
    Note(seq=6, at=NOON_US, kind="drift"),
    begin("r4", seq=7),
    end("r4", outcome="cancelled", seq=8),
    end("r4", outcome="ok", seq=9),
    RefusedMany(seq=10, at=NOON_US, minute_us=0, code="invalid_api_key", count=3),
    end("r5", seq=11),
]


def projected(*batches: list[tuple[Position, bytes]]) -> dict[str, list[Row]]:
    with in_memory() as store:
        for batch in batches:
            Projector(store).apply("b1", batch)
        return tables(store)


WHOLE = projected(frames(CALLS))


def test_the_position_is_written_with_the_rows(store: Store) -> None:
    after = Projector(store).apply("b1", frames(CALLS))
    assert (after.position, after.frames, after.skipped) == (Position(1, len(CALLS)), len(CALLS), 0)
    assert Projector(store).progress("b1") == after
    assert Projector(store).progress("b2").frames == 0


@given(st.lists(st.integers(0, len(CALLS)), max_size=6), st.booleans())
def test_batches_and_repetitions_do_not_matter(cuts: list[int], again: bool) -> None:
    edges = [0, *sorted(cuts), len(CALLS)]
    all_frames = frames(CALLS)
    batches = [all_frames[start:stop] for start, stop in pairwise(edges)]
    if again:
        batches = [*batches, *batches, all_frames]
    assert projected(*batches) == WHOLE


@given(st.randoms(use_true_random=False))
@settings(max_examples=50)
def test_a_frame_read_again_from_another_position_doubles_nothing(chance: random.Random) -> None:
    """As after a failed disk: the same records stand twice, the second time anywhere later."""
    repeats = [record for record in CALLS if chance.random() < 0.5]
    found = projected(frames(CALLS), frames(repeats, start=100))
    del found["journal_position"]
    assert found == {table: rows for table, rows in WHOLE.items() if table != "journal_position"}


@given(st.permutations([record for record in CALLS if record.seq not in (1, 9)]))
@settings(max_examples=50)
def test_halves_meet_in_any_order(order: list[GatewayRecord]) -> None:
    """Each call has one begin and one end here; only where they lie in the journal may differ."""

    def figures(records: list[GatewayRecord]) -> tuple[list[str], list[Row]]:
        with in_memory() as store:
            Projector(store).apply("b1", frames(records))
            calls = Columns(store, "request").where()
            for call in calls:
                del call["byte_offset"]
            return sorted(map(repr, calls)), tables(store)["attempt"]

    assert figures(order) == figures(sorted(order, key=lambda record: record.seq))


def test_a_late_duplicate_end_never_overwrites(store: Store) -> None:  # trap M8
    projector = Projector(store)
    projector.apply("b1", frames([begin("r1"), end("r1", outcome="cancelled", last=settled(cost_nano=5))]))
    projector.apply("b1", frames([end("r1", outcome="ok", last=settled(cost_nano=9))], start=50))
    assert [row["outcome"] for row in Columns(store, "request").where()] == ["cancelled"]
    assert [row["cost_nano"] for row in Columns(store, "attempt").where()] == [5]


def test_a_crash_before_the_commit_leaves_neither_rows_nor_position(store: Store) -> None:
    projector = Projector(store)
    projector.apply("b1", frames(CALLS)[:3])
    before = tables(store)
    store.connection.set_commit_hook(lambda: True)
    with pytest.raises(apsw.ConstraintError):
        projector.apply("b1", frames(CALLS))
    store.connection.set_commit_hook(None)
    assert tables(store) == before
    projector.apply("b1", frames(CALLS))
    assert tables(store) == WHOLE


def test_a_copy_of_the_files_at_any_commit_goes_on_to_the_same_rows(store: Store, tmp_path: Path) -> None:
    """As after `kill -9` or a power cut: the files as they stand are all there is."""
    all_frames = frames(CALLS)
    for at in range(len(CALLS)):
        Projector(store).apply("b1", all_frames[at : at + 1])
        copy = tmp_path / f"copy{at}.db"
        copy.write_bytes(store.path.read_bytes())
        Path(f"{copy}-wal").write_bytes(Path(f"{store.path}-wal").read_bytes())
        with Store.open(copy) as revived:
            assert Projector(revived).progress("b1").frames == at + 1
            Projector(revived).apply("b1", all_frames)
            assert tables(revived) == WHOLE


UNREADABLE = [
    b'{"t":"from_the_future","seq":1,"at":2}',
    b'{"t":"begin","seq":1}',
    b"no json",
    b'{"t":"note","seq":99999999999999999999,"at":1,"kind":"x"}',
    encode(begin("r9", at=2**70)),
    encode(end("r9", duration_us=2**65)),
]


@pytest.mark.parametrize("raw", UNREADABLE)
def test_a_record_that_cannot_be_read_or_stored_is_counted_and_the_others_go_on(
    store: Store, raw: bytes
) -> None:
    after = Projector(store).apply("b1", frames([*CALLS[:4], raw, *CALLS[4:]]))
    assert (after.frames, after.skipped, after.position) == (
        len(CALLS) + 1,
        1,
        Position(1, len(CALLS) + 1),
    )
    assert [row["id"] for row in Columns(store, "request").where()] == ["r1", "r2", "r3", "r4", "r5"]
    assert len(Columns(store, "note").where()) == 1


def test_fields_of_a_newer_version_are_ignored(store: Store) -> None:
    raw = encode(begin("r1")).replace(b'"snapshot":1', b'"snapshot":1,"mood":{"happy":true}')
    assert b"mood" in raw
    assert Projector(store).apply("b1", frames([raw])).skipped == 0
    assert [row["id"] for row in Columns(store, "request").where()] == ["r1"]


def test_a_gateway_cannot_decide_and_control_cannot_call(store: Store) -> None:
    projector = Projector(store)
    assert projector.apply("b1", frames([encode(named("auto-1", "x"))])).skipped == 1
    assert projector.apply("c1", frames([begin("r1")]), source="control").skipped == 1
    assert Columns(store, "feature_name").where() == []
    assert Columns(store, "request").where() == []


def test_boots_have_positions_of_their_own(store: Store) -> None:
    projector = Projector(store)
    projector.apply("b1", frames([begin("r1")]))
    projector.apply("b2", frames([begin("r2", who=who(tenant="other"))]))
    calls = Columns(store, "request").where()
    assert [(call["id"], call["boot"], call["tenant"]) for call in calls] == [
        ("r1", "b1", "acme"),
        ("r2", "b2", "other"),
    ]


def test_damage_is_an_alarm_once_and_the_way_on(store: Store) -> None:
    projector = Projector(store)
    projector.apply("b1", frames([begin("r1")]))
    assert projector.pass_over("b1", Position(1, 1), Position(1, 40), "no frame reads here")
    assert not projector.pass_over("b1", Position(1, 1), Position(1, 40), "no frame reads here")
    projector.apply("b1", frames([end("r1")], start=40))
    assert [(row["byte_offset"], row["kind"]) for row in Columns(store, "alarm").where()] == [
        (1, "journal_corrupt")
    ]
    assert Columns(store, "request").where()[0]["outcome"] == "ok"
