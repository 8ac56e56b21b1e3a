"""The views of money over recorded calls: what they print, and that their figures meet the report's."""

import csv
import io
import json
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from msgspec import structs

from tests.cli.test_report import record, run
from tests.support.calls import (
    CARD,
    CARD_ID,
    DAY_US,
    NOON_US,
    begin,
    end,
    listed,
    named,
    project,
    rate,
    settled,
    who,
)
from tidegate.cli import report as report_job
from tidegate.cli.export import command as export_command
from tidegate.model.money import REFERENCE, Fx
from tidegate.model.price import price_id
from tidegate.model.record import GatewayRecord, Measured
from tidegate.model.usage import Usage
from tidegate.stores.layout import Layout
from tidegate.stores.sqlite.store import DATABASE, Store

VIEWS = ("compare", "forecast", "inside", "naive", "unit-cost", "top-runs")
MEASURED = Measured(body_bytes=9, system=(400, 100), tools=(100, 25), last_user=(500, 125))


@pytest.fixture(autouse=True)
def _on_the_ninth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_job, "wall_us", lambda: NOON_US + 2 * DAY_US)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "state")
    made.make()
    return made


def calls() -> list[GatewayRecord]:
    """A call a day on six days, dearer ones later, and one that a provider billed at less than its list."""
    found: list[GatewayRecord] = []
    for at in range(6):
        usage = Usage(input_uncached=10_000 * (at + 1), cache_read=5_000, output_text=1_000, reasoning=0)
        cost = 20_000_000 * (at + 1) + 10_000_000 + 8_000_000
        facts: dict[str, Any] = {"who": who(feature="a" if at % 2 else "b", run="r-1"), "measured": MEASURED}
        moment = NOON_US + (at - 5) * DAY_US
        found += [
            begin(f"r{at}", at=moment, **facts),
            end(f"r{at}", at=moment + 2_000_000, last=settled(usage=usage, cost_nano=cost)),
        ]
    stated = settled(cost_nano=100_000, cost_source="stated", usage=Usage(input_uncached=100, output_text=50))
    return [*found, begin("s"), end("s", last=stated)]


@pytest.fixture
def filled(layout: Layout) -> Layout:
    record(layout, *calls())
    fx = Fx(base="EUR", quote="USD", rate="1.25", date=date(2026, 11, 1), source=REFERENCE)
    with Store.open(layout.root / DATABASE) as store:
        project(store, decided=[listed(), rate(fx)])
    return layout


def asked(layout: Layout, view: str, *options: str) -> Any:
    found = run(layout, f"--{view}", "--format", "json", *options)
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout)


def nano(text: str | None) -> int:
    assert text is not None
    return int(Fraction(text) * 10**9)


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_fits_the_page_and_says_which_period(filled: Layout, view: str) -> None:
    found = run(filled, f"--{view}")
    assert found.exit_code == 0, found.output
    assert max(map(len, found.stdout.splitlines())) <= 110
    table = found.stdout.split("\n\n")[0].splitlines()
    assert max(map(len, table)) <= 100
    assert "TOTAL" in found.stdout
    assert "2026-11-01 00:00 to" in found.stdout


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_is_csv_too(filled: Layout, view: str) -> None:
    rows = list(csv.DictReader(io.StringIO(run(filled, f"--{view}", "--format", "csv").stdout)))
    of_json = asked(filled, view)
    assert [
        {name: "" if value is None else str(value) for name, value in row.items()} for row in of_json["rows"]
    ] == [{name: value for name, value in row.items() if name != "currency"} for row in rows]
    assert {row["currency"] for row in rows} == {"EUR"}


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_of_nothing_is_empty(layout: Layout, view: str) -> None:
    record(layout)
    assert "Nothing to show." in run(layout, f"--{view}").stdout


def whole(layout: Layout, *options: str) -> int:
    found = json.loads(run(layout, "--format", "json", *options).stdout)
    return nano(found["total"]["cost"])


