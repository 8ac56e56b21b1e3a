"""What is done to each peer, and what is read from it."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks import bodies
from benchmarks.bodies import Body
from benchmarks.client import Streams, Tally, closed_loop, open_loop, probe
from benchmarks.peers import Peer
from benchmarks.processes import cpu_ns, resident_bytes

CONNECTIONS = 64
RATES = (20, 200)
STREAMS = (10, 50, 200)
PROBE_EVERY_S = 0.005
FIRST_TOKENS_PER_S = 25.0
QUIET_NS, QUIET_LOOK_S, QUIET_WITHIN_S = 8_000_000, 0.2, 15.0
MEGABYTE = 1_000_000

Figures = dict[str, float]


@dataclass(frozen=True, slots=True)
class Effort:
    """How long each part takes, in seconds, and how often it is done."""

    rounds: int
    closed_s: float
    open_s: float
    window_s: float
    ttft_s: float
    warm_calls: int
    memory_calls: int
    memory_s: float


QUICK = Effort(
    rounds=1,
    closed_s=1.5,
    open_s=2.5,
    window_s=1.5,
    ttft_s=2,
    warm_calls=300,
    memory_calls=20_000,
    memory_s=10,
)
FULL = Effort(
    rounds=3, closed_s=4, open_s=6, window_s=3, ttft_s=4, warm_calls=2_000, memory_calls=100_000, memory_s=60
)


class Meter:
    """CPU of a peer over a stretch of time, its control process apart and with what it does afterwards."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._proxy_ns, self._beside_ns = cpu_ns(peer.pids), cpu_ns(peer.beside)

    def proxy_us(self) -> float:
        """Microseconds so far."""
        return (cpu_ns(self._peer.pids) - self._proxy_ns) / 1000

    async def beside_us(self) -> float:
        """Microseconds of the processes counted apart, once they have caught up."""
        await quiet(self._peer.beside)
        return (cpu_ns(self._peer.beside) - self._beside_ns) / 1000


async def quiet(pids: Sequence[int]) -> None:
    """Return once these processes use less than 4 % of a core."""
    until_s = time.monotonic() + QUIET_WITHIN_S
    while pids and time.monotonic() < until_s:
        before_ns = cpu_ns(pids)
        await asyncio.sleep(QUIET_LOOK_S)
        if cpu_ns(pids) - before_ns < QUIET_NS:
            return


async def closed(peer: Peer, body: Body, effort: Effort) -> Figures:
    """64 connections, each with a call in flight all the time; the provider answers at once."""
    meter = Meter(peer)
    tally = await closed_loop(peer.address, body.raw, connections=CONNECTIONS, for_s=effort.closed_s)
    return await _figures(peer, meter, tally)


async def opened(peer: Peer, rate: int, effort: Effort) -> Figures:
    """Calls at set times; the provider answers after 60 ms. A prober asks a cheap route every 5 ms."""
    meter, over = Meter(peer), asyncio.Event()
    body = bodies.small("slow").raw
    tally = await open_loop(peer.address, body, per_s=rate, for_s=effort.open_s)
    figures = await _figures(peer, meter, tally)
    probing = asyncio.create_task(probe(peer.address, peer.probe, every_s=PROBE_EVERY_S, until=over))
    await open_loop(peer.address, body, per_s=rate, for_s=effort.open_s)
    over.set()
    waits_s = await probing
    return figures | {"stall_p999_ms": quantile(waits_s, 0.999) * 1000, "stall_max_ms": max(waits_s) * 1000}


async def streamed(peer: Peer, streams: int, effort: Effort) -> Figures:
    """Streams of 25 events a second; then short ones beside them, for the time to first token."""
    running = Streams(peer.address, bodies.small("slow", stream=True).raw)
    try:
        await running.start(streams, within_s=0.5)
        for _ in range(100):
            if running.begun == streams:
                break
            await asyncio.sleep(0.05)
        meter, events, began_s = Meter(peer), running.events, time.monotonic()
        await asyncio.sleep(effort.window_s)
        used_us, events = meter.proxy_us(), running.events - events
        took_s = time.monotonic() - began_s
        waits_s = await running.first_tokens(per_s=FIRST_TOKENS_PER_S, for_s=effort.ttft_s)
    finally:
        running.abort()
    figures = {
        "events_per_s": events / took_s,
        "ttft_p50_ms": quantile(waits_s, 0.5) * 1000,
        "ttft_p99_ms": quantile(waits_s, 0.99) * 1000,
        "lost": float(running.ended),
    }
    await quiet((*peer.pids, *peer.beside))
    return figures | ({"event_us": used_us / max(1, events)} if peer.pids else {})


async def memory(peer: Peer, effort: Effort) -> Figures:
    """Resident memory before and after many calls."""
    figures = {"idle_mb": resident_bytes(peer.pids) / MEGABYTE}
    if peer.beside:
        figures["control_idle_mb"] = resident_bytes(peer.beside) / MEGABYTE
    body, done, until_s = bodies.small("fast").raw, 0, time.monotonic() + effort.memory_s
    for mark in (effort.warm_calls, 20_000, effort.memory_calls):
        left_s = until_s - time.monotonic()
        if left_s > 0 and mark > done:
            tally = await closed_loop(
                peer.address, body, connections=CONNECTIONS, for_s=left_s, calls=mark - done
            )
            done += len(tally.latencies_s)
            await quiet((*peer.pids, *peer.beside))
        if done >= mark:
            figures[f"after_{mark}_mb"] = resident_bytes(peer.pids) / MEGABYTE
    figures |= {"calls": float(done), "after_mb": resident_bytes(peer.pids) / MEGABYTE}
    if peer.beside:
        figures["control_after_mb"] = resident_bytes(peer.beside) / MEGABYTE
    return figures


async def _figures(peer: Peer, meter: Meter, tally: Tally) -> Figures:
    calls = len(tally.latencies_s)
    figures = {
        "calls": float(calls),
        "lost": float(tally.failed + tally.unsent),
        "calls_per_s": calls / tally.wall_s,
        "p50_ms": quantile(tally.latencies_s, 0.5) * 1000,
        "p99_ms": quantile(tally.latencies_s, 0.99) * 1000,
    }
    if peer.pids and calls:
        figures["cpu_us"] = meter.proxy_us() / calls
    if peer.beside and calls:
        figures["control_us"] = await meter.beside_us() / calls
    return figures


def quantile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all do not exceed; NaN of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")
