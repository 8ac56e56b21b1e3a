"""The journal: append-only segments of checked frames, the truth that every table is made from."""

from tidegate.stores.journal.control import ControlJournal
from tidegate.stores.journal.directory import boots, is_live, remove_leftovers
from tidegate.stores.journal.disk import Disk
from tidegate.stores.journal.errors import (
    CorruptFrame,
    JournalFull,
    JournalStalled,
    RecordTooLarge,
    StillLive,
)
from tidegate.stores.journal.frames import MAX_PAYLOAD_BYTES, START, Position
from tidegate.stores.journal.reader import Reader
from tidegate.stores.journal.sealing import OpenCall, SealReport, seal
from tidegate.stores.journal.upkeep import (
    compress,
    finished_segments,
    removable_segments,
    remove_boot,
    remove_segments,
)
from tidegate.stores.journal.writer import Journal, JournalStats

__all__ = [
    "MAX_PAYLOAD_BYTES",
    "START",
    "ControlJournal",
    "CorruptFrame",
    "Disk",
    "Journal",
    "JournalFull",
    "JournalStalled",
    "JournalStats",
    "OpenCall",
    "Position",
    "Reader",
    "RecordTooLarge",
    "SealReport",
    "StillLive",
    "boots",
    "compress",
    "finished_segments",
    "is_live",
    "removable_segments",
    "remove_boot",
    "remove_leftovers",
    "remove_segments",
    "seal",
]
