"""What the tables know of budgets: sums, holds, how far journals are in them, and what people gave."""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from tidegate.model.budget import Share
from tidegate.stores.journal import Position
from tidegate.stores.spent import OpenHold
from tidegate.stores.sqlite.store import Store

_shares = msgspec.json.Decoder(tuple[Share, ...]).decode

_SPENT = """SELECT account, window_us, spent FROM budget_spent
WHERE counts_until_us > ? AND spent <> 0 ORDER BY account, window_us"""
_JOURNALS = "SELECT boot, segment, byte_offset, finished FROM journal_position WHERE source = 'gateway'"
_OPEN = """SELECT request.boot, attempt.request_id, attempt.n, attempt.hold_shares
FROM attempt JOIN request ON request.id = attempt.request_id
WHERE attempt.hold_shares IS NOT NULL AND attempt.status IS NULL AND request.boot IS NOT NULL
ORDER BY attempt.request_id, attempt.n"""
_RAISES = """SELECT at_us, account, window_us, amount, given_by, reason FROM budget_raise
ORDER BY at_us, boot, seq"""

_TENANTS = "SELECT DISTINCT tenant FROM virtual_key WHERE tenant IS NOT NULL ORDER BY tenant"


class Journal(NamedTuple):
    """How far one gateway's journal is in the tables."""

    position: Position
    finished: bool


class Given(NamedTuple):
    """What a person gave to one window of an account, or took from it."""

    at_us: int
    account: str
    window_us: int
    amount: int
    by: str
    reason: str


def spent(store: Store, now_us: int) -> tuple[Share, ...]:
    """Return what was charged to each account in each window that still counts."""
    return msgspec.convert([*store.rows(_SPENT, (now_us,))], tuple[Share, ...])


def journals(store: Store) -> dict[str, Journal]:
    """Return how far the journal of each gateway is in the tables, by boot."""
    return {
        str(boot): Journal(Position(int(str(segment)), int(str(offset))), bool(finished))
        for boot, segment, offset, finished in store.rows(_JOURNALS)
    }


def open_holds(store: Store) -> dict[str, list[OpenHold]]:
    """Return what attempts hold that are not over, by boot; of one call the last attempt alone.

    A sealed journal leaves none open; those of a boot that is finished had their end damaged.
    """
    found: dict[str, dict[str, OpenHold]] = {}
    for boot, request_id, n, shares in store.rows(_OPEN):
        ident = str(request_id)
        found.setdefault(str(boot), {})[ident] = OpenHold(ident, int(str(n)), _shares(str(shares)))
    return {boot: list(holds.values()) for boot, holds in found.items()}


def given(store: Store) -> Iterator[Given]:
    """Yield what people gave to budgets, oldest first."""
    for row in store.rows(_RAISES):
        yield Given(*msgspec.convert(row, tuple[int, str, int, int, str, str]))


def tenants(store: Store) -> tuple[str, ...]:
    """Return every tenant that ever had a key."""
    return tuple(str(tenant) for (tenant,) in store.rows(_TENANTS))
