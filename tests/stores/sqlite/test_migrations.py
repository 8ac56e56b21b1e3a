import stat
from pathlib import Path

import apsw
import pytest

from tidegate.stores.sqlite.migrations import (
    Migration,
    NewerSchemaError,
    OlderSchemaError,
    migrate,
    migrations_of,
    schema_version,
)
from tidegate.stores.sqlite.store import Store

ONE = Migration(1, "0001_one", "CREATE TABLE pet (name TEXT PRIMARY KEY);")
TWO = Migration(2, "0002_two", "ALTER TABLE pet ADD COLUMN legs BIGINT; UPDATE pet SET legs = 4;")
BROKEN = Migration(2, "0002_broken", "ALTER TABLE pet ADD COLUMN legs BIGINT; SELECT nonsense FROM nowhere;")


@pytest.fixture
def older(tmp_path: Path) -> Path:
    path = tmp_path / "tidegate.db"
    with Store.open_with(path, [ONE]) as store:
        store.write("INSERT INTO pet VALUES (?)", [("cat",)])
    return path


@pytest.mark.parametrize("schema", ["projection", "names"])
def test_a_fresh_database_is_made_at_the_last_schema_without_a_backup(tmp_path: Path, schema: str) -> None:
    with Store.open(tmp_path / "fresh.db", schema=schema) as store:
        assert schema_version(store.connection) == len(migrations_of(schema))
    assert not list(tmp_path.glob("*.bak"))


def test_an_older_database_is_migrated_with_its_rows_and_a_backup(older: Path) -> None:
    with Store.open_with(older, [ONE, TWO]) as store:
        assert list(store.rows("SELECT name, legs FROM pet")) == [("cat", 4)]
        assert list(store.rows("SELECT version, name FROM schema_version")) == [
            (1, "0001_one"),
            (2, "0002_two"),
        ]
    with Store.open_with(older.with_name("tidegate.db.v1.bak"), [ONE]) as backup:
        assert list(backup.rows("SELECT * FROM pet")) == [("cat",)]


def test_opening_again_migrates_nothing(older: Path) -> None:
    Store.open_with(older, [ONE]).close()
    assert not list(older.parent.glob("*.bak"))


def test_a_newer_schema_is_refused_and_left_as_it_is(older: Path) -> None:
    Store.open_with(older, [ONE, TWO]).close()
    with pytest.raises(NewerSchemaError, match="has schema 2, this Tidegate knows up to 1"):
        Store.open_with(older, [ONE])
    with Store.open_with(older, [ONE, TWO]) as store:
        assert schema_version(store.connection) == 2


def test_a_reader_refuses_a_newer_and_an_older_schema(tmp_path: Path) -> None:
    path = tmp_path / "tidegate.db"
    known = list(migrations_of("projection"))
    more = Migration(len(known) + 1, "more", "CREATE TABLE more (x TEXT)")
    Store.open_with(path, [*known, more]).close()
    with pytest.raises(NewerSchemaError):
        Store.open_read_only(path)
    empty = tmp_path / "empty.db"
    Store.open_with(empty, []).close()
    with pytest.raises(OlderSchemaError, match="has schema 0"):
        Store.open_read_only(empty)


def test_a_step_that_fails_changes_nothing(older: Path) -> None:
    with pytest.raises(apsw.SQLError):
        Store.open_with(older, [ONE, BROKEN])
    with Store.open_with(older, [ONE]) as store:
        assert schema_version(store.connection) == 1
        assert list(store.rows("SELECT * FROM pet")) == [("cat",)]


def test_a_backup_is_private_and_replaces_one_of_a_failed_try(older: Path) -> None:
    with pytest.raises(apsw.SQLError):
        Store.open_with(older, [ONE, BROKEN])
    with Store.open_with(older, [ONE]) as store:
        store.write("INSERT INTO pet VALUES (?)", [("dog",)])
        backup = migrate(store.connection, [ONE, TWO], older)
    assert backup is not None
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    with Store.open_with(backup, [ONE]) as kept:
        assert list(kept.rows("SELECT name FROM pet ORDER BY name")) == [("cat",), ("dog",)]
    assert not list(older.parent.glob("*.part"))


def test_the_numbers_of_the_files_have_no_gap() -> None:
    for schema in ("projection", "names"):
        found = migrations_of(schema)
        assert [one.version for one in found] == list(range(1, len(found) + 1))
