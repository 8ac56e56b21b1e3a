"""Which settings of budgets fit together. Settings in, problems out."""

from collections.abc import Collection, Iterator

from tidegate.config.budget_settings import BudgetRow
from tidegate.config.lines import join
from tidegate.config.problem import Problem, nearest
from tidegate.config.resilience_rules import MAX_AMOUNT, names_of, takers_of_any
from tidegate.config.settings import Settings
from tidegate.config.zones import is_zone
from tidegate.model.money import scaled

COUNTED = ("tokens", "calls")
MAX_COUNT = 1_000_000_000_000
MOST_DECIMALS = 9
_SPANS = ("window", "every_s", "rolling_s")
_NOT_IN_A_NAME = '|"\\'


def budget_problems(settings: Settings) -> Iterator[Problem]:
    """Yield what is wrong with `[[budgets]]`, whose types are right."""
    first: dict[str, int] = {}
    models, places = names_of(settings), takers_of_any(settings)
    for at, row in enumerate(settings.budgets):
        path = f"budgets[{at}]"
        if (earlier := first.setdefault(row.name, at)) != at:
            yield Problem(path=f"{path}.name", message=f"{row.name!r} is also the name of budgets[{earlier}]")
        yield from _named(row, path)
        yield from _limited(row, path)
        yield from _timed(row, path)
        yield from _whose(row, path)
        yield from _degraded(row, path, models, places)
    yield from _unconverted(settings)
    amount = settings.policy.unpriced_hold
    if amount is not None and (wrong := wrong_with_amount(amount, settings.report.currency)):
        yield Problem(path="policy.unpriced_hold", message=wrong)


def wrong_with_amount(text: str, unit: str) -> str:
    """Return why an unsigned decimal is no amount of a budget's unit, in words; empty where it is one."""
    units, decimals = scaled(text)
    if not units:
        return "must be above 0; to stop a key, revoke it"
    if decimals > (0 if unit in COUNTED else MOST_DECIMALS):
        return f"expected a whole number of {unit}" if unit in COUNTED else "money has at most 9 decimals"
    most = MAX_COUNT if unit in COUNTED else MAX_AMOUNT
    return f"is too large; the most is {most}" if units > most * 10**decimals else ""


def _named(row: BudgetRow, path: str) -> Iterator[Problem]:
    if any(char in row.name for char in _NOT_IN_A_NAME):
        yield Problem(
            path=f"{path}.name", message="a budget's name holds no |, no quotation mark and no backslash"
        )


def _limited(row: BudgetRow, path: str) -> Iterator[Problem]:
    if wrong := wrong_with_amount(row.limit, row.unit):
        yield Problem(path=f"{path}.limit", message=wrong)


def _timed(row: BudgetRow, path: str) -> Iterator[Problem]:
    given = [name for name in _SPANS if getattr(row, name) is not None]
    if not given:
        yield Problem(path=path, message='needs a time: window = "month", every_s or rolling_s')
    elif len(given) > 1:
        yield Problem(
            path=f"{path}.{given[1]}", message=f"contradicts {given[0]}; keep one of {', '.join(_SPANS)}"
        )
    if row.time_zone and not is_zone(row.time_zone):
        yield Problem(path=f"{path}.time_zone", message="no such time zone; write one such as Europe/Berlin")


def _whose(row: BudgetRow, path: str) -> Iterator[Problem]:
    for dimension, values in row.match.items():
        place = join(f"{path}.match", dimension)
        if not values:
            yield Problem(path=place, message="matches no call; name at least one, or leave it out")
        for at, value in enumerate(values):
            if value in values[:at]:
                yield Problem(path=place, message=f"{value!r} stands here twice")
    for at, each in enumerate(row.per):
        if each in row.per[:at]:
            yield Problem(path=f"{path}.per[{at}]", message=f"{each!r} stands here twice")


def _degraded(
    row: BudgetRow, path: str, models: Collection[str], places: Collection[str]
) -> Iterator[Problem]:
    if row.mode != "degrade":
        if row.degrade_to is not None:
            yield Problem(path=f"{path}.degrade_to", message='is only for mode = "degrade"')
        return
    if row.degrade_to is None:
        yield Problem(path=path, message='mode = "degrade" needs degrade_to, the model to make do with')
        return
    place, _, rest = row.degrade_to.partition("/")
    if row.degrade_to not in models and not (rest and place in places):
        hint = nearest(row.degrade_to, sorted(models))
        yield Problem(
            path=f"{path}.degrade_to",
            message=f"{row.degrade_to!r}: there is no such alias, deployment or model{hint}",
        )


def _unconverted(settings: Settings) -> Iterator[Problem]:
    """Yield a warning where calls that are priced in USD, as the price book's are, cannot be counted."""
    rates = {frozenset((fx.base, fx.quote)) for fx in settings.prices.fx}
    for at, row in enumerate(settings.budgets):
        if row.unit in (*COUNTED, "USD") or frozenset(("USD", row.unit)) in rates:
            continue
        yield Problem(
            path=f"budgets[{at}].unit",
            level="warning",
            message=f"no [[prices.fx]] leads from USD to {row.unit}: unless `tidegate fx import` brought one,"
            " calls that are priced in USD are refused under this budget",
        )
