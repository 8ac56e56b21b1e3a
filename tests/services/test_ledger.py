import asyncio
from collections.abc import Callable
from itertools import count

import pytest

from tidegate.model.errors import NotFound, Unauthenticated, Unavailable
from tidegate.model.provider import Target
from tidegate.model.record import (
    Attempt,
    Begin,
    End,
    Hold,
    Measured,
    Note,
    Outcome,
    Progress,
    Refused,
    RefusedMany,
    Settled,
    Who,
    decode_gateway,
)
from tidegate.services.clock import Clock
from tidegate.services.ledger import MINUTE_US, Entry, Ledger

HOLD = Hold(input_tokens=1, output_tokens=2)
TARGET = Target(provider="openai", deployment="d", model="m")
WHO = Who(tenant="acme", key="k")


class Memory:
    """A journal in memory; `full` refuses all but ends."""

    def __init__(self) -> None:
        self.raw: list[bytes] = []
        self.full = False

    def begin(self, id: str, payload: bytes) -> int:  # noqa: A002
        return self.append(payload)

    def append(self, payload: bytes, *, of: str = "") -> int:
        if self.full:
            raise Unavailable("no room")
        self.raw.append(payload)
        return len(self.raw)

    def end(self, id: str, payload: bytes) -> int:  # noqa: A002
        self.raw.append(payload)
        return len(self.raw)

    async def written(self, mark: int) -> None:
        assert mark <= len(self.raw)

    async def synced(self, mark: int) -> None:
        assert mark <= len(self.raw)

    @property
    def records(self) -> list[object]:
        return [decode_gateway(raw) for raw in self.raw]


def ledger(now: Callable[[], int] = lambda: 5, *, per_minute: int = 600) -> tuple[Ledger, Memory]:
    memory = Memory()
    return Ledger(memory, Clock(wall_us=now), refused_per_minute=per_minute), memory


def begin(to: Ledger) -> Entry:
    return to.begin(
        Begin(
            seq=to.next_seq(),
            at=4,
            id="r1",
            snapshot=7,
            surface="chat",
            who=WHO,
            model_asked="m",
            target=TARGET,
            hold=HOLD,
            measured=Measured(body_bytes=3),
        )
    )


def end(to: Ledger, outcome: Outcome = "ok") -> End:
    return End(seq=to.next_seq(), at=9, id="r1", outcome=outcome, last=Settled(status="ok"))


def test_a_simple_call_is_two_records_in_order() -> None:
    here, memory = ledger()
    entry = begin(here)
    entry.close(end(here))
    first, last = memory.records
    assert isinstance(first, Begin)
    assert isinstance(last, End)
    assert (first.id, last.id, first.seq, last.seq, first.snapshot) == ("r1", "r1", 1, 2, 7)


def test_closing_twice_is_closing_once() -> None:  # trap M8
    here, memory = ledger()
    entry = begin(here)
    entry.close(end(here))
    entry.close(end(here, "failed"))
    assert len(memory.raw) == 2


def test_an_attempt_settles_the_one_before_it() -> None:  # trap M7
    here, memory = ledger()
    entry = begin(here)
    entry.attempt(1, Settled(status="unreachable", sent="no"), TARGET, HOLD, "upstream_unreachable")
    entry.progress(1, 1000, 4000)

    async def waits() -> None:
        await entry.written()
        await entry.synced()

    asyncio.run(waits())
    attempt, progress = memory.records[1:]
    assert isinstance(attempt, Attempt)
    assert isinstance(progress, Progress)
    assert (attempt.n, attempt.previous.status, progress.output_tokens) == (1, "unreachable", 1000)


def test_without_room_no_call_begins() -> None:
    here, memory = ledger()
    memory.full = True
    with pytest.raises(Unavailable):
        begin(here)


def test_a_refusal_of_a_known_key_is_always_a_record() -> None:
    here, memory = ledger(per_minute=0)
    here.refuse(NotFound("no"), request_id="r", surface="chat", who=WHO, model_asked="x" * 999)
    (record,) = memory.records
    assert isinstance(record, Refused)
    assert (record.http, record.code, record.who, len(record.model_asked)) == (404, "not_found", WHO, 256)


def test_a_flood_without_a_key_is_counted_per_minute() -> None:
    now = count(MINUTE_US, 1)
    here, memory = ledger(lambda: next(now), per_minute=3)
    for _ in range(10):
        here.refuse(Unauthenticated("who?"), request_id="r", surface="chat")
    assert [type(record) for record in memory.records] == [Refused] * 3
    here.flush_refused()
    here.flush_refused()
    many = memory.records[3:]
    assert [(one.code, one.count, one.minute_us) for one in many if isinstance(one, RefusedMany)] == [
        ("invalid_api_key", 7, MINUTE_US)
    ]
    assert len(many) == 1


def test_a_new_minute_writes_the_counts_of_the_last() -> None:
    times = iter([MINUTE_US] * 5 + [2 * MINUTE_US] * 3)
    here, memory = ledger(lambda: next(times), per_minute=1)
    for _ in range(5):
        here.refuse(Unauthenticated("who?"), request_id="r", surface=None)
    here.refuse(Unauthenticated("who?"), request_id="r", surface=None)
    assert [type(record).__name__ for record in memory.records] == ["Refused", "RefusedMany", "Refused"]


def test_what_no_money_hangs_on_is_counted_when_there_is_no_room() -> None:
    here, memory = ledger()
    memory.full = True
    here.note("gateway_started", version="1")
    assert here.lost_notes == 1
    memory.full = False
    here.note("model_drift", "r1", asked="a")
    (record,) = memory.records
    assert isinstance(record, Note)
    assert (record.kind, record.id, record.facts) == ("model_drift", "r1", {"asked": "a"})
