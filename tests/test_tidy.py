"""The house rules that no linter knows: sizes, the mirror of the tree, and words that may stand nowhere."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tidegate"
LINES_OF_A_MODULE = 400
LINES_OF_A_FUNCTION = 60

APART = {"acceptance", "benchmarks", "docs", "faults", "money", "support"}
"""Folders of tests that mirror no package."""

_MADE = {"node_modules", "__pycache__", "dist"}
_TEXT = {".py", ".md", ".toml", ".txt", ".sh", ".sql", ".json", ".jsonl", ".yml", ".yaml", ".cfg", ""}
_WORDS = {
    "a path of one machine": r"(?<![\w.])/(?:work|root|opt/wheels)/",
    "an unkept promise": r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX)\b",
    "a registry's host": r"python" + r"hosted|pypi\." + r"org|registry\.npm" + r"js",
}


def sources(*suffixes: str) -> Iterator[Path]:
    """Files of the repository, without what is made or installed."""
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        hidden = any(part.startswith(".") and part != ".ci" for part in parts[:-1])
        if path.is_file() and path.suffix in suffixes and not hidden and not _MADE & set(parts):
            yield path


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Each function with its length in lines, decorators left out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node.name, node.end_lineno - node.lineno + 1


def test_no_module_is_longer_than_400_lines() -> None:
    lengths = {name(path): len(path.read_bytes().splitlines()) for path in PACKAGE.rglob("*.py")}
    assert {path: lines for path, lines in lengths.items() if lines > LINES_OF_A_MODULE} == {}


def test_no_function_needs_a_scroll() -> None:
    found = {
        f"{name(path)}:{function}": lines
        for path in PACKAGE.rglob("*.py")
        for function, lines in functions(ast.parse(path.read_text(encoding="utf-8")))
        if lines > LINES_OF_A_FUNCTION
    }
    assert found == {}


def test_the_tests_mirror_the_package() -> None:
    folders = {path.parent.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py")} - {
        Path()
    }
    strangers = [
        folder.as_posix()
        for folder in folders
        if folder.parts[0] not in APART and not (PACKAGE / folder).exists()
    ]
    assert strangers == []


def test_every_package_has_tests() -> None:
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    tested = {path.name for path in (ROOT / "tests").iterdir() if any(path.rglob("test_*.py"))}
    assert packages - tested == set()


@pytest.mark.parametrize("what", _WORDS)
def test_no_file_holds(what: str) -> None:
    pattern = re.compile(_WORDS[what])
    found = [
        f"{name(path)}:{number}"
        for path in sources(*_TEXT)
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == []
