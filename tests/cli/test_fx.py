import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.services.test_reference_rates import DAILY_XML, HISTORY
from tests.support.calls import begin, end, settled
from tidegate.cli.fx import command
from tidegate.cli.report import command as report_command
from tidegate.model.record import encode
from tidegate.stores.journal import ControlJournal
from tidegate.stores.layout import Layout
from tidegate.stores.sqlite.store import DATABASE, Store

CONFIG = """\
[server]
state_dir = "{state}"

[[deployments]]
name = "gpt"
provider = "vllm"
model = "small"
base_url = "http://127.0.0.1:1/v1"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "tidegate.toml"
    path.write_text(CONFIG.format(state=tmp_path / "state"), encoding="utf-8")
    return path


def run(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(command, [*arguments, "--config", str(config)], catch_exceptions=False)


def imported(config: Path, raw: bytes, *options: str) -> Result:
    file = config.parent / "rates"
    file.write_bytes(raw)
    return run(config, "import", str(file), *options)


def test_an_import_says_what_is_new(config: Path) -> None:
    assert imported(config, HISTORY).stdout == "EUR/USD: 1999-01-04 to 2026-11-03, 3 new, 0 known\n"
    assert imported(config, DAILY_XML).stdout == "EUR/USD: 2026-11-03 to 2026-11-03, 0 new, 1 known\n"
    every = imported(config, HISTORY, "--currency", "all")
    assert every.stdout == "EUR/CYP, EUR/JPY, EUR/USD: 1999-01-04 to 2026-11-03, 4 new, 3 known\n"
    found = json.loads(run(config, "list", "--json").stdout)
    assert [(row["quote"], row["days"], row["rate"]) for row in found] == [
        ("CYP", 1, "0.58231"),
        ("JPY", 3, "176.35"),
        ("USD", 3, "1.1502"),
    ]
    listed = run(config, "list").stdout.splitlines()
    assert listed[2].startswith("1 EUR = 1.1502 USD from 2026-11-03; 3 days from 1999-01-04 to 2026-11-03")


@pytest.mark.parametrize(
    ("raw", "options", "said"),
    [
        (HISTORY.replace(b"1.1502", b"1.15o2"), (), "rates: line 2: USD of 2026-11-03"),
        (HISTORY, ("--currency", "CHF"), "it holds no rate of CHF"),
        (HISTORY, ("--currency", "dollars"), "'DOLLARS' is no currency"),
        (HISTORY.replace(b"2026-11-03", b"2126-11-03"), (), "2126-11-03 has not come"),
    ],
)
def test_a_wrong_import_says_why_and_keeps_nothing(
    config: Path, raw: bytes, options: tuple[str, ...], said: str
) -> None:
    found = imported(config, raw, *options)
    assert found.exit_code == 1
    assert said in found.output
    assert "Nothing was imported." in found.output
    assert imported(config, DAILY_XML).stdout.endswith("1 new, 0 known\n")
    assert (
        "EUR/USD is known as 1.1502, not 1.2" in imported(config, HISTORY.replace(b"1.1502", b"1.2")).output
    )


def test_a_file_that_is_not_there_is_named(config: Path) -> None:
    found = run(config, "import", "nowhere.zip")
    assert (found.exit_code, "nowhere.zip cannot be read: No such file" in found.output) == (1, True)


def test_nothing_known_says_what_to_do(config: Path) -> None:
    assert "there is no database" in run(config, "list").output
    Layout(config.parent / "state").make()
    Store.open(config.parent / "state" / DATABASE).close()
    assert "tidegate fx import" in run(config, "list").stdout


def test_a_report_shows_both_currencies_once_a_rate_is_known(config: Path) -> None:
    layout = Layout(config.parent / "state")
    imported(config, DAILY_XML)
    with ControlJournal.open(layout.gateway_journal, boot="b1") as journal:
        for record in (begin("r1"), end("r1", last=settled(cost_nano=1_150_200_000))):
            journal.append(encode(record))

    def report(*options: str) -> str:
        asked = ["--config", str(config), "--period", "2026-11", *options]
        return CliRunner().invoke(report_command, asked, catch_exceptions=False).stdout

    lines = report().splitlines()
    assert lines[0].split()[7:11] == ["EUR", "USD", "PER", "CALL"]
    assert lines[1].split()[6:8] == ["1.00", "1.15"]
    assert "in both currencies: EUR 1.00, USD 1.15" in lines
    found = json.loads(report("--format", "json"))
    assert (found["currency_beside"], found["total"]["cost_beside"]) == ("USD", "1.150200000")
    head, row = report("--format", "csv").splitlines()
    assert head.split(",")[-3:] == ["currency", "cost_beside", "currency_beside"]
    assert row.split(",")[-3:] == ["EUR", "1.150200000", "USD"]
    both = report("--by", "team,model")
    assert max(map(len, both.splitlines())) <= 100
    assert "in both currencies: EUR 1.00, USD 1.15" in both
