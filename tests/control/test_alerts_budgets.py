"""What is told of budgets: shares of limits that are reached, and limits that will not do."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.calls import DAY_US, HOUR_US, NOON_US, begin, end, frames, settled
from tidegate.config.budget_settings import BudgetRow
from tidegate.config.settings import Alerts as AlertSettings
from tidegate.config.settings import AlertTarget, Settings
from tidegate.control.alerts import Alerts, own_sources
from tidegate.control.budget_alerts import reached_thresholds, short_budgets
from tidegate.control.projector import Projector
from tidegate.model.alert import Observation
from tidegate.model.budget import Dimension, Share
from tidegate.model.ids import uuid7
from tidegate.model.record import encode
from tidegate.policy.alerting import MOST_OF_BUDGETS, OTHERS
from tidegate.policy.budget import account_of, window_of
from tidegate.services.budget_rules import budgets_of
from tidegate.services.clock import Clock
from tidegate.services.ledger import Ledger
from tidegate.stores.sqlite import alert_queries
from tidegate.stores.sqlite.alert_book import AlertBook
from tidegate.stores.sqlite.store import DATABASE, Store

EUR = 1_000_000_000
S = 1_000_000
MONTH_US = 1_793_491_200_000_000
"""2026-11-01 00:00 UTC; `NOON_US` is on the 7th, a Saturday."""
HOOK = AlertTarget(name="hook", kind="webhook")


class Gateway:
    """A gateway's ledger and its journal, in memory."""

    def __init__(self) -> None:
        self.now_us = NOON_US
        self.journal: list[bytes] = []
        self.ledger = Ledger(self, Clock(wall_us=lambda: self.now_us))  # type: ignore[arg-type]

    def append(self, payload: bytes, *, of: str = "") -> int:
        assert not of
        self.journal.append(payload)
        return len(self.journal)


