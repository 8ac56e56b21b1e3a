"""Fifty clients with one budget between them, in virtual time: the real exchange, and what was truly billed.

The provider bills prompts as long as they really are, which the gateway can only estimate, and answers as
long as they want to be, up to the limit that it was sent.
"""

import asyncio
import json
import random
import re
from collections.abc import Awaitable
from dataclasses import dataclass, field, replace

from tests.faults.house import KEY, START_US, FakeClient, wired
from tests.support.scripted_transport import ScriptedReply, ScriptedTransport, Sent
from tests.support.virtual_time import VirtualLoop
from tidegate.exchange.call import Call
from tidegate.model.budget import Budget, Window
from tidegate.model.ids import uuid7
from tidegate.model.record import Begin, decode_gateway
from tidegate.model.request import RequestFacts
from tidegate.policy.breaker import BreakerPolicy
from tidegate.policy.budget import INPUT_MARGIN_PERMILLE
from tidegate.services.clock import Clock
from tidegate.services.ledger import Ledger
from tidegate.stores.snapshot import Policies

PARALLEL = 50
INPUT_NANO, OUTPUT_NANO = 500, 2_000
"""What the provider takes for a token: the price of `small` in the house, EUR 0.5 and 2 per million."""
WORDS = 440
ESTIMATE = WORDS * 5 / 3.9
"""What the gateway takes a prompt for, in tokens, before it has seen a bill."""
WAIT_S = 30.0
WARM_UP = 150

_NUMBER = re.compile(rb"call (\d+) of many")
_JSON = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Case:
    """One run. The budget is of `cap_calls` average calls; clients make `calls` in all.

    `estimates`: an estimate lies between these two parts of the truth. `default_output` is what is held for
    an answer before any is known; with `learned` the answers of a while are known when the budget begins.
    `limited`: clients set a limit themselves, exactly as long as their answers get.
    """

    cap_calls: int
    calls: int
    estimates: tuple[float, float] = (0.7, 1.3)
    default_output: int = 11_000
    learned: bool = False
    limited: bool = False
    tokens_per_s: float = 60.0
    seed: int = 1


@dataclass(slots=True)
class Asked:
    """One call: what it would truly be billed, and what became of it."""

    input_tokens: int
    output_tokens: int
    billed_nano: int = 0
    was_cut: bool = False
    refused: bool = False

    @property
    def worth_nano(self) -> int:
        """Its bill where nothing cuts its answer."""
        return self.input_tokens * INPUT_NANO + self.output_tokens * OUTPUT_NANO


