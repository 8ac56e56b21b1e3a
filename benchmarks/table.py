"""The run's figures as Markdown: one table of all, one against what Tidegate must hold."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.results import Results, machine, versions
from benchmarks.scenarios import RATES, STREAMS, pace

SMALL, LARGE = "closed 1 kB", "closed 80 kB, 25 tools"
LARGEST = "100 kB, 25 tools"
OURS, REFERENCE = "Tidegate", "nginx"
RIVALS = {"LiteLLM": 45.0, "Portkey": 2.7}


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of every peer."""

    label: str
    value: Callable[[str], float | None]


def ratio(results: Results, scenario: str, peer: str, figure: str) -> float | None:
    """The peer's figure in multiples of nginx's."""
    own, reference = (results.median(scenario, name, figure) for name in (peer, REFERENCE))
    return own / reference if own is not None and reference else None


def per_cpu_second(results: Results, peer: str) -> float | None:
    """Calls that one second of CPU carries, 1 kB at 64 connections."""
    cpu_us = results.median(SMALL, peer, "cpu_us")
    return 1e6 / cpu_us if cpu_us else None


def rows(results: Results) -> list[Row]:
    """All figures, in the order of the table."""

    def median(label: str, scenario: str, figure: str) -> Row:
        return Row(label, lambda peer: results.median(scenario, peer, figure))

    def added(label: str, scenario: str, figure: str) -> Row:
        return Row(label, lambda peer: results.added(scenario, peer, figure) if peer != "direct" else None)

    made = [
        median("CPU per call, 64 connections, 1 kB (us)", SMALL, "cpu_us"),
        Row("- times nginx", lambda peer: ratio(results, SMALL, peer, "cpu_us")),
        Row("- calls per CPU-second", lambda peer: per_cpu_second(results, peer)),
        median("CPU per call, 64 connections, 80 kB with 25 tools (us)", LARGE, "cpu_us"),
        Row("- times nginx", lambda peer: ratio(results, LARGE, peer, "cpu_us")),
    ]
    for rate in RATES:
        made += [
            median(f"CPU per call at {rate} calls/s (us)", f"open {rate}", "cpu_us"),
            added("- added latency p50 (ms)", f"open {rate}", "p50_ms"),
            added("- added latency p99 (ms)", f"open {rate}", "p99_ms"),
            median("- failed or unsent calls", f"open {rate}", "lost"),
        ]
    made += [
        median("Wait on a cheap route at 200 calls/s, p99.9 (ms)", "open 200", "stall_p999_ms"),
        median("- longest (ms)", "open 200", "stall_max_ms"),
    ]
    for streams in STREAMS:
        made += [
            median(f"CPU per chunk, {streams:,} streams (us)", f"streams {streams}", "event_us"),
            median(
                f"- chunks per second ({pace(streams):g} a stream sent)", f"streams {streams}", "events_per_s"
            ),
            added("- added time to first token p50 (ms)", f"streams {streams}", "ttft_p50_ms"),
            added("- added time to first token p99 (ms)", f"streams {streams}", "ttft_p99_ms"),
        ]
    return [
        *made,
        median("CPU per call, 8.5 kB, a provider of the same dialect (us)", "translated", "straight_us"),
        median("- translated, to one of the other dialect (us)", "translated", "translated_us"),
        median("CPU per chunk, 50 streams, the same dialect (us)", "translated", "straight_event_us"),
        median("- translated, from the other dialect (us)", "translated", "translated_event_us"),
        median("Four budgets, added CPU per call, 1 kB, in process, p50 (us)", "hold 1 kB", "added_p50_us"),
        median("- 100 kB with 25 tools, p50 (us)", f"hold {LARGEST}", "added_p50_us"),
        median("- 100 kB with 25 tools, p99 (us)", f"hold {LARGEST}", "added_p99_us"),
        Row("Ready after start (s)", lambda peer: _ready(results, peer)),
        median("Resident memory, idle (MB)", "memory", "idle_mb"),
        median("- after 20,000 calls (MB)", "memory", "after_20000_mb"),
        median("- after all calls of this part (MB)", "memory", "after_mb"),
        median("- calls of this part", "memory", "calls"),
        median("Control process: CPU per call, 64 connections, 1 kB (us)", SMALL, "control_us"),
        median("- CPU per call at 200 calls/s (us)", "open 200", "control_us"),
        median("- resident memory, idle (MB)", "memory", "control_idle_mb"),
        median("- resident memory after all calls (MB)", "memory", "control_after_mb"),
    ]


