"""Real records for the journal's tests, and a disk that fails when told to."""

import asyncio
import contextlib
import errno
import os
import shutil
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from tidegate.model.provider import Target
from tidegate.model.record import (
    Attempt,
    Begin,
    End,
    Hold,
    Measured,
    Note,
    Progress,
    Settled,
    Who,
    decode_gateway,
    encode,
)
from tidegate.stores.journal import START, CorruptFrame, Disk, Journal, JournalFull, OpenCall, Reader
from tidegate.stores.journal.directory import MARK_BYTES
from tidegate.stores.journal.disk import preallocate, sync_data

BOOT = "0198a000-0000-7000-8000-000000000001"
SMALL = 64 * 1024
"""Segments with room for three frames of the largest size."""

TARGET = Target(provider="p", deployment="d", model="m")


def begin(id_: str, pad: int = 0) -> bytes:
    return encode(
        Begin(
            seq=1,
            at=1,
            id=id_,
            snapshot=1,
            surface="chat",
            who=Who(tenant="t", key="k", feature="f" * pad),
            model_asked="m",
            target=TARGET,
            hold=Hold(input_tokens=1, output_tokens=1),
            measured=Measured(body_bytes=1),
        )
    )


def attempt(id_: str, n: int) -> bytes:
    hold = Hold(input_tokens=1, output_tokens=1)
    return encode(
        Attempt(seq=1, at=2, id=id_, n=n, previous=Settled(status="error"), target=TARGET, hold=hold)
    )


def progress(id_: str, tokens: int) -> bytes:
    return encode(Progress(seq=1, at=3, id=id_, n=0, output_tokens=tokens, output_bytes=tokens))


def end(id_: str, pad: int = 0) -> bytes:
    return encode(End(seq=1, at=4, id=id_, outcome="ok", last=Settled(status="ok", finish="f" * pad)))


def note(kind: str, pad: int = 0) -> bytes:
    return encode(Note(seq=1, at=5, kind=kind, facts={"pad": "f" * pad} if pad else {}))


def interrupted(call: OpenCall) -> bytes:
    return encode(
        End(seq=0, at=9, id=call.begin.id, outcome="interrupted", last=Settled(status="interrupted"))
    )


def payloads(directory: Path, limit: int = 100) -> list[bytes]:
    """Everything a reader gets now, read in pieces."""
    found: list[bytes] = []
    with Reader(directory) as reader:
        position = START
        while records := reader.read(position, limit):
            found += [payload for _, payload in records]
            position = records[-1][0]
    return found


def salvage(directory: Path) -> tuple[list[bytes], list[CorruptFrame]]:
    """Everything that reads, going on behind each corrupt frame."""
    found: list[bytes] = []
    corrupt: list[CorruptFrame] = []
    with Reader(directory) as reader:
        position = START
        while True:
            try:
                records = reader.read(position, 7)
            except CorruptFrame as error:
                corrupt.append(error)
                position = reader.after(error)
                continue
            if not records:
                return found, corrupt
            found += [payload for _, payload in records]
            position = records[-1][0]


def ids(found: Sequence[bytes], kind: type[Begin | End]) -> list[str]:
    return [record.id for payload in found if isinstance(record := decode_gateway(payload), kind)]


def outcomes(found: Sequence[bytes]) -> dict[str, set[str]]:
    """The outcomes of each call that ended."""
    ended: dict[str, set[str]] = {}
    for payload in found:
        if isinstance(record := decode_gateway(payload), End):
            ended.setdefault(record.id, set()).add(record.outcome)
    return ended


def crashed(directory: Path, root: Path) -> Path:
    """What a `kill -9` at this moment leaves behind: the same files under another root, their lock free.

    The mark is copied first, since its thread may be running; a segment being given up may vanish.
    """
    shutil.rmtree(root, ignore_errors=True)
    left = root / directory.name
    left.mkdir(parents=True)
    for path in sorted(directory.iterdir(), key=lambda path: path.name != "mark"):
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(path, left / path.name)
    return left


async def until(reached: Callable[[], bool], timeout_s: float = 20) -> None:
    async with asyncio.timeout(timeout_s):
        while not reached():  # noqa: ASYNC110 - the world outside the loop sets no event
            await asyncio.sleep(0.002)


async def when_room(append: Callable[[], int], timeout_s: float = 20) -> int:
    """Append as soon as the journal has room, as a client that was refused comes back."""
    async with asyncio.timeout(timeout_s):
        while True:
            try:
                return append()
            except JournalFull:
                await asyncio.sleep(0.002)


def open_small(root: Path, disk: Disk | None = None, patience_s: float = 20) -> Journal:
    return Journal.open(root, boot=BOOT, segment_bytes=SMALL, patience_s=patience_s, retry_s=0.005, disk=disk)


class Weather:
    """A disk whose calls fail while their error number is set, and which says which segments were synced."""

    def __init__(self) -> None:
        self.full = self.broken_sync = 0
        self.break_syncs: list[int] = []  # one entry per coming sync: 0 or an error number
        self.break_writes: list[int] = []
        self.gate = threading.Event()
        self.gate.set()
        self.synced: list[int] = []
        self.writes: list[int] = []
        self.failed: set[int] = set()
        self.after_failure: list[int] = []
        self.disk = Disk(preallocate=self._preallocate, sync=self._sync, writev=self._writev)

    def _preallocate(self, fd: int, size_bytes: int) -> None:
        if self.full:
            raise OSError(self.full, os.strerror(self.full))
        self.failed.discard(os.fstat(fd).st_ino)  # a removed file's number is given to a new one
        preallocate(fd, size_bytes)

    def _sync(self, fd: int) -> None:
        self.gate.wait()
        status = os.fstat(fd)
        if status.st_size == MARK_BYTES:
            sync_data(fd)
            return
        inode = status.st_ino
        if inode in self.failed:
            self.after_failure.append(inode)
        number = self.break_syncs.pop(0) if self.break_syncs else self.broken_sync
        if number:
            self.failed.add(inode)
            raise OSError(number, os.strerror(number))
        sync_data(fd)
        self.synced.append(inode)

    def _writev(self, fd: int, buffers: Sequence[bytes]) -> int:
        self.writes.append(len(buffers))
        number = self.break_writes.pop(0) if self.break_writes else 0
        if number:
            half = b"".join(buffers)
            os.write(fd, half[: len(half) // 2])
            raise OSError(number, os.strerror(number))
        return os.writev(fd, buffers)


ENOSPC, EIO = errno.ENOSPC, errno.EIO