class House:
    """A configuration with one budget, gateways that spend of it and tell of it, and the tables."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._gateways: dict[str, Gateway] = {}
        self._calls = 0
        self.configure()

    def configure(self, **facts: Any) -> None:
        row = {"name": "web", "limit": "100", "unit": "EUR", "window": "month", **facts}
        if "every_s" in facts or "rolling_s" in facts:
            del row["window"]
        self.settings = Settings(budgets=(BudgetRow(**row),), alerts=AlertSettings(targets=(HOOK,)))
        (self.budget,) = budgets_of(self.settings)

    def account(self, *values: str) -> str:
        names: dict[Dimension, tuple[str, ...]] = {
            dimension: (value,) for dimension, value in zip(self.budget.per, values, strict=True)
        }
        return account_of(self.budget, names)

    def tell(
        self, permille: int, spent: int, /, *values: str, boot: str = "b1", at_us: int = NOON_US, **facts: Any
    ) -> None:
        """A gateway notes that a share of the limit is reached."""
        told: dict[str, Any] = {
            "budget": self.budget.name,
            "account": self.account(*values),
            "window_us": window_of(self.budget.window, at_us)[0],
            "unit": self.budget.unit,
            "spent": spent,
            "limit": self.budget.limit,
            "permille": permille,
        }
        gateway = self._gateways.setdefault(boot, Gateway())
        gateway.now_us = at_us
        gateway.ledger.note("budget_threshold", **(told | facts))
        self._project(boot)

    def charge(self, amount: int, *values: str, at_us: int = NOON_US) -> None:
        """A call that began then is settled."""
        self._calls += 1
        ident = uuid7(at_us, self._calls)
        share = Share(self.account(*values), window_of(self.budget.window, at_us)[0], amount)
        gateway = self._gateways.setdefault("b0", Gateway())
        seq = len(gateway.journal) + 1
        last = settled(charges=(share,))
        gateway.journal.append(encode(begin(ident, at=at_us, seq=seq)))
        gateway.journal.append(encode(end(ident, at=at_us + 1, seq=seq + 1, last=last)))
        self._project("b0")

    def give(self, amount: int, window_us: int = MONTH_US) -> None:
        """A person gives a window more."""
        row = ("c1", 1, NOON_US, self.account(), window_us, amount, "ann", "because")
        self.store.write("INSERT INTO budget_raise VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [row])

    def reached(self, now_us: int = NOON_US) -> list[str]:
        return [one.subject for one in self.told(now_us)]

    def told(self, now_us: int = NOON_US) -> list[Observation]:
        return list(reached_thresholds(self.store, self.settings, now_us))

    def short(self, now_us: int = NOON_US) -> list[Observation]:
        return list(short_budgets(self.store, self.settings, now_us))

    def _project(self, boot: str) -> None:
        Projector(self.store).apply(boot, frames(self._gateways[boot].journal))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / DATABASE) as opened:
        yield opened


@pytest.fixture
def house(store: Store) -> House:
    return House(store)


MONTH = "web, EUR per month from 2026-11-01T00:00+00:00"


def test_a_share_that_is_reached_is_told_with_its_amounts(house: House) -> None:
    house.configure(match={"team": ("docs",)})
    house.tell(800, 81 * EUR)
    (one,) = house.told()
    assert one == Observation(
        event="budget_threshold",
        subject=f"80 % of {MONTH}",
        text="Budget web has reached 80 %: EUR 81.000000 of EUR 100.000000 per month.",
        facts={
            "budget": "web",
            "unit": "EUR",
            "spent": "81.000000000",
            "limit": "100.000000000",
            "permille": 800,
        },
        team="docs",
    )


def test_what_several_gateways_tell_is_one_alert(house: House, tmp_path: Path) -> None:
    for boot, spent in (("b1", 50), ("b2", 51), ("b3", 50)):
        house.tell(500, spent * EUR, boot=boot)
    house.tell(800, 80 * EUR, boot="b2")
    assert house.reached() == [f"80 % of {MONTH}", f"50 % of {MONTH}"]
    with AlertBook.open(tmp_path) as book:
        alerts = Alerts(lambda: house.settings, Clock(wall_us=lambda: NOON_US), own_sources())
        for _ in range(2):
            alerts.look(house.store, book)
            house.tell(500, 52 * EUR, boot="b4")
        told = [(one.message.kind, one.message.about.subject) for one in book.waiting()]
    assert told == [("started", f"80 % of {MONTH}"), ("started", f"50 % of {MONTH}")]


def test_each_account_is_told_of_by_itself(house: House) -> None:
    house.configure(per=("team", "user"), unit="tokens", limit="1000")
    house.tell(1000, 1000, "docs", "u1")
    house.tell(1000, 1001, "-", "u2")
    second, first = house.told()
    assert [first.team, second.team] == ["docs", ""]
    assert first.text == (
        "Budget web (team docs, user u1) has reached 100 %: 1,000 tokens of 1,000 tokens per month."
    )
    assert first.facts["spent"] == 1000
    assert first.subject != second.subject


def test_it_is_over_with_the_window(house: House) -> None:
    house.tell(500, 50 * EUR)
    last_us = MONTH_US + 30 * DAY_US - 1
    assert len(house.reached(last_us)) == 1
    assert house.reached(last_us + 1) == []


def test_a_window_is_one_of_the_budgets_time_zone(house: House) -> None:
    house.configure(time_zone="Europe/Berlin", window="day")
    house.tell(500, 50 * EUR)
    assert house.reached() == ["50 % of web, EUR per day from 2026-11-07T00:00+01:00"]
    assert house.reached(NOON_US + 11 * HOUR_US) == []


def test_it_is_over_when_the_budget_is_raised_and_back_when_more_is_spent(house: House) -> None:
    house.configure(notify_at=(0.8,))
    house.tell(800, 81 * EUR)
    house.give(10 * EUR, window_us=0)
    assert len(house.reached()) == 1
    house.store.write("UPDATE budget_raise SET window_us = ?", [(MONTH_US,)])
    assert house.reached() == []
    house.charge(88 * EUR)
    (one,) = house.told()
    assert one.facts["limit"] == "110.000000000"
    assert one.facts["spent"] == "88.000000000"


CHANGES: list[tuple[str, dict[str, Any], int]] = [
    ("nothing", {}, 1),
    ("a higher limit", {"limit": "101"}, 0),
    ("a lower limit", {"limit": "99"}, 1),
    ("other shares", {"notify_at": (0.5,)}, 0),
    ("another name", {"name": "mobile"}, 0),
    ("another unit", {"unit": "USD"}, 0),
    ("another window", {"window": "week"}, 0),
    ("another zone", {"time_zone": "Europe/Berlin"}, 0),
    ("for each team", {"per": ("team",)}, 0),
]


@pytest.mark.parametrize(("change", "left"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_another_configuration_ends_what_is_not_of_it(
    house: House, change: dict[str, Any], left: int
) -> None:
    house.tell(800, 80 * EUR)
    house.configure(**change)
    assert len(house.reached()) == left


def test_a_lower_limit_passes_shares_that_nobody_notes(house: House) -> None:
    house.charge(40 * EUR)
    assert house.reached() == []
    house.configure(limit="50")
    assert house.reached() == [f"80 % of {MONTH}", f"50 % of {MONTH}"]


def test_a_limit_of_nothing_is_not_reached_by_nothing(house: House) -> None:
    house.give(-100 * EUR)
    assert house.reached() == []


def test_a_note_of_the_next_window_is_not_of_this_one(house: House) -> None:
    house.configure(window="day")
    house.tell(500, 50 * EUR, at_us=NOON_US + 13 * HOUR_US)
    assert house.reached() == []
    assert len(house.reached(NOON_US + 13 * HOUR_US)) == 1


def test_a_budget_in_all_is_told_however_long_ago(house: House) -> None:
    house.configure(window="total")
    house.tell(500, 50 * EUR, at_us=NOON_US - 300 * DAY_US)
    assert house.reached() == ["50 % of web, EUR in all"]


def test_a_rolling_budget_is_told_until_enough_of_it_is_old(house: House) -> None:
    house.configure(rolling_s=36_000)
    house.charge(30 * EUR, at_us=NOON_US - 2 * HOUR_US)
    house.charge(25 * EUR)
    house.tell(500, 55 * EUR)
    house.tell(500, 55 * EUR, boot="b2", at_us=NOON_US + HOUR_US)
    assert house.reached(NOON_US + HOUR_US) == ["50 % of web, EUR within any 36000 s"]
    assert len(house.reached(NOON_US + 8 * HOUR_US)) == 1
    assert house.reached(NOON_US + 9 * HOUR_US) == []


def test_what_a_note_says_holds_before_its_call_is_in_the_tables(house: House) -> None:
    house.configure(rolling_s=36_000)
    house.tell(500, 55 * EUR)
    assert len(house.reached(NOON_US + 60 * S)) == 1
    assert house.reached(NOON_US + HOUR_US) == []


BAD: list[dict[str, Any]] = [
    {"account": "another|EUR|month|UTC"},
    {"account": "web"},
    {"account": 7},
    {"permille": "800"},
    {"permille": 801},
    {"spent": "80"},
]


@pytest.mark.parametrize("facts", BAD, ids=str)
def test_a_note_that_says_something_else_is_passed_over(house: House, facts: dict[str, Any]) -> None:
    house.tell(500, 80 * EUR)
    house.tell(800, 80 * EUR, **facts)
    assert house.reached() == [f"50 % of {MONTH}"]


def test_a_flood_of_accounts_is_told_as_one_more(house: House, tmp_path: Path) -> None:
    house.configure(per=("user",))
    for number in range(MOST_OF_BUDGETS + 5):
        house.tell(500, 50 * EUR, f"u{number}")
    house.tell(1000, 100 * EUR, "late")
    with AlertBook.open(tmp_path) as book:
        alerts = Alerts(lambda: house.settings, Clock(wall_us=lambda: NOON_US), own_sources())
        alerts.look(house.store, book)
        subjects = [one.message.about.subject for one in book.waiting()]
    assert len(subjects) == MOST_OF_BUDGETS + 1
    assert subjects[0].startswith("100 % of web user=late")
    assert OTHERS in subjects


def test_what_was_noted_first_keeps_its_place(house: House) -> None:
    house.configure(per=("user",))
    for number in (2, 0, 3, 1):
        house.tell(500, number, "u", at_us=NOON_US + number, window_us=number)
    found = alert_queries.thresholds(house.store, "web", 0, most=2)
    assert {note.facts["window_us"] for note in found} == {0, 1}


def spend_daily(house: House, amount: int, days: int = 20) -> None:
    for day in range(days + 1):
        house.charge(amount, at_us=NOON_US - day * DAY_US)


def test_a_budget_that_will_not_last_is_told_with_the_day(house: House) -> None:
    spend_daily(house, 5 * EUR)
    (one,) = house.short()
    assert one.event == "budget_forecast"
    assert one.subject == MONTH
    assert one.text == (
        "Budget web will not last: EUR 35.000000 of EUR 100.000000 per month so far, EUR 150.000000 expected."
        " It runs out on 2026-11-21."
    )
    assert one.facts["expected"] == "150.000000000"


LASTING: list[tuple[str, dict[str, Any], int, int]] = [
    ("a limit that will do", {"limit": "151"}, 5, 20),
    ("one that is passed already", {"limit": "30"}, 5, 20),
    ("less than a week on record", {}, 5, 6),
    ("no shares to notify at", {"notify_at": ()}, 5, 20),
    ("days", {"window": "day", "limit": "6"}, 5, 20),
    ("all time", {"window": "total", "limit": "106"}, 5, 20),
    ("spans that are not made of days", {"every_s": 3_600}, 5, 20),
]


@pytest.mark.parametrize(
    ("facts", "amount", "days"), [row[1:] for row in LASTING], ids=[r[0] for r in LASTING]
)
def test_nothing_is_told_of(house: House, facts: dict[str, Any], amount: int, days: int) -> None:
    house.configure(**facts)
    spend_daily(house, amount * EUR, days)
    assert house.short() == []


def test_a_raise_makes_it_last(house: House) -> None:
    spend_daily(house, 5 * EUR)
    house.give(60 * EUR)
    assert house.short() == []
