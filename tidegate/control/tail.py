"""Follows every journal of a state directory into the tables, oldest boot first."""

import logging
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from tidegate.control.projector import Projector, Source
from tidegate.policy.interrupted import closing
from tidegate.stores.journal import CorruptFrame, Position, Reader, StillLive, boots, is_live, seal
from tidegate.stores.journal.directory import read_mark
from tidegate.stores.sqlite.store import Store

SOURCES: tuple[Source, ...] = ("control", "gateway")
BATCH = 2_000
"""Frames in one transaction: about 50 ms of work."""

CAUGHT_UP_EVERY_US = 1_000_000
QUIET_US = 1_000_000
_CAUGHT_UP = """INSERT INTO caught_up (id, at_us) VALUES (1, ?)
ON CONFLICT (id) DO UPDATE SET at_us = excluded.at_us"""

log = logging.getLogger(__name__)


class Tail:
    """Reads what is new in the journals under `root` (`gateway/<boot>/`, `control/<boot>/`).

    Keeps a reader open for each journal that may still grow. A directory whose owner is gone is sealed first,
    its open calls closed as interrupted (rule 1). `wall_us` gives microseconds since the epoch.
    """

    def __init__(self, store: Store, root: Path, wall_us: Callable[[], int]) -> None:
        self.projector = Projector(store)
        self._store, self._root, self._wall_us = store, root, wall_us
        self._readers: dict[tuple[Source, str], Reader] = {}
        self._finished: set[tuple[Source, str]] = set()
        self._looked: dict[tuple[Source, str], tuple[Position | None, int]] = {}
        self._noted_us = 0

    def catch_up(self) -> int:
        """Project all there is to read now; return how many frames that were.

        Raises apsw.Error when the store fails. A journal that does not read raises an alarm row, and the
        others go on.
        """
        started_us = self._wall_us()
        frames = 0
        for source in SOURCES:
            for directory in boots(self._root / source):
                if (source, directory.name) not in self._finished:
                    frames += self._follow(source, directory)
        if frames or started_us - self._noted_us >= CAUGHT_UP_EVERY_US:
            with self._store.transaction():
                self._store.write(_CAUGHT_UP, [(started_us,)])
            self._noted_us = started_us
        return frames

    def close(self) -> None:
        """Give all readers back."""
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _follow(self, source: Source, directory: Path) -> int:
        boot = directory.name
        if self._is_quiet(source, directory):
            return 0
        progress = self.projector.progress(boot, source=source)
        if progress.finished:
            self._finished.add((source, boot))
            return 0
        try:
            self._seal_if_free(directory)
            reader = self._readers.setdefault((source, boot), Reader(directory))
            frames = self._read(source, reader, progress.position)
            position = self.projector.progress(boot, source=source).position
            if reader.finished(position):
                self.projector.finish(boot, source=source)
                self._finished.add((source, boot))
                self._readers.pop((source, boot)).close()
        except (CorruptFrame, OSError, msgspec.DecodeError) as error:
            position = self.projector.progress(boot, source=source).position
            self._alarm(source, boot, position, f"{type(error).__name__}: {error}")
            return 0
        return frames

    def _is_quiet(self, source: Source, directory: Path) -> bool:
        """True where nothing was written since the last look, which was less than a second ago.

        Looking costs one small read; whether the owner is gone is asked once a second.
        """
        now_us, mark = self._wall_us(), read_mark(directory)
        seen = self._looked.get((source, directory.name))
        if seen is not None and seen[0] == mark and 0 <= now_us - seen[1] < QUIET_US:
            return True
        self._looked[source, directory.name] = (mark, now_us)
        return False

    def _seal_if_free(self, directory: Path) -> None:
        if is_live(directory):
            return
        try:
            report = seal(directory, closing(self._wall_us()))
        except StillLive:
            return
        if not report.already:
            log.info("sealed journal %s: %d open calls closed", directory.name, report.closed)

    def _read(self, source: Source, reader: Reader, position: Position) -> int:
        boot, frames = reader.directory.name, 0
        while True:
            try:
                records = reader.read(position, BATCH)
            except CorruptFrame as error:
                behind = reader.after(error)
                if behind <= position:
                    raise
                damage = Position(error.segment, error.offset)
                if self.projector.pass_over(boot, damage, behind, error.why, source=source):
                    log.error("journal %s: passed over damage: %s", boot, error)  # noqa: TRY400
                position = behind
                continue
            if not records:
                return frames
            position = self.projector.apply(boot, records, source=source).position
            frames += len(records)

    def _alarm(self, source: Source, boot: str, position: Position, why: str) -> None:
        if self.projector.alarm(boot, position, "journal_unreadable", why, source=source):
            log.error("journal %s cannot be read behind %s: %s", boot, tuple(position), why)
