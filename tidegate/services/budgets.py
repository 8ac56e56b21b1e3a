"""Budgets in memory: what is held and what is spent of each account, and whose turn it is to wait.

**Guarantee.** What a hard budget's account has spent and held never passes its limit by an admission of this
process. It passes by what attempts cost beyond their holds, and by what another gateway that runs at the same
time (the one before, while it drains) admits before its records are read: see decision 018.

One process admits for one machine, in memory: a hold is arithmetic, never a round trip. Nothing is awaited
between looking and holding.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tidegate.model.budget import Budget, Dimension, Raise, Share
from tidegate.model.errors import BudgetExceeded, Unavailable
from tidegate.model.money import Fx
from tidegate.policy.budget import (
    Standing,
    account_of,
    crossed,
    falls_under,
    in_unit,
)
from tidegate.policy.budget_words import refusal
from tidegate.services.budget_accounts import Account, Spell, Sums
from tidegate.services.clock import Clock

MAX_ACCOUNTS = 262_144
"""Beyond, accounts of which nothing counts any more are forgotten; else none is added."""

ROOM_PARTS = 4
"""Of the room that is left, a call that makes do with less takes one part."""

Rate = Callable[[str, str], Fx | None]
"""The exchange rate from one currency into another, None where none is known."""

Values = Mapping[Dimension, tuple[str, ...]]
"""All names that a call has in each dimension, the one to keep an account by first."""


class Cost(NamedTuple):
    """What an attempt may take, or took. `nano` is None where no price is known, both where nothing is."""

    tokens: int | None
    nano: int | None
    currency: str
    calls: int = 1


@dataclass(slots=True)
class Hold:
    """What one attempt holds; `standings` are its accounts as they were just before.

    `charges` is what each account was charged in the end, None before. `is_short`: it is for less than was
    asked for first.
    """

    shares: tuple[Share, ...] = ()
    standings: tuple[Standing, ...] = ()
    charges: tuple[Share, ...] | None = None
    is_short: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing was held. `only_held`: it fits when others have settled for less than they hold."""

    standing: Standing
    asked: int | None
    only_held: bool


@dataclass(slots=True, eq=False)
class _Waiter:
    """A call in the queue. `shorter` is what it would make do with instead of `cost`, if anything."""

    values: Values
    accounts: tuple[Account, ...]
    strict: frozenset[Account]
    cost: Cost
    shorter: Cost | None
    turn: "asyncio.Future[Hold | Refusal]"
    is_short: bool = False

    def makes_do(self) -> None:
        """Ask for the shorter one from now on."""
        if self.shorter is not None:
            self.cost, self.shorter, self.is_short = self.shorter, None, True

    async def wait(self, for_s: float) -> "Hold | Refusal | None":
        """What became of it; None where that is open after so many seconds."""
        try:
            async with asyncio.timeout(for_s):
                return await asyncio.shield(self.turn)
        except TimeoutError:
            return self.turn.result() if self.turn.done() else None


