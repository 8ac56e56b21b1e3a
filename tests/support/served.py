"""A whole Tidegate in processes of its own, as a user starts it."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import apsw

from tidegate.cli.desk_client import DeskClient, open_desk
from tidegate.config.load import load
from tidegate.control.registry import KeyRequest
from tidegate.stores.layout import Layout

READY_S = 30.0
SETTLED_S = 20.0


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@dataclass
class Served:
    """A running Tidegate. `base_url` ends without `/v1`."""

    base_url: str
    directory: Path
    process: "subprocess.Popen[bytes]"
    log: Path
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        return self.directory / "tidegate.toml"

    @property
    def layout(self) -> Layout:
        return Layout(self.directory / ".tidegate")

    @contextmanager
    def desk(self) -> Iterator[DeskClient]:
        """The control process over its socket."""
        with open_desk(load(self.config)) as desk:
            yield desk

    def key(self, tenant: str = "acme", **facts: Any) -> str:
        """A new key's text, once the gateway knows it."""
        with self.desk() as desk:
            text = desk.create_key(KeyRequest(tenant=tenant, **facts)).text
        self.wait_for(lambda: self.status("/v1/models", text) == 200)
        return text

    def status(self, path: str, key: str = "") -> int:
        """The status of a GET; 0 where nobody answers."""
        address = urlsplit(self.base_url)
        assert address.hostname is not None
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
        try:
            connection.request("GET", path, headers={"authorization": f"Bearer {key}"} if key else {})
            with connection.getresponse() as reply:
                reply.read()
                return reply.status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """Rows of the projection, read as another process would."""
        path = self.layout.root / "tidegate.db"
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            connection.set_busy_timeout(5000)
            cursor = connection.execute(sql, values)
            names = [column[0] for column in cursor.get_description()] if cursor.is_readonly else []
            return [dict(zip(names, row, strict=True)) for row in cursor]
        except apsw.ExecutionCompleteError:
            return []
        finally:
            connection.close()

    def settled(self, count: int) -> list[dict[str, Any]]:
        """The requests of known keys in the projection, once `count` of them are closed."""
        known = "FROM request WHERE tenant IS NOT NULL"
        closed = f"SELECT COUNT(*) AS n {known} AND outcome IS NOT NULL"
        self.wait_for(lambda: self.rows(closed)[0]["n"] >= count)
        return self.rows(f"SELECT * {known} ORDER BY at_us, id")

    def attempts(self) -> list[dict[str, Any]]:
        """Every attempt of the projection, in order."""
        return self.rows("SELECT * FROM attempt ORDER BY at_us, request_id, n")

    def wait_for(self, fact: Any, within_s: float = SETTLED_S) -> None:
        """Wait until something is true; fail with the log if it never is."""
        until = time.monotonic() + within_s
        while not fact():
            assert time.monotonic() < until, f"never true\n{self.log.read_text()[-3000:]}"
            assert self.process.poll() is None, f"it ended\n{self.log.read_text()[-3000:]}"
            time.sleep(0.02)


@contextmanager
def served(
    directory: Path,
    config: str,
    *,
    env: Mapping[str, str] | None = None,
    command: tuple[str, ...] = ("serve",),
) -> Iterator[Served]:
    """Run `tidegate serve` in `directory` with a configuration; `{port}` in it is filled with a free port."""
    port = free_port()
    directory.mkdir(parents=True, exist_ok=True)
    text = f'[server]\nlisten = "127.0.0.1:{port}"\ncontrol = "127.0.0.1:{free_port()}"\n{config}'
    (directory / "tidegate.toml").write_text(text)
    log = directory / "serve.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tidegate", *command],
            cwd=directory,
            env={**os.environ, **(env or {})},
            stdout=output,
            stderr=output,
        )
    made = Served(f"http://127.0.0.1:{port}", directory, process, log)
    try:
        made.wait_for(lambda: made.status("/readyz") == 200, READY_S)
        made.wait_for(made.layout.socket.exists, READY_S)
        yield made
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


def deployment(name: str, provider: str, base_url: str, model: str = "small", **more: str) -> str:
    """One `[[deployments]]` row as TOML; further keys are raw TOML values."""
    rows = {
        "name": f'"{name}"',
        "provider": f'"{provider}"',
        "model": f'"{model}"',
        "base_url": f'"{base_url}"',
    }
    lines = [f"{key} = {value}" for key, value in {**rows, **more}.items()]
    return "\n[[deployments]]\n" + "\n".join(lines) + "\n"
