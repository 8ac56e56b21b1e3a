"""The lock that makes one process of a state directory the control process: the only writer of its tables."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tidegate.model.errors import TidegateError


class ControlRunningError(TidegateError):
    """Another control process works on this state directory."""

    code = "control_running"


@contextmanager
def control_lock(path: Path) -> Iterator[None]:
    """Hold the lock file `path`; it goes with the process. Raises ControlRunningError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ControlRunningError(
                f"a control process is running on {path.parent}; stop `tidegate serve` first"
            ) from None
        yield
    finally:
        os.close(descriptor)
