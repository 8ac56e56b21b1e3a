"""Ending with the process that started this one, also when that was killed."""

import asyncio
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

VARIABLE = "TIDEGATE_PARENT_FD"
"""The read end of a pipe whose write end only the supervisor holds."""


@contextmanager
def ends_with_parent(env: Mapping[str, str]) -> Iterator[None]:
    """On the running loop: SIGTERM to ourselves once the supervisor is gone; nothing without a supervisor.

    A supervisor that is killed cannot stop its children, and they would keep its socket and locks for ever.
    """
    number = env.get(VARIABLE, "")
    if not number:
        yield
        return
    loop, descriptor = asyncio.get_running_loop(), int(number)

    def gone() -> None:
        loop.remove_reader(descriptor)
        os.kill(os.getpid(), signal.SIGTERM)

    loop.add_reader(descriptor, gone)
    try:
        yield
    finally:
        loop.remove_reader(descriptor)
