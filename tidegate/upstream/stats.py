"""What the scripted provider has seen, for tests to ask: `GET /__stats` and `GET /__requests`.

Every table is bounded: what is past its size counts as `other`.
"""

from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

import msgspec

from tidegate.upstream.client import Client

OTHER = "other"
MAX_PATHS = 100
MAX_MODELS = 1_000
MAX_NAME_CHARS = 200
MAX_KEPT_BYTES = 1 << 20
MAX_ALL_KEPT_BYTES = 256 << 20
NOTHING = Decimal(0)


@dataclass(slots=True)
class Bill:
    """Tokens a provider charges for, in disjoint parts, and their price where a script gives one."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    cost: Decimal = NOTHING

    def add(self, other: "Bill") -> None:
        """Count another bill in."""
        self.input += other.input
        self.cache_read += other.cache_read
        self.cache_write += other.cache_write
        self.output += other.output
        if other.cost:
            self.cost += other.cost


@dataclass(slots=True)
class Record:
    """One exchange; `whole` once its reply is. `status` is 0 where no head was sent."""

    whole: bool = False
    status: int = 0
    model: str = ""
    bill: Bill | None = None


@dataclass(slots=True)
class _Model:
    calls: int = 0
    aborted: int = 0
    billed: Bill = field(default_factory=Bill)


class Stats:
    """Counts exchanges. `aborted`: the client left before the reply was whole. `connections`: open now."""

    def __init__(self, keep_requests: int, *, kept_bytes: int = MAX_ALL_KEPT_BYTES) -> None:
        self.open = 0
        self.open_streams = 0
        self.connections = 0
        self._kept: deque[dict[str, Any]] = deque()
        self._keeps, self._keeps_bytes = keep_requests, kept_bytes
        self.reset()

    def reset(self) -> None:
        """Begin to count again; what is open stays open."""
        self.requests = 0
        self.aborted = 0
        self.completed = 0
        self.connections_made = 0
        self.paths: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self._models: dict[str, _Model] = {}
        self._kept.clear()
        self._kept_bytes = 0

    def connected(self) -> None:
        """Count a connection."""
        self.connections += 1
        self.connections_made += 1

    def unknown(self) -> None:
        """Count a request that is no call."""
        self.paths[OTHER] += 1

    @contextmanager
    def exchange(
        self, path: str, headers: list[tuple[bytes, bytes]], body: bytes, client: Client
    ) -> Iterator[Record]:
        """Count one exchange, and stop watching its client when it ends."""
        self.requests += 1
        self.paths[path if path in self.paths or len(self.paths) < MAX_PATHS else OTHER] += 1
        record = Record()
        kept = self._keep(path, headers, body) if self._keeps else None
        self.open += 1
        try:
            yield record
        finally:
            self.open -= 1
            aborted = client.gone and not record.whole
            self.completed += record.whole
            self.aborted += aborted
            self._count(record, aborted=aborted)
            if kept is not None:
                kept |= {"status": record.status, "aborted": aborted, "billed": _shown(record.bill)}
            client.close()

    def _count(self, record: Record, *, aborted: bool) -> None:
        self.statuses[record.status] += 1
        name = record.model[:MAX_NAME_CHARS]
        model = self._models.get(name)
        if model is None:
            name = name if len(self._models) < MAX_MODELS else OTHER
            model = self._models.setdefault(name, _Model())
        model.calls += 1
        model.aborted += aborted
        if record.bill is not None:
            model.billed.add(record.bill)

    def _keep(self, path: str, headers: list[tuple[bytes, bytes]], body: bytes) -> dict[str, Any]:
        pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
        text = body[:MAX_KEPT_BYTES].decode("utf-8", "replace")
        kept: dict[str, Any] = {"path": path, "headers": pairs, "body": text}
        self._kept.append(kept)
        self._kept_bytes += len(text)
        while len(self._kept) > self._keeps or self._kept_bytes > self._keeps_bytes:
            self._kept_bytes -= len(self._kept.popleft()["body"])
        return kept

    def counts(self) -> bytes:
        """Return the counts as JSON."""
        billed = Bill()
        for model in self._models.values():
            billed.add(model.billed)
        return msgspec.json.encode(
            {
                "requests": self.requests,
                "open": self.open,
                "open_streams": self.open_streams,
                "aborted": self.aborted,
                "completed": self.completed,
                "connections": self.connections,
                "connections_made": self.connections_made,
                "paths": dict(self.paths),
                "statuses": {str(status): count for status, count in self.statuses.items()},
                "models": {
                    name: {"calls": model.calls, "aborted": model.aborted, "billed": _shown(model.billed)}
                    for name, model in self._models.items()
                },
                "billed": _shown(billed),
            }
        )

    def kept(self) -> bytes:
        """Return the last requests as JSON, oldest first."""
        return msgspec.json.encode(list(self._kept))


def _shown(bill: Bill | None) -> dict[str, Any]:
    """Return a bill for JSON; the price is text, so that it stays exact."""
    bill = bill or Bill()
    return {**asdict(bill), "cost": f"{bill.cost:f}"}
