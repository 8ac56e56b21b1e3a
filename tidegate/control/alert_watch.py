"""Looks and delivers in threads of its own, so that neither a query nor a target holds up the projector.

One thread looks and keeps the book; each delivery has a thread, one at a time for each target. A message that
a target took and that was not noted before the process died is sent again under the same id.
"""

import logging
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import apsw

from tidegate.config.settings import AlertTarget, Settings
from tidegate.control.admin import Tried
from tidegate.control.alert_sources import Source
from tidegate.control.alerts import SECOND_US, Alerts, message_id, own_sources
from tidegate.control.delivering import TOTAL_S, Outcome
from tidegate.control.notify import deliver
from tidegate.model.alert import Message, Observation
from tidegate.model.errors import NotFound, TidegateError
from tidegate.services.clock import Clock
from tidegate.stores.sqlite.alert_book import AlertBook, Delivery
from tidegate.stores.sqlite.store import DATABASE, Store

log = logging.getLogger("tidegate.alerts")

RETRY_S = (5, 30, 120, 300, 600, 900, 1_800, 1_800, 3_600, 3_600)
"""Waits after each failed try, with a little chance added: about three and a half hours, then given up."""
MOST_WAIT_S = 3_600
TICK_S = 0.2
BACKOFF_S = 5.0
TEST_S = TOTAL_S + 5
STOP_S = 3.0
"""How long deliveries under way are waited for when the process ends."""


class AlertWatch:
    """Everything about alerts in a running control process."""

    def __init__(
        self,
        root: Path,
        settings: Callable[[], Settings],
        clock: Clock,
        env: Mapping[str, str],
        more: Sequence[Source] = (),
    ) -> None:
        """`more` are sources beside Tidegate's own; they are asked in the same thread."""
        self._root, self._settings, self._clock, self._env = root, settings, clock, env
        self._alerts = Alerts(settings, clock, (*own_sources(), *more))
        self._results: queue.SimpleQueue[tuple[Delivery, Outcome]] = queue.SimpleQueue()
        self._flying: set[str] = set()
        self._next_look_s = 0.0
        self._is_current = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)

    def start(self) -> None:
        """Begin; nothing is looked at before `projected`."""
        self._thread.start()

    def projected(self) -> None:
        """Say that the tables hold what the journals do; before that, old trouble would look like new."""
        self._is_current.set()

    def stop(self) -> None:
        """End, and note what deliveries under way came to if that takes no longer than `STOP_S`.

        What never began has nothing to end.
        """
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(STOP_S + 1)

    def test(self, name: str) -> tuple[Tried, ...]:
        """Send a test message now, to one target or to all (empty), and give what came back."""
        return try_targets(self._settings(), name, self._env, self._clock)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with (
                    AlertBook.open(self._root) as book,
                    Store.open_read_only(self._root / DATABASE) as store,
                ):
                    self._follow(store, book)
            except (apsw.Error, OSError, TidegateError) as error:
                log.error("alerts wait: %s", error)  # noqa: TRY400 - tried again, said without a trace
                self._stopping.wait(BACKOFF_S)
            except Exception:  # a thread's boundary
                log.exception("alerts wait")
                self._stopping.wait(BACKOFF_S)

    def _follow(self, store: Store, book: AlertBook) -> None:
        while not self._stopping.is_set():
            self._note(book, TICK_S)
            section = self._settings().alerts
            if not section.enabled:
                continue
            if self._is_current.is_set() and self._clock.mono_s() >= self._next_look_s:
                self._next_look_s = self._clock.mono_s() + section.every_s
                self._alerts.look(store, book)
            self._send(book, {target.name: target for target in section.targets})
        until_s = self._clock.mono_s() + STOP_S
        while self._flying and self._clock.mono_s() < until_s:
            self._note(book, TICK_S)

    def _send(self, book: AlertBook, targets: Mapping[str, AlertTarget]) -> None:
        for delivery in book.due(self._clock.wall_us()):
            target = targets.get(delivery.target)
            if target is None:
                log.warning(
                    "there is no target %s any more: %s is not sent", delivery.target, delivery.message.id
                )
                book.done(delivery.id)
            elif target.name not in self._flying:
                self._flying.add(target.name)
                name = f"alert to {target.name}"
                threading.Thread(target=self._fly, args=(target, delivery), name=name, daemon=True).start()

    def _fly(self, target: AlertTarget, delivery: Delivery) -> None:
        self._results.put((delivery, _tried(target, delivery.message, self._env, self._clock)))

    def _note(self, book: AlertBook, wait_s: float) -> None:
        """Write down what a delivery came to, at once when one is back within a while."""
        try:
            delivery, outcome = self._results.get(timeout=wait_s)
        except queue.Empty:
            return
        try:
            self._write_down(book, delivery, outcome)
        except BaseException:
            self._results.put((delivery, outcome))
            raise
        self._flying.discard(delivery.target)

    def _write_down(self, book: AlertBook, delivery: Delivery, outcome: Outcome) -> None:
        tried = delivery.tries + 1
        if outcome.ok:
            book.done(delivery.id)
            if outcome.partly:
                log.warning("target %s: %s", delivery.target, outcome.said)
        elif tried > len(RETRY_S):
            book.done(delivery.id)
            log.error("target %s: given up after %d tries: %s", delivery.target, tried, outcome.said)
        else:
            wait_us = self._wait_us(delivery.tries, outcome)
            book.again(delivery.id, self._clock.wall_us() + wait_us, outcome.said)
            log.warning(
                "target %s: %s; tried again in %d s", delivery.target, outcome.said, wait_us // SECOND_US
            )

    def _wait_us(self, tries: int, outcome: Outcome) -> int:
        wait_s = max(RETRY_S[tries], min(outcome.retry_after_s, MOST_WAIT_S))
        return wait_s * SECOND_US * (1024 + self._clock.random_bits(7)) // 1024


