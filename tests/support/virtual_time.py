"""Event loops whose time is not the machine's: it stands still, or leaps to whatever is due next."""

import asyncio
import selectors
from collections.abc import Mapping
from typing import Any

GRACE_S = 0.02
"""How long the machine's own time may pass in one wait for what threads report."""


class _Selector(selectors.BaseSelector):
    """Asks the system what is ready, and takes waiting for `loop` to mean what its time says."""

    def __init__(self) -> None:
        self._real = selectors.DefaultSelector()
        self.loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return self._real.select(0)
        if self.loop.leaps and timeout is not None:
            self.loop.now_s += timeout
            return self._real.select(0)
        return self._real.select(GRACE_S)

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def close(self) -> None:
        self._real.close()

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop with a time of its own, `now_s`, which only who holds the loop moves.

    With `leaps` it also moves by itself, to the next timer whenever nothing else is left to do: hours pass in
    seconds, and always alike. Then nothing on it may wait for a thread.
    """

    def __init__(self, *, leaps: bool) -> None:
        self.now_s, self.leaps = 0.0, leaps
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now_s
