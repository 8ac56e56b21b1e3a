import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stores.journal.records import (
    BOOT,
    begin,
    crashed,
    end,
    interrupted,
    note,
    open_small,
    payloads,
    salvage,
    when_room,
)
from tidegate.stores.journal import (
    START,
    CorruptFrame,
    Position,
    Reader,
    compress,
    finished_segments,
    removable_segments,
    remove_boot,
    remove_segments,
    seal,
)
from tidegate.stores.journal.directory import read_mark, segment_path

COUNT = 60


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four segments of notes, sealed."""
    root = tmp_path_factory.mktemp("sealed")

    async def main() -> None:
        journal = open_small(root)
        for n in range(COUNT):
            await when_room(lambda: journal.append(note(str(n), pad=4000)))  # noqa: B023
        await journal.close()

    asyncio.run(main())
    seal(root / BOOT, interrupted)
    return root / BOOT


WANTED = [note(str(n), pad=4000) for n in range(COUNT)]


@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_any_step_reads_the_same(sealed: Path, limit: int) -> None:
    assert payloads(sealed, limit) == WANTED


def test_a_position_survives_as_two_integers(sealed: Path) -> None:
    with Reader(sealed) as reader:
        segment, offset = reader.read(START, 23)[-1][0]
    with Reader(sealed) as reader:
        rest = reader.read(Position(segment, offset))
        assert [payload for _, payload in rest] == WANTED[23:]
        assert reader.lag_bytes(Position(segment, offset)) > sum(map(len, WANTED[23:]))


@settings(max_examples=60, deadline=None)
@given(bit=st.integers(0, 7), place=st.floats(0, 1, exclude_max=True), number=st.integers(1, 4))
def test_one_flipped_bit_costs_one_record(
    sealed: Path, bit: int, place: float, number: int
) -> None:  # case F24
    damaged = crashed(sealed, sealed.parent.parent / "flipped")
    path = segment_path(damaged, number)
    raw = bytearray(path.read_bytes())
    used = len(raw.rstrip(b"\0"))
    raw[int(place * used)] ^= 1 << bit
    path.write_bytes(raw)
    found, corrupt = salvage(damaged)
    assert [error.segment for error in corrupt] == [number]
    assert all(error.boot == BOOT and error.offset <= place * used for error in corrupt)
    assert len(found) >= COUNT - 1
    assert [payload for payload in WANTED if payload in set(found)] == found


def test_what_stands_before_a_corrupt_frame_is_returned_first(sealed: Path, tmp_path: Path) -> None:
    damaged = crashed(sealed, tmp_path)
    path = segment_path(damaged, 2)
    raw = bytearray(path.read_bytes())
    bad = raw.index(WANTED[20])
    raw[bad] ^= 1
    path.write_bytes(raw)
    with Reader(damaged) as reader:
        before = reader.read(START)
        assert [payload for _, payload in before] == WANTED[:20]
        with pytest.raises(CorruptFrame) as raised:
            reader.read(before[-1][0])
        assert (raised.value.segment, raised.value.offset) == (2, bad - 8)
        after = reader.after(raised.value)
        assert [payload for _, payload in reader.read(after)] == WANTED[21:]


def test_a_lost_segment_is_an_alarm_with_a_way_on(sealed: Path, tmp_path: Path) -> None:
    damaged = crashed(sealed, tmp_path)
    segment_path(damaged, 2).unlink()
    found, corrupt = salvage(damaged)
    assert [error.segment for error in corrupt] == [2]
    assert found == [payload for payload in WANTED if payload in set(found)]
    assert found[:5] == WANTED[:5]
    assert found[-5:] == WANTED[-5:]


def test_a_position_of_no_segment_is_corrupt(sealed: Path, tmp_path: Path) -> None:
    damaged = crashed(sealed, tmp_path)
    for number in (1, 2, 3):
        segment_path(damaged, number).unlink()
    with Reader(damaged) as reader, pytest.raises(CorruptFrame):
        reader.read(Position(1, 0))


def test_a_torn_mark_is_not_believed(tmp_path: Path) -> None:
    async def main() -> None:
        journal = open_small(tmp_path)
        await journal.synced(journal.append(note("a")))
        with Reader(journal.path) as reader:
            first = reader.read(START)
            good = (journal.path / "mark").read_bytes()
            for torn in (bytes(24), good[:20], good[:8] + b"\xff" * 8 + good[16:], b""):
                (journal.path / "mark").write_bytes(torn)
                assert read_mark(journal.path) is None
                assert reader.read(START) == first
            await journal.synced(journal.append(note("b")))
            assert [payload for _, payload in reader.read(START)] == [note("a"), note("b")]
        await journal.close()

    asyncio.run(main())


WRITER = """
import asyncio, sys
from pathlib import Path
from tests.stores.journal.records import note, open_small, when_room

