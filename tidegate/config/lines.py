"""The line of each key of a TOML text, since `tomllib` gives no positions.

The text is known to be valid TOML when it is scanned, so the scanner is lenient: it only has to know where
strings, arrays and tables begin and end.
"""

import json
import re

_BLANK = re.compile(r"(?:[ \t\r]|#[^\n]*)*")
_BLANK_LINES = re.compile(r"(?:\s|#[^\n]*)*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_STRING = re.compile(
    r"""
      \"{3} (?:[^\\]|\\.)*? \"{3} \"{0,2}
    | '{3} .*? '{3} '{0,2}
    | " (?:[^"\\\n]|\\.)* "
    | ' [^'\n]* '
    """,
    re.DOTALL | re.VERBOSE,
)
_SCALAR = re.compile(r"[^,\]}#\n]+")
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def join(path: str, key: str | int) -> str:
    """Return the path of `key` inside `path`: `a.b`, `a[0]`, `a."x.y"`."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    name = key if _BARE.fullmatch(key) else json.dumps(key)
    return f"{path}.{name}" if path else name


def parent(path: str) -> str:
    """Return the path one step up; the empty path for a top-level key."""
    if path.endswith("]"):
        return path[: path.rindex("[")]
    if path.endswith('"'):
        opening = re.search(r'\.?"(?:[^"\\]|\\.)*"$', path)
        assert opening is not None
        return path[: opening.start()]
    return path.rpartition(".")[0]


def scan(text: str) -> dict[str, int]:
    """Return the line, counted from 1, of every key and array element of a valid TOML text."""
    return _Scanner(text).run()


def line_of(lines: dict[str, int], path: str) -> int | None:
    """Return the line of `path`, or of the nearest table around it; None when nothing is known."""
    while path and path not in lines:
        path = parent(path)
    return lines.get(path)


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._pos = 0
        self._counted_to = 0
        self._line = 1
        self._lines: dict[str, int] = {}
        self._elements: dict[str, int] = {}

    def run(self) -> dict[str, int]:
        table = ""
        while self._skip(_BLANK_LINES) < len(self._text):
            before = self._pos
            if self._text.startswith("[[", before):
                table = self._header(2)
            elif self._text[before] == "[":
                table = self._header(1)
            else:
                self._pair(table)
            if self._pos == before:
                break
        return self._lines

    def _skip(self, pattern: re.Pattern[str]) -> int:
        found = pattern.match(self._text, self._pos)
        if found is not None:
            self._pos = found.end()
        return self._pos

    def _mark(self, path: str) -> None:
        self._line += self._text.count("\n", self._counted_to, self._pos)
        self._counted_to = self._pos
        self._lines.setdefault(path, self._line)

    def _keys(self) -> list[str]:
        """Read a dotted key."""
        keys = []
        while found := _KEY.match(self._text, self._skip(_BLANK)):
            keys.append(_name(found.group()))
            self._pos = found.end()
            if not self._text.startswith(".", self._skip(_BLANK)):
                break
            self._pos += 1
        return keys

    def _header(self, brackets: int) -> str:
        """Read `[a.b]` or `[[a.b]]`; a step that is an array of tables means its last element."""
        start = self._pos
        self._pos += brackets
        *steps, last = self._keys() or [""]
        end = max(self._text.find("\n", self._pos), start + 1)
        self._pos = start
        table = ""
        for step in steps:
            table = self._last_element(join(table, step))
            self._mark(table)
        table = join(table, last)
        self._mark(table)
        if brackets == 2:
            self._elements[table] = self._elements.get(table, -1) + 1
        table = self._last_element(table)
        self._mark(table)
        self._pos = end
        return table

    def _last_element(self, path: str) -> str:
        return f"{path}[{self._elements[path]}]" if path in self._elements else path

    def _pair(self, table: str) -> None:
        """Read `key = value`."""
        at = self._pos
        path = table
        for key in self._keys():
            path = join(path, key)
            end, self._pos = self._pos, at
            self._mark(path)
            self._pos = end
        if self._text.startswith("=", self._skip(_BLANK)):
            self._pos += 1
            self._skip(_BLANK)
            self._value(path)

    def _value(self, path: str) -> None:
        if self._text.startswith("[", self._pos):
            self._items(path, "]")
        elif self._text.startswith("{", self._pos):
            self._items(path, "}")
        elif self._text.startswith(('"', "'"), self._pos):
            self._skip(_STRING)
        else:
            self._skip(_SCALAR)

    def _items(self, path: str, close: str) -> None:
        """Read the elements of an array, or the pairs of an inline table."""
        self._pos += 1
        count = 0
        while (at := self._skip(_BLANK_LINES)) < len(self._text) and self._text[at] != close:
            if close == "]":
                element = join(path, count)
                self._mark(element)
                self._value(element)
            else:
                self._pair(path)
            count += 1
            if self._text.startswith(",", self._skip(_BLANK_LINES)):
                self._pos += 1
            elif self._pos == at:
                return
        self._pos += 1


def _name(key: str) -> str:
    if key.startswith('"'):
        try:
            return str(json.loads(key))
        except ValueError:
            return key[1:-1]
    return key[1:-1] if key.startswith("'") else key
