"""What was billed in a stretch of time, fine enough to take money apart: by model, card, rate and bucket.

Attempts that cost nothing for certain, and those whose cost nobody knows, are in none of these rows;
`left_out` counts the second kind.
"""

from collections.abc import Iterator, Sequence

from tidegate.model.usage import BUCKETS
from tidegate.stores.sqlite.queries import Column, columns_of
from tidegate.stores.sqlite.store import Row, Store, Value

PARTS = ("system", "tools", "history", "tool_results", "last_user")
"""What a request's input was measured in, as the columns `<part>_tokens` say."""

_BILLED = "a.cost_nano IS NOT NULL AND a.cost_source <> 'none'"
_MONEY = "COALESCE(a.currency, ''), COALESCE(a.fx_id, '')"
_CELL = f"COALESCE(a.provider, ''), COALESCE(a.model, ''), COALESCE(a.price_id, ''), {_MONEY}, a.cost_source"
_CELL_WIDTH = 6
_SUMS = ", ".join(
    (
        "COUNT(*), SUM(a.cost_nano)",
        *(f"SUM(COALESCE(a.{bucket}, 0))" for bucket in BUCKETS),
        *(f"SUM(COALESCE(r.{part}_tokens, 0))" for part in PARTS),
    )
)
_FOCUS = (
    "COALESCE(r.tenant, ''), COALESCE(r.key_id, ''), COALESCE(r.project, ''), COALESCE(r.team, ''), "
    "COALESCE(r.feature, ''), COALESCE(r.customer, ''), COALESCE(r.environment, ''), COALESCE(a.region, '')"
)
FOCUS_FIELDS = ("tenant", "key", "project", "team", "feature", "customer", "environment", "region")


class PeriodQueries:
    """The queries of one view: which columns it is by, and whose calls it sees (None: every tenant's)."""

    def __init__(self, store: Store, columns: Sequence[Column], tenant: str | None) -> None:
        self._store = store
        self._tenant = tenant
        keys = columns_of(columns, "a")
        self._width = len(keys)
        self._cells = _billed(", ".join(keys))
        self._focus = _billed(_FOCUS)
        self._runs = _of_runs()
        if tenant is not None:
            self._cells, self._focus, self._runs = (
                sql.replace("WHERE ", "WHERE r.tenant = :tenant AND ", 1)
                for sql in (self._cells, self._focus, self._runs)
            )

    def cells(self, since_us: int, until_us: int) -> Iterator[tuple[Row, Row, Row]]:
        """Yield (tenant and columns, (provider, model, price_id, currency, fx_id, source), sums)."""
        yield from self._cut(self._cells, self._width, since_us, until_us)

    def focus(self, since_us: int, until_us: int) -> Iterator[tuple[Row, Row, Row]]:
        """Yield the same by `FOCUS_FIELDS`."""
        yield from self._cut(self._focus, len(FOCUS_FIELDS), since_us, until_us)

    def runs(self, since_us: int, until_us: int) -> Iterator[Row]:
        """Yield one row for each run, currency, exchange rate: see `_of_runs`."""
        yield from self._rows(self._runs, since_us, until_us)

    def left_out(self, since_us: int, until_us: int) -> int:
        """Return how many ended attempts have a cost that nobody knows."""
        sql = (
            "SELECT COUNT(*) FROM request r JOIN attempt a ON a.request_id = r.id "
            "WHERE r.at_us >= :since AND r.at_us < :until AND a.status IS NOT NULL "
            "AND a.cost_nano IS NULL AND a.cost_source <> 'none'"
        )
        whose = "" if self._tenant is None else " AND r.tenant = :tenant"
        (row,) = self._rows(sql + whose, since_us, until_us)
        return int(str(row[0]))

    def _cut(self, sql: str, width: int, since_us: int, until_us: int) -> Iterator[tuple[Row, Row, Row]]:
        for row in self._rows(sql, since_us, until_us):
            yield row[:width], row[width : width + _CELL_WIDTH], row[width + _CELL_WIDTH :]

    def _rows(self, sql: str, since_us: int, until_us: int) -> Iterator[Row]:
        named: dict[str, Value] = {"since": since_us, "until": until_us, "tenant": self._tenant}
        return self._store.rows_named(sql, named)


def _billed(key: str) -> str:
    return (
        f"SELECT {key}, {_CELL}, {_SUMS} FROM request r JOIN attempt a ON a.request_id = r.id "  # noqa: S608
        f"WHERE r.at_us >= :since AND r.at_us < :until AND {_BILLED} GROUP BY {key}, {_CELL}"
    )


def _of_runs() -> str:
    """Return the SQL of runs, a row for each currency and exchange rate that one was billed in.

    After those: calls, attempts, cost, tokens in and out, first and last feature, first and last moment.
    """
    tokens_in = " + ".join(f"COALESCE(a.{bucket}, 0)" for bucket in BUCKETS[:6])
    tokens_out = " + ".join(f"COALESCE(a.{bucket}, 0)" for bucket in BUCKETS[6:9])
    return (
        f"SELECT COALESCE(r.tenant, ''), r.run, {_MONEY}, COUNT(DISTINCT r.id), COUNT(*), "  # noqa: S608
        f"SUM(a.cost_nano), SUM({tokens_in}), SUM({tokens_out}), MIN(r.feature), MAX(r.feature), "
        "MIN(r.at_us), MAX(COALESCE(r.end_at_us, r.at_us)) "
        "FROM request r JOIN attempt a ON a.request_id = r.id WHERE r.at_us >= :since AND r.at_us < :until "
        f"AND r.run IS NOT NULL AND {_BILLED} GROUP BY r.tenant, r.run, {_MONEY}"
    )


def budget_charges(store: Store, since_us: int, until_us: int) -> dict[str, int]:
    """Return what calls that began in a stretch of time took of each account of a budget, in its unit."""
    sql = """SELECT c.account, SUM(c.amount) FROM request r JOIN budget_charge c ON c.request_id = r.id
    WHERE r.at_us >= ? AND r.at_us < ? GROUP BY c.account"""
    return {str(account): int(str(amount)) for account, amount in store.rows(sql, (since_us, until_us))}
