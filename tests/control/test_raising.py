"""Giving a budget more, or less: understood exactly, recorded, and told to gateways at once."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.control.test_publisher import ROW, publisher
from tests.control.test_registry import PEPPER, Memory, asked
from tests.support.calls import DAY_US, NOON_US
from tidegate.config.budget_settings import BudgetRow
from tidegate.config.settings import Policy, Settings
from tidegate.control.raising import Raised, RaiseRequest
from tidegate.control.registry import Registry
from tidegate.model.budget import Raise
from tidegate.model.errors import BadRequest, NotFound
from tidegate.model.record import BudgetRaised, decode_control
from tidegate.services.clock import Clock
from tidegate.services.pseudonyms import Pseudonyms
from tidegate.stores.snapshot import Snapshot, read_snapshot

TODAY_US = NOON_US // DAY_US * DAY_US
BUDGETS = (
    BudgetRow(name="all", limit="100", unit="EUR", window="total"),
    BudgetRow(name="daily", limit="10.5", unit="EUR", window="day"),
    BudgetRow(name="calls", limit="20", unit="calls", rolling_s=200),
    BudgetRow(name="minutes", limit="900", unit="tokens", every_s=60),
    BudgetRow(name="teams", limit="5", unit="USD", window="day", per=("team", "model")),
    BudgetRow(name="keys", limit="5", unit="USD", window="total", per=("key",), match={"key": ("ci",)}),
    BudgetRow(
        name="customers",
        limit="5",
        unit="USD",
        window="total",
        per=("customer",),
        match={"customer": ("Ann",)},
    ),
    BudgetRow(name="users", limit="5", unit="USD", window="total", per=("user", "tenant")),
)
SETTINGS = Settings(deployments=(ROW,), budgets=BUDGETS, policy=Policy(budget_wait_s=2.5))


class Stage:
    """A registry that publishes what it decides."""

    def __init__(self, root: Path) -> None:
        self.root, self.now_us = root, NOON_US
        self.journal = Memory()
        self.publisher = publisher(root, NOON_US, SETTINGS)
        self.registry = self.made()
        self.key = self.registry.create_key(asked(name="ci"), by="me").key

    def made(self) -> Registry:
        registry = Registry(self.journal, PEPPER, Clock(wall_us=lambda: self.now_us))
        registry.on_change = lambda: self.publisher.publish(registry)
        registry.budgets = lambda: self.publisher.budgets(registry)
        return registry

    def give(self, budget: str, amount: str = "1", reason: str = "launch", **values: str) -> Raised:
        request = {"budget": budget, "amount": amount, "reason": reason, "values": values}
        return self.registry.raise_budget(msgspec.convert(request, RaiseRequest), by="ann")

    def snapshot(self) -> Snapshot:
        found = read_snapshot(self.root)
        assert found is not None
        return found


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_a_raise_is_recorded_with_who_and_why_and_published_at_once(stage: Stage) -> None:
    made = stage.give("daily", "2.25", reason=" launch\x1b week ")
    assert decode_control(stage.journal.raw[-1]) == BudgetRaised(
        seq=2,
        at=NOON_US,
        by="ann",
        account="daily|EUR|day|UTC",
        window_us=TODAY_US,
        amount=2_250_000_000,
        reason="launch week",
    )
    assert stage.snapshot().raises == (
        Raise(account="daily|EUR|day|UTC", window_us=TODAY_US, amount=2_250_000_000),
    )
    assert (made.limit, made.until_us) == (12_750_000_000, TODAY_US + DAY_US)


def test_what_is_not_recorded_is_not_true(stage: Stage) -> None:
    stage.journal.broken = True
    with pytest.raises(Exception, match="the disk fails"):
        stage.give("daily")
    stage.journal.broken = False
    assert stage.registry.raises_shipped() == ()


def test_raises_of_one_window_add_up_and_can_be_taken_back(stage: Stage) -> None:
    assert [stage.give("all", amount).limit for amount in ("50", "+1", "-51")] == [
        150_000_000_000,
        151_000_000_000,
        100_000_000_000,
    ]
    assert stage.snapshot().raises == ()


def test_a_limit_that_was_lowered_twice_can_be_raised_again(stage: Stage) -> None:
    stage.give("all", "-100")
    row = msgspec.structs.replace(BUDGETS[0], limit="40")
    stage.publisher.configure(msgspec.structs.replace(SETTINGS, budgets=(row,)))
    assert stage.give("all", "50").limit == -10_000_000_000
    assert stage.give("all", "10").limit == 0


def test_the_next_window_has_its_limit_again(stage: Stage) -> None:
    stage.give("daily", "2")
    stage.now_us += DAY_US
    assert stage.give("daily", "1").limit == 11_500_000_000
    stage.now_us += DAY_US
    assert stage.registry.raises_shipped() == (
        Raise(account="daily|EUR|day|UTC", window_us=TODAY_US + DAY_US, amount=1_000_000_000),
    )


def test_a_rolling_window_has_its_raises_for_its_own_length(stage: Stage) -> None:
    assert stage.give("calls", "5").until_us == NOON_US + 210_000_000
    stage.now_us += 200_000_000
    assert stage.give("calls", "5").limit == 30
    stage.now_us += 10_000_000
    assert stage.give("calls", "1").limit == 26


def test_the_same_records_make_the_same_raises(stage: Stage) -> None:
    stage.give("all", "50")
    stage.give("teams", "5", team="red", model="gpt")
    again = stage.made()
    again.replay(decode_control(raw) for raw in stage.journal.raw)
    assert again.raises_shipped() == stage.registry.raises_shipped()


@pytest.mark.parametrize(
    ("budget", "amount", "wanted"),
    [
        ("daily", "50", 50_000_000_000),
        ("daily", "EUR 50", 50_000_000_000),
        ("daily", "-2.5 eur", -2_500_000_000),
        ("daily", " 0.000000001EUR ", 1),
        ("calls", "5 calls", 5),
        ("minutes", "-5", -5),
    ],
)
def test_an_amount_is_exact_with_its_unit_or_without(
    stage: Stage, budget: str, amount: str, wanted: int
) -> None:
    assert stage.give(budget, amount).amount == wanted


@pytest.mark.parametrize(
    ("budget", "amount", "says"),
    [
        ("daily", "5 USD", "kept in EUR, not in USD"),
        ("daily", "tokens 5", "kept in EUR, not in tokens"),
        ("calls", "EUR 5", "kept in calls, not in EUR"),
        ("calls", "0.5", "a whole number of calls"),
        ("daily", "0.0000000001", "at most 9 decimals"),
        ("daily", "0", "changes nothing"),
        ("daily", "1,5", "is no amount"),
        ("daily", "1e3", "is no amount"),
        ("daily", "NaN", "is no amount"),
        ("daily", "", "is no amount"),
        ("daily", "\u0665", "is no amount"),
        ("daily", "999999999999", "the most is 1000000000"),
        ("daily", "999999990", "limit would be EUR 1000000000.500000, which is too large"),
        ("daily", "-10.500000001", "allows EUR 10.500000; it cannot be lowered by more"),
    ],
)
def test_an_amount_that_fits_no_limit_is_refused(stage: Stage, budget: str, amount: str, says: str) -> None:
    before = len(stage.journal.raw)
    with pytest.raises(BadRequest, match=says) as caught:
        stage.give(budget, amount)
    assert caught.value.param == "amount"
    assert len(stage.journal.raw) == before


@pytest.mark.parametrize("reason", ["", "  ", "\x1b\n"])
def test_a_raise_without_a_reason_is_refused(stage: Stage, reason: str) -> None:
    with pytest.raises(BadRequest, match="Say why"):
        stage.give("daily", reason=reason)


def test_an_unknown_budget_is_named_as_such(stage: Stage) -> None:
    with pytest.raises(NotFound, match="did you mean 'daily'"):
        stage.give("dayly")
    with pytest.raises(NotFound, match="there are all, daily"):
        stage.give("x")
    stage.publisher.configure(Settings(deployments=(ROW,)))
    with pytest.raises(NotFound, match="there is none"):
        stage.give("daily")


@pytest.mark.parametrize(
    ("budget", "values", "says", "param"),
    [
        ("daily", {"team": "red"}, "as one for all its calls, not per team", "values.team"),
        (
            "teams",
            {"team": "red", "model": "gpt", "user": "ann"},
            "per team and model, not per user",
            "values.user",
        ),
        ("teams", {"team": "red"}, "say which model", "values.model"),
        ("teams", {"team": "\x1b", "model": "gpt"}, "say which team", "values.team"),
        ("keys", {"key": "prod"}, "Key 'prod' is unknown", "values.key"),
        ("customers", {"customer": "Bob"}, "is not for customer 'Bob'", "values.customer"),
        ("customers", {"customer": "-"}, "is not for customer '-'", "values.customer"),
        ("customers", {"customer": "Ann", "tenant": "rival"}, "is not for customer 'Ann'", "values.customer"),
    ],
)
def test_an_account_that_a_budget_never_has_is_refused(
    stage: Stage, budget: str, values: dict[str, str], says: str, param: str
) -> None:
    with pytest.raises(BadRequest, match=says) as caught:
        stage.give(budget, **values)
    assert caught.value.param == param


def test_accounts_are_those_that_gateways_keep(stage: Stage) -> None:
    of = Pseudonyms(PEPPER).of
    ann = of("acme", "customer", "Ann")
    for given, account in (
        (stage.give("teams", team="red", model="gpt"), "teams|USD|day|UTC|team=red|model=gpt"),
        (stage.give("teams", team="-", model="gpt"), "teams|USD|day|UTC|team=-|model=gpt"),
        (stage.give("keys", key="ci"), f"keys|USD|total||key={stage.key.id}"),
        (stage.give("keys", key=stage.key.id), f"keys|USD|total||key={stage.key.id}"),
        (stage.give("customers", customer="Ann"), f"customers|USD|total||customer={ann}"),
        (stage.give("customers", customer=f"pseudonym:{ann}"), f"customers|USD|total||customer={ann}"),
        (
            stage.give("users", user="ann", tenant="rival"),
            f"users|USD|total||user={of('rival', 'user', 'ann')}|tenant=rival",
        ),
    ):
        assert given.account == account


def test_a_customer_of_several_tenants_is_asked_about(stage: Stage) -> None:
    stage.registry.create_key(asked(tenant="rival"), by="me")
    with pytest.raises(BadRequest, match="There are 2 tenants; name one"):
        stage.give("customers", customer="Ann")
    ann = Pseudonyms(PEPPER).of("rival", "customer", "Ann")
    assert stage.give("customers", customer="Ann", tenant="rival").account.endswith(ann)


def test_of_keys_of_one_name_the_one_that_works_is_meant(stage: Stage) -> None:
    new = stage.registry.rotate_key(stage.key.id, by="me").key
    assert stage.give("keys", key="ci").account.endswith(new.id)
    other = stage.registry.create_key(asked(name="ci"), by="me").key
    with pytest.raises(BadRequest, match=f"has several: {new.id}, {other.id}"):
        stage.give("keys", key="ci")


def test_a_snapshot_holds_budgets_and_nobodys_name(stage: Stage) -> None:
    found = stage.snapshot()
    assert [budget.name for budget in found.budgets] == [row.name for row in BUDGETS]
    assert found.budget_wait_us == 2_500_000
    assert found.budgets[6].match == {"customer": (Pseudonyms(PEPPER).of("acme", "customer", "Ann"),)}
    assert b"Ann" not in (stage.root / "snapshot.json").read_bytes()


def test_a_tenants_first_key_brings_its_people_under_their_budgets(stage: Stage) -> None:
    stage.registry.create_key(asked(tenant="rival"), by="me")
    of = Pseudonyms(PEPPER).of
    wanted = {of(tenant, "customer", "Ann") for tenant in ("acme", "rival")}
    assert set(stage.snapshot().budgets[6].match["customer"]) == wanted


def test_what_a_request_does_not_know_is_refused() -> None:
    body: dict[str, Any] = {"budget": "b", "amount": "1", "reason": "x", "values": {"colour": "red"}}
    with pytest.raises(msgspec.ValidationError, match="colour"):
        msgspec.convert(body, RaiseRequest)
