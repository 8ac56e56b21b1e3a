import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.control.test_reconcile_exports import anthropic_page, completions, cost, openai_page
from tests.support.calls import begin, end, listed, settled
from tidegate.cli.reconcile import command, parse_tolerance
from tidegate.cli.report_text import WIDTH
from tidegate.control.reconcile import Tolerance
from tidegate.model.errors import BadRequest
from tidegate.model.provider import Target
from tidegate.model.record import ControlRecord, GatewayRecord, encode
from tidegate.stores.journal import ControlJournal
from tidegate.stores.layout import Layout

COST = 720_000_000
PRICED = settled(cost_nano=COST)
USED = {"input_tokens": 120, "input_cached_tokens": 20, "output_tokens": 60, "num_model_requests": 1}


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "state")
    made.make()
    record(made, begin("r1"), end("r1", last=PRICED))
    with ControlJournal.open(made.control_journal, boot="c1") as journal:
        journal.append(encode(listed()))
    return made


def record(layout: Layout, *records: GatewayRecord | ControlRecord, boot: str = "b1") -> None:
    with ControlJournal.open(layout.gateway_journal, boot=boot) as journal:
        for one in records:
            journal.append(encode(one))


def saved(layout: Layout, value: Any, name: str = "export.json") -> str:
    path = layout.root.parent / name
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return str(path)


def run(layout: Layout, *options: str, stdin: str | None = None) -> Result:
    state = ["--state", str(layout.root)]
    return CliRunner().invoke(command, [*options, *state], input=stdin, catch_exceptions=False)


def told(layout: Layout, *options: str) -> Any:
    found = run(layout, *options, "--json")
    assert found.exit_code in {0, 1}, found.output
    return json.loads(found.stdout)


def usage(**facts: Any) -> dict[str, Any]:
    return completions(**{"model": "gpt-2026", **USED, **facts})


def test_a_record_that_agrees_exits_with_0(layout: Layout) -> None:
    files = [
        saved(layout, openai_page(usage())),
        saved(layout, openai_page(cost(0.72, line_item="gpt-2026, x")), "c"),
    ]
    found = run(layout, "openai", *files)
    assert found.exit_code == 0
    lines = found.stdout.splitlines()
    assert lines[0].split() == ["DAY", "MODEL", "THEIRS", "USD", "OURS", "DIFFERENCE", "CAUSES"]
    assert lines[1].split() == ["TOTAL", "0.72", "0.72", "0.00"]
    assert "1 of 1 lines agree and are not shown" in lines
    assert lines[-1] == "within the tolerance"


def test_the_table_shows_what_differs_why_and_how_much(layout: Layout) -> None:
    lines = [
        cost(1.44, line_item="gpt-2026, input"),
        cost(3, line_item="gpt-other, output"),
        cost(0, line_item="x, y"),
    ]
    files = [saved(layout, openai_page(usage())), saved(layout, openai_page(*lines), "costs.json")]
    found = run(layout, "openai", *files)
    assert found.exit_code == 1
    rows = [row.split() for row in found.stdout.splitlines()]
    assert rows[1] == ["2026-11-07", "gpt-2026", "1.44", "0.72", "+0.72", "price", "differs"]
    assert rows[2] == ["2026-11-07", "gpt-other", "3.00", "0.00", "+3.00", "missing"]
    assert rows[3] == ["TOTAL", "4.44", "0.72", "+3.72"]
    assert "  missing        +3.00  in the export alone: traffic that went around the gateway" in found.stdout
    assert "  price differs  +0.72  the same tokens for other money" in found.stdout
    rates = "gpt-2026, 2026-11-07: USD per million tokens of its mix: theirs 8,000.00, ours 4,000.00"
    assert rates in found.stdout
    assert "not within the tolerance: gpt-2026, gpt-other" in found.stdout
    assert "partly before our first record, 12:00: 2026-11-07" in found.stdout
    assert max(map(len, found.stdout.splitlines())) <= WIDTH


def test_json_is_exact(layout: Layout) -> None:
    text = json.dumps(openai_page(cost("X", line_item="gpt-2026"))).replace('"X"', "0.720000001")
    found = told(layout, "openai", saved(layout, text))
    (cell,) = found["cells"]
    assert (cell["day"], cell["model"], cell["key"]) == ("2026-11-07", "gpt-2026", None)
    assert cell["theirs"] == {"cost": "0.720000001", "calls": None, "tokens": None}
    assert cell["ours"]["cost"] == "0.720000000"
    assert cell["difference"] == {"cost": "0.000000001", "tokens": None}
    assert cell["causes"] == {"cost": {"rest": "0.000000001"}, "tokens": None}
    assert found["total"]["causes"] == {"rest": "0.000000001"}
    assert (found["measure"], found["within_tolerance"], found["apart"]) == ("money", True, [])


