"""The control process: projects the journals, publishes snapshots, and answers the command line."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import apsw
import uvicorn
from starlette.applications import Starlette

from tidegate.config.problem import failure
from tidegate.config.settings import Settings
from tidegate.control.admin import Admin, OpenCalls, health_app
from tidegate.control.alert_watch import AlertWatch
from tidegate.control.budget_book import BudgetList, Named, listed
from tidegate.control.lock import control_lock
from tidegate.control.publisher import Publisher
from tidegate.control.registry import Registry, decisions
from tidegate.control.reload import Reloader
from tidegate.control.spending import Spending
from tidegate.control.tail import Tail
from tidegate.control.upkeep import keep_house
from tidegate.model.budget import Budget, Raise
from tidegate.model.errors import ConfigError
from tidegate.model.ids import uuid7
from tidegate.model.provider import Provider
from tidegate.providers.targets import price_section
from tidegate.services.clock import Clock
from tidegate.services.configuration import Configuration
from tidegate.services.deployments import survey
from tidegate.services.pricebook import PriceBook
from tidegate.services.pricing import cards_in_use
from tidegate.stores.journal import boots, is_live
from tidegate.stores.journal.control import ControlJournal
from tidegate.stores.layout import Layout, read_pepper
from tidegate.stores.names_spool import take_names
from tidegate.stores.sqlite.budget_queries import tenants
from tidegate.stores.sqlite.names import Names
from tidegate.stores.sqlite.store import DATABASE, Store

log = logging.getLogger("tidegate.control")

TURN_S = 0.1
NAMES_EVERY, LOOK_EVERY, HOUSE_EVERY = 10, 5, 6_000
"""Turns between two looks for plain names (a second), two at the configuration (half a second: a change is
taken at the second one), and two rounds of housekeeping (ten minutes)."""
OPEN_US = 86_400_000_000
"""No call is open for longer than a day."""
BACKOFF_S = 2.0
MAX_SOCKET_PATH = 103
"""What macOS takes; Linux takes four more."""
STALE_S = 30.0
"""Without a good turn for this long the process is not ready."""


@dataclass(slots=True)
class Desk:
    """What one control process holds: the lock, the journal of decisions, the tables."""

    layout: Layout
    pepper: bytes
    store: Store
    names: Names
    tail: Tail
    spending: Spending
    registry: Registry
    publisher: Publisher
    clock: Clock
    catalog: Mapping[str, Provider]
    settings: Settings

    @property
    def retention_days(self) -> int:
        """How long records of calls are kept."""
        return self.settings.policy.retention_days

    def catch_up(self) -> int:
        """Project everything there is to read, and tell what is spent; give the number of records."""
        frames = self.tail.catch_up()
        self.spending.write_if_due()
        return frames

    def take(self, settings: Settings) -> int:
        """Bring settings into force and give the version of the snapshot that does.

        Raises TidegateError, and changes nothing, for what cannot be served. A snapshot that the disk does
        not take is owed, as after a decision.
        """
        deployments, problems = survey(settings, self.catalog)
        errors = [problem for problem in problems if problem.level == "error"]
        if errors:
            raise failure(errors, "the configuration")
        section = price_section(settings, self.catalog)
        try:
            book = PriceBook.load(section)
        except ValueError as error:
            raise ConfigError(f"prices: the price book cannot be used: {error}", param="prices") from None
        cards = cards_in_use(book, deployments, self.catalog, self.clock.wall_us())
        self.registry.list_prices(cards, section.fx, by="configuration")
        self.settings = settings
        self.publisher.configure(settings)
        try:
            return self.publisher.publish(self.registry).version
        except OSError as error:
            log.error("gateways cannot be told yet: %s", error)  # noqa: TRY400 - tried again each turn
            return self.publisher.version

    def open_calls(self) -> tuple[OpenCalls, ...]:
        """Each running gateway's calls that are not over, oldest gateway first, as far as was projected."""
        since_us = self.clock.wall_us() - OPEN_US
        sql = "SELECT COUNT(*) FROM request WHERE at_us > ? AND boot = ? AND outcome IS NULL"
        return tuple(
            OpenCalls(boot=boot.name, calls=int(str(next(self.store.rows(sql, (since_us, boot.name)))[0])))
            for boot in boots(self.layout.gateway_journal)
            if is_live(boot)
        )

    def keep_house(self) -> None:
        """Compress journals that are read, and remove what is older than its retention.

        What is removed can be read nowhere else, so gateways are told of it first.
        """
        self.spending.write()
        journals = self.layout.root / "journal"
        keep_house(self.store, journals, now_us=self.clock.wall_us(), retention_days=self.retention_days)

    def in_force(self) -> tuple[Sequence[Budget], tuple[Raise, ...]]:
        """The budgets of the configuration, and what they were given; not for the worker thread."""
        return self.registry.budgets(), self.registry.raises_shipped()

    def budgets(self, budgets: Sequence[Budget], raises: Iterable[Raise], only: str) -> BudgetList:
        """How the accounts of budgets stand, as far as was projected."""
        self.take_names()
        named = Named(self.settings.budgets, tenants(self.store), self.names.get)
        return listed(self.store, budgets, raises, named, self.clock.wall_us(), only=only)

    def take_names(self) -> None:
        """Store the plain names that gateways handed over, each under a key that can be destroyed."""
        for path, found in take_names(self.layout.names, self.pepper):
            for name in found:
                self.names.put(name.tenant, name.kind, name.pseudonym, name.plain)
            path.unlink()


