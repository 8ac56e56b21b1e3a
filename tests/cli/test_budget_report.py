"""`tidegate report --budgets` over a state directory."""

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.control.test_budget_outlook import MONTH, charge, every_day, give
from tests.support.calls import NOON_US
from tidegate.cli import report as report_job
from tidegate.model.budget import Budget, Dimension, Window
from tidegate.policy.budget import FOREVER_US, account_of, window_of
from tidegate.stores.layout import Layout
from tidegate.stores.snapshot import NAME, Snapshot, write_snapshot
from tidegate.stores.sqlite.names import Names
from tidegate.stores.sqlite.store import DATABASE, Store

MONEY = Budget(name="all of it", limit=2_000 * 10**9, unit="EUR", window=MONTH)
TOKENS = Budget(
    name="teams", limit=4_000, unit="tokens", window=Window("rolling", 86_400), per=("team",), mode="soft"
)


@pytest.fixture(autouse=True)
def _at_noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_job, "wall_us", lambda: NOON_US)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "state")
    made.make()
    write_snapshot(made.root, Snapshot(version=1, made_at_us=1, budgets=(MONEY, TOKENS)))
    with Store.open(made.root / DATABASE) as store:
        charge(store, MONEY, every_day(100 * 10**9, 9))
        charge(store, TOKENS, [(NOON_US, 1_500, "web"), (NOON_US, 5)])
        give(store, MONEY, 500_000_000)
    return made


def run(layout: Layout, *options: str) -> Result:
    asked = ["--state", str(layout.root), "--budgets", *options]
    return CliRunner().invoke(report_job.command, asked, catch_exceptions=False)


def test_budgets_are_told_each_in_its_unit(layout: Layout) -> None:
    lines = run(layout).stdout.splitlines()
    assert lines[0].split() == [
        *("BUDGET", "WHOSE", "WINDOW", "UNIT", "LIMIT", "SPENT", "%", "EXPECTED", "%", "RUNS", "OUT")
    ]
    assert lines[1].split()[3:] == [
        *("month", "EUR", "2000.50", "600.00", "30", "%", "3000.00", "150", "%", "2026-11-21")
    ]
    assert lines[2].split() == [
        *("teams", "team=web", "rolling", "1", "d", "tokens", "4,000", "1,500", "38", "%", "-", "-")
    ]
    assert "team=(none)" in lines[3]
    assert max(map(len, lines)) <= 100


def test_json_and_csv_hold_every_figure_exact(layout: Layout) -> None:
    found = json.loads(run(layout, "--format", "json").stdout)
    money, tokens, _ = found["rows"]
    assert (found["view"], found["currency"], found["total"]) == ("budgets", None, None)
    assert (money["limit"], money["spent"]) == ("2000.500000000", "600.000000000")
    assert (money["expected"], money["runs_out"]) == ("3000.000000000", "2026-11-21")
    assert (tokens["limit"], tokens["spent"], tokens["expected"]) == (4_000, 1_500, None)
    assert (tokens["mode"], tokens["until_us"]) == ("soft", None)
    rows = list(csv.DictReader(io.StringIO(run(layout, "--format", "csv").stdout)))
    assert [
        {name: "" if value is None else str(value) for name, value in row.items()} for row in found["rows"]
    ] == rows


def test_a_tenants_own_budgets_name_its_customers(layout: Layout) -> None:
    whose: dict[Dimension, tuple[str, ...]] = {"customer": ("0011223344556677",)}
    rule = Budget(
        name="each", limit=9, unit="calls", window=MONTH, match={"tenant": ("acme",)}, per=("customer",)
    )
    write_snapshot(layout.root, Snapshot(version=2, made_at_us=1, budgets=(MONEY, rule)))
    with Store.open(layout.root / DATABASE) as store:
        account = (account_of(rule, whose), window_of(MONTH, NOON_US)[0], 3, FOREVER_US)
        store.write("INSERT INTO budget_charge VALUES ('r', 0, ?, ?, ?, ?)", [account])

    def told() -> list[tuple[str, int]]:
        found = json.loads(run(layout, "--tenant", "acme", "--format", "json").stdout)
        return [(row["whose"], row["spent"]) for row in found["rows"]]

    assert told() == [("customer=00112233", 3)]
    with Names.open(layout.root) as names:
        names.put("acme", "customer", "0011223344556677", "Contoso")
    assert told() == [("customer=Contoso", 3)]


@pytest.mark.parametrize("option", ["--by", "--period", "--currency", "--tz"])
def test_an_option_that_says_nothing_to_budgets_is_refused(layout: Layout, option: str) -> None:
    found = run(layout, option, "EUR" if option == "--currency" else "month")
    assert (found.exit_code, f"{option} says nothing to --budgets" in found.output) == (1, True)


def test_without_budgets_there_is_nothing_to_show(layout: Layout) -> None:
    (layout.root / NAME).unlink()
    assert run(layout).stdout.splitlines()[0] == "Nothing to show."
    (layout.root / NAME).write_text("{")
    found = run(layout)
    assert (found.exit_code, NAME in found.output) == (1, True)
