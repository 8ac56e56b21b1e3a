"""Sums over a stretch of time, as a report asks for them. Everything is keyed by tenant first."""

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from tidegate.model.money import Fx
from tidegate.stores.sqlite.store import Row, Store

Column = Literal[
    "feature", "team", "customer", "model", "provider", "key", "project", "environment", "tenant"
]
_OF_REQUEST: dict[str, str] = {
    "feature": "r.feature",
    "team": "r.team",
    "customer": "r.customer",
    "key": "r.key_id",
    "project": "r.project",
    "environment": "r.environment",
    "tenant": "r.tenant",
}
_OF_ATTEMPT = ("model", "provider")

_GENERATES = "r.limit_source IS NOT NULL AND r.surface IN ('chat', 'completions', 'responses', 'messages')"
_UNPRICED = "a.status IS NOT NULL AND a.cost_nano IS NULL AND a.cost_source <> 'none'"
_ESTIMATED = "(a.usage_source IN ('estimated', 'mixed') OR a.cost_source IN ('estimated', 'ceiling'))"
_ALL_TOKENS = " + ".join(
    f"COALESCE(a.{bucket}, 0)"
    for bucket in (
        *("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h", "input_audio"),
        *("input_image", "output_text", "reasoning", "output_audio"),
    )
)
_CALL_SUMS = f"""COUNT(*),
COUNT(*) FILTER (WHERE r.outcome = 'refused'),
COUNT(*) FILTER (WHERE r.outcome IN ('failed', 'truncated')),
COUNT(*) FILTER (WHERE r.outcome = 'cancelled'),
COUNT(*) FILTER (WHERE r.outcome = 'interrupted'),
COUNT(*) FILTER (WHERE r.outcome IS NULL),
COUNT(*) FILTER (WHERE {_GENERATES}),
COUNT(*) FILTER (WHERE {_GENERATES} AND r.max_output IS NULL),
COUNT(*) FILTER (WHERE EXISTS (SELECT 1 FROM attempt a WHERE a.request_id = r.id AND {_UNPRICED})),
COUNT(*) FILTER (WHERE EXISTS (SELECT 1 FROM attempt a WHERE a.request_id = r.id AND {_ESTIMATED}))"""  # noqa: S608


def _said(*buckets: str) -> str:
    """Return the sum over buckets: NULL when no attempt said, 0 from one that was never billed."""
    said = " + ".join(f"COALESCE(a.{bucket}, 0)" for bucket in buckets)
    nothing = " AND ".join(f"a.{bucket} IS NULL" for bucket in buckets)
    return f"SUM(CASE WHEN {nothing} AND COALESCE(a.usage_source, '') <> 'none' THEN NULL ELSE {said} END)"


_ATTEMPT_SUMS = f"""COALESCE(a.currency, a.hold_currency), a.fx_id, a.price_id, COUNT(*),
{_said("input_uncached", "cache_write_5m", "cache_write_1h", "input_audio", "input_image")},
{_said("cache_read")},
{_said("output_text", "output_audio")},
{_said("reasoning")},
SUM(CASE WHEN a.cost_source = 'none' THEN COALESCE(a.cost_nano, 0) ELSE a.cost_nano END),
SUM({_ALL_TOKENS}),
SUM(CASE WHEN {_UNPRICED} THEN {_ALL_TOKENS} ELSE 0 END),
SUM(CASE WHEN a.usage_source IN ('estimated', 'mixed') THEN {_ALL_TOKENS} ELSE 0 END)"""


class ReportQueries:
    """The queries of one report: which columns it is by, and whose calls it sees (None: every tenant's)."""

    def __init__(self, store: Store, columns: Sequence[Column], tenant: str | None) -> None:
        self._store = store
        self._tenant = tenant
        self._width = 1 + len(columns)
        self._calls = _grouped(columns, "la", _CALL_SUMS, tenant)
        self._attempts = _grouped(columns, "a", _ATTEMPT_SUMS, tenant)
        self._times = _grouped(columns, "la", "", tenant)

    def calls(self, since_us: int, until_us: int) -> Iterator[tuple[Row, Row]]:
        """Yield (tenant and columns, counts of calls) for calls that began in the stretch."""
        return self._run(self._calls, since_us, until_us)

    def attempts(self, since_us: int, until_us: int) -> Iterator[tuple[Row, Row]]:
        """Yield (tenant and columns, (currency, fx_id, price_id, sums)) for the attempts of those calls."""
        return self._run(self._attempts, since_us, until_us)

    def times(self, since_us: int, until_us: int) -> Iterator[tuple[Row, Row]]:
        """Yield (tenant and columns, (duration_us, ttft_us)) of each of those calls that ended well."""
        return self._run(self._times, since_us, until_us)

    def _run(self, sql: str, since_us: int, until_us: int) -> Iterator[tuple[Row, Row]]:
        values: Row = (since_us, until_us) if self._tenant is None else (since_us, until_us, self._tenant)
        for row in self._store.rows(sql, values):
            yield row[: self._width], row[self._width :]


