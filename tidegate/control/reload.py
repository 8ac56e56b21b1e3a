"""Follows the configuration file: a good change comes into force, a wrong one is refused and named."""

import logging
from collections.abc import Callable, Mapping

import msgspec

from tidegate.config.settings import Settings
from tidegate.model.errors import ConfigError, TidegateError
from tidegate.model.provider import Provider
from tidegate.services.clock import Clock
from tidegate.services.configuration import (
    Configuration,
    bytes_of,
    configuration_of,
    digest_of,
    keep,
    waiting,
)
from tidegate.stores.layout import Layout

log = logging.getLogger("tidegate.control")

Stat = tuple[int, int, int] | None
"""A file's inode, size and time of change; None for a file that is not there."""

UNREAD: Stat = (-1, -1, -1)


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What holds, and what was refused.

    `snapshot` is the version that brought it into force; `upgrade` and `restart` name changed settings that
    wait for `tidegate upgrade` or for a restart of `tidegate serve`. `refused` tells of every problem of the
    file as it is now, each with its key and line; empty where that file is the one in force.
    """

    file: str
    snapshot: int
    taken_at_us: int
    upgrade: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()
    refused: str = ""
    refused_at_us: int | None = None


class Reloader:
    """Brings a changed configuration into force, through `take`, which gives the new snapshot's version.

    `take` raises TidegateError, and changes nothing, for what cannot be served. A change is read once the
    file has stayed the same between two looks, so that half of a file that is being written is not taken.
    """

    def __init__(
        self,
        at: Configuration,
        catalog: Mapping[str, Provider],
        layout: Layout,
        clock: Clock,
        take: Callable[[Settings], int],
        *,
        snapshot: int,
    ) -> None:
        self._path, self._catalog, self._layout = at.path, catalog, layout
        self._clock, self._take = clock, take
        self._started, self._digest = at.settings, at.digest
        self._seen: Stat = None
        self._read: Stat = UNREAD
        self._keep(at.raw)
        self.status = Status(file=str(at.path), snapshot=snapshot, taken_at_us=clock.wall_us())

    def look(self) -> None:
        """Take a changed file, one look after the change; to be called about once a second."""
        stat = self._stat()
        if stat == self._read:
            return
        if stat != self._seen:
            self._seen = stat
            return
        self._read_again(stat, anyway=False)

    def reload(self) -> Status:
        """Read the file now and publish it, also when it is as before: a key's file may be new."""
        self._read_again(self._stat(), anyway=True)
        return self.status

    def _read_again(self, stat: Stat, *, anyway: bool) -> None:
        self._seen = self._read = stat
        try:
            raw = bytes_of(self._path)
            if digest_of(raw) != self._digest or anyway:
                self._bring_in(configuration_of(self._path, raw, self._catalog))
            elif self.status.refused:
                log.info("%s is again what is in force", self._path)
                self.status = msgspec.structs.replace(self.status, refused="", refused_at_us=None)
        except ConfigError as error:
            self._refuse(error)
        except TidegateError as error:
            self._read = UNREAD  # not the file's fault: look again
            self._refuse(error)

    def _bring_in(self, found: Configuration) -> None:
        version = self._take(found.settings)
        self._digest = found.digest
        self._keep(found.raw)
        later = waiting(self._started, found.settings)
        self.status = Status(
            file=str(self._path),
            snapshot=version,
            taken_at_us=self._clock.wall_us(),
            upgrade=later.upgrade,
            restart=later.restart,
        )
        log.info("configuration %s in force with snapshot %d", self._path, version)
        for name in later.upgrade:
            log.warning("%s takes effect after `tidegate upgrade`", name)
        for name in later.restart:
            log.warning("%s takes effect after a restart of `tidegate serve`", name)

    def _refuse(self, error: TidegateError) -> None:
        if error.message == self.status.refused:
            return
        log.error("configuration refused, the one before stays in force:\n%s", error.message)
        self.status = msgspec.structs.replace(
            self.status, refused=error.message, refused_at_us=self._clock.wall_us()
        )

    def _keep(self, raw: bytes) -> None:
        try:
            keep(self._layout, raw)
        except OSError as error:
            log.warning("the configuration cannot be kept for the next start: %s", error)

    def _stat(self) -> Stat:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return (found.st_ino, found.st_size, found.st_mtime_ns)
