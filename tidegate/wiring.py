"""Configuration to running process: the one place that picks concrete engines."""

import asyncio
import contextlib
import gc
import logging
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tidegate import __version__
from tidegate.config.settings import Settings
from tidegate.exchange.dispatch import Dispatcher
from tidegate.exchange.exchange import Exchange
from tidegate.exchange.funding import Funding
from tidegate.exchange.plan import Planner
from tidegate.exchange.settlement import Settlement
from tidegate.gateway.auth import Authenticator, LoginGuard
from tidegate.gateway.descriptors import raise_limit
from tidegate.gateway.limits import Limits
from tidegate.gateway.routes import Application
from tidegate.gateway.server import Running, serve
from tidegate.model.errors import ConfigError
from tidegate.model.ids import uuid7
from tidegate.providers.catalog import load as load_catalog
from tidegate.providers.direct_transport import DirectTransport
from tidegate.providers.transport import PhaseLimits, Transport
from tidegate.services.budgets import Budgets
from tidegate.services.clock import Clock
from tidegate.services.conversations import Conversations
from tidegate.services.exact_tokens import ExactTokens
from tidegate.services.features import Features
from tidegate.services.fleet import Fleet
from tidegate.services.kept import KeptParts
from tidegate.services.ledger import Ledger
from tidegate.services.limiter import Limiter
from tidegate.services.notes import breaker_notes, budget_notes, spend_notes
from tidegate.services.other_gateways import OtherGateways
from tidegate.services.output_limits import OutputLimits
from tidegate.services.parent import ends_with_parent
from tidegate.services.pseudonyms import Pseudonyms
from tidegate.services.state import Current, State, state_of
from tidegate.services.tokens import Calibrations
from tidegate.stores.journal import Journal
from tidegate.stores.layout import Layout, read_pepper
from tidegate.stores.names_spool import NamesSpool
from tidegate.stores.snapshot import Policies, SnapshotUnreadable, SnapshotWatch
from tidegate.stores.spent import read_spent

log = logging.getLogger("tidegate.gateway")

LOOK_S = 0.1
"""How often the snapshot is looked at: a change is noticed within 0.2 s."""
MINUTE_S = 60.0
INFLIGHT_BODY_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway process, wired: the application, and what must be kept going and closed around it."""

    application: Application
    journal: Journal
    ledger: Ledger
    current: Current


def boot_id(clock: Clock) -> str:
    """A new boot's name; it sorts by time."""
    return uuid7(clock.wall_us(), clock.random_bits(62))


def transport_of(settings: Settings) -> Transport:
    """The client that calls providers."""
    if settings.server.transport == "aiohttp":
        from tidegate.providers.aiohttp_transport import AiohttpTransport  # noqa: PLC0415 - only where wanted

        return AiohttpTransport()
    return DirectTransport()


def limits_of(settings: Settings) -> Limits:
    """The server's limits from the configuration."""
    server = settings.server
    return Limits(
        body_bytes=server.max_body_bytes,
        inflight_body_bytes=max(INFLIGHT_BODY_BYTES, 2 * server.max_body_bytes),
        head_timeout_s=server.head_timeout_s,
        body_timeout_s=server.body_timeout_s,
        max_connections=server.max_connections,
        allowed_hosts=frozenset(host.lower() for host in server.allowed_hosts),
    )


@contextlib.asynccontextmanager
async def gateway(
    settings: Settings,
    *,
    env: Mapping[str, str],
    clock: Clock | None = None,
    transport: Transport | None = None,
) -> AsyncIterator[Gateway]:
    """Wire a gateway on the running loop. On the way out its journal is drained, synced and released."""
    clock = clock or Clock()
    layout = Layout(Path(settings.server.state_dir))
    pepper = read_pepper(layout)
    boot = boot_id(clock)
    spool = NamesSpool(layout.names, boot, pepper)
    journal = Journal.open(layout.gateway_journal, boot=boot)
    ledger = Ledger(journal, clock, refused_per_minute=settings.policy.refused_records_per_minute)
    current = Current()
    guards = _Guards(ledger)

    def take(state: State) -> None:
        """Bring a snapshot into force; calls that run keep to theirs."""
        current.state = state
        guards.take(state)

    others = OtherGateways(layout.gateway_journal, boot, guards.budgets)
    await asyncio.to_thread(lambda: others.begin(read_spent(layout.root), clock.wall_us()))
    keeper = _Keeper(layout, pepper, env, take, ledger, spool, others)
    await keeper.look()
    ledger.note(
        "gateway_started", version=__version__, snapshot=current.state.version if current.state else 0
    )
    own_transport = transport or transport_of(settings)
    keeping = asyncio.create_task(keeper.keep())
    try:
        yield Gateway(
            application=_application(
                settings, current, ledger, Pseudonyms(pepper, spool.add), own_transport, guards
            ),
            journal=journal,
            ledger=ledger,
            current=current,
        )
    finally:
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping
        ledger.flush_refused()
        ledger.note("gateway_stopped")
        spool.flush()
        await own_transport.close()
        await journal.close()


