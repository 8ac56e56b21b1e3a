"""Time and chance, as one value that tests replace."""

import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """Where time and randomness come from.

    `wall_us`: microseconds since the epoch, UTC, for records. `mono_s`: seconds that only rise, for
    durations. `random_bits(n)`: n random bits for ids and jitter, which need not be secret.
    """

    wall_us: Callable[[], int] = lambda: time.time_ns() // 1000
    mono_s: Callable[[], float] = time.monotonic
    random_bits: Callable[[int], int] = random.Random(secrets.randbits(256)).getrandbits  # noqa: S311
