"""Processes that are measured: started, waited for, read from /proc, and ended."""

import http.client
import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

STOP_S = 15.0
LOOK_S = 0.002
MAX_FILES = 65_536
_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


@contextmanager
def running(
    command: Sequence[str | Path], *, log: Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> "Iterator[subprocess.Popen[bytes]]":
    """Run a command in a session of its own; end all of it on the way out. It talks into `log`."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_ready(
    process: "subprocess.Popen[bytes]", port: int, path: str, *, within_s: float, log: Path
) -> None:
    """Return once `path` answers 200. Raises RuntimeError with the end of the log where it does not."""
    until_s = time.monotonic() + within_s
    while not _answers(port, path):
        if process.poll() is not None or time.monotonic() > until_s:
            tail = log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{process.args!r} did not become ready on port {port}:\n{tail}")
        time.sleep(LOOK_S)


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def allow_files() -> int:
    """Raise this process's limit of open files, and its children's, as far as allowed; give it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    found = [pid]
    for parent in found:
        for task in _tasks(parent):
            found += [int(child) for child in _read(task / "children").split()]
    return found


def cpu_ns(pids: Iterable[int]) -> int:
    """CPU time that all threads of these processes have used so far, user and system."""
    return sum(_cpu_ns(pid) for pid in pids)


def _cpu_ns(pid: int) -> int:
    """To the nanosecond from the scheduler's own count, where the kernel keeps one; else to the tick."""
    counts = [_read(task / "schedstat").split() for task in _tasks(pid)]
    if counts and all(counts):
        return sum(int(count[0]) for count in counts)
    fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_NS if fields else 0


def resident_bytes(pids: Iterable[int]) -> int:
    """Resident memory of these processes; pages that they share count once for each."""
    page = os.sysconf("SC_PAGE_SIZE")
    return sum(int(_read(Path(f"/proc/{pid}/statm")).split()[1]) * page for pid in pids)


def command_line(pid: int) -> str:
    """What the process was started as."""
    return _read(Path(f"/proc/{pid}/cmdline")).replace("\0", " ").strip()


def _tasks(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