def test_csv_has_a_line_for_each_cell(layout: Layout) -> None:
    found = run(layout, "openai", saved(layout, openai_page(usage(), usage(model="=1+1"))), "--csv")
    assert found.exit_code == 1
    first, second = csv.DictReader(io.StringIO(found.stdout))
    assert first["model"] == "'=1+1"
    assert (second["their_cost"], second["our_cost"], second["cost_rest"]) == ("", "0.720000000", "")
    assert (second["their_input_tokens"], second["our_cache_read_tokens"]) == ("100", "20")
    assert (first["tokens_missing"], second["tokens_missing"], first["their_calls"]) == ("180", "0", "1")


def test_a_usage_alone_is_compared_in_tokens(layout: Layout) -> None:
    found = run(layout, "openai", saved(layout, openai_page(usage(output_tokens=1060, num_model_requests=2))))
    assert found.exit_code == 1
    assert found.stdout.splitlines()[0].split()[2:4] == ["THEIRS", "TOKENS"]
    assert found.stdout.splitlines()[1].split() == [
        "2026-11-07",
        "gpt-2026",
        "1,180",
        "180",
        "+1,000",
        "missing",
    ]


def test_anthropic_is_read_from_the_standard_input(layout: Layout) -> None:
    target = Target(provider="anthropic", deployment="claude", model="claude-x")
    last = settled(cost_nano=COST, model_served="claude-x-20260101")
    record(layout, begin("r2", target=target, surface="messages"), end("r2", last=last), boot="b2")
    line = {
        "amount": "72",
        "currency": "USD",
        "description": "Claude X",
        "model": "claude-x",
        "workspace_id": "w",
    }
    page = json.dumps(anthropic_page(line))
    found = run(layout, "anthropic", "-", "--key", "w=claude", "--limit", "0", stdin=page)
    assert found.exit_code == 0, found.output
    apart = run(layout, "anthropic", "-", "--key", "v=claude", stdin=page)
    assert "claude-x/claude, claude-x/w" in apart.stdout
    assert apart.stdout.splitlines()[0].split()[:3] == ["DAY", "MODEL", "KEY"]


def test_a_table_of_anybodys_is_read(layout: Layout) -> None:
    path = saved(layout, "Datum;Modell;Betrag\n07.11.2026;gpt-2026;0,72\n", "bill.csv")
    columns = ["--column", "day=Datum", "--column", "model=Modell", "--column", "cost=Betrag"]
    found = run(layout, "csv", path, "--decimal-comma", *columns)
    assert (found.exit_code, "line 2: the day '07.11.2026' is no day such as 2026-11-07" in found.stderr) == (
        2,
        True,
    )
    path = saved(layout, "Datum;Modell;Betrag\n2026-11-07;gpt-2026;0,72\n", "bill.csv")
    found = run(
        layout, "csv", path, "--decimal-comma", *columns, "--time-zone", "Europe/Rome", "--currency", "usd"
    )
    assert found.exit_code == 0, found.output
    assert "(Europe/Rome)" in found.stdout


def test_a_table_of_tokens_folds_what_it_does_not_tell_apart(layout: Layout) -> None:
    path = saved(layout, "day,model,input,output,calls\n2026-11-07,gpt-2026,120,60,1\n", "bill.csv")
    assert run(layout, "csv", path).exit_code == 0


def test_since_and_until_take_part_of_it(layout: Layout) -> None:
    pages = [openai_page(cost(0.72)), openai_page(cost(9), start=1_794_009_600 + 86_400)]
    path = saved(layout, pages)
    assert run(layout, "openai", path).exit_code == 1
    assert run(layout, "openai", path, "--until", "2026-11-08").exit_code == 0
    assert told(layout, "openai", path, "--since", "2026-11-08")["days"] == ["2026-11-08"]


