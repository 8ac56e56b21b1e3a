import asyncio
import os
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stores.journal.records import (
    BOOT,
    EIO,
    SMALL,
    Weather,
    attempt,
    begin,
    crashed,
    end,
    ids,
    interrupted,
    note,
    open_small,
    outcomes,
    payloads,
    progress,
    salvage,
    until,
    when_room,
)
from tidegate.model.record import Attempt, Begin, Progress, decode_gateway
from tidegate.stores.journal import START, Disk, OpenCall, Position, Reader, StillLive, is_live, seal
from tidegate.stores.journal.directory import read_mark, read_sealed, segment_path, write_sealed
from tidegate.stores.journal.disk import sync_data


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A crash: calls a and c open, b over; the last records were written and not synced."""
    root = tmp_path_factory.mktemp("left")
    weather = Weather()

    async def main() -> Path:
        journal = open_small(root / "live", weather.disk)
        await until(lambda: journal.stats.slots >= 6)
        journal.begin("a", begin("a"))
        journal.append(attempt("a", 1), of="a")
        journal.begin("b", begin("b"))
        await journal.synced(journal.append(progress("a", 1000)))
        weather.gate.clear()
        journal.end("b", end("b"))
        journal.begin("c", begin("c"))
        await journal.written(journal.append(progress("a", 2000)))
        dead = crashed(journal.path, root / "dead")
        weather.gate.set()
        await journal.close()
        return dead

    return asyncio.run(main())


ALL = [
    begin("a"),
    attempt("a", 1),
    begin("b"),
    progress("a", 1000),
    end("b"),
    begin("c"),
    progress("a", 2000),
]


def test_open_calls_are_closed_with_what_is_known_of_them(left: Path, tmp_path: Path) -> None:  # trap M8
    dead = crashed(left, tmp_path)
    asked: list[OpenCall] = []

    def close(call: OpenCall) -> bytes:
        asked.append(call)
        return interrupted(call)

    report = seal(dead, close)
    assert (report.closed, report.already, report.corrupt, report.cut_bytes) == (2, False, (), 0)
    assert [call.begin.id for call in asked] == ["a", "c"]
    assert asked[0].attempt == decode_gateway(attempt("a", 1))
    assert asked[0].progress == decode_gateway(progress("a", 2000))
    assert isinstance(asked[0].attempt, Attempt)
    assert isinstance(asked[0].progress, Progress)
    assert (asked[1].attempt, asked[1].progress) == (None, None)
    assert payloads(dead)[:-2] == ALL
    assert outcomes(payloads(dead)) == {"a": {"interrupted"}, "b": {"ok"}, "c": {"interrupted"}}


def test_sealing_twice_changes_nothing(left: Path, tmp_path: Path) -> None:
    dead = crashed(left, tmp_path)
    first = seal(dead, interrupted)
    before = payloads(dead)
    second = seal(dead, interrupted)
    assert (second.already, second.closed, second.end) == (True, 2, first.end)
    assert payloads(dead) == before


def test_a_live_directory_is_not_sealed(tmp_path: Path) -> None:
    async def main() -> None:
        journal = open_small(tmp_path)
        with pytest.raises(StillLive):
            seal(journal.path, interrupted)
        await journal.close()

    asyncio.run(main())
    assert seal(tmp_path / BOOT, interrupted).closed == 0
    assert not is_live(tmp_path / BOOT)


def test_a_reader_knows_the_end_of_a_sealed_directory(left: Path, tmp_path: Path) -> None:
    dead = crashed(left, tmp_path)
    with Reader(dead) as reader:
        before = reader.read(Position(0, 0))
        assert not reader.finished(before[-1][0])
        assert len(before) == 4  # up to the mark
        report = seal(dead, interrupted)
        after = reader.read(before[-1][0])
        assert [payload for _, payload in (*before, *after)][:-2] == ALL
        assert reader.finished(after[-1][0])
        assert not reader.finished(before[-1][0])
        assert after[-1][0] == report.end
        assert reader.lag_bytes(report.end) == 0
        assert reader.read(report.end) == []


@pytest.mark.parametrize("filling", ["nothing", "zeros", "rubbish", "old frames"])
def test_every_cut_behind_the_mark_keeps_what_was_synced(left: Path, tmp_path: Path, filling: str) -> None:
    """A power cut: bytes behind the mark are gone, zeros, rubbish, or what stood there before."""
    synced = read_mark(left)
    assert synced is not None
    raw = segment_path(left, 1).read_bytes()
    size = len(raw.rstrip(b"\0"))
    with Reader(left, end=Position(1, size)) as reader:
        boundaries = [behind.offset for behind, _ in reader.read(START)]
    near = {boundary + step for boundary in boundaries for step in (-9, -1, 0, 1, 3, 4, 7, 8, 9)}
    for cut in sorted({*near, *range(synced.offset, size, 25)}):
        if not synced.offset <= cut <= size:
            continue
        dead = crashed(left, tmp_path)
        lost = {
            "nothing": b"",
            "zeros": bytes(SMALL - cut),
            "rubbish": random.Random(cut).randbytes(SMALL - cut),
            "old frames": raw[cut + 5 : size] + bytes(SMALL - size + 5),
        }[filling]
        segment_path(dead, 1).write_bytes(raw[:cut] + lost)
        report = seal(dead, interrupted)
        found = payloads(dead)
        kept = found[: len(found) - report.closed]
        assert kept == ALL[: len(kept)]
        assert len(kept) >= 4
        assert report.corrupt == ()
        assert {id_: len(how) for id_, how in outcomes(found).items()} == dict.fromkeys(ids(kept, Begin), 1)
        if filling == "rubbish" and cut < size:
            assert report.cut_bytes > 0


def test_bytes_behind_a_cut_never_come_back(left: Path, tmp_path: Path) -> None:
    """An unsynced record behind the torn one is good in its place: what is appended must not lead there."""
    dead = crashed(left, tmp_path)
    synced = read_mark(dead)
    assert synced is not None
    path = segment_path(dead, 1)
    raw = bytearray(path.read_bytes())
    torn = synced.offset + 10
    raw[torn] ^= 1
    path.write_bytes(raw)
    ghost = raw.index(progress("a", 2000)) - 8
    room = ghost - synced.offset - 16

    def exactly(call: OpenCall) -> bytes:
        """Ends whose frames reach to the ghost's first byte."""
        size = room // 2 if call.begin.id == "a" else room - room // 2
        return end(call.begin.id, pad=size - len(end(call.begin.id, pad=1)) + 1)

    report = seal(dead, exactly)
    assert report.closed == 2
    assert report.end.offset == ghost
    assert payloads(dead) == [*ALL[:4], *payloads(dead)[4:6]]
    assert len(payloads(dead)) == 6
    assert read_sealed(dead) is not None


