"""Model names to deployments: exact, in the operator's order, and never beyond what a key may use."""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from tidegate.config.lines import join
from tidegate.config.load import read
from tidegate.config.problem import Problem, failure, nearest
from tidegate.config.secret import LOOKS_LIKE_A_KEY
from tidegate.config.settings import Settings
from tidegate.model.errors import ModelNotAllowed, ModelNotFound, Unsupported
from tidegate.model.provider import Deployment, Provider
from tidegate.model.request import Surface
from tidegate.providers.catalog import surfaces
from tidegate.providers.targets import targets

ANY_MODEL = "*"
"""The model of a deployment that takes every model of its provider."""

NAME_CHARACTERS = 256
"""No configured name is longer (200, and a provider before it)."""

ROUTES: dict[Surface, str] = {
    "chat": "/v1/chat/completions",
    "completions": "/v1/completions",
    "embeddings": "/v1/embeddings",
    "responses": "/v1/responses",
    "messages": "/v1/messages",
    "count_tokens": "/v1/messages/count_tokens",
    "pass": "/pass/{provider}/...",
}

_LOOK_ALIKES = str.maketrans(
    "\u0430\u0432\u0435\u043a\u043c\u043d\u043e\u0440\u0441\u0442\u0443\u0445\u0456\u0458\u0455\u0501\u04bb"
    "\u03b1\u03b2\u03b5\u03b9\u03ba\u03bd\u03bf\u03c1\u03c4\u03c5\u03c7\u0131\u2010\u2011\u2012\u2013\u2014\u2212",
    "abekmhopctyxijsdhabeikvoptuxi------",
)
"""Cyrillic, Greek and dash characters that look like the ASCII ones of a model's name."""


class Deployments:
    """Every name a client may ask for, worked out once.

    A name is an alias, a deployment, a model that a deployment lists, or `provider/model`, looked for in
    that order. A deployment of the model `*` takes any model of its provider, asked for as
    `provider/model` or `deployment/model`. Raises ConfigError for an alias that leads nowhere.
    """

    def __init__(
        self,
        catalog: Mapping[str, Provider],
        deployments: Iterable[Deployment],
        aliases: Mapping[str, tuple[str, ...]],
    ) -> None:
        self._catalog = catalog
        self.all = tuple(deployments)
        self._any = _any_model(self.all)
        self._own = _own_names(one for one in self.all if one.model != ANY_MODEL)
        lost = [problem for problem in alias_problems(self.all, aliases) if problem.level == "error"]
        if lost:
            raise failure(lost, "aliases")
        self._aliases = {
            alias: tuple(
                {(one.name, one.model): one for name in names for one in self._led_to(name)}.values()
            )
            for alias, names in aliases.items()
        }
        self._all_names = {**self._own, **self._aliases}
        self._spellings: dict[str, list[str]] = {}
        for name in self._all_names:
            self._spellings.setdefault(fold(name), []).append(name)

    def resolve(self, name: str, allowed: tuple[str, ...] | None = None) -> tuple[Deployment, ...]:
        """Return the deployments of a name, in order, for a key that may use `allowed` (None: all).

        Raises ModelNotFound for a name that nothing has, ModelNotAllowed for one that the key may not use;
        the latter also for another spelling of such a name (case 8), so that a limited key sees one answer.
        """
        found = self._all_names.get(name) or self._of_any(name)
        if found is not None and (allowed is None or self._may_use(name, found, allowed)):
            return found
        if found is not None or (allowed is not None and self._spells_forbidden(name, allowed)):
            raise ModelNotAllowed(
                f"This key may not use the model {_quoted(name)}. Ask for one that GET /v1/models lists, "
                "or have it added to the key's models.",
                param="model",
            )
        raise ModelNotFound(
            f"There is no model {_quoted(name)}. Names are exact: an alias, a model that a deployment lists, "
            "or provider/model. GET /v1/models lists those this key may use.",
            param="model",
        )

    def models_for(self, allowed: tuple[str, ...] | None) -> tuple[str, ...]:
        """Return what GET /v1/models shows a key: aliases, then models, then deployments, each name once."""
        names = dict.fromkeys(
            [
                *self._aliases,
                *(name for one in self.all if one.model != ANY_MODEL for name in one.names),
                *(one.name for one in self.all if one.model != ANY_MODEL),
            ]
        )
        if allowed is None:
            return tuple(names)
        return tuple(name for name in names if self._may_use(name, self._all_names[name], allowed))

    def covers(self, deployment: Deployment, allowed: tuple[str, ...] | None) -> bool:
        """Tell whether a key's list covers a deployment as such; an alias in it covers the alias alone."""
        if allowed is None:
            return True
        entries = [entry for entry in allowed if entry not in self._aliases]
        behind = {
            one.name for entry in entries for one in (*self._own.get(entry, ()), *self._any.get(entry, ()))
        }
        full = {f"{place}/{deployment.model}" for place in (deployment.provider, deployment.name)}
        return deployment.name in behind or not full.isdisjoint(entries)

    def supports(self, deployment: Deployment, surface: Surface) -> None:
        """Raise Unsupported, naming the routes that would work, for a surface the target does not speak."""
        provider = self._catalog[deployment.provider]
        spoken = surfaces(provider, deployment.price_model or deployment.model)
        if surface in spoken:
            return
        routes = ", ".join(f"POST {ROUTES[one]}" for one in spoken)
        raise Unsupported(
            f"{_quoted(deployment.names[0])} runs at {provider.title}, which does not speak "
            f"{ROUTES[surface]}. Call it through {routes}.",
            param="model",
        )

    def provider(self, deployment: Deployment) -> Provider:
        """Return the catalogue's row of a deployment."""
        return self._catalog[deployment.provider]

    def _of_any(self, name: str) -> tuple[Deployment, ...] | None:
        """Return the deployments that take any model, for this one; None where there is none."""
        place, _, model = name.partition("/")
        if not model or len(name) > NAME_CHARACTERS:
            return None
        found = self._any.get(place)
        return found and tuple(
            msgspec.structs.replace(one, model=model, price_model=model, names=(name,)) for one in found
        )

    def _led_to(self, name: str) -> tuple[Deployment, ...]:
        """Return what an alias's target stands for."""
        return self._own.get(name) or self._of_any(name) or ()

    def _may_use(self, name: str, found: tuple[Deployment, ...], allowed: tuple[str, ...]) -> bool:
        """Tell whether a key's list covers a name: the name itself, or else every deployment behind it.

        An alias in the list covers the alias alone: what it falls back to may not be asked for by itself.
        """
        if name in allowed:
            return True
        covered = {
            one.name
            for entry in allowed
            if entry not in self._aliases
            for one in (*self._own.get(entry, ()), *self._any.get(entry, ()))
        }
        return all(one.name in covered for one in found)

    def _spells_forbidden(self, name: str, allowed: tuple[str, ...]) -> bool:
        if len(name) > NAME_CHARACTERS:
            return False
        known = self._spellings.get(fold(name), [])
        return bool(known) and not any(self._may_use(one, self._all_names[one], allowed) for one in known)