def try_targets(settings: Settings, name: str, env: Mapping[str, str], clock: Clock) -> tuple[Tried, ...]:
    """Send a test message to the target of a name, or to all where it is empty; all at once.

    Takes `TEST_S` at most. Raises NotFound where there is no such target.
    """
    targets = settings.alerts.targets
    if not targets:
        raise NotFound("There is no [[alerts.targets]] in the configuration; alerts are in the log alone.")
    if name and name not in [target.name for target in targets]:
        names = ", ".join(target.name for target in targets)
        raise NotFound(f"No target is called {name!r}; there is {names}.", param="target")
    asked = [target for target in targets if name in ("", target.name)]
    found: dict[str, Outcome] = {}

    def fly(target: AlertTarget, message: Message) -> None:
        found[target.name] = _tried(target, message, env, clock)

    flights = [
        threading.Thread(target=fly, args=(target, _test_message(clock)), name="alert test", daemon=True)
        for target in asked
    ]
    for flight in flights:
        flight.start()
    until_s = clock.mono_s() + TEST_S
    for flight in flights:
        flight.join(max(0.0, until_s - clock.mono_s()))
    late = Outcome(ok=False, said="no answer in time")
    outcomes = [(target.name, found.get(target.name, late)) for target in asked]
    return tuple(Tried(target, outcome.ok, outcome.said) for target, outcome in outcomes)


def _test_message(clock: Clock) -> Message:
    about = Observation(
        event="breaker_open", subject="test", text="This is a test of an alert's way; all is well."
    )
    now_us = clock.wall_us()
    return Message(id=message_id(clock, now_us), kind="test", about=about, since_us=now_us, at_us=now_us)


def _tried(target: AlertTarget, message: Message, env: Mapping[str, str], clock: Clock) -> Outcome:
    try:
        return deliver(target, message, env, clock.wall_us())
    except Exception:  # a thread's boundary
        log.exception("target %s", target.name)
        return Outcome(ok=False, said="our own error, see the log")
