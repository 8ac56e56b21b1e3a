"""The pages about the code hold to their own rules, and name only what exists."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, name, pages

DECISIONS = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
FRAGMENTS = [path for path in sorted((ROOT / "changes").glob("*.md")) if path.name != "README.md"]
KINDS = {"added", "changed", "fixed", "removed", "security"}

_PATH = re.compile(r"`((?:tidegate|tests|docs|tools|requirements|changes|benchmarks|\.ci)/[\w./*-]*)`")
_LINK = re.compile(r"\[[^\]]+\]\((?!https?:|mailto:)([^)#]+)(?:#[^)]*)?\)")


def test_the_map_fits_200_lines() -> None:
    assert len((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").splitlines()) <= 200


@pytest.mark.parametrize("path", pages(), ids=name)
def test_a_page_names_only_files_that_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    named = [named for named in _PATH.findall(text) if "NNN" not in named]
    assert [one for one in named if not (list(ROOT.glob(one)) if "*" in one else (ROOT / one).exists())] == []


@pytest.mark.parametrize("path", pages(), ids=name)
def test_a_page_links_only_to_files_that_exist(path: Path) -> None:
    targets = _LINK.findall(path.read_text(encoding="utf-8"))
    assert [target for target in targets if not (path.parent / target).exists()] == []


def test_packages_are_all_on_the_map() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    packages = [path.parent.name for path in (ROOT / "tidegate").glob("*/__init__.py")]
    assert [package for package in packages if f"{package}/" not in text] == []


def test_decisions_are_numbered_without_a_gap() -> None:
    assert [int(path.name[:3]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.stem)
def test_a_decision_says_what_was_lost(path: Path) -> None:
    headings = re.findall(r"^## (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert headings == ["Decision", "Why", "What was not taken", "What it costs"]


@pytest.mark.parametrize("path", FRAGMENTS, ids=lambda path: path.stem)
def test_a_fragment_names_its_kind(path: Path) -> None:
    assert path.name.split(".")[1] in KINDS
    assert path.read_text(encoding="utf-8").strip()
