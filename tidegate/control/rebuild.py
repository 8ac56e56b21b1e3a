"""Makes all tables again from the journals, beside the old database, and then takes its place."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import apsw

from tidegate.control.lock import control_lock
from tidegate.control.tail import Tail
from tidegate.model.errors import TidegateError
from tidegate.stores.layout import Layout
from tidegate.stores.sqlite.carrying import carry_spent
from tidegate.stores.sqlite.store import DATABASE, Store, replace_database

log = logging.getLogger(__name__)


class RebuildLosesError(TidegateError):
    """The journals hold fewer calls than the database: older segments were removed."""

    code = "rebuild_loses"


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild made. `lost` calls were in the old database and are in no journal any more."""

    path: Path
    frames: int
    calls: int
    skipped: int
    alarms: int
    lost: int


def rebuild(layout: Layout, wall_us: Callable[[], int], *, accept_loss: bool = False) -> Rebuilt:
    """Project every journal into a new database that replaces the old one all at once.

    Raises ControlRunningError while a control process writes, and RebuildLosesError, leaving the old
    database, when calls would vanish and `accept_loss` is not given.
    """
    path = layout.root / DATABASE
    unfinished = path.with_name(path.name + ".rebuild")
    with control_lock(layout.control_lock):
        _remove(unfinished)
        try:
            with Store.open(unfinished) as store, Tail(store, layout.root / "journal", wall_us) as tail:
                frames = tail.catch_up()
                _carry(path, store)
                calls, skipped, alarms = (_number(store, sql) for sql in (_CALLS, _SKIPPED, _ALARMS))
            lost = max(0, _old_calls(path) - calls)
            if lost and not accept_loss:
                raise RebuildLosesError(
                    f"{lost} calls of {path} are in no journal any more (their segments were removed after "
                    "their retention); nothing was changed. --accept-loss goes on without them"
                )
            replace_database(unfinished, path)
        finally:
            _remove(unfinished)
    return Rebuilt(path=path, frames=frames, calls=calls, skipped=skipped, alarms=alarms, lost=lost)


_CALLS = "SELECT COUNT(*) FROM request"
_SKIPPED = "SELECT COALESCE(SUM(skipped), 0) FROM journal_position"
_ALARMS = "SELECT COUNT(*) FROM alarm"


def _number(store: Store, sql: str) -> int:
    found = store.connection.execute(sql).get
    assert isinstance(found, int)
    return found


def _old_calls(path: Path) -> int:
    """Return how many calls the old database holds, 0 where it cannot say."""
    try:
        with Store.open_read_only(path) as old:
            return _number(old, _CALLS)
    except (apsw.Error, TidegateError):
        return 0


def _carry(path: Path, store: Store) -> None:
    """Take over from the old database what no journal holds, as far as it can be read."""
    if not path.exists():
        return
    try:
        with Store(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY), path) as old:
            carry_spent(old, store)
    except (apsw.CorruptError, apsw.NotADBError) as error:
        log.warning("what budgets spent before the journals begin cannot be read from %s: %s", path, error)


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
