"""Any program of calls, faults, retries, resets, overrides, crashes and clock jumps: no budget is passed.

Through the real exchange with a real journal. The books are kept apart, from the records alone.
"""

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from tests.faults.house import KEY, FakeClient
from tests.faults.provider import KINDS, STEP, Kind, Reply, Told, answer
from tests.faults.test_ledger_property import Gate
from tests.money.books import Books, Limit, not_zero
from tests.money.gateway import ATTEMPTS, WAIT_S, Gateway, Watch, control_tells
from tests.support.scripted_transport import ScriptedReply, ScriptedTransport, Sent
from tests.support.virtual_time import VirtualLoop
from tidegate.model.budget import Budget, Raise, Window
from tidegate.policy.budget import SECOND_US
from tidegate.services.budget_accounts import Account
from tidegate.stores.spent import NAME
from tidegate.stores.sqlite import budget_queries
from tidegate.stores.sqlite.store import DATABASE, Store

TEAMS = ("red", "blue")
HOUR_S = 3_600.0
SPAN_S = 600
JUMPS_S = (-90_000, -4_000, -700, 700, 4_000, 90_000)
EXAMPLES = 60
LONG_AGO_US = -(1 << 62)

TALLY: Counter[str] = Counter()
"""What all programs of one test came to."""


