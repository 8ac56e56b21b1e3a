"""`tidegate init` writes a configuration that is valid, whatever is switched on."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from tidegate.cli import main
from tidegate.cli.init import _commented, template
from tidegate.config.load import read_text
from tidegate.config.settings import Breaker, Resilience, Settings
from tidegate.providers.catalog import load
from tidegate.services.deployments import survey

NO_KEYS = {"OPENAI_API_KEY": "", "ANTHROPIC_API_KEY": ""}
HERE = Path("/etc/tidegate/tidegate.toml")


def settings_of(text: str) -> Settings:
    reading = read_text(text.encode(), HERE)
    assert reading.problems == ()
    assert reading.settings is not None
    assert survey(reading.settings, load())[1] == ()
    return reading.settings


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, ["gpt"]),
        (NO_KEYS, ["gpt"]),
        ({"ANTHROPIC_API_KEY": "x"}, ["claude"]),
        ({"OPENAI_API_KEY": "x", "ANTHROPIC_API_KEY": "y"}, ["gpt", "claude"]),
    ],
)
def test_examples_whose_key_is_set_are_on(env: dict[str, str], expected: list[str]) -> None:
    assert [row.name for row in settings_of(template(env)).deployments] == expected


def test_every_commented_setting_is_valid_too() -> None:
    lines = [line.removeprefix("# ") if _is_setting(line) else line for line in template({}).split("\n")]
    settings = settings_of("\n".join(lines))
    assert [row.name for row in settings.deployments] == ["gpt", "claude", "local"]
    assert settings.deployments[0].region == "eu"
    assert settings.aliases == {"fast": ("gpt",)}
    assert (settings.resilience, settings.breaker) == (Resilience(), Breaker())
    assert len(settings.limits) == len(settings.spend_limits) == len(settings.last_resort) == 1
    assert len(settings.prices.override) == len(settings.prices.fx) == 1


def _is_setting(line: str) -> bool:
    text = line.removeprefix("# ")
    return line.startswith("# ") and (text.startswith("[") or " = " in text.split("#")[0]) and text[0] != "S"


def test_what_is_commented_stays_readable() -> None:
    assert _commented("a = 1\nb = 2\n") == "# a = 1\n# b = 2\n"


def test_the_file_is_written_and_the_next_steps_are_said(tmp_path: Path) -> None:
    target = tmp_path / "new" / "place"
    done = CliRunner(env=NO_KEYS).invoke(main, ["init", str(target)])
    assert done.exit_code == 0
    assert "OPENAI_API_KEY" in done.output
    assert f"tidegate check --config {target / 'tidegate.toml'}" in done.output
    settings_of((target / "tidegate.toml").read_text(encoding="utf-8"))


def test_a_file_that_is_there_is_kept_unless_forced(tmp_path: Path) -> None:
    path = tmp_path / "tidegate.toml"
    path.write_text("mine")
    refused = CliRunner().invoke(main, ["init", str(tmp_path)])
    assert (refused.exit_code, path.read_text()) == (1, "mine")
    assert "--force" in refused.output
    forced = CliRunner().invoke(main, ["init", "--force", str(tmp_path)])
    assert (forced.exit_code, path.read_text() == "mine") == (0, False)


def test_no_value_of_a_key_is_written_or_said(tmp_path: Path) -> None:
    done = CliRunner(env={"OPENAI_API_KEY": "hush-hush"}).invoke(main, ["init", str(tmp_path)])
    assert "hush" not in done.output + (tmp_path / "tidegate.toml").read_text()
