"""A person's decision to give one window of a budget more, or less: what it may say, and what it comes to."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, NoReturn

import msgspec

from tidegate.config.budget_rules import COUNTED, wrong_with_amount
from tidegate.config.problem import nearest
from tidegate.model.budget import Budget, Dimension, Raise
from tidegate.model.errors import BadRequest, NotFound
from tidegate.model.identity import Key
from tidegate.model.money import nano_of, scaled, shown
from tidegate.model.record import BudgetRaised
from tidegate.policy.attribute import clean
from tidegate.policy.budget import NOBODY, SECOND_US, Standing, account_of, slice_us, window_of
from tidegate.policy.budget_windows import counts_until_us
from tidegate.policy.budget_words import amount as in_words
from tidegate.services.budget_accounts import Account, Sums
from tidegate.services.budget_rules import PEOPLE
from tidegate.services.pseudonyms import Pseudonyms

MAX_REASON = 256
PSEUDONYM = "pseudonym:"
"""Before a customer or user whose plain name nobody knows any more."""

_AMOUNT = re.compile(r"(?:([A-Za-z]+) *)?([+-]?)(\d{1,12}(?:\.\d{1,18})?)(?: *([A-Za-z]+))?", re.ASCII)


class RaiseRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which account of a budget gets more: `values` are one for each dimension that it is kept per.

    `amount` is an exact decimal, negative to lower, alone or with the budget's unit beside it: `50`,
    `-2.50 EUR`. `tenant` may stand in `values` to say whose customer or user is meant.
    """

    budget: str
    amount: str
    reason: str
    values: dict[Dimension, str] = {}


class Raised(msgspec.Struct, frozen=True, kw_only=True):
    """What was decided. `limit` is what the account may spend now, all raises in it.

    Amounts are in the budget's unit, money in nano-units. From `until_us` on (None: never) the raise is over.
    """

    budget: str
    account: str
    window_us: int
    unit: str
    amount: int
    limit: int
    until_us: int | None


class Known(NamedTuple):
    """What names are understood by."""

    keys: Mapping[str, Key]
    tenants: Collection[str]
    pseudonyms: Pseudonyms


class Raises:
    """Every raise there was, summed by account and window."""

    def __init__(self) -> None:
        self._sums: dict[str, dict[int, int]] = {}

    def replay(self, record: BudgetRaised) -> None:
        """Take in a decision."""
        windows = self._sums.setdefault(record.account, {})
        windows[record.window_us] = windows.get(record.window_us, 0) + record.amount

    def shipped(self, now_us: int) -> tuple[Raise, ...]:
        """Return those of windows that still count."""
        return tuple(
            Raise(account=account, window_us=window_us, amount=amount)
            for account, windows in self._sums.items()
            for window_us, amount in windows.items()
            if amount and counts_until_us(account, window_us) > now_us
        )

    def standing(self, budget: Budget, account: str, now_us: int) -> Standing:
        """Return how an account stood if nothing were spent: its limit has all raises in it."""
        sums = Sums()
        for window_us, amount in self._sums.get(account, {}).items():
            sums.of(window_us).raised = amount
        return Account(budget, account, sums).standing(now_us)


def raise_of(asked: RaiseRequest, budgets: Sequence[Budget], known: Known, now_us: int) -> Raise:
    """Return what a request comes to. Raises NotFound and BadRequest."""
    budget = _budget_of(asked.budget, budgets)
    if not reason_of(asked):
        raise BadRequest("Say why: a raise is recorded with its reason.", param="reason")
    values = _values_of(asked.values, budget, known)
    return Raise(
        account=account_of(budget, values),
        window_us=window_of(budget.window, now_us)[0],
        amount=_amount_of(asked.amount, budget),
    )


def reason_of(asked: RaiseRequest) -> str:
    """Return the reason as it is kept."""
    return clean(asked.reason, MAX_REASON)


def raised(
    asked: RaiseRequest, budgets: Sequence[Budget], more: Raise, raises: Raises, now_us: int
) -> Raised:
    """Return how an account stands with a raise. Raises BadRequest where no limit can be like that."""
    budget = _budget_of(asked.budget, budgets)
    before = raises.standing(budget, more.account, now_us)
    limit, unit = before.limit + more.amount, budget.unit
    if more.amount < 0 and limit < 0:
        raise BadRequest(
            f"Budget {budget.name!r} allows {in_words(before.limit, unit)}; it cannot be lowered by more.",
            param="amount",
        )
    if limit > 0 and (wrong := wrong_with_amount(_text(limit, unit), unit)):
        raise BadRequest(f"The limit would be {in_words(limit, unit)}, which {wrong}.", param="amount")
    until_us = before.resets_us
    if budget.window.kind == "rolling":
        until_us = more.window_us + budget.window.seconds * SECOND_US + slice_us(budget.window)
    return Raised(
        budget=budget.name,
        account=more.account,
        window_us=more.window_us,
        unit=unit,
        amount=more.amount,
        limit=limit,
        until_us=until_us,
    )


