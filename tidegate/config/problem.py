"""What is wrong with a configuration: one problem a row, all of them at once."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from tidegate.model.errors import ConfigError

Level = Literal["error", "warning"]


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One problem. `path` is the key's path (`deployments[0].key`), `line` its line where it was found."""

    path: str
    message: str
    line: int | None = None
    level: Level = "error"

    def located(self, source: str) -> str:
        """Return `source:line: level: path: message`, as compilers print it."""
        place = source if self.line is None else f"{source}:{self.line}"
        what = f"{self.path}: {self.message}" if self.path else self.message
        return f"{place}: {self.level}: {what}"


def failure(problems: Iterable[Problem], source: str) -> ConfigError:
    """Return one error that tells of every problem; its `param` and line are those of the first."""
    errors = [problem for problem in problems if problem.level == "error"]
    first = errors[0]
    facts: dict[str, str | int] = {"file": source, "problems": len(errors)}
    if first.line is not None:
        facts["line"] = first.line
    return ConfigError(
        "\n".join(problem.located(source) for problem in errors), param=first.path or None, facts=facts
    )


def nearest(name: str, known: Sequence[str]) -> str:
    """Return `; did you mean 'x'?` for the closest known name, or the empty string."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""
