"""Whether this process keeps up: how late its event loop is, and when new calls are turned away for it."""

import asyncio
import logging

from tidegate.gateway.limits import Gate

log = logging.getLogger("tidegate.gateway")

LOOK_S = 0.05
SHED_LAG_S = 0.5
"""A loop that is so late, look after look, is given more than it can do."""
CALM_LAG_S = 0.1
LOOKS = 3
"""How many looks in a row decide, so that one long step, such as a large body, sheds nothing."""


class Pressure:
    """Looks at the clock at set times. `observe` is told how late a look came."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._late = 0
        self._timer: asyncio.TimerHandle | None = None

    def observe(self, lag_s: float) -> None:
        """Turn new calls away after `LOOKS` late looks, until a look is in time again."""
        if lag_s >= SHED_LAG_S:
            self._late += 1
            if self._late >= LOOKS and not self._gate.overloaded:
                self._gate.overloaded = True
                log.warning("the loop is %.1f s late: new calls are refused until it has caught up", lag_s)
        else:
            self._late = 0
            if self._gate.overloaded and lag_s <= CALM_LAG_S:
                self._gate.overloaded = False
                log.warning("the loop has caught up: calls are taken again")

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look from now on."""
        due_s = loop.time() + LOOK_S

        def look() -> None:
            self.observe(loop.time() - due_s)
            self.start(loop)

        self._timer = loop.call_at(due_s, look)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
