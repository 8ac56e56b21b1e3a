"""The catalogue: what is known of each provider, read from `providers.toml` beside this file."""

import tomllib
from functools import cache
from importlib import resources

import msgspec

from tidegate.model.errors import ConfigError
from tidegate.model.provider import ModelRow, OutputLimitField, Provider, StreamUsage, UsageRules
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
    fits = [
        row
        for row in provider.models
        if row.pattern == model or (row.pattern.endswith("*") and model.startswith(row.pattern[:-1]))
    ]
    return max(fits, key=lambda row: len(row.pattern), default=None)


def surfaces(provider: Provider, model: str) -> tuple[Surface, ...]:
    """Return the surfaces a model is called through, in the order of the row."""
    row = model_row(provider, model)
    allowed = row.surfaces if row is not None else None
    return tuple(surface for surface in provider.paths if allowed is None or surface in allowed)


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
        case "embeddings" | "count_tokens":
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
