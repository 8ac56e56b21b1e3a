"""`tidegate budgets`: with a running control process and in its place, it says the same."""

import asyncio
import csv
import io
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from tests.support.calls import HOLD, begin, end, settled, who
from tidegate.cli.budgets import command
from tidegate.cli.desk_client import open_desk
from tidegate.cli.options import settings_at
from tidegate.control.process import Control, desk
from tidegate.control.registry import KeyRequest
from tidegate.model.budget import Share
from tidegate.model.record import encode
from tidegate.policy.budget import window_of
from tidegate.providers.catalog import load
from tidegate.services.budget_rules import budgets_of
from tidegate.services.clock import Clock
from tidegate.services.pseudonyms import Pseudonyms
from tidegate.stores.journal import ControlJournal
from tidegate.stores.layout import Layout, read_pepper
from tidegate.stores.names_spool import NamesSpool
from tidegate.stores.snapshot import read_snapshot

CONFIG = """\
[server]
state_dir = "{state}"

[report]
time_zone = "Europe/Berlin"

[[deployments]]
name = "gpt"
provider = "vllm"
model = "small"
base_url = "http://127.0.0.1:1/v1"

[[budgets]]
name = "all"
limit = "100"
unit = "USD"
window = "year"

[[budgets]]
name = "customers"
limit = "4"
unit = "USD"
window = "total"
per = ["customer"]
mode = "soft"

[[budgets]]
name = "calls"
limit = 10
unit = "calls"
rolling_s = 3600
per = ["team", "model"]
"""
NANO = 1_000_000_000


class House:
    """A configuration and its state directory, with calls of one gateway in its journal."""

    def __init__(self, root: Path) -> None:
        self.config = root / "tidegate.toml"
        self.config.write_text(CONFIG.format(state=root / "state"), encoding="utf-8")
        self.settings = settings_at(str(self.config))
        self.layout = Layout(Path(self.settings.server.state_dir))
        pepper = read_pepper(self.layout)
        self.names = NamesSpool(self.layout.names, "b1", pepper)
        self.pseudonyms = Pseudonyms(pepper, self.names.add)
        with open_desk(self.settings) as at:
            at.create_key(KeyRequest(tenant="acme"))
        now_us = Clock().wall_us()
        self.starts = {one.name: window_of(one.window, now_us)[0] for one in budgets_of(self.settings)}
        self.journal = ControlJournal.open(self.layout.gateway_journal, boot="b1")

    def customer(self, plain: str) -> str:
        found = self.pseudonyms.of("acme", "customer", plain)
        self.names.flush()
        return found

    def call(self, id_: str, *, held: tuple[Share, ...], charged: tuple[Share, ...] | None) -> None:
        self.journal.append(encode(begin(id_, who=who(), hold=replace(HOLD, shares=held))))
        if charged is not None:
            self.journal.append(encode(end(id_, last=settled(charges=charged))))

    def all(self, amount: int) -> Share:
        return Share("all|USD|year|Europe/Berlin", self.starts["all"], amount)

    def per_customer(self, pseudonym: str, amount: int) -> Share:
        return Share(f"customers|USD|total||customer={pseudonym}", 0, amount)

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(command, [*arguments, "--config", str(self.config)], catch_exceptions=False)

    def rows(self, *arguments: str) -> list[dict[str, object]]:
        found: list[dict[str, object]] = json.loads(self.run(*arguments, "--json").stdout)["rows"]
        return found


@contextmanager
def nobody(house: House) -> Iterator[None]:
    """No control process runs: the command takes its place."""
    del house
    yield


@contextmanager
def running(house: House) -> Iterator[None]:
    """A control process answers on its Unix socket."""
    ready, stop = threading.Event(), threading.Event()

    async def serve() -> None:
        with desk(house.settings, load()) as at:
            async with Control(at).answering():
                ready.set()
                await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        assert ready.wait(10)
        yield
    finally:
        stop.set()
        thread.join(10)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.journal.close()


@pytest.fixture(params=[nobody, running], ids=["alone", "asked"])
def manned(house: House, request: pytest.FixtureRequest) -> Iterator[House]:
    with request.param(house):
        yield house


def test_a_budget_that_nobody_used_has_its_whole_limit(manned: House) -> None:
    (row,) = manned.rows()
    assert {name: row[name] for name in ("budget", "whose", "limit", "spent", "held", "left", "mode")} == {
        "budget": "all",
        "whose": "all",
        "limit": "100.000000000",
        "spent": "0.000000000",
        "held": "0.000000000",
        "left": "100.000000000",
        "mode": "hard",
    }
    text = manned.run().stdout
    assert "no call has come under budget customers yet" in text
    assert "no call has come under budget calls yet" in text


