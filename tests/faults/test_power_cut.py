"""A power cut leaves what was synced, and of the rest anything: whole pages, none, zeros or old bytes.

A machine lives on over one state directory through many cuts. TIDEGATE_CUT_ROUNDS sets the number of cuts
(200 by default); TIDEGATE_CUT_SEED repeats a run's choices.
"""

import asyncio
import os
import random
import shutil
import time
from functools import partial
from pathlib import Path

import pytest

from tests.faults.books import assert_once, assert_rebuilds, assert_settled, catch_up, rows_of
from tests.faults.house import FakeClient, House, Ticks
from tests.faults.provider import KINDS, Reply, answer
from tests.support.scripted_transport import ScriptedReply, ScriptedTransport, Sent
from tidegate.control.projector import Projector
from tidegate.stores.journal import Disk, Position
from tidegate.stores.journal.directory import MarkFile, read_mark, segment_path, segments
from tidegate.stores.sqlite.store import DATABASE, Store

ROUNDS = int(os.environ.get("TIDEGATE_CUT_ROUNDS", "200"))
SEED = int(os.environ.get("TIDEGATE_CUT_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
MACHINES = 20
PAGE_BYTES = 4096
MODELS = ("small", "both", "free", "claude-x")

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("machine", range(MACHINES))
def test_what_a_client_was_given_survives_any_power_cut(machine: int, tmp_path: Path) -> None:
    print(f"TIDEGATE_CUT_SEED={SEED}")
    life = Life(tmp_path, random.Random(SEED + machine))
    for _ in range(-(-ROUNDS // MACHINES)):
        asyncio.run(life.live())
        catch_up(life.root)
        requests, attempts = rows_of(life.root)
        assert_settled(requests, attempts)
        assert_once(requests, life.answered)
        assert_rebuilds(life.root)
    assert life.answered


class Life:
    """One machine: its state directory, and the calls whose clients were given something before a cut."""

    def __init__(self, path: Path, chance: random.Random) -> None:
        self.path, self.chance = path, chance
        self.root = path / "0"
        self.cuts = 0
        self.ticks = Ticks(chance.getrandbits(32))
        self.answered: set[str] = set()
        self.dark = False

    async def live(self) -> None:
        """Run a gateway under load, project now and then, and cut the power at a random moment."""
        house = House(self.root, ScriptedTransport(self.provider), self.ticks, disk=Disk(sync=self.slow_sync))
        self.dark = False
        load = [asyncio.create_task(self.client(house)) for _ in range(8)]
        marks, databases = [], []
        for _ in range(self.chance.randrange(1, 40)):
            await asyncio.sleep(self.chance.choice([0, 0, 0.001, 0.003]))
            marks.append(mark_of(house.directory))
            if self.chance.random() < 0.05:
                catch_up(self.root)
                databases.append((self.root / DATABASE).read_bytes())
        left = self.cut(house.directory.name, [*marks, mark_of(house.directory)], databases[-2:])
        for task in load:
            task.cancel()
        await asyncio.gather(*load, return_exceptions=True)
        await house.drain()
        await house.journal.close()
        shutil.rmtree(self.root)
        self.root = left

    def slow_sync(self, fd: int) -> None:
        """Take as long as a disk may; what counts as synced follows from the mark alone."""
        time.sleep(self.chance.choice([0.001, 0.001, 0.003, 0.01]))

    def provider(self, call: Sent) -> ScriptedReply:
        kind = self.chance.choice(KINDS)
        reply = Reply(kind if self.chance.random() < 0.5 else "whole")
        return answer(call, reply, lambda: asyncio.sleep(self.chance.choice([0, 0, 0, 0.002])))

    async def client(self, house: House) -> None:
        """Call again and again; now and then hang up, be it before the first byte."""
        loop = asyncio.get_running_loop()
        while True:
            client = FakeClient()
            stream = self.chance.random() < 0.6
            ident, task = house.call(self.chance.choice(MODELS), client, stream=stream)
            client.on_byte = partial(self.given, ident, client)
            if self.chance.random() < 0.2:
                loop.call_later(self.chance.random() * 0.01, client.leave)
            await asyncio.wait([task])

    def given(self, ident: str, client: FakeClient) -> None:
        """Note an answer to a call that was begun: a refusal of ours costs nothing and waits for nothing."""
        if not self.dark and not client.refused:
            self.answered.add(ident)

    def cut(self, boot: str, marks: list[Position], databases: list[bytes]) -> Path:
        """Copy the state directory as the power cut leaves it; return where it is."""
        self.dark = True
        self.cuts += 1
        synced, left = marks[-1], self.path / str(self.cuts)
        shutil.copytree(self.root, left)
        if databases:  # its last transactions may be lost with the power
            (left / DATABASE).write_bytes(self.chance.choice(databases))
        if (left / DATABASE).exists():
            with Store.open(left / DATABASE) as store:
                assert Projector(store).progress(boot).position <= synced
        directory = left / "journal" / "gateway" / boot
        for number in segments(directory):
            if number >= synced.segment:
                self.spoil(segment_path(directory, number), synced.offset * (number == synced.segment))
        mark = MarkFile(directory)
        mark.write(self.chance.choice(marks))  # the mark is synced only now and then
        mark.close()
        return left

    def spoil(self, path: Path, synced: int) -> None:
        """Keep what was synced of a segment; of the rest, what chance leaves."""
        raw = path.read_bytes()
        written = max(synced, len(raw.rstrip(b"\0")))
        rest = raw[synced:]
        match self.chance.choice(["all", "none", "some", "torn", "garbage", "old", "pages"]):
            case "all":
                return
            case "none":
                rest = bytes(len(rest))
            case "some":
                kept = self.chance.randint(synced, written) - synced
                rest = rest[:kept] + bytes(len(rest) - kept)
            case "torn":
                kept = self.chance.randint(synced, written) - synced
                rest = rest[:kept] + self.chance.randbytes(min(64, len(rest) - kept)) + rest[kept + 64 :]
            case "garbage":
                rest = self.chance.randbytes(len(rest))
            case "old":  # bytes of the same file, moved
                shift = self.chance.randint(1, max(1, synced))
                rest = raw[max(0, synced - shift) :][: len(rest)].ljust(len(rest), b"\0")
            case _:  # whole pages, any of them
                pages = [raw[at : at + PAGE_BYTES] for at in range(0, len(raw), PAGE_BYTES)]
                lost = [bytes(len(page)) if self.chance.random() < 0.5 else page for page in pages]
                rest = b"".join(lost)[synced:]
        path.write_bytes(raw[:synced] + rest)


def mark_of(directory: Path) -> Position:
    mark = read_mark(directory)
    assert mark is not None
    return mark
