"""Tells gateways what is spent of budgets: the sums of the tables, and how far each journal is in them.

A gateway that starts takes the sums and reads the journals on from there. So both must be of one moment: they
are read in one transaction, after the batch that made them is in the tables.
"""

import logging

from tidegate.services.clock import Clock
from tidegate.stores.journal import boots
from tidegate.stores.layout import Layout
from tidegate.stores.spent import MAX_BYTES, NAME, Read, Spent, write_spent
from tidegate.stores.sqlite import budget_queries
from tidegate.stores.sqlite.budget_queries import Journal
from tidegate.stores.sqlite.store import Store

EVERY_S = 2.0
REST = 20
"""A writing is followed by at least this many times its own length without one."""

log = logging.getLogger(__name__)


class Spending:
    """Writes `spent.json` for one store. Sums change only when a journal goes on: nothing else is watched."""

    def __init__(self, store: Store, layout: Layout, clock: Clock) -> None:
        self._store, self._layout, self._clock = store, layout, clock
        self._written: dict[str, Journal] | None = None
        self._due_s = clock.mono_s()

    def write_if_due(self) -> None:
        """Write what changed, unless that was just done. A disk that takes nothing is tried again later."""
        began_s = self._clock.mono_s()
        if began_s < self._due_s:
            return
        try:
            self.write()
        except OSError as error:
            log.warning("gateways cannot be told what is spent: %s", error)
        self._due_s = began_s + max(EVERY_S, REST * (self._clock.mono_s() - began_s))

    def write(self) -> None:
        """Write what changed since the last time. Raises OSError, and apsw.Error where the store fails."""
        now_us = self._clock.wall_us()
        with self._store.transaction():
            journals = budget_queries.journals(self._store)
            if journals == self._written:
                return
            holds = budget_queries.open_holds(self._store)
            charges = budget_queries.spent(self._store, now_us)
        here = {directory.name for directory in boots(self._layout.gateway_journal)}
        reads = {
            boot: Read(
                segment=journal.position.segment,
                offset=journal.position.offset,
                open=() if journal.finished else tuple(holds.get(boot, ())),
                finished=journal.finished,
            )
            for boot, journal in journals.items()
            if boot in here
        }
        write_spent(self._layout.root, Spent(at_us=now_us, charges=charges, journals=reads))
        self._written = journals
        if (size := (self._layout.root / NAME).stat().st_size) > MAX_BYTES:
            log.error("%s has %d bytes, more than a gateway reads: use fewer accounts", NAME, size)
