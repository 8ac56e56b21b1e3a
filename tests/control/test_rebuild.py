"""The tables are a projection: made again from the journals they are the same, row by row."""

import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.calls import (
    DAY_US,
    HOLD,
    NOON_US,
    attempt,
    begin,
    end,
    listed,
    named,
    refused,
    settled,
    tables,
    who,
)
from tidegate.control.lock import ControlRunningError, control_lock
from tidegate.control.rebuild import RebuildLosesError, rebuild
from tidegate.control.tail import Tail
from tidegate.model.budget import Share
from tidegate.model.record import BudgetRaised, Note, RefusedMany, encode
from tidegate.stores.journal import ControlJournal
from tidegate.stores.layout import Layout
from tidegate.stores.sqlite.retention import expire
from tidegate.stores.sqlite.store import DATABASE, Store

ALL_TIME = "all|calls|total|"


def now() -> int:
    return NOON_US


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path)
    made.make()
    return made


class Life:
    """A state directory in use: journals grow, gateways restart, a control process comes and goes."""

    def __init__(self, layout: Layout, chance: random.Random) -> None:
        self.layout, self.chance = layout, chance
        self.boots = self.calls = self.seq = 0
        self.open: list[str] = []
        self.journal = self._boot()
        self.decisions = ControlJournal.open(layout.control_journal, boot="c000")

    def _boot(self) -> ControlJournal:
        self.boots += 1
        return ControlJournal.open(self.layout.gateway_journal, boot=f"b{self.boots:03}")

    def restart(self) -> None:
        self.journal.close()
        self.open.clear()
        self.journal = self._boot()

    def project(self) -> None:
        with (
            Store.open(self.layout.root / DATABASE) as store,
            Tail(store, self.layout.root / "journal", now) as tail,
        ):
            tail.catch_up()

    def begin(self) -> None:
        self.calls += 1
        self.open.append(f"r{self.calls}")
        hold = msgspec.structs.replace(HOLD, shares=self._shares())
        self._append(begin, self.open[-1], who=who(tenant=self.chance.choice("ab")), hold=hold)

    def retry(self) -> None:
        if self.open:
            cost_nano = self.chance.choice([None, 0, 7])
            failed = settled(status="error", cost_nano=cost_nano, charges=self._shares())
            self.journal.append(encode(attempt(self.chance.choice(self.open), 1, failed)))

    def end(self) -> None:
        if self.open:
            id_ = self.open.pop(self.chance.randrange(len(self.open)))
            last = settled(charges=self._shares())
            for _ in range(self.chance.choice([1, 1, 2])):
                self._append(end, id_, last=last, outcome=self.chance.choice(["ok", "failed", "cancelled"]))

    def refuse(self) -> None:
        self.calls += 1
        self._append(refused, f"r{self.calls}")
        self._append(RefusedMany, at=1, minute_us=0, code="x", count=2)
        self._append(Note, at=1, kind="n")

    def decide(self) -> None:
        name = named(self.chance.choice(["auto-1", "auto-2"]), self.chance.choice("xyz"), seq=self.seq)
        self.seq += 1
        self.decisions.append(encode(name))
        self.decisions.append(encode(listed()))
        given = BudgetRaised(
            seq=self.seq, at=1, by="ann", account=ALL_TIME, window_us=0, amount=-3, reason="less"
        )
        self.decisions.append(encode(given))

    def newer(self) -> None:
        self.journal.append(b'{"t":"from_the_future","seq":1}')

    def close(self) -> None:
        self.journal.close()
        self.decisions.close()

    def _shares(self) -> tuple[Share, ...]:
        names = self.chance.sample([ALL_TIME, "day|calls|day|UTC|team=docs"], self.chance.randrange(3))
        return tuple(Share(name, self.chance.choice([0, DAY_US]), self.chance.randrange(9)) for name in names)

    def _append(self, make: Callable[..., Any], *facts: Any, **more: Any) -> None:
        self.seq += 1
        self.journal.append(encode(make(*facts, seq=self.seq, **more)))


