"""What is older than its retention leaves the tables, a bounded number of rows at a time."""

from tidegate.stores.sqlite.store import Store

BATCH = 5_000

_OLD = "SELECT id FROM request WHERE at_us < ? ORDER BY at_us LIMIT ?"
_ATTEMPTS = f"DELETE FROM attempt WHERE request_id IN ({_OLD})"  # noqa: S608 - a constant
_CHARGES = f"DELETE FROM budget_charge WHERE request_id IN ({_OLD})"  # noqa: S608
_REQUESTS = f"DELETE FROM request WHERE id IN ({_OLD})"  # noqa: S608
_NOTES = "DELETE FROM note WHERE at_us < ?"
_REFUSED = "DELETE FROM refused_minute WHERE minute_us < ?"
_SPENT = "DELETE FROM budget_spent WHERE counts_until_us < ?"


def expire(store: Store, before_us: int, *, batch: int = BATCH) -> int:
    """Delete up to `batch` calls that began before a moment, and older notes; return how many calls.

    What budgets were charged stays in their sums for as long as it counts, however old its calls are.
    """
    with store.transaction():
        store.write(_CHARGES, [(before_us, batch)])
        store.write(_ATTEMPTS, [(before_us, batch)])
        before = store.connection.total_changes()
        store.write(_REQUESTS, [(before_us, batch)])
        gone = store.connection.total_changes() - before
        store.write(_NOTES, [(before_us,)])
        store.write(_REFUSED, [(before_us,)])
        store.write(_SPENT, [(before_us,)])
    return gone