def _budget_of(name: str, budgets: Sequence[Budget]) -> Budget:
    for budget in budgets:
        if budget.name == name:
            return budget
    names = [budget.name for budget in budgets]
    hint = nearest(name, names) or (f"; there are {', '.join(names[:20])}" if names else "; there is none")
    raise NotFound(f"There is no budget {name[:200]!r}{hint}.", param="budget")


def _amount_of(text: str, budget: Budget) -> int:
    unit = budget.unit
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        raise BadRequest(
            f"{text[:40]!r} is no amount; write 50, -2.50 or 50 {unit}, with a decimal point.", param="amount"
        )
    before, sign, number, behind = found.groups()
    for said in filter(None, (before, behind)):
        if said.lower() != unit.lower():
            raise BadRequest(f"Budget {budget.name!r} is kept in {unit}, not in {said}.", param="amount")
    if not scaled(number)[0]:
        raise BadRequest("An amount of 0 changes nothing.", param="amount")
    if wrong := wrong_with_amount(number, unit):
        raise BadRequest(f"The amount {number}: {wrong}.", param="amount")
    amount = int(number) if unit in COUNTED else nano_of(number)
    return -amount if sign == "-" else amount


def _text(amount: int, unit: str) -> str:
    return str(amount) if unit in COUNTED else shown(amount)


def _values_of(
    asked: Mapping[Dimension, str], budget: Budget, known: Known
) -> dict[Dimension, tuple[str, ...]]:
    """Return the names of the account in each dimension that the budget is kept per."""
    people = [each for each in PEOPLE if each in budget.per]
    for dimension in asked:
        if dimension not in budget.per and not (dimension == "tenant" and people):
            _kept_otherwise(budget, dimension)
    found: dict[Dimension, tuple[str, ...]] = {}
    for dimension in budget.per:
        plain = clean(asked.get(dimension, ""))
        if not plain:
            raise BadRequest(
                f"Budget {budget.name!r} is kept per {_and(budget.per)}: say which {dimension}; "
                f"{NOBODY!r} is for calls without one.",
                param=f"values.{dimension}",
            )
        if plain == NOBODY:
            names: tuple[str, ...] = ()
        elif dimension in PEOPLE:
            names = (_person(dimension, plain, asked.get("tenant", ""), budget, known),)
        elif dimension == "key":
            names = _key(plain, known)
        else:
            names = (plain,)
        _is_for(budget, dimension, names, plain)
        found[dimension] = names
    return found


def _kept_otherwise(budget: Budget, dimension: str) -> NoReturn:
    kept = f"per {_and(budget.per)}" if budget.per else "as one for all its calls"
    raise BadRequest(
        f"Budget {budget.name!r} is kept {kept}, not per {dimension}.", param=f"values.{dimension}"
    )


def _is_for(budget: Budget, dimension: Dimension, names: tuple[str, ...], plain: str) -> None:
    """Refuse who never has an account. A model goes by several names, of which one is enough."""
    wanted = budget.match.get(dimension)
    if wanted is not None and dimension != "model" and not any(name in wanted for name in names):
        raise BadRequest(
            f"Budget {budget.name!r} is not for {dimension} {plain!r}.", param=f"values.{dimension}"
        )


def _person(dimension: str, plain: str, tenant: str, budget: Budget, known: Known) -> str:
    if plain.startswith(PSEUDONYM):
        return plain.removeprefix(PSEUDONYM)
    tenants = (tenant,) if tenant else budget.match.get("tenant", tuple(sorted(known.tenants)))
    if len(tenants) != 1:
        raise BadRequest(
            f"Whose {dimension} is {plain!r}? There are {len(tenants)} tenants; name one.",
            param="values.tenant",
        )
    return known.pseudonyms.of(tenants[0], dimension, plain)


def _key(plain: str, known: Known) -> tuple[str, ...]:
    """Return the id of a key and its name; the account is kept by the id.

    Of several keys of one name, as a rotation leaves, the one that still works is meant.
    """
    found = [key for key in known.keys.values() if plain in (key.id, key.name)]
    found = [key for key in found if key.revoked_at_us is None] or found
    if len(found) != 1:
        which = ", ".join(key.id for key in found[:20])
        said = f"has several: {which}; name one by its id" if found else "is unknown"
        raise BadRequest(f"Key {plain!r} {said}.", param="values.key")
    return tuple(filter(None, (found[0].id, found[0].name)))


def _and(names: Iterable[str]) -> str:
    return " and ".join(names)
