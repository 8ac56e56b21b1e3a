import stat
from pathlib import Path

import apsw
import pytest

from tidegate.model.errors import NotFound
from tidegate.stores.sqlite.migrations import Migration
from tidegate.stores.sqlite.store import Store, replace_database

PETS = [Migration(1, "0001_pets", "CREATE TABLE pet (name TEXT PRIMARY KEY)")]
ADD = "INSERT INTO pet VALUES (?)"


def names(store: Store) -> list[str]:
    return [str(name) for (name,) in store.rows("SELECT name FROM pet ORDER BY name")]


def test_files_are_private_to_their_owner(tmp_path: Path) -> None:
    with Store.open(tmp_path / "x.db") as store:
        store.write("INSERT INTO caught_up VALUES (?, ?)", [(1, 2)])
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"x.db": 0o600, "x.db-wal": 0o600, "x.db-shm": 0o600}


def test_a_reader_sees_what_was_committed_and_cannot_write(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with Store.open(path) as writer, Store.open_read_only(path) as reader:
        count = "SELECT COUNT(*) FROM caught_up"
        with writer.transaction():
            writer.write("INSERT INTO caught_up VALUES (?, ?)", [(1, 2)])
            assert reader.connection.execute(count).get == 0
        assert reader.connection.execute(count).get == 1
        with pytest.raises(apsw.ReadOnlyError):
            reader.write("INSERT INTO caught_up VALUES (?, ?)", [(2, 2)])


def test_a_missing_database_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="tidegate rebuild"):
        Store.open_read_only(tmp_path / "none.db")


def test_a_transaction_inside_another_rolls_back_alone(tmp_path: Path) -> None:
    with Store.open_with(tmp_path / "x.db", PETS) as store:
        with store.transaction():
            store.write(ADD, [("ant",)])
            with pytest.raises(apsw.ConstraintError), store.transaction():
                store.write(ADD, [("bee",), ("ant",)])
        assert names(store) == ["ant"]


def test_a_replaced_database_takes_nothing_of_the_old_log(tmp_path: Path) -> None:
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    kept = Store.open_with(old, PETS)
    kept.write(ADD, [("old",)])
    reader = apsw.Connection(str(old), flags=apsw.SQLITE_OPEN_READONLY)
    assert reader.execute("SELECT COUNT(*) FROM pet").get == 1
    kept.close()
    assert (tmp_path / "old.db-wal").exists()
    with Store.open_with(new, PETS) as made:
        made.write(ADD, [("new",)])
    replace_database(new, old)
    reader.close()
    with Store.open_with(old, PETS) as store:
        assert names(store) == ["new"]
    assert not new.exists()


def test_a_damaged_database_can_be_replaced(tmp_path: Path) -> None:  # case F24
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    old.write_bytes(b"no database" * 1000)
    Store.open_with(new, PETS).close()
    replace_database(new, old)
    with Store.open_with(old, PETS) as store:
        assert names(store) == []


def test_the_log_cannot_be_emptied_under_a_reader(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with Store.open(path) as writer, Store.open_read_only(path) as reader:
        writer.write("INSERT INTO caught_up VALUES (?, ?)", [(1, 1), (2, 2)])
        query = reader.connection.execute("SELECT id FROM caught_up")
        next(query)
        writer.write("INSERT INTO caught_up VALUES (?, ?)", [(3, 3)])
        writer.connection.set_busy_timeout(0)
        with pytest.raises(apsw.BusyError):
            writer.checkpoint()
        query.close()
        writer.checkpoint()