class Budgets:
    """The budgets of one gateway process: the budget authority of one machine.

    `on_crossed` is told once for each share of a limit that is reached in a window.
    """

    def __init__(self, clock: Clock, *, on_crossed: Callable[[Standing, int], None]) -> None:
        self._clock = clock
        self._on_crossed = on_crossed
        self._rules: tuple[Budget, ...] = ()
        self._rate: Rate = lambda _base, _quote: None
        self._accounts: dict[str, Account] = {}
        self._sums: dict[str, Sums] = {}
        self._waiting: list[_Waiter] = []
        self._not_before_us = 0

    @property
    def limits_nothing(self) -> bool:
        """Whether there are no budgets at all."""
        return not self._rules

    def configure(self, rules: Sequence[Budget], raises: Iterable[Raise], rate: Rate) -> None:
        """Apply other rules from now on; what was spent and held of accounts that stay still counts."""
        self._rules = tuple(rules)
        self._rate = rate
        self._accounts.clear()
        for sums in self._sums.values():
            for spell in sums.spells.values():
                spell.raised = 0
        for one in raises:
            self._spell(one).raised += one.amount
        for waiter in tuple(self._waiting):
            try:
                waiter.accounts = self.accounts(waiter.values)
                waiter.strict = _strict(waiter.accounts)
            except Unavailable as error:
                self._waiting.remove(waiter)
                waiter.turn.set_exception(error)
        self._wake()

    def load(self, spent: Iterable[Share], at_us: int) -> None:
        """Take in what was spent before this process began, in the windows that counted at `at_us`.

        No time before that comes again: the windows that were over then are left out (case F18).
        """
        self._not_before_us = max(self._not_before_us, at_us)
        for share in spent:
            self._spell(share).spent += share.amount
            sums = self._sums[share.account]
            sums.latest_us = max(sums.latest_us, share.window_us)

    def accounts(self, values: Values) -> tuple[Account, ...]:
        """The accounts that a call falls under. Raises Unavailable where there are too many."""
        found = []
        for rule in self._rules:
            if falls_under(rule, values):
                name = account_of(rule, values)
                found.append(self._accounts.get(name) or self._open(rule, name))
        return tuple(found)

    def degraded(self, accounts: Iterable[Account]) -> Standing | None:
        """The first account whose calls have to make do with a cheaper model now, if any."""
        now_us = self._now_us()
        for account in accounts:
            if account.budget.mode == "degrade":
                one = account.standing(now_us)
                if (one.spent + one.held) * 1000 >= one.budget.degrade_permille * one.limit:
                    return one
        return None

    def try_hold(self, accounts: tuple[Account, ...], cost: Cost) -> Hold | Refusal:
        """Hold in every account or in none; who waits for one of them is not passed."""
        if self._waiting:
            strict = _strict(accounts)
            if any(not strict.isdisjoint(waiter.strict) for waiter in self._waiting):
                return self._hold(accounts, cost, queues=True)
        return self._hold(accounts, cost)

    async def hold(
        self, values: Values, cost: Cost, *, wait_s: float, shorter: Cost | None = None
    ) -> Hold | Refusal:
        """Hold for a call, and wait for others to settle where only what they hold stands in the way.

        For `shorter`, where there is one, as soon as `cost` cannot fit any more, or else after half the wait:
        the call keeps its place, for who came later is behind it.
        """
        accounts, turn = self.accounts(values), asyncio.get_running_loop().create_future()
        waiter = _Waiter(values, accounts, _strict(accounts), cost, shorter, turn)
        found = self._tried(waiter, self.try_hold)
        if isinstance(found, Refusal) and wait_s <= 0:
            waiter.makes_do()
            found = self._tried(waiter, self.try_hold)
        if isinstance(found, Hold) or not found.only_held or wait_s <= 0:
            return found
        self._waiting.append(waiter)
        try:
            if waiter.shorter is not None:
                wait_s /= 2
                if (given := await waiter.wait(wait_s)) is not None:
                    return given
                waiter.makes_do()
                self._wake()
            given = await waiter.wait(wait_s)
            return self._tried(waiter, self._hold) if given is None else given
        except asyncio.CancelledError:
            if waiter.turn.done() and not waiter.turn.exception():
                given = waiter.turn.result()
                if isinstance(given, Hold):
                    self.release(given)
            raise
        finally:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
                self._wake()

    def enlarge(self, hold: Hold, cost_of: Callable[[int], Cost], *, least: int, most: int) -> int:
        """Hold for as large a size up to `most` as there is room for; give the size, `least` where none is.

        Where others hold too, a call takes a part of the room alone, so that who comes next finds some.
        `cost_of` rises with the size; `hold` was taken for `least`.
        """
        now_us = self._now_us()
        room = []
        for share, standing in zip(hold.shares, hold.standings, strict=True):
            if standing.budget.mode != "soft":
                account = self._accounts.get(share.account)
                if account is None:
                    return least  # the rules changed in this very moment
                now = account.standing(now_us)
                part = 1 if now.held <= share.amount else ROOM_PARTS
                room.append((standing.budget, share.amount + now.left // part))
        low, high = least, most
        while low < high:
            size = (low + high + 1) // 2
            cost = cost_of(size)
            asked = [(self._amount(cost, budget.unit, up=True), left) for budget, left in room]
            if all(amount is not None and amount <= left for amount, left in asked):
                low = size
            else:
                high = size - 1
        if low > least:
            self._resize(hold, cost_of(low))
        return low

    def settle(self, hold: Hold, cost: Cost) -> tuple[Share, ...]:
        """Put what an attempt came to in place of what it held; give what each account was charged.

        What nobody can say in a unit is charged as it was held. A repeat gives the same and does nothing.
        """
        if hold.charges is not None:
            return hold.charges
        charged = []
        for share, standing in zip(hold.shares, hold.standings, strict=True):
            amount = self._amount(cost, standing.budget.unit, up=False)
            charged.append(Share(share.account, share.window_us, share.amount if amount is None else amount))
        hold.charges = tuple(charged)
        self.moved(hold.shares, charged)
        return hold.charges

    def release(self, hold: Hold) -> None:
        """Give back what an attempt held that was never made; a repeat does nothing."""
        if hold.charges is None:
            hold.charges = ()
            self.moved(hold.shares, ())

    def moved(self, held: Iterable[Share], charged: Iterable[Share]) -> None:
        """Take out what was held and add what was charged, also by another gateway."""
        for share in held:
            self._spell(share).held -= share.amount
        for share in charged:
            self._spell(share).spent += share.amount
            account = self._accounts.get(share.account)
            if account is not None and account.budget.notify_permille and share.amount:
                self._tell(account, share)
        self._wake()

    def held_elsewhere(self, shares: Iterable[Share]) -> None:
        """Count what another gateway holds."""
        for share in shares:
            self._spell(share).held += share.amount

    def exceeded(self, found: Refusal) -> BudgetExceeded:
        """The error for a call that does not fit."""
        return refusal(found.standing, found.asked, now_us=self._now_us())

    def _now_us(self) -> int:
        return max(self._clock.wall_us(), self._not_before_us)

    def _hold(self, accounts: tuple[Account, ...], cost: Cost, *, queues: bool = False) -> Hold | Refusal:
        now_us = self._now_us()
        standings = tuple(one.standing(now_us) for one in accounts)
        shares = []
        for one in standings:
            amount = self._amount(cost, one.budget.unit, up=True)
            if one.budget.mode != "soft":
                if amount is None:
                    return Refusal(one, None, only_held=False)
                if amount > one.left:
                    return Refusal(one, amount, only_held=amount <= one.unspent)
            shares.append(Share(one.account, one.window_us, amount or 0))
        if queues:
            return Refusal(standings[0], shares[0].amount, only_held=True)
        for share in shares:
            self._spell(share).held += share.amount
        return Hold(tuple(shares), standings)

    def _resize(self, hold: Hold, cost: Cost) -> None:
        shares = []
        for share, standing in zip(hold.shares, hold.standings, strict=True):
            amount = self._amount(cost, standing.budget.unit, up=True) or 0
            self._spell(share).held += amount - share.amount
            shares.append(Share(share.account, share.window_us, amount))
        hold.shares = tuple(shares)

    def _wake(self) -> None:
        """Hold for those who wait, in their order, as far as there is room; nobody passes who was first."""
        blocked: set[Account] = set()
        for waiter in tuple(self._waiting):
            if blocked.isdisjoint(waiter.strict):
                found = self._tried(waiter, self._hold)
                if isinstance(found, Hold) or not found.only_held:
                    self._waiting.remove(waiter)
                    waiter.turn.set_result(found)
                    continue
            blocked |= waiter.strict

    def _tried(
        self, waiter: _Waiter, hold: Callable[[tuple[Account, ...], Cost], Hold | Refusal]
    ) -> Hold | Refusal:
        """Hold for one that waits or is about to; where it can never have it all, for less."""
        found = hold(waiter.accounts, waiter.cost)
        if isinstance(found, Refusal) and not found.only_held and waiter.shorter is not None:
            waiter.makes_do()
            found = hold(waiter.accounts, waiter.cost)
        if isinstance(found, Hold):
            found.is_short = waiter.is_short
        return found

    def _amount(self, cost: Cost, unit: str, *, up: bool) -> int | None:
        match unit:
            case "calls":
                return cost.calls
            case "tokens":
                return cost.tokens
            case currency if currency == cost.currency or not cost.nano:
                return cost.nano
            case currency:
                return in_unit(cost.nano, cost.currency, currency, self._rate(cost.currency, currency), up=up)

    def _spell(self, share: Share | Raise) -> Spell:
        return self._sums.setdefault(share.account, Sums()).of(share.window_us)

    def _tell(self, account: Account, share: Share) -> None:
        standing = account.standing(self._now_us())
        before = standing.spent - share.amount
        for permille in crossed(account.budget.notify_permille, before, standing.spent, standing.limit):
            self._on_crossed(standing, permille)

    def _open(self, rule: Budget, name: str) -> Account:
        if name not in self._sums and len(self._sums) >= MAX_ACCOUNTS:
            self._make_room()
            if len(self._sums) >= MAX_ACCOUNTS:
                raise Unavailable(
                    f"Budget {rule.name!r} has too many accounts: {MAX_ACCOUNTS:,} values are in use."
                )
        account = self._accounts[name] = Account(rule, name, self._sums.setdefault(name, Sums()))
        return account

    def _make_room(self) -> None:
        """Forget accounts of windows that are over."""
        now_us = self._now_us()
        for name, account in tuple(self._accounts.items()):
            if account.is_idle(now_us):
                del self._accounts[name]
                self._sums.pop(name, None)


def _strict(accounts: Iterable[Account]) -> frozenset[Account]:
    """Those that can refuse."""
    return frozenset(one for one in accounts if one.budget.mode != "soft")
