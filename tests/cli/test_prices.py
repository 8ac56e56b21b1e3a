import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tidegate.cli.prices import command
from tidegate.services.price_rows import PRICES


def run(*args: str) -> Result:
    return CliRunner().invoke(command, list(args))


def parsed(*args: str) -> Any:
    result = run(*args, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_list_names_providers_with_their_source() -> None:
    rows = {row["provider"]: row for row in parsed("list")}
    assert rows["openai"]["source"] == "genai-prices"
    assert rows["openai"]["models"] > 80
    assert "openai" in run("list").stdout


def test_list_shows_standard_prices_of_matching_models() -> None:
    rows = parsed("list", "--provider", "openai", "--model", "GPT-4o-mini", "--at", "2026-11-24")
    (row,) = [row for row in rows if row["model"] == "gpt-4o-mini"]
    assert (row["input"], row["cache read"], row["output"], row["currency"]) == (
        "0.15",
        "0.075",
        "0.6",
        "USD",
    )


def test_list_shows_where_two_sources_differ() -> None:
    rows = parsed("list", "--provider", "x-ai", "--disagreements", "--at", "2026-11-24")
    assert {"genai-prices", "litellm"} <= rows[0].keys()


def test_show_tells_source_id_and_conditions() -> None:
    shown = run("show", "deepseek/deepseek-v4-pro", "--at", "2026-08-30T02:00").stdout
    assert "genai-prices 0." in shown
    assert "01:00-04:00 UTC" in shown
    assert "Mon Tue Wed Thu Fri" in shown
    assert "input_uncached 0.66" in shown.splitlines()[-2]
    assert "price_id" in shown


def test_show_prices_a_past_day() -> None:
    found = parsed("show", "deepseek/deepseek-v4-pro", "--at", "2026-07-01T02:00")
    (card,) = found["cards"]
    assert (found["applies"], card["rates"]["input_uncached"]) == (card["price_id"], "0.435")
    assert len(parsed("show", "deepseek/deepseek-v4-pro", "--all")["cards"]) == 6


def test_show_tells_an_alias_and_an_uplift() -> None:
    shown = run("show", "mistral/mistral-large-latest", "--region", "eu", "--at", "2026-11-24").stdout
    assert "stands for mistral-large-2512" in shown
    assert "input_uncached 0.55" in shown


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("openai/gpt-4o-mnii", "Names like it: openai/gpt-4o-mini"),
        ("opnai/gpt-4o-mini", "no price is known for the provider opnai. Names like it: openai"),
        ("gpt-4o-mini", "is not PROVIDER/MODEL"),
    ],
)
def test_an_unknown_name_is_an_error_with_a_hint(name: str, message: str) -> None:
    result = run("show", name)
    assert result.exit_code == 1
    assert message in result.stderr


def test_a_time_that_is_none_is_refused() -> None:
    result = run("show", "openai/gpt-4o-mini", "--at", "yesterday")
    assert result.exit_code == 2
    assert "2026-07-01T03:00" in result.stderr


def test_an_operators_prices_go_first(tmp_path: Path) -> None:
    config = tmp_path / "tidegate.toml"
    config.write_text(
        '[[prices.override]]\nprovider = "openai"\nmodel = "gpt-4o-mini"\ncurrency = "EUR"\n'
        'rates = { input = "0.1", output = "0.4" }\n'
    )
    found = parsed("show", "openai/gpt-4o-mini", "--config", str(config))
    assert found["flags"] == ["override"]
    assert found["cards"][0]["currency"] == "EUR"
    config.write_text('[[prices.override]]\nprovider = "openai"\n')
    assert run("list", "--config", str(config)).exit_code == 1


def test_import_shows_the_difference_and_writes_only_when_told(tmp_path: Path) -> None:
    pytest.importorskip("genai_prices")
    for name in ("rules.toml", "cohere.jsonl"):
        (tmp_path / name).write_bytes((PRICES / name).read_bytes())
    text = (tmp_path / "cohere.jsonl").read_text().replace('"output_text":"', '"output_text":"9', 1)
    (tmp_path / "cohere.jsonl").write_text(text)
    (tmp_path / "gone.jsonl").write_bytes((PRICES / "cohere.jsonl").read_bytes())
    before = sorted(path.name for path in tmp_path.iterdir())
    shown = run("import", "--directory", str(tmp_path))
    assert shown.exit_code == 0
    assert "changed   cohere/" in shown.stdout
    assert "removed   gone" in shown.stdout
    assert "added     openai/gpt-4o-mini (standard): USD" in shown.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    written = run("import", "--directory", str(tmp_path), "--write")
    assert written.stdout.splitlines()[-1].endswith("differences written")
    assert {path.name for path in tmp_path.glob("*.jsonl")} == {path.name for path in PRICES.glob("*.jsonl")}
    again = run("import", "--directory", str(tmp_path))
    assert again.stdout.splitlines()[-1].startswith("0 differences")


def test_import_takes_a_second_source(tmp_path: Path) -> None:
    pytest.importorskip("genai_prices")
    table = tmp_path / "table.json"
    row = {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-6}
    table.write_text(json.dumps({"gpt-x": row}))
    given = ("--litellm", str(table), "--litellm-version", "1", "--litellm-date", "2026-10-21")
    result = run("import", "--directory", str(tmp_path / "prices"), "--write", *given)
    assert "added     openai/gpt-x (standard, from 2026-10-21): USD input_uncached 1" in result.stdout
    assert (tmp_path / "prices" / "second" / "openai.jsonl").exists()
