"""The money of a served Tidegate, told in every way there is: rates from a file, reports, charges by FOCUS.

What is told is held against what the provider counted, at its prices and the day's rate.
"""

import csv
import http.client
import io
import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from tests.support.served import Served, deployment, served
from tests.support.upstream import scripted_upstream
from tidegate.model.money import NANO
from tidegate.stores.snapshot import read_snapshot

RATES = {"input": Decimal(400), "cache_read": Decimal(40), "output": Decimal(1600)}
"""USD per million tokens: dear, so that every part of a call is worth cents."""
PRICE = (
    '{ currency = "USD", rates = { input = "400", cache_read = "40", output = "1600" }, illustration = true }'
)
DEARER = PRICE.replace('"400"', '"800"').replace('"1600"', '"3200"')
SCRIPTS = {
    "stated": {"cost": 0.05},
    "cached": {"cache": "auto", "cache_min_tokens": 64, "cache_block_tokens": 16},
}
PROVIDER = {"plain": "vllm", "cached": "vllm", "stated": "openrouter"}
MODELS = tuple(PROVIDER)
RATE = "1.25"
CALLS = 2
XML = """<?xml version="1.0" encoding="UTF-8"?>
<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" \
xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">
<Cube><Cube time='{day}'>
<Cube currency='USD' rate='{rate}'/><Cube currency='JPY' rate='176.35'/>
</Cube></Cube>
</gesmes:Envelope>
"""
BUDGET = """
[[budgets]]
name = "web"
limit = "100"
unit = "EUR"
window = "year"
match = { team = "web" }
mode = "soft"
"""
PERIOD = ("--period", "2d")
"""Today and yesterday: a midnight between a call and its report changes nothing."""
VIEWS = ("compare", "inside", "naive", "unit-cost", "top-runs")

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Stage:
    """A served Tidegate whose rates were imported before its first call, and what the provider counted."""

    here: Served
    key: str
    counted: dict[str, dict[str, int]]

    def run(self, *asked: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "tidegate", *asked, "--config", str(self.here.config)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def told(self, *asked: str) -> str:
        done = self.run(*asked)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def report(self, *options: str) -> Any:
        return json.loads(self.told("report", "--format", "json", *PERIOD, *options))

    def imported(self, rate: str, day: date) -> "subprocess.CompletedProcess[str]":
        """What `tidegate fx import` says of a daily file."""
        file = self.here.directory / "eurofxref-daily.xml"
        file.write_text(XML.format(day=day, rate=rate))
        return self.run("fx", "import", str(file))

    def ask(self, model: str, feature: str) -> None:
        prompt = f"The question about {model}. " * 60
        turns = [{"role": "system", "content": "Answer. " * 40}, {"role": "user", "content": prompt}]
        body = {"model": model, "max_tokens": 500, "messages": turns}
        head = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        head |= {"tidegate-feature": feature, "tidegate-run": f"run-{feature}"}
        url = f"{self.here.base_url}/v1/chat/completions"
        with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), head)) as reply:
            reply.read()

    def in_force(self) -> None:
        """Wait until the gateway has the snapshot that the control process wrote last."""
        snapshot = read_snapshot(self.here.layout.root)
        assert snapshot is not None

        def is_there() -> bool:
            with urllib.request.urlopen(f"{self.here.base_url}/readyz") as reply:
                return str(snapshot.version) in reply.read().decode()

        self.here.wait_for(is_there)

    def billed_nano(self) -> int:
        """What the provider charged in USD: what it counted at its price, or what it stated."""
        at_price = sum(
            (
                RATES[kind] * count
                for name, of in self.counted.items()
                for kind, count in of.items()
                if name != "stated"
            ),
            Decimal(),
        )
        return int(at_price * 1000) + CALLS * NANO // 20


def yesterday() -> date:
    return datetime.now(UTC).date() - timedelta(days=1)


def put(address: str, scripts: dict[str, Any]) -> None:
    control = http.client.HTTPConnection(address, timeout=10)
    control.request("PUT", "/__scripts", json.dumps({"models": scripts}))
    assert control.getresponse().status == 200
    control.close()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with scripted_upstream(output_tokens=100) as provider:
        put(provider.base_url.removeprefix("http://"), SCRIPTS)
        url = f"{provider.base_url}/v1"
        facts = {"key": '{ env = "K" }', "price": PRICE}
        rows = (deployment(name, PROVIDER[name], url, name, **facts) for name in MODELS)
        config = "".join(rows) + BUDGET
        with served(tmp_path_factory.mktemp("served"), config, env={"K": "sk-0000000000"}) as here:
            made = Stage(here, here.key(team="web"), {})
            assert made.imported(RATE, yesterday()).returncode == 0
            made.in_force()
            for name in MODELS:
                for _ in range(CALLS):
                    made.ask(name, "chat" if name == "plain" else "search")
            here.settled(CALLS * len(MODELS))
            counted = json.loads(provider.app.stats.counts())["models"]
            assert counted["cached"]["billed"]["cache_read"] > 0
            for name in MODELS:
                made.counted[name] = {kind: counted[name]["billed"][kind] for kind in RATES}
            yield made


def nano(text: str) -> int:
    return int(Decimal(text) * NANO)


def euros(of_nano: int) -> int:
    return round(Fraction(of_nano) / Fraction(RATE))