def test_accounts_stand_as_their_calls_and_raises_make_them(manned: House) -> None:
    ann = manned.customer("Ann GmbH")
    manned.call(
        "r1",
        held=(manned.all(9 * NANO),),
        charged=(manned.all(3 * NANO + 1), manned.per_customer(ann, 5 * NANO)),
    )
    manned.call("r2", held=(manned.all(7 * NANO), manned.per_customer("ff" * 12, NANO)), charged=None)
    done = manned.run("raise", "all", "--amount", "-50", "--reason", "cuts")
    assert done.stdout.startswith("Budget all: lowered by USD 50.00; its limit is USD 50.00 until ")
    rows = manned.rows()
    named = [(row["whose"], row["spent"], row["held"], row["left"], row["used_percent"]) for row in rows]
    assert named == [
        ("customer Ann GmbH", "5.000000000", "0.000000000", "-1.000000000", 125),
        (f"customer pseudonym:{'ff' * 12}", "0.000000000", "1.000000000", "3.000000000", 0),
        ("all", "3.000000001", "7.000000000", "39.999999999", 6),
    ]
    assert [row["limit"] for row in rows] == ["4.000000000", "4.000000000", "50.000000000"]
    assert str(rows[2]["resets_at"]).endswith("-01-01T00:00+01:00")
    assert rows[0]["resets_at"] is None
    table = manned.run("--budget", "all").stdout
    assert "50.00" in table
    assert "Ann" not in table


def test_csv_has_the_same_rows(manned: House) -> None:
    manned.call("r1", held=(), charged=(manned.all(NANO),))
    (row,) = csv.DictReader(io.StringIO(manned.run("--csv").stdout))
    assert (row["budget"], row["unit"], row["spent"], row["left"]) == (
        "all",
        "USD",
        "1.000000000",
        "99.000000000",
    )


def test_a_raise_reaches_gateways_and_its_history_says_who_and_why(manned: House) -> None:
    manned.customer("Ann")
    for amount, reason in (("2.5", "launch"), ("-0.005", "less")):
        done = manned.run("raise", "customers", "--customer", "Ann", "--amount", amount, "--reason", reason)
        assert done.exit_code == 0
    assert done.stdout == "Budget customers of customer Ann: lowered by USD 0.005; its limit is USD 6.495.\n"
    found = read_snapshot(manned.layout.root)
    assert found is not None
    assert [one.amount for one in found.raises] == [2_495_000_000]
    assert [row["whose"] for row in manned.rows("--budget", "customers")] == ["customer Ann"]
    rows = manned.rows("history", "customers")
    assert [(row["whose"], row["amount"], row["reason"], row["unit"]) for row in rows] == [
        ("customer Ann", "2.500000000", "launch", "USD"),
        ("customer Ann", "-0.005000000", "less", "USD"),
    ]
    assert all(str(row["by"]).startswith("cli:") for row in rows)
    assert manned.rows("history", "all") == []
    assert "Nothing to show" in manned.run("history", "all").stdout


def test_a_window_that_rolls_is_raised_in_the_slice_that_runs(manned: House) -> None:
    options = ("--amount", "5", "--reason", "x", "--team", "red", "--model", "gpt")
    assert "its limit is 15 calls until" in manned.run("raise", "calls", *options).stdout
    (row,) = manned.rows("--budget", "calls")
    assert (row["whose"], row["limit"], row["left"]) == ("team red, model gpt", 15, 15)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--budget", "al"), "There is no budget 'al'"),
        (("history", "al"), "there is no budget 'al'"),
        (("raise", "al", "--amount", "1", "--reason", "x"), "did you mean 'all'"),
        (("raise", "all", "--amount", "1", "--reason", " "), "Say why"),
        (("raise", "all", "--amount", "5 EUR", "--reason", "x"), "kept in USD, not in EUR"),
        (("raise", "all", "--amount", "5", "--reason", "x", "--team", "red"), "not per team"),
        (("raise", "calls", "--amount", "5", "--reason", "x", "--team", "red"), "say which model"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    manned: House, arguments: tuple[str, ...], says: str
) -> None:
    done = manned.run(*arguments)
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert says in done.stderr


def test_accounts_of_a_budget_that_was_kept_otherwise_are_not_its_own(house: House) -> None:
    house.call(
        "r1",
        held=(),
        charged=(Share("customers|USD|total||team=red", 0, NANO), Share("all|USD|year|UTC", 0, 5)),
    )
    assert [(row["budget"], row["spent"]) for row in house.rows()] == [("all", "0.000000000")]


def test_a_raise_of_an_account_that_is_no_more_keeps_its_place_in_history(house: House) -> None:
    house.run("raise", "calls", "--amount", "5", "--reason", "x", "--team", "red", "--model", "gpt")
    text = house.config.read_text(encoding="utf-8")
    house.config.write_text(text.replace('per = ["team", "model"]\n', ""), encoding="utf-8")
    assert [row["whose"] for row in house.rows("history", "calls")] == ["account team=red|model=gpt"]


def test_calls_without_a_value_have_an_account_of_their_own(house: House) -> None:
    house.call("r1", held=(), charged=(house.per_customer("-", NANO),))
    assert [row["whose"] for row in house.rows("--budget", "customers")] == ["customer -"]
