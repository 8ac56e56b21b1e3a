"""Run a coroutine on asyncio's own loop or on uvloop."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")
Run = Callable[[Coroutine[Any, Any, T]], T]


def run_on(name: str, main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop if name == "uvloop" else None) as runner:
        return runner.run(main)
