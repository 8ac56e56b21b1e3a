"""Records of calls with a few facts each, as frames of a journal."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import msgspec

from tidegate.control.projector import Projector
from tidegate.model.money import Fx
from tidegate.model.price import PriceCard, price_id
from tidegate.model.provider import Target
from tidegate.model.record import (
    Attempt,
    Begin,
    ControlRecord,
    End,
    FeatureNamed,
    GatewayRecord,
    Hold,
    Measured,
    PriceListed,
    RateSet,
    Refused,
    Settled,
    Who,
    encode,
)
from tidegate.model.usage import Usage
from tidegate.stores.journal import Position
from tidegate.stores.sqlite.migrations import migrate, migrations_of
from tidegate.stores.sqlite.store import Row, Store

NOON_US = 1_794_052_800_000_000
"""2026-11-07 12:00 UTC."""
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US

CARD = PriceCard(
    provider="openai",
    model="gpt",
    rates={"input_uncached": "2", "output_text": "8"},
    currency="USD",
    source="test",
)
CARD_ID = price_id(CARD)
HOLD = Hold(input_tokens=100, output_tokens=400, amount_nano=4_000, input_nano=400, price_id=CARD_ID)
USAGE = Usage(input_uncached=100, cache_read=20, output_text=50, reasoning=10)
DATABASE_TABLES = (
    *("request", "attempt", "refused_minute", "note", "alarm", "virtual_key"),
    *("feature_name", "price_card", "fx", "journal_position"),
    *("budget_charge", "budget_spent", "budget_raise"),
)


def in_memory() -> Store:
    """A store that leaves no file."""
    connection = apsw.Connection(":memory:")
    connection.transaction_mode = "IMMEDIATE"
    migrate(connection, migrations_of("projection"), Path("memory"))
    return Store(connection, Path("memory"))


def who(**facts: Any) -> Who:
    return Who(**{"tenant": "acme", "key": "k1", "feature": "summaries", "team": "docs", **facts})


def begin(id_: str, *, at: int = NOON_US, seq: int = 1, **facts: Any) -> Begin:
    fields: dict[str, Any] = {
        "snapshot": 1,
        "surface": "chat",
        "who": who(),
        "model_asked": "gpt",
        "target": Target(provider="openai", deployment="eu", model="gpt"),
        "hold": HOLD,
        "measured": Measured(body_bytes=1_000, system=(400, 100), prefixes=((0, "aa"),), fingerprint="ff"),
        "max_output": 400,
        "limit_sent": 400,
        "limit_source": "client",
    }
    return Begin(seq=seq, at=at, id=id_, **(fields | facts))


def settled(**facts: Any) -> Settled:
    fields: dict[str, Any] = {
        "status": "ok",
        "http": 200,
        "usage": USAGE,
        "usage_source": "provider",
        "cost_nano": 1_000_000,
        "cost_source": "price",
        "price_id": CARD_ID,
        "model_served": "gpt-2026",
        "ended_us": 900,
    }
    return Settled(**(fields | facts))


def end(id_: str, *, at: int = NOON_US + 900, seq: int = 2, last: Settled | None = None, **facts: Any) -> End:
    fields: dict[str, Any] = {
        "outcome": "ok",
        "http": 200,
        "ttft_us": 300,
        "duration_us": 900,
        "bytes_out": 10,
    }
    return End(seq=seq, at=at, id=id_, last=last or settled(), **(fields | facts))


def attempt(id_: str, n: int, previous: Settled, *, at: int = NOON_US + 400, seq: int = 2) -> Attempt:
    target = Target(provider="mistral", deployment="fr", model="small")
    return Attempt(seq=seq, at=at, id=id_, n=n, previous=previous, target=target, hold=HOLD, reason="retry")


def refused(id_: str, *, at: int = NOON_US, seq: int = 1, **facts: Any) -> Refused:
    fields: dict[str, Any] = {
        "surface": "chat",
        "http": 402,
        "code": "budget_exceeded",
        "who": who(),
        "body_bytes": 9,
        "duration_us": 5,
    }
    return Refused(seq=seq, at=at, id=id_, **(fields | facts))


def named(feature: str, name: str, *, from_us: int = 0, seq: int = 1, tenant: str = "acme") -> FeatureNamed:
    return FeatureNamed(
        seq=seq, at=NOON_US, by="ann", tenant=tenant, feature=feature, name=name, valid_from_us=from_us
    )


def listed(card: PriceCard = CARD, *, seq: int = 1) -> PriceListed:
    content = msgspec.json.encode(card).decode()
    return PriceListed(seq=seq, at=NOON_US, by="ann", price_id=price_id(card), content=content)


def rate(fx: Fx, *, seq: int = 1) -> RateSet:
    return RateSet(
        seq=seq,
        at=NOON_US,
        by="ann",
        fx_id=fx.id,
        base=fx.base,
        quote=fx.quote,
        rate=fx.rate,
        date=fx.date.isoformat(),
        source=fx.source,
    )


def frames(
    records: Iterable[GatewayRecord | ControlRecord | bytes], start: int = 0
) -> list[tuple[Position, bytes]]:
    """Frames one after the other in segment 1; bytes stand for a record as they are."""
    raw = [record if isinstance(record, bytes) else encode(record) for record in records]
    return [(Position(1, start + at + 1), payload) for at, payload in enumerate(raw)]


def project(
    store: Store, *records: GatewayRecord | bytes, decided: Sequence[ControlRecord] = (), boot: str = "b1"
) -> None:
    projector = Projector(store)
    projector.apply("c1", frames(decided), source="control")
    projector.apply(boot, frames(records))


def tables(store: Store) -> dict[str, list[Row]]:
    """Every row of every table that is made from journals, in a fixed order."""
    found = {}
    for table in DATABASE_TABLES:
        rows = store.rows(f"SELECT * FROM {table}")
        found[table] = sorted(rows, key=repr)
    return found


@dataclass(frozen=True)
class Columns:
    """Rows of one table by the names of their columns."""

    store: Store
    table: str

    def where(self, clause: str = "1 = 1") -> list[dict[str, Any]]:
        cursor = self.store.connection.execute(f"SELECT * FROM {self.table} WHERE {clause}")
        found = []
        for row in cursor:
            names = [name for name, *_ in cursor.get_description()]
            found.append(dict(zip(names, row, strict=True)))
        return found
