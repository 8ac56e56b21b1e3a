"""Whatever mix of successes, faults, disconnects, full disks and restarts: one settled row a call."""

import asyncio
import errno
import shutil
import tempfile
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, rule

from tests.faults.books import Rows, assert_rebuilds, assert_settled, catch_up, flags_of, rows_of
from tests.faults.house import FakeClient, House, Ticks
from tests.faults.provider import ENDS_WELL, KINDS, STEP, Kind, Reply, Told, answer
from tests.support.scripted_transport import ScriptedReply, ScriptedTransport, Sent
from tidegate.policy.breaker import BreakerPolicy
from tidegate.policy.resilience import ResiliencePolicy
from tidegate.stores.journal import Disk
from tidegate.stores.journal.disk import preallocate
from tidegate.stores.snapshot import Policies

PATIENCE_S = 30.0
ATTEMPTS = 4
POLICIES = Policies(
    resilience=ResiliencePolicy(max_total=ATTEMPTS, base_us=0, cap_us=0),
    breaker=BreakerPolicy(last_failures=0, failure_permille=0),
)
"""Retries without a wait, and breakers that no failure opens: each call is judged by its own replies."""


class Gate:
    """Lets a provider's reply go on step by step, or all the way once it is open."""

    def __init__(self) -> None:
        self._steps = asyncio.Semaphore(0)
        self._open = False

    async def wait(self) -> None:
        if not self._open:
            await self._steps.acquire()

    def let(self, steps: int) -> None:
        for _ in range(steps):
            self._steps.release()

    def open(self) -> None:
        self._open = True
        self._steps.release()


@dataclass
class Started:
    """One call: what its provider is to do, its client, and what happened to it from outside."""

    model: str
    stream: bool
    replies: tuple[Reply, ...]
    client: FakeClient
    gate: Gate
    ident: str = ""
    task: "asyncio.Task[None] | None" = None
    sent: int = 0
    stopped: bool = False

    @property
    def running(self) -> bool:
        return self.task is not None and not self.task.done()


class Trouble:
    """A disk that is slow, full, or fails its next sync, as told."""

    def __init__(self) -> None:
        self.slow = self.full = self.fails = False
        self.disk = Disk(sync=self._sync, preallocate=self._preallocate)

    def _sync(self, fd: int) -> None:
        if self.fails:
            self.fails = False
            raise OSError(errno.EIO, "scripted")
        if self.slow:
            time.sleep(0.003)

    def _preallocate(self, fd: int, size: int) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "scripted")
        preallocate(fd, size)


class Calls(RuleBasedStateMachine):
    """A gateway's life, and at its end the books."""

    calls = Bundle("calls")

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="tidegate-"))
        self.runner = asyncio.Runner()
        self.ticks = Ticks(1)
        self.trouble = Trouble()
        self.started: list[Started] = []
        self.house: House

    @initialize()
    def boots(self) -> None:
        async def boot() -> None:
            transport = ScriptedTransport(self._provider)
            disk = self.trouble.disk
            self.house = House(self.root, transport, self.ticks, disk=disk, policies=POLICIES)

        self.trouble.full = self.trouble.fails = False
        self.runner.run(boot())

    @rule(
        target=calls,
        model=st.sampled_from(["small", "both", "free", "claude-x"]),
        stream=st.booleans(),
        kinds=st.tuples(*[st.sampled_from(KINDS)] * ATTEMPTS),
        told=st.builds(
            Told, st.integers(10, 90), st.integers(0, 10), st.integers(8, 2_000_000), st.integers(0, 8)
        ),
        words=st.sampled_from([0, 1, 6, 3000]),
    )
    def start(self, model: str, stream: bool, kinds: tuple[Kind, ...], told: Told, words: int) -> Started:
        replies = tuple(Reply(kind, told, words) for kind in kinds)
        call = Started(model, stream, replies, FakeClient(), Gate())
        text = f"call {len(self.started)} of many"
        self.started.append(call)

        async def begin() -> None:
            call.ident, call.task = self.house.call(model, call.client, stream=stream, text=text)

        self._run(begin())
        return call

    @rule(call=calls, steps=st.integers(1, 6))
    def goes_on(self, call: Started, steps: int) -> None:
        call.gate.let(steps)
        self._run()

    @rule(call=calls)
    def ends(self, call: Started) -> None:
        call.gate.open()
        self._run()

    @rule(call=calls, first=st.integers(0, 3))
    def hangs_up(self, call: Started, first: int) -> None:
        """Hang up, perhaps in the same moment as the provider goes on."""
        call.gate.let(first)
        call.client.leave()
        self._run()

    @rule(call=calls)
    def stops_reading(self, call: Started) -> None:
        call.client.reads.clear()

    @rule(call=calls)
    def reads_on(self, call: Started) -> None:
        call.client.reads.set()
        self._run()

    @rule(slow=st.booleans(), full=st.booleans(), fails=st.booleans())
    def disk_changes(self, slow: bool, full: bool, fails: bool) -> None:
        self.trouble.slow, self.trouble.full, self.trouble.fails = slow, full, fails

    @rule()
    def time_passes(self) -> None:
        self._run(asyncio.sleep(0.004))

    @rule()
    def is_projected(self) -> None:
        catch_up(self.root)

    @rule(leaving=st.booleans())
    def restarts(self, leaving: bool) -> None:
        """SIGTERM whose drain is over: what runs is cancelled, twice, some of it while its client leaves."""
        self._note_stop()
        if leaving:
            for call in self.started[::2]:
                call.client.leave()
        self.runner.run(self._stop())
        assert self.house.journal.stats.open_begins == 0
        self.boots()

    @rule()
    def dies(self) -> None:
        """`kill -9`: what was begun stays open in the journal."""
        self._note_stop()

        async def die() -> None:
            await self.house.journal.close()
            await self.house.drain()

        self.trouble.full = self.trouble.fails = False
        self.runner.run(die())
        self.boots()

    def teardown(self) -> None:
        try:
            if hasattr(self, "house"):
                self._finish()
        finally:
            self.runner.close()
            shutil.rmtree(self.root)

    def _finish(self) -> None:
        async def finish() -> None:
            self.trouble.full = self.trouble.fails = self.trouble.slow = False
            for call in self.started:
                call.gate.open()
                call.client.reads.set()
            if self.house.tasks:
                _, late = await asyncio.wait(set(self.house.tasks), timeout=PATIENCE_S)
                assert not late, "a call never ended"
            assert self.house.journal.stats.open_begins == 0
            await self._stop()

        self.runner.run(finish())
        catch_up(self.root)
        requests, attempts = rows_of(self.root)
        assert_settled(requests, attempts)
        for call in self.started:
            assert_recorded(
                call,
                [row for row in requests if row["id"] == call.ident],
                sorted(
                    (row for row in attempts if row["request_id"] == call.ident), key=lambda row: row["n"]
                ),
            )
        assert_rebuilds(self.root)

    async def _stop(self) -> None:
        self.trouble.full = self.trouble.fails = False
        await self.house.drain()
        await self.house.journal.close()

    def _note_stop(self) -> None:
        for call in self.started:
            call.stopped = call.stopped or call.running

    def _run(self, first: Coroutine[Any, Any, object] | None = None) -> None:
        """Give the loop a few turns."""

        async def turns() -> None:
            if first is not None:
                await first
            for _ in range(6):
                await asyncio.sleep(0)

        self.runner.run(turns())

    def _provider(self, sent: Sent) -> ScriptedReply:
        found = STEP.search(sent.body)
        assert found
        call = self.started[int(found[1])]
        call.sent += 1
        return answer(sent, call.replies[call.sent - 1], call.gate.wait)


