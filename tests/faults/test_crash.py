"""`kill -9` of the gateway, of the control process and of both, at any moment under load.

TIDEGATE_CRASH_ROUNDS sets the number of kills (25 by default); TIDEGATE_CRASH_SEED repeats a run's choices.
"""

import asyncio
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

import pytest

from tests.faults.books import assert_once, assert_rebuilds, assert_settled, catch_up, rows_of
from tests.faults.traffic import PATIENCE_S, STEP, Traffic, config, running
from tests.support.served import Served, served
from tests.support.upstream import scripted_upstream

ROUNDS = int(os.environ.get("TIDEGATE_CRASH_ROUNDS", "25"))
SEED = int(os.environ.get("TIDEGATE_CRASH_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 32)
BLOCK = [("gateway",)] * 5 + [("control",)] * 3 + [("gateway", "control")] * 2

pytestmark = pytest.mark.slow


def test_every_answered_call_has_one_settled_row_through_kills(tmp_path: Path) -> None:  # fault F12, S14
    print(f"TIDEGATE_CRASH_SEED={SEED}")
    chance = random.Random(SEED)
    with scripted_upstream(
        latency_ms=20, tokens_per_second=80, output_tokens=16, keep_requests=1_000_000
    ) as upstream:
        with served(tmp_path, config(upstream.base_url)) as here:
            traffic = Traffic(here, here.key(), chance)
            asyncio.run(kill_under_load(here, traffic, chance))
        seen = [STEP.search(request["body"]) for request in json.loads(upstream.app.stats.kept())]
        reached = Counter(found[1] for found in seen if found)
    root = here.layout.root
    catch_up(root)
    requests, attempts = rows_of(root)
    known = [row for row in requests if row["tenant"] is not None]
    answered = [given for given in traffic.calls if given.ident]
    assert len(answered) > ROUNDS
    assert_settled(requests, attempts)
    assert_once(known, [given.ident for given in answered])
    rows = Counter(row["step"] for row in known)
    assert [step for step, times in rows.items() if times > 1] == []
    assert [step for step in reached if rows[step] != 1] == [], "a provider was called without a record"
    assert set(reached.values()) == {1}, "a call was sent twice"
    outcomes = {row["id"]: row["outcome"] for row in known}
    unfinished = {"interrupted", "cancelled", "ok"}  # the last bytes may be under way when a client leaves
    for given in answered:
        expected = {"ok", "interrupted"} if given.whole else unfinished
        assert given.status == 200, given
        assert outcomes[given.ident] in expected, given
    print(f"{ROUNDS} kills: {Counter(outcomes.values())}")
    assert Counter(outcomes.values())["interrupted"] > 0, "no kill met a call"
    assert_rebuilds(root)


async def kill_under_load(here: Served, traffic: Traffic, chance: random.Random) -> None:
    """Kill, let the load find a living gateway again, and kill once more, at a random moment."""
    load = asyncio.create_task(traffic.run())
    try:
        killed: set[int] = set()
        victims: list[tuple[str, ...]] = []
        for _ in range(ROUNDS):
            victims = victims or chance.sample(BLOCK, len(BLOCK))
            await kill(here, victims.pop(), killed, chance)
            if chance.random() < 0.8:
                seen = traffic.answered
                await appears(lambda seen=seen: range(seen, traffic.answered))  # type: ignore[misc]
            await asyncio.sleep(chance.random() * 0.5)
            assert not load.done(), load.exception()
    finally:
        traffic.stop = True
        await load


async def kill(here: Served, names: tuple[str, ...], killed: set[int], chance: random.Random) -> None:
    """Kill these children, at once or one shortly behind the other."""
    for name in names:
        pid = await appears(lambda name=name: running(here.process.pid, name) - killed)  # type: ignore[misc]
        killed.add(pid)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        if chance.random() < 0.5:
            await asyncio.sleep(chance.random() * 0.2)


async def appears(found: Callable[[], Collection[int]]) -> int:
    """Wait until there is something, and give one of it."""
    end_s = time.monotonic() + PATIENCE_S
    while not (values := found()):
        assert time.monotonic() < end_s, "never true"
        await asyncio.sleep(0.01)
    return next(iter(values))