def columns_of(columns: Sequence[Column], attempt: str) -> list[str]:
    """Return the tenant's column and those of a report, in SQL; `attempt` is the alias of its table."""
    return ["r.tenant", *(_OF_REQUEST.get(column, f"{attempt}.{column}") for column in columns)]


def _grouped(columns: Sequence[Column], attempt: str, sums: str, tenant: str | None) -> str:
    """Return the SQL over attempts (`a`), over calls with their last attempt (`la`), or of single times."""
    keys = columns_of(columns, attempt)
    if attempt == "a":
        source = "request r JOIN attempt a ON a.request_id = r.id"
    elif any(column in _OF_ATTEMPT for column in columns):
        source = (
            "request r LEFT JOIN attempt la ON la.request_id = r.id AND la.n = COALESCE(r.last_attempt, 0)"
        )
    else:
        source = "request r"
    where = "r.at_us >= ? AND r.at_us < ?" + ("" if tenant is None else " AND r.tenant = ?")
    key = ", ".join(keys)
    if not sums:
        times = "r.duration_us, r.ttft_us"
        return f"SELECT {key}, {times} FROM {source} WHERE {where} AND r.outcome = 'ok'"  # noqa: S608
    by = f"{key}, COALESCE(a.currency, a.hold_currency), a.fx_id, a.price_id" if attempt == "a" else key
    return f"SELECT {key}, {sums} FROM {source} WHERE {where} GROUP BY {by}"  # noqa: S608


def data_span(store: Store) -> tuple[int, int] | None:
    """Return when the first and the last call began, None where there is none."""
    first = _number(store, "SELECT MIN(at_us) FROM request")
    last = _number(store, "SELECT MAX(at_us) FROM request")
    return None if first is None or last is None else (first, last)


def rates(store: Store) -> list[Fx]:
    """Return every exchange rate, oldest first."""
    sql = "SELECT fx_id, base, quote, rate, valid_from, source FROM fx ORDER BY valid_from, fx_id"
    names = ("id", "base", "quote", "rate", "date", "source")
    return [msgspec.convert(dict(zip(names, row, strict=True)), Fx) for row in store.rows(sql)]


def card_texts(store: Store) -> dict[str, str]:
    """Return the JSON of every price card by its price_id."""
    return {str(card): str(text) for card, text in store.rows("SELECT price_id, content FROM price_card")}


def feature_names(store: Store) -> dict[tuple[str, str], list[tuple[int, str]]]:
    """Return the dated names of features by (tenant, feature), oldest first."""
    names: dict[tuple[str, str], list[tuple[int, str]]] = {}
    sql = "SELECT tenant, feature, valid_from_us, name FROM feature_name ORDER BY valid_from_us"
    for tenant, feature, valid_from_us, name in store.rows(sql):
        assert isinstance(valid_from_us, int)
        names.setdefault((str(tenant), str(feature)), []).append((valid_from_us, str(name)))
    return names


def key_names(store: Store) -> dict[str, str]:
    """Return the names that virtual keys were given, by id."""
    sql = "SELECT id, name FROM virtual_key WHERE name IS NOT NULL"
    return {str(key): str(name) for key, name in store.rows(sql)}


def as_of_us(store: Store) -> int | None:
    """Return until when everything journalled is in the tables; None where nothing was projected."""
    caught_up = _number(store, "SELECT MAX(at_us) FROM caught_up")
    return caught_up or _number(store, "SELECT MAX(last_at_us) FROM journal_position")


def gaps(store: Store, since_us: int, until_us: int) -> dict[str, int]:
    """Return what is missing from any report of the stretch, by name: counts that are 0 where all is well."""
    stretch = (since_us, until_us)
    minutes = "SELECT SUM(refusals) FROM refused_minute WHERE minute_us >= ? AND minute_us < ?"
    return {
        "refused_unlisted": _number(store, minutes, stretch) or 0,
        "lost_begins": _number(store, "SELECT COUNT(*) FROM request WHERE at_us IS NULL") or 0,
        "skipped_records": _number(store, "SELECT SUM(skipped) FROM journal_position") or 0,
        "alarms": _number(store, "SELECT COUNT(*) FROM alarm") or 0,
    }


def _number(store: Store, sql: str, values: Sequence[int] = ()) -> int | None:
    found = store.connection.execute(sql, values).get
    assert found is None or isinstance(found, int)
    return found


class Feature(msgspec.Struct, frozen=True, kw_only=True):
    """A feature as calls were attributed to it; `source` says who named it last."""

    tenant: str
    feature: str
    source: str
    calls: int
    last_at_us: int


def features(store: Store) -> list[Feature]:
    """Return every feature with a call, most used first."""
    sql = """SELECT tenant, feature, MAX(feature_source), COUNT(*), MAX(at_us) FROM request
    WHERE tenant IS NOT NULL AND feature IS NOT NULL
    GROUP BY tenant, feature ORDER BY COUNT(*) DESC, feature"""
    names = Feature.__struct_fields__
    return [msgspec.convert(dict(zip(names, row, strict=True)), Feature) for row in store.rows(sql)]
