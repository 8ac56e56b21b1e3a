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
from benchmarks.provider import CALM_CHUNK_EVERY_S, CHUNK_EVERY_S

CONNECTIONS = 64
RATES = (20, 200)
STREAMS = (10, 50, 200, 1_000)
CALM_FROM = 1_000
"""So many streams have a lower pace: 25 chunks a second each would be more than a core of Python sends."""
STARTS_PER_S = 400
PER_STREAM_FILES, OTHER_FILES = 2, 256
CARRIES = 0.8
TRANSLATED_STREAMS = 50
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
    """Streams of 25 or 10 events a second; then short ones beside them, for the time to first token."""
    model = "calm" if streams >= CALM_FROM else "slow"
    running = Streams(peer.address, bodies.small(model, stream=True).raw)
    try:
        events_per_s, used_us = await _window(peer, running, streams, effort.window_s)
        waits_s = await running.first_tokens(per_s=FIRST_TOKENS_PER_S, for_s=effort.ttft_s)
    finally:
        running.abort()
    figures = {
        "events_per_s": events_per_s,
        "ttft_p50_ms": quantile(waits_s, 0.5) * 1000,
        "ttft_p99_ms": quantile(waits_s, 0.99) * 1000,
        "lost": float(running.ended),
    }
    await quiet((*peer.pids, *peer.beside))
    return figures | ({"event_us": used_us} if peer.pids else {})


async def _window(peer: Peer, running: Streams, streams: int, window_s: float) -> tuple[float, float]:
    """Start streams; give events a second and microseconds of CPU an event, in their middle."""
    await running.start(streams, within_s=max(0.5, streams / STARTS_PER_S))
    for _ in range(100):
        if running.begun == streams:
            break
        await asyncio.sleep(0.05)
    meter, events, began_s = Meter(peer), running.events, time.monotonic()
    await asyncio.sleep(window_s)
    used_us, events = meter.proxy_us(), running.events - events
    return events / (time.monotonic() - began_s), used_us / max(1, events)


def pace(streams: int) -> float:
    """Chunks a second that the provider sends each of so many streams."""
    return 1 / (CALM_CHUNK_EVERY_S if streams >= CALM_FROM else CHUNK_EVERY_S)


def why_not(streams: int, at_fewer: Figures | None, fewer: int, files: int) -> str:
    """Why a peer cannot be asked for so many streams, or nothing: too few open files, or it fell behind."""
    need = PER_STREAM_FILES * streams + OTHER_FILES
    if files < need:
        return f"{files:,} open files are allowed and {need:,} are needed (ulimit -n)"
    sent_per_s = fewer * pace(fewer)
    if at_fewer is not None and at_fewer["events_per_s"] < CARRIES * sent_per_s:
        carried = at_fewer["events_per_s"]
        return f"at {fewer} it carried {carried:,.0f} of {sent_per_s:,.0f} chunks per second"
    return ""


async def translated(peer: Peer, effort: Effort) -> Figures:
    """What the other dialect costs: the same calls and streams to a provider of each, in turns."""
    calls_us: dict[str, list[float]] = {"fast": [], "fast-messages": []}
    for model in calls_us:
        await closed_loop(peer.address, bodies.middle(model).raw, connections=8, for_s=0.3)
    for model in [*calls_us, *reversed(calls_us)]:
        meter, body = Meter(peer), bodies.middle(model).raw
        tally = await closed_loop(peer.address, body, connections=CONNECTIONS, for_s=effort.closed_s / 2)
        if tally.failed or not tally.latencies_s:
            raise RuntimeError(f"{tally.failed} calls of {model} failed")
        calls_us[model].append(meter.proxy_us() / len(tally.latencies_s))
        await quiet((*peer.pids, *peer.beside))
    straight_us, translated_us = (sum(values) / len(values) for values in calls_us.values())
    events_us = []
    for model in ("slow", "slow-messages"):
        running = Streams(peer.address, bodies.small(model, stream=True).raw)
        try:
            events_us.append((await _window(peer, running, TRANSLATED_STREAMS, effort.window_s))[1])
        finally:
            running.abort()
        await quiet((*peer.pids, *peer.beside))
    return {
        "straight_us": straight_us,
        "translated_us": translated_us,
        "added_us": translated_us - straight_us,
        "straight_event_us": events_us[0],
        "translated_event_us": events_us[1],
        "added_event_us": events_us[1] - events_us[0],
    }


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
