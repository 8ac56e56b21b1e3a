import asyncio
import contextlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stores.journal.records import (
    BOOT,
    EIO,
    ENOSPC,
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
    until,
)
from tidegate.model.record import Begin, End
from tidegate.stores.journal import JournalFull, JournalStalled, seal
from tidegate.stores.journal.directory import segment_path


@pytest.mark.parametrize("how", ["sync", "write"])
def test_open_calls_stand_again_behind_a_failed_segment(tmp_path: Path, how: str) -> None:  # case F15
    weather = Weather()

    async def main() -> None:
        journal = open_small(tmp_path, weather.disk)
        await until(lambda: journal.stats.slots >= 6)
        journal.begin("open", begin("open"))
        journal.append(attempt("open", 1), of="open")
        journal.begin("over", begin("over"))
        await journal.synced(journal.end("over", end("over")))
        (weather.break_syncs if how == "sync" else weather.break_writes).append(EIO)
        journal.begin("late", begin("late"))
        await journal.synced(journal.append(note("x")))
        await until(lambda: journal._tail.steady)
        assert journal.end("open", end("open")) > 0
        await journal.close()

    asyncio.run(main())
    assert weather.after_failure == []
    assert payloads(tmp_path / BOOT) == [
        begin("open"),
        attempt("open", 1),
        begin("over"),
        end("over"),
        begin("open"),
        attempt("open", 1),
        begin("late"),
        note("x"),
        end("open"),
    ]


def test_nothing_is_reported_synced_before_it_is(tmp_path: Path) -> None:  # case F15
    weather = Weather()

    async def main() -> None:
        journal = open_small(tmp_path, weather.disk)
        await until(lambda: journal.stats.slots >= 6)
        weather.broken_sync = EIO
        mark_ = journal.begin("a", begin("a"))
        await journal.written(mark_)
        waiting = asyncio.ensure_future(journal.synced(mark_))
        await until(lambda: journal.stats.failed_syncs >= 2)
        assert not waiting.done()
        assert payloads(journal.path) == []
        with pytest.raises(JournalFull, match="disk fails"):
            journal.begin("b", begin("b"))
        with pytest.raises(JournalFull, match="disk fails"):
            journal.append(note("x"))
        weather.broken_sync = 0
        await waiting
        await journal.written(mark_)
        assert begin("a") in payloads(journal.path)
        await journal.close()

    asyncio.run(main())
    assert weather.after_failure == []


def test_ends_are_taken_while_the_disk_fails(tmp_path: Path) -> None:  # case F15
    weather = Weather()

    async def main() -> None:
        journal = open_small(tmp_path, weather.disk)
        await until(lambda: journal.stats.slots >= 6)
        for id_ in "abc":
            await journal.synced(journal.begin(id_, begin(id_)))
        weather.broken_sync, weather.full = EIO, ENOSPC
        first = journal.end("a", end("a"))
        await until(lambda: journal.stats.failed_syncs >= 1)
        second = journal.end("b", end("b"))
        await until(lambda: journal._tail._resuming)
        third = journal.end("c", end("c"))
        assert 0 < first < second < third
        assert journal.end("c", end("c")) == 0
        weather.broken_sync = weather.full = 0
        await journal.synced(third)
        await journal.close()

    asyncio.run(main())
    found = outcomes(payloads(tmp_path / BOOT))
    assert found == {id_: {"ok"} for id_ in "abc"}
    assert weather.after_failure == []


def test_a_dead_disk_ends_the_wait_and_the_close(tmp_path: Path) -> None:
    weather = Weather()

    async def main() -> None:
        journal = open_small(tmp_path, weather.disk, patience_s=0.05)
        weather.broken_sync = EIO
        mark_ = journal.begin("a", begin("a"))
        with pytest.raises(JournalStalled):
            await journal.synced(mark_)
        await journal.close()

    asyncio.run(main())
    assert payloads(tmp_path / BOOT) == []
    assert [path.name for path in (tmp_path / BOOT).glob("*.seg")][:1] == ["00000001.seg"]


def test_a_failure_in_a_full_segment_gives_up_its_follower_too(tmp_path: Path) -> None:
    weather = Weather()

    async def main() -> list[str]:
        journal = open_small(tmp_path, weather.disk)
        await until(lambda: journal.stats.slots >= 6)
        await journal.synced(journal.append(note("first")))
        weather.gate.clear()
        weather.break_syncs = [EIO]
        kinds = [str(n) for n in range(8)]
        for kind in kinds:
            mark_ = journal.append(note(kind, pad=10_000))
            await journal.written(mark_)
        assert journal._tail.number == 2
        weather.gate.set()
        await journal.synced(mark_)
        await journal.close()
        return kinds

    kinds = asyncio.run(main())
    wanted = [note("first"), *(note(kind, pad=10_000) for kind in kinds)]
    assert payloads(tmp_path / BOOT) == wanted
    assert weather.after_failure == []
    assert not segment_path(tmp_path / BOOT, 2).exists()


