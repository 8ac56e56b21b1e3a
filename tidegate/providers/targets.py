"""Rows of the configuration, completed by the catalogue: deployments that can be called."""

import re
from collections.abc import Iterator, Mapping

import msgspec

from tidegate.config.lines import join
from tidegate.config.problem import Problem, nearest
from tidegate.config.rules import is_loopback
from tidegate.config.settings import DeploymentRow, Settings
from tidegate.model.price import PriceSection
from tidegate.model.provider import Deployment, Provider, Region, Residency

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_SCHEME_AND_HOST = re.compile(r"(https?)://(\[[^\]]*\]|[^/:]*)")


def targets(
    settings: Settings, catalog: Mapping[str, Provider]
) -> tuple[tuple[Deployment, ...], tuple[Problem, ...]]:
    """Return the deployments that are complete, in order, and what is wrong with the others."""
    found: list[Deployment] = []
    problems: list[Problem] = []
    for at, row in enumerate(settings.deployments):
        path = f"deployments[{at}]"
        provider = catalog.get(row.provider)
        if provider is None:
            problems.append(_unknown_provider(row.provider, f"{path}.provider", catalog))
            continue
        trouble = list(_misfits(row, provider, path))
        problems += trouble
        if all(problem.level == "warning" for problem in trouble):
            found.append(_deployment(row, provider))
    return tuple(found), tuple(problems)


def price_section(settings: Settings, catalog: Mapping[str, Provider]) -> PriceSection:
    """Return the operator's prices, those beside deployments too, by the price book's names of providers."""

    def book(provider: str) -> str:
        row = catalog.get(provider)
        return (row.prices or row.name) if row is not None else provider

    beside = (
        row.price.override(row.provider, row.model, row.region)
        for row in settings.deployments
        if row.price is not None
    )
    given = settings.prices
    named = msgspec.structs.replace
    return PriceSection(
        override=tuple(named(row, provider=book(row.provider)) for row in (*given.override, *beside)),
        alias=tuple(named(row, provider=book(row.provider)) for row in given.alias),
        uplift=tuple(named(row, provider=book(row.provider)) for row in given.uplift),
        fx=given.fx,
    )


def _unknown_provider(name: str, path: str, catalog: Mapping[str, Provider]) -> Problem:
    hint = nearest(name, list(catalog)) or f"; known: {', '.join(catalog)}"
    return Problem(path=path, message=f"no provider is called {name!r}{hint}")


def _misfits(row: DeploymentRow, provider: Provider, path: str) -> Iterator[Problem]:
    """Yield what a row says that its provider cannot use, and what it leaves out."""
    region = provider.regions.get(row.region)
    template = _template(row, region, provider)
    if not template:
        yield Problem(path=path, message=f"{provider.title} has no address of its own: state base_url")
    elif row.region and provider.regions and region is None:
        known = ", ".join(provider.regions)
        hint = nearest(row.region, list(provider.regions)) or f"; known: {known}"
        yield Problem(path=f"{path}.region", message=f"{provider.title} has no region {row.region!r}{hint}")
    if row.key is None and provider.auth.required:
        variable = provider.auth.env or "NAME"
        yield Problem(
            path=path,
            message=f'{provider.title} needs a key: write key = {{ env = "{variable}" }}',
        )
    yield from _placeholders(row, provider, template, path)
    for name in row.headers:
        if name.lower() == provider.auth.header:
            yield Problem(path=join(f"{path}.headers", name), message="the key goes into `key`")
    if row.key is not None and _in_the_clear(template):
        yield Problem(
            path=f"{path}.base_url",
            level="warning",
            message="the key travels unencrypted to another machine; use https",
        )


def _placeholders(row: DeploymentRow, provider: Provider, template: str, path: str) -> Iterator[Problem]:
    wanted = set(_PLACEHOLDER.findall(template + "".join(provider.paths.values())))
    for field in ("resource", "deployment", "api_version"):
        value = getattr(row, field)
        if field in wanted and not value:
            yield Problem(path=path, message=f"{provider.title} needs {field!r}")
        if value and field not in provider.takes:
            yield Problem(path=f"{path}.{field}", message=f"{provider.title} has no use for it")


def _template(row: DeploymentRow, region: Region | None, provider: Provider) -> str:
    """Return the address: the operator's, else the region's, else the provider's."""
    return row.base_url or (region.base_url if region else provider.base_url)


def _deployment(row: DeploymentRow, provider: Provider) -> Deployment:
    region = provider.regions.get(row.region)
    base_url = _template(row, region, provider).replace("{resource}", row.resource).rstrip("/")
    residency, jurisdiction = _residency(row, region, provider)
    return Deployment(
        name=row.name,
        provider=provider.name,
        model=row.deployment or row.model,
        names=tuple(dict.fromkeys(row.names or (row.model,))),
        base_url=base_url,
        secret=row.key.ref if row.key is not None else "",
        region=row.region,
        residency=residency,
        jurisdiction=jurisdiction,
        price_factor=region.price_factor if region else "1",
        price_model=row.model,
        query={"api-version": row.api_version} if row.api_version else {},
        headers=row.headers,
        path_model=row.deployment,
        stream_usage=row.stream_usage,
        disconnect=row.disconnect,
        weight=row.weight,
    )


def _residency(row: DeploymentRow, region: Region | None, provider: Provider) -> tuple[Residency, str]:
    """Return what is promised, and where; another base_url carries no promise of the provider's."""
    if row.residency is not None:
        return row.residency, (region.jurisdiction if region else row.region)
    if region is not None:
        return region.residency, region.jurisdiction
    if row.base_url:
        return "unknown", ""
    return provider.residency, provider.jurisdiction


def _in_the_clear(url: str) -> bool:
    found = _SCHEME_AND_HOST.match(url)
    return found is not None and found[1] == "http" and not is_loopback(found[2].strip("[]"))
