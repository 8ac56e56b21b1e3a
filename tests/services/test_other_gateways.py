import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from tests.support.calls import HOLD, NOON_US, attempt, begin, end, settled
from tidegate.model.budget import Budget, Share, Window
from tidegate.model.record import encode
from tidegate.policy.interrupted import closing
from tidegate.services.budgets import Budgets
from tidegate.services.clock import Clock
from tidegate.services.other_gateways import OtherGateways
from tidegate.stores.journal import Journal, Reader, seal
from tidegate.stores.journal.directory import read_sealed
from tidegate.stores.journal.frames import START
from tidegate.stores.spent import OpenHold, Read, Spent

BOOT = "0198a000-0000-7000-8000-000000000001"
OWN = "0198a000-0000-7000-8000-000000000002"
ACCOUNT = "b|tokens|total|"


def share(amount: int) -> tuple[Share, ...]:
    return (Share(ACCOUNT, 0, amount),)


def held(id_: str, amount: int) -> bytes:
    return encode(begin(id_, hold=replace(HOLD, shares=share(amount))))


def over(id_: str, amount: int) -> bytes:
    return encode(end(id_, last=settled(charges=share(amount))))


class Place:
    """A journal of another gateway, and the budgets of this one."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.journal = Journal.open(root, boot=BOOT)
        self.mark = 0

    def budgets(self, spent: Spent | None = None) -> tuple[Budgets, OtherGateways]:
        made = Budgets(Clock(wall_us=lambda: NOON_US), on_crossed=lambda standing, permille: None)
        rule = Budget(name="b", limit=100, unit="tokens", window=Window("total"))
        made.configure([rule], (), lambda _base, _quote: None)
        others = OtherGateways(self.root, OWN, made)
        others.begin(spent, NOON_US)
        return made, others

    async def begin(self, id_: str, amount: int) -> None:
        await self.journal.synced(self.journal.begin(id_, held(id_, amount)))

    async def end(self, id_: str, amount: int) -> None:
        await self.journal.synced(self.journal.end(id_, over(id_, amount)))

    async def again(self, id_: str, charged: int, amount: int) -> None:
        record = attempt(id_, 1, settled(status="error", charges=share(charged)))
        raw = encode(replace(record, hold=replace(HOLD, shares=share(amount))))
        await self.journal.synced(self.journal.append(raw, of=id_))


def left(budgets: Budgets) -> int:
    (account,) = budgets.accounts({})
    return account.standing(NOON_US).left


def run(root: Path, main: Callable[[Place], Coroutine[Any, Any, None]]) -> None:
    async def there() -> None:
        place = Place(root)
        await main(place)
        await place.journal.close()

    asyncio.run(asyncio.wait_for(there(), 20))


def test_what_a_gateway_before_held_and_spent_counts(tmp_path: Path) -> None:
    async def main(place: Place) -> None:
        await place.begin("r1", 30)
        await place.begin("r2", 20)
        await place.end("r1", 10)
        budgets, others = place.budgets()
        assert left(budgets) == 70
        await place.end("r2", 5)
        others.look()
        assert left(budgets) == 85

    run(tmp_path, main)


def test_a_further_attempt_settles_the_one_before_it(tmp_path: Path) -> None:
    async def main(place: Place) -> None:
        await place.begin("r1", 30)
        await place.again("r1", 3, 40)
        budgets, others = place.budgets()
        assert left(budgets) == 57
        await place.end("r1", 4)
        others.look()
        assert left(budgets) == 93

    run(tmp_path, main)


def test_a_record_that_comes_twice_counts_once(tmp_path: Path) -> None:
    async def main(place: Place) -> None:
        await place.begin("r1", 30)
        await place.journal.synced(place.journal.append(held("r1", 30)))
        budgets, others = place.budgets()
        assert left(budgets) == 70
        await place.journal.synced(place.journal.append(over("r1", 10)))
        await place.end("r1", 10)
        others.look()
        assert left(budgets) == 90

    run(tmp_path, main)


def test_reading_goes_on_where_the_sums_end(tmp_path: Path) -> None:
    async def main(place: Place) -> None:
        await place.begin("r1", 30)
        await place.end("r1", 10)
        await place.begin("r2", 20)
        reader = Reader(tmp_path / BOOT)
        position = reader.read(START)[-1][0]
        reader.close()
        open_ = (OpenHold("r2", 0, share(20)),)
        read = Read(segment=position.segment, offset=position.offset, open=open_)
        await place.end("r2", 5)
        budgets, _ = place.budgets(Spent(at_us=1, charges=share(10), journals={BOOT: read}))
        assert left(budgets) == 85

    run(tmp_path, main)


def test_a_gateway_that_died_is_charged_what_it_held(tmp_path: Path) -> None:  # trap M8
    async def main(place: Place) -> None:
        await place.begin("r1", 30)
        await place.end("r1", 10)
        await place.begin("r2", 20)

    run(tmp_path, main)
    budgets, others = _closed(tmp_path).budgets()
    assert left(budgets) == 70
    assert others._known == {}
    assert read_sealed(tmp_path / BOOT) is not None, "nobody else would have read it to its end"
    assert left(_closed(tmp_path).budgets()[0]) == 70


def test_damage_is_passed_over_and_its_call_is_charged_what_it_held(tmp_path: Path) -> None:
    async def main(place: Place) -> None:
        await place.begin("r1", 30)
        await place.end("r1", 10)
        await place.begin("r2", 20)
        await place.end("r2", 5)

    run(tmp_path, main)
    seal(tmp_path / BOOT, closing(NOON_US))
    (segment,) = (path for path in (tmp_path / BOOT).iterdir() if b'"r1"' in path.read_bytes())
    raw = segment.read_bytes()
    damaged = raw.index(over("r1", 10)) + 10
    segment.write_bytes(raw[:damaged] + b"?" + raw[damaged + 1 :])
    budgets, others = _closed(tmp_path).budgets()
    assert left(budgets) == 100 - 30 - 5
    assert others._known == {}


def _closed(root: Path) -> Place:
    place = Place.__new__(Place)
    place.root = root
    return place
