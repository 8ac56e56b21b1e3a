"""Sealing: a directory whose owner is gone gets its tail cut and its open calls closed, once."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tidegate.model.record import Attempt, Begin, Progress, decode_gateway
from tidegate.stores.journal.directory import (
    Sealed,
    locked,
    read_mark,
    read_sealed,
    segment_path,
    segments,
    write_sealed,
)
from tidegate.stores.journal.disk import ZEROS, Disk, sync_directory
from tidegate.stores.journal.errors import CorruptFrame
from tidegate.stores.journal.frames import MAX_PAYLOAD_BYTES, START, Position, frame, seed_of
from tidegate.stores.journal.reader import Reader, readable_end
from tidegate.stores.journal.segment import header_of
from tidegate.stores.journal.shorten import shorten_end


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A call whose process ended before it: its `begin`, and its latest attempt and progress, if any."""

    begin: Begin
    attempt: Attempt | None = None
    progress: Progress | None = None


@dataclass(frozen=True, slots=True)
class SealReport:
    """What sealing did.

    `cut_bytes` behind `end` were discarded: never synced. `set_aside` segments stand behind the cut and were
    renamed to `.cut`. `corrupt` frames were synced and do not read: an alarm. `unreadable` counts records of
    calls that could not be decoded, so these calls stay open.
    """

    end: Position
    closed: int = 0
    already: bool = False
    cut_bytes: int = 0
    set_aside: tuple[int, ...] = ()
    corrupt: tuple[CorruptFrame, ...] = ()
    unreadable: int = 0


class _Peek(msgspec.Struct):
    t: str
    id: str = ""


_peek = msgspec.json.Decoder(_Peek).decode


@dataclass(slots=True)
class _Open:
    begin: bytes
    attempt: bytes = b""
    progress: bytes = b""


def seal(directory: Path, close: Callable[[OpenCall], bytes], *, disk: Disk | None = None) -> SealReport:
    """Seal a directory whose lock is free: `close` gives the `end` for each call left open.

    Idempotent, also after a crash at any moment within it: an `end` that was written counts. Takes the lock
    meanwhile; raises StillLive where it is held, OSError where the disk does not take it.
    """
    disk = disk or Disk()
    with locked(directory):
        done = read_sealed(directory)
        if done is not None:
            return SealReport(end=Position(done.segment, done.end), closed=done.closed, already=True)
        cut = _find_cut(directory)
        set_aside = _drop_behind(directory, cut.segment)
        if cut.segment == START.segment:
            write_sealed(directory, Sealed(segment=0, end=0))
            return SealReport(end=cut, set_aside=set_aside)
        cut_bytes = _clean_tail(segment_path(directory, cut.segment), cut.offset, disk)
        calls, corrupt, unreadable = _open_calls(directory, cut)
        ends, more = _endings(calls, close)
        end = _append(directory, cut, ends, disk)
        write_sealed(directory, Sealed(segment=end.segment, end=end.offset, closed=len(ends)))
    return SealReport(
        end=end,
        closed=len(ends),
        cut_bytes=cut_bytes,
        set_aside=set_aside,
        corrupt=corrupt,
        unreadable=unreadable + more,
    )


def _find_cut(directory: Path) -> Position:
    """Return the end of what can be kept: the first bad frame behind the mark, segment after segment.

    A segment follows when its header says that it begins where the one before it reads to, or earlier: after
    a failed sync the rest was written again in it.
    """
    here = segments(directory)
    if not here:
        return START
    mark = read_mark(directory)
    if mark is None or mark.segment not in here:
        mark = Position(here[0], 0)
    headers = {number: header for number in here if (header := header_of(directory, number)) is not None}
    number, reads_to = mark.segment, readable_end(directory, mark.segment, mark.offset)
    while True:
        following = [
            later
            for later, header in headers.items()
            if later > number
            and header.previous is not None
            and header.previous[0] == number
            and header.previous[1] <= reads_to
        ]
        if not following:
            return Position(number, reads_to)
        number = max(following)
        reads_to = readable_end(directory, number, 0)