def test_more_lines_than_the_limit_are_in_the_total(layout: Layout) -> None:
    lines = [cost(n + 1, line_item=f"m{n}") for n in range(5)]
    found = run(layout, "openai", saved(layout, openai_page(*lines)), "--limit", "2")
    assert "4 more lines differ by less; --limit 0 shows them" in found.stdout
    assert [row.split()[1] for row in found.stdout.splitlines()[1:3]] == ["m3", "m4"]
    assert found.stdout.splitlines()[3].split()[1] == "15.00"


@pytest.mark.parametrize("form", ["--csv", "--limit=0"])
def test_a_name_cannot_steer_the_terminal(layout: Layout, form: str) -> None:  # case 39
    name = "[red]a\x1b[2J\x07\u202eb" + "x" * 200
    found = run(layout, "openai", saved(layout, openai_page(cost(9, line_item=name))), form)
    assert found.exit_code == 1
    assert not {"\x1b", "\x07", "\u202e"} & set(found.stdout)
    if form == "--limit=0":
        assert max(map(len, found.stdout.splitlines())) <= WIDTH


def test_an_error_cannot_steer_the_terminal_either(layout: Layout) -> None:  # case 39
    found = run(layout, "csv", saved(layout, "\x1b[2J\u202eDay,cost\n"), "--column", "day=Date")
    assert found.exit_code == 2
    assert "its headings are: " in found.stderr
    assert not {"\x1b", "\u202e"} & set(found.stderr)


TOLERANCES = [
    ("0.5%,0.01", Tolerance(ppm=5_000, nano=10_000_000)),
    ("1%", Tolerance(ppm=10_000, nano=0)),
    ("2.5", Tolerance(ppm=0, nano=2_500_000_000)),
    ("0", Tolerance(ppm=0, nano=0)),
    ("0.0001 %, 3", Tolerance(ppm=1, nano=3_000_000_000)),
]


@pytest.mark.parametrize(("text", "expected"), TOLERANCES)
def test_a_tolerance_is_read_exactly(text: str, expected: Tolerance) -> None:
    assert parse_tolerance(text) == expected


@pytest.mark.parametrize("text", ["", "%", "-1", "much", "1%,"])
def test_no_tolerance_is_refused(text: str) -> None:
    with pytest.raises(BadRequest, match=r"is not such as 0.5%,0.01"):
        parse_tolerance(text)


def test_a_small_difference_is_within_as_far_as_is_allowed(layout: Layout) -> None:
    path = saved(layout, openai_page(cost(0.75, line_item="gpt-2026")))
    assert run(layout, "openai", path).exit_code == 1
    assert run(layout, "openai", path, "--tolerance", "4%").exit_code == 0
    assert run(layout, "openai", path, "--tolerance", "0.03").exit_code == 0
    assert run(layout, "openai", path, "--tolerance", "0.029").exit_code == 1


MISTAKES: list[tuple[list[str], str]] = [
    (["openai", "EXPORT", "--since", "yesterday"], "--since 'yesterday' is no day such as 2026-11-01"),
    (["openai", "EXPORT", "--until", "2026-11-07"], "nothing in this period"),
    (["openai", "EXPORT", "--tolerance", "some"], "is not such as"),
    (["openai", "EXPORT", "--key", "k"], "--key 'k' is not such as NAME=VALUE"),
    (["openai", "missing.json"], "missing.json cannot be read"),
    (["anthropic", "EXPORT"], "at `$.data[0].results[0].amount`: Expected `decimal`, got `object`"),
    (["csv", "EXPORT", "--column", "price=x"], "--column 'price' is none of day, model"),
    (["csv", "EXPORT", "--currency", "euros"], "is no currency"),
    (["csv", "EXPORT", "--time-zone", "Mars"], "there is no time zone 'Mars'"),
    (["csv", "EXPORT"], "no column for the day"),
]


@pytest.mark.parametrize(("options", "message"), MISTAKES)
def test_a_mistake_is_told_in_one_line_and_exits_with_2(
    layout: Layout, options: list[str], message: str
) -> None:
    path = saved(layout, openai_page(cost(1)))
    found = run(layout, *(path if option == "EXPORT" else option for option in options))
    assert found.exit_code == 2
    assert message in found.stderr
    assert found.stderr.count("\n") == 1
    assert found.stdout == ""


def test_a_state_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    path.write_text(json.dumps(openai_page(cost(1))))
    found = CliRunner().invoke(command, ["openai", str(path), "--state", str(tmp_path / "none")])
    assert (found.exit_code, "start `tidegate serve` first" in found.stderr) == (2, True)
