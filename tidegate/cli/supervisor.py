"""Keeps processes running: starts, restarts, replaces and stops them. It owns nothing but their lives."""

import asyncio
import logging
import signal
import subprocess
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import dataclass, field

from tidegate.model.errors import Unavailable

log = logging.getLogger("tidegate")

LOOK_S = 0.05
RESTARTS, WINDOW_S = 8, 15.0
"""A child that dies is back at once, but no more than so many times in so many seconds."""
AGAIN_S = 1.0
SETTLE_S = 5.0
"""How long a child that was told twice may take to settle what it cancelled."""

Process = subprocess.Popen[bytes]
IsReady = Callable[[], Awaitable[bool]]
"""Whether a new process serves. Raises Unavailable where it is certain that it never will."""


@dataclass(frozen=True, slots=True)
class Child:
    """A process to keep. `reloads`: SIGHUP is passed on to it."""

    name: str
    command: Sequence[str]
    reloads: bool = False


@dataclass(slots=True)
class _Kept:
    child: Child
    process: Process | None = None
    start_at_s: float = 0.0
    held: bool = False
    """It is being replaced: nobody else starts it."""
    deaths: "deque[float]" = field(default_factory=lambda: deque(maxlen=RESTARTS))
    beside: list[Process] = field(default_factory=list)
    """Those that drain, and one that is not ready yet."""

    def running(self) -> Iterator[Process]:
        """Every process of it that has not ended."""
        every = (self.process, *self.beside)
        yield from (one for one in every if one is not None and one.poll() is None)


class Supervisor:
    """Runs children until SIGTERM or SIGINT, which drain; a second cancels what runs, a third kills.

    `stop_s` is how long all of it may take.
    """

    def __init__(
        self,
        children: Sequence[Child],
        *,
        env: Mapping[str, str],
        keep_fds: Sequence[int] = (),
        stop_s: float = 60.0,
    ) -> None:
        self.stop_s = stop_s
        self._kept = {child.name: _Kept(child) for child in children}
        self._env = env
        self._keep_fds = tuple(keep_fds)
        self._stops = 0

    async def run(self, beside: AbstractAsyncContextManager[object] | None = None) -> int:
        """Keep the children alive; give the exit status once all have ended. `beside` is open meanwhile."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_stop)
        loop.add_signal_handler(signal.SIGHUP, self._on_reload)
        async with beside or nullcontext():
            while not self._stops:
                self._look()
                await asyncio.sleep(LOOK_S)
        return await self._stop()

    def pid(self, name: str) -> int | None:
        """The process id of a child that runs."""
        process = self._kept[name].process
        return process.pid if process is not None and process.poll() is None else None

    async def replace(self, name: str, is_ready: IsReady, *, stop_s: float, ready_s: float) -> Process:
        """End a child and start it again; give the new process once it is ready.

        Raises Unavailable where it is not ready in time; it is kept running, or restarted, all the same.
        """
        kept = self._kept[name]
        kept.held = True
        try:
            old = kept.process
            if old is not None and old.poll() is None:
                old.send_signal(signal.SIGTERM)
                if not await self._ended([old], stop_s):
                    old.kill()
                    await self._ended([old], SETTLE_S)
            kept.process = new = self._start(kept.child)
        finally:
            kept.held = False
        await self._ready(name, new, is_ready, ready_s)
        return new

    async def add_beside(
        self, name: str, is_ready: IsReady, *, ready_s: float, env: Mapping[str, str], keep_fds: Sequence[int]
    ) -> tuple[Process, Process | None]:
        """Start a child beside the one that runs; once it is ready it takes its place and the old one drains.

        Gives the new process and the old one. Raises Unavailable where it is not ready in time: it is ended,
        and the old one goes on.
        """
        kept = self._kept[name]
        new = self._start(kept.child, env=env, keep_fds=keep_fds)
        kept.beside.append(new)
        try:
            await self._ready(name, new, is_ready, ready_s)
        except BaseException:
            new.send_signal(signal.SIGTERM)
            if not await self._ended([new], SETTLE_S):
                new.kill()
            raise
        kept.beside = [one for one in kept.beside if one is not new]
        old, kept.process = kept.process, new
        if old is not None:
            kept.beside.append(old)
            old.send_signal(signal.SIGTERM)
        return new, old

    def _on_stop(self) -> None:
        self._stops += 1

    def _on_reload(self) -> None:
        for kept in self._kept.values():
            if kept.child.reloads and kept.process is not None:
                kept.process.send_signal(signal.SIGHUP)

    def _look(self) -> None:
        now_s = time.monotonic()
        for kept in self._kept.values():
            kept.beside = [old for old in kept.beside if old.poll() is None]
            if kept.held:
                continue
            if kept.process is not None and kept.process.poll() is not None:
                self._died(kept, now_s)
            if kept.process is None and now_s >= kept.start_at_s:
                try:
                    kept.process = self._start(kept.child)
                except Unavailable as error:
                    log.error("%s", error.message)  # noqa: TRY400 - said once a second, without a trace
                    kept.start_at_s = now_s + AGAIN_S

    def _start(
        self, child: Child, *, env: Mapping[str, str] | None = None, keep_fds: Sequence[int] = ()
    ) -> Process:
        """Start a child in a process group of its own: Ctrl-C is for us alone, who tell it once."""
        if self._stops:
            raise Unavailable("Tidegate is stopping.")
        try:
            return subprocess.Popen(  # noqa: S603 - our own command line
                child.command,
                env={**self._env, **(env or {})},
                pass_fds=(*self._keep_fds, *keep_fds),
                process_group=0,
            )
        except OSError as error:
            raise Unavailable(f"The {child.name} process cannot be started: {error.strerror}.") from error

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

    async def _ready(self, name: str, new: Process, is_ready: IsReady, within_s: float) -> None:
        until_s = time.monotonic() + within_s
        while not await is_ready():
            if new.poll() is not None:
                raise Unavailable(f"The new {name} process ended with status {new.returncode}; see the log.")
            if self._stops:
                raise Unavailable("Tidegate is stopping.")
            if time.monotonic() > until_s:
                raise Unavailable(f"The new {name} process was not ready within {within_s:g} s; see the log.")
            await asyncio.sleep(LOOK_S)

    async def _stop(self) -> int:
        """End the gateway before the control process, so that what it wrote last is projected."""
        log.info("stopping")
        until_s = time.monotonic() + self.stop_s
        for kept in reversed(self._kept.values()):
            running = list(kept.running())
            _tell(running)
            if not await self._ended(running, until_s - time.monotonic(), unless_told=1):
                _tell(running)
                if not await self._ended(running, SETTLE_S, unless_told=2):
                    for process in running:
                        process.kill()
                    await self._ended(running, SETTLE_S)
        return 0

    async def _ended(
        self, processes: Sequence[Process], within_s: float, *, unless_told: float = float("inf")
    ) -> bool:
        """Wait until processes have ended; False after so many seconds, or more than so many stops."""
        until_s = time.monotonic() + within_s
        while any(process.poll() is None for process in processes):
            if time.monotonic() >= until_s or self._stops > unless_told:
                return False
            await asyncio.sleep(LOOK_S)
        return True


def _tell(processes: Sequence[Process]) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
