"""Every part of the measurement, development half and held-out half apart."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from benchmarks.early_stop.cost import Cost, cost
from benchmarks.early_stop.degenerate import KINDS, MAX_PIECES, degenerate
from benchmarks.early_stop.figures import Quantile, Share, quantile
from benchmarks.early_stop.genuine import genuine
from benchmarks.early_stop.local_model import Skipped, written
from benchmarks.early_stop.outputs import outputs
from benchmarks.early_stop.pieces import Piece, as_stream, replay
from benchmarks.early_stop.recorded import recorded
from tidegate.policy.watch import WatchRules

Half = Literal["development", "held out"]
HALVES: tuple[Half, ...] = ("development", "held out")

HORIZONS = (2_048, 4_096, MAX_PIECES)
"""Output limits after the loop began: how many stops count depends on how long a loop is let run."""
FIRST_HELD_OUT_SEED = 10_000
"""Seeds below were looked at while the rules were made, those from here on only at the end."""


@dataclass
class Kept:
    """What should go on: how many did, by part; and the names of what was stopped."""

    counts: Counter[tuple[str, Half]] = field(default_factory=Counter)
    stops: Counter[tuple[str, Half]] = field(default_factory=Counter)
    stopped: list[str] = field(default_factory=list)
    unread: int = 0

    def add(self, part: str, half: Half, name: str, pieces: Iterable[Piece], rules: WatchRules) -> None:
        """Replay one and count it."""
        stop = replay(pieces, rules).stop
        self.counts[part, half] += 1
        if stop is not None:
            self.stops[part, half] += 1
            self.stopped.append(f"{part}: {name}: {stop.rule} at {stop.at_chars} ({half})")

    def share(self, part: str, half: Half) -> Share:
        """False stops among all."""
        return Share(self.stops[part, half], self.counts[part, half])


@dataclass
class Ended:
    """What should stop: how often it did, and how many pieces after it could be known."""

    counts: Counter[tuple[str, Half]] = field(default_factory=Counter)
    stops: Counter[tuple[str, Half]] = field(default_factory=Counter)
    early: Counter[Half] = field(default_factory=Counter)
    took: dict[Half, list[int]] = field(default_factory=dict)
    after: dict[tuple[str, Half], list[int]] = field(default_factory=dict)
    rules: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)

    def share(self, half: Half, kind: str = "") -> Share:
        """Stopped among all, of one kind or of every kind."""
        kinds = [name for name, of in self.counts if of == half and kind in ("", name)]
        return Share(
            sum(self.stops[name, half] for name in kinds), sum(self.counts[name, half] for name in kinds)
        )

    def within(self, half: Half, horizon: int) -> Share:
        """Stopped within so many tokens of the loop, among all."""
        return Share(sum(took <= horizon for took in self.took.get(half, ())), self.share(half).of)

    def tokens_after(self, half: Half, share: float, kind: str = "") -> Quantile | None:
        """A quantile of the tokens that came after the loop could be known."""
        names = [(name, of) for name, of in self.after if of == half and kind in ("", name)]
        return quantile([tokens for name in names for tokens in self.after[name]], share)


@dataclass
class Asked:
    """What the local model wrote; `why_not` says why it was not asked."""

    why_not: str = ""
    answers: int = 0
    degenerate: int = 0
    stopped: int = 0
    others_stopped: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    after: list[int] = field(default_factory=list)


@dataclass
class Measured:
    """All of it."""

    kept: Kept
    ended: Ended
    asked: Asked
    cost: Cost


def half_of(name: str) -> Half:
    """Which half something belongs to: by its hash, or a seed by its size."""
    return HALVES[hashlib.sha256(name.encode("utf-8", "replace")).digest()[0] & 1]


def measure(data: Path, rules: WatchRules, *, seeds: int, own_seeds: int, prompts: int) -> Measured:
    """Replay everything. A folder that is not there gives nothing."""
    kept, ended = Kept(), Ended()
    answers = list(outputs(data / "routing"))
    for exchange in recorded(data / "traffic"):
        if not exchange.pieces:
            kept.unread += 1
            continue
        part = "recorded streams" if exchange.stream else "recorded plain replies"
        kept.add(part, half_of(exchange.id), f"{exchange.dialect} {exchange.id}", exchange.pieces, rules)
    for answer in answers:
        kept.add("model outputs", half_of(answer.text), answer.source, as_stream(answer.text), rules)
    for half, first in zip(HALVES, (0, FIRST_HELD_OUT_SEED), strict=True):
        for text in genuine(range(first, first + own_seeds)):
            kept.add("our own long texts", half, text.name, text.pieces, rules)
        sources = [answer.text for answer in answers if half_of(answer.text) == half]
        if sources:
            _stop_all(ended, half, sources, range(first, first + seeds), rules)
    streams = [as_stream(answer.text) for answer in answers[:400]]
    streams += [text.pieces for text in genuine(range(1)) if "argument" not in text.name]
    return Measured(kept, ended, _ask(rules, prompts), cost(streams, rules))


def _stop_all(ended: Ended, half: Half, sources: list[str], seeds: range, rules: WatchRules) -> None:
    for stream in degenerate(sources, seeds):
        done = replay(stream.pieces, rules)
        ended.counts[stream.kind, half] += 1
        if done.stop is None:
            ended.missed.append(f"{stream.kind}: {stream.detail} ({half})")
        elif done.pieces <= stream.loop_at:
            ended.early[half] += 1
        else:
            ended.stops[stream.kind, half] += 1
            ended.rules[f"{stream.kind}: {done.stop.rule}"] += 1
            ended.took.setdefault(half, []).append(done.pieces - stream.loop_at)
            ended.after.setdefault((stream.kind, half), []).append(max(0, done.pieces - stream.known_at))


def _ask(rules: WatchRules, prompts: int) -> Asked:
    asked = Asked()
    try:
        for answer in written(prompts) if prompts else ():
            done = replay(answer.pieces, rules)
            asked.answers += 1
            asked.degenerate += answer.degenerate
            if answer.degenerate and done.stop is not None:
                asked.stopped += 1
                asked.after.append(max(0, done.stop.at_tokens - done.stop.onset_tokens))
            elif answer.degenerate:
                asked.missed.append(answer.prompt)
            elif done.stop is not None:
                asked.others_stopped.append(f"{answer.prompt} {done.stop.rule}")
    except Skipped as why:
        asked.why_not = str(why)
    if not prompts:
        asked.why_not = "--model-prompts is 0"
    return asked


ALL_KINDS = ("", *KINDS)
