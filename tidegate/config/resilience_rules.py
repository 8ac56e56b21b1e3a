"""Which settings of staying up fit together. Settings in, problems out."""

from collections.abc import Iterator

from tidegate.config.lines import join
from tidegate.config.problem import Problem, nearest
from tidegate.config.settings import (
    Breaker,
    DeploymentRow,
    LastResort,
    LimitRow,
    Resilience,
    Settings,
    SpendLimitRow,
)
from tidegate.model.money import nano_of

MAX_AMOUNT = 1_000_000_000
"""In whole units of a currency, so that nano-units fit 64 bits."""

_ANY = "*"


def resilience_problems(settings: Settings) -> Iterator[Problem]:
    """Yield what is wrong with the settings of staying up, whose types are right."""
    yield from _resilience(settings.resilience)
    yield from _breaker(settings.breaker)
    yield from _limits(settings.limits, settings.deployments)
    yield from _spend_limits(settings.spend_limits)
    yield from _last_resorts(settings)


def _resilience(section: Resilience) -> Iterator[Problem]:
    if section.backoff_s > section.backoff_cap_s:
        yield Problem(
            path="resilience.backoff_s",
            message=f"{section.backoff_s:g} is more than backoff_cap_s, {section.backoff_cap_s:g}",
        )


def _breaker(section: Breaker) -> Iterator[Problem]:
    if section.last_failures > section.last_calls:
        yield Problem(
            path="breaker.last_failures",
            message=f"{section.last_failures} failures are never among the last {section.last_calls} calls; "
            "raise last_calls, or write 0 to switch the rule off",
        )
    for name in ("cooldown_s", "refused_cooldown_s"):
        if getattr(section, name) > section.max_cooldown_s:
            yield Problem(
                path=f"breaker.{name}",
                message=f"{getattr(section, name):g} is more than max_cooldown_s, {section.max_cooldown_s:g}",
            )


def _limits(rows: tuple[LimitRow, ...], deployments: tuple[DeploymentRow, ...]) -> Iterator[Problem]:
    first: dict[tuple[str, str], int] = {}
    for at, row in enumerate(rows):
        path = f"limits[{at}]"
        if {row.requests_per_minute, row.tokens_per_minute, row.concurrent} == {None}:
            yield Problem(
                path=path,
                message="limits nothing; set requests_per_minute, tokens_per_minute or concurrent",
            )
        if (earlier := first.setdefault((row.scope, row.name), at)) != at:
            yield Problem(
                path=f"{path}.name",
                message=f"limits[{earlier}] is for this {row.scope} too; keep one of the two",
            )
        yield from _unmet(row, path, deployments)


def _unmet(row: LimitRow, path: str, deployments: tuple[DeploymentRow, ...]) -> Iterator[Problem]:
    """Yield a warning where no call can ever be one of these."""
    match row.scope:
        case "provider":
            known = {one.provider for one in deployments}
        case "model":
            known = {one.model for one in deployments}
        case _:
            return
    if row.name != _ANY and row.name not in known and not (row.scope == "model" and _ANY in known):
        yield Problem(
            path=f"{path}.name",
            level="warning",
            message=f"no deployment has this {row.scope}, so it limits nothing"
            f"{nearest(row.name, sorted(known))}",
        )


def _spend_limits(rows: tuple[SpendLimitRow, ...]) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for at, row in enumerate(rows):
        path = f"spend_limits[{at}]"
        if {row.tokens_per_minute, row.amount_per_minute, row.times_usual} == {None}:
            yield Problem(
                path=path,
                message="limits nothing; set tokens_per_minute, amount_per_minute or times_usual",
            )
        if row.currency is None and (row.amount_per_minute is not None or row.times_usual is not None):
            yield Problem(path=path, message='money needs its currency: write currency = "EUR" or another')
        if (earlier := first.setdefault(row.key, at)) != at:
            yield Problem(
                path=f"{path}.key",
                message=f"spend_limits[{earlier}] is for this key too; keep one of the two",
            )
        for name, least in (("amount_per_minute", 1), ("floor_amount", 0)):
            if wrong := _wrong_with_amount(getattr(row, name), least):
                yield Problem(path=f"{path}.{name}", message=wrong)


def _wrong_with_amount(text: str | None, least_nano: int) -> str:
    if text is None:
        return ""
    nano = nano_of(text)
    if nano < least_nano:
        return "must be above 0; to stop a key, revoke it"
    if nano > nano_of(str(MAX_AMOUNT)):
        return f"is too large; the most is {MAX_AMOUNT}"
    return ""


def _last_resorts(settings: Settings) -> Iterator[Problem]:
    known = names_of(settings)
    for alias, resort in settings.last_resort.items():
        path = join("last_resort", alias)
        if alias not in settings.aliases:
            hint = nearest(alias, list(settings.aliases))
            yield Problem(path=path, message=f"no alias is called {alias!r}{hint}")
        if resort.model is None and resort.message is None:
            yield Problem(path=path, message="needs a model, a message or both")
        if resort.model is not None and (wrong := _wrong_with_model(resort, alias, settings, known)):
            yield Problem(path=f"{path}.model", message=wrong)


def _wrong_with_model(resort: LastResort, alias: str, settings: Settings, known: set[str]) -> str:
    model = resort.model or ""
    if model == alias or model in settings.aliases.get(alias, ()):
        return f"{model!r} was tried already when the last resort comes"
    place, _, rest = model.partition("/")
    if model in known or (rest and place in takers_of_any(settings)):
        return ""
    return f"{model!r}: there is no such alias, deployment or model{nearest(model, sorted(known))}"


def names_of(settings: Settings) -> set[str]:
    """Return every name that a client may ask for, but those of deployments of any model."""
    found = set(settings.aliases)
    for row in settings.deployments:
        if row.model != _ANY:
            names = row.names or (row.model,)
            found |= {row.name, *names, *(f"{row.provider}/{name}" for name in names)}
    return found


def takers_of_any(settings: Settings) -> set[str]:
    """Return what stands before the slash of `provider/model` where any model is taken."""
    rows = [row for row in settings.deployments if row.model == _ANY]
    return {row.name for row in rows} | {row.provider for row in rows}
