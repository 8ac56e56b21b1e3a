"""Reads `tidegate.toml`: every problem at once, each with its key's path and its line."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from tidegate.config import rules
from tidegate.config.lines import line_of, scan
from tidegate.config.problem import Problem, failure
from tidegate.config.secret import LOOKS_LIKE_A_KEY, Secret
from tidegate.config.settings import AlertTarget, Settings
from tidegate.config.shape import PLAIN_KEY, Shape
from tidegate.model.errors import ConfigError

FILE_NAME = "tidegate.toml"
VARIABLE = "TIDEGATE_CONFIG"
MAX_BYTES = 4_194_304

_POSITION = re.compile(r" \(at line (\d+), column \d+\)| \(at end of document\)")


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading one file gave: settings when there is no error, problems in the order of their lines."""

    path: Path
    settings: Settings | None
    problems: tuple[Problem, ...]
    lines: Mapping[str, int]

    def placed(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        """Give problems that another part found the lines of this file."""
        return _placed(problems, dict(self.lines))


def config_path(option: str | None, env: Mapping[str, str]) -> Path:
    """Return the file to read: `--config`, else TIDEGATE_CONFIG, else ./tidegate.toml."""
    return Path(option or env.get(VARIABLE) or FILE_NAME)


def load(path: Path) -> Settings:
    """Return the settings of a file. Raises ConfigError that tells of every error in it."""
    reading = read(path)
    if reading.settings is None:
        raise failure(reading.problems, str(path))
    return reading.settings


def read(path: Path) -> Reading:
    """Read a file and tell of every problem. Raises ConfigError only when there is no file to read."""
    try:
        with path.open("rb") as opened:
            raw = opened.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"there is no {path}; run `tidegate init`, or name one with --config") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    return read_text(raw, path)


def read_text(raw: bytes, path: Path) -> Reading:
    """Read the bytes of a configuration; `path` names it and is what relative paths are beside of."""
    if len(raw) > MAX_BYTES:
        return _unread(path, f"is larger than {MAX_BYTES} bytes", None)
    try:
        text = raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        return _unread(path, "is not UTF-8", raw.count(b"\n", 0, error.start) + 1)
    try:
        tree, lines = tomllib.loads(text, parse_float=Decimal), scan(text)
    except tomllib.TOMLDecodeError as error:
        place = _POSITION.search(str(error))
        end = text.count("\n") + 1
        line = int(place[1]) if place and place[1] else end
        return _unread(path, f"is not valid TOML: {_POSITION.sub('', str(error))}", line, _plain_keys(text))
    except RecursionError:
        return _unread(path, "is nested too deeply", None)
    settings, found = _settings(tree, path)
    spotted = {problem.line for problem in _placed(found, lines) if problem.message == PLAIN_KEY}
    plain = [problem for problem in _plain_keys(text) if problem.line not in spotted]
    problems = _placed([*found, *plain], lines)
    if any(problem.level == "error" for problem in problems):
        settings = None
    return Reading(path=path, settings=settings, problems=problems, lines=lines)


def _unread(path: Path, message: str, line: int | None, more: Iterable[Problem] = ()) -> Reading:
    problem = Problem(path="", message=f"the file {message}", line=line)
    return Reading(path=path, settings=None, problems=(problem, *more), lines={})


def _settings(tree: dict[str, Any], path: Path) -> tuple[Settings | None, list[Problem]]:
    shape = Shape()
    cleaned = shape.read(tree, Settings)
    if shape.problems:
        return None, shape.problems
    settings = _rooted(msgspec.convert(cleaned, Settings), path.absolute().parent)
    return settings, list(rules.problems_of(settings))


def _rooted(settings: Settings, base: Path) -> Settings:
    """Make relative paths absolute: they are meant beside the configuration."""
    server = msgspec.structs.replace(
        settings.server, state_dir=str(base / Path(settings.server.state_dir).expanduser())
    )
    rows = tuple(
        msgspec.structs.replace(row, key=_rooted_secret(row.key, base)) for row in settings.deployments
    )
    targets = tuple(_rooted_target(row, base) for row in settings.alerts.targets)
    alerts = msgspec.structs.replace(settings.alerts, targets=targets)
    return msgspec.structs.replace(settings, server=server, deployments=rows, alerts=alerts)


def _rooted_target(row: AlertTarget, base: Path) -> AlertTarget:
    return msgspec.structs.replace(
        row,
        url_secret=_rooted_secret(row.url_secret, base),
        secret=_rooted_secret(row.secret, base),
        password=_rooted_secret(row.password, base),
    )


def _rooted_secret(secret: Secret | None, base: Path) -> Secret | None:
    if secret is None or not secret.file:
        return secret
    return msgspec.structs.replace(secret, file=str(base / Path(secret.file).expanduser()))


def _plain_keys(text: str) -> list[Problem]:
    """Find what looks like a key anywhere in the text, comments included."""
    return [
        Problem(path="", line=at, message=f"this line holds what looks like a key: {PLAIN_KEY}")
        for at, line in enumerate(text.split("\n"), start=1)
        if LOOKS_LIKE_A_KEY.search(line)
    ]


def _placed(problems: Iterable[Problem], lines: dict[str, int]) -> tuple[Problem, ...]:
    """Give each problem its line, sort them by it, and take out what looks like a key."""
    found = [
        msgspec.structs.replace(
            problem,
            line=problem.line if problem.line is not None else line_of(lines, problem.path),
            path=LOOKS_LIKE_A_KEY.sub("[key]", problem.path),
            message=LOOKS_LIKE_A_KEY.sub("[key]", problem.message),
        )
        for problem in problems
    ]
    return tuple(sorted(found, key=lambda problem: problem.line or 0))
