"""What is measured: Tidegate, and what it is measured against. Each is started, warm, with one worker."""

import json
import os
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.client import Address
from benchmarks.processes import command_line, running, tree, wait_ready

PATH = "/v1/chat/completions"
LITELLM = "litellm[proxy]==1.106.2"
PORTKEY = ("@portkey-ai/gateway@1.15.2", "@hono/node-server@1.13.8")
PROVIDER_PORT, NGINX_PORT, TIDEGATE_PORT, CONTROL_PORT, LITELLM_PORT, PORTKEY_PORT = range(9410, 9416)
MODELS = ("fast", "slow", "calm")
MASTER_KEY = "sk-benchmark"
READY_S = 180.0


class MissingPeerError(Exception):
    """A peer that this machine cannot run; the message says what to install."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run keeps its files, and where what it installs outlives it."""

    work: Path
    cache: Path

    def log(self, name: str) -> Path:
        """The log of one process."""
        return self.work / f"{name}.log"


@dataclass(frozen=True, slots=True)
class Peer:
    """One running way to the provider. `beside` are its processes that are counted apart.

    `translates`: it also offers `fast-messages` and `slow-messages`, which speak the other dialect.
    """

    name: str
    address: Address
    probe: str
    pids: tuple[int, ...] = ()
    beside: tuple[int, ...] = ()
    ready_s: Mapping[str, float] = field(default_factory=dict)
    translates: bool = False


def cache_folder() -> Path:
    """The user's cache for what the benchmark installs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tidegate" / "bench"


@contextmanager
def provider(place: Place) -> Iterator[None]:
    """The provider that every peer calls."""
    log = place.log("provider")
    with running([sys.executable, "-m", "benchmarks.provider", str(PROVIDER_PORT)], log=log) as process:
        wait_ready(process, PROVIDER_PORT, "/healthz", within_s=10, log=log)
        yield


@contextmanager
def direct(place: Place) -> Iterator[Peer]:  # noqa: ARG001 - every peer is started alike
    """No proxy: the client calls the provider."""
    yield Peer("direct", Address(PROVIDER_PORT, PATH, {"authorization": "Bearer none"}), "/healthz")


@contextmanager
def nginx(place: Place) -> Iterator[Peer]:
    """Nginx as a plain proxy with one worker: the least that standing in the way can cost."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise MissingPeerError("nginx is not installed (Debian and Ubuntu: apt-get install nginx-light)")
    configuration, log = place.work / "nginx.conf", place.log("nginx")
    configuration.write_text(_NGINX.format(work=place.work, port=NGINX_PORT, provider=PROVIDER_PORT))
    started_s = time.monotonic()
    with running([program, "-p", place.work, "-c", configuration, "-e", log], log=log) as process:
        wait_ready(process, NGINX_PORT, "/healthz", within_s=10, log=log)
        ready = {"ready": time.monotonic() - started_s}
        address = Address(NGINX_PORT, PATH, {"authorization": "Bearer none"})
        yield Peer("nginx", address, "/healthz", tuple(tree(process.pid)), ready_s=ready)


_NGINX = """\
daemon off; worker_processes 1; pid {work}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000; client_max_body_size 64m; client_body_buffer_size 256k;
  client_body_temp_path {work}/body; proxy_temp_path {work}/proxy; fastcgi_temp_path {work}/fastcgi;
  uwsgi_temp_path {work}/uwsgi; scgi_temp_path {work}/scgi;
  upstream provider {{ server 127.0.0.1:{provider}; keepalive 512; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=1024;
    location = /healthz {{ return 200 "ok"; }}
    location / {{
      proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off; proxy_read_timeout 600s;
    }}
  }}
}}
"""


@contextmanager
def tidegate(place: Place) -> Iterator[Peer]:
    """Tidegate with everything on: keys, journal, metering, prices, and the control process that projects."""
    home, log = place.work / "tidegate", place.log("tidegate")
    home.mkdir()
    (home / "tidegate.toml").write_text(_tidegate_configuration())
    program = [sys.executable, "-m", "tidegate"]
    serve = [*program, "serve", "--config", str(home / "tidegate.toml")]
    ready: dict[str, float] = {}
    with running(serve, log=log) as process:
        wait_ready(process, TIDEGATE_PORT, "/readyz", within_s=30, log=log)
        made = [*program, "keys", "create", "--tenant", "bench", "--team", "letters", "-q"]
        done = subprocess.run(
            [*made, "--config", str(home / "tidegate.toml")], check=True, capture_output=True, text=True
        )
        key = done.stdout.strip()
        time.sleep(1.0)  # a key holds within a second
    for name, command in (("gateway alone", [*serve, "gateway"]), ("both", serve)):
        ready[name] = _time_to_ready(command, log)
    started_s = time.monotonic()
    with running(serve, log=log) as process:
        wait_ready(process, TIDEGATE_PORT, "/readyz", within_s=30, log=log)
        ready["both"] = min(ready["both"], time.monotonic() - started_s)
        pids = tree(process.pid)
        control = [pid for pid in pids if command_line(pid).endswith(" control")]
        gateway = [pid for pid in pids if command_line(pid).endswith(" gateway")]
        if len(control) != 1 or len(gateway) != 1:
            raise RuntimeError(f"expected one gateway and one control process among {pids}")
        yield Peer(
            "Tidegate",
            Address(TIDEGATE_PORT, PATH, {"authorization": f"Bearer {key}"}),
            "/healthz",
            tuple(gateway),
            tuple(control),
            ready,
            translates=True,
        )


