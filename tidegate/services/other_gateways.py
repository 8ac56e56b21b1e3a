"""What other gateways of this machine spend: those before this one, and one that drains beside it.

Each writes what it holds and what it was charged into its journal. A gateway takes the sums of `spent.json`,
seals what dead gateways left, so that all of it can be read, reads every journal on from there, and goes on
reading those of gateways that live.
"""

import logging
import time
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from tidegate.model.budget import Share
from tidegate.model.record import Attempt, Begin, End, decode_gateway
from tidegate.policy.interrupted import closing
from tidegate.services.budgets import Budgets
from tidegate.stores.journal import StillLive, seal
from tidegate.stores.journal.directory import read_sealed
from tidegate.stores.journal.errors import CorruptFrame
from tidegate.stores.journal.frames import START, Position
from tidegate.stores.journal.reader import Reader
from tidegate.stores.spent import Read, Spent

log = logging.getLogger("tidegate.gateway")

SEAL_TRIES = 4
SEAL_PAUSE_S = 0.05

Open = dict[str, tuple[int, tuple[Share, ...]]]
"""By request: the attempt under way, and what it holds."""


@dataclass(slots=True)
class _Journal:
    reader: Reader
    position: Position = START
    open: Open = field(default_factory=dict)
    is_stuck: bool = False


class OtherGateways:
    """Keeps budgets informed of every journal but this gateway's own."""

    def __init__(self, journals: Path, own_boot: str, budgets: Budgets) -> None:
        self._journals = journals
        self._own_boot = own_boot
        self._budgets = budgets
        self._known: dict[str, _Journal] = {}
        self._done: set[str] = set()

    def begin(self, spent: Spent | None, at_us: int, *, tries: int = SEAL_TRIES) -> None:
        """Take in what the file says and what the journals hold beyond it; `at_us` is now."""
        for turn in range(tries):
            if turn:
                time.sleep(SEAL_PAUSE_S)  # it lives, or the control process seals it
            if not [boot for boot in self._unsealed() if not self._seal(boot, at_us)]:
                break
        if spent is not None:
            self._budgets.load(spent.charges, spent.at_us)
            for boot, read in spent.journals.items():
                self._take(boot, read)
        self.look()

    def _unsealed(self) -> list[str]:
        """The other journals that may hold more than is published."""
        boots = [entry.name for entry in self._journals.iterdir() if entry.is_dir()]
        return [one for one in boots if one != self._own_boot and read_sealed(self._journals / one) is None]

    def _seal(self, boot: str, at_us: int) -> bool:
        """Seal the journal of a gateway that is dead; False where it may live."""
        try:
            seal(self._journals / boot, closing(at_us))
        except StillLive:
            return False
        except OSError as error:
            log.warning("the journal of gateway %s cannot be sealed: %s", boot, error)
        return True

    def look(self) -> None:
        """Read on in every journal that may have grown."""
        for entry in self._journals.iterdir():
            boot = entry.name
            if (
                boot != self._own_boot
                and boot not in self._done
                and boot not in self._known
                and entry.is_dir()
            ):
                self._known[boot] = _Journal(Reader(entry))
        for boot, journal in tuple(self._known.items()):
            try:
                self._read(journal)
                finished = journal.reader.finished(journal.position)
            except (OSError, CorruptFrame) as error:
                if not journal.is_stuck:
                    log.warning("the journal of gateway %s does not read on: %s", boot, error)
                journal.is_stuck = True
                continue
            if finished:
                for ident, (_, shares) in tuple(journal.open.items()):  # their ends are damaged
                    self._settle(journal.open, ident, shares)
                journal.reader.close()
                del self._known[boot]
                self._done.add(boot)

    def _take(self, boot: str, read: Read) -> None:
        directory = self._journals / boot
        if boot == self._own_boot or read.finished or not directory.is_dir():
            self._done.add(boot)
            return
        open_ = {one.request_id: (one.n, one.shares) for one in read.open}
        self._known[boot] = _Journal(Reader(directory), read.position, open_)
        for one in read.open:
            self._budgets.held_elsewhere(one.shares)

    def _read(self, journal: _Journal) -> None:
        """Take in what is new; damage is passed over."""
        while True:
            try:
                found = journal.reader.read(journal.position)
            except CorruptFrame as error:
                behind = journal.reader.after(error)
                if behind <= journal.position:
                    raise
                journal.position = behind
                continue
            if not found:
                return
            for position, raw in found:
                self._apply(journal.open, raw)
                journal.position = position

    def _apply(self, open_: Open, raw: bytes) -> None:
        """Take in one record; one that comes twice is known by what is open."""
        try:
            record = decode_gateway(raw)
        except msgspec.DecodeError:
            return
        match record:
            case Begin(id=ident, hold=hold) if hold.shares and ident not in open_:
                self._hold(open_, ident, 0, hold.shares)
            case Attempt(id=ident, n=n, hold=hold, previous=previous):
                before = open_.get(ident)
                if before is None or before[0] < n:
                    self._settle(open_, ident, previous.charges)
                    self._hold(open_, ident, n, hold.shares)
            case End(id=ident, last=last):
                self._settle(open_, ident, last.charges)
            case _:
                pass

    def _hold(self, open_: Open, ident: str, n: int, shares: tuple[Share, ...]) -> None:
        if shares:
            open_[ident] = n, shares
            self._budgets.held_elsewhere(shares)

    def _settle(self, open_: Open, ident: str, charges: tuple[Share, ...]) -> None:
        held = open_.pop(ident, None)
        if held is not None:
            self._budgets.moved(held[1], charges)
