"""What the scripted provider has seen, for tests to ask: `GET /__stats` and `GET /__requests`."""

from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from tidegate.upstream.client import Client


@dataclass(slots=True)
class Record:
    """One exchange; `whole` once its reply is."""

    whole: bool = False


class Stats:
    """Counts exchanges. `aborted`: the client left before the reply was whole."""

    def __init__(self, keep_requests: int) -> None:
        self.requests = 0
        self.open = 0
        self.open_streams = 0
        self.aborted = 0
        self.completed = 0
        self.paths: Counter[str] = Counter()
        self._kept: deque[dict[str, Any]] = deque(maxlen=keep_requests)
        self._keeps = keep_requests > 0

    @contextmanager
    def exchange(
        self, path: str, headers: list[tuple[bytes, bytes]], body: bytes, client: Client
    ) -> Iterator[Record]:
        """Count one exchange, and stop watching its client when it ends."""
        self.requests += 1
        self.paths[path] += 1
        if self._keeps:
            pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
            self._kept.append({"path": path, "headers": pairs, "body": body.decode("utf-8", "replace")})
        record = Record()
        self.open += 1
        try:
            yield record
        finally:
            self.open -= 1
            if record.whole:
                self.completed += 1
            elif client.gone:
                self.aborted += 1
            client.close()

    def counts(self) -> bytes:
        """Return the counts as JSON."""
        return msgspec.json.encode(
            {
                "requests": self.requests,
                "open": self.open,
                "open_streams": self.open_streams,
                "aborted": self.aborted,
                "completed": self.completed,
                "paths": dict(self.paths),
            }
        )

    def kept(self) -> bytes:
        """Return the last requests as JSON, oldest first."""
        return msgspec.json.encode(list(self._kept))
