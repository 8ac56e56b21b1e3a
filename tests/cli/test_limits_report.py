"""`tidegate report --limits` over a state directory."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.cli.test_report import record
from tests.support.calls import DAY_US, NOON_US, begin, end, settled, who
from tidegate.cli import report as report_job
from tidegate.model.record import GatewayRecord, Hold
from tidegate.model.usage import Usage
from tidegate.stores.layout import Layout


@pytest.fixture(autouse=True)
def _soon_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_job, "wall_us", lambda: NOON_US + DAY_US)


def answer(name: str, limit: int, tokens: int, **facts: Any) -> list[GatewayRecord]:
    """One answer under a limit of ours; it was cut where it is as long as that."""
    flags = ("cut_by_our_limit",) if tokens == limit else ()
    usage = Usage(input_uncached=10, output_text=tokens - 1, reasoning=1)
    limits = {"max_output": None, "limit_sent": limit, "limit_source": "learned", **facts}
    return [
        begin(name, hold=Hold(input_tokens=10, output_tokens=limit), **limits),
        end(name, last=settled(usage=usage, flags=flags)),
    ]


def shown(root: Path, *options: str) -> Any:
    asked = ["--state", str(root), "--limits", *options]
    found = CliRunner().invoke(report_job.command, asked, catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout) if "json" in options else found.stdout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(tmp_path / "state")
    made.make()
    record(
        made,
        *answer("a1", 256, 90),
        *answer("a2", 256, 256),
        *answer("a3", 512, 300),
        *answer("a4", 900, 100),
        *answer("b1", 256, 256, who=who(feature="letters")),
        *answer("c1", 256, 256, who=who(feature="own"), limit_source="client"),
    )
    return made


def test_each_feature_has_its_cut_answers_and_the_limit_that_cut_none(layout: Layout) -> None:
    rows = shown(layout.root, "--format", "json")["rows"]
    keys = ("feature", "answers", "cut", "longest", "largest", "largest_cut", "enough")
    assert [tuple(row[key] for key in keys) for row in rows] == [
        ("summaries", 4, 1, 300, 900, 256, 512),
        ("letters", 1, 1, 256, 256, 256, None),
    ]


def test_what_nobody_knows_is_said(layout: Layout) -> None:
    text = shown(layout.root)
    assert "of 1 cut answers nobody knows how long they would have got" in text
    assert text.splitlines()[0].split() == [
        *("FEATURE", "MODEL", "ANSWERS", "CUT", "LONGEST", "LIMIT", "CUT", "AT", "ENOUGH")
    ]


def test_it_is_by_feature_and_model_alone(layout: Layout) -> None:
    asked = ["--state", str(layout.root), "--limits", "--by", "team"]
    found = CliRunner().invoke(report_job.command, asked)
    assert (found.exit_code, "--by says nothing to --limits" in found.output) == (1, True)
