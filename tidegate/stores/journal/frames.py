"""Frames: `word | crc32 | payload`, little-endian; the word holds the kind (8 bits) and length (24 bits).

The CRC starts from a seed of boot, segment and position, so that bytes left behind by an older file, or moved
within one, never read as a record of this place. Word 0 is the end: no frame is empty.
"""

from struct import Struct
from typing import NamedTuple
from zlib import crc32

import msgspec

from tidegate.stores.journal.errors import RecordTooLarge

VERSION = 1
PREFIX_BYTES = 8
MAX_FRAME_BYTES = 16 * 1024
MAX_PAYLOAD_BYTES = MAX_FRAME_BYTES - PREFIX_BYTES

RECORD, HEADER = 0, 1
"""Kinds. A reader skips whole frames of a kind it does not know."""

_LENGTH_MASK = 0xFFFFFF
_prefix = Struct("<II")
pack_prefix, _unpack = _prefix.pack, _prefix.unpack_from


class Position(NamedTuple):
    """A place between two frames. Opaque to callers; store it as its two integers."""

    segment: int
    offset: int


START = Position(0, 0)
"""Before the first record of a directory."""


class Header(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The first frame of a segment.

    `previous` is where the journal stands before this segment: its last segment and that one's end. What
    lies behind that end is not part of the journal (after a failed sync it was written again here).
    `open_from` is the lowest segment that holds a `begin` still open when this segment began.
    """

    version: int
    boot: str
    segment: int
    previous: tuple[int, int] | None = None
    open_from: int


_encode_header = msgspec.json.Encoder().encode
_decode_header = msgspec.json.Decoder(Header).decode


def seed_of(boot: str, segment: int) -> int:
    """Return what the CRCs of one segment start from; each adds its frame's position."""
    return crc32(f"{boot}/{segment}".encode())


def frame(payload: bytes, seed: int, offset: int, kind: int = RECORD) -> bytes:
    """Return `payload` framed for the place `offset`. Raises RecordTooLarge."""
    size = len(payload)
    if not 0 < size <= MAX_PAYLOAD_BYTES:
        raise RecordTooLarge(size, MAX_PAYLOAD_BYTES)
    word = kind << 24 | size
    return pack_prefix(word, crc32(payload, (seed + offset) ^ word)) + payload


def header_frame(header: Header) -> bytes:
    """Return the frame a segment starts with."""
    return frame(_encode_header(header), seed_of(header.boot, header.segment), 0, HEADER)


def read_header(block: bytes, boot: str, segment: int) -> Header | None:
    """Return the header at the start of a segment, or None where there is none that reads."""
    found = frame_at(block, 0, 0, seed_of(boot, segment))
    if found is None or found[0] != HEADER:
        return None
    try:
        return _decode_header(found[1])
    except msgspec.ValidationError:
        return None


def frame_at(block: bytes, at: int, offset: int, seed: int) -> tuple[int, bytes] | None:
    """Return (kind, payload) of the frame at `block[at:]`, which is `offset` in its segment; None if bad."""
    if len(block) - at <= PREFIX_BYTES:
        return None
    word, crc = _unpack(block, at)
    size = word & _LENGTH_MASK
    payload = block[at + PREFIX_BYTES : at + PREFIX_BYTES + size]
    if not 0 < size <= MAX_PAYLOAD_BYTES or len(payload) != size:
        return None
    if crc32(payload, (seed + offset) ^ word) != crc:
        return None
    return word >> 24, payload


class Parsed(NamedTuple):
    """Records of one block, each with the offset behind it; where reading stopped; whether at a bad frame.

    `bad` False: the next frame is not wholly in the block. `bad` True: what stands at `offset` is no frame
    (or the end word).
    """

    records: list[tuple[int, bytes]]
    offset: int
    bad: bool


def parse(block: bytes, offset: int, seed: int, limit: int) -> Parsed:
    """Return at most `limit` records of `block`, whose first byte is at `offset` in its segment."""
    records: list[tuple[int, bytes]] = []
    at, size_bytes, base = 0, len(block), offset
    while len(records) < limit and at + PREFIX_BYTES <= size_bytes:
        word, crc = _unpack(block, at)
        size = word & _LENGTH_MASK
        if not 0 < size <= MAX_PAYLOAD_BYTES:
            return Parsed(records, base + at, bad=True)
        end = at + PREFIX_BYTES + size
        if end > size_bytes:
            break
        payload = block[at + PREFIX_BYTES : end]
        if crc32(payload, (seed + base + at) ^ word) != crc:
            return Parsed(records, base + at, bad=True)
        at = end
        if word <= _LENGTH_MASK:
            records.append((base + at, payload))
    return Parsed(records, base + at, bad=False)


def find_frame(block: bytes, offset: int, seed: int) -> int | None:
    """Return the offset of the first good record in `block`, which starts at `offset`; None if there is none.

    A record's word ends in two zero bytes and JSON holds none, so candidates are few; the seeded CRC decides.
    """
    at = block.find(b"\0\0", 2)
    while at >= 0:
        start = at - 2
        found = frame_at(block, start, offset + start, seed)
        if found is not None and found[0] == RECORD:
            return offset + start
        at = block.find(b"\0\0", at + 1)
    return None


def unsynced_records(batches: list[tuple[int, list[bytes]]], synced: int) -> list[tuple[int, bytes]]:
    """Return (mark, payload) of the records in written batches that are not known to be synced.

    A batch carries the mark of its last record; the ones before it get the mark that was reached before.
    """
    found: list[tuple[int, bytes]] = []
    before = synced
    for mark, frames in batches:
        if mark <= synced:
            continue
        payloads = [frame[PREFIX_BYTES:] for frame in frames if frame[3] == RECORD]
        found += [(before, payload) for payload in payloads[:-1]]
        found += [(mark, payload) for payload in payloads[-1:]]
        before = mark
    return found
