"""Gateways with budgets in one process, before a scripted provider, in a time that a test moves."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.faults.house import START_US, House, Ticks
from tests.money.books import Books, Copied
from tests.support.virtual_time import VirtualLoop
from tidegate.control.spending import Spending
from tidegate.control.tail import Tail
from tidegate.model.budget import Budget, Raise, Share
from tidegate.policy.breaker import BreakerPolicy
from tidegate.policy.resilience import ResiliencePolicy
from tidegate.providers.transport import Transport
from tidegate.services.budgets import Budgets, Cost, Hold
from tidegate.services.clock import Clock
from tidegate.services.other_gateways import OtherGateways
from tidegate.stores.journal import Disk
from tidegate.stores.layout import Layout
from tidegate.stores.snapshot import Policies
from tidegate.stores.spent import read_spent
from tidegate.stores.sqlite.store import DATABASE, Store

WAIT_S = 5.0
ATTEMPTS = 4
POLICIES = Policies(
    resilience=ResiliencePolicy(max_total=ATTEMPTS, base_us=0, cap_us=0),
    breaker=BreakerPolicy(last_failures=0, failure_permille=0),
)


class Watch(Ticks):
    """The wall's time is the loop's and what the clock was set wrong by; a look moves neither."""

    def __init__(self, loop: VirtualLoop, seed: int) -> None:
        super().__init__(seed)
        self.random = random.Random(seed)
        self._loop, self.wrong_us, self._looks = loop, 0, 0

    def wall_us(self) -> int:
        self._looks += 1
        return START_US + int(self._loop.now_s * 1_000_000) + self.wrong_us + self._looks

    def clock(self) -> Clock:
        return Clock(wall_us=self.wall_us, mono_s=self._loop.time, random_bits=self.random.getrandbits)


class Gateway(House):
    """One boot with budgets: it starts as a gateway does, from the file and from journals."""

    def __init__(self, root: Path, transport: Transport, watch: Watch, books: Books) -> None:
        super().__init__(root, transport, watch, disk=Disk(sync=lambda fd: None), policies=POLICIES)
        self.copied = Copied(self.journal, books, self.directory.name)
        self.ledger.log = self.copied
        self.wired.budgets.settle = self._settle  # type: ignore[method-assign]
        journals = Layout(root).gateway_journal
        self.others = OtherGateways(journals, self.directory.name, self.wired.budgets)
        self.others.begin(read_spent(root), self.clock.wall_us())

    def _settle(self, hold: Hold, cost: Cost) -> tuple[Share, ...]:
        """Settle as budgets do, and let the books know at once: the record may come later."""
        is_first = hold.charges is None
        charges = Budgets.settle(self.wired.budgets, hold, cost)
        if is_first and not self.copied.is_dead:
            self.copied.books.settled_in_memory(self.copied.boot, hold.shares, charges)
        return charges

    def take(self, rules: Sequence[Budget], raises: Sequence[Raise]) -> None:
        """Bring other rules into force."""
        current = self.wired.current
        assert current.state is not None
        current.state = replace(current.state, budgets=tuple(rules), budget_wait_s=WAIT_S)
        self.wired.budgets.configure(rules, raises, lambda _base, _quote: None)

    async def goes_on(self) -> None:
        """Give the loop turns until nothing is left to do before time moves."""
        for _ in range(3):
            for _ in range(8):
                await asyncio.sleep(0)
            await self.journal.synced(self.journal.stats.appended)
        self.others.look()
        for _ in range(4):
            await asyncio.sleep(0)

    async def stop(self) -> None:
        """A shutdown whose drain is over: what runs is cancelled."""
        await self.drain()
        await self.journal.close()
        for journal in self.others._known.values():
            journal.reader.close()

    def open_holds(self) -> dict[tuple[str, int], int]:
        """What its budgets take for held."""
        sums = self.wired.budgets._sums
        return {
            (name, at): spell.held
            for name, one in sums.items()
            for at, spell in one.spells.items()
            if spell.held
        }


def control_tells(root: Path, watch: Watch) -> None:
    """What a control process does in a turn: seal, project, and write what is spent."""
    with Store.open(root / DATABASE) as store, Tail(store, root / "journal", watch.wall_us) as tail:
        tail.catch_up()
        Spending(store, Layout(root), watch.clock()).write()
