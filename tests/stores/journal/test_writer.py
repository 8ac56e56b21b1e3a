import asyncio
import os
import time
from pathlib import Path

import pytest

from tests.stores.journal.records import (
    BOOT,
    SMALL,
    Weather,
    attempt,
    begin,
    end,
    note,
    open_small,
    payloads,
    progress,
    until,
    when_room,
)
from tidegate.model.errors import Unavailable
from tidegate.model.record import End, decode_gateway
from tidegate.stores.journal import (
    MAX_PAYLOAD_BYTES,
    Journal,
    JournalFull,
    JournalStalled,
    RecordTooLarge,
    boots,
    is_live,
    remove_leftovers,
)
from tidegate.stores.journal.directory import segment_path


def test_what_is_appended_reads_back_in_order(tmp_path: Path) -> None:
    records = [begin("a"), attempt("a", 1), progress("a", 7), note("drift"), end("a")]

    async def main() -> None:
        journal = open_small(tmp_path)
        marks = [
            journal.begin("a", records[0]),
            journal.append(records[1], of="a"),
            journal.append(records[2]),
            journal.append(records[3]),
            journal.end("a", records[4]),
        ]
        assert marks == sorted(marks)
        await journal.synced(marks[-1])
        assert journal.is_synced(marks[-1])
        assert payloads(journal.path) == records
        await journal.close()

    asyncio.run(main())
    assert payloads(tmp_path / BOOT) == records


def test_a_turn_is_one_write(tmp_path: Path) -> None:
    weather = Weather()

    async def main() -> None:
        journal = open_small(tmp_path, weather.disk)
        weather.writes.clear()
        marks = [journal.append(note(str(n))) for n in range(50)]
        assert weather.writes == []
        await journal.written(marks[-1])
        assert weather.writes == [50]
        await journal.close()

    asyncio.run(main())


def test_written_records_are_with_the_operating_system(tmp_path: Path) -> None:
    weather = Weather()

    async def main() -> None:
        journal = open_small(tmp_path, weather.disk)
        weather.gate.clear()
        mark = journal.begin("a", begin("a"))
        await journal.written(mark)
        await journal.written(mark)
        assert begin("a") in segment_path(journal.path, 1).read_bytes()
        assert not journal.is_synced(mark)
        assert payloads(journal.path) == []
        weather.gate.set()
        await journal.synced(mark)
        await journal.close()

    asyncio.run(main())


def test_a_second_end_is_ignored_and_says_so(tmp_path: Path) -> None:  # trap M8
    async def main() -> None:
        journal = open_small(tmp_path)
        journal.begin("a", begin("a"))
        assert journal.end("a", end("a")) == 2
        assert journal.end("a", end("a")) == 0
        assert journal.end("never begun", end("x")) == 0
        assert journal.is_synced(0)
        assert (journal.stats.open_begins, journal.stats.ignored_ends) == (0, 2)
        await journal.close()

    asyncio.run(main())
    assert payloads(tmp_path / BOOT) == [begin("a"), end("a")]


def test_an_id_cannot_begin_twice_while_it_is_open(tmp_path: Path) -> None:
    async def main() -> None:
        journal = open_small(tmp_path)
        journal.begin("a", begin("a"))
        with pytest.raises(ValueError, match="open already"):
            journal.begin("a", begin("a"))
        await journal.close()

    asyncio.run(main())


def test_a_boot_directory_is_opened_once_and_locked(tmp_path: Path) -> None:
    async def main() -> None:
        journal = open_small(tmp_path)
        assert boots(tmp_path) == [tmp_path / BOOT]
        assert is_live(tmp_path / BOOT)
        await journal.close()
        await journal.close()
        assert not is_live(tmp_path / BOOT)
        with pytest.raises(FileExistsError):
            open_small(tmp_path)
        assert boots(tmp_path) == [tmp_path / BOOT]

    asyncio.run(main())


