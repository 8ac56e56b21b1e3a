"""What may end the demo early, and how its processes hear of it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class DemoError(Exception):
    """The demo cannot go on; the message says why and what to do."""


class Stopped(BaseException):
    """A signal asked the demo to end. Not an Exception: no library may take it for a failed call."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


class Signals:
    """Turns SIGINT, SIGTERM and SIGHUP into `Stopped`, once; later ones do not disturb the way out."""

    def __init__(self) -> None:
        self._held = False
        self._waiting = 0
        self._raised = False

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Listen until the `with` ends."""
        old = [(one, signal.signal(one, self._heard)) for one in SIGNALS]
        try:
            yield
        finally:
            for one, handler in old:
                signal.signal(one, handler)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let a signal wait until the `with` ends: a process that starts is noted before it is heard."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._waiting:
            self._raise(self._waiting)

    def ignore(self) -> None:
        """From now on a signal changes nothing: everything is being stopped already."""
        self._raised = True

    def _heard(self, number: int, _: FrameType | None) -> None:
        if self._held:
            self._waiting = number
        else:
            self._raise(number)

    def _raise(self, number: int) -> None:
        if not self._raised:
            self._raised = True
            raise Stopped(number)