def configured(path: Path, catalog: Mapping[str, Provider]) -> tuple[Settings, Deployments]:
    """Read a configuration whole. Raises ConfigError that tells of every problem in it, by key and line."""
    reading = read(path)
    problems = reading.problems
    if reading.settings is not None:
        found, trouble = survey(reading.settings, catalog)
        problems += reading.placed(trouble)
        if all(problem.level == "warning" for problem in problems):
            return reading.settings, Deployments(catalog, found, reading.settings.aliases)
    raise failure(problems, str(path))


def survey(
    settings: Settings, catalog: Mapping[str, Provider]
) -> tuple[tuple[Deployment, ...], tuple[Problem, ...]]:
    """Return the deployments that are complete, and what is wrong with the others and with the aliases."""
    found, problems = targets(settings, catalog)
    more = alias_problems(found, settings.aliases, unusable=_names_written(settings))
    return found, (*problems, *more)


def alias_problems(
    deployments: Iterable[Deployment],
    aliases: Mapping[str, tuple[str, ...]],
    *,
    unusable: Iterable[str] = (),
) -> Iterator[Problem]:
    """Yield aliases that lead nowhere, or stand before a deployment's own name.

    A target in `unusable` is a row that has a problem of its own, so it is not named twice.
    """
    every = tuple(deployments)
    own = _own_names(one for one in every if one.model != ANY_MODEL)
    of_any_model = _any_model(every)
    known_but_broken = set(unusable)
    for alias, names in aliases.items():
        path = join("aliases", alias)
        for at, name in enumerate(names):
            place, _, model = name.partition("/")
            if name in own or name in known_but_broken or (model and place in of_any_model):
                continue
            why = (
                "an alias cannot lead to an alias"
                if name in aliases
                else "there is no such deployment or model"
            )
            yield Problem(path=f"{path}[{at}]", message=f"{name!r}: {why}{nearest(name, list(own))}")
        if alias in own and not {one.name for one in own[alias]} <= {
            one.name for name in names for one in own.get(name, ())
        }:
            yield Problem(
                path=path,
                level="warning",
                message="stands before a deployment or model of the same name, which it does not lead to",
            )


def fold(name: str) -> str:
    """Return a name without case, blanks, invisible characters and look-alikes: only ever used to refuse."""
    wide = unicodedata.normalize("NFKC", name).casefold().translate(_LOOK_ALIKES)
    plain = unicodedata.normalize("NFKD", wide)
    return "".join(char for char in plain if unicodedata.category(char)[0] not in "CZM")


def _any_model(deployments: Iterable[Deployment]) -> dict[str, tuple[Deployment, ...]]:
    """Return the deployments of any model by their own name and, together, by their provider's."""
    found: dict[str, tuple[Deployment, ...]] = {}
    every = [one for one in deployments if one.model == ANY_MODEL]
    for one in every:
        found[one.provider] = (*found.get(one.provider, ()), one)
    return found | {one.name: (one,) for one in every}


def _own_names(deployments: Iterable[Deployment]) -> dict[str, tuple[Deployment, ...]]:
    """Return every name but the aliases. A deployment's name goes before a model's, that before a pair's."""
    every = tuple(deployments)
    pairs: dict[str, list[Deployment]] = {}
    models: dict[str, list[Deployment]] = {}
    for one in every:
        for name in one.names:
            models.setdefault(name, []).append(one)
            pairs.setdefault(f"{one.provider}/{name}", []).append(one)
    listed = {name: tuple(found) for name, found in (pairs | models).items()}
    return listed | {one.name: (one,) for one in every}


def _names_written(settings: Settings) -> Iterator[str]:
    for row in settings.deployments:
        yield row.name
        for name in row.names or (row.model,):
            yield from (name, f"{row.provider}/{name}")


def _quoted(name: str) -> str:
    shown = LOOKS_LIKE_A_KEY.sub("[key]", name[:1_000])
    return ascii(shown if len(shown) <= 80 else shown[:77] + "...")