def test_a_crash_behind_a_failed_sync_loses_no_call(tmp_path: Path) -> None:
    weather = Weather()

    async def main() -> Path:
        journal = open_small(tmp_path / "live", weather.disk)
        await until(lambda: journal.stats.slots >= 6)
        await journal.synced(journal.begin("old", begin("old")))
        weather.break_syncs = [EIO]
        await journal.synced(journal.begin("new", begin("new")))
        journal.end("old", end("old"))
        await journal.written(3)
        left = crashed(journal.path, tmp_path / "dead")
        await journal.close()
        return left

    left = asyncio.run(main())
    report = seal(left, interrupted)
    assert (report.closed, report.corrupt) == (1, ())
    assert outcomes(payloads(left)) == {"old": {"ok"}, "new": {"interrupted"}}


KINDS = ["begin", "end", "end", "note", "attempt", "turn", "crash", "eio", "short", "full", "room"]
OPS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 7)), max_size=60)


@settings(max_examples=1500, deadline=None)
@given(OPS)
def test_any_weather_settles_each_call_once(ops: list[tuple[str, int]]) -> None:  # cases F12, F14, F15
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(_run(Path(name), ops))


async def _run(root: Path, ops: list[tuple[str, int]]) -> None:
    await Run(root).through(ops)


class Run:
    """Calls through good and bad weather, with crashes looked at on the way."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.weather = Weather()
        self.journal = open_small(root / "live", self.weather.disk)
        self.began: dict[str, int] = {}
        self.ended: dict[str, int] = {}
        self.notes = 0

    async def through(self, ops: list[tuple[str, int]]) -> None:
        weather, journal = self.weather, self.journal
        await until(lambda: journal.stats.slots >= 6)
        for step, (what, number) in enumerate(ops):
            await self.step(what, number, f"{number}-{step}")
        weather.full, weather.break_syncs, weather.break_writes = 0, [], []
        await journal.synced(journal.stats.appended)
        assert weather.after_failure == []
        assert journal.stats.open_begins == len(self.began) - len(self.ended)
        live = payloads(journal.path)
        assert set(ids(live, Begin)) == set(self.began)
        assert set(ids(live, End)) == set(self.ended)
        assert len({payload for payload in live if b'"note"' in payload}) == self.notes
        self.crash()
        await journal.close()

    async def step(self, what: str, number: int, id_: str) -> None:
        weather = self.weather
        match what:
            case "turn":
                await asyncio.sleep(0.001 * number)
            case "crash":
                self.crash()
            case "eio":
                weather.break_syncs = [EIO] * (number % 3)
            case "short":
                weather.break_writes = [ENOSPC] * (number % 3)
            case "full" | "room":
                weather.full = ENOSPC if what == "full" else 0
            case _:
                with contextlib.suppress(JournalFull):
                    self.append(what, number, id_)

    def append(self, what: str, number: int, id_: str) -> None:
        still = [one for one in self.began if one not in self.ended]
        if what == "begin":
            self.began[id_] = self.journal.begin(id_, begin(id_, pad=number * 1500))
        elif what == "note":
            self.journal.append(note(id_, pad=number * 1500))
            self.notes += 1
        elif what == "attempt" and still:
            self.journal.append(attempt(still[0], number), of=still[0])
        elif what == "end" and still:
            over = still[number % len(still)]
            self.ended[over] = self.journal.end(over, end(over))
            assert self.ended[over] > 0

    def crash(self) -> None:
        """After a `kill -9` now, what was synced stands and each call that is known is closed once."""
        synced = [id_ for id_, mark in self.began.items() if self.journal.is_synced(mark)]
        over = [id_ for id_, mark in self.ended.items() if self.journal.is_synced(mark)]
        left = crashed(self.journal.path, self.root / "dead")
        assert seal(left, interrupted).corrupt == ()
        found = payloads(left)
        known = outcomes(found)
        assert set(synced) <= set(ids(found, Begin))
        assert set(known) == set(ids(found, Begin))
        assert all(len(how) == 1 for how in known.values())
        assert all(known[id_] == {"ok"} for id_ in over)