async def main():
    journal = open_small(Path(sys.argv[1]))
    for n in range(4000):
        mark = await when_room(lambda: journal.append(note(str(n), pad=n % 700)))
        if n % 5 == 0:
            await journal.written(mark)
    await journal.close()

asyncio.run(main())
"""


def test_another_process_reads_along_and_misses_nothing(tmp_path: Path) -> None:
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)])
    found: list[bytes] = []
    try:
        while not (tmp_path / BOOT).exists():
            assert writer.poll() is None
        position, rounds = START, 0
        with Reader(tmp_path / BOOT) as reader:
            while True:
                over = writer.poll() is not None  # asked before the last read
                records = reader.read(position, 50)
                found += [payload for _, payload in records]
                position = records[-1][0] if records else position
                rounds += bool(records)
                if over and not records:
                    break
    finally:
        assert writer.wait(60) == 0
    assert found == [note(str(n), pad=n % 700) for n in range(4000)]
    assert rounds > 80


def test_compressed_segments_read_the_same(sealed: Path, tmp_path: Path) -> None:
    packed = crashed(sealed, tmp_path)
    assert finished_segments(packed) == [1, 2, 3, 4]
    saved = [compress(packed, number) for number in finished_segments(packed)]
    assert min(saved) > 4000
    assert compress(packed, 1) == 0
    assert not list(packed.glob("*.seg"))
    assert payloads(packed) == WANTED
    assert finished_segments(packed) == [1, 2, 3, 4]
    with pytest.raises(ValueError, match="missing or in use"):
        compress(packed, 99)


def test_a_crash_within_compressing_leaves_both_and_is_taken_up(sealed: Path, tmp_path: Path) -> None:
    packed = crashed(sealed, tmp_path)
    compress(packed, 2)
    segment_path(packed, 2).write_bytes(segment_path(sealed, 2).read_bytes())
    assert payloads(packed) == WANTED
    assert compress(packed, 2) > 0
    assert payloads(packed) == WANTED


def test_a_damaged_compressed_segment_is_an_alarm_with_a_way_on(sealed: Path, tmp_path: Path) -> None:
    packed = crashed(sealed, tmp_path)
    compress(packed, 2)
    folded = packed / "00000002.seg.zst"
    folded.write_bytes(folded.read_bytes()[:-20])
    found, corrupt = salvage(packed)
    assert [error.segment for error in corrupt] == [2]
    assert found[-10:] == WANTED[-10:]


def test_removed_segments_are_gone_from_the_front(sealed: Path, tmp_path: Path) -> None:
    pruned = crashed(sealed, tmp_path)
    compress(pruned, 1)
    assert remove_segments(pruned, 2) == [1, 2]
    assert remove_segments(pruned, 2) == []
    rest = payloads(pruned)
    assert rest == WANTED[-len(rest) :]
    assert 0 < len(rest) < COUNT
    assert not remove_boot(pruned)
    assert remove_segments(pruned, 99) == [3, 4]
    assert payloads(pruned) == []
    assert remove_boot(pruned)
    assert not pruned.exists()


def test_a_segment_that_sealing_may_need_is_not_removed(tmp_path: Path) -> None:
    async def main() -> None:
        journal = open_small(tmp_path)
        for n in range(COUNT):
            if n == 20:
                await when_room(lambda: journal.begin("long", begin("long")))
            mark_ = await when_room(lambda: journal.append(note(str(n), pad=4000)))  # noqa: B023
            await journal.synced(mark_)
        assert finished_segments(journal.path) == [1, 2, 3]
        assert removable_segments(journal.path) == [1]
        assert remove_segments(journal.path, 99) == [1]
        compress(journal.path, 2)
        journal.end("long", end("long"))
        await journal.close()

    asyncio.run(main())
    assert seal(tmp_path / BOOT, interrupted).closed == 0
    assert payloads(tmp_path / BOOT)[-1] == end("long")