def test_every_call_is_converted_at_the_imported_rate(stage: Stage) -> None:
    pinned = {row["fx_id"] for row in stage.here.rows("SELECT DISTINCT fx_id FROM attempt")}
    assert pinned == {f"EUR-USD-{yesterday()}-{RATE}"}
    total = stage.report()["total"]
    assert abs(nano(total["cost"]) - euros(stage.billed_nano())) <= CALLS * len(MODELS)
    assert nano(total["cost_beside"]) == nano(stage.report("--currency", "USD")["total"]["cost"])
    assert nano(total["cost_beside"]) == stage.billed_nano()
    assert "1 EUR = 1.25 USD" in stage.told("fx", "list")


@pytest.mark.parametrize("currency", ["EUR", "USD"])
def test_every_view_comes_to_the_same_money(stage: Stage, currency: str) -> None:
    more = ("--currency", currency)
    whole = nano(stage.report(*more)["total"]["cost"])
    for view in ("inside", "naive", "unit-cost", "top-runs"):
        found = stage.report(f"--{view}", *more)
        assert sum(nano(row["cost"]) for row in found["rows"]) == nano(found["total"]["cost"])
        assert abs(nano(found["total"]["cost"]) - whole) <= 4, view
    compared = stage.report("--compare", *more)["total"]
    parts = ("volume", "mix", "tokens", "price", "cache")
    assert sum(nano(compared[part]) for part in parts) == nano(compared["change"])
    assert nano(compared["after"]) - nano(compared["before"]) == nano(compared["change"])


def test_the_money_inside_a_call_is_found_and_caches_are_seen_to_save(stage: Stage) -> None:
    inside = {row["feature"]: row for row in stage.report("--inside", "--currency", "USD")["rows"]}
    assert nano(inside["chat"]["system"]) > NANO // 1000
    assert nano(inside["chat"]["last_user"]) > nano(inside["chat"]["system"])
    assert nano(inside["chat"]["output"]) == int(RATES["output"] * stage.counted["plain"]["output"] * 1000)
    naive = stage.report("--naive", "--by", "model", "--currency", "USD")["rows"]
    saved = {row["model"]: nano(row["cache"]) for row in naive}
    read = stage.counted["cached"]["cache_read"]
    less = RATES["input"] - RATES["cache_read"]
    assert saved == {"plain": 0, "stated": 0, "cached": int(less * read * 1000)}


def test_charges_by_focus_add_up_to_the_bill(stage: Stage) -> None:
    rows = list(csv.DictReader(io.StringIO(stage.told("export", "focus", *PERIOD))))
    assert sum(nano(row["BilledCost"]) for row in rows) == stage.billed_nano()
    assert {row["ChargeCategory"] for row in rows} == {"Usage", "Credit"}
    of_meters = [row for row in rows if row["SkuMeter"]]
    bought = {(row["x_Model"], row["SkuMeter"]): int(row["PricingQuantity"]) for row in of_meters}
    assert bought["plain", "input_uncached"] == stage.counted["plain"]["input"]
    assert bought["cached", "cache_read"] == stage.counted["cached"]["cache_read"]
    assert {json.loads(row["Tags"])["team"] for row in rows} == {"web"}


def test_tables_fit_a_page_and_csv_is_read_back(stage: Stage) -> None:
    for view in VIEWS:
        table = stage.told("report", f"--{view}", *PERIOD).split("\n\n")[0]
        assert max(map(len, table.splitlines())) <= 100
        text = stage.told("report", f"--{view}", "--format", "csv", *PERIOD)
        rows = list(csv.DictReader(io.StringIO(text)))
        assert rows, view
        assert {row["currency"] for row in rows} == {"EUR"}
    told = json.loads(stage.told("report", "--forecast", "--format", "json"))
    assert told["method"] == "none"


def test_what_is_spent_of_a_budget_is_what_calls_cost(stage: Stage) -> None:
    (row,) = json.loads(stage.told("report", "--budgets", "--format", "json"))["rows"]
    assert (row["budget"], row["unit"], row["limit"]) == ("web", "EUR", "100.000000000")
    assert abs(nano(row["spent"]) - nano(stage.report()["total"]["cost"])) <= CALLS * len(MODELS)
    assert (row["expected"], row["runs_out"]) == (None, None)


def test_another_rate_for_a_known_day_is_refused_whole(stage: Stage) -> None:
    done = stage.imported("1.26", yesterday())
    assert done.returncode == 1
    assert "is known as 1.25, not 1.26" in done.stderr
    assert "Nothing was imported" in done.stderr


def test_new_rates_and_prices_change_no_figure_of_the_past(stage: Stage) -> None:
    """Last, since it changes the prices and stops Tidegate."""

    def figures() -> list[Any]:
        views = [[], *([f"--{view}"] for view in ("inside", "naive", "top-runs"))]
        return [stage.report(*view)["rows"] for view in views] + [stage.told("export", "focus", *PERIOD)]

    before = figures()
    assert "1 new, 0 known" in stage.imported("2.5", yesterday() - timedelta(days=1)).stdout
    stage.here.config.write_text(stage.here.config.read_text().replace(PRICE, DEARER))
    assert stage.run("reload").returncode == 0
    stage.in_force()
    assert figures() == before
    stage.ask("plain", "later")
    stage.here.settled(CALLS * len(MODELS) + 1)
    dearer = {row["feature"]: nano(row["cost"]) for row in stage.report("--currency", "USD")["rows"]}
    assert dearer["later"] * CALLS == 2 * dearer["chat"]
    running = stage.report()["rows"]
    stage.here.process.terminate()
    stage.here.process.wait(30)
    assert stage.report()["rows"] == running