@contextlib.contextmanager
def desk(settings: Settings, catalog: Mapping[str, Provider], clock: Clock | None = None) -> Iterator[Desk]:
    """Take the control process's place on a state directory. Raises ControlRunningError where it is taken."""
    clock = clock or Clock()
    layout = Layout(Path(settings.server.state_dir))
    pepper = read_pepper(layout)
    with contextlib.ExitStack() as stack:
        stack.enter_context(control_lock(layout.control_lock))
        earlier = list(decisions(layout.control_journal))
        boot = uuid7(clock.wall_us(), clock.random_bits(62))
        journal = stack.enter_context(ControlJournal.open(layout.control_journal, boot=boot))
        store = stack.enter_context(Store.open(layout.root / DATABASE))
        names = stack.enter_context(Names.open(layout.root))
        tail = stack.enter_context(Tail(store, layout.root / "journal", clock.wall_us))
        registry = Registry(journal, pepper, clock)
        registry.replay(earlier)
        publisher = Publisher(layout.root, settings, catalog, clock)
        registry.on_change = lambda: publisher.publish_soon(registry)
        registry.budgets = lambda: publisher.budgets(registry)
        spending = Spending(store, layout, clock)
        made = Desk(
            layout, pepper, store, names, tail, spending, registry, publisher, clock, catalog, settings
        )
        made.take(settings)
        yield made


def reloader(at: Desk, configuration: Configuration) -> Reloader:
    """What follows the configuration that this desk was opened with."""
    return Reloader(configuration, at.catalog, at.layout, at.clock, at.take, snapshot=at.publisher.version)


