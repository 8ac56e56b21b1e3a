"""The processes of a soak: two scripted providers, and a whole Tidegate before them."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import command_line, running, tree, wait_ready
from tidegate.stores.layout import Layout
from tidegate.stores.sqlite.store import DATABASE

READY_S = 30.0
KEEP_REQUESTS = 100_000
LATENCY_MS, TOKENS_PER_S, OUTPUT_TOKENS = 60, 25, 200
SILENCE_S = 2.0
"""How long Tidegate waits for a provider that says nothing."""
TENANT = "soak"
DEPLOYMENTS = ("chat", "messages")
"""In the order of the providers."""
_PRICE = '{ currency = "EUR", rates = { input_uncached = "0.5", cache_read = "0.1", output_text = "2" } }'


@dataclass(frozen=True, slots=True)
class House:
    """What runs. `concurrent`: how many calls of one tenant Tidegate takes at once."""

    port: int
    key: str
    providers: tuple[int, ...]
    gateway: int
    control: int
    process: "subprocess.Popen[bytes]"
    log: Path
    state: Path
    concurrent: int

    @property
    def database(self) -> Path:
        """The projection."""
        return self.state / DATABASE

    @property
    def layout(self) -> Layout:
        """The state directory's parts."""
        return Layout(self.state)

    def pids(self) -> tuple[int, int]:
        """Gateway and control process as they run now; 0 for one that does not."""
        return _children(self.process.pid)


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextmanager
def house(work: Path, *, concurrent: int) -> Iterator[House]:
    """Start everything in `work`, and end what is left of it."""
    with ExitStack() as stack:
        providers = tuple(stack.enter_context(_provider(work, number)) for number in range(2))
        port, configuration = free_port(), work / "tidegate.toml"
        configuration.write_text(_configuration(port, providers, concurrent))
        program, log = [sys.executable, "-m", "tidegate"], work / "tidegate.log"
        command = [*program, "serve", "--config", str(configuration)]
        process = stack.enter_context(running(command, log=log, cwd=work))
        wait_ready(process, port, "/readyz", within_s=READY_S, log=log)
        made = [*program, "keys", "create", "--tenant", TENANT, "-q", "--config", str(configuration)]
        key = subprocess.run(made, check=True, capture_output=True, text=True).stdout.strip()
        time.sleep(1.0)  # a key holds within a second
        gateway, control = _children(process.pid)
        if not gateway or not control:
            raise RuntimeError(f"expected a gateway and a control process below {process.pid}")
        state = work / ".tidegate"
        yield House(port, key, providers, gateway, control, process, log, state, concurrent)


@contextmanager
def _provider(work: Path, number: int) -> Iterator[int]:
    port, log = free_port(), work / f"provider-{number}.log"
    options = {
        "port": port,
        "latency-ms": LATENCY_MS,
        "tokens-per-second": TOKENS_PER_S,
        "output-tokens": OUTPUT_TOKENS,
        "keep-requests": KEEP_REQUESTS,
    }
    command = [sys.executable, "-m", "tidegate", "upstream"]
    command += [part for name, value in options.items() for part in (f"--{name}", str(value))]
    with running(command, log=log) as process:
        wait_ready(process, port, "/__stats", within_s=READY_S, log=log)
        yield port


def _configuration(port: int, providers: tuple[int, ...], concurrent: int) -> str:
    chat, messages = (f"http://127.0.0.1:{provider}" for provider in providers)
    rows = (("chat", "vllm", f"{chat}/v1"), ("messages", "anthropic-compatible", messages))
    return f"""\
[server]
listen = "127.0.0.1:{port}"
control = "127.0.0.1:{free_port()}"
first_byte_timeout_s = {SILENCE_S}
first_content_timeout_s = {SILENCE_S}
idle_timeout_s = {SILENCE_S}

[aliases]
front = ["chat", "messages"]
back = ["messages", "chat"]

[[limits]]
scope = "tenant"
name = "{TENANT}"
concurrent = {concurrent}
""" + "".join(
        f"""
[[deployments]]
name = "{name}"
provider = "{provider}"
model = "{name}-model"
base_url = "{base_url}"
price = {_PRICE}
"""
        for name, provider, base_url in rows
    )


def _children(pid: int) -> tuple[int, int]:
    found = {command_line(child).rpartition(" ")[2]: child for child in tree(pid)}
    return found.get("gateway", 0), found.get("control", 0)


def sockets(pid: int) -> int:
    """How many sockets a process has open."""
    count = 0
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            count += str(entry.readlink()).startswith("socket:")
        except OSError:
            continue
    return count
