"""A budget that admits exactly 37 calls, and 500 at once that want in, over real sockets.

The provider bills exactly what was held, so that one call too many would pass the limit.
"""

import asyncio
import json
import os
import re
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.faults.test_crash import appears
from tests.faults.traffic import PRICE, running
from tests.support.served import Served, deployment, served
from tests.support.upstream import Running, scripted_upstream

ADMITTED, AT_ONCE = 37, 500
MAX_TOKENS = 100
TEXT = "the same question of five hundred clients"

pytestmark = pytest.mark.slow


def config(upstream: str, limit: int) -> str:
    return (
        deployment("small", "vllm", f"{upstream}/v1", "small", price=PRICE)
        + "\n[policy]\nbudget_wait_s = 0\n"
        + f'\n[[budgets]]\nname = "all"\nlimit = "{limit}"\nunit = "tokens"\nwindow = "total"\n'
    )


async def ask(here: Served, key: str) -> int:
    """The status of one call on a connection of its own; 0 where it was lost."""
    body = {"model": "small", "max_tokens": MAX_TOKENS, "messages": [{"role": "user", "content": TEXT}]}
    raw = json.dumps(body).encode()
    lines = (
        "POST /v1/chat/completions HTTP/1.1",
        "host: localhost",
        f"authorization: Bearer {key}",
        "content-type: application/json",
        f"content-length: {len(raw)}",
        "connection: close",
    )
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(here.base_url.rsplit(":")[-1]))
    except OSError:
        return 0
    try:
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + raw)
        answer = await reader.read()
        found = re.match(rb"HTTP/1\.1 (\d+)", answer)
        return int(found[1]) if found else 0
    except OSError:
        return 0
    finally:
        writer.close()


async def many(here: Served, key: str, count: int) -> Counter[int]:
    return Counter(await asyncio.gather(*(ask(here, key) for _ in range(count))))


@contextmanager
def provider(hold: int) -> Iterator[Running]:
    """One that takes its time, and bills a whole hold for each call."""
    usage = {"prompt_tokens": hold - MAX_TOKENS, "completion_tokens": MAX_TOKENS, "total_tokens": hold}
    scripts = json.dumps({"default": {"usage": usage, "latency_ms": 1500}})
    with scripted_upstream(scripts=scripts, keep_requests=10_000) as upstream:
        yield upstream


@pytest.fixture(scope="module")
def hold(tmp_path_factory: pytest.TempPathFactory) -> int:
    """What one call is held at, in tokens."""
    with (
        scripted_upstream() as upstream,
        served(tmp_path_factory.mktemp("probe"), config(upstream.base_url, 1_000_000)) as here,
    ):
        assert asyncio.run(many(here, here.key(), 1)) == {200: 1}
        here.settled(1)
        ((_, _, tokens),) = json.loads(here.attempts()[0]["hold_shares"])
        return int(tokens)


def reached(upstream: Running) -> int:
    return len(json.loads(upstream.app.stats.kept()))


def spent(here: Served) -> int:
    found = here.rows("SELECT SUM(spent) AS n FROM budget_spent")
    return int(found[0]["n"] or 0)


def test_exactly_as_many_calls_pass_as_fit(tmp_path: Path, hold: int) -> None:  # trap M15
    limit = ADMITTED * hold
    with provider(hold) as upstream, served(tmp_path, config(upstream.base_url, limit)) as here:
        statuses = asyncio.run(many(here, here.key(), AT_ONCE))
        print(f"{AT_ONCE} calls at once, room for {ADMITTED}: {dict(statuses)}")
        assert statuses == {200: ADMITTED, 402: AT_ONCE - ADMITTED}
        assert reached(upstream) == ADMITTED
        here.wait_for(lambda: spent(here) == limit)


def test_a_kill_in_the_middle_lets_none_pass_and_loses_no_room(tmp_path: Path, hold: int) -> None:  # F12, M8
    limit, first = ADMITTED * hold, 20
    with provider(hold) as upstream, served(tmp_path, config(upstream.base_url, limit)) as here:
        key = here.key()

        async def run() -> Counter[int]:
            before = asyncio.create_task(many(here, key, first))
            await appears(lambda: [1] * (reached(upstream) == first))
            for pid in running(here.process.pid, "gateway"):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            assert await before == {0: first}
            await appears(lambda: [1] * (here.status("/readyz") == 200))
            return await many(here, key, AT_ONCE)

        statuses = asyncio.run(run())
        print(f"{first} calls killed with their gateway, then {AT_ONCE} at once: {dict(statuses)}")
        assert statuses == {200: ADMITTED - first, 402: AT_ONCE - ADMITTED + first}
        assert reached(upstream) == ADMITTED
        here.wait_for(lambda: spent(here) == limit)
