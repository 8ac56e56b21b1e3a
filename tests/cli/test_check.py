"""`tidegate check` tells of every problem by path and line, and never shows a secret."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tidegate.cli import main
from tidegate.cli.check import check

NOW_US = 1_790_000_000_000_000
VALUE = "hush-hush-0123"

GOOD = """\
[[deployments]]
name = "gpt"
provider = "openai"
model = "a-model-of-no-book"
key = { env = "TEST_KEY" }
price = { currency = "EUR", rates = { input = "1", output = "2" } }

[[deployments]]
name = "near"
provider = "vllm"
model = "llama"
base_url = "http://127.0.0.1:9/v1"
[deployments.price]
currency = "EUR"
rates = { input = "0", output = "0" }

[aliases]
fast = ["gpt", "near"]
"""


def run(tmp_path: Path, text: str, *options: str, env: dict[str, str | None] | None = None) -> Result:
    path = tmp_path / "tidegate.toml"
    path.write_text(text, encoding="utf-8")
    runner = CliRunner(env=env or {"TEST_KEY": VALUE})
    return runner.invoke(main, ["check", "--config", str(path), *options])


def test_a_good_configuration_can_be_served(tmp_path: Path) -> None:
    done = run(tmp_path, GOOD)
    assert done.exit_code == 0
    assert "can be served: 0 errors, 0 warnings, 2 deployments, 1 alias" in done.output
    assert "TEST_KEY (present)" in done.output
    assert "none needed" in done.output
    assert VALUE not in done.output


def test_a_missing_key_is_an_error_with_its_line(tmp_path: Path) -> None:
    done = run(tmp_path, GOOD, env={"TEST_KEY": None})
    assert done.exit_code == 1
    assert (
        "tidegate.toml:5: error: deployments[0].key: the environment variable TEST_KEY is not set"
        in done.output
    )
    assert "TEST_KEY (MISSING)" in done.output


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('"openai"', '"opnai"', ":3: error: deployments[0].provider: no provider is called 'opnai'"),
        ('["gpt", "near"]', '["gpt", "far"]', ":18: error: aliases.fast[1]: 'far': there is no such"),
        ('base_url = "http://127.0.0.1:9/v1"\n', "", ":8: error: deployments[1]: vLLM has no address"),
        ("key = {", "kay = {", ":5: error: deployments[0].kay: unknown key; did you mean 'key'?"),
        ('input = "1"', "input = 1.5", ":6: error: deployments[0].price.rates.input: an exact decimal"),
        ("[aliases]", "[aliases", ":17: error: the file is not valid TOML"),
    ],
)
def test_a_problem_is_told_by_path_and_line(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert GOOD.count(old) == 1
    done = run(tmp_path, GOOD.replace(old, new))
    assert done.exit_code == 1
    assert expected in done.output
    assert "cannot be served" in done.output


@pytest.mark.parametrize(("unpriced", "fate"), [("refuse", "402 price_unknown"), ("flag", "are flagged")])
def test_a_model_without_a_price_is_a_warning(tmp_path: Path, unpriced: str, fate: str) -> None:  # trap M4
    text = f'policy.unpriced = "{unpriced}"\n' + GOOD.replace("price = {", "headers = {").replace(
        'currency = "EUR", rates = { input = "1", output = "2" }', ""
    )
    done = run(tmp_path, text)
    assert done.exit_code == 0
    assert ":5: warning: deployments[0].model: no price is known for openai/a-model-of-no-book" in done.output
    assert fate in done.output


def test_a_readable_key_file_is_a_warning(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(VALUE)
    key.chmod(0o644)
    done = run(tmp_path, GOOD.replace('env = "TEST_KEY"', 'file = "key"'))
    assert done.exit_code == 0
    assert "chmod 600" in done.output
    assert "key (present)" in done.output
    assert VALUE not in done.output


def test_json_holds_the_same_facts(tmp_path: Path) -> None:
    done = run(tmp_path, GOOD.replace('"near"]', '"far"]'), "--json")
    told: dict[str, Any] = json.loads(done.output)
    assert done.exit_code == 1
    assert (told["ok"], told["errors"], told["warnings"]) == (False, 1, 0)
    assert told["problems"] == [
        {
            "path": "aliases.fast[1]",
            "message": "'far': there is no such deployment or model",
            "line": 18,
            "level": "error",
        }
    ]
    first = told["deployments"][0]
    assert (first["key"], first["key_present"], first["priced"]) == ("env:TEST_KEY", True, True)
    assert told["aliases"] == {"fast": ["gpt", "far"]}
    assert VALUE not in done.output


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["check", "--config", str(tmp_path / "none.toml")])
    assert done.exit_code == 1
    assert "tidegate init" in done.output


def test_the_environment_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "other.toml"
    path.write_text(GOOD)
    done = CliRunner(env={"TIDEGATE_CONFIG": str(path), "TEST_KEY": VALUE}).invoke(main, ["check"])
    assert (done.exit_code, "other.toml can be served" in done.output) == (0, True)


def test_problems_stand_in_the_order_of_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "tidegate.toml"
    path.write_text(GOOD.replace('"near"]', '"far"]').replace('"openai"', '"opnai"'))
    lines = [problem.line for problem in check(path, {}, NOW_US).problems]
    assert lines == [3, 5, 18]
