"""The threads that look and deliver: retries, restarts, targets that hang or are gone."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.receivers import SECRET, Receiver, mail_server, receiver
from tidegate.config.secret import Secret
from tidegate.config.settings import Alerts, AlertTarget, Settings
from tidegate.control import alert_watch
from tidegate.control.alert_sources import Source
from tidegate.control.alert_watch import AlertWatch, try_targets
from tidegate.model.alert import AlertEvent, Observation
from tidegate.model.errors import NotFound
from tidegate.services.clock import Clock
from tidegate.stores.sqlite.alert_book import ALERTS, AlertBook, Delivery
from tidegate.stores.sqlite.store import DATABASE, Store

S = 1_000_000
ENV = {"SECRET": SECRET}
EVENT: AlertEvent = "budget_threshold"


class House:
    """A state directory, what holds there, and a clock that can be put forward."""

    def __init__(self, root: Path, *targets: AlertTarget, **facts: Any) -> None:
        self.root = root
        self.ahead_us = 0
        self.holds: list[Observation] = []
        section = {"every_s": 0.1, "calm_s": 0, **facts}
        self.settings = Settings(alerts=Alerts(**section, targets=targets))
        Store.open(root / DATABASE).close()
        AlertBook.open(root).close()

    def clock(self) -> Clock:
        return Clock(wall_us=lambda: time.time_ns() // 1000 + self.ahead_us)

    @contextmanager
    def watch(self) -> Iterator[AlertWatch]:
        source = Source(frozenset({EVENT}), lambda *_: list(self.holds))
        made = AlertWatch(self.root, lambda: self.settings, self.clock(), ENV, (source,))
        made.start()
        made.projected()
        try:
            yield made
        finally:
            made.stop()

    def waiting(self) -> list[Delivery]:
        with AlertBook.open_read_only(self.root) as book:
            return book.waiting()

    def has_tried(self, times: int) -> bool:
        return [one.tries for one in self.waiting()] == [times]

    def starts(self, *subjects: str) -> None:
        self.holds = [Observation(event=EVENT, subject=name, text="It is so.") for name in subjects]


def hook(server: Receiver, name: str = "hook") -> AlertTarget:
    return AlertTarget(name=name, kind="webhook", url=server.url, secret=Secret(env="SECRET"))


def wait_for(fact: Callable[[], object], within_s: float = 15.0) -> None:
    until_s = time.monotonic() + within_s
    while not fact():
        assert time.monotonic() < until_s
        time.sleep(0.02)


def test_start_and_recovery_arrive_once_and_in_order(tmp_path: Path) -> None:
    with receiver() as server:
        house = House(tmp_path, hook(server))
        house.starts("a")
        with house.watch():
            server.wait_for(1)
            time.sleep(0.5)
            house.starts()
            server.wait_for(2)
            time.sleep(0.5)
        assert server.kinds() == [("alert.started", EVENT), ("alert.recovered", EVENT)]
        assert all(one.is_signed() for one in server.posted)
    assert house.waiting() == []


def test_what_failed_is_tried_again_later_under_the_same_id(tmp_path: Path) -> None:
    with receiver(answers=[(500, "", "no")]) as server:
        house = House(tmp_path, hook(server))
        house.starts("a")
        with house.watch():
            wait_for(partial(house.has_tried, 1))
            (waiting,) = house.waiting()
            assert waiting.said == "answered 500 no"
            wait_us = waiting.next_us - waiting.made_us
            assert 5 * S <= wait_us < 7 * S
            assert len(server.posted) == 1
            house.ahead_us += 10 * S
            first, second = server.wait_for(2)
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        assert first.body == second.body
        assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) >= 10
    assert house.waiting() == []


def test_what_was_not_delivered_is_delivered_after_a_restart(tmp_path: Path) -> None:
    with receiver(always=503) as server:
        house = House(tmp_path, hook(server))
        house.starts("a")
        with house.watch():
            wait_for(partial(house.has_tried, 1))
        tried = len(server.posted)
        server.always = 204
        house.ahead_us += 10 * S
        with house.watch():
            server.wait_for(tried + 1)
            wait_for(lambda: house.waiting() == [])
            time.sleep(0.5)
        assert len(server.posted) == tried + 1
        assert len({one.headers["webhook-id"] for one in server.posted}) == 1


def test_a_target_asks_for_a_longer_wait(tmp_path: Path) -> None:
    with receiver(answers=[(429, "retry-after: 1200\r\n", "")]) as server:
        house = House(tmp_path, hook(server))
        house.starts("a")
        with house.watch():
            wait_for(partial(house.has_tried, 1))
            (waiting,) = house.waiting()
            assert 1200 * S <= waiting.next_us - waiting.made_us < 1400 * S


def test_it_is_given_up_after_the_last_try(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with receiver(always=500) as server:
        house = House(tmp_path, hook(server))
        house.starts("a")
        with house.watch():
            for tries in range(1, len(alert_watch.RETRY_S) + 1):
                wait_for(partial(house.has_tried, tries))
                house.ahead_us += 5000 * S
            wait_for(lambda: house.waiting() == [])
        assert len(server.posted) == len(alert_watch.RETRY_S) + 1
    assert "target hook: given up after 11 tries: answered 500" in caplog.text


def test_recipients_that_are_refused_are_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with mail_server(refused=("ann@example.com",)) as server:
        mail = AlertTarget(
            name="mail",
            kind="email",
            smtp=f"127.0.0.1:{server.port}",
            security="none",
            sender="tidegate@example.com",
            to=("ops@example.com", "ann@example.com"),
        )
        house = House(tmp_path, mail)
        house.starts("a")
        with house.watch():
            wait_for(lambda: "target mail: taken by the mail server, but not for ann" in caplog.text)
    assert house.waiting() == []
    assert len(server.mails) == 1


def test_a_target_that_hangs_holds_up_no_other(tmp_path: Path) -> None:
    with receiver(answers=[(0, "", "")]) as stuck, receiver() as server:
        house = House(tmp_path, hook(stuck, "stuck"), hook(server))
        house.starts("a", "b")
        with house.watch():
            server.wait_for(2)
            assert len(stuck.posted) == 1
            started_s = time.monotonic()
        assert time.monotonic() - started_s < alert_watch.STOP_S + 1.5
    assert [one.target for one in house.waiting()] == ["stuck", "stuck"]


def test_nothing_is_looked_at_before_the_tables_are_current(tmp_path: Path) -> None:
    with receiver() as server:
        house = House(tmp_path, hook(server))
        house.starts("a")
        source = Source(frozenset({EVENT}), lambda *_: list(house.holds))
        made = AlertWatch(house.root, lambda: house.settings, house.clock(), ENV, (source,))
        made.start()
        time.sleep(0.6)
        assert server.posted == []
        made.projected()
        server.wait_for(1)
        made.stop()


def test_one_that_never_began_can_be_stopped(tmp_path: Path) -> None:
    AlertWatch(tmp_path, Settings, Clock(), ENV).stop()


def test_switched_off_nothing_is_looked_at_or_sent(tmp_path: Path) -> None:
    with receiver() as server:
        house = House(tmp_path, hook(server), enabled=False)
        house.starts("a")
        with house.watch():
            time.sleep(0.6)
        assert server.posted == []


def test_messages_to_a_target_that_is_gone_are_not_kept(tmp_path: Path) -> None:
    with receiver(always=500) as server:
        house = House(tmp_path, hook(server))
        house.starts("a")
        with house.watch():
            wait_for(partial(house.has_tried, 1))
            house.settings = Settings(alerts=Alerts(every_s=0.1))
            house.ahead_us += 10 * S
            wait_for(lambda: house.waiting() == [])
        assert len(server.posted) == 1


def test_a_database_that_fails_is_waited_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    house = House(tmp_path)
    (tmp_path / ALERTS).write_bytes(b"garbage" * 4096)
    with house.watch():
        wait_for(lambda: "alerts wait: file is not a database" in caplog.text)


def test_a_test_message_says_what_came_back() -> None:
    with receiver() as server, receiver(answers=[(404, "", "who?")]) as strange:
        settings = Settings(alerts=Alerts(targets=(hook(server), hook(strange, "other"))))
        tried = try_targets(settings, "", ENV, Clock())
        assert [(one.target, one.ok, one.said) for one in tried] == [
            ("hook", True, "answered 204"),
            ("other", False, "answered 404 who?"),
        ]
        assert [one.told["type"] for one in (*server.posted, *strange.posted)] == ["alert.test", "alert.test"]
        assert len(try_targets(settings, "other", ENV, Clock())) == 1
        with pytest.raises(NotFound, match="No target is called 'none'; there is hook, other"):
            try_targets(settings, "none", ENV, Clock())
    with pytest.raises(NotFound, match=r"no \[\[alerts.targets\]\]"):
        try_targets(Settings(), "", ENV, Clock())
