import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.calls import begin, end
from tidegate.control.tail import Tail
from tidegate.control.upkeep import DAY_US, keep_house
from tidegate.model.record import encode
from tidegate.stores.journal import Journal, boots
from tidegate.stores.sqlite.store import Store

NOW_US = 20_000 * DAY_US
SEGMENT = 1 << 18
EVERY = "SELECT id, outcome FROM request ORDER BY id"


async def write(root: Path, boot: str, calls: int, *, at_us: int) -> None:
    journal = Journal.open(root / "journal" / "gateway", boot=boot, segment_bytes=SEGMENT)
    for number in range(calls):
        name = f"{boot}-{number:05d}"
        journal.begin(name, encode(begin(name, at=at_us + number, model_asked="m" * 3000)))
        journal.end(name, encode(end(name, at=at_us + number + 1)))
        if number % 5 == 0:
            await journal.synced(journal.append(encode(end(name, at=at_us))))
    await journal.close()


def age(root: Path, boot: str, at_us: int) -> None:
    for path in (root / "journal" / "gateway" / boot).glob("*.seg*"):
        os.utime(path, ns=(at_us * 1000, at_us * 1000))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "tidegate.db") as opened:
        yield opened


def rows(store: Store, root: Path) -> list[object]:
    with Tail(store, root / "journal", lambda: NOW_US) as tail:
        tail.catch_up()
    return list(store.rows(EVERY))


def sizes(root: Path, boot: str) -> list[str]:
    return sorted(path.suffix for path in (root / "journal" / "gateway" / boot).glob("*.seg*"))


def house(store: Store, root: Path, days: int = 30) -> None:
    for _ in range(8):
        keep_house(store, root / "journal", now_us=NOW_US, retention_days=days)


def test_a_read_journal_is_compressed_and_still_reads(tmp_path: Path, store: Store) -> None:
    asyncio.run(write(tmp_path, "b1", 200, at_us=NOW_US))
    before = rows(store, tmp_path)
    assert len(before) == 200
    house(store, tmp_path)
    assert set(sizes(tmp_path, "b1")) == {".zst"}
    with Store.open(tmp_path / "again.db") as again:
        assert rows(again, tmp_path) == before


def test_what_is_not_projected_is_not_touched(tmp_path: Path, store: Store) -> None:
    asyncio.run(write(tmp_path, "b1", 100, at_us=NOW_US))
    age(tmp_path, "b1", 1)
    house(store, tmp_path)
    assert set(sizes(tmp_path, "b1")) == {".seg"}


def test_after_its_retention_a_journal_is_gone_and_so_are_its_rows(tmp_path: Path, store: Store) -> None:
    old_us = NOW_US - 31 * DAY_US
    asyncio.run(write(tmp_path, "b1", 50, at_us=old_us))
    asyncio.run(write(tmp_path, "b2", 50, at_us=NOW_US))
    assert len(rows(store, tmp_path)) == 100
    age(tmp_path, "b1", old_us)
    house(store, tmp_path)
    assert [path.name for path in boots(tmp_path / "journal" / "gateway")] == ["b2"]
    kept = list(store.rows(EVERY))
    assert len(kept) == 50
    with Store.open(tmp_path / "again.db") as again:
        assert rows(again, tmp_path) == kept


def test_compressing_does_not_make_a_journal_younger(tmp_path: Path, store: Store) -> None:
    old_us = NOW_US - 29 * DAY_US
    asyncio.run(write(tmp_path, "b1", 50, at_us=old_us))
    rows(store, tmp_path)
    age(tmp_path, "b1", old_us)
    house(store, tmp_path)
    assert sizes(tmp_path, "b1")
    for _ in range(4):
        keep_house(store, tmp_path / "journal", now_us=NOW_US + 2 * DAY_US, retention_days=30)
    assert not boots(tmp_path / "journal" / "gateway")
