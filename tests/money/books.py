"""What gateways wrote of budgets, added up by itself: no part of the code that admits takes part in this."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tidegate.model.budget import Share
from tidegate.model.record import Attempt, Begin, End, decode_gateway
from tidegate.services.ledger import Log

Place = tuple[str, int]
"""An account, and the start of one of its windows."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What one account may come to; of a window, or of `span_us` back from it where it rolls."""

    amount: int
    span_us: int = 0


@dataclass
class Books:
    """Sums of every record, and an assertion for each that must hold.

    `limits` are those in force by account; an account that is not in it cannot refuse. `most` is the highest
    limit that a window was admitted by, `beyond` what may come on top: bills above their holds, and what a
    gateway took that only drained. `ahead` are, by gateway, attempts that are settled and whose records are
    still to come, since their calls wait for the next: what they held, and what they came to. `wrong` is
    every assertion that did not hold.
    """

    limits: dict[str, Limit] = field(default_factory=dict)
    raised: dict[Place, int] = field(default_factory=dict)
    spent: dict[Place, int] = field(default_factory=dict)
    held: dict[Place, int] = field(default_factory=dict)
    beyond: dict[Place, int] = field(default_factory=dict)
    most: dict[Place, int] = field(default_factory=dict)
    ahead: dict[str, list[tuple[tuple[Share, ...], tuple[Share, ...]]]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    open: dict[str, tuple[int, tuple[Share, ...], str]] = field(default_factory=dict)
    settled: dict[tuple[str, int], tuple[Share, ...]] = field(default_factory=dict)

    def take(self, payload: bytes, boot: str, *, admits: bool) -> None:
        """Take in one record as a gateway wrote it."""
        match decode_gateway(payload):
            case Begin(id=ident, hold=hold):
                assert ident not in self.open
                assert (ident, 0) not in self.settled, "a call began twice"
                self._hold(ident, 0, hold.shares, boot, admits=admits)
            case Attempt(id=ident, n=n, previous=previous, hold=hold):
                self._settle(ident, n - 1, previous.charges)
                self._hold(ident, n, hold.shares, boot, admits=admits)
            case End(id=ident, n=n, last=last):
                self._settle(ident, n, last.charges)
            case _:
                pass

    def died(self, boot: str) -> None:
        """A gateway was killed: what it held is charged."""
        for ident, (n, shares, whose) in tuple(self.open.items()):
            if whose == boot:
                self._settle(ident, n, shares)
        self.ahead.pop(boot, None)

    def settled_in_memory(self, boot: str, held: tuple[Share, ...], charged: tuple[Share, ...]) -> None:
        """An attempt was settled, and its record is still to come."""
        self.ahead.setdefault(boot, []).append((held, charged))

    def used(self, account: str, window_us: int) -> int:
        """What is spent and held of an account, as it counts in a window."""
        span_us = self.limits[account].span_us if account in self.limits else 0
        held, spent = dict(self.held), dict(self.spent)
        for took, came_to in (one for found in self.ahead.values() for one in found):
            for share in took:
                _add(held, share, -share.amount)
            for share in came_to:
                _add(spent, share, share.amount)
        if not span_us:
            return held.get((account, window_us), 0) + spent.get((account, window_us), 0)
        counted = (
            at for (name, start), at in spent.items() if name == account and start >= window_us - span_us
        )
        return sum(counted) + sum(at for (name, _), at in held.items() if name == account)

    def limit(self, account: str, window_us: int) -> int:
        """What an account may come to in a window, with what people gave."""
        limit = self.limits[account]
        if not limit.span_us:
            return limit.amount + self.raised.get((account, window_us), 0)
        since_us = window_us - limit.span_us
        given = (at for (name, start), at in self.raised.items() if name == account and start >= since_us)
        return limit.amount + sum(given)

    def _hold(self, ident: str, n: int, shares: tuple[Share, ...], boot: str, *, admits: bool) -> None:
        self.open[ident] = n, shares, boot
        for one in shares:
            _add(self.held, one, one.amount)
            if one.account not in self.limits:
                continue
            if not admits:
                _add(self.beyond, one, one.amount)
                continue
            limit, used = self.limit(one.account, one.window_us), self.used(one.account, one.window_us)
            place = one.account, one.window_us
            beyond = sum(
                amount
                for (name, start), amount in self.beyond.items()
                if (name, start) == place or (name == one.account and self.limits[name].span_us)
            )
            assert used <= limit + beyond, (one, used, limit, beyond)
            self.most[place] = max(limit, self.most.get(place, 0))

    def _settle(self, ident: str, n: int, charges: tuple[Share, ...]) -> None:
        assert (ident, n) not in self.settled, "an attempt was settled twice"
        held_n, shares, boot = self.open.pop(ident)
        if (shares, charges) in (ahead := self.ahead.get(boot, [])):
            ahead.remove((shares, charges))
        assert held_n == n, "an attempt was never settled"
        self.settled[ident, n] = charges
        assert [(one.account, one.window_us) for one in charges] == [(o.account, o.window_us) for o in shares]
        for held, charged in zip(shares, charges, strict=True):
            _add(self.held, held, -held.amount)
            _add(self.spent, charged, charged.amount)
            _add(self.beyond, charged, max(0, charged.amount - held.amount))

    def check_bound(self) -> None:
        """No window is spent beyond its limit but by bills above their holds (decision 018)."""
        assert self.wrong == []
        for (account, window_us), most in self.most.items():
            if account in self.limits and not self.limits[account].span_us:
                beyond = self.beyond.get((account, window_us), 0)
                assert self.used(account, window_us) <= most + beyond, (account, most, beyond)


def _add(sums: dict[Place, int], share: Share, amount: int) -> None:
    place = share.account, share.window_us
    sums[place] = sums.get(place, 0) + amount


def not_zero(sums: Mapping[Any, int]) -> dict[Any, int]:
    """The sums that are not 0."""
    return {place: amount for place, amount in sums.items() if amount}


@dataclass(slots=True)
class Copied:
    """A gateway's log that also tells the books, until the gateway is dead."""

    log: Log
    books: Books
    boot: str
    admits: bool = True
    is_dead: bool = False

    def begin(self, id: str, payload: bytes) -> int:  # noqa: A002 - the log's own word
        mark = self.log.begin(id, payload)
        self._tell(payload)
        return mark

    def append(self, payload: bytes, *, of: str = "") -> int:
        mark = self.log.append(payload, of=of)
        self._tell(payload)
        return mark

    def end(self, id: str, payload: bytes) -> int:  # noqa: A002
        mark = self.log.end(id, payload)
        if mark:
            self._tell(payload)
        return mark

    def written(self, mark: int) -> Any:
        return self.log.written(mark)

    def synced(self, mark: int) -> Any:
        return self.log.synced(mark)

    def _tell(self, payload: bytes) -> None:
        if self.is_dead:
            return
        try:
            self.books.take(payload, self.boot, admits=self.admits)
        except AssertionError as error:
            self.books.wrong.append(str(error))  # the gateway itself must not notice