@dataclass(slots=True)
class Outcome:
    """What a run came to, in nano-units of billed money.

    `error_nano` is the largest error of one call's estimate, `used_at_refusal` the part of the cap that was
    billed when the first call was refused, None where none was; `hold_ratio` is what the first hold is of the
    average bill, `longest_s` the longest that a client had to wait for its answer or refusal.
    """

    cap_nano: int
    billed_nano: int
    error_nano: int
    refusals: int
    false_refusals: int
    calls: int
    cut: int
    used_at_refusal: float | None
    hold_ratio: float
    longest_s: float

    @property
    def overspend_nano(self) -> int:
        """What was billed beyond the cap."""
        return max(0, self.billed_nano - self.cap_nano)

    @property
    def allowed_nano(self) -> int:
        """What may be: a thousandth of the cap, or one call's error of estimate where that is more."""
        return max(self.cap_nano // 1000, self.error_nano)


class Memory:
    """A log that has everything written as soon as it is told."""

    def __init__(self) -> None:
        self.begins: list[Begin] = []

    def begin(self, id: str, payload: bytes) -> int:  # noqa: A002 - the log's own word
        found = decode_gateway(payload)
        assert isinstance(found, Begin)
        self.begins.append(found)
        return 0

    def append(self, payload: bytes, *, of: str = "") -> int:
        return 0

    def end(self, id: str, payload: bytes) -> int:  # noqa: A002
        return 0

    def written(self, mark: int) -> Awaitable[None]:
        return asyncio.sleep(0)

    synced = written


@dataclass
class Market:
    """One run of a case, on a loop of its own."""

    case: Case
    loop: VirtualLoop
    asked: list[Asked] = field(default_factory=list)
    log: Memory = field(default_factory=Memory)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.case.seed)
        bits = random.Random(self.case.seed).getrandbits
        self.clock = Clock(
            wall_us=lambda: START_US + int(self.loop.now_s * 1_000_000),
            mono_s=self.loop.time,
            random_bits=bits,
        )
        self.running_nano = self.billed_nano = self.cap_nano = 0
        self.first_refusal: float | None = None
        self.false_refusals = 0
        self.longest_s = 0.0

    async def run(self) -> Outcome:
        """Warm up where the case says so, set the budget, and let the clients loose."""
        case = self.case
        policies = Policies(breaker=BreakerPolicy(last_failures=0, failure_permille=0))
        ledger = Ledger(self.log, self.clock)
        self.inside = wired(ledger, ScriptedTransport(self._provider), policies, self)
        self._limit(None)
        if case.learned:
            await self._all(WARM_UP)
        mean_nano = sum(self._drawn().worth_nano for _ in range(20_000)) // 20_000
        self.cap_nano = case.cap_calls * mean_nano
        self._limit(self.cap_nano)
        self.hold_ratio = self._first_hold_nano() / mean_nano
        self.asked.clear()
        self.log.begins.clear()
        self.billed_nano, self.longest_s = 0, 0.0
        await self._all(case.calls)
        assert self.running_nano == 0
        return self._outcome()

    async def count(self, model: str, facts: RequestFacts) -> int | None:
        """The tokens of a prompt counted, within five in a hundred."""
        found = _NUMBER.search(b"".join(facts.prompt))
        assert found
        return round(self.asked[int(found[1])].input_tokens * self.chance.uniform(0.95, 1.05))

    def _limit(self, cap_nano: int | None) -> None:
        rules: tuple[Budget, ...] = ()
        if cap_nano is not None:
            rules = (Budget(name="b", limit=cap_nano, unit="EUR", window=Window("total")),)
        current = self.inside.current
        assert current.state is not None
        current.state = replace(
            current.state,
            budgets=rules,
            budget_wait_s=WAIT_S,
            default_output_tokens=self.case.default_output,
        )
        self.inside.budgets.configure(rules, (), lambda _base, _quote: None)

    def _first_hold_nano(self) -> int:
        """What the first call of the budget is held at, where there is room for all of it."""
        limit = self.case.default_output
        if self.case.limited:
            limit = sum(self._drawn().output_tokens for _ in range(1_000)) // 1_000
        elif self.log.begins:
            last = self.log.begins[-1]
            found = self.inside.limits.of(last.who.tenant, last.who.feature, last.target.model)
            assert found is not None
            limit = found
        return round(ESTIMATE * INPUT_MARGIN_PERMILLE / 1000) * INPUT_NANO + limit * OUTPUT_NANO

    def _drawn(self) -> Asked:
        """A call: its prompt as its estimate is wrong, its answer mostly short and now and then long."""
        error = self.chance.uniform(*self.case.estimates)
        output = min(1_200, max(30, round(self.chance.lognormvariate(5.5, 0.4))))
        return Asked(round(ESTIMATE / error), output)

    async def _all(self, calls: int) -> None:
        """Fifty clients, each with its next call as soon as the one before is over."""
        places = iter(range(calls))
        self.asked.extend(self._drawn() for _ in range(calls))

        async def client() -> None:
            for place in places:
                await self._ask(place)

        async with asyncio.TaskGroup() as group:
            for _ in range(PARALLEL):
                group.create_task(client())

    async def _ask(self, place: int) -> None:
        one, began_s = self.asked[place], self.loop.time()
        text = f"call {place} of many " + "word " * WORDS
        limit = {"max_tokens": one.output_tokens} if self.case.limited else {}
        body = {"model": "small", **limit, "messages": [{"role": "user", "content": text}]}
        client, at_us = FakeClient(), self.clock.wall_us()
        call = Call(
            id=uuid7(at_us, self.clock.random_bits(62)),
            surface="chat",
            key=KEY,
            headers=[],
            query=b"",
            body=json.dumps(body).encode(),
            at_us=at_us,
            started_s=began_s,
        )
        await self.inside.exchange.run(call, client)
        self.longest_s = max(self.longest_s, self.loop.time() - began_s)
        assert client.status in (200, 402), client.body
        if client.status == 402:
            self._refused(one)

    def _refused(self, one: Asked) -> None:
        one.refused = True
        if self.first_refusal is None:
            self.first_refusal = self.billed_nano / self.cap_nano
        if self.billed_nano + self.running_nano + one.worth_nano <= self.cap_nano:
            self.false_refusals += 1

    def _provider(self, sent: Sent) -> ScriptedReply:
        """Take as long as an answer of this length takes, and bill it."""
        found = _NUMBER.search(sent.body)
        assert found
        one, limit = self.asked[int(found[1])], json.loads(sent.body).get("max_tokens")
        output = one.output_tokens if limit is None else min(one.output_tokens, limit)
        one.was_cut = output < one.output_tokens
        one.billed_nano = one.input_tokens * INPUT_NANO + output * OUTPUT_NANO
        self.running_nano += one.billed_nano
        usage = {"prompt_tokens": one.input_tokens, "completion_tokens": output}
        usage["total_tokens"] = one.input_tokens + output
        finish = "length" if one.was_cut else "stop"
        choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": "word"}}
        whole = {
            "id": "c",
            "object": "chat.completion",
            "model": "small",
            "choices": [choice],
            "usage": usage,
        }

        async def before() -> None:
            await asyncio.sleep(0.3 + output / self.case.tokens_per_s)

        async def bill() -> None:
            self.running_nano -= one.billed_nano
            self.billed_nano += one.billed_nano

        return ScriptedReply(200, _JSON, [bill, json.dumps(whole).encode()], before=before)

    def _outcome(self) -> Outcome:
        return Outcome(
            cap_nano=self.cap_nano,
            billed_nano=self.billed_nano,
            error_nano=max(int(abs(one.input_tokens - ESTIMATE) * INPUT_NANO) for one in self.asked),
            refusals=sum(one.refused for one in self.asked),
            false_refusals=self.false_refusals,
            calls=len(self.asked),
            cut=sum(one.was_cut for one in self.asked),
            used_at_refusal=self.first_refusal,
            hold_ratio=self.hold_ratio,
            longest_s=self.longest_s,
        )


def run(case: Case) -> Outcome:
    """Run one case."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(leaps=True)) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        return runner.run(Market(case, loop).run())
