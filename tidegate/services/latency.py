"""Measured latency and running calls of deployments, in memory."""

from typing import Self

from tidegate.policy.balance import SECOND_US, Latency, latency_now, with_sample

MAX_DEPLOYMENTS = 4096
DECAY_US = 10 * SECOND_US


class _Seen:
    __slots__ = ("latency", "running")

    def __init__(self) -> None:
        self.latency: Latency | None = None
        self.running = 0


class Latencies:
    """What balancing knows of each deployment. Times are of one clock that only rises, in microseconds.

    Beyond `max_deployments` names, the oldest without a running call is forgotten.
    """

    def __init__(self, *, decay_us: int = DECAY_US, max_deployments: int = MAX_DEPLOYMENTS) -> None:
        self._decay_us = decay_us
        self._max = max_deployments
        self._seen: dict[str, _Seen] = {}

    def __len__(self) -> int:
        return len(self._seen)

    def latency_us(self, name: str, now_us: int) -> int | None:
        """Return the time to first content to expect, None where none was measured."""
        seen = self._seen.get(name)
        return None if seen is None else latency_now(seen.latency, now_us, decay_us=self._decay_us)

    def running(self, name: str) -> int:
        """Return how many calls are under way."""
        seen = self._seen.get(name)
        return 0 if seen is None else seen.running

    def start(self, name: str) -> "Running":
        """Count a call until it ends; used as a context manager."""
        seen = self._seen.get(name)
        if seen is None:
            if len(self._seen) >= self._max:
                self._forget()
            seen = self._seen[name] = _Seen()
        return Running(seen, self._decay_us)

    def _forget(self) -> None:
        oldest = next((name for name, seen in self._seen.items() if not seen.running), None)
        if oldest is not None:
            del self._seen[oldest]


class Running:
    """One call under way."""

    __slots__ = ("_decay_us", "_ended", "_seen")

    def __init__(self, seen: _Seen, decay_us: int) -> None:
        self._seen = seen
        self._decay_us = decay_us
        self._ended = False
        seen.running += 1

    def first_content(self, took_us: int, now_us: int) -> None:
        """Take in how long the first content took; a failed call is told as the time it was waited for."""
        self._seen.latency = with_sample(self._seen.latency, took_us, now_us, decay_us=self._decay_us)

    def end(self) -> None:
        """Count the call no longer; a second time does nothing."""
        if not self._ended:
            self._ended = True
            self._seen.running -= 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.end()
