"""Schema versions: numbered SQL files, forward only, each in one transaction with its version row."""

import os
import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import apsw

from tidegate.model.errors import TidegateError

_FILE = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_VERSION_TABLE = """CREATE TABLE IF NOT EXISTS schema_version (
    version BIGINT PRIMARY KEY,
    name TEXT NOT NULL
)"""


class NewerSchemaError(TidegateError):
    """The database was written by a newer Tidegate."""

    code = "schema_too_new"


class OlderSchemaError(TidegateError):
    """The database awaits a migration, which a reader may not make."""

    code = "schema_too_old"


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of a schema: `version` counts from 1 without a gap."""

    version: int
    name: str
    sql: str


@cache
def migrations_of(schema: str) -> tuple[Migration, ...]:
    """Return the migrations of `schema` (`projection` or `names`), oldest first."""
    folder = resources.files(__package__) / "schema" / schema
    found = []
    for entry in folder.iterdir():
        if match := _FILE.fullmatch(entry.name):
            name = entry.name.removesuffix(".sql")
            found.append(Migration(int(match[1]), name, entry.read_text(encoding="utf-8")))
    found.sort(key=lambda migration: migration.version)
    assert [migration.version for migration in found] == list(range(1, len(found) + 1)), schema
    return tuple(found)


def schema_version(connection: apsw.Connection) -> int:
    """Return the version of an open database, 0 where it is empty."""
    known = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'schema_version'").get
    if known is None:
        return 0
    version = connection.execute("SELECT MAX(version) FROM schema_version").get
    assert version is None or isinstance(version, int)
    return version or 0


def check_readable(connection: apsw.Connection, migrations: Sequence[Migration], path: Path) -> None:
    """Raise NewerSchemaError or OlderSchemaError unless the database is exactly at the last migration."""
    version = schema_version(connection)
    _refuse_newer(version, len(migrations), path)
    if version < len(migrations):
        raise OlderSchemaError(
            f"{path} has schema {version}, this Tidegate reads schema {len(migrations)}; "
            "start `tidegate serve` once to migrate it, or run `tidegate rebuild`"
        )


def migrate(connection: apsw.Connection, migrations: Sequence[Migration], path: Path) -> Path | None:
    """Bring the database to the last migration; return the backup made of an older one, if any.

    Raises NewerSchemaError, and leaves the database as it was when a step fails.
    """
    version = schema_version(connection)
    _refuse_newer(version, len(migrations), path)
    if version == len(migrations):
        return None
    backup = back_up(connection, path.with_name(f"{path.name}.v{version}.bak")) if version else None
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(_VERSION_TABLE)
        for migration in migrations[version:]:
            connection.execute(migration.sql)
            row = (migration.version, migration.name)
            connection.execute("INSERT INTO schema_version (version, name) VALUES (?, ?)", row)
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    return backup


def back_up(connection: apsw.Connection, target: Path) -> Path:
    """Copy an open database to `target`, which appears only when it is whole."""
    unfinished = target.with_name(target.name + ".part")
    unfinished.unlink(missing_ok=True)
    create_private(unfinished)
    with closing(apsw.Connection(str(unfinished))) as copy:
        with copy.backup("main", connection, "main") as backup:
            backup.step(-1)
        copy.pragma("journal_mode", "delete")
    unfinished.replace(target)
    sync_directory(target.parent)
    return target


def create_private(path: Path) -> None:
    """Make an empty file that only its owner reads, unless it is there."""
    os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))


def sync_directory(path: Path) -> None:
    """Make renames in `path` survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refuse_newer(version: int, known: int, path: Path) -> None:
    if version > known:
        raise NewerSchemaError(
            f"{path} has schema {version}, this Tidegate knows up to {known}; "
            "install the newer Tidegate again, or restore the backup made before its migration"
        )
