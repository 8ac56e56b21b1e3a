"""One soak, from its first call to a Tidegate that has stopped."""

import asyncio
import random
import statistics
import subprocess
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from benchmarks.processes import resident_bytes
from benchmarks.soak import books
from benchmarks.soak.faults import plan
from benchmarks.soak.house import House, sockets
from benchmarks.soak.traffic import Traffic

MEGABYTE = 1_000_000
MINUTE_S = 60.0
GROWS_BY = 1.05
PAGE_CACHE_MB = {"control": 38.0}
"""What SQLite may keep of the tables: 32 MiB and what keeping them takes, full after some 30,000 calls."""
LOOK_S, LOOKS = 1.0, 15
"""Resident memory is the median of so many looks."""
STUCK_US = 60_000_000
QUIET_S, STOP_S = 30.0, 30.0
AGAIN_S = 0.1
RAMP_S = 5.0
ENOUGH_CALLS = 20_000


def _looks() -> "dict[str, deque[float]]":
    return {"gateway": deque(maxlen=LOOKS), "control": deque(maxlen=LOOKS)}


@dataclass
class Soak:
    """What is found wrong goes into `problems`, by what was checked. `share`: of a provider's calls."""

    house: House
    traffic: Traffic
    for_s: float
    chance: random.Random
    share: float
    problems: dict[str, list[str]] = field(default_factory=dict)
    _memory: "dict[str, deque[float]]" = field(default_factory=_looks)
    _idle_mb: dict[str, float] = field(default_factory=dict)
    _base_mb: dict[str, float] = field(default_factory=dict)
    _least_open: int = 0

    async def run(self) -> None:
        """Load, fall quiet, stop, and check."""
        before = sockets(self.house.gateway)
        self._look()
        self._idle_mb = {name: looks[-1] for name, looks in self._memory.items()}
        await self._load()
        await self._quiet(before)
        await self._stop()
        await self._check()

    async def _load(self) -> None:
        await self._plan()
        load = asyncio.create_task(self.traffic.run(min(RAMP_S, self.for_s / 10)))
        begun_s, minute = time.monotonic(), 0
        self._least_open = self.traffic.width
        while (elapsed_s := time.monotonic() - begun_s) < self.for_s and not load.done():
            await asyncio.sleep(min(LOOK_S, self.for_s - elapsed_s))
            self._look()
            self._least_open = min(self._least_open, self.traffic.open)
            if time.monotonic() - begun_s >= (minute + 1) * MINUTE_S:
                minute += 1
                await self._minute(minute)
                await self._plan()
        self.traffic.stop()
        await load

    async def _plan(self) -> None:
        """See to it that every provider has faults for the calls of the next minutes."""
        for port in self.house.providers:
            if self.share and await asyncio.to_thread(books.waiting, port) < ENOUGH_CALLS:
                raw = plan(self.chance, self.share)
                await asyncio.to_thread(books.give_scripts, port, "POST", raw)

    def _look(self) -> None:
        gateway, control = self.house.pids()
        if (gateway, control) != (self.house.gateway, self.house.control):
            self._note("processes", ["a process ended and was started again"])
            return
        for name, pid in (("gateway", gateway), ("control", control)):
            self._memory[name].append(resident_bytes((pid,)) / MEGABYTE)

    async def _minute(self, minute: int) -> None:
        """Check what can be checked while calls run, and say how it is."""
        before_us = time.time_ns() // 1_000 - STUCK_US
        self._note("open calls", await asyncio.to_thread(books.stuck, self.house, before_us))
        self._note("log", await asyncio.to_thread(books.log_alarms, self.house.log))
        self._note("clients", books.clients(self.traffic.ended()))
        now_mb = {name: statistics.median(looks) for name, looks in self._memory.items() if looks}
        self._base_mb = self._base_mb or now_mb
        for name, resident_mb in now_mb.items():
            base_mb = self._base_mb[name]
            filled_mb = self._idle_mb[name] + PAGE_CACHE_MB.get(name, 0.0)
            if resident_mb > GROWS_BY * max(base_mb, filled_mb):
                grown = f"{base_mb:.1f} MB after the first minute, {resident_mb:.1f} MB after {minute}"
                self._note(f"resident memory of {name}", [grown])
        self._say(f"minute {minute}, at least {self._least_open} at once", now_mb)
        self._least_open = self.traffic.width

    def _say(self, when: str, memory_mb: dict[str, float]) -> None:
        memory = ", ".join(f"{name} {resident_mb:.1f} MB" for name, resident_mb in memory_mb.items())
        print(
            f"{when}: {len(self.traffic.calls):,} calls ({counts(self.traffic.ends())});"
            f" {memory}; {sum(map(len, self.problems.values()))} problems",
            flush=True,
        )

    async def _quiet(self, before: int) -> None:
        """Everything opened is closed again; then as many calls as are allowed at once find their places."""
        await self._until("unsettled calls", lambda: books.unclosed(self.house))
        await self._places()
        self._look()
        self._say("the end", {name: looks[-1] for name, looks in self._memory.items() if looks})
        await self._until("unsettled calls", lambda: books.unclosed(self.house))
        await self._until("open calls at providers", lambda: self._at_providers("open"))
        wait_out = self.for_s >= MINUTE_S  # long enough to wait for the idle connections to providers too

        def opened() -> int:
            idle = 0 if wait_out else self._at_providers("connections")
            return sockets(self.house.gateway) - before - idle

        await self._until("open connections", opened)

    async def _places(self) -> None:
        """No ended call still has a place: all places are taken at once. Breakers may have to cool first."""
        for port in self.house.providers:
            await asyncio.to_thread(books.give_scripts, port, "DELETE")
        until_s, refused = time.monotonic() + QUIET_S, self.house.concurrent
        while refused and time.monotonic() < until_s:
            wave = await self.traffic.wave(self.house.concurrent)
            refused = sum(given.status != 200 for given in wave)
            await asyncio.sleep(AGAIN_S)
        self._note("places", [f"{refused} of {self.house.concurrent} calls were refused"] if refused else [])

    def _at_providers(self, name: str) -> int:
        own = 1 if name == "connections" else 0
        return sum(int(books.stats(port)[name]) - own for port in self.house.providers)

    async def _stop(self) -> None:
        self.house.process.terminate()
        try:
            status = await asyncio.to_thread(self.house.process.wait, STOP_S)
        except subprocess.TimeoutExpired:
            status = None
        self._note("stop", [f"ended with status {status}"] if status != 0 else [])
        await self._until("connections to providers", lambda: self._at_providers("connections"))

    async def _check(self) -> None:
        calls = self.traffic.calls
        self._note("clients", books.clients(calls))
        self._note("rows", await asyncio.to_thread(lambda: list(books.one_row_each(self.house, calls))))
        self._note("journal", await asyncio.to_thread(lambda: list(books.open_begins(self.house))))
        compared = await asyncio.to_thread(books.against_providers, self.house)
        self._note("bills", compared.problems)
        self._note("log", books.log_alarms(self.house.log))
        faults = Counter(given.fault for given in calls if given.fault)
        outcomes = books.rows(self.house.database, "SELECT outcome, COUNT(*) AS n FROM request GROUP BY 1")
        print(f"faults: {counts(faults)}")
        print(f"rows: {counts({row['outcome'] or 'open': row['n'] for row in outcomes})}")
        print(f"bills: {compared.shown()}")

    async def _until(self, what: str, left: Callable[[], int]) -> None:
        """Wait until nothing is left of something."""
        until_s = time.monotonic() + QUIET_S
        while (count := await asyncio.to_thread(left)) and time.monotonic() < until_s:  # noqa: ASYNC110
            await asyncio.sleep(AGAIN_S)
        self._note(what, [f"{count} are left"] if count else [])

    def _note(self, name: str, found: Iterable[str]) -> None:
        """Keep the latest that was found wrong."""
        if listed := list(found):
            self.problems[name] = listed
            for problem in listed:
                print(f"  {name}: {problem}", flush=True)


def counts(of: "dict[str, int] | Counter[str]") -> str:
    """Name and count of each, the most first."""
    ordered = sorted(of.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {count:,}" for name, count in ordered)
