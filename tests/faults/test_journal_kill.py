"""The journal alone against `kill -9`: of its writer at full speed, and of a sealer half way.

TIDEGATE_KILL_ROUNDS sets the number of rounds (20 by default).
"""

import asyncio
import multiprocessing
import os
import random
import signal
import struct
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.stores.journal.records import (
    SMALL,
    begin,
    crashed,
    end,
    ids,
    interrupted,
    outcomes,
    payloads,
)
from tidegate.model.record import Begin, End
from tidegate.stores.journal import (
    START,
    Disk,
    Journal,
    JournalFull,
    Position,
    Reader,
    boots,
    is_live,
    seal,
)

ROUNDS = int(os.environ.get("TIDEGATE_KILL_ROUNDS", "20"))
NUMBER = struct.Struct("<Q")


@pytest.fixture(scope="module")
def forks() -> Any:
    """Start children by forking a server that has everything imported, so that a round is short."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "tests.stores.journal.records"])
    return context


def _write_until_killed(root: str, boot: str, report_fd: Any) -> None:
    asyncio.run(_full_speed(Path(root), boot, report_fd.detach()))


async def _full_speed(root: Path, boot: str, report_fd: int) -> None:
    """Eight calls at a time, as fast as it goes; each `begin` that is synced is reported by number."""
    journal = Journal.open(root, boot=boot, segment_bytes=4 * SMALL)
    numbers = iter(range(1 << 40))

    async def calls() -> None:
        for number in numbers:
            id_ = f"{boot}-{number}"
            try:
                mark = journal.begin(id_, begin(id_, pad=number % 400))
            except JournalFull:
                await asyncio.sleep(0)
                continue
            await journal.written(mark)
            await journal.synced(mark)
            os.write(report_fd, NUMBER.pack(number))
            journal.end(id_, end(id_, pad=number % 300))

    await asyncio.gather(*(calls() for _ in range(8)))


def _killed_writer(forks: Any, root: Path, boot: str, chance: random.Random) -> list[str]:
    """Run a writer, kill it at a random moment, and return the ids it had reported as synced."""
    reading, writing = os.pipe()
    child = forks.Process(
        target=_write_until_killed, args=(str(root), boot, multiprocessing.reduction.DupFd(writing))
    )
    child.start()
    os.close(writing)
    raw = b""
    wanted = NUMBER.size * chance.randrange(1, 600)
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        while len(raw) < wanted and (piece := pipe.read(1 << 16)):
            raw += piece
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        while piece := pipe.read(1 << 16):
            raw += piece
    child.join(30)
    assert child.exitcode == -signal.SIGKILL
    child.close()
    return [f"{boot}-{number}" for (number,) in NUMBER.iter_unpack(raw[: len(raw) // 8 * 8])]


def test_no_begin_that_was_reported_synced_is_lost(forks: Any, tmp_path: Path) -> None:  # case F12
    chance = random.Random(4180)
    for round_ in range(ROUNDS):
        boot = f"boot-{round_:04d}"
        reported = _killed_writer(forks, tmp_path / "live", boot, chance)
        directory = boots(tmp_path / "live")[-1]
        assert directory.name == boot
        assert not is_live(directory)
        projected, position = _read(directory, START)  # what a projector has by now
        if round_ % 3 == 0:
            directory = _power_cut(directory, tmp_path / "cut", chance)
        report = seal(directory, interrupted)
        rest, _ = _read(directory, position)
        found = projected + rest
        assert report.corrupt == ()
        began = ids(found, Begin)
        assert set(reported) <= set(began)
        assert max(Counter(began).values()) == 1
        assert Counter(ids(found, End)) == Counter(began)
        interrupted_calls = [id_ for id_, how in outcomes(found).items() if how == {"interrupted"}]
        assert len(interrupted_calls) == report.closed
        assert seal(directory, interrupted).already
        assert payloads(directory) == found


def _read(directory: Path, position: Position) -> tuple[list[bytes], Position]:
    found: list[bytes] = []
    with Reader(directory) as reader:
        while records := reader.read(position, 300):
            found += [payload for _, payload in records]
            position = records[-1][0]
    return found, position


def _power_cut(directory: Path, root: Path, chance: random.Random) -> Path:
    """Lose what was not synced, from some byte behind the mark on; zeros or rubbish stand there."""
    left = crashed(directory, root)
    with Reader(left) as reader:
        reader.read(START, 1)
        synced = reader._end
    for path in left.glob("*.seg"):
        number, raw = int(path.stem), path.read_bytes()
        if number >= synced.segment:
            low = synced.offset if number == synced.segment else 0
            cut = chance.randrange(low, max(low, len(raw.rstrip(b"\0"))) + 1)
            gone = len(raw) - cut
            path.write_bytes(raw[:cut] + (bytes(gone) if chance.random() < 0.5 else chance.randbytes(gone)))
    return left


def _seal_and_die(directory: str, step: int) -> None:
    """Seal, but die at the `step`-th call to the disk, half way through a write."""
    left = [step]

    def dies() -> bool:
        left[0] -= 1
        return left[0] < 0

    def sync(fd: int) -> None:
        if dies():
            os.kill(os.getpid(), signal.SIGKILL)
        os.fsync(fd)

    def writev(fd: int, buffers: Sequence[bytes]) -> int:
        whole = b"".join(buffers)
        if dies():
            os.write(fd, whole[: len(whole) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return os.write(fd, whole)

    seal(Path(directory), interrupted, disk=Disk(sync=sync, writev=writev))


def test_a_sealer_killed_again_and_again_closes_each_call_once(
    forks: Any, tmp_path: Path
) -> None:  # case F12
    chance = random.Random(7)
    _killed_writer(forks, tmp_path, "boot", chance)
    directory = boots(tmp_path)[0]
    for step in range(1 << 10):
        child = forks.Process(target=_seal_and_die, args=(str(directory), step // 2))
        child.start()
        child.join(30)
        code = child.exitcode
        child.close()
        if code == 0:
            break
        assert code == -signal.SIGKILL
        assert not is_live(directory)
    found = payloads(directory)
    assert step > 0
    assert Counter(ids(found, End)) == Counter(ids(found, Begin))
    assert max(Counter(ids(found, End)).values()) == 1
