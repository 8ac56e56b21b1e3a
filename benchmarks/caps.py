"""`python -m benchmarks.caps`: a cap in money and 50 calls at once, Tidegate's and LiteLLM's, over sockets.

Both are before the same provider, which answers after 60 ms and bills every call alike. LiteLLM keeps budgets
of keys and teams in PostgreSQL alone; what it can keep in memory is a deployment's budget, which is taken.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import aiohttp
import click

from benchmarks import bodies
from benchmarks.peers import (
    CONTROL_PORT,
    LITELLM_PORT,
    MASTER_KEY,
    PATH,
    PROVIDER_PORT,
    READY_S,
    TIDEGATE_PORT,
    MissingPeerError,
    Place,
    cache_folder,
    litellm_program,
    provider,
)
from benchmarks.processes import running, wait_ready

CAPS = (20, 200)
PARALLEL = 50
INPUT_USD, OUTPUT_USD = Decimal("0.5"), Decimal(2)
"""Per million tokens."""
BILLED = 256 * INPUT_USD + 64 * OUTPUT_USD
"""What the provider bills a call, in millionths of a dollar: see `benchmarks/provider.py`."""


@dataclass(frozen=True, slots=True)
class Passed:
    """What became of the calls of one run; `before` are those that passed before the first refusal."""

    name: str
    cap: int
    statuses: Counter[int]
    before: int

    @property
    def line(self) -> str:
        """The figures, and how they are reckoned."""
        ok = self.statuses[200]
        over = max(0, ok - self.cap)
        return (
            f"{self.name}, cap {self.cap} calls, {PARALLEL} at once: {ok} passed, "
            f"{self.statuses.total() - ok} refused; overspend max(0, {ok} - {self.cap}) / {self.cap} = "
            f"{over / self.cap:.1%}; "
            f"used at the first refusal {self.before} / {self.cap} = {self.before / self.cap:.1%}"
        )


@contextmanager
def tidegate(place: Place, cap: int) -> Iterator[tuple[int, str]]:
    """Tidegate with a budget of so many calls, in dollars; gives its port and a key."""
    home, log = place.work / f"tidegate-{cap}", place.log("tidegate")
    home.mkdir()
    (home / "tidegate.toml").write_text(
        f'[server]\nlisten = "127.0.0.1:{TIDEGATE_PORT}"\ncontrol = "127.0.0.1:{CONTROL_PORT}"\n'
        f'[[deployments]]\nname = "slow"\nprovider = "vllm"\nmodel = "slow"\n'
        f'base_url = "http://127.0.0.1:{PROVIDER_PORT}/v1"\n'
        f'price = {{ currency = "USD", rates = {{ input = "{INPUT_USD}", output = "{OUTPUT_USD}" }} }}\n'
        f'[[budgets]]\nname = "cap"\nlimit = "{cap * BILLED / 1_000_000}"\nunit = "USD"\nwindow = "day"\n'
    )
    program, where = [sys.executable, "-m", "tidegate"], ["--config", str(home / "tidegate.toml")]
    with running([*program, "serve", *where], log=log) as process:
        wait_ready(process, TIDEGATE_PORT, "/readyz", within_s=30, log=log)
        made = [*program, "keys", "create", "--tenant", "bench", "--team", "letters", "-q", *where]
        key = subprocess.run(made, check=True, capture_output=True, text=True).stdout.strip()
        time.sleep(1.0)  # a key holds within a second
        yield TIDEGATE_PORT, key


@contextmanager
def litellm(place: Place, cap: int) -> Iterator[tuple[int, str]]:
    """LiteLLM with a deployment's budget of so many calls; gives its port and a key."""
    parameters = {
        "model": "openai/slow",
        "api_base": f"http://127.0.0.1:{PROVIDER_PORT}/v1",
        "api_key": "none",
        "input_cost_per_token": float(INPUT_USD / 1_000_000),
        "output_cost_per_token": float(OUTPUT_USD / 1_000_000),
        "max_budget": float(cap * BILLED / 1_000_000),
        "budget_duration": "1d",
    }
    configuration = place.work / f"litellm-{cap}.yaml"  # JSON is YAML
    configuration.write_text(
        json.dumps(
            {
                "model_list": [{"model_name": "slow", "litellm_params": parameters}],
                "general_settings": {"master_key": MASTER_KEY},
                "router_settings": {"num_retries": 0},
            }
        )
    )
    options = f"--host 127.0.0.1 --port {LITELLM_PORT} --num_workers 1".split()
    command = [str(litellm_program(place)), "--config", str(configuration), *options]
    log, env = place.log("litellm"), {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
    with running(command, log=log, env=env) as process:
        wait_ready(process, LITELLM_PORT, "/health/liveliness", within_s=READY_S, log=log)
        yield LITELLM_PORT, MASTER_KEY


async def race(name: str, port: int, key: str, cap: int) -> Passed:
    """Twice as many calls as fit and as many again as run at once, fifty at a time."""
    statuses, before = Counter[int](), None
    head = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    numbers = iter(range(2 * cap + PARALLEL))
    url = f"http://127.0.0.1:{port}{PATH}"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=PARALLEL)) as session:

        async def client() -> None:
            nonlocal before
            for number in numbers:
                body = bodies.small("slow").raw.replace(b"harbour", f"harbour {number}".encode(), 1)
                async with session.post(url, data=body, headers=head) as reply:
                    await reply.read()
                statuses[reply.status] += 1
                if reply.status != 200 and before is None:
                    before = statuses[200]

        async with asyncio.TaskGroup() as group:
            for _ in range(PARALLEL):
                group.create_task(client())
    return Passed(name, cap, statuses, statuses[200] if before is None else before)


WAYS = {"Tidegate": tidegate, "LiteLLM": litellm}


@click.command()
@click.option("--install", is_flag=True, help="Install LiteLLM where it is not (742 MB).")
def main(*, install: bool) -> None:
    """Print how many calls pass a cap. Ends with status 1 where one too many passes Tidegate's."""
    failed = False
    with tempfile.TemporaryDirectory() as work, ExitStack() as stack:
        place = Place(Path(work), cache_folder())
        stack.enter_context(provider(place))
        for name, way in WAYS.items():
            if name == "LiteLLM" and not (
                install or (place.cache / "litellm-1.106.2" / "installed").exists()
            ):
                print("SKIPPED LiteLLM: it is not installed; `python -m benchmarks.caps --install` does that")
                continue
            for cap in CAPS:
                try:
                    with way(place, cap) as (port, key):
                        found = asyncio.run(race(name, port, key, cap))
                except MissingPeerError as missing:
                    print(f"SKIPPED {name}: {missing}")
                    break
                print(found.line, flush=True)
                failed = failed or (name == "Tidegate" and found.statuses[200] > cap)
    sys.exit(failed)


if __name__ == "__main__":
    main()
