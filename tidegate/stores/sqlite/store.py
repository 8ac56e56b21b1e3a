"""One open database: its connection, its transactions, its safety settings."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import apsw

from tidegate.model.errors import NotFound
from tidegate.stores.sqlite.migrations import (
    Migration,
    check_readable,
    create_private,
    migrate,
    migrations_of,
    sync_directory,
)

log = logging.getLogger(__name__)

DATABASE = "tidegate.db"
"""The projection's file in the state directory."""

BUSY_TIMEOUT_MS = 5_000

Value = None | int | float | str | bytes
"""What a column can hold."""

Row = tuple[Value, ...]


class Store:
    """A database that one process writes; any number of others may read it meanwhile.

    Durability is `synchronous=NORMAL`: a power cut may lose the last transactions, never tear one. Every
    row can be projected again from the journal, whose position lies in the same transaction. So `checkpoint`
    must be called before a journal's segment is removed.
    """

    def __init__(self, connection: apsw.Connection, path: Path) -> None:
        self.connection = connection
        self.path = path

    @classmethod
    def open(cls, path: Path, *, schema: str = "projection") -> Self:
        """Open for writing; make or migrate it where needed. Raises NewerSchemaError."""
        return cls.open_with(path, migrations_of(schema))

    @classmethod
    def open_with(cls, path: Path, migrations: Sequence[Migration]) -> Self:
        """Open for writing at the last of `migrations`."""
        create_private(path)
        connection = apsw.Connection(str(path))
        try:
            connection.set_busy_timeout(BUSY_TIMEOUT_MS)
            connection.pragma("journal_mode", "wal")
            connection.pragma("synchronous", "normal")
            connection.pragma("foreign_keys", 1)
            connection.pragma("trusted_schema", 0)
            connection.pragma("cache_size", -8_192)
            connection.transaction_mode = "IMMEDIATE"
            migrate(connection, migrations, path)
        except BaseException:
            connection.close()
            raise
        return cls(connection, path)

    @classmethod
    def open_read_only(cls, path: Path, *, schema: str = "projection") -> Self:
        """Open for reading. Raises NotFound, NewerSchemaError or OlderSchemaError."""
        if not path.exists():
            raise NotFound(
                f"there is no database at {path}; start `tidegate serve`, or run `tidegate rebuild`"
            )
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            connection.set_busy_timeout(BUSY_TIMEOUT_MS)
            connection.pragma("query_only", 1)
            connection.pragma("trusted_schema", 0)
            check_readable(connection, migrations_of(schema), path)
        except BaseException:
            connection.close()
            raise
        return cls(connection, path)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit on the way out, or roll back; inside another transaction it is a savepoint of it."""
        with self.connection:
            yield

    def rows(self, sql: str, values: Sequence[Value] = ()) -> Iterator[Row]:
        """Yield the rows of one query."""
        yield from self.connection.execute(sql, values)

    def rows_named(self, sql: str, values: Mapping[str, Value]) -> Iterator[Row]:
        """Yield the rows of one query whose parameters have names."""
        yield from self.connection.execute(sql, values)

    def write(self, sql: str, rows: Sequence[Sequence[Value]]) -> None:
        """Run one statement for each row."""
        if rows:
            self.connection.executemany(sql, rows)

    def checkpoint(self) -> None:
        """Move the log into the database file and sync it. Raises apsw.BusyError while a reader holds it."""
        self.connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)

    def close(self) -> None:
        """Close the connection; the last writer's close empties the log."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def replace_database(new: Path, old: Path) -> None:
    """Put the closed database `new` in the place of `old`, which nobody may be writing.

    The old log is folded in and removed first: a log left beside another file would corrupt it. A damaged
    old file is replaced all the same. Raises apsw.BusyError while a reader is in the middle of a query.
    """
    if old.exists():
        connection = apsw.Connection(str(old))
        try:
            connection.set_busy_timeout(BUSY_TIMEOUT_MS)
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except (apsw.CorruptError, apsw.NotADBError) as error:
            log.warning("replacing a damaged database %s: %s", old, error)
        finally:
            connection.close()
    for suffix in ("-wal", "-shm"):
        Path(f"{old}{suffix}").unlink(missing_ok=True)
    new.replace(old)
    sync_directory(old.parent)
