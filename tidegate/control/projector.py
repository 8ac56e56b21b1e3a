"""Journals into tables: each record exactly once, because its rows and its position are one transaction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import apsw
import msgspec

from tidegate.model.record import decode_control, decode_gateway
from tidegate.stores.journal.frames import START, Position
from tidegate.stores.sqlite.projection import Batch, Record
from tidegate.stores.sqlite.store import Store

Source = Literal["gateway", "control"]
"""Whose journal: a gateway's records can never make a key or a price."""

_UNSTORABLE = (
    OverflowError,
    TypeError,
    ValueError,
    apsw.TooBigError,
    apsw.MismatchError,
    apsw.ConstraintError,
)
"""What a table answers to a value it cannot hold. Anything else (disk, lock) is no fault of the record."""

_POSITION = """SELECT segment, byte_offset, last_at_us, frames, skipped, finished FROM journal_position
WHERE source = ? AND boot = ?"""
_SET_POSITION = """INSERT INTO journal_position
(source, boot, segment, byte_offset, last_at_us, frames, skipped, finished) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (source, boot) DO UPDATE SET segment = excluded.segment, byte_offset = excluded.byte_offset,
last_at_us = excluded.last_at_us, frames = excluded.frames, skipped = excluded.skipped,
finished = excluded.finished"""
_ALARM = """INSERT INTO alarm (source, boot, segment, byte_offset, kind, message)
VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (source, boot, segment, byte_offset) DO NOTHING"""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one journal is projected. `skipped` records were of a newer version or beyond a table."""

    position: Position = START
    last_at_us: int | None = None
    frames: int = 0
    skipped: int = 0
    finished: bool = False


class Projector:
    """Writes the records of journals into the store; the only writer of its tables."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def progress(self, boot: str, *, source: Source = "gateway") -> Progress:
        """Return how far the journal of `boot` is projected."""
        for segment, offset, last_at_us, frames, skipped, finished in self._store.rows(
            _POSITION, (source, boot)
        ):
            assert isinstance(segment, int)
            assert isinstance(offset, int)
            assert last_at_us is None or isinstance(last_at_us, int)
            assert isinstance(frames, int)
            assert isinstance(skipped, int)
            return Progress(Position(segment, offset), last_at_us, frames, skipped, bool(finished))
        return Progress()

    def apply(
        self, boot: str, frames: Sequence[tuple[Position, bytes]], *, source: Source = "gateway"
    ) -> Progress:
        """Project frames, each with the position behind it, and return how far the journal is then.

        Frames at or before the stored position are passed over. A record that cannot be read or stored is
        counted and skipped. Raises apsw.Error when the store itself fails; then nothing has changed.
        """
        with self._store.transaction():
            before = self.progress(boot, source=source)
            fresh = [frame for frame in frames if frame[0] > before.position]
            if not fresh:
                return before
            done = self._all_at_once(boot, fresh, source) or self._one_by_one(boot, fresh, source)
            after = Progress(
                position=fresh[-1][0],
                last_at_us=before.last_at_us if done.last_at_us is None else done.last_at_us,
                frames=before.frames + len(fresh),
                skipped=before.skipped + done.skipped,
                finished=before.finished,
            )
            self._keep(boot, after, source)
        return after

    def pass_over(
        self, boot: str, damage: Position, after: Position, why: str, *, source: Source = "gateway"
    ) -> bool:
        """Raise an alarm about a damaged place and go on behind it; False when that was done before."""
        with self._store.transaction():
            before = self.progress(boot, source=source)
            if after <= before.position:
                return False
            self.alarm(boot, damage, "journal_corrupt", why, source=source)
            self._keep(boot, _moved(before, after), source)
        return True

    def alarm(
        self, boot: str, place: Position, kind: str, message: str, *, source: Source = "gateway"
    ) -> bool:
        """Keep an alarm about one place of a journal; False when there is one already."""
        with self._store.transaction():
            before = self._store.connection.total_changes()
            self._store.write(_ALARM, [(source, boot, place.segment, place.offset, kind, message)])
            return self._store.connection.total_changes() > before

    def finish(self, boot: str, *, source: Source = "gateway") -> None:
        """Note that the journal of `boot` is sealed and read to its end."""
        with self._store.transaction():
            before = self.progress(boot, source=source)
            self._keep(boot, _moved(before, before.position, finished=True), source)

    def _all_at_once(
        self, boot: str, frames: Sequence[tuple[Position, bytes]], source: Source
    ) -> "_Done | None":
        """Write a batch; None, and nothing written, when a value fits no table."""
        batch, done = Batch(boot), _Done()
        for position, raw in frames:
            record = _decoded(raw, source)
            if record is None:
                done.skipped += 1
                continue
            try:
                batch.add(record, position.segment, position.offset)
            except _UNSTORABLE:
                return None
            done.last_at_us = record.at
        try:
            with self._store.transaction():
                batch.write(self._store)
        except _UNSTORABLE:
            return None
        return done

    def _one_by_one(self, boot: str, frames: Sequence[tuple[Position, bytes]], source: Source) -> "_Done":
        done = _Done()
        for frame in frames:
            one = self._all_at_once(boot, [frame], source)
            done.add(one if one is not None else _Done(skipped=1))
        return done

    def _keep(self, boot: str, progress: Progress, source: Source) -> None:
        position, counts = progress.position, (progress.frames, progress.skipped, int(progress.finished))
        row = (source, boot, position.segment, position.offset, progress.last_at_us, *counts)
        self._store.write(_SET_POSITION, [row])


@dataclass(slots=True)
class _Done:
    last_at_us: int | None = None
    skipped: int = 0

    def add(self, other: Self) -> None:
        self.skipped += other.skipped
        if other.last_at_us is not None:
            self.last_at_us = other.last_at_us


def _moved(before: Progress, position: Position, *, finished: bool = False) -> Progress:
    return Progress(position, before.last_at_us, before.frames, before.skipped, finished or before.finished)


def _decoded(raw: bytes, source: Source) -> Record | None:
    decode: Callable[[bytes], Record] = decode_gateway if source == "gateway" else decode_control
    try:
        return decode(raw)
    except msgspec.DecodeError:
        return None
