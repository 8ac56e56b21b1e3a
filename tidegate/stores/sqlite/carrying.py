"""What a rebuilt database takes over from the old one: sums of budgets whose calls are past their retention.

All time and a year may well be longer than records are kept. What was charged then is in the old sums, and in
no journal any more.
"""

import apsw

from tidegate.stores.sqlite.store import Row, Store

_PAST = """SELECT account, window_us, spent - COALESCE(here, 0) AS past, counts_until_us FROM budget_spent
LEFT JOIN (SELECT account, window_us, SUM(amount) AS here FROM budget_charge GROUP BY account, window_us)
USING (account, window_us) WHERE past > 0"""
_OLDEST = "SELECT COALESCE(MIN(at_us), 0) FROM request"
_AGAIN = """SELECT account, window_us, SUM(amount) FROM budget_charge
JOIN request ON request.id = budget_charge.request_id WHERE request.at_us < ? GROUP BY account, window_us"""
_ADD = """INSERT INTO budget_spent (account, window_us, spent, counts_until_us) VALUES (?, ?, ?, ?)
ON CONFLICT (account, window_us) DO UPDATE SET spent = spent + excluded.spent"""


def carry_spent(old: Store, new: Store) -> None:
    """Add to the sums of `new` what `old` has in its sums and in no charge any more.

    Calls go oldest first: of those before the oldest that is left, `old` has dropped all. Where their journal
    is still there, `new` has counted them again. An old database without budgets has nothing to carry.
    """
    try:
        past = [*old.rows(_PAST)]
        ((oldest_us,),) = old.rows(_OLDEST)
    except apsw.SQLError:
        return
    again = {row[:2]: int(str(row[2])) for row in new.rows(_AGAIN, (oldest_us,))}
    rows: list[Row] = [
        (account, window_us, int(str(amount)) - again.get((account, window_us), 0), until_us)
        for account, window_us, amount, until_us in past
    ]
    with new.transaction():
        new.write(_ADD, [row for row in rows if int(str(row[2])) > 0])