@pytest.mark.parametrize("currency", ["EUR", "USD"])
def test_the_views_come_to_what_the_report_says(filled: Layout, currency: str) -> None:
    more = ("--currency", currency)
    cost = whole(filled, *more)
    for view in ("inside", "naive", "unit-cost"):
        found = asked(filled, view, *more)
        assert nano(found["total"]["cost"]) == cost
        assert sum(nano(row["cost"]) for row in found["rows"]) == cost
    places = asked(filled, "inside", *more)["total"]
    names = ("system", "tools", "history", "tool_results", "last_user", "input_unmeasured", "output", "other")
    assert sum(nano(places[name]) for name in names) == cost
    assert nano(asked(filled, "forecast", *more)["total"]["so_far"]) == cost


def test_a_comparison_takes_the_difference_apart(filled: Layout) -> None:
    found = asked(filled, "compare", "--period", "2026-11-05..2026-11-08", "--currency", "USD")
    total = found["total"]
    parts = ("volume", "mix", "tokens", "price", "cache")
    for row in (*found["rows"], total):
        change = nano(row["after"]) - nano(row["before"])
        assert sum(nano(row[name]) for name in parts) == nano(row["change"]) == change
    before, after = (
        whole(filled, "--currency", "USD", "--period", period)
        for period in ("2026-11-02..2026-11-05", "2026-11-05..2026-11-08")
    )
    assert (nano(total["before"]), nano(total["after"])) == (before, after)
    assert (total["before_calls"], total["after_calls"]) == (3, 4)


def test_a_period_that_is_not_over_is_compared_as_far_as_it_is(filled: Layout) -> None:
    found = asked(filled, "compare", "--period", "month")
    assert found["until_us"] == NOON_US + 2 * DAY_US
    assert found["until_us"] - found["since_us"] == found["since_us"] - found["before_since_us"]


def test_a_forecast_is_of_a_period_that_goes_on(filled: Layout) -> None:
    found = asked(filled, "forecast")
    assert (found["method"], found["days"]) == ("average", 6)
    total = found["total"]
    assert nano(total["so_far"]) <= nano(total["low"]) <= nano(total["expected"]) <= nano(total["high"])
    wrong = run(filled, "--forecast", "--period", "2026-10")
    assert (wrong.exit_code, "is not over" in wrong.output) == (1, True)


@pytest.mark.parametrize("view", ["compare", "forecast"])
def test_no_line_goes_on_from_day_to_day(filled: Layout, view: str) -> None:
    found = run(filled, f"--{view}", "--by", "day")
    assert (found.exit_code, "leave `day` out" in found.output) == (1, True)


def test_the_naive_cost_counts_the_cache_at_full_price(filled: Layout) -> None:
    total = asked(filled, "naive", "--currency", "USD")["total"]
    rates = {name: Fraction(text) * 1000 for name, text in CARD.rates.items()}
    fresh = sum(10_000 * (at + 1) + 5_000 for at in range(6)) + 100
    naive = fresh * rates["input_uncached"] + (6 * 1_000 + 50) * rates["output_text"]
    assert nano(total["naive"]) == naive
    assert nano(total["stated"]) == 100 * 2000 + 50 * 8000 - 100_000
    assert nano(total["naive"]) == nano(total["cost"]) + nano(total["saved"])


def test_unit_costs_are_in_both_currencies(filled: Layout) -> None:
    found = asked(filled, "unit-cost", "--by", "feature,customer")
    total = found["total"]
    assert total["calls"] == 7
    assert nano(total["per_1000_calls"]) == round(Fraction(1000 * nano(total["cost"]), 7))
    assert nano(total["cost_beside"]) == whole(filled, "--currency", "USD")
    assert (found["currency"], found["currency_beside"]) == ("EUR", "USD")


def test_the_dearest_runs_come_first(filled: Layout) -> None:
    record(filled, begin("x", who=who(run="r-2")), end("x"), boot="b2")
    rows = asked(filled, "top-runs", "--currency", "USD")["rows"]
    assert [(row["run"], row["calls"], row["feature"]) for row in rows] == [
        ("r-1", 6, "a and others"),
        ("r-2", 1, "summaries"),
    ]
    assert rows[0]["seconds"] == 5 * 86_400 + 2
    assert nano(rows[0]["cost"]) == sum(20_000_000 * (at + 1) + 18_000_000 for at in range(6))