class Crash(BaseException):
    """The process is gone."""


def crash_after(steps: int) -> tuple[Disk, Callable[[], bool]]:
    """A disk that ends the process at its `steps`-th call, half way through a write."""
    left_steps = [steps]

    def step() -> bool:
        left_steps[0] -= 1
        return left_steps[0] < 0

    def sync(fd: int) -> None:
        if step():
            raise Crash
        sync_data(fd)

    def writev(fd: int, buffers: Sequence[bytes]) -> int:
        if step():
            whole = b"".join(buffers)
            os.write(fd, whole[: len(whole) // 2])
            raise Crash
        return os.writev(fd, buffers)

    return Disk(sync=sync, writev=writev), lambda: left_steps[0] < 0


def test_sealing_cut_short_anywhere_is_taken_up_and_closes_once(
    left: Path, tmp_path: Path
) -> None:  # case F12
    step = 0
    while True:
        dead = crashed(left, tmp_path)
        disk, hit = crash_after(step)
        try:
            seal(dead, interrupted, disk=disk)
        except Crash:
            pass
        else:
            assert not hit()
            break
        report = seal(dead, interrupted)
        assert not report.already
        found = payloads(dead)
        assert found[:7] == ALL
        assert sorted(ids(found, Begin)) == ["a", "b", "c"]
        assert len(found) == 9
        assert outcomes(found) == {"a": {"interrupted"}, "b": {"ok"}, "c": {"interrupted"}}
        step += 1
    assert step >= 4


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_power_cuts_again_and_again_close_once(left: Path, data: st.DataObject) -> None:
    """Each sealing is cut short, and each time unsynced bytes are lost from some point on."""
    dead = crashed(left, left.parent.parent / "again")
    path = segment_path(dead, 1)
    for _ in range(data.draw(st.integers(1, 4))):
        disk, _hit = crash_after(data.draw(st.integers(0, 6)))
        try:
            seal(dead, interrupted, disk=disk)
            break
        except Crash:
            raw = path.read_bytes()
            synced = read_mark(dead)
            assert synced is not None
            cut = data.draw(st.integers(synced.offset, max(synced.offset, len(raw.rstrip(b"\0")))))
            path.write_bytes(raw[:cut] + bytes(len(raw) - cut))
    seal(dead, interrupted)
    found = payloads(dead)
    assert found[:4] == ALL[:4]
    assert all(len(how) == 1 for how in outcomes(found).values())
    assert len(found) - len(set(found)) == 0
    assert set(outcomes(found)) == set(ids(found, Begin))


def test_segments_behind_a_torn_one_are_set_aside(tmp_path: Path) -> None:
    weather = Weather()

    async def main() -> Path:
        journal = open_small(tmp_path / "live", weather.disk)
        await until(lambda: journal.stats.slots >= 6)
        await journal.synced(journal.begin("a", begin("a")))
        weather.gate.clear()
        for n in range(8):
            await journal.written(journal.append(note(str(n), pad=10_000)))
        left = crashed(journal.path, tmp_path / "dead")
        weather.gate.set()
        await journal.close()
        return left

    left = asyncio.run(main())
    path = segment_path(left, 1)
    raw = bytearray(path.read_bytes())
    raw[raw.index(note("2", pad=10_000)) + 50] ^= 1
    path.write_bytes(raw)
    report = seal(left, interrupted)
    assert report.set_aside == (2,)
    assert report.cut_bytes > 10_000
    kept = [begin("a"), *(note(str(n), pad=10_000) for n in range(2))]
    assert payloads(left)[:-1] == kept
    assert outcomes(payloads(left)) == {"a": {"interrupted"}}


def test_a_long_call_is_found_segments_back(tmp_path: Path) -> None:
    async def main() -> None:
        journal = open_small(tmp_path)
        journal.begin("short", begin("short"))
        journal.begin("long", begin("long"))
        for n in range(20):
            if n == 10:
                journal.end("short", end("short"))
            await journal.written(await when_room(lambda: journal.append(note(str(n), pad=9000))))  # noqa: B023
        await journal.close()

    asyncio.run(main())
    assert seal(tmp_path / BOOT, interrupted).closed == 1
    assert outcomes(payloads(tmp_path / BOOT)) == {"short": {"ok"}, "long": {"interrupted"}}


def test_a_flipped_bit_in_what_was_synced_is_an_alarm_and_no_cut(
    left: Path, tmp_path: Path
) -> None:  # case F24
    dead = crashed(left, tmp_path)
    path = segment_path(dead, 1)
    raw = bytearray(path.read_bytes())
    place = raw.index(attempt("a", 1))
    raw[place + 20] ^= 4
    path.write_bytes(raw)
    report = seal(dead, interrupted)
    assert [(error.segment, error.offset) for error in report.corrupt] == [(1, place - 8)]
    found, corrupt = salvage(dead)
    assert found[:-2] == [ALL[0], *ALL[2:]]
    assert len(corrupt) == 1
    assert outcomes(found) == {"a": {"interrupted"}, "b": {"ok"}, "c": {"interrupted"}}


def test_a_lost_mark_costs_nothing_that_reads(left: Path, tmp_path: Path) -> None:
    dead = crashed(left, tmp_path)
    (dead / "mark").write_bytes(bytes(24))
    assert payloads(dead) == []
    assert seal(dead, interrupted).closed == 2
    assert payloads(dead)[:-2] == ALL


def test_a_disk_that_fails_while_sealing_leaves_it_for_later(left: Path, tmp_path: Path) -> None:
    dead = crashed(left, tmp_path)
    weather = Weather()
    weather.broken_sync = EIO
    with pytest.raises(OSError, match="Input/output"):
        seal(dead, interrupted, disk=weather.disk)
    assert read_sealed(dead) is None
    assert not is_live(dead)
    assert seal(dead, interrupted).closed == 2


def test_records_of_another_version_leave_their_call_open_and_are_counted(tmp_path: Path) -> None:
    async def main() -> None:
        journal = open_small(tmp_path)
        journal.begin("new", b'{"t":"begin","id":"new","seq":"not a number"}')
        journal.append(b'{"t":"something-new","id":"x"}')
        journal.append(b"\xff not JSON")
        journal.begin("a", begin("a"))
        await journal.close()

    asyncio.run(main())
    report = seal(tmp_path / BOOT, interrupted)
    assert (report.closed, report.unreadable) == (1, 2)


def test_a_damaged_seal_is_made_again(left: Path, tmp_path: Path) -> None:
    dead = crashed(left, tmp_path)
    first = seal(dead, interrupted)
    (dead / "sealed").write_bytes(b"{")
    second = seal(dead, interrupted)
    assert (second.already, second.closed, second.end) == (False, 0, first.end)
    sealed = read_sealed(dead)
    assert sealed is not None
    write_sealed(dead, sealed)
    assert payloads(dead)[:-2] == ALL


def test_a_directory_without_segments_is_sealed_empty(tmp_path: Path) -> None:
    empty = tmp_path / BOOT
    empty.mkdir()
    (empty / "lock").touch()
    assert seal(empty, interrupted).closed == 0
    assert payloads(empty) == []
    with Reader(empty) as reader:
        assert reader.finished(Position(0, 0))
