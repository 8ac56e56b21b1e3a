import csv
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.support.calls import (
    begin,
    end,
    frames,
    listed,
    named,
    refused,
    settled,
    who,
)
from tidegate.cli.rebuild import command as rebuild_command
from tidegate.cli.report import command
from tidegate.cli.report_text import WIDTH, csv_text, money, tokens, visible
from tidegate.control.lock import control_lock
from tidegate.control.projector import Projector
from tidegate.model.record import GatewayRecord, encode
from tidegate.stores.journal import ControlJournal
from tidegate.stores.layout import Layout
from tidegate.stores.sqlite.names import Names
from tidegate.stores.sqlite.store import DATABASE, Store


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "state")
    made.make()
    return made


def record(layout: Layout, *records: GatewayRecord, boot: str = "b1") -> None:
    with ControlJournal.open(layout.gateway_journal, boot=boot) as journal:
        for one in records:
            journal.append(encode(one))


def run(layout: Layout, *options: str) -> Result:
    state = ["--state", str(layout.root)]
    return CliRunner().invoke(command, [*state, "--period", "2026-11", *options], catch_exceptions=False)


def spent(layout: Layout, *options: str) -> Any:
    found = run(layout, "--format", "json", *options)
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout)


DOLLARS = settled(cost_nano=12_345_678)


def test_the_table_shows_each_feature_its_cost_and_the_total(layout: Layout) -> None:
    record(layout, begin("r1"), end("r1", last=DOLLARS), begin("r2", who=who(feature="x")), end("r2"))
    found = run(layout, "--currency", "USD")
    lines = found.stdout.splitlines()
    heads = "FEATURE CALLS NOT OK INPUT CACHED OUTPUT USD PER CALL OUT/IN NO CAP P95 MS"
    assert lines[0].split() == heads.split()
    assert lines[1].split()[:7] == ["summaries", "1", "0", "100", "20", "60", "0.0123"]
    assert lines[2].split()[:7] == ["x", "1", "0", "100", "20", "60", "0.0010"]
    total = next(line for line in lines if line.startswith("TOTAL"))
    assert total.split()[1:7] == ["2", "0", "200", "40", "120", "0.0133"]
    assert any(line.startswith("as of 20") for line in lines)
    assert "2026-11-01 00:00 to 2026-12-01 00:00 (UTC), all tenants" in found.stdout
    assert max(map(len, lines)) <= WIDTH


def test_it_reads_what_no_control_process_has_projected_yet(layout: Layout) -> None:
    with ControlJournal.open(layout.gateway_journal, boot="b1") as journal:
        journal.append(encode(begin("r1")))
        assert spent(layout)["total"]["open"] == 1
        journal.append(encode(end("r1")))
        assert spent(layout)["total"]["open"] == 0


def test_beside_a_running_control_process_it_reads_as_it_is(layout: Layout) -> None:
    with Store.open(layout.root / DATABASE) as store, control_lock(layout.control_lock):
        Projector(store).apply("b1", frames([begin("r1"), end("r1")]))
        record(layout, refused("r2"), boot="b2")
        assert spent(layout)["total"]["calls"] == 1
    assert spent(layout)["total"]["calls"] == 2


def test_json_holds_exact_decimals_and_null_for_unknown(layout: Layout) -> None:
    unpriced = settled(cost_nano=None, cost_source="unpriced")
    record(
        layout, begin("r1"), end("r1", last=DOLLARS), begin("r2", who=who(team="b")), end("r2", last=unpriced)
    )
    found = spent(layout, "--by", "team", "--currency", "usd")
    rows = {row["team"]: row for row in found["rows"]}
    assert (rows["docs"]["cost"], rows["docs"]["calls"]) == ("0.012345678", 1)
    assert (rows["b"]["cost"], rows["b"]["cost_per_call"], rows["b"]["unpriced_calls"]) == (None, None, 1)
    assert found["total"]["cost"] == "0.012345678"
    assert (found["currency"], found["time_zone"], found["since_us"]) == ("USD", "UTC", 1_793_491_200_000_000)


