"""Keeps processes running: starts, restarts, replaces and stops them. It owns nothing but their lives."""

import logging
import signal
import subprocess
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

log = logging.getLogger("tidegate")

LOOK_S = 0.05
RESTARTS, WINDOW_S = 8, 15.0
"""A child that dies is back at once, but no more than so many times in so many seconds."""
STOP_S = 60.0


@dataclass(frozen=True, slots=True)
class Child:
    """A process to keep. `overlaps`: on SIGHUP a new one starts before the old one is asked to drain."""

    name: str
    command: Sequence[str]
    overlaps: bool = False


@dataclass(slots=True)
class _Kept:
    child: Child
    process: "subprocess.Popen[bytes] | None" = None
    start_at_s: float = 0.0
    deaths: "deque[float]" = field(default_factory=lambda: deque(maxlen=RESTARTS))
    draining: "list[subprocess.Popen[bytes]]" = field(default_factory=list)


class Supervisor:
    """Runs children until SIGTERM or SIGINT; a second of these kills them."""

    def __init__(
        self, children: Sequence[Child], *, env: Mapping[str, str], keep_fds: Sequence[int] = ()
    ) -> None:
        self._kept = [_Kept(child) for child in children]
        self._env = env
        self._keep_fds = tuple(keep_fds)
        self._stops = 0
        self._replace = False

    def run(self) -> int:
        """Keep the children alive; give the exit status once all have ended."""
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGINT, self._on_stop)
        signal.signal(signal.SIGHUP, self._on_replace)
        while not self._stops:
            self._look()
            time.sleep(LOOK_S)
        return self._stop()

    def _on_stop(self, *_: object) -> None:
        self._stops += 1

    def _on_replace(self, *_: object) -> None:
        self._replace = True

    def _look(self) -> None:
        now_s = time.monotonic()
        if self._replace:
            self._replace = False
            for kept in self._kept:
                self._renew(kept)
        for kept in self._kept:
            kept.draining = [old for old in kept.draining if old.poll() is None]
            if kept.process is not None and kept.process.poll() is not None:
                self._died(kept, now_s)
            if kept.process is None and now_s >= kept.start_at_s:
                self._start(kept)

    def _start(self, kept: _Kept) -> None:
        kept.process = subprocess.Popen(  # noqa: S603 - our own command line
            kept.child.command, env=dict(self._env), pass_fds=self._keep_fds
        )

    def _died(self, kept: _Kept, now_s: float) -> None:
        assert kept.process is not None
        kept.deaths.append(now_s)
        wait_s = max(0.0, kept.deaths[0] + WINDOW_S - now_s) if len(kept.deaths) == RESTARTS else 0.0
        log.warning(
            "%s ended with status %s; starting it again in %.1f s",
            kept.child.name,
            kept.process.returncode,
            wait_s,
        )
        kept.process, kept.start_at_s = None, now_s + wait_s

    def _renew(self, kept: _Kept) -> None:
        """Replace a child: an overlapping one starts first, another one is told to end and started again."""
        old = kept.process
        if old is None:
            return
        if kept.child.overlaps:
            self._start(kept)
            kept.draining.append(old)
        old.send_signal(signal.SIGTERM)

    def _stop(self) -> int:
        """End the gateway before the control process, so that what it wrote last is projected."""
        log.info("stopping")
        for kept in reversed(self._kept):
            running = [one for one in (kept.process, *kept.draining) if one is not None]
            for process in running:
                with suppress(ProcessLookupError):
                    process.send_signal(signal.SIGTERM)
            self._wait(running)
        return 0

    def _wait(self, running: "list[subprocess.Popen[bytes]]") -> None:
        until_s = time.monotonic() + STOP_S
        while any(process.poll() is None for process in running):
            if self._stops > 1 or time.monotonic() > until_s:
                for process in running:
                    process.kill()
                    process.wait()
                return
            time.sleep(LOOK_S)
