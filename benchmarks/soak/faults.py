"""What goes wrong in a soak. Half of it a call brings along, for every attempt; half a provider does once."""

import json
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Script = dict[str, Any]

STALL_MS = 60_000
"""Longer than any limit of the soak's Tidegate."""
MAX_TIMES = 1_000_000
HANG_UP = "client hangs up"
HANG_UP_WITHIN_S = 3.0


def _after(chance: random.Random) -> int:
    """So many events; the shortest stream has more."""
    return chance.randint(1, 8)


SCRIPTS: dict[str, Callable[[random.Random], Script]] = {
    "429, told when": lambda chance: {"fault": "rate", "retry_after_ms": chance.randint(50, 1_500)},
    "429": lambda _: {"fault": "rate"},
    "500": lambda _: {"fault": "server"},
    "503": lambda _: {"fault": "overload", "status": 503},
    "reset before headers": lambda _: {"reset_after": 0},
    "reset after headers": lambda _: {"reset_after": "head"},
    "reset after events": lambda chance: {"reset_after": _after(chance)},
    "cut inside an event": lambda chance: {"cut_after": _after(chance) + 0.5},
    "silent before headers": lambda _: {"stall_ms": STALL_MS, "stall_after": 0},
    "stall": lambda chance: {"stall_ms": STALL_MS, "stall_after": _after(chance)},
    "error event": lambda chance: {"error_event_after": _after(chance)},
    "no end mark": lambda _: {"no_done": True},
    "malformed frame": lambda chance: {"malformed_after": _after(chance)},
}
"""The scripted provider's faults, by name."""

NAMES = (*SCRIPTS, HANG_UP)


PLANNED = 2_000
"""Faults that one provider is given at a time."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong with one call: every attempt, by `script`, or its client leaves after `hang_up_s`."""

    name: str
    script: str = ""
    hang_up_s: float | None = None
    resets: bool = False


def choose(chance: random.Random) -> Fault:
    """Draw one call's fault, each as likely as the others."""
    name = chance.choice(NAMES)
    if name == HANG_UP:
        when_s = chance.random() * HANG_UP_WITHIN_S
        return Fault(name, hang_up_s=when_s, resets=chance.random() < 0.5)
    return Fault(name, json.dumps(SCRIPTS[name](chance)))


def plan(chance: random.Random, share: float) -> bytes:
    """A queue for one provider in which such a share of the calls to come fails, as JSON; empty for none."""
    queue: list[dict[str, Any]] = []
    for _ in range(PLANNED if share > 0 else 0):
        between = int(math.log(1 - chance.random()) / math.log(1 - share)) if share < 1 else 0
        if between:
            queue.append({"script": {}, "times": min(between, MAX_TIMES)})
        queue.append({"script": SCRIPTS[chance.choice(tuple(SCRIPTS))](chance)})
    return json.dumps(queue).encode()
