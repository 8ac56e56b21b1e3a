"""The configuration that is in force: read whole or refused whole, and kept for the next start.

A file that was edited and is wrong must not take a process down when that is started again: the last good
one is kept in the state directory and serves instead. A configuration holds no secret, so neither does this.
"""

import hashlib
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tidegate.config.load import MAX_BYTES, read_text
from tidegate.config.problem import failure
from tidegate.config.settings import Settings
from tidegate.model.errors import ConfigError
from tidegate.model.provider import Provider
from tidegate.services.deployments import Deployments, survey
from tidegate.stores.layout import Layout

log = logging.getLogger(__name__)

RELOADED = (
    *("deployments", "aliases", "prices", "report"),
    *("resilience", "breaker", "limits", "spend_limits", "budgets", "last_resort", "alerts"),
    *("policy.unpriced", "policy.retention_days", "policy.keep_alive_s", "policy.keep_responses_s"),
    *("policy.budget_wait_s", "policy.output_limits", "policy.default_output_tokens", "policy.unpriced_hold"),
    *("policy.pass_through", "policy.pass_through_shared"),
)
"""What a reload brings into force; an entry covers everything below it."""

RESTARTED = ("server.listen", "server.state_dir")
"""What the supervisor holds for as long as it runs. Everything else is read when a process starts."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """One good reading: the file's bytes and what they say."""

    path: Path
    raw: bytes
    settings: Settings

    @property
    def digest(self) -> str:
        """What tells one content from another."""
        return digest_of(self.raw)

    def within(self, state_dir: str) -> "Configuration":
        """The same configuration, for a state directory that is given from outside."""
        server = msgspec.structs.replace(self.settings.server, state_dir=state_dir)
        return Configuration(self.path, self.raw, msgspec.structs.replace(self.settings, server=server))


@dataclass(frozen=True, slots=True)
class Waiting:
    """Names of settings that differ from those a process started with, by what brings them into force."""

    upgrade: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()


def digest_of(raw: bytes) -> str:
    """SHA-256 of a file's bytes."""
    return hashlib.sha256(raw).hexdigest()


def bytes_of(path: Path) -> bytes:
    """A configuration's bytes. Raises ConfigError where there is nothing to read."""
    try:
        with path.open("rb") as opened:
            return opened.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"there is no {path}; run `tidegate init`, or name one with --config") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None


def configuration_of(path: Path, raw: bytes, catalog: Mapping[str, Provider]) -> Configuration:
    """What bytes say; `path` names them. Raises ConfigError that tells of every problem, by key and line."""
    reading = read_text(raw, path)
    problems = reading.problems
    if reading.settings is not None:
        found, trouble = survey(reading.settings, catalog)
        problems += reading.placed(trouble)
        if all(problem.level == "warning" for problem in problems):
            Deployments(catalog, found, reading.settings.aliases)
            return Configuration(path, raw, reading.settings)
    raise failure(problems, str(path))


def keep(layout: Layout, raw: bytes) -> None:
    """Keep the bytes of a configuration that came into force. Raises OSError."""
    temporary = layout.kept_configuration.with_name(f".{layout.kept_configuration.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(raw)
        opened.flush()
        os.fsync(opened.fileno())
    temporary.replace(layout.kept_configuration)


def to_serve(path: Path, catalog: Mapping[str, Provider], state_dir: str = "") -> Configuration:
    """What a starting process serves: the file, or, under a supervisor, the last good one where it is wrong.

    `state_dir` is the supervisor's state directory, and holds; empty where there is none. Raises ConfigError.
    """
    try:
        found = configuration_of(path, bytes_of(path), catalog)
    except ConfigError as error:
        kept = _kept(state_dir)
        if kept is None:
            raise
        log.error("the configuration is wrong, the last good one serves:\n%s", error.message)  # noqa: TRY400
        found = configuration_of(path, kept, catalog)
    return found.within(state_dir) if state_dir else found


def waiting(started: Settings, now: Settings) -> Waiting:
    """Name what was changed since a process started and does not hold yet."""
    names = [name for name in _differing(started, now) if not _within(name, RELOADED)]
    return Waiting(
        upgrade=tuple(name for name in names if not _within(name, RESTARTED)),
        restart=tuple(name for name in names if _within(name, RESTARTED)),
    )


def _kept(state_dir: str) -> bytes | None:
    if not state_dir:
        return None
    try:
        return Layout(Path(state_dir)).kept_configuration.read_bytes()
    except OSError:
        return None


def _within(name: str, places: tuple[str, ...]) -> bool:
    return any(name == place or name.startswith(f"{place}.") for place in places)


def _differing(one: msgspec.Struct, other: msgspec.Struct, before: str = "") -> Iterator[str]:
    """Yield the paths of the fields that differ."""
    for field in msgspec.structs.fields(one):
        was, now = getattr(one, field.name), getattr(other, field.name)
        if was == now:
            continue
        path = f"{before}{field.encode_name}"
        if isinstance(was, msgspec.Struct) and type(was) is type(now):
            yield from _differing(was, now, f"{path}.")
        else:
            yield path
