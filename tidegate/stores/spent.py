"""What is spent of budgets, in one file that the control process replaces: where a gateway starts counting.

A gateway begins with the sums of this file and reads the journals on from its positions, so that nothing is
counted twice and nothing is left out. Without the file it reads the journals from their start.
"""

import os
from pathlib import Path

import msgspec

from tidegate.model.budget import Share
from tidegate.stores.journal.frames import Position

NAME = "spent.json"
MAX_BYTES = 256 * 1024 * 1024


class OpenHold(msgspec.Struct, frozen=True, array_like=True):
    """An attempt that is held for and not settled at the position of its journal."""

    request_id: str
    n: int
    shares: tuple[Share, ...]


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """How far one gateway's journal is in the sums, and what was open there."""

    segment: int
    offset: int
    open: tuple[OpenHold, ...] = ()
    finished: bool = False

    @property
    def position(self) -> Position:
        """Where reading goes on."""
        return Position(self.segment, self.offset)


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """Sums by account and window, and the journals, by boot, that they are made of."""

    at_us: int
    charges: tuple[Share, ...] = ()
    journals: dict[str, Read] = {}


_decode = msgspec.json.Decoder(Spent).decode


def write_spent(directory: Path, spent: Spent) -> None:
    """Replace the file. A power cut may leave the older one, which is as good: it says how far it goes."""
    temporary = directory / f".{NAME}.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(msgspec.json.encode(spent))
        opened.flush()
        os.fsync(opened.fileno())
    temporary.replace(directory / NAME)


def read_spent(directory: Path) -> Spent | None:
    """The file of a state directory; None where there is none, or none that reads."""
    try:
        with (directory / NAME).open("rb") as opened:
            raw = opened.read(MAX_BYTES + 1)
        return _decode(raw) if len(raw) <= MAX_BYTES else None
    except (OSError, ValueError):
        return None
