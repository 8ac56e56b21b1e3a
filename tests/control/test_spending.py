"""What gateways are told is spent: of one moment, for every journal, and not more often than is needed."""

import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.support.calls import DAY_US, HOLD, NOON_US, attempt, begin, end, settled
from tidegate.config.settings import Policy, Server, Settings
from tidegate.control.process import desk
from tidegate.control.spending import EVERY_S, REST, Spending
from tidegate.control.tail import Tail
from tidegate.model.budget import Budget, Share, Window
from tidegate.model.record import encode
from tidegate.providers.catalog import load
from tidegate.services.budgets import Budgets
from tidegate.services.clock import Clock
from tidegate.services.other_gateways import OtherGateways
from tidegate.stores.journal import ControlJournal
from tidegate.stores.layout import Layout
from tidegate.stores.spent import NAME, OpenHold, Spent, read_spent
from tidegate.stores.sqlite.store import DATABASE, Store

TOTAL = "b|tokens|total|"
DAY = "d|tokens|day|UTC"
RULES = (
    Budget(name="b", limit=10**6, unit="tokens", window=Window("total")),
    Budget(name="d", limit=10**6, unit="tokens", window=Window("day")),
)


def shares(total: int, day: int = 0) -> tuple[Share, ...]:
    return Share(TOTAL, 0, total), Share(DAY, NOON_US // DAY_US * DAY_US, day)


class House:
    """A state directory with gateways' journals, and its control process's part, called directly."""

    def __init__(self, root: Path) -> None:
        self.layout = Layout(root)
        self.layout.make()
        self.mono_s = 0.0
        self.clock = Clock(wall_us=lambda: NOON_US, mono_s=lambda: self.mono_s)
        self.store = Store.open(root / DATABASE)
        self.tail = Tail(self.store, root / "journal", self.clock.wall_us)
        self.spending = Spending(self.store, self.layout, self.clock)
        self.boots = self.calls = 0
        self.open: list[tuple[str, int]] = []
        self.journal = self.boot()

    def boot(self) -> ControlJournal:
        self.boots += 1
        return ControlJournal.open(self.layout.gateway_journal, boot=f"b{self.boots:03}")

    def restart(self) -> None:
        self.journal.close()
        self.open.clear()
        self.journal = self.boot()

    def begin(self, amount: int = 50) -> None:
        self.calls += 1
        id_ = f"r{self.calls}"
        self.open.append((id_, 0))
        self.journal.append(encode(begin(id_, hold=replace(HOLD, shares=shares(amount, amount)))))

    def retry(self, amount: int = 40) -> None:
        if self.open:
            id_, n = self.open.pop()
            self.open.append((id_, n + 1))
            record = attempt(id_, n + 1, settled(status="error", charges=shares(3, 3)))
            self.journal.append(encode(replace(record, hold=replace(HOLD, shares=shares(amount, amount)))))

    def end(self, amount: int = 30) -> None:
        if self.open:
            id_, n = self.open.pop(0)
            self.journal.append(encode(end(id_, n=n, last=settled(charges=shares(amount, amount)))))

    def project(self) -> None:
        self.tail.catch_up()

    def tell(self) -> None:
        self.mono_s += EVERY_S
        self.spending.write_if_due()

    def told(self) -> Spent:
        found = read_spent(self.layout.root)
        assert found is not None
        return found

    def standings(self, spent: Spent | None) -> list[tuple[int, int]]:
        """What a gateway that starts now takes for spent and for held."""
        budgets = Budgets(self.clock, on_crossed=lambda _standing, _permille: None)
        budgets.configure(RULES, (), lambda _base, _quote: None)
        OtherGateways(self.layout.gateway_journal, "own", budgets).begin(spent, self.clock.wall_us(), tries=1)
        found = [one.standing(self.clock.wall_us()) for one in budgets.accounts({})]
        return [(one.spent, one.held) for one in found]

    def close(self) -> None:
        self.journal.close()
        self.tail.close()
        self.store.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.close()


STEPS = ["begin", "begin", "end", "retry", "project", "tell", "restart"]


@given(st.lists(st.sampled_from(STEPS), max_size=40), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_a_gateway_counts_the_same_with_the_file_and_without(steps: list[str], chance: random.Random) -> None:
    root = Path(tempfile.mkdtemp())
    house = House(root)
    try:
        for step in steps:
            amounts = (chance.randrange(100),) if step in ("begin", "end", "retry") else ()
            getattr(house, step)(*amounts)
            assert house.standings(read_spent(root)) == house.standings(None)
    finally:
        house.close()
        shutil.rmtree(root)


def test_what_is_open_is_told_with_the_place_it_is_open_at(house: House) -> None:
    house.begin(50)
    house.begin(60)
    house.retry(40)
    house.project()
    house.tell()
    told = house.told()
    assert told.charges == (Share(TOTAL, 0, 3), Share(DAY, NOON_US // DAY_US * DAY_US, 3))
    read = told.journals["b001"]
    assert read.open == (OpenHold("r1", 0, shares(50, 50)), OpenHold("r2", 1, shares(40, 40)))
    assert (read.finished, read.segment) == (False, 1)
    house.end(20)
    assert house.told() == told
    assert house.standings(told) == [(23, 40), (23, 40)]


def test_a_journal_that_is_over_is_told_as_finished_though_nothing_more_came_of_it(house: House) -> None:
    house.begin()
    house.end()
    house.project()
    house.tell()
    assert not house.told().journals["b001"].finished
    house.restart()
    now_us = NOON_US + 2_000_000
    with Tail(house.store, house.layout.root / "journal", lambda: now_us) as tail:
        tail.catch_up()
    house.tell()
    assert house.told().journals["b001"].finished
    assert house.standings(house.told()) == [(30, 0), (30, 0)]


def test_a_journal_that_was_removed_is_told_of_no_more_and_its_sums_stay(house: House) -> None:
    house.begin()
    house.end()
    house.restart()
    house.project()
    shutil.rmtree(house.layout.gateway_journal / "b001")
    house.tell()
    assert set(house.told().journals) <= {"b002"}
    assert [share.amount for share in house.told().charges] == [30, 30]


def test_a_window_that_counts_no_more_is_left_out(house: House) -> None:
    house.begin()
    house.end()
    house.project()
    later = Spending(house.store, house.layout, Clock(wall_us=lambda: NOON_US + 2 * DAY_US))
    later.write()
    assert house.told().charges == (Share(TOTAL, 0, 30),)


def test_the_file_is_left_alone_while_nothing_changes(house: House) -> None:
    house.begin()
    house.project()
    house.tell()
    before = (house.layout.root / NAME).stat().st_ino
    house.tell()
    assert (house.layout.root / NAME).stat().st_ino == before


def test_it_is_not_written_twice_within_two_seconds(house: House) -> None:
    house.project()
    house.tell()
    house.begin()
    house.project()
    house.spending.write_if_due()
    assert house.told().journals == {}
    house.tell()
    assert len(house.told().journals["b001"].open) == 1


def test_a_large_file_is_written_less_often(house: House) -> None:
    ticks = iter([0.0, 0.0, 1.0, EVERY_S, REST - 1.0, float(REST), float(REST)])
    slow = Spending(house.store, house.layout, Clock(wall_us=lambda: NOON_US, mono_s=lambda: next(ticks)))
    slow.write_if_due()  # from 0 to 1
    house.begin()
    house.project()
    for _ in range(2):
        slow.write_if_due()
        assert house.told().journals == {}
    slow.write_if_due()
    assert set(house.told().journals) == {"b001"}


def test_a_disk_that_takes_nothing_is_tried_again(house: House) -> None:
    blocked = house.layout.root / f".{NAME}.tmp"
    blocked.mkdir()
    house.begin()
    house.project()
    house.tell()
    assert read_spent(house.layout.root) is None
    blocked.rmdir()
    house.tell()
    assert set(house.told().journals) == {"b001"}


def test_a_desk_tells_when_it_catches_up_and_before_it_removes_anything(tmp_path: Path) -> None:
    taken = Settings(server=Server(state_dir=str(tmp_path)), policy=Policy(retention_days=1))
    with desk(taken, load()) as at:
        at.catch_up()
        assert read_spent(tmp_path) is not None
        journal = ControlJournal.open(at.layout.gateway_journal, boot="b001")
        journal.append(encode(begin("r1")))
        journal.append(encode(end("r1", last=settled(charges=shares(7)))))
        at.catch_up()
        at.keep_house()
        found = read_spent(tmp_path)
        assert found is not None
        assert Share(TOTAL, 0, 7) in found.charges
        journal.close()