class Control:
    """A running control process. The store belongs to one worker thread; nothing else touches it."""

    def __init__(
        self, at: Desk, reloading: Reloader | None = None, *, hung_up: Callable[[], bool] = lambda: False
    ) -> None:
        """`hung_up` tells whether SIGHUP came since it was asked last."""
        self._desk = at
        self._reloader = reloading
        self._hung_up = hung_up
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="projector")
        self._alerts = AlertWatch(at.layout.root, lambda: at.settings, at.clock, os.environ)
        self._turn = 0
        self._well_s = at.clock.mono_s()

    async def caught_up(self) -> None:
        """Project everything written so far."""
        await asyncio.get_running_loop().run_in_executor(self._worker, self._desk.catch_up)

    async def open_calls(self) -> tuple[OpenCalls, ...]:
        """What each running gateway still works on."""
        await self.caught_up()
        return await asyncio.get_running_loop().run_in_executor(self._worker, self._desk.open_calls)

    async def budgets(self, only: str) -> BudgetList:
        """How budgets stand; of one alone where it is named."""
        await self.caught_up()
        found = self._desk.in_force()
        return await asyncio.get_running_loop().run_in_executor(
            self._worker, self._desk.budgets, *found, only
        )

    async def run(
        self, *, listen: socket.socket | None = None, on_ready: Callable[[], None] = lambda: None
    ) -> None:
        """Work until SIGTERM or SIGINT, then project what is left. `listen` answers health checks alone."""
        loop = asyncio.get_running_loop()
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        try:
            async with self.answering(listen):
                self._alerts.start()
                on_ready()
                while not stopping.is_set():
                    await self._work()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(stopping.wait(), TURN_S)
        finally:
            await self._work()
            self._worker.shutdown()
            await asyncio.to_thread(self._alerts.stop)

    @contextlib.asynccontextmanager
    async def answering(self, listen: socket.socket | None = None) -> AsyncIterator[None]:
        """Answer the command line on the Unix socket, and health checks on `listen`."""
        api = Admin(
            self._desk.registry,
            self.caught_up,
            self.open_calls,
            self.budgets,
            self._reloader,
            self._alerts.test,
        )
        admin = _Server(_config(api.app()))
        serving = [asyncio.create_task(admin.serve(sockets=[_unix_socket(self._desk.layout.socket)]))]
        servers = [admin]
        if listen is not None:
            servers.append(_Server(_config(health_app(self.is_well))))
            serving.append(asyncio.create_task(servers[-1].serve(sockets=[listen])))
        try:
            yield
        finally:
            for server in servers:
                server.should_exit = True
            await asyncio.gather(*serving)
            self._desk.layout.socket.unlink(missing_ok=True)

    def is_well(self) -> bool:
        """True while the journals are being projected."""
        return self._desk.clock.mono_s() - self._well_s < STALE_S

    async def _work(self) -> None:
        """One turn. A store that fails is tried again: the journals keep everything meanwhile."""
        loop = asyncio.get_running_loop()
        self._follow()
        try:
            if self._desk.publisher.is_behind:
                self._desk.publisher.publish(self._desk.registry)
            await loop.run_in_executor(self._worker, self._desk.catch_up)
            self._alerts.projected()
            if self._turn % NAMES_EVERY == 0:
                await loop.run_in_executor(self._worker, self._desk.take_names)
            if self._turn % HOUSE_EVERY == HOUSE_EVERY - 1:
                await loop.run_in_executor(self._worker, self._desk.keep_house)
        except (apsw.Error, OSError) as error:
            log.error("projection waits: %s", error)  # noqa: TRY400 - said once a turn, without a trace
            await asyncio.sleep(BACKOFF_S)
        else:
            self._well_s = self._desk.clock.mono_s()
        self._turn += 1

    def _follow(self) -> None:
        """Read the configuration again where it changed, or where SIGHUP asks for it."""
        if self._reloader is None:
            return
        if self._hung_up():
            self._reloader.reload()
        elif self._turn % LOOK_EVERY == 0:
            self._reloader.look()


def _config(app: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        ws="none",
        server_header=False,
    )


class _Server(uvicorn.Server):
    """uvicorn without its signal handling: the process has one place for that."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def _unix_socket(path: Path) -> socket.socket:
    """A listening socket that only its owner may open. Raises ConfigError for a path no socket can have."""
    if len(os.fsencode(path)) > MAX_SOCKET_PATH:
        raise ConfigError(
            f"{path} is longer than the {MAX_SOCKET_PATH} bytes a Unix socket's path may have; "
            "set server.state_dir to a shorter one",
            param="server.state_dir",
        )
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        sock.bind(str(path))
    finally:
        os.umask(before)
    sock.listen(64)
    return sock
