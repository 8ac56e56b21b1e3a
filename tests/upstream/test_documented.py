"""The help and the guide's page name every field and value of a script; the command reads a file of them."""

import re
from pathlib import Path
from typing import get_args

import click.testing
import msgspec
import pytest

from tests.docs.pages import ROOT
from tidegate.cli.upstream import VOCABULARY, command
from tidegate.upstream.scenario import Item
from tidegate.upstream.script import Fault, Place, Script, Wording, read

PAGE = (ROOT / "docs/guide/scripted-provider.md").read_text(encoding="utf-8")
FIELDS = [field.name for field in msgspec.structs.fields(Script)]
PLACES = [name for kind in get_args(Place) for name in get_args(kind)]


@pytest.mark.parametrize("name", [*FIELDS, *get_args(Fault), *get_args(Wording)])
def test_a_field_or_value_is_documented(name: str) -> None:
    assert f"`{name}`" in PAGE
    assert re.search(rf"\b{name}\b", VOCABULARY)


@pytest.mark.parametrize("name", PLACES)
def test_a_place_is_documented(name: str) -> None:
    assert f'`"{name}"`' in PAGE
    assert f'"{name}"' in VOCABULARY


def test_the_help_names_no_field_that_is_none() -> None:
    fields = VOCABULARY.split("\n\n")[1]
    assert set(re.findall(r"\b\w+_\w+\b", fields)) <= set(FIELDS)


def test_an_item_of_the_queue_is_documented() -> None:
    for field in msgspec.structs.fields(Item):
        assert f"`{field.name}`" in PAGE


def test_a_file_of_scripts_that_is_none_is_refused_by_name(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text('[{"statu": 1}]', encoding="utf-8")
    result = click.testing.CliRunner().invoke(command, ["--scripts", str(plan), "--port", "0"])
    assert result.exit_code == 1
    assert "plan.json" in result.output
    assert "statu" in result.output


def test_the_pages_plan_is_one() -> None:
    found = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert found
    assert {"queue", "models", "default", "drop_connections"} == set(read(found[1], dict))
