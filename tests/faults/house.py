"""Calls inside one process: the real exchange, ledger and journal, and a scripted provider."""

import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.served import deployment
from tidegate.config.load import load
from tidegate.exchange.call import Call, Headers
from tidegate.exchange.dispatch import Dispatcher
from tidegate.exchange.exchange import Exchange
from tidegate.exchange.funding import Counter, Funding
from tidegate.exchange.plan import Planner
from tidegate.exchange.settlement import Settlement
from tidegate.model.identity import Key
from tidegate.model.ids import uuid7
from tidegate.model.request import Surface
from tidegate.providers.catalog import load as load_catalog
from tidegate.providers.targets import price_section
from tidegate.providers.transport import PhaseLimits, Transport
from tidegate.services.budgets import Budgets
from tidegate.services.clock import Clock
from tidegate.services.conversations import Conversations
from tidegate.services.deployments import survey
from tidegate.services.exact_tokens import ExactTokens
from tidegate.services.features import Features
from tidegate.services.fleet import Fleet
from tidegate.services.kept import KeptParts
from tidegate.services.ledger import Ledger
from tidegate.services.limiter import Limiter
from tidegate.services.output_limits import OutputLimits
from tidegate.services.pseudonyms import Pseudonyms
from tidegate.services.state import Current, State, state_of
from tidegate.services.tokens import Calibrations
from tidegate.stores.journal import Disk, Journal
from tidegate.stores.layout import Layout
from tidegate.stores.snapshot import Policies, Snapshot

PEPPER = bytes(32)
KEY = Key(id="k1", mac="", tenant="acme", team="web")
LIMITS = PhaseLimits(connect_s=10, first_byte_s=10, idle_s=10)
START_US = 1_794_052_800_000_000
PRICE = '{ currency = "EUR", rates = { input_uncached = "0.5", cache_read = "0.1", output_text = "2" } }'
MODELS = (
    deployment("one", "vllm", "http://one.test/v1", "small", names='["small", "both"]', price=PRICE)
    + deployment("two", "vllm", "http://two.test/v1", "large", names='["large", "both"]', price=PRICE)
    + deployment("claude", "anthropic-compatible", "http://three.test", "claude-x", price=PRICE)
    + deployment("free", "vllm", "http://four.test/v1", "free")
    + '\n[policy]\nunpriced = "flag"\n'
)


@cache
def state() -> State:
    """The same models and prices for every house."""
    catalog = load_catalog()
    with TemporaryDirectory() as directory:
        path = Path(directory) / "tidegate.toml"
        path.write_text(MODELS)
        settings = load(path)
    deployments, problems = survey(settings, catalog)
    assert not [problem for problem in problems if problem.level == "error"], problems
    snapshot = Snapshot(
        version=1,
        made_at_us=START_US,
        deployments=deployments,
        aliases=settings.aliases,
        prices=price_section(settings, catalog),
        unpriced=settings.policy.unpriced,
    )
    return state_of(snapshot, catalog, PEPPER, {})


class Ticks:
    """Time that moves a little with every look, and chance that repeats."""

    def __init__(self, seed: int) -> None:
        self.now_us = START_US
        self.random = random.Random(seed)

    def wall_us(self) -> int:
        self.now_us += 7
        return self.now_us

    def clock(self) -> Clock:
        return Clock(
            wall_us=self.wall_us,
            mono_s=lambda: self.wall_us() / 1_000_000,
            random_bits=self.random.getrandbits,
        )


@dataclass
class FakeClient:
    """A client that reads when it is let, and leaves when it is told."""

    status: int = 0
    headers: Headers = field(default_factory=list)
    body: bytes = b""
    whole: bool = False
    gone: bool = False
    reads: asyncio.Event = field(default_factory=asyncio.Event)
    on_byte: Callable[[], object] = lambda: None
    _left: Callable[[], object] | None = None

    def __post_init__(self) -> None:
        self.reads.set()

    async def reply(self, status: int, headers: Headers, body: bytes) -> None:
        await self.start(status, headers)
        await self.write(body, more=False)

    async def start(self, status: int, headers: Headers) -> None:
        assert not self.status, "a reply was started twice"
        if not self.gone:
            self.status, self.headers = status, headers
            self.on_byte()

    async def write(self, data: bytes, *, more: bool) -> None:
        assert self.status or self.gone, "a body before its head"
        assert not self.whole, "a write behind the end"
        await self.reads.wait()
        if not self.gone:
            self.body += data
            self.whole = not more

    def on_gone(self, callback: Callable[[], object]) -> None:
        self._left = callback
        if self.gone:
            callback()

    @property
    def refused(self) -> bool:
        """Tidegate itself took no more calls."""
        return self.status == 503 and (b"tidegate-error-source", b"tidegate") in self.headers

    def leave(self) -> None:
        """Hang up, as a connection that is lost tells it."""
        if not self.gone and not self.whole:
            self.gone = True
            if self._left is not None:
                self._left()