def test_a_name_that_leaves_the_root_is_no_boot(tmp_path: Path) -> None:
    async def main() -> None:
        for name in ("../x", "", ".hidden", "a/b", "a" * 65):
            with pytest.raises(ValueError, match="cannot name"):
                Journal.open(tmp_path, boot=name)

    asyncio.run(main())


def test_a_start_that_failed_leaves_no_directory(tmp_path: Path) -> None:  # case F14
    weather = Weather()
    weather.full = 28

    async def main() -> None:
        with pytest.raises(OSError, match="No space"):
            open_small(tmp_path, weather.disk)

    asyncio.run(main())
    assert list(tmp_path.iterdir()) == []


def test_only_old_leftovers_of_a_start_are_removed(tmp_path: Path) -> None:
    half = tmp_path / ".new-x"
    half.mkdir()
    assert boots(tmp_path) == []
    assert remove_leftovers(tmp_path) == 0
    os.utime(half, (1, 1))
    assert remove_leftovers(tmp_path) == 1
    assert remove_leftovers(tmp_path / "nowhere") == 0
    assert boots(tmp_path / "nowhere") == []


def test_a_list_flushed_early_wakes_the_sync_thread_by_itself(tmp_path: Path) -> None:
    async def main() -> None:
        journal = Journal.open(tmp_path, boot=BOOT)
        for n in range(1024):
            journal.append(note(str(n)))
        deadline = time.monotonic() + 20
        while not journal.is_synced(1024):  # the loop gets no turn
            assert time.monotonic() < deadline
            time.sleep(0.001)  # noqa: ASYNC251 - the loop is blocked on purpose
        await journal.close()

    asyncio.run(main())


def test_segments_roll_and_read_as_one(tmp_path: Path) -> None:
    async def main() -> list[bytes]:
        journal = open_small(tmp_path)
        appended = []
        for n in range(400):
            await when_room(lambda: journal.begin(str(n), begin(str(n))))  # noqa: B023
            journal.end(str(n), end(str(n), pad=900))
            appended += [begin(str(n)), end(str(n), pad=900)]
        await journal.close()
        return appended

    appended = asyncio.run(main())
    assert payloads(tmp_path / BOOT) == appended
    assert segment_path(tmp_path / BOOT, 6).exists()


def test_every_open_call_has_room_for_the_largest_end(tmp_path: Path) -> None:  # case F14
    weather = Weather()
    large = {str(n): end(str(n), pad=MAX_PAYLOAD_BYTES - 200) for n in range(50)}

    async def main() -> list[str]:
        journal = open_small(tmp_path, weather.disk)
        await until(lambda: journal.stats.slots >= 6)
        weather.full = 28
        taken = []
        with pytest.raises(JournalFull) as refusal:  # noqa: PT012 - how many fit is what is asked
            for id_ in large:
                journal.begin(id_, begin(id_, pad=3000))
                taken.append(id_)
        assert isinstance(refusal.value, Unavailable)
        assert (refusal.value.status, refusal.value.retry_after_s) == (503, 1)
        with pytest.raises(JournalFull):
            journal.append(note("x"))
        for id_ in taken:
            journal.end(id_, large[id_])
        assert journal._tail.steady
        await journal.close()
        return taken

    taken = asyncio.run(main())
    assert len(taken) >= 3
    assert payloads(tmp_path / BOOT)[len(taken) :] == [large[id_] for id_ in taken]


def test_a_full_disk_recovers_without_a_restart(tmp_path: Path) -> None:  # case F14
    weather = Weather()

    async def main() -> None:
        journal = open_small(tmp_path, weather.disk)
        await until(lambda: journal.stats.slots >= 6)
        weather.full = 28
        count = 0
        with pytest.raises(JournalFull):  # noqa: PT012
            while True:
                journal.begin(str(count), begin(str(count), pad=9000))
                count += 1
        await until(lambda: journal.stats.failed_preallocations >= 2)
        weather.full = 0
        await when_room(lambda: journal.begin("again", begin("again")))
        for id_ in [*map(str, range(count)), "again"]:
            journal.end(id_, end(id_))
        await journal.close()
        assert journal.stats.open_begins == 0

    asyncio.run(main())


