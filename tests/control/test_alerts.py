"""What is seen in the tables, and the messages that come of it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest

from tests.support.calls import HOUR_US, NOON_US, begin, end, frames, refused, settled, who
from tidegate.config.settings import (
    Alerts as AlertSettings,
)
from tidegate.config.settings import AlertTarget, DeploymentRow, Report, Settings
from tidegate.control.alert_sources import Source, note_sources
from tidegate.control.alerts import Alerts, own_sources, wants
from tidegate.control.projector import Projector
from tidegate.control.spend_jumps import WEEK_US, SpendJumps, median
from tidegate.model.alert import AlertEvent, Observation
from tidegate.model.provider import Target
from tidegate.model.record import GatewayRecord, Note
from tidegate.services.clock import Clock
from tidegate.stores.sqlite import alert_queries
from tidegate.stores.sqlite.alert_book import MOST_WAITING, AlertBook
from tidegate.stores.sqlite.store import DATABASE, Store

S = 1_000_000
NANO = 1_000_000_000
HOOK = AlertTarget(name="hook", kind="webhook")
ROWS = tuple(DeploymentRow(name=name, provider="vllm", model="m") for name in ("eu", "us"))
SETTINGS = Settings(deployments=ROWS, alerts=AlertSettings(targets=(HOOK,)), report=Report(currency="USD"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / DATABASE) as opened:
        yield opened


@pytest.fixture
def book(tmp_path: Path) -> Iterator[AlertBook]:
    with AlertBook.open(tmp_path) as opened:
        yield opened


class Journal:
    """Records of gateways on their way into the tables."""

    def __init__(self, store: Store) -> None:
        self.projector = Projector(store)
        self._records: dict[str, list[GatewayRecord]] = {}

    def write(self, *records: GatewayRecord, boot: str = "b1") -> None:
        held = self._records.setdefault(boot, [])
        held += [msgspec.structs.replace(one, seq=len(held) + n + 1) for n, one in enumerate(records)]
        self.projector.apply(boot, frames(held))


@pytest.fixture
def journal(store: Store) -> Journal:
    return Journal(store)


def note(kind: str, at: int, **facts: str | int) -> Note:
    return Note(seq=1, at=at, kind=kind, facts=facts)


def breaker(change: str, at: int, by: str = "count", deployment: str = "eu") -> Note:
    return note("breaker", at, deployment=deployment, change=change, by=by, calls=5, failures=5)


def key_refused(at: int, deployment: str = "eu") -> Note:
    return note("key_refused", at, deployment=deployment, code="invalid_api_key")


def paused(change: str, at: int, cooldown_us: int = 0, key: str = "k1") -> Note:
    facts: dict[str, Any] = {"measure": "tokens", "spent": 11, "allowed": 10, "cooldown_us": cooldown_us}
    return note("spend_breaker", at, key=key, change=change, by="limit", **facts)


def well(at: int, name: str = "r1") -> tuple[GatewayRecord, GatewayRecord]:
    return begin(name, at=at), end(name, at=at + 1)


def unpriced(at: int) -> tuple[GatewayRecord, GatewayRecord]:
    return begin("u1", at=at), end("u1", last=settled(cost_nano=None, cost_source="unpriced"), at=at + 1)


def drifting(
    at: int, flag: str, model: str = "gpt", *, flags: tuple[str, ...] = (), deployment: str = "eu"
) -> tuple[GatewayRecord, GatewayRecord]:
    target = Target(provider="openai", deployment=deployment, model=model)
    last = settled(flags=("estimated", flag, *flags))
    return begin("d1", at=at, target=target), end("d1", last=last, at=at + 1)


T = NOON_US
SEEN: list[tuple[str, Sequence[GatewayRecord], list[tuple[str, str]]]] = [
    ("nothing", [], []),
    ("a breaker that opened", [breaker("opened", T)], [("breaker_open", "eu")]),
    (
        "one that lets probes through",
        [breaker("opened", T), breaker("half_opened", T + S, "cooldown")],
        [("breaker_open", "eu")],
    ),
    ("one that closed", [breaker("opened", T), breaker("closed", T + S, "probes")], []),
    ("one of a deployment that is gone", [breaker("opened", T, deployment="old")], []),
    ("a refused key", [breaker("opened", T, "key"), key_refused(T)], [("key_refused", "eu")]),
    ("a breaker that a key opened, before the note of the key", [breaker("opened", T, "key")], []),
    (
        "a refused key whose probes fail",
        [key_refused(T), breaker("opened", T + S, "probe")],
        [("key_refused", "eu")],
    ),
    ("a refused key, and a call that ended well after it", [key_refused(T), *well(T + S)], []),
    (
        "a refused key, and a call that began before it",
        [key_refused(T), *well(T - S)],
        [("key_refused", "eu")],
    ),
    (
        "a refused key, and a breaker that probes closed",
        [breaker("opened", T, "key"), key_refused(T), breaker("closed", T + S, "probes")],
        [],
    ),
    (
        "a refused key of another deployment",
        [key_refused(T), key_refused(T, "us"), *well(T + S)],
        [("key_refused", "us")],
    ),
    ("a refused wallet", [note("wallet_refused", T, deployment="us", code="c")], [("wallet_refused", "us")]),
    ("a pause", [paused("opened", T)], [("spend_paused", "k1")]),
    ("a pause that ended", [paused("opened", T), paused("closed", T + S)], []),
    ("a pause whose time is over", [paused("opened", T, 10 * S)], []),
    ("a pause whose time is not over", [paused("opened", T, 3600 * S)], [("spend_paused", "k1")]),
    ("a model without a price", unpriced(T), [("unpriced_model", "openai/gpt")]),
    ("long ago", unpriced(T - 7 * HOUR_US), []),
    (
        "a refused model without a price",
        [refused("r1", code="price_unknown", model_asked="gpt-9")],
        [("unpriced_model", "gpt-9")],
    ),
    ("another refusal", [refused("r1")], []),
    ("another model", drifting(T, "model_drift"), [("model_drift", "eu, gpt: gpt-2026")]),
    ("another model of a name that moves", drifting(T, "model_drift", "gpt-latest"), []),
    ("another cost", drifting(T, "cost_drift", "gpt-latest"), [("cost_drift", "eu, gpt-latest")]),
    (
        "both",
        drifting(T, "model_drift", flags=("cost_drift",)),
        [("model_drift", "eu, gpt: gpt-2026"), ("cost_drift", "eu, gpt")],
    ),
    ("another model of a deployment that is gone", drifting(T, "model_drift", deployment="old"), []),
    ("another model long ago", drifting(T - 7 * HOUR_US, "model_drift"), []),
]


@pytest.mark.parametrize(("records", "expected"), [row[1:] for row in SEEN], ids=[row[0] for row in SEEN])
def test_what_holds_is_seen(
    store: Store, journal: Journal, records: Sequence[GatewayRecord], expected: list[tuple[str, str]]
) -> None:
    journal.write(*records)
    found = [one.key for source in note_sources() for one in source.look(store, SETTINGS, T + 60 * S)]
    assert found == expected


def test_a_breaker_of_a_gateway_that_ended_is_not_open(store: Store, journal: Journal) -> None:
    journal.write(breaker("opened", T), paused("opened", T), boot="b1")
    journal.write(breaker("closed", T + S, "probes"), boot="b2")
    look = [source.look for source in note_sources()]
    assert [one.event for each in look for one in each(store, SETTINGS, T)] == [
        "breaker_open",
        "spend_paused",
    ]
    journal.projector.finish("b1")
    assert [one for each in look for one in each(store, SETTINGS, T)] == []


def test_what_is_said_of_a_pause(store: Store, journal: Journal) -> None:
    journal.write(paused("opened", T))
    (one,) = note_sources()[1].look(store, SETTINGS, T)
    assert one.text == (
        "Key k1 of no known tenant is paused for what it spent: 11 tokens in a minute, where 10 are allowed."
    )


def test_each_query_goes_by_an_index(store: Store) -> None:
    queries = (
        *("_NOTES", "_UNPRICED", "_REFUSED", "_WELL", "_SPENT"),
        *("_THRESHOLDS", "_DRIFTED", "_BUDGET_SPENT"),
    )
    for sql in (getattr(alert_queries, name) for name in queries):
        plan = [str(row[-1]) for row in store.rows(f"EXPLAIN QUERY PLAN {sql}", (0,) * sql.count("?"))]
        scans = {line for line in plan if line.startswith("SCAN")}
        assert scans <= {"SCAN r", "SCAN (subquery-1)"}, plan
        assert any(" INDEX " in line or " PRIMARY KEY " in line for line in plan)


def spend(at: int, amount: int, *, team: str = "web", name: str = "") -> tuple[GatewayRecord, GatewayRecord]:
    name = name or f"{team}-{at}"
    last = settled(cost_nano=amount * NANO)
    return begin(name, at=at, who=who(team=team)), end(name, at=at + 1, last=last)


def jumps(store: Store, now_us: int, settings: Settings = SETTINGS) -> list[tuple[str, str | int, str | int]]:
    found = SpendJumps().look(store, settings, now_us)
    return [(one.subject, one.facts["amount"], one.facts["usual"]) for one in found]


def past(*amounts: int, team: str = "web") -> list[GatewayRecord]:
    """The same hour of past weeks, the last first."""
    weeks = enumerate(amounts, start=1)
    return [record for week, amount in weeks for record in spend(T - week * WEEK_US, amount, team=team)]


OLD = spend(T - 3 * WEEK_US, 1)
JUMPS: list[tuple[str, Sequence[GatewayRecord], list[tuple[str, str]]]] = [
    ("no more than usual", [*past(10, 10, 10, 10), *spend(T, 30)], []),
    ("a jump", [*past(10, 10, 10, 10), *spend(T, 31)], [("31.000000000", "10.000000000")]),
    ("against the median", [*past(10, 10, 10, 900), *spend(T, 31)], [("31.000000000", "10.000000000")]),
    ("of two weeks", [*past(8, 12), *spend(T, 31)], [("31.000000000", "10.000000000")]),
    ("one week is no history", [*past(10), *spend(T, 500)], []),
    ("no history", [*spend(T, 500)], []),
    ("less than the minimum", [*past(1, 1), *spend(T, 9)], []),
    ("usually nothing", [*past(5, 5, team="docs"), *spend(T, 10)], [("10.000000000", "0.000000000")]),
    ("an hour ago", [*OLD, *spend(T - HOUR_US, 40), *spend(T, 1)], [("40.000000000", "0.000000000")]),
    ("two hours ago", [*OLD, *spend(T - 2 * HOUR_US, 40), *spend(T, 1)], []),
]


@pytest.mark.parametrize(("records", "expected"), [row[1:] for row in JUMPS], ids=[row[0] for row in JUMPS])
def test_spending_jumps(
    store: Store, journal: Journal, records: Sequence[GatewayRecord], expected: list[tuple[str, str]]
) -> None:
    journal.write(*records)
    found = jumps(store, T + 60 * S)
    assert [(amount, usual) for _, amount, usual in found] == expected
    assert all(subject == "acme/web" for subject, _, _ in found)


def test_a_jump_says_what_it_is_measured_against(store: Store, journal: Journal) -> None:
    journal.write(*past(10, 10), *spend(T, 45))
    (one,) = SpendJumps().look(store, SETTINGS, T + S)
    assert one.text == (
        "Team web of acme spent 45.00 USD within an hour, 4.5 times the usual "
        "(median of the same hour of 2 past weeks: 10.00 USD)."
    )
    assert one.team == "web"


def test_amounts_without_a_rate_are_left_out(store: Store, journal: Journal) -> None:
    journal.write(*past(10, 10), *spend(T, 45))
    assert jumps(store, T + S, Settings(report=Report(currency="EUR"))) == []


def test_a_ratio_of_0_looks_at_nothing(store: Store, journal: Journal) -> None:
    journal.write(*past(10, 10), *spend(T, 45))
    assert jumps(store, T + S, Settings(alerts=AlertSettings(spend_jump_ratio=0))) == []


def test_what_is_over_is_read_once(store: Store, journal: Journal) -> None:
    journal.write(*past(10, 10), *spend(T, 45))
    looking = SpendJumps()
    list(looking.look(store, SETTINGS, T + 1800 * S))
    known = dict(looking._read)
    assert (T - WEEK_US, T - WEEK_US + HOUR_US) in known
    assert (T, T + 300 * S) in known
    assert (T + 1500 * S, T + 1800 * S) not in known
    list(looking.look(store, SETTINGS, T + 1860 * S))
    assert known.items() <= looking._read.items()
    list(looking.look(store, SETTINGS, T + 10 * HOUR_US))
    assert not known.keys() & looking._read.keys()


@pytest.mark.parametrize(("amounts", "middle"), [([1], 1), ([1, 2], 1), ([3, 1, 2], 2), ([4, 0, 9, 2], 3)])
def test_the_median_is_a_whole_number(amounts: list[int], middle: int) -> None:
    assert median(amounts) == middle


class Ticks:
    def __init__(self) -> None:
        self.now_us = T

    def clock(self) -> Clock:
        return Clock(wall_us=lambda: self.now_us)


def seen(event: AlertEvent = "budget_threshold", subject: str = "web", **facts: Any) -> Observation:
    return Observation(event=event, subject=subject, text="80 % of it are spent.", **facts)


def budget(*found: Observation) -> Source:
    return Source(frozenset({"budget_threshold", "budget_forecast"}), lambda *_: found)


def kinds(book: AlertBook) -> list[tuple[str, str, str]]:
    return [(one.target, one.message.kind, one.message.about.event) for one in book.waiting()]


def test_another_source_is_told_like_our_own(store: Store, book: AlertBook) -> None:
    ticks, holds = Ticks(), [seen()]
    source = Source(frozenset({"budget_threshold"}), lambda *_: list(holds))
    alerts = Alerts(lambda: SETTINGS, ticks.clock(), (*own_sources(), source))
    alerts.look(store, book)
    alerts.look(store, book)
    assert kinds(book) == [("hook", "started", "budget_threshold")]
    holds.clear()
    for _ in range(3):
        ticks.now_us += 61 * S
        alerts.look(store, book)
    assert kinds(book)[1:] == [("hook", "recovered", "budget_threshold")]


def test_a_source_that_fails_ends_no_alert(
    store: Store, book: AlertBook, caplog: pytest.LogCaptureFixture
) -> None:
    ticks, fails = Ticks(), [False]

    def look(*_: object) -> list[Observation]:
        if fails[0]:
            raise ZeroDivisionError
        return [seen()]

    alerts = Alerts(lambda: SETTINGS, ticks.clock(), (Source(frozenset({"budget_threshold"}), look),))
    alerts.look(store, book)
    fails[0] = True
    ticks.now_us += 7200 * S
    alerts.look(store, book)
    alerts.look(store, book)
    assert kinds(book) == [("hook", "started", "budget_threshold")]
    assert "alerts cannot look for budget_threshold" in caplog.text


def test_the_log_tells_each_message_once(
    store: Store, book: AlertBook, journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "tidegate.alerts")
    journal.write(key_refused(T))
    alerts = Alerts(lambda: Settings(deployments=ROWS), Ticks().clock(), own_sources())
    alerts.look(store, book)
    alerts.look(store, book)
    assert caplog.messages == ["alert: key refused, eu: The provider refuses the key of deployment eu."]
    assert kinds(book) == []


WANTS = [
    ({}, seen(), True),
    ({"events": ("spend_jump",)}, seen(), False),
    ({"events": ("budget_threshold", "spend_jump")}, seen(), True),
    ({"teams": ("web",)}, seen(), False),
    ({"teams": ("web",)}, seen(team="web"), True),
    ({"teams": ("docs",)}, seen(team="web"), False),
]


@pytest.mark.parametrize(("filters", "about", "expected"), WANTS)
def test_a_target_gets_what_it_wants(filters: dict[str, Any], about: Observation, expected: bool) -> None:
    assert wants(AlertTarget(name="a", kind="webhook", **filters), about) is expected


def test_what_a_source_says_becomes_short_lines(store: Store, book: AlertBook) -> None:
    sly = Observation(event="budget_threshold", subject="a\r\nb", text="x\x1b[2J" + "y" * 999)
    Alerts(lambda: SETTINGS, Ticks().clock(), (budget(sly),)).look(store, book)
    about = book.waiting()[0].message.about
    assert (about.subject[:4], len(about.text), "\x1b" in about.text) == ("a??b", 500, False)


def test_subjects_that_are_too_long_stay_different(store: Store, book: AlertBook) -> None:
    long = "x" * 250
    Alerts(
        lambda: SETTINGS, Ticks().clock(), (budget(seen(subject=long + "a"), seen(subject=long + "b")),)
    ).look(store, book)
    subjects = {subject for _, subject in book.standings()}
    assert len(subjects) == 2
    assert all(len(subject) < 220 for subject in subjects)


def test_a_book_holds_so_many_messages_of_a_target_and_no_more(store: Store, book: AlertBook) -> None:
    message = msgspec.structs.replace
    Alerts(lambda: SETTINGS, Ticks().clock(), (budget(seen()),)).look(store, book)
    first = book.waiting()[0].message
    more = [("hook", message(first, id=f"msg_{n}")) for n in range(MOST_WAITING)]
    assert book.keep({}, {}, [*more, ("other", first)]) == 1
    held = book.waiting()
    assert [one.target for one in held].count("hook") == MOST_WAITING
    assert held[0].message.id == "msg_0"


def test_a_message_waits_for_the_one_before_it_of_its_alert(store: Store, book: AlertBook) -> None:
    Alerts(lambda: SETTINGS, Ticks().clock(), (budget(seen(), seen(subject="docs")),)).look(store, book)
    first, other = book.waiting()
    book.keep({}, {}, [("hook", msgspec.structs.replace(first.message, id="later", at_us=T))])
    assert [one.id for one in book.due(T)] == [first.id, other.id]
    book.again(first.id, T + S, "no")
    assert [one.id for one in book.due(T)] == [other.id]
    book.done(first.id)
    assert [one.message.id for one in book.due(T)] == [other.message.id, "later"]


def test_a_message_that_cannot_be_read_any_more_holds_up_no_other(store: Store, book: AlertBook) -> None:
    Alerts(lambda: SETTINGS, Ticks().clock(), (budget(seen()),)).look(store, book)
    (first,) = book.waiting()
    book.keep({}, {}, [("hook", msgspec.structs.replace(first.message, id="later", at_us=T))])
    book._store.write("UPDATE delivery SET content = ? WHERE id = ?", [("{}", first.id)])
    assert [one.message.id for one in (*book.due(T), *book.due(T))] == ["later"]


def test_what_is_kept_is_there_again(tmp_path: Path, store: Store) -> None:
    with AlertBook.open(tmp_path) as book:
        Alerts(lambda: SETTINGS, Ticks().clock(), (budget(seen()),)).look(store, book)
        held = (book.standings(), book.waiting())
    with AlertBook.open_read_only(tmp_path) as again:
        assert (again.standings(), again.waiting()) == held
        with pytest.raises(apsw.ReadOnlyError):
            again.done(1)
