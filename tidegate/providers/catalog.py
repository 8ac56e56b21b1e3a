"""The catalogue: what is known of each provider, read from `providers.toml` beside this file."""

import tomllib
from functools import cache
from importlib import resources

import msgspec

from tidegate.model.errors import ConfigError
from tidegate.model.provider import (
    Capabilities,
    ModelRow,
    OutputLimitField,
    Provider,
    StreamUsage,
    UsageRules,
)
from tidegate.model.request import Surface


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    providers: tuple[Provider, ...]


@cache
def load() -> dict[str, Provider]:
    """Return every provider by name, in the order of the file. The result is shared: do not change it."""
    return parse(resources.files(__package__).joinpath("providers.toml").read_text(encoding="utf-8"))


def parse(text: str) -> dict[str, Provider]:
    """Return the rows of a catalogue. Raises ConfigError for a row that is wrong or stands twice."""
    try:
        rows = msgspec.convert(tomllib.loads(text), _File).providers
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"the catalogue of providers cannot be used: {error}") from None
    catalog = {row.name: row for row in rows}
    if len(catalog) < len(rows):
        raise ConfigError("the catalogue of providers holds one name twice")
    return catalog


def model_row(provider: Provider, model: str) -> ModelRow | None:
    """Return the row for a model that differs from its provider; the longest pattern that fits."""
    best: ModelRow | None = None
    for row in provider.models:
        pattern = row.pattern
        fits = pattern == model or (pattern.endswith("*") and model.startswith(pattern[:-1]))
        if fits and (best is None or len(pattern) > len(best.pattern)):
            best = row
    return best


def surfaces(provider: Provider, model: str) -> tuple[Surface, ...]:
    """Return the surfaces a model is called through, in the order of the row."""
    row = model_row(provider, model)
    if row is None or row.surfaces is None:
        return tuple(provider.paths)
    return tuple(surface for surface in provider.paths if surface in row.surfaces)


def output_limit_field(provider: Provider, model: str, surface: Surface) -> OutputLimitField | None:
    """Return the field that limits the output; None for a surface without output."""
    match surface:
        case "chat":
            row = model_row(provider, model)
            return (row.output_limit_field if row else None) or provider.output_limit_field
        case "responses":
            return "max_output_tokens"
        case "completions" | "messages":
            return "max_tokens"
        case "embeddings" | "count_tokens" | "pass":
            return None


def stream_usage(provider: Provider, model: str, surface: Surface) -> StreamUsage:
    """Return how a stream comes by its usage; the events of Responses and Messages carry it themselves."""
    if surface not in {"chat", "completions"}:
        return "own"
    row = model_row(provider, model)
    return (row.stream_usage if row else None) or provider.stream_usage


def usage_rules(provider: Provider, surface: Surface) -> UsageRules:
    """Return how the usage of one surface is read."""
    return provider.surface_usage.get(surface, provider.usage)


def capabilities(provider: Provider, model: str) -> Capabilities:
    """Return what a model takes: its row's word, else its provider's; what a row refuses it does not take."""
    row = model_row(provider, model)
    if row is None:
        return provider.capabilities
    own = {
        name: value
        for name in Capabilities.__struct_fields__
        if (value := getattr(row.capabilities, name)) is not None and value != ()
    }
    if "prefill" in row.refuses:
        own["prefill"] = "refused"
    if "tool_choice" in row.refuses:
        own["tool_choice"] = False
    return msgspec.structs.replace(provider.capabilities, **own)


def refused_fields(provider: Provider, model: str) -> frozenset[str]:
    """Return the request fields that get a 400 from a model, its provider's among them."""
    row = model_row(provider, model)
    return frozenset(provider.refuses) | frozenset(row.refuses if row is not None else ())