def _ready(results: Results, peer: str) -> float | None:
    found = results.ready_s.get(peer)
    return min(found.values()) if found else None


def markdown(results: Results, command: str) -> str:
    """Both tables, under the facts that they hold for."""
    peers = results.peers
    here, with_ = machine(), versions()
    processor = here["processor"] or here["architecture"]
    head = (
        f"Measured {results.began[:10]} on {here['cores']} cores ({processor}, {here['system']} "
        f"{here['kernel']}; load average before the run {results.load:.1f}), {with_['python']}, "
        f"nginx {with_.get('nginx', '-')}, by `{command}`: medians of {results.effort.rounds} "
        "interleaved round(s)."
    )
    lines = [head]
    lines += [f"\nNot measured: {name}: {why}" for name, why in results.skipped.items()]
    lines += ["", *musts(results), "", f"| | {' | '.join(peers)} |", f"|---|{'---:|' * len(peers)}"]
    for row in rows(results):
        cells = [shown(row.value(peer)) for peer in peers]
        lines.append(f"| {row.label} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def musts(results: Results) -> list[str]:
    """What Tidegate must hold, what it measured, and whether it held."""

    def of(scenario: str, figure: str) -> float | None:
        return results.median(scenario, OURS, figure)

    def times(own: float | None, other: float | None) -> float | None:
        return own / other if own is not None and other else None

    ready = results.ready_s.get(OURS, {})
    grown = times(of("memory", "after_mb"), of("memory", "idle_mb"))
    checks: list[tuple[str, str, float | None, float]] = [
        ("CPU per call, 1 kB, in nginx's", "at most 10", ratio(results, SMALL, OURS, "cpu_us"), 10),
        ("CPU per streamed chunk (us), 50 streams", "at most 60", of("streams 50", "event_us"), 60),
        (
            "added latency p50 at 200 calls/s (ms)",
            "at most 1.5",
            results.added("open 200", OURS, "p50_ms"),
            1.5,
        ),
        (
            "added latency p99 at 200 calls/s (ms)",
            "at most 10",
            results.added("open 200", OURS, "p99_ms"),
            10,
        ),
        (
            "added time to first token p99, 50 streams (ms)",
            "at most 10",
            results.added("streams 50", OURS, "ttft_p99_ms"),
            10,
        ),
        ("loop stall p99.9 at 200 calls/s (ms)", "at most 20", of("open 200", "stall_p999_ms"), 20),
        ("added CPU per translated call, 8.5 kB (us)", "at most 200", of("translated", "added_us"), 200),
        ("added CPU per translated chunk (us)", "at most 30", of("translated", "added_event_us"), 30),
        ("hold, added CPU p99, 100 kB (us)", "at most 150", of(f"hold {LARGEST}", "added_p99_us"), 150),
        ("gateway ready after start (s)", "at most 1", ready.get("gateway alone"), 1),
        ("both processes ready after start (s)", "at most 1", ready.get("both"), 1),
        ("gateway resident, idle (MB)", "at most 70", of("memory", "idle_mb"), 70),
        ("gateway resident after all calls, in idle's", "at most 1.10", grown, 1.1),
        ("control process, CPU per call (us)", "at most 60", of(SMALL, "control_us"), 60),
        ("control process, resident (MB)", "at most 150", of("memory", "control_after_mb"), 150),
    ]
    lines = ["| Tidegate | must | measured | |", "|---|---|---:|---|"]
    lines += [
        f"| {label} | {must} | {shown(value)} | {_held(value, limit)} |"
        for label, must, value, limit in checks
    ]
    for rival, least in RIVALS.items():
        if rival not in results.peers:
            continue
        gain = times(per_cpu_second(results, OURS), per_cpu_second(results, rival))
        held = "" if gain is None else "held" if gain >= least else "**not held**"
        lines.append(f"| calls per CPU-second, in {rival}'s | at least {least:g} | {shown(gain)} | {held} |")
    return lines


def _held(value: float | None, limit: float) -> str:
    if value is None or math.isnan(value):
        return ""
    return "held" if value <= limit else "**not held**"


def shown(value: float | None) -> str:
    """Three figures that count; a dash for what was not measured."""
    if value is None or math.isnan(value):
        return "-"
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