def rules_of(percent: int) -> tuple[Budget, ...]:
    """The budgets with so much of their usual limits."""
    return (
        Budget(
            name="all",
            limit=10 * percent,
            unit="tokens",
            window=Window("day", time_zone="Europe/Berlin"),
            notify_permille=(500, 1000),
        ),
        Budget(
            name="team",
            limit=10_000 * percent,
            unit="EUR",
            window=Window("fixed", int(HOUR_S)),
            per=("team",),
        ),
        Budget(name="recent", limit=12 * percent // 100, unit="calls", window=Window("rolling", SPAN_S)),
        Budget(
            name="ever",
            limit=40_000 * percent,
            unit="EUR",
            window=Window("total"),
            mode="degrade",
            degrade_permille=300,
            degrade_to="large",
        ),
        Budget(name="told", limit=percent, unit="tokens", window=Window("month"), mode="soft"),
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client asks for, and what its provider does: a reply for each attempt."""

    team: str
    model: str
    stream: bool
    kinds: tuple[Kind, ...]
    told: Told
    max_tokens: int | None


ASKED = st.builds(
    Asked,
    team=st.sampled_from(TEAMS),
    model=st.sampled_from(["small", "both", "claude-x", "free"]),
    stream=st.booleans(),
    kinds=st.tuples(*[st.sampled_from(("whole", "whole", "whole", *KINDS))] * ATTEMPTS),
    told=st.builds(
        Told, st.integers(10, 90), st.integers(0, 10), st.sampled_from([8, 20, 64, 64, 400]), st.just(0)
    ),
    max_tokens=st.sampled_from([None, 16, 64, 64]),
)


@dataclass
class Started:
    """One call and its client; its provider's replies go on as the gate lets them."""

    asked: Asked
    client: FakeClient
    gate: Gate
    ident: str = ""
    task: "asyncio.Task[None] | None" = None
    sent: int = 0


class Programs(RuleBasedStateMachine):
    """Gateways of one machine, one after the other, and at the end their books."""

    calls = Bundle("calls")

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="tidegate-"))
        self.loop = VirtualLoop(leaps=False)
        self.runner = asyncio.Runner(loop_factory=lambda: self.loop)
        self.watch = Watch(self.loop, 1)
        self.books = Books()
        self.started: list[Started] = []
        self.draining: list[Gateway] = []
        self.raises: list[Raise] = []
        self.files: list[bytes] = []
        self.transport = ScriptedTransport(self._provider)
        self.gateway: Gateway

    @initialize()
    def boots(self) -> None:
        async def boot() -> None:
            self.gateway = Gateway(self.root, self.transport, self.watch, self.books)

        self.runner.run(boot())
        if not hasattr(self, "percent"):
            self.percent = 100
        self._apply()

    @rule(target=calls, asked=st.lists(ASKED, min_size=1, max_size=6))
    def start(self, asked: list[Asked]) -> "MultipleResults[Started]":
        """Calls that come in the same moment."""
        made = [Started(one, FakeClient(), Gate()) for one in asked]
        first = len(self.started)
        self.started.extend(made)

        async def begin() -> None:
            for at, call in enumerate(made, first):
                one = call.asked
                call.ident, call.task = self.gateway.call(
                    one.model,
                    call.client,
                    stream=one.stream,
                    text=f"call {at} of many",
                    key=msgspec.structs.replace(KEY, id=f"key-{one.team}", team=one.team),
                    max_tokens=one.max_tokens,
                )

        self._run(begin())
        return multiple(*made)

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
        call.gate.let(first)
        call.client.leave()
        self._run()

    @rule(
        seconds=st.sampled_from([0.5, WAIT_S / 2, WAIT_S, SPAN_S / 20, SPAN_S, HOUR_S, 24 * HOUR_S]),
        wrong_s=st.sampled_from([0, 0, *JUMPS_S]),
    )
    def time_passes(self, seconds: float, wrong_s: int) -> None:
        """Waits end, windows begin anew; the wall's clock may be set."""
        TALLY["jumps"] += wrong_s != 0
        self.loop.now_s += seconds
        self.watch.wrong_us += wrong_s * SECOND_US
        self._run()

    @rule(percent=st.sampled_from([0, 40, 100, 100, 200]))
    def limits_change(self, percent: int) -> None:
        self.percent = percent
        self._apply()

    @rule(team=st.sampled_from(TEAMS), which=st.integers(0, 2), part=st.sampled_from([-50, 30, 100]))
    def is_raised(self, team: str, which: int, part: int) -> None:
        """A person gives more, or takes some away, for the window of now."""
        standing = self._strict(team)[which].standing(self.watch.wall_us())
        amount = rules_of(100)[which].limit * part // 100
        self.raises.append(Raise(account=standing.account, window_us=standing.window_us, amount=amount))
        self._apply()

    @rule(tells=st.booleans(), which=st.integers(0, 20))
    def control_turns(self, tells: bool, which: int) -> None:
        """The control process tells what is spent; or died before, so that the file is older or gone."""
        file = self.root / NAME
        control_tells(self.root, self.watch)
        self.files.append(file.read_bytes())
        if not tells and which % 4:
            file.write_bytes(self.files[which % len(self.files)])
        elif not tells:
            file.unlink()

    @rule(how=st.sampled_from(["killed", "restarted", "replaced"]))
    def gateway_goes(self, how: str) -> None:
        """And another one comes."""
        if how == "killed":
            self._kill()
        elif how == "replaced" and self.gateway.tasks and not self.draining:
            TALLY["upgrades"] += 1
            self.gateway.copied.admits = False
            self.draining.append(self.gateway)
        else:
            self._stop(self.gateway, *self.draining)
            self.draining.clear()
        self.boots()

    def _kill(self) -> None:
        """`kill -9`: what is with the operating system stays, and nothing else."""
        TALLY["crashes"] += 1
        copy = Path(tempfile.mkdtemp(prefix="tidegate-"))
        shutil.copytree(self.root, copy, dirs_exist_ok=True)
        dead = [self.gateway, *self.draining]
        for one in dead:
            one.copied.is_dead = True
            self.books.died(one.directory.name)
        self._stop(*dead)
        self.draining.clear()
        shutil.rmtree(self.root)
        self.root = copy

    @invariant()
    def no_budget_is_passed(self) -> None:
        self.books.check_bound()

    def teardown(self) -> None:
        try:
            if hasattr(self, "gateway"):
                self._finish()
        finally:
            self._stop(self.gateway, *self.draining)
            self.runner.close()
            shutil.rmtree(self.root)

    def _finish(self) -> None:
        for call in self.started:
            call.gate.open()
        for _ in range(3 * len(self.started)):
            self.loop.now_s += WAIT_S / 2
            self._run()
            if not self.gateway.tasks:
                break
        assert not self.gateway.tasks, "a call never ended"
        assert self.gateway.journal.stats.open_begins == 0
        self._stop(*self.draining)
        self._run()
        self.books.check_bound()
        assert self.books.open == {}, "an attempt was never settled"
        assert not any(self.books.ahead.values()), "an attempt was settled and not recorded"
        assert self.gateway.open_holds() == {}, "a hold stays open"
        self._check_calls()
        self._count()
        self._stop(self.gateway)
        control_tells(self.root, self.watch)
        spent = not_zero(self.books.spent)
        with Store.open_read_only(self.root / DATABASE) as store:
            rows = budget_queries.spent(store, LONG_AGO_US)
        assert {(one.account, one.window_us): one.amount for one in rows} == spent, "the tables differ"
        for file in (None, (self.root / NAME).read_bytes()):
            self._check_start(file)

    def _count(self) -> None:
        TALLY["programs"] += 1
        TALLY["calls"] += len(self.started)
        TALLY["attempts"] += len(self.books.settled)
        TALLY["refusals"] += sum(call.client.status == 402 for call in self.started)
        TALLY["beyond"] += sum(amount > 0 for amount in self.books.beyond.values())

    def _check_calls(self) -> None:
        """A call that went well at once is charged what its provider billed, in every unit."""
        for call in self.started:
            assert call.task is not None
            assert call.task.cancelled() or call.task.exception() is None
            charges = self.books.settled.get((call.ident, 0))
            client = call.client
            went_well = client.whole and client.status == 200 and b'"error"' not in client.body
            if charges and call.asked.kinds[0] == "whole" and went_well:
                told = call.asked.told
                nano = (told.input - told.cached) * 500 + told.cached * 100 + told.output * 2_000
                bill = {"tokens": told.input + told.output, "calls": 1, "EUR": nano}
                due = [bill[one.account.split("|")[1]] for one in charges]
                assert [one.amount for one in charges] == due, client.body

    def _check_start(self, file: bytes | None) -> None:
        """A gateway that starts now knows what all before it spent, with the file and without."""
        if file is None:
            (self.root / NAME).unlink()
        else:
            (self.root / NAME).write_bytes(file)
        self.boots()
        assert self.gateway.open_holds() == {}, "a hold stays open after a start"
        for account in {one for team in TEAMS for one in self._strict(team)}:
            one = account.standing(self.watch.wall_us())
            assert one.spent + one.held == self.books.used(one.account, one.window_us)
        self._stop(self.gateway)

    def _apply(self) -> None:
        """Bring the limits and what people gave into force, in gateways and in the books."""
        rules, books = rules_of(self.percent), self.books
        for gateway in (*self.draining, self.gateway):
            gateway.take(rules, self.raises)
        books.raised.clear()
        for one in self.raises:
            place = one.account, one.window_us
            books.raised[place] = books.raised.get(place, 0) + one.amount
        books.limits = {
            one.name: Limit(
                one.budget.limit, one.budget.window.seconds * SECOND_US * (one.budget.name == "recent")
            )
            for team in TEAMS
            for one in self._strict(team)
        }
        self._run()

    def _strict(self, team: str) -> list[Account]:
        """The accounts of a team's calls that can refuse."""
        found = self.gateway.wired.budgets.accounts({"team": (team,)})
        return [one for one in found if one.budget.mode != "soft"]

    def _stop(self, *gateways: Gateway) -> None:
        async def stop() -> None:
            for one in gateways:
                await one.stop()

        self.runner.run(stop())

    def _run(self, first: Coroutine[Any, Any, object] | None = None) -> None:
        async def turns() -> None:
            if first is not None:
                await first
            for one in (*self.draining, self.gateway):
                await one.goes_on()

        self.runner.run(turns())
        for one in [one for one in self.draining if not one.tasks]:
            self._stop(one)
            self.draining.remove(one)
            self.gateway.others.look()

    def _provider(self, sent: Sent) -> ScriptedReply:
        found = STEP.search(sent.body)
        assert found
        call = self.started[int(found[1])]
        call.sent += 1
        return answer(sent, Reply(call.asked.kinds[call.sent - 1], call.asked.told, 3), call.gate.wait)


