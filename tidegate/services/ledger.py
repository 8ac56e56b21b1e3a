"""Every call's record, begun before its provider is called and closed on every way out.

Closing is arithmetic in memory and an append: it never awaits, so no cancel, disconnect or shutdown can lose
it (trap S14).
"""

from collections.abc import Awaitable
from typing import Protocol

from tidegate.model.errors import TidegateError
from tidegate.model.provider import Target
from tidegate.model.record import (
    Attempt,
    Begin,
    End,
    Hold,
    Note,
    Progress,
    Refused,
    RefusedMany,
    Settled,
    Who,
    encode,
)
from tidegate.model.request import Surface
from tidegate.services.clock import Clock

MINUTE_US = 60_000_000


class Log(Protocol):
    """The part of the journal that the ledger writes to."""

    def begin(self, id: str, payload: bytes) -> int:  # noqa: A002 - the journal's own word
        """Append a begin and set room aside for its end. Raises Unavailable."""
        ...

    def append(self, payload: bytes, *, of: str = "") -> int:
        """Append any other record; `of` is the open call of an attempt. Raises Unavailable."""
        ...

    def end(self, id: str, payload: bytes) -> int:  # noqa: A002
        """Append the end of a begun call; always succeeds."""
        ...

    def written(self, mark: int) -> Awaitable[None]:
        """A wait until a record is with the operating system."""
        ...

    def synced(self, mark: int) -> Awaitable[None]:
        """A wait until a record is on the disk."""
        ...


class Entry:
    """One call's records, from `begin` to `close`."""

    __slots__ = ("_ledger", "closed", "id", "mark")

    def __init__(self, ledger: "Ledger", request_id: str, mark: int) -> None:
        self._ledger = ledger
        self.id = request_id
        self.mark = mark
        self.closed = False

    def attempt(self, n: int, previous: Settled, target: Target, hold: Hold, reason: str) -> None:
        """Record that another upstream call follows; `previous` settles the one before it."""
        ledger = self._ledger
        record = Attempt(
            seq=ledger.next_seq(),
            at=ledger.clock.wall_us(),
            id=self.id,
            n=n,
            previous=previous,
            target=target,
            hold=hold,
            reason=reason,
        )
        self.mark = ledger.log.append(encode(record), of=self.id)

    def progress(self, n: int, output_tokens: int, output_bytes: int) -> None:
        """Record how far a long stream is, so that a crash leaves a small gap; without room it goes on."""
        ledger = self._ledger
        record = Progress(
            seq=ledger.next_seq(),
            at=ledger.clock.wall_us(),
            id=self.id,
            n=n,
            output_tokens=output_tokens,
            output_bytes=output_bytes,
        )
        ledger.append_quietly(encode(record))

    def close(self, record: End) -> None:
        """Record the end; a second call does nothing."""
        if not self.closed:
            self.closed = True
            self._ledger.log.end(self.id, encode(record))

    def note(self, kind: str, **facts: str | int) -> None:
        """Record an event of this call."""
        self._ledger.note(kind, self.id, **facts)

    def written(self) -> Awaitable[None]:
        """A wait until the latest begin or attempt is with the operating system."""
        return self._ledger.log.written(self.mark)

    def synced(self) -> Awaitable[None]:
        """A wait until the latest begin or attempt is on the disk: the client's first byte waits for this."""
        return self._ledger.log.synced(self.mark)


class Ledger:
    """Writes the records of one gateway process."""

    def __init__(self, log: Log, clock: Clock, *, refused_per_minute: int = 600) -> None:
        self.log = log
        self.clock = clock
        self._seq = 0
        self._refused_per_minute = refused_per_minute
        self._minute = 0
        self._nameless: dict[str, int] = {}
        self._nameless_written = 0
        self.lost_notes = 0

    def next_seq(self) -> int:
        """The next sequence number of this boot, from 1."""
        self._seq += 1
        return self._seq

    def begin(self, record: Begin) -> Entry:
        """Record a call that is about to reach its provider. Raises Unavailable without room for its end."""
        return Entry(self, record.id, self.log.begin(record.id, encode(record)))

    def refuse(
        self,
        error: TidegateError,
        *,
        request_id: str,
        surface: Surface | None,
        who: Who | None = None,
        model_asked: str = "",
        body_bytes: int = 0,
        duration_us: int = 0,
    ) -> None:
        """Record a call that reached no provider. Nameless ones beyond a rate are counted per minute."""
        now_us = self.clock.wall_us()
        if who is None and self._over_rate(error.code, now_us):
            return
        self.append_quietly(
            encode(
                Refused(
                    seq=self.next_seq(),
                    at=now_us,
                    id=request_id,
                    surface=surface,
                    http=error.status,
                    code=error.code,
                    who=who,
                    model_asked=model_asked[:256],
                    body_bytes=body_bytes,
                    duration_us=duration_us,
                )
            )
        )

    def note(self, kind: str, request_id: str = "", **facts: str | int) -> None:
        """Record an event."""
        record = Note(seq=self.next_seq(), at=self.clock.wall_us(), kind=kind, id=request_id, facts=facts)
        self.append_quietly(encode(record))

    def flush_refused(self) -> None:
        """Record the counts of the minutes that are over; called every so often and at the end."""
        for code, count in self._nameless.items():
            record = RefusedMany(
                seq=self.next_seq(),
                at=self.clock.wall_us(),
                minute_us=self._minute * MINUTE_US,
                code=code,
                count=count,
            )
            self.append_quietly(encode(record))
        self._nameless.clear()

    def _over_rate(self, code: str, now_us: int) -> bool:
        minute = now_us // MINUTE_US
        if minute != self._minute:
            self.flush_refused()
            self._minute, self._nameless_written = minute, 0
        if self._nameless_written < self._refused_per_minute:
            self._nameless_written += 1
            return False
        self._nameless[code] = self._nameless.get(code, 0) + 1
        return True

    def append_quietly(self, payload: bytes) -> None:
        """Append what no money hangs on; without room it is counted, not raised."""
        try:
            self.log.append(payload)
        except TidegateError:
            self.lost_notes += 1
