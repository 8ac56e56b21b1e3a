"""What watching costs: CPU per piece, beside a plain loop over the same pieces, and memory per stream."""

import time
import tracemalloc
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from benchmarks.early_stop.pieces import Piece
from tidegate.policy.watch import StreamWatch, WatchRules

ROUNDS = 5
WEIGHED = 10
"""So many of the longest streams are weighed."""


class Cost(NamedTuple):
    """Medians of `ROUNDS` rounds over `pieces`; microseconds of CPU."""

    pieces: int
    watched_us: float
    plain_us: float
    memory_bytes: int

    @property
    def ratio(self) -> float:
        """In plain loops."""
        return self.watched_us / self.plain_us


def cost(streams: Sequence[Sequence[Piece]], rules: WatchRules) -> Cost:
    """Watch every stream anew in each round. The most memory is that of the watch at a stream's end."""
    pieces = sum(map(len, streams))
    watched, plain = [], []
    for _ in range(ROUNDS):
        start = time.process_time()
        for stream in streams:
            watch = StreamWatch(rules)
            for piece in stream:
                if piece.kind == "text":
                    watch.text(piece.text)
                elif piece.kind == "arguments":
                    watch.tool_arguments(piece.text)
                else:
                    watch.tool_call()
        middle = time.process_time()
        total = 0
        for stream in streams:
            for piece in stream:
                total += len(piece.text)
        plain.append(time.process_time() - middle)
        watched.append(middle - start)
    us, longest = 1e6 / pieces, sorted(streams, key=len)[-WEIGHED:]
    memory_bytes = max(_memory(stream, rules) for stream in longest)
    return Cost(pieces, median(watched) * us, median(plain) * us, memory_bytes)


def _memory(stream: Sequence[Piece], rules: WatchRules) -> int:
    tracemalloc.start()
    try:
        watch = StreamWatch(rules)
        for piece in stream:
            if piece.kind == "text":
                watch.text(piece.text)
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
