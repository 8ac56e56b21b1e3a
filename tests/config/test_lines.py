"""Lines of keys in a TOML text, whatever its layout."""

import tomllib
from typing import Any

import pytest

from tidegate.config.lines import join, line_of, parent, scan

TEXT = '''\
# a comment with [brackets] and "quotes"
title = "x # not a comment" # a comment
"a.b" = 1
c.d . "e f" = 2

[table]  # why
key = [ 1, 2,
  3, # [
  { in = "]", deep = [ "}" ] },
]
text = """
fake = 1
[fake]
"""
other = \'\'\'
[[fake]]\'\'\'
after = true

[[row]]
n = 1
  [row.sub]
  x = 1979-05-27 07:32:00
[[row]]
n = 2
  [[row.leaf]]
  y = 'a\\'
  [[row.leaf]]
  z = { w = 1 }
'''

LINES = {
    "title": 2,
    '"a.b"': 3,
    "c": 4,
    "c.d": 4,
    'c.d."e f"': 4,
    "table": 6,
    "table.key": 7,
    "table.key[0]": 7,
    "table.key[2]": 8,
    "table.key[3]": 9,
    "table.key[3].in": 9,
    "table.key[3].deep[0]": 9,
    "table.text": 11,
    "table.other": 15,
    "table.after": 17,
    "row": 19,
    "row[0]": 19,
    "row[0].n": 20,
    "row[0].sub": 21,
    "row[0].sub.x": 22,
    "row[1]": 23,
    "row[1].n": 24,
    "row[1].leaf[0].y": 26,
    "row[1].leaf[1]": 27,
    "row[1].leaf[1].z.w": 28,
}


@pytest.mark.parametrize(("path", "line"), LINES.items())
def test_a_key_is_found(path: str, line: int) -> None:
    assert scan(TEXT)[path] == line


def test_nothing_else_is_found() -> None:
    assert not [path for path in scan(TEXT) if "fake" in path]


def _paths(value: Any, path: str = "") -> list[str]:
    match value:
        case dict():
            return [path, *(one for key, item in value.items() for one in _paths(item, join(path, key)))]
        case list():
            return [path, *(one for at, item in enumerate(value) for one in _paths(item, join(path, at)))]
        case _:
            return [path]


def test_every_path_of_the_parsed_text_has_a_line() -> None:
    assert [path for path in _paths(tomllib.loads(TEXT)) if path and path not in scan(TEXT)] == []


@pytest.mark.parametrize(
    ("path", "up"),
    [("a.b", "a"), ("a", ""), ("a[0]", "a"), ('a."x.y"', "a"), ('"x.y"', ""), ("a[0].b", "a[0]")],
)
def test_parent_goes_one_step_up(path: str, up: str) -> None:
    assert parent(path) == up


def test_an_unknown_path_has_the_line_of_what_is_around_it() -> None:
    lines = scan(TEXT)
    assert line_of(lines, "table.key[3].deep[7].q") == 9
    assert line_of(lines, "nowhere.at.all") is None