def test_an_unknown_cost_reads_unknown_in_the_table_and_is_empty_in_csv(layout: Layout) -> None:
    record(layout, begin("r1"), end("r1", last=settled(cost_nano=None, cost_source="unpriced")))
    assert run(layout).stdout.splitlines()[1].split()[6] == "unknown"
    (row,) = csv.DictReader(io.StringIO(run(layout, "--format", "csv").stdout))
    assert (row["cost"], row["calls"], row["unpriced_calls"]) == ("", "1", "1")


def test_amounts_without_a_rate_have_a_column_of_their_own(layout: Layout) -> None:
    record(layout, begin("r1"), end("r1", last=DOLLARS))
    lines = run(layout, "--currency", "EUR").stdout.splitlines()
    assert "+ USD" in lines[0]
    assert lines[1].split()[6:9] == ["unknown", "+", "0.012"]


@pytest.mark.parametrize("label", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "  =1", "＝1"])  # noqa: RUF001
def test_a_spreadsheet_evaluates_no_label(layout: Layout, label: str) -> None:  # case 39
    record(layout, begin("r1", who=who(feature=label)), end("r1"))
    (row,) = csv.DictReader(io.StringIO(run(layout, "--format", "csv").stdout))
    assert row["feature"][0] in "'\\"
    assert csv_text(label)[0] in "'\\"


@pytest.mark.parametrize("form", ["table", "csv"])
def test_a_label_cannot_steer_the_terminal(layout: Layout, form: str) -> None:  # case 39
    label = "[red]a\x1b[2J\x07\u202eb\r\n<script>"
    record(layout, begin("r1", who=who(feature=label)), end("r1"))
    shown = run(layout, "--format", form, "--by", "feature").stdout
    assert "[red]a\\x1b[2J" in shown
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)
    assert json.loads(run(layout, "--format", "json").stdout)["rows"][0]["feature"] == label


def test_long_labels_and_big_figures_fit_the_width(layout: Layout) -> None:
    dear = settled(cost_nano=123_456_789_012_345)
    for n in range(3):
        who_ = who(feature=f"{n}" + "x" * 200, team="y" * 90)
        record(layout, begin(f"r{n}", who=who_), end(f"r{n}", last=dear), boot=f"b{n}")
    for options in (["--by", "feature"], ["--by", "feature,team"]):
        lines = run(layout, "--currency", "USD", *options).stdout.splitlines()
        table = lines[: lines.index("")]
        assert max(map(len, table)) <= WIDTH
        assert "123,456.79" in table[1]


def test_more_lines_than_the_limit_are_in_the_total(layout: Layout) -> None:
    for n in range(5):
        record(layout, begin(f"r{n}", who=who(feature=f"f{n}")), end(f"r{n}"), boot=f"b{n}")
    shown = run(layout, "--limit", "2", "--currency", "USD").stdout
    assert "3 more lines are in the total; --limit 0 shows them" in shown
    assert "0.0050" in shown
    assert run(layout, "--limit", "0").stdout.count("\nf") == 5


def test_names_are_joined_when_they_are_known(layout: Layout) -> None:
    record(layout, begin("r1", who=who(feature="auto-1a2b", customer="c0ffee" * 4)), end("r1"))
    with ControlJournal.open(layout.control_journal, boot="c1") as journal:
        journal.append(encode(named("auto-1a2b", "summaries")))
        journal.append(encode(listed()))
    assert spent(layout)["rows"][0]["feature"] == "summaries"
    assert spent(layout)["rows"][0]["output_input_price_ratio"] == "4.00"
    assert spent(layout, "--by", "customer")["rows"][0]["customer_name"] == "c0ffeec0"
    with Names.open(layout.root) as names:
        names.put("acme", "customer", "c0ffee" * 4, "Müller")
    row = spent(layout, "--by", "customer")["rows"][0]
    assert (row["customer"], row["customer_name"]) == ("c0ffee" * 4, "Müller")


def test_an_empty_period_says_so(layout: Layout) -> None:
    found = run(layout)
    assert found.exit_code == 0
    assert "No calls in 2026-11-01 00:00 to 2026-12-01 00:00 (UTC)." in found.stdout


def test_the_configuration_gives_the_state_directory_the_currency_and_the_zone(tmp_path: Path) -> None:
    made = Layout(tmp_path / "elsewhere")
    made.make()
    record(made, begin("r1"), end("r1"))
    path = tmp_path / "tidegate.toml"
    path.write_text(
        '[server]\nstate_dir = "elsewhere"\n[report]\ncurrency = "USD"\ntime_zone = "Europe/Rome"\n'
    )
    options = ["--config", str(path), "--period", "2026-11", "--format", "json"]
    found = CliRunner().invoke(command, options, catch_exceptions=False)
    assert found.exit_code == 0, found.output
    told = json.loads(found.stdout)
    assert (told["currency"], told["time_zone"], told["total"]["calls"]) == ("USD", "Europe/Rome", 1)


MISTAKES: list[tuple[list[str], str]] = [
    (["--by", "mood"], "'mood' is none of feature, team"),
    (["--by", "feature,team,model"], "one or two of"),
    (["--period", "soon"], "is no period; write today"),
    (["--tz", "Mars"], "there is no time zone 'Mars'"),
    (["--currency", "euros"], "is no currency"),
]


@pytest.mark.parametrize(("options", "message"), MISTAKES)
def test_a_mistake_is_told_in_one_line(layout: Layout, options: list[str], message: str) -> None:
    found = run(layout, *options)
    assert found.exit_code == 1
    assert message in found.stderr
    assert found.stderr.count("\n") == 1


def test_a_state_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    for one in (command, rebuild_command):
        found = CliRunner().invoke(one, ["--state", str(tmp_path / "none")])
        assert found.exit_code == 1
        assert "start `tidegate serve` first" in found.stderr


def test_a_damaged_database_is_told_without_a_trace(layout: Layout) -> None:
    (layout.root / DATABASE).write_bytes(b"\0garbage" * 4096)
    found = run(layout)
    assert found.exit_code == 1
    assert "is damaged" in found.stderr
    assert "tidegate rebuild" in found.stderr


def test_rebuild_makes_the_tables_again(layout: Layout) -> None:
    record(layout, begin("r1"), end("r1"))
    before = spent(layout)
    found = CliRunner().invoke(rebuild_command, ["--state", str(layout.root)])
    assert found.exit_code == 0
    assert "1 calls from 2 records" in found.stdout
    after = spent(layout)
    del before["as_of_us"], after["as_of_us"]
    assert after == before


def test_as_of_is_the_moment_the_journals_were_read(layout: Layout) -> None:
    record(layout, begin("r1"), end("r1"))
    started_us = time.time_ns() // 1000
    assert started_us <= spent(layout)["as_of_us"] <= time.time_ns() // 1000


MONEY: list[tuple[list[int | None], list[str]]] = [
    ([12_300_000, 0, None], ["0.012", "0.000", "unknown"]),
    ([1_234_567_890_123], ["1,234.57"]),
    ([1_000_000_000, 4_500], ["1.000000", "0.000004"]),
    ([1_000_000_000, 499], ["1.000000", "<0.000001"]),
    ([0], ["0.00"]),
    ([], []),
]


@pytest.mark.parametrize(("nanos", "expected"), MONEY)
def test_money_has_the_digits_of_the_smallest_amount(nanos: list[int | None], expected: list[str]) -> None:
    assert money(nanos) == expected


TOKENS = [
    (None, "unknown"),
    (0, "0"),
    (99_999, "99,999"),
    (100_000, "100.0k"),
    (999_949, "999.9k"),
    (999_950, "1.0M"),
    (123_456_789, "123.5M"),
    (5 * 10**12, "5000.0G"),
]


@pytest.mark.parametrize(("count", "expected"), TOKENS)
def test_tokens_fit_seven_characters(count: int | None, expected: str) -> None:
    assert tokens(count) == expected
    assert len(expected) <= 7


@pytest.mark.parametrize("show", [visible, csv_text])
def test_plain_text_stays_as_it_is(show: Callable[[str], str]) -> None:
    assert show("Müller & Söhne 中文 100 %") == "Müller & Söhne 中文 100 %"