@dataclass(frozen=True, slots=True)
class Wired:
    """An exchange, and what a test sets or looks at inside it."""

    exchange: Exchange
    current: Current
    budgets: Budgets
    limits: OutputLimits


def wired(ledger: Ledger, transport: Transport, policies: Policies, counter: Counter | None = None) -> Wired:
    """Wire an exchange as a gateway does."""
    current, calibrations, clock = Current(), Calibrations(), ledger.clock
    current.state = replace(state(), policies=policies, keep_alive_s=3600.0)
    fleet = Fleet(clock, policies, on_breaker=lambda name, event: None)
    conversations, kept, limits = Conversations(), KeptParts(), OutputLimits()
    planner = Planner(Pseudonyms(PEPPER), calibrations, Features(), fleet, conversations)
    budgets = Budgets(clock, on_crossed=lambda standing, permille: None)
    funding = Funding(planner, budgets, limits, counter or ExactTokens())
    settlement = Settlement(calibrations, funding, ledger)
    dispatcher = Dispatcher(
        transport=transport,
        limits=LIMITS,
        first_content_s=3600.0,
        funding=funding,
        settlement=settlement,
        fleet=fleet,
        kept=kept,
    )
    exchange = Exchange(
        current=current,
        planner=planner,
        ledger=ledger,
        funding=funding,
        settlement=settlement,
        dispatcher=dispatcher,
        kept=kept,
        conversations=conversations,
        limiter=Limiter(clock, on_spend=lambda key, event: None),
    )
    return Wired(exchange, current, budgets, limits)


class House:
    """One boot of a gateway without its server. Lives on the running loop."""

    def __init__(
        self,
        root: Path,
        transport: Transport,
        ticks: Ticks,
        *,
        disk: Disk | None = None,
        segment_bytes: int = 1 << 18,
        patience_s: float = 30.0,
        policies: Policies | None = None,
    ) -> None:
        self.policies = policies or Policies()
        layout = Layout(root)
        layout.make()
        self.root = root
        self.clock = ticks.clock()
        boot = uuid7(self.clock.wall_us(), self.clock.random_bits(62))
        self.journal = Journal.open(
            layout.gateway_journal,
            boot=boot,
            disk=disk,
            segment_bytes=segment_bytes,
            patience_s=patience_s,
            retry_s=0.01,
        )
        self.directory = layout.gateway_journal / boot
        self.ledger = Ledger(self.journal, self.clock)
        self.wired = wired(self.ledger, transport, self.policies)
        self.exchange = self.wired.exchange
        self.tasks: set[asyncio.Task[None]] = set()

    def call(
        self,
        model: str,
        client: FakeClient,
        *,
        stream: bool,
        text: str = "hello",
        key: Key = KEY,
        max_tokens: int | None = 64,
    ) -> "tuple[str, asyncio.Task[None]]":
        """Begin one call as the server would; give its id and its task."""
        surface: Surface = "messages" if model.startswith("claude") else "chat"
        limit = {} if max_tokens is None else {"max_tokens": max_tokens}
        turns = [{"role": "user", "content": text}]
        body = {"model": model, **limit, "stream": stream, "messages": turns}
        at_us = self.clock.wall_us()
        call = Call(
            id=uuid7(at_us, self.clock.random_bits(62)),
            surface=surface,
            key=key,
            headers=[],
            query=b"",
            body=json.dumps(body).encode(),
            at_us=at_us,
            started_s=self.clock.mono_s(),
        )
        task = asyncio.create_task(self.exchange.run(call, client))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return call.id, task

    async def drain(self) -> None:
        """What a server's shutdown does: cancel what runs, twice, and wait for it."""
        for task in self.tasks:
            task.cancel()
            task.cancel()
        if self.tasks:
            await asyncio.wait(set(self.tasks))
