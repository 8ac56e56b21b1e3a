"""What the control process remembers of alerts, and the messages that are on their way (`alerts.db`).

It stands apart from the tables, which are made again from the journals: a rebuild tells nothing twice.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import msgspec

from tidegate.model.alert import Message
from tidegate.policy.alerting import Key, Standing
from tidegate.stores.sqlite.store import Row, Store

ALERTS = "alerts.db"
MOST_WAITING = 500
"""Messages that wait for one target; beyond them the oldest are given up."""
SAID_CHARACTERS = 200

_STANDINGS = "SELECT content FROM standing ORDER BY event, subject"
_STAND = """INSERT INTO standing (event, subject, content) VALUES (?, ?, ?)
ON CONFLICT (event, subject) DO UPDATE SET content = excluded.content"""
_FORGET = "DELETE FROM standing WHERE event = ? AND subject = ?"
_SEND = """INSERT INTO delivery (target, event, subject, content, made_us, tries, next_us)
VALUES (?, ?, ?, ?, ?, 0, ?)"""
_COLUMNS = "id, target, content, made_us, tries, next_us, said"
_DUE = f"""SELECT {_COLUMNS} FROM delivery d WHERE next_us <= ? AND NOT EXISTS (SELECT 1 FROM delivery e
WHERE e.target = d.target AND e.event = d.event AND e.subject = d.subject AND e.id < d.id) ORDER BY id"""  # noqa: S608
_WAITING = f"SELECT {_COLUMNS} FROM delivery ORDER BY id"  # noqa: S608
_DROP = "DELETE FROM delivery WHERE id = ?"
_AGAIN = "UPDATE delivery SET tries = tries + 1, next_us = ?, said = ? WHERE id = ?"
_TOO_MANY = """SELECT id FROM delivery WHERE target = ? ORDER BY id DESC LIMIT -1 OFFSET ?"""


class Delivery(NamedTuple):
    """One message on its way to one target; `said` is what came back last."""

    id: int
    target: str
    message: Message
    made_us: int
    tries: int
    next_us: int
    said: str


class AlertBook:
    """Alerts and deliveries of one state directory. One process writes them; others may read."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @classmethod
    def open(cls, root: Path) -> Self:
        """Open for writing; made on first use. What is written survives a power cut."""
        store = Store.open(root / ALERTS, schema="alerts")
        store.connection.pragma("synchronous", "full")
        return cls(store)

    @classmethod
    def open_read_only(cls, root: Path) -> Self:
        """Open for reading. Raises NotFound, NewerSchemaError or OlderSchemaError."""
        return cls(Store.open_read_only(root / ALERTS, schema="alerts"))

    def standings(self) -> dict[Key, Standing]:
        """Return what is remembered of each alert; what cannot be read any more is passed over."""
        found = {}
        for (content,) in self._store.rows(_STANDINGS):
            try:
                one = msgspec.json.decode(str(content), type=Standing)
            except msgspec.DecodeError:
                continue
            found[one.about.key] = one
        return found

    def keep(
        self,
        before: Mapping[Key, Standing],
        after: Mapping[Key, Standing],
        messages: Sequence[tuple[str, Message]],
    ) -> int:
        """Write what changed, and messages by the name of their target, all or nothing.

        Returns how many older messages were given up, because their target has too many.
        """
        changed = [(key, one) for key, one in after.items() if before.get(key) != one]
        gone = [key for key in before if key not in after]
        if not (changed or gone or messages):
            return 0
        with self._store.transaction():
            self._store.write(_STAND, [(*key, _json(one)) for key, one in changed])
            self._store.write(_FORGET, gone)
            self._store.write(_SEND, [_row(target, message) for target, message in messages])
            return sum(self._bound(target) for target in {target for target, _ in messages})

    def due(self, now_us: int) -> list[Delivery]:
        """Return what is to be tried now, oldest first: of each alert and target only the first message.

        What cannot be read any more is forgotten: it would hold up what comes after it.
        """
        return list(self._deliveries(_DUE, (now_us,), drop=True))

    def waiting(self) -> list[Delivery]:
        """Return every message that has not arrived yet."""
        return list(self._deliveries(_WAITING, ()))

    def done(self, delivery_id: int) -> None:
        """Forget a message that arrived, or is given up."""
        self._store.write(_DROP, [(delivery_id,)])

    def again(self, delivery_id: int, next_us: int, said: str) -> None:
        """Count a try that failed; the next is at `next_us`."""
        self._store.write(_AGAIN, [(next_us, said[:SAID_CHARACTERS], delivery_id)])

    def close(self) -> None:
        """Close the database."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _bound(self, target: str) -> int:
        surplus = list(self._store.rows(_TOO_MANY, (target, MOST_WAITING)))
        self._store.write(_DROP, surplus)
        return len(surplus)

    def _deliveries(self, sql: str, values: Row, *, drop: bool = False) -> Iterator[Delivery]:
        for id_, target, content, made_us, tries, next_us, said in list(self._store.rows(sql, values)):
            assert isinstance(id_, int)
            assert isinstance(made_us, int)
            assert isinstance(tries, int)
            assert isinstance(next_us, int)
            try:
                message = msgspec.json.decode(str(content), type=Message)
            except msgspec.DecodeError:
                if drop:
                    self.done(id_)
                continue
            yield Delivery(id_, str(target), message, made_us, tries, next_us, str(said or ""))


def _json(value: msgspec.Struct) -> str:
    return msgspec.json.encode(value).decode()


def _row(target: str, message: Message) -> Row:
    about = message.about
    return (target, about.event, about.subject, _json(message), message.at_us, message.at_us)
