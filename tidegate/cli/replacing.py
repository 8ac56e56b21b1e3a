"""What the supervisor does on `tidegate upgrade`, and the Unix socket on which it is asked to.

One line of JSON asks, lines of JSON answer; the last one has `ok`. The answers may only grow: an older
supervisor serves a newer command line, and starts newer processes.
"""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import msgspec

from tidegate.cli.supervisor import Process, Supervisor
from tidegate.model.errors import ConfigError, TidegateError, Unavailable
from tidegate.stores.layout import Layout

log = logging.getLogger("tidegate")

PROBE_VARIABLE = "TIDEGATE_PROBE_FD"
"""A second listening socket, for the supervisor alone: on it a new gateway shows that it serves."""

LINE_BYTES = 65_536
ASKED_S, CHECKED_S, STOPPED_S, READY_S, ANSWER_S = 10.0, 60.0, 60.0, 30.0, 5.0
PROBE_S, LOOK_S = 0.5, 0.05


class Asked(msgspec.Struct, frozen=True):
    """What the command line asks for. `wait`: answer only when the old gateway has ended."""

    do: str
    wait: bool = False


class Told(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the answer. `ok` is set on the last one; the ids are 0 where nothing was replaced."""

    say: str = ""
    ok: bool | None = None
    control_pid: int = 0
    new_pid: int = 0
    old_pid: int = 0
    old_gone: bool = False


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What an installed version says of itself and of the configuration, before it is let in."""

    version: str
    state_dir: str
    listen: str
    drain_timeout_s: float
    probe_host: str = "localhost"


Say = Callable[[Told], None]


class Replacing:
    """Replaces the processes of one supervisor, one upgrade at a time."""

    def __init__(self, supervisor: Supervisor, layout: Layout, listen: str, preflight: Sequence[str]) -> None:
        self._supervisor, self._layout, self._listen = supervisor, layout, listen
        self._preflight = tuple(preflight)
        self._busy = False

    @asynccontextmanager
    async def served(self) -> AsyncIterator[None]:
        """Answer on the supervisor's socket. Raises ConfigError where another supervisor does."""
        path = self._layout.supervisor_socket
        with suppress(OSError):
            await _get(path, "", ANSWER_S)
            raise ConfigError(f"`tidegate serve` runs already on {self._layout.root}; stop it first")
        with _private_socket(path) as sock:
            server = await asyncio.start_unix_server(self._answer, sock=sock, limit=LINE_BYTES)
            try:
                yield
            finally:
                server.close()

    async def upgrade(self, asked: Asked, say: Say) -> None:
        """Replace control, then the gateway. Raises TidegateError: what was not replaced goes on."""
        if self._busy:
            raise Unavailable("An upgrade is under way already.")
        self._busy = True
        try:
            facts = await self._checked(say)
            control = await self._supervisor.replace(
                "control", self._control_is_ready, stop_s=STOPPED_S, ready_s=READY_S
            )
            say(Told(say=f"control: process {control.pid} is ready", control_pid=control.pid))
            new, old = await self._new_gateway(facts)
        finally:
            self._busy = False
        self._supervisor.stop_s = max(self._supervisor.stop_s, facts.drain_timeout_s + STOPPED_S)
        old_pid = old.pid if old is not None else 0
        say(Told(say=f"gateway: process {new.pid} is ready", new_pid=new.pid, old_pid=old_pid))
        log.info("upgraded to %s: gateway %d in the place of %d", facts.version, new.pid, old_pid)
        gone = await _gone(old, facts.drain_timeout_s + STOPPED_S if asked.wait else 0.0)
        say(Told(ok=True, control_pid=control.pid, new_pid=new.pid, old_pid=old_pid, old_gone=gone))

    async def _checked(self, say: Say) -> Facts:
        """Let the installed version load what it needs and read the configuration, before anything ends."""
        process = await asyncio.create_subprocess_exec(
            *self._preflight, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        try:
            out, wrong = await asyncio.wait_for(process.communicate(), CHECKED_S)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise Unavailable(f"The installed Tidegate did not start within {CHECKED_S:g} s.") from None
        if process.returncode:
            said = wrong.decode(errors="replace").strip().removeprefix("Error: ")
            raise Unavailable(f"The installed Tidegate cannot serve this configuration.\n{said[-4000:]}")
        try:
            facts = msgspec.json.decode(out, type=Facts)
        except msgspec.DecodeError as error:
            raise Unavailable(f"The installed Tidegate does not say what it is: {error}.") from None
        say(Told(say=f"Tidegate {facts.version} is installed and takes the configuration"))
        for name, now, then in (
            ("server.listen", facts.listen, self._listen),
            ("server.state_dir", facts.state_dir, str(self._layout.root)),
        ):
            if now != then:
                say(Told(say=f"{name} stays {then} until `tidegate serve` is started again"))
        return facts

    async def _control_is_ready(self) -> bool:
        try:
            status, body = await _get(self._layout.socket, "/health", PROBE_S)
        except OSError:
            return False
        return status == 200 and _pid_of(body) == self._supervisor.pid("control")

    async def _new_gateway(self, facts: Facts) -> tuple[Process, Process | None]:
        path = self._layout.root / "probe.sock"

        async def is_ready() -> bool:
            try:
                status, body = await _get(path, "/readyz", PROBE_S, facts.probe_host)
            except OSError:
                return False
            if status != 200:
                text = body.decode(errors="replace")[-500:]
                raise Unavailable(f"The new gateway process answers {status} instead of ready: {text}")
            return True

        with _private_socket(path) as door:
            os.set_inheritable(door.fileno(), True)
            return await self._supervisor.add_beside(
                "gateway",
                is_ready,
                ready_s=READY_S,
                env={PROBE_VARIABLE: str(door.fileno())},
                keep_fds=(door.fileno(),),
            )

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(told: Told) -> None:
            writer.write(msgspec.json.encode(told) + b"\n")

        try:
            asked = msgspec.json.decode(await asyncio.wait_for(reader.readline(), ASKED_S), type=Asked)
        except (TimeoutError, ValueError, OSError, msgspec.DecodeError):
            writer.close()  # whoever asked is gone, or was no command line
            return
        try:
            if asked.do != "upgrade":
                raise Unavailable(f"This `tidegate serve` cannot do {asked.do[:40]!r}; start it again.")
            await self.upgrade(asked, say)
        except TidegateError as error:
            log.error("upgrade refused: %s", error.message)  # noqa: TRY400 - what was asked, not a fault
            say(Told(ok=False, say=error.message))
        finally:
            writer.close()


async def _gone(old: Process | None, within_s: float) -> bool:
    loop = asyncio.get_running_loop()
    until_s = loop.time() + within_s
    while old is not None and old.poll() is None:
        if loop.time() >= until_s:
            return False
        await asyncio.sleep(LOOK_S)
    return True


async def _get(path: Path, target: str, within_s: float, host: str = "localhost") -> tuple[int, bytes]:
    """Ask over a Unix socket; give status and body. An empty target only connects. Raises OSError."""
    async with asyncio.timeout(within_s):
        reader, writer = await asyncio.open_unix_connection(str(path))
        try:
            if not target:
                return 0, b""
            writer.write(f"GET {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode())
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            words = head.split(None, 2)
            return (int(words[1]) if len(words) > 1 and words[1].isdigit() else 0), body
        finally:
            writer.close()


class _Pid(msgspec.Struct):
    pid: int = 0


def _pid_of(body: bytes) -> int:
    try:
        return msgspec.json.decode(body, type=_Pid).pid
    except msgspec.DecodeError:
        return 0


@contextmanager
def _private_socket(path: Path) -> Iterator[socket.socket]:
    """A listening socket at a path that its owner alone may open; the path goes on the way out."""
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        sock.bind(str(path))
    finally:
        os.umask(before)
    try:
        sock.listen(16)
        sock.setblocking(False)
        yield sock
    finally:
        sock.close()
        path.unlink(missing_ok=True)