def test_many_open_calls_make_more_room(tmp_path: Path) -> None:
    async def main() -> None:
        journal = open_small(tmp_path)
        for n in range(100):
            await when_room(lambda: journal.begin(str(n), begin(str(n))))  # noqa: B023
        assert journal.stats.slots >= 100
        await journal.close()

    asyncio.run(main())


def test_an_end_that_is_too_long_is_shortened_and_says_so(tmp_path: Path) -> None:
    async def main() -> None:
        journal = open_small(tmp_path)
        journal.begin("a", begin("a"))
        journal.end("a", end("a", pad=20_000))
        with pytest.raises(RecordTooLarge):
            journal.begin("b", begin("b", pad=20_000))
        with pytest.raises(RecordTooLarge):
            journal.append(b"")
        await journal.close()

    asyncio.run(main())
    record = decode_gateway(payloads(tmp_path / BOOT)[-1])
    assert isinstance(record, End)
    assert record.last.flags == ("record_shortened",)
    assert record.last.finish == "f" * 256


def test_after_close_nothing_is_taken(tmp_path: Path) -> None:
    async def main() -> None:
        journal = open_small(tmp_path)
        journal.begin("a", begin("a"))
        await journal.close()
        with pytest.raises(JournalFull, match="closed"):
            journal.begin("b", begin("b"))
        with pytest.raises(JournalFull, match="closed"):
            journal.append(note("x"))
        assert journal.end("a", end("a")) == 0

    asyncio.run(main())
    assert payloads(tmp_path / BOOT) == [begin("a")]
    assert sorted(path.name for path in (tmp_path / BOOT).iterdir()) == ["00000001.seg", "lock", "mark"]


def test_a_cancelled_waiter_leaves_the_others_waiting(tmp_path: Path) -> None:
    weather = Weather()

    async def main() -> None:
        journal = open_small(tmp_path, weather.disk)
        weather.gate.clear()
        mark = journal.append(note("x"))
        waiting = [asyncio.ensure_future(journal.synced(mark)) for _ in range(3)]
        await journal.written(mark)
        waiting[0].cancel()
        await asyncio.sleep(0)
        weather.gate.set()
        await asyncio.gather(*waiting[1:])
        assert waiting[0].cancelled()
        await journal.close()

    asyncio.run(main())


def test_a_hanging_disk_ends_the_wait(tmp_path: Path) -> None:
    weather = Weather()

    async def main() -> None:
        journal = open_small(tmp_path, weather.disk, patience_s=0.05)
        weather.gate.clear()
        mark = journal.append(note("x"))
        with pytest.raises(JournalStalled):
            await journal.synced(mark)
        await journal.close()
        assert is_live(journal.path)  # its thread still hangs in the disk: nobody may seal
        weather.gate.set()
        await until(journal._tail._stopped.is_set)
        os.close(journal._lock_fd)

    asyncio.run(main())


def test_stats_count(tmp_path: Path) -> None:
    async def main() -> None:
        journal = open_small(tmp_path)
        journal.begin("a", begin("a"))
        await journal.synced(journal.append(note("x")))
        stats = journal.stats
        assert (stats.appended, stats.open_begins, stats.failed_syncs) == (2, 1, 0)
        assert stats.syncs >= 1
        assert stats.written_bytes == len(begin("a")) + len(note("x")) + 16
        assert stats.sync_max_us > 0
        await journal.close()

    asyncio.run(main())


def test_a_segment_without_room_for_a_call_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="no room"):
            Journal.open(tmp_path, boot=BOOT, segment_bytes=SMALL // 4)

    asyncio.run(main())