STEPS = ["begin", "begin", "end", "end", "retry", "refuse", "decide", "newer", "project", "restart"]


@given(st.lists(st.sampled_from(STEPS), max_size=40), st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_a_rebuilt_database_equals_the_one_that_grew(steps: list[str], chance: random.Random) -> None:
    root = Path(tempfile.mkdtemp())
    try:
        layout = Layout(root)
        layout.make()
        life = Life(layout, chance)
        for step in steps:
            getattr(life, step)()
        life.close()
        life.project()
        with Store.open_read_only(root / DATABASE) as store:
            grown = tables(store)
        made = rebuild(layout, now)
        with Store.open_read_only(root / DATABASE) as store:
            assert tables(store) == grown
        assert (made.calls, made.lost) == (life.calls, 0)
    finally:
        shutil.rmtree(root)


def filled(layout: Layout) -> None:
    with ControlJournal.open(layout.gateway_journal, boot="b1") as journal:
        journal.append(encode(begin("r1")))
        journal.append(encode(end("r1")))
    rebuild(layout, now)


def test_a_running_control_process_is_not_disturbed(layout: Layout) -> None:
    filled(layout)
    with control_lock(layout.control_lock), pytest.raises(ControlRunningError, match="stop `tidegate serve`"):
        rebuild(layout, now)


def test_calls_that_are_in_no_journal_any_more_are_not_dropped_unasked(layout: Layout) -> None:
    filled(layout)
    shutil.rmtree(layout.gateway_journal / "b1")
    with pytest.raises(RebuildLosesError, match="1 calls"):
        rebuild(layout, now)
    with Store.open_read_only(layout.root / DATABASE) as store:
        assert len(tables(store)["request"]) == 1
    assert rebuild(layout, now, accept_loss=True).lost == 1
    with Store.open_read_only(layout.root / DATABASE) as store:
        assert tables(store)["request"] == []


def test_a_damaged_database_is_made_again(layout: Layout) -> None:  # case F24
    filled(layout)
    (layout.root / DATABASE).write_bytes(b"\0garbage" * 4096)
    assert rebuild(layout, now).calls == 1


def test_a_reader_keeps_the_database_it_opened(layout: Layout) -> None:
    filled(layout)
    with Store.open_read_only(layout.root / DATABASE) as reader:
        rebuild(layout, now)
        assert len(tables(reader)["request"]) == 1


def test_nothing_is_left_beside_the_database(layout: Layout) -> None:
    filled(layout)
    assert sorted(path.name for path in layout.root.glob("tidegate.db*")) == ["tidegate.db"]


def charged(layout: Layout, boot: str, ids: str, at_us: int) -> None:
    """A journal of calls that took 10 of an account of all time each."""
    with ControlJournal.open(layout.gateway_journal, boot=boot) as journal:
        for id_ in ids:
            journal.append(encode(begin(id_, at=at_us)))
            journal.append(encode(end(id_, last=settled(charges=(Share(ALL_TIME, 0, 10),)))))


@pytest.mark.parametrize("keeps", [True, False], ids=["its journal is still there", "its journal is gone"])
def test_what_was_spent_before_the_retention_still_counts(layout: Layout, keeps: bool) -> None:
    charged(layout, "b1", "abc", NOON_US - 40 * DAY_US)
    rebuild(layout, now)
    with Store.open(layout.root / DATABASE) as store:
        expire(store, NOON_US - 30 * DAY_US)
    charged(layout, "b2", "de", NOON_US)
    with Store.open(layout.root / DATABASE) as store, Tail(store, layout.root / "journal", now) as tail:
        tail.catch_up()
    if not keeps:
        shutil.rmtree(layout.gateway_journal / "b1")
    charged(layout, "b3", "f", NOON_US)
    for _ in range(2):
        rebuild(layout, now, accept_loss=True)
        with Store.open(layout.root / DATABASE) as store:
            assert [row[2] for row in tables(store)["budget_spent"]] == [60]
            expire(store, NOON_US - 30 * DAY_US)
