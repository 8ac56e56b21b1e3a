"""Reading a boot directory from any process, up to what its owner has synced."""

from pathlib import Path
from typing import Self

from tidegate.stores.journal.directory import read_mark, read_sealed, segments
from tidegate.stores.journal.errors import CorruptFrame
from tidegate.stores.journal.frames import (
    MAX_FRAME_BYTES,
    START,
    Position,
    find_frame,
    parse,
)
from tidegate.stores.journal.segment import SegmentBytes, header_of, previous_of

BLOCK_BYTES = 1 << 20


class Reader:
    """Reads one boot directory in order. A context manager; it keeps one segment open.

    Records are returned up to the published mark; of a sealed directory, up to its end. A record may come
    twice after its owner met a failing disk: ids and sequence numbers tell. `end` reads a directory whose
    lock the caller holds up to there, whatever was published.
    """

    def __init__(self, directory: Path, *, end: Position | None = None) -> None:
        self.directory = directory
        self._segment: SegmentBytes | None = None
        self._end = end or START
        self._fixed = end is not None
        self._sealed = False
        self._follows: dict[int, Position] = {}  # a finished segment -> (the next one, this one's end)

    def read(self, position: Position, limit: int = 1000) -> list[tuple[Position, bytes]]:
        """Return at most `limit` records behind `position`, each with the position behind it.

        Nothing means nothing yet (or `finished`). Raises CorruptFrame when the next record does not read:
        what stood before it was returned by an earlier call.
        """
        found: list[tuple[Position, bytes]] = []
        self._look()
        while len(found) < limit:
            try:
                number, offset = self._enter(position)
                end = self._end_of(number)
                if offset >= end:
                    break
                source = self._open(number)
            except CorruptFrame:
                if found:
                    break
                raise
            wanted = limit - len(found)
            block = source.read(offset, min(BLOCK_BYTES, MAX_FRAME_BYTES + wanted * 1024, end - offset))
            parsed = parse(block, offset, source.seed, wanted)
            found += [(Position(number, behind), payload) for behind, payload in parsed.records]
            if not found and (parsed.bad or parsed.offset == offset):
                raise CorruptFrame(self.directory.name, number, parsed.offset, "no frame reads here")
            if parsed.bad or parsed.offset == offset:
                break
            position = Position(number, parsed.offset)
        return found

    def after(self, corrupt: CorruptFrame) -> Position:
        """Return where reading can go on: before the next record that reads in the segment, or behind it."""
        self._look()
        end = self._end_of(corrupt.segment)
        offset = corrupt.offset + 1
        try:
            source = self._open(corrupt.segment)
        except CorruptFrame:
            return Position(corrupt.segment, end)
        while offset < end:
            block = source.read(offset, min(BLOCK_BYTES + MAX_FRAME_BYTES, end - offset))
            found = find_frame(block, offset, source.seed)
            if found is not None:
                return Position(corrupt.segment, found)
            offset += BLOCK_BYTES
        return Position(corrupt.segment, end)

    def finished(self, position: Position) -> bool:
        """Return whether the directory is sealed and nothing stands behind `position`."""
        self._look()
        return self._sealed and self._enter(position) >= self._end

    def end_of(self, number: int) -> int:
        """Return the offset at which segment `number` ends for now. Raises CorruptFrame where unknown."""
        self._look()
        return self._end_of(number)

    def first(self, lowest: int = 0) -> int:
        """Return the oldest segment of the journal that is there, or was lost from between others.

        Only those from `lowest` on are asked for. Segments missing at the front were removed.
        """
        self._look()
        number = self._end.segment
        here = segments(self.directory)
        while any(lowest <= other < number for other in here):
            before = self._before(number).segment
            if before < lowest or not any(other <= before for other in here):
                break
            number = before
        return number

    def lag_bytes(self, position: Position) -> int:
        """Return about how many bytes stand between `position` and the end; whole segments by their ends."""
        self._look()
        number, offset = self._enter(position)
        total = -offset
        while number < self._end.segment:
            number, size = self._next(number)
            total += size
        return max(0, total + self._end.offset)

    def close(self) -> None:
        """Give the open segment back."""
        if self._segment is not None:
            self._segment.close()
            self._segment = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _look(self) -> None:
        """Learn how far reading may go now."""
        if self._sealed or self._fixed:
            return
        sealed = read_sealed(self.directory)
        if sealed is not None:
            self._sealed = True
            self._end = Position(sealed.segment, sealed.end)
            return
        mark = read_mark(self.directory)
        if mark is not None and mark > self._end:
            self._end = mark

    def _enter(self, position: Position) -> Position:
        """Return `position`, or the beginning of the next segment where its own is finished."""
        number, offset = position
        if number == 0:
            return Position(self.first(), 0) if segments(self.directory) else self._end
        while number < self._end.segment and offset >= self._end_of(number):
            number, offset = self._next(number).segment, 0
        return Position(number, offset)

    def _end_of(self, number: int) -> int:
        if number == self._end.segment:
            return self._end.offset
        return self._next(number).offset if number < self._end.segment else 0

    def _next(self, number: int) -> Position:
        """Return the segment behind `number` and the offset at which `number` itself ends.

        Headers tell, from the newest back: a segment given up after a failed sync is in no header.
        """
        if number not in self._follows:
            here = self._end.segment
            while here > number:
                before = self._before(here)
                self._follows[before.segment] = Position(here, before.offset)
                here = before.segment
            if here != number:
                raise CorruptFrame(self.directory.name, number, 0, "the segment is not part of the journal")
        return self._follows[number]

    def _before(self, number: int) -> Position:
        header = header_of(self.directory, number)
        before = previous_of(header) if header is not None else None
        if before is not None:
            return before
        # Its header does not read: the segment before it by number, up to where that one reads.
        lower = [other for other in segments(self.directory) if other < number]
        if not lower:
            raise CorruptFrame(self.directory.name, number, 0, "what stood before this segment is gone")
        try:
            return Position(lower[-1], readable_end(self.directory, lower[-1], 0))
        except ValueError as error:
            raise CorruptFrame(self.directory.name, lower[-1], 0, str(error)) from error

    def _open(self, number: int) -> SegmentBytes:
        if self._segment is None or self._segment.number != number:
            self.close()
            try:
                self._segment = SegmentBytes(self.directory, number)
            except (FileNotFoundError, ValueError) as error:
                raise CorruptFrame(
                    self.directory.name, number, 0, f"no such segment reads: {error}"
                ) from error
        return self._segment


def readable_end(directory: Path, number: int, offset: int) -> int:
    """Return the offset of the first thing behind `offset` (a frame's beginning) that is no good frame."""
    with SegmentBytes(directory, number) as source:
        while True:
            block = source.read(offset, BLOCK_BYTES)
            parsed = parse(block, offset, source.seed, len(block))
            if parsed.bad or parsed.offset == offset:
                return parsed.offset
            offset = parsed.offset
