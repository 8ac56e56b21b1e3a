from pathlib import Path

import pytest

from tests.stores.journal.records import (
    BOOT,
    EIO,
    ENOSPC,
    SMALL,
    Weather,
    crashed,
    interrupted,
    note,
    payloads,
)
from tidegate.stores.journal import (
    START,
    ControlJournal,
    Disk,
    JournalFull,
    Reader,
    RecordTooLarge,
    boots,
    is_live,
    seal,
)


def open_control(root: Path, disk: Disk | None = None, boot: str = BOOT) -> ControlJournal:
    return ControlJournal.open(root, boot=boot, segment_bytes=SMALL, disk=disk)


def test_a_decision_is_on_disk_and_readable_when_append_returns(tmp_path: Path) -> None:
    weather = Weather()
    with open_control(tmp_path, weather.disk) as journal, Reader(tmp_path / BOOT) as reader:
        assert is_live(journal.path)
        position = START
        for n in range(30):
            before = len(weather.synced)
            journal.append(note(str(n), pad=5000))
            assert len(weather.synced) > before
            [(position, payload)] = reader.read(position)
            assert payload == note(str(n), pad=5000)
    assert not is_live(tmp_path / BOOT)


def test_a_new_start_opens_a_new_directory(tmp_path: Path) -> None:
    for boot in ("a", "b"):
        with open_control(tmp_path, boot=boot) as journal:
            journal.append(note(boot))
    assert [path.name for path in boots(tmp_path)] == ["a", "b"]
    assert [payloads(path) for path in boots(tmp_path)] == [[note("a")], [note("b")]]
    with pytest.raises(FileExistsError):
        open_control(tmp_path, boot="a")


@pytest.mark.parametrize("failures", [1, 2])
def test_a_failed_sync_goes_on_in_a_new_segment(tmp_path: Path, failures: int) -> None:  # case F15
    weather = Weather()
    with open_control(tmp_path, weather.disk) as journal:
        journal.append(note("a"))
        weather.break_syncs = [EIO] * failures
        if failures == 1:
            journal.append(note("b"))
        else:
            with pytest.raises(JournalFull):
                journal.append(note("b"))
        journal.append(note("c"))
    assert weather.after_failure == []
    kinds = ["a", "b", "c"] if failures == 1 else ["a", "c"]
    assert payloads(tmp_path / BOOT) == [note(kind) for kind in kinds]
    seal(tmp_path / BOOT, interrupted)
    assert payloads(tmp_path / BOOT) == [note(kind) for kind in kinds]


def test_a_full_disk_refuses_and_recovers(tmp_path: Path) -> None:  # case F14
    weather = Weather()
    with open_control(tmp_path, weather.disk) as journal:
        weather.full = ENOSPC
        taken = 0
        with pytest.raises(JournalFull):  # noqa: PT012 - how many fit is what is asked
            while True:
                journal.append(note(str(taken), pad=9000))
                taken += 1
        weather.full = 0
        journal.append(note("after"))
    assert payloads(tmp_path / BOOT) == [*(note(str(n), pad=9000) for n in range(taken)), note("after")]


def test_after_a_crash_it_reads_to_its_end_once_sealed(tmp_path: Path) -> None:
    with open_control(tmp_path / "live") as journal:
        for n in range(20):
            journal.append(note(str(n), pad=5000))
        dead = crashed(journal.path, tmp_path / "dead")
    report = seal(dead, interrupted)
    assert (report.closed, report.unreadable) == (0, 0)
    assert payloads(dead) == [note(str(n), pad=5000) for n in range(20)]


def test_a_closed_or_oversize_append_is_refused(tmp_path: Path) -> None:
    journal = open_control(tmp_path)
    with pytest.raises(RecordTooLarge):
        journal.append(bytes(20_000))
    journal.append(note("fine"))
    journal.close()
    journal.close()
    with pytest.raises(JournalFull, match="closed"):
        journal.append(note("x"))
    assert payloads(tmp_path / BOOT) == [note("fine")]