def _drop_behind(directory: Path, last: int) -> tuple[int, ...]:
    """Take segments behind the cut out of the journal, durably, before anything is appended."""
    set_aside = []
    behind = [number for number in segments(directory) if number > last]
    for number in behind:
        path = segment_path(directory, number)
        if header_of(directory, number) is None:
            path.unlink()
        else:
            path.rename(path.with_suffix(".cut"))
            set_aside.append(number)
    if behind:
        sync_directory(directory)
    return tuple(set_aside)


def _clean_tail(path: Path, offset: int, disk: Disk) -> int:
    """Zero what stands behind the cut, so that no later append makes it read; keep the room on disk.

    Returns how many bytes that were, up to the last that was not zero.
    """
    fd = os.open(path, os.O_RDWR)
    try:
        size = os.fstat(fd).st_size
        dirty_to = offset
        for at in range(offset, size, len(ZEROS)):
            block = os.pread(fd, len(ZEROS), at)
            if block != ZEROS[: len(block)]:
                dirty_to = at + len(block.rstrip(b"\0"))
                os.pwrite(fd, ZEROS[: len(block)], at)
        disk.sync(fd)
        return dirty_to - offset
    finally:
        os.close(fd)


def _open_calls(directory: Path, end: Position) -> tuple[dict[str, _Open], tuple[CorruptFrame, ...], int]:
    """Return the calls without an `end`, oldest first; bad frames; how many records cannot be decoded."""
    calls: dict[str, _Open] = {}
    corrupt: list[CorruptFrame] = []
    unreadable = 0
    newest = header_of(directory, end.segment)
    with Reader(directory, end=end) as reader:
        position = Position(reader.first(newest.open_from if newest is not None else 0), 0)
        while True:
            try:
                records = reader.read(position, 4096)
            except CorruptFrame as error:
                corrupt.append(error)
                position = reader.after(error)
                continue
            if not records:
                return calls, tuple(corrupt), unreadable
            position = records[-1][0]
            unreadable += sum(not _note(calls, payload) for _, payload in records)


def _note(calls: dict[str, _Open], payload: bytes) -> bool:
    try:
        peek = _peek(payload)
    except msgspec.MsgspecError:
        return False
    if peek.t == "begin":
        calls.setdefault(peek.id, _Open(payload))
    elif peek.t == "end":
        calls.pop(peek.id, None)
    elif peek.t == "attempt" and peek.id in calls:
        calls[peek.id].attempt = payload
    elif peek.t == "progress" and peek.id in calls:
        calls[peek.id].progress = payload
    return True


def _endings(calls: dict[str, _Open], close: Callable[[OpenCall], bytes]) -> tuple[list[bytes], int]:
    ends: list[bytes] = []
    unreadable = 0
    for call in calls.values():
        begin, attempt, progress = map(_decode, (call.begin, call.attempt, call.progress))
        if not isinstance(begin, Begin):
            unreadable += 1
            continue
        end = close(
            OpenCall(
                begin,
                attempt if isinstance(attempt, Attempt) else None,
                progress if isinstance(progress, Progress) else None,
            )
        )
        ends.append(end if len(end) <= MAX_PAYLOAD_BYTES else shorten_end(end))
    return ends, unreadable


def _decode(payload: bytes) -> object:
    try:
        return decode_gateway(payload) if payload else None
    except msgspec.MsgspecError:
        return None


def _append(directory: Path, cut: Position, ends: list[bytes], disk: Disk) -> Position:
    """Write the ends behind the cut, give the room behind them back, and sync; return the new end."""
    seed = seed_of(directory.name, cut.segment)
    offset = cut.offset
    fd = os.open(segment_path(directory, cut.segment), os.O_RDWR)
    try:
        os.lseek(fd, offset, os.SEEK_SET)
        for end in ends:
            framed = frame(end, seed, offset)
            disk.write_all(fd, [framed])
            offset += len(framed)
        disk.sync(fd)
        os.ftruncate(fd, offset)
        os.fsync(fd)
    finally:
        os.close(fd)
    return Position(cut.segment, offset)
