"""Rows of budgets reach gateways in the units they count in, and without anybody's name."""

from typing import Any

import pytest

from tidegate.config.budget_settings import BudgetRow
from tidegate.config.settings import Policy, Report, Settings
from tidegate.model.budget import Budget, Window
from tidegate.services.budget_rules import budget_wait_us_of, budgets_of, with_pseudonyms
from tidegate.services.pseudonyms import Pseudonyms

PEPPER = b"p" * 32


def budget(**facts: Any) -> Budget:
    fields = {"name": "b", "limit": "10", "unit": "EUR"} | facts
    settings = Settings(budgets=(BudgetRow(**fields),), report=Report(time_zone="Europe/Berlin"))
    (made,) = budgets_of(settings)
    return made


@pytest.mark.parametrize(
    ("limit", "unit", "wanted"),
    [("10", "EUR", 10_000_000_000), ("0.000000001", "USD", 1), ("10", "tokens", 10), ("7", "calls", 7)],
)
def test_a_limit_is_in_its_own_unit(limit: str, unit: str, wanted: int) -> None:
    assert budget(limit=limit, unit=unit, window="day").limit == wanted


@pytest.mark.parametrize(
    ("facts", "wanted"),
    [
        ({"window": "month"}, Window("month", 0, "Europe/Berlin")),
        ({"window": "month", "time_zone": "Asia/Tokyo"}, Window("month", 0, "Asia/Tokyo")),
        ({"window": "total"}, Window("total", 0, "Europe/Berlin")),
        ({"every_s": 90}, Window("fixed", 90, "Europe/Berlin")),
        ({"rolling_s": 3600}, Window("rolling", 3600, "Europe/Berlin")),
    ],
)
def test_a_window_has_its_length_and_a_zone(facts: dict[str, Any], wanted: Window) -> None:
    assert budget(**facts).window == wanted


def test_shares_are_told_in_thousandths_once_and_in_order() -> None:
    made = budget(
        window="day", notify_at=(1.0, 0.8, 0.8, 0.0001), mode="degrade", degrade_at=0.955, degrade_to="x"
    )
    assert made.notify_permille == (1, 800, 1000)
    assert (made.mode, made.degrade_permille, made.degrade_to) == ("degrade", 955, "x")
    assert budget(window="day", degrade_at=0).degrade_permille == 0


def test_the_wait_is_in_microseconds() -> None:
    assert budget_wait_us_of(Settings(policy=Policy(budget_wait_s=0.25))) == 250_000


def test_people_are_named_by_the_pseudonyms_that_their_calls_have() -> None:
    pseudonyms = Pseudonyms(PEPPER)
    made = budget(window="day", match={"customer": ("Initech", "Umbrella"), "team": ("red",)})
    found = with_pseudonyms(made, ["acme", "rival"], pseudonyms).match
    assert found["team"] == ("red",)
    assert set(found["customer"]) == {
        pseudonyms.of(tenant, "customer", name)
        for tenant in ("acme", "rival")
        for name in ("Initech", "Umbrella")
    }


def test_people_of_the_tenants_that_a_budget_names_are_meant_alone() -> None:
    pseudonyms = Pseudonyms(PEPPER)
    made = budget(window="day", match={"tenant": ("acme",), "user": ("ann@example.com",)})
    found = with_pseudonyms(made, ["acme", "rival"], pseudonyms).match
    assert found == {"tenant": ("acme",), "user": (pseudonyms.of("acme", "user", "ann@example.com"),)}


def test_a_budget_of_people_is_for_nobody_while_there_is_no_tenant() -> None:
    made = budget(window="day", match={"user": ("ann",)})
    assert with_pseudonyms(made, [], Pseudonyms(PEPPER)).match == {"user": ()}
