"""Records into tables: reading a record twice changes nothing, and how records fall into batches neither.

The halves of a call meet in their row, whichever comes first; the first of its kind stays.
"""

import msgspec

from tidegate.model.identity import Key
from tidegate.model.money import Fx
from tidegate.model.record import (
    Attempt,
    Begin,
    BudgetRaised,
    ControlRecord,
    End,
    FeatureNamed,
    GatewayRecord,
    KeyCreated,
    KeyRevoked,
    Note,
    PriceListed,
    Progress,
    RateSet,
    RatesImported,
    Refused,
    RefusedMany,
    Settled,
)
from tidegate.model.reference_rate import imported_rates
from tidegate.stores.sqlite import rows
from tidegate.stores.sqlite.rows import Place, json_text
from tidegate.stores.sqlite.store import Row, Store

Record = GatewayRecord | ControlRecord


def _upsert(table: str, key: tuple[str, ...], half: tuple[str, ...]) -> str:
    """Return the statement that adds one half of a row; a half that is there stays as it is.

    The first column of a half tells whether it is there.
    """
    columns = (*key, *half)
    sets = ", ".join(f"{column} = excluded.{column}" for column in half)
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))}) "  # noqa: S608
        f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {sets} WHERE {table}.{half[0]} IS NULL"
    )


_BEGIN = _upsert("request", ("id",), rows.BEGIN)
_END = _upsert("request", ("id",), rows.END)
_START = _upsert("attempt", ("request_id", "n"), rows.START)
_SETTLED = _upsert("attempt", ("request_id", "n"), rows.SETTLED)

_REFUSED_MINUTE = """INSERT INTO refused_minute (boot, seq, minute_us, code, refusals)
VALUES (?, ?, ?, ?, ?) ON CONFLICT (boot, seq) DO NOTHING"""
_NOTE = """INSERT INTO note (boot, seq, at_us, kind, request_id, facts)
VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (boot, seq) DO NOTHING"""
_KEY_COLUMNS = ("mac", "tenant", "name", "project", "team", "region", "models", "pinned", "defaults")
_KEY = _upsert("virtual_key", ("id",), (*_KEY_COLUMNS, "created_at_us", "expires_at_us", "created_by"))
_KEY_REVOKED = """INSERT INTO virtual_key (id, revoked_at_us, revoked_by, revoked_reason)
VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET revoked_at_us = excluded.revoked_at_us,
revoked_by = excluded.revoked_by, revoked_reason = excluded.revoked_reason
WHERE virtual_key.revoked_at_us IS NULL OR virtual_key.revoked_at_us > excluded.revoked_at_us"""
_FEATURE_NAME = """INSERT INTO feature_name (tenant, feature, valid_from_us, name, given_by, boot, seq)
VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant, feature, valid_from_us) DO UPDATE SET
name = excluded.name, given_by = excluded.given_by, boot = excluded.boot, seq = excluded.seq
WHERE (feature_name.boot, feature_name.seq) < (excluded.boot, excluded.seq)"""
_PRICE_CARD = """INSERT INTO price_card (price_id, content, listed_at_us)
VALUES (?, ?, ?) ON CONFLICT (price_id) DO NOTHING"""
_FX = """INSERT INTO fx (fx_id, base, quote, rate, valid_from, source)
VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (fx_id) DO NOTHING"""
_CHARGE = """INSERT INTO budget_charge (request_id, n, account, window_us, amount, counts_until_us)
VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (request_id, n, account) DO NOTHING"""
_BUDGET_RAISE = """INSERT INTO budget_raise (boot, seq, at_us, account, window_us, amount, given_by, reason)
VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (boot, seq) DO NOTHING"""

_Other = RefusedMany | Note | KeyCreated | KeyRevoked | FeatureNamed | PriceListed | RateSet | BudgetRaised
"""Records of which each is one row."""