def _application(
    settings: Settings,
    current: Current,
    ledger: Ledger,
    pseudonyms: Pseudonyms,
    transport: Transport,
    guards: "_Guards",
) -> Application:
    calibrations = Calibrations()
    conversations, kept = Conversations(), KeptParts()
    planner = Planner(pseudonyms, calibrations, Features(), guards.fleet, conversations)
    funding = Funding(planner, guards.budgets, OutputLimits(), ExactTokens())
    settlement = Settlement(calibrations, funding, ledger)
    server = settings.server
    dispatcher = Dispatcher(
        transport=transport,
        limits=PhaseLimits(
            connect_s=server.connect_timeout_s,
            first_byte_s=server.first_byte_timeout_s,
            idle_s=server.idle_timeout_s,
            total_s=server.total_timeout_s,
        ),
        first_content_s=server.first_content_timeout_s,
        funding=funding,
        settlement=settlement,
        fleet=guards.fleet,
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
        limiter=guards.limiter,
    )
    return Application(
        exchange=exchange,
        current=current,
        ledger=ledger,
        authenticator=Authenticator(LoginGuard()),
    )


class _Guards:
    """What stands between calls and providers, money and the limits of this process."""

    def __init__(self, ledger: Ledger) -> None:
        self._clock = ledger.clock
        self.fleet = Fleet(self._clock, Policies(), on_breaker=breaker_notes(ledger))
        self.limiter = Limiter(self._clock, on_spend=spend_notes(ledger))
        self.budgets = Budgets(self._clock, on_crossed=budget_notes(ledger))

    def take(self, state: State) -> None:
        """Apply the rules of a snapshot from now on."""
        clock, prices = self._clock, state.prices
        self.fleet.configure(state.policies)
        self.limiter.configure(state.limits, state.spending)
        self.budgets.configure(
            state.budgets, state.raises, lambda base, quote: prices.rate(base, quote, clock.wall_us())
        )


class _Keeper:
    """Follows the snapshot, flushes names, and writes the counts of refusals: the gateway's only chores."""

    def __init__(
        self,
        layout: Layout,
        pepper: bytes,
        env: Mapping[str, str],
        take: Callable[[State], None],
        ledger: Ledger,
        spool: NamesSpool,
        others: OtherGateways,
    ) -> None:
        self._watch = SnapshotWatch(layout.root)
        self._pepper = pepper
        self._env = env
        self._take = take
        self._ledger = ledger
        self._spool = spool
        self._others = others
        self._catalog = load_catalog()

    async def look(self) -> None:
        """Take a new snapshot in force; an unusable one is logged, and the old one stays."""
        try:
            snapshot = self._watch.look()
            if snapshot is None:
                return
            state = await asyncio.to_thread(state_of, snapshot, self._catalog, self._pepper, self._env)
        except (SnapshotUnreadable, ConfigError, KeyError) as error:
            log.error("the snapshot cannot be used: %s", error)  # noqa: TRY400 - the cause is the file
            return
        self._take(state)
        log.info("snapshot %d in force: %d deployments", snapshot.version, len(snapshot.deployments))

    async def keep(self) -> None:
        """Look after everything until cancelled."""
        clock = self._ledger.clock
        next_minute_s = clock.mono_s() + MINUTE_S
        while True:
            await asyncio.sleep(LOOK_S)
            await self.look()
            try:
                self._others.look()
                self._spool.flush()
            except OSError as error:
                log.warning("the state directory cannot be used: %s", error)
            if clock.mono_s() >= next_minute_s:
                self._ledger.flush_refused()
                next_minute_s = clock.mono_s() + MINUTE_S


async def run_gateway(
    settings: Settings, *, sockets: Sequence[socket.socket], env: Mapping[str, str]
) -> None:
    """Serve the data plane on bound sockets until a signal ends it."""
    with ends_with_parent(env):
        await _serve_gateway(settings, sockets=sockets, env=env)


async def _serve_gateway(
    settings: Settings, *, sockets: Sequence[socket.socket], env: Mapping[str, str]
) -> None:
    raise_limit(settings.server.max_connections)
    async with gateway(settings, env=env) as made:
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 20, 50)
        await serve(
            made.application,
            sockets=sockets,
            limits=limits_of(settings),
            render=made.application.render,
            graceful_timeout_s=settings.server.drain_timeout_s,
            on_started=_say_ready,
        )


def _say_ready(_: Running) -> None:
    log.info("ready")
