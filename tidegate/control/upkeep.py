"""Housekeeping of the control process: journals are compressed once read, and removed after their retention.

The journal of decisions is kept for ever: keys and names are made from it.
"""

import logging
from pathlib import Path

import apsw

from tidegate.control.projector import Projector
from tidegate.stores.journal import boots
from tidegate.stores.journal.directory import compressed_path, segment_path
from tidegate.stores.journal.errors import StillLive
from tidegate.stores.journal.upkeep import compress, removable_segments, remove_boot, remove_segments
from tidegate.stores.sqlite.retention import expire
from tidegate.stores.sqlite.store import Store

log = logging.getLogger(__name__)

DAY_US = 86_400_000_000
COMPRESSED_AT_ONCE = 4
"""Segments a round compresses at most: about half a second of work."""


def keep_house(store: Store, journals: Path, *, now_us: int, retention_days: int) -> None:
    """Do one bounded round over the gateways' journals and the tables.

    A segment goes only when every record of it is in the tables, durably, and all of it is older than the
    retention. Raises apsw.Error and OSError; a later round goes on where this one stopped.
    """
    before_us = now_us - retention_days * DAY_US
    expire(store, before_us)
    try:
        store.checkpoint()
    except apsw.BusyError:
        return  # a reader holds the log: nothing may be removed before the tables are on disk
    projector, left = Projector(store), COMPRESSED_AT_ONCE
    for directory in boots(journals / "gateway"):
        done = projected(projector, directory)
        if done and (old := [number for number in done if _written_us(directory, number) < before_us]):
            gone = remove_segments(directory, old[-1])
            log.info("journal %s: removed %d segments after their retention", directory.name, len(gone))
        for number in done:
            if left and segment_path(directory, number).exists():
                compress(directory, number)
                left -= 1
        _remove_if_empty(directory)


def projected(projector: Projector, directory: Path) -> list[int]:
    """The segments that may be touched: nobody writes to them, and the tables hold all of them."""
    progress = projector.progress(directory.name)
    removable = removable_segments(directory)
    return removable if progress.finished else [n for n in removable if n < progress.position.segment]


def _written_us(directory: Path, number: int) -> int:
    """When a segment was last written to; compressing keeps that."""
    for path in (segment_path(directory, number), compressed_path(directory, number)):
        if path.exists():
            return path.stat().st_mtime_ns // 1000
    return 0


def _remove_if_empty(directory: Path) -> None:
    try:
        remove_boot(directory)
    except StillLive:
        return