def _time_to_ready(command: list[str], log: Path) -> float:
    """The quickest of three starts."""
    took_s = []
    for _ in range(3):
        started_s = time.monotonic()
        with running(command, log=log) as process:
            wait_ready(process, TIDEGATE_PORT, "/readyz", within_s=30, log=log)
            took_s.append(time.monotonic() - started_s)
    return min(took_s)


_PRICE = '{ currency = "EUR", rates = { input_uncached = "0.5", cache_read = "0.1", output_text = "2" } }'


def _deployment(name: str, catalogued: str, model: str, base_url: str) -> str:
    return f"""
[[deployments]]
name = "{name}"
provider = "{catalogued}"
model = "{model}"
names = ["{name}"]
base_url = "{base_url}"
price = {_PRICE}
"""


def _tidegate_configuration() -> str:
    provider = f"http://127.0.0.1:{PROVIDER_PORT}"
    return (
        f'[server]\nlisten = "127.0.0.1:{TIDEGATE_PORT}"\ncontrol = "127.0.0.1:{CONTROL_PORT}"\n'
        + "".join(_deployment(model, "vllm", model, f"{provider}/v1") for model in MODELS)
        + "".join(
            _deployment(f"{model}-messages", "anthropic-compatible", model, provider)
            for model in ("fast", "slow")
        )
    )


def litellm_program(place: Place) -> Path:
    """LiteLLM's command, installed once."""
    folder = place.cache / "litellm-1.106.2"
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        print(f"Installing {LITELLM} into {folder} (742 MB, about a minute) ...", flush=True)
        venv.create(folder, with_pip=True, clear=True)
        pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", LITELLM]
        _installed(pip, place.log("pip"))
        (folder / "installed").touch()
    return folder / "bin" / "litellm"


@contextmanager
def litellm(place: Place) -> Iterator[Peer]:
    """LiteLLM's proxy with one worker and a master key, without a database."""
    program = litellm_program(place)
    base = f"http://127.0.0.1:{PROVIDER_PORT}/v1"
    models = [
        {
            "model_name": name,
            "litellm_params": {"model": f"openai/{name}", "api_base": base, "api_key": "none"},
        }
        for name in MODELS
    ]
    configuration = place.work / "litellm.yaml"  # JSON is YAML
    configuration.write_text(
        json.dumps({"model_list": models, "general_settings": {"master_key": MASTER_KEY}})
    )
    options = f"--host 127.0.0.1 --port {LITELLM_PORT} --num_workers 1".split()
    command = [str(program), "--config", str(configuration), *options]
    log, env = place.log("litellm"), {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
    started_s = time.monotonic()
    with running(command, log=log, env=env) as process:
        wait_ready(process, LITELLM_PORT, "/health/liveliness", within_s=READY_S, log=log)
        ready = {"ready": time.monotonic() - started_s}
        address = Address(LITELLM_PORT, PATH, {"authorization": f"Bearer {MASTER_KEY}"})
        yield Peer("LiteLLM", address, "/health/liveliness", tuple(tree(process.pid)), ready_s=ready)


@contextmanager
def portkey(place: Place) -> Iterator[Peer]:
    """Portkey's gateway on Node.js."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        raise MissingPeerError("Node.js is not installed (Debian and Ubuntu: apt-get install nodejs npm)")
    folder = place.cache / "portkey-1.15.2"
    if not (folder / "installed").exists():
        print(f"Installing {PORTKEY[0]} into {folder} ...", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        server, _, version = PORTKEY[1].rpartition("@")
        package = {"name": "bench", "private": True, "overrides": {server: version}}
        (folder / "package.json").write_text(json.dumps(package))
        npm = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder)]
        _installed([*npm, PORTKEY[0]], place.log("npm"))
        (folder / "installed").touch()
    program = folder / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    log, started_s = place.log("portkey"), time.monotonic()
    env = {"NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost"}
    with running(["node", program, "--headless", f"--port={PORTKEY_PORT}"], log=log, env=env) as process:
        wait_ready(process, PORTKEY_PORT, "/", within_s=30, log=log)
        headers = {
            "authorization": "Bearer none",
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": f"http://127.0.0.1:{PROVIDER_PORT}/v1",
        }
        ready = {"ready": time.monotonic() - started_s}
        yield Peer(
            "Portkey", Address(PORTKEY_PORT, PATH, headers), "/", tuple(tree(process.pid)), ready_s=ready
        )


def _installed(command: Sequence[str], log: Path) -> None:
    with log.open("wb") as out:
        status = subprocess.run(command, stdout=out, stderr=out, check=False).returncode
    if status:
        raise MissingPeerError(
            f"{command[-1]} could not be installed:\n{log.read_text(errors='replace')[-1000:]}"
        )


PEERS: dict[str, Callable[[Place], AbstractContextManager[Peer]]] = {
    "direct": direct,
    "nginx": nginx,
    "tidegate": tidegate,
    "litellm": litellm,
    "portkey": portkey,
}