def test_a_clock_that_went_back_across_a_restart_reopens_no_window() -> None:  # case F18
    program = Programs()
    program.boots()
    kinds: tuple[Kind, ...] = ("whole", "whole", "whole", "whole")
    asked = Asked("red", "small", False, kinds, Told(10, 0, 64, 0), 64)
    for call in program.start(asked=[asked] * 8):
        program.ends(call=call)
    program.time_passes(seconds=0.5, wrong_s=24 * 3600)
    program.control_turns(tells=True, which=0)
    program.time_passes(seconds=0.5, wrong_s=-24 * 3600)
    program.gateway_goes(how="restarted")
    for call in program.start(asked=[asked] * 8):
        program.ends(call=call)
    program.no_budget_is_passed()
    program.teardown()


def test_no_program_passes_a_budget(record_property: Callable[[str, object], None]) -> None:
    TALLY.clear()
    run_state_machine_as_test(
        Programs,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=40,
            deadline=None,
            print_blob=True,
            phases=(Phase.explicit, Phase.reuse, Phase.generate),  # a failure prints its steps at once
        ),
    )
    found = [TALLY[what] for what in ("attempts", "refusals", "beyond", "jumps")]
    found.append(TALLY["crashes"] + TALLY["upgrades"])  # a run may leave one kind of step out altogether
    assert min(found) > 5, f"too little was tried: {TALLY}"
    record_property(
        "figure",
        f"{TALLY['programs']} programs of {TALLY['calls']} calls: {TALLY['attempts']} attempts held and "
        f"settled once each, {TALLY['refusals']} calls refused, {TALLY['beyond']} windows with bills beyond "
        f"their holds, {TALLY['crashes']} kills, {TALLY['upgrades']} upgrades, {TALLY['jumps']} clock jumps; "
        "budgets passed beyond max(0, bill - hold): 0; holds open at the end: 0",
    )