def assert_recorded(call: Started, requests: Rows, attempts: Rows) -> None:
    """The row of one call says what happened to it."""
    if call.client.refused:
        outcomes = [row["outcome"] for row in requests]
        if attempts:  # it had begun when the journal failed
            ends = {"failed"} | ({"interrupted"} if call.stopped else set())
            assert len(outcomes) == 1, (call, outcomes)
            assert outcomes[0] in ends, (call, outcomes)
            assert call.sent <= len(attempts), (call, attempts)
            return
        assert outcomes in ([], ["refused"])  # no room, and there may be none for the refusal either
        assert call.sent == 0
        return
    assert len(requests) == 1, call
    request, last = requests[0], attempts[-1]
    reply = call.replies[len(attempts) - 1]
    assert call.sent <= len(attempts) <= call.sent + 1, call
    expected = {ended(call, reply)}
    if call.stopped:
        expected.add("interrupted")
    if call.client.gone:
        expected.add("cancelled")
    assert request["outcome"] in expected, (call, request)
    if request["outcome"] == "ok":
        assert call.client.gone or call.client.whole
        assert_told(call, reply, last)
    elif call.client.whole and not call.stopped:
        assert reply.kind not in ENDS_WELL
    if last["usage_source"] == "none":
        assert last["sent"] == "no" or last["http"] >= 400, last
        assert last["cost_nano"] == 0, last
    elif last["status"] in ("cancelled", "interrupted") and last["usage_source"] != "provider":
        assert {"estimated", "maybe_billed"} <= set(flags_of(last)), last


def ended(call: Started, reply: Reply) -> str:
    """How a call ends that nothing from outside disturbs."""
    if reply.kind in ENDS_WELL:
        return "ok"
    if call.stream and reply.kind in ("cut", "broken") and reply.words >= 2:
        return "truncated"  # its client had some of it
    return "failed"


def assert_told(call: Started, reply: Reply, attempt: dict[str, Any]) -> None:
    """The buckets of a whole answer sum to what its provider said, where it said something sound."""
    told = reply.told
    if reply.kind == "whole":
        assert attempt["usage_source"] == "provider", attempt
        assert (attempt["stated_input"], attempt["stated_output"]) == (told.input, told.output), attempt
        assert attempt["cache_read"] == told.cached, attempt
        assert attempt["input_uncached"] == told.input - told.cached, attempt
        assert attempt["cost_source"] == ("unpriced" if call.model == "free" else "price"), attempt
    elif attempt["usage_source"] == "provider":  # fault F9: the total told what the absurd count did not
        assert reply.kind == "absurd"
        assert attempt["stated_output"] == told.output, attempt
    else:
        assert "estimated" in flags_of(attempt), attempt
        assert (attempt["cost_nano"] or 0) < 10**12, attempt


TestCalls = Calls.TestCase  # without shrinking: a failure prints its steps at once, not after minutes
TestCalls.settings = settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    print_blob=True,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow],
)
