"""The reference page explains every setting, with the default that holds."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tidegate.config.budget_settings import BudgetRow
from tidegate.config.load import read_text
from tidegate.config.secret import Secret
from tidegate.config.settings import (
    Alerts,
    AlertTarget,
    Breaker,
    DeploymentRow,
    LastResort,
    LimitRow,
    Policy,
    Report,
    Resilience,
    Server,
    Settings,
    SpendLimitRow,
)
from tidegate.model.money import Fx
from tidegate.model.price import Alias, Override, PriceSection, Uplift
from tidegate.providers.catalog import load
from tidegate.services.deployments import survey

PAGE_PATH = Path(__file__).parents[2] / "docs/reference/configuration.md"
PAGE = PAGE_PATH.read_text(encoding="utf-8")
SECTIONS: dict[str, type[msgspec.Struct]] = {
    "Secrets": Secret,
    "`[server]`": Server,
    "`[policy]`": Policy,
    "`[[deployments]]`": DeploymentRow,
    "`[resilience]`": Resilience,
    "`[breaker]`": Breaker,
    "`[[limits]]`": LimitRow,
    "`[[spend_limits]]`": SpendLimitRow,
    "`[last_resort]`": LastResort,
    "`[[prices.override]]`": Override,
    "`[[prices.fx]]`": Fx,
    "`[[prices.alias]]`": Alias,
    "`[[prices.uplift]]`": Uplift,
    "`[alerts]`": Alerts,
    "`[[budgets]]`": BudgetRow,
    "`[[alerts.targets]]`": AlertTarget,
    "`[report]`": Report,
}


def rows(title: str) -> dict[str, str]:
    """The key and the default of each row of a section's table."""
    section = PAGE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    return dict(re.findall(r"^\| `([a-z0-9_]+)` \| ([^|]+) \|", section, re.MULTILINE))


@pytest.mark.parametrize("title", SECTIONS)
def test_every_setting_is_explained_and_nothing_else(title: str) -> None:
    assert set(rows(title)) == set(SECTIONS[title].__struct_encode_fields__)


def test_every_section_is_explained() -> None:
    parts = set(Settings.__struct_fields__) - {"prices"}
    parts |= {f"prices.{part}" for part in PriceSection.__struct_fields__}
    assert [part for part in parts if not re.search(rf"^## `\[+{part}\]+`$", PAGE, re.MULTILINE)] == []


def _default(field: msgspec.structs.FieldInfo) -> str:
    """The cell of a setting's default."""
    value = field.default
    if value is msgspec.NODEFAULT:
        assert field.default_factory is not msgspec.NODEFAULT
        value = field.default_factory()
    return "none" if value is None else f"`{_toml(value)}`"


def _toml(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"'
        case float():
            return f"{value:g}"
        case tuple():
            return f"[{', '.join(map(_toml, value))}]"
        case dict():
            return "{}"
        case _:
            return str(value)


@pytest.mark.parametrize(
    "title", ["`[server]`", "`[policy]`", "`[resilience]`", "`[breaker]`", "`[alerts]`", "`[report]`"]
)
def test_the_defaults_are_those_of_the_code(title: str) -> None:
    wanted = {field.encode_name: _default(field) for field in msgspec.structs.fields(SECTIONS[title])}
    assert {key: text.strip() for key, text in rows(title).items()} == wanted


@pytest.mark.parametrize(
    "title",
    ["`[[limits]]`", "`[[spend_limits]]`", "`[[budgets]]`", "`[last_resort]`", "`[[alerts.targets]]`"],
)
def test_the_defaults_of_rows_are_those_of_the_code(title: str) -> None:
    wanted = {
        field.encode_name: _default(field)
        for field in msgspec.structs.fields(SECTIONS[title])
        if not field.required
    }
    found = {key: text.strip() for key, text in rows(title).items() if "required" not in text}
    assert found == wanted


@pytest.mark.parametrize("page", ["staying-up", "alerts", "budgets"])
def test_a_guide_shows_what_is_valid(page: str) -> None:
    guide = (PAGE_PATH.parents[1] / f"guide/{page}.md").read_text(encoding="utf-8")
    text = "\n".join(re.findall(r"^```toml\n(.*?)^```$", guide, re.MULTILINE | re.DOTALL))
    reading = read_text(text.encode(), PAGE_PATH)
    assert reading.settings is not None
    problems = (*reading.problems, *survey(reading.settings, load())[1])
    assert [one for one in problems if one.level == "error" or reading.settings.deployments] == []


REQUIRED = [
    "`[[deployments]]`",
    "`[[limits]]`",
    "`[[spend_limits]]`",
    "`[[budgets]]`",
    "`[[prices.override]]`",
    "`[[prices.fx]]`",
    "`[[alerts.targets]]`",
]


@pytest.mark.parametrize("title", REQUIRED)
def test_what_is_required_is_said(title: str) -> None:
    wanted = {field.encode_name for field in msgspec.structs.fields(SECTIONS[title]) if field.required}
    assert {key for key, text in rows(title).items() if "required" in text} == wanted


def test_every_provider_is_named() -> None:
    assert [name for name in load() if f"`{name}`" not in PAGE] == []
