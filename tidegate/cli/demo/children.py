"""The processes a demo starts: each has a log, and ends with the demo."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tidegate.cli.demo.problem import DemoError, Signals

LOOK_S = 0.05
STOP_S = 15.0
TAIL_LINES = 6


@dataclass(frozen=True, slots=True)
class Child:
    """A running process and where it writes."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def wait_for(self, pattern: "re.Pattern[str]", limit_s: float) -> str:
        """Return the first group of `pattern` in the log. Raises DemoError when it ends or is late."""
        until_s = time.monotonic() + limit_s
        while True:
            ended = self.process.poll() is not None
            if found := pattern.search(self.text()):
                return found[1]
            if ended:
                raise DemoError(self.ending())
            if time.monotonic() > until_s:
                raise DemoError(f"{self.name} is not ready after {limit_s:.0f} s{self.tail()}")
            time.sleep(LOOK_S)

    def check_alive(self) -> None:
        """Raise DemoError if it has ended."""
        if self.process.poll() is not None:
            raise DemoError(self.ending())

    def ending(self) -> str:
        """Say how it ended, with the last lines it wrote."""
        status = self.process.returncode
        how = f"with status {status}"
        if status is not None and status < 0:
            how = f"by {signal.Signals(-status).name}"
            if -status == signal.SIGKILL:
                how += " (is there too little memory?)"
        return f"{self.name} ended {how}{self.tail()}"

    def text(self) -> str:
        """What it wrote so far."""
        return self.log.read_text("utf-8", "replace")

    def tail(self) -> str:
        """The last lines it wrote, each on a new line."""
        lines = [line for line in self.text().splitlines() if line.strip()][-TAIL_LINES:]
        return "".join(f"\n  | {line[:200]}" for line in lines)


class Children:
    """All of them. They are stopped in the opposite order, also when the demo fails."""

    def __init__(self, logs: Path, signals: Signals) -> None:
        self._logs = logs
        self._signals = signals
        self._running: list[Child] = []

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        on_screen: bool = False,
    ) -> Child:
        """Start one, away from the terminal's signals: they come through us. `on_screen` shows its output.

        Its standard input is a pipe that closes when we end, however that happens. Raises DemoError.
        """
        log = self._logs / f"{name.replace(' ', '-')}.log"
        with log.open("wb") as written, self._signals.held():
            try:
                process = subprocess.Popen(  # noqa: S603 - our own command line
                    command,
                    env={**os.environ, **(env or {})},
                    stdin=subprocess.PIPE,
                    stdout=None if on_screen else written,
                    stderr=written,
                    start_new_session=True,
                )
            except OSError as error:
                raise DemoError(f"{name} cannot be started: {error}") from None
            child = Child(name, process, log)
            self._running.append(child)
        return child

    def end(self, child: Child) -> None:
        """Stop one with SIGTERM; after a while with SIGKILL, the whole of its session."""
        process = child.process
        if process.stdin is not None:
            with suppress(OSError):
                process.stdin.close()
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._running.remove(child)

    def end_all(self) -> None:
        """Stop everything, the last one first. Call it with signals ignored."""
        for child in reversed(self._running[:]):
            self.end(child)