class Batch:
    """Records of one journal on their way into tables."""

    def __init__(self, boot: str) -> None:
        self._boot = boot
        self._begins: list[Row] = []
        self._ends: list[Row] = []
        self._starts: list[Row] = []
        self._settled: list[Row] = []
        self._charges: list[Row] = []
        self._others: dict[str, list[Row]] = {}

    def add(self, record: Record, segment: int, byte_offset: int) -> None:
        """Take one record, which lies at `segment` and `byte_offset` of the journal.

        Raises TypeError, ValueError or msgspec.ValidationError for values that no table can hold.
        """
        place: Place = (self._boot, segment, byte_offset)
        match record:
            case Begin(id=id_):
                self._begins.append((id_, *rows.begin_half(record, place)))
                self._starts.append((id_, 0, *rows.start_half(record)))
            case End(id=id_):
                self._ends.append((id_, *rows.end_half(record)))
                self._settle(id_, record.n, record.last)
            case Attempt(id=id_):
                self._settle(id_, record.n - 1, record.previous)
                self._starts.append((id_, record.n, *rows.start_half(record)))
            case Refused(id=id_):
                self._begins.append((id_, *rows.refused_half(record, place)))
                self._ends.append((id_, *rows.refused_end_half(record)))
            case Progress():
                pass
            case RatesImported():
                self._others.setdefault(_FX, []).extend([*map(_fx_row, imported_rates(record))])
            case _:
                self._other(record)

    def write(self, store: Store) -> None:
        """Write all rows inside the caller's transaction."""
        store.write(_BEGIN, self._begins)
        store.write(_END, self._ends)
        store.write(_START, self._starts)
        store.write(_SETTLED, self._settled)
        store.write(_CHARGE, self._charges)
        for statement, values in self._others.items():
            store.write(statement, values)

    def _settle(self, id_: str, n: int, settled: Settled) -> None:
        self._settled.append((id_, n, *rows.settled_half(settled)))
        if settled.charges:
            self._charges += rows.charges(id_, n, settled)

    def _other(self, record: _Other) -> None:
        match record:
            case RefusedMany():
                statement = _REFUSED_MINUTE
                row: Row = (self._boot, record.seq, record.minute_us, record.code, record.count)
            case Note(kind="price_pinned", facts={"price_id": str(price_id), "content": str(content)}):
                statement, row = _PRICE_CARD, (price_id, content, record.at)
            case Note():
                statement, facts = _NOTE, json_text(record.facts)
                row = (self._boot, record.seq, record.at, record.kind, record.id or None, facts)
            case KeyCreated():
                statement, row = _KEY, _key_row(record)
            case KeyRevoked():
                statement = _KEY_REVOKED
                row = (record.key_id, record.revoked_at_us, record.by, record.reason or None)
            case FeatureNamed():
                statement, given = _FEATURE_NAME, (record.by, self._boot, record.seq)
                row = (record.tenant, record.feature, record.valid_from_us, record.name, *given)
            case PriceListed():
                statement, row = _PRICE_CARD, (record.price_id, record.content, record.at)
            case RateSet():
                statement, pair = _FX, (record.base, record.quote, record.rate)
                row = (record.fx_id, *pair, record.date, record.source)
            case BudgetRaised():
                statement, share = _BUDGET_RAISE, (record.account, record.window_us, record.amount)
                row = (self._boot, record.seq, record.at, *share, record.by, record.reason)
        self._others.setdefault(statement, []).append(row)


def _fx_row(fx: Fx) -> Row:
    return (fx.id, fx.base, fx.quote, fx.rate, fx.date.isoformat(), fx.source)


def _key_row(record: KeyCreated) -> Row:
    key = msgspec.convert(record.key, Key)
    return (
        key.id,
        key.mac,
        key.tenant,
        key.name or None,
        key.project or None,
        key.team or None,
        key.region or None,
        None if key.models is None else msgspec.json.encode(key.models).decode(),
        json_text(key.pinned),
        json_text(key.defaults),
        key.created_at_us,
        key.expires_at_us,
        record.by,
    )