@pytest.mark.parametrize("view", ["compare", "forecast", "inside", "naive"])
def test_money_without_an_exchange_rate_is_in_no_figure_and_named(layout: Layout, view: str) -> None:
    euros = settled(cost_nano=5_000_000_000, currency="EUR")
    record(layout, begin("d"), end("d"), begin("e", who=who(feature="known")), end("e", last=euros))
    with Store.open(layout.root / DATABASE) as store:
        project(store, decided=[listed()])
    found = asked(layout, view)
    assert [row["feature"] for row in found["rows"]] == ["known"]
    note = "without an exchange rate to EUR: amounts in USD; they are in no figure here"
    assert note in found["notes"]


def test_a_run_without_an_exchange_rate_has_no_known_cost(layout: Layout) -> None:
    euros = settled(cost_nano=5_000_000_000, currency="EUR")
    record(
        layout,
        *(begin("d", who=who(run="r-1")), end("d")),
        *(begin("e", who=who(run="r-2")), end("e", last=euros)),
        *(begin("f", who=who(run="r-2")), end("f")),
    )
    found = asked(layout, "top-runs")
    assert [(row["run"], row["cost"]) for row in found["rows"]] == [("r-2", "5.000000000"), ("r-1", None)]
    assert any("no exchange rate to EUR" in note for note in found["notes"])


@pytest.mark.parametrize("view", ["", *VIEWS])
def test_a_price_list_that_changes_changes_no_figure(filled: Layout, view: str) -> None:
    more = ("--currency", "USD", *([f"--{view}"] if view else []))

    def told() -> list[str]:
        return [line for line in run(filled, *more).stdout.splitlines() if not line.startswith("as of")]

    before = told()
    assert len(before) > 3
    dearer = structs.replace(CARD, rates={name: f"9{rate}" for name, rate in CARD.rates.items()})
    with Store.open(filled.root / DATABASE) as store:
        project(store, decided=[listed(dearer, seq=9)])
    assert told() == before
    charges = export(filled).stdout
    assert CARD_ID in charges
    assert price_id(dearer) not in charges


def test_only_runs_and_budgets_take_no_dimension(filled: Layout) -> None:
    found = run(filled, "--top-runs", "--by", "team")
    assert (found.exit_code, "--by says nothing to --top-runs" in found.output) == (1, True)


def export(layout: Layout, *options: str) -> Result:
    state = ["focus", "--state", str(layout.root), "--period", "2026-11"]
    return CliRunner().invoke(export_command, [*state, *options], catch_exceptions=False)


def test_charges_by_focus_add_up_to_what_was_billed(filled: Layout) -> None:
    unpriced = settled(cost_nano=None, cost_source="unpriced", price_id="")
    record(filled, begin("u"), end("u", last=unpriced), boot="b2")
    found = export(filled)
    rows = list(csv.DictReader(io.StringIO(found.stdout)))
    assert sum(nano(row["BilledCost"]) for row in rows) == whole(filled, "--currency", "USD")
    assert {row["ChargeCategory"] for row in rows} == {"Usage", "Credit"}
    assert {row["x_PriceId"] for row in rows} == {CARD_ID}
    assert found.stderr == "without a price and not in it: 1 attempts\n"
    assert list(csv.DictReader(io.StringIO(export(filled, "--tenant", "nobody").stdout))) == []


def test_a_feature_that_was_named_later_is_exported_by_its_name(layout: Layout) -> None:
    record(layout, begin("r1"), end("r1"))
    with Store.open(layout.root / DATABASE) as store:
        project(store, decided=[listed(), named("summaries", "Minutes")])
    rows = list(csv.DictReader(io.StringIO(export(layout).stdout)))
    assert {json.loads(row["Tags"])["feature"] for row in rows} == {"Minutes"}
