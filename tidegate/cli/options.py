"""What several commands share: where the configuration is, and how an error ends a command."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from tidegate.config.load import config_path, load
from tidegate.config.settings import Settings
from tidegate.model.errors import TidegateError
from tidegate.providers.catalog import load as load_catalog
from tidegate.services.deployments import configured

config_option = click.option(
    "--config",
    "config",
    metavar="FILE",
    help="The configuration; else TIDEGATE_CONFIG, else ./tidegate.toml.",
)


def settings_at(config: str | None) -> Settings:
    """The settings of a configuration, alone. Raises ConfigError."""
    return load(config_path(config, os.environ))


def checked_settings(config: str | None) -> tuple[Path, Settings]:
    """The configuration's path and settings, deployments and aliases checked too. Raises ConfigError."""
    path = config_path(config, os.environ)
    settings, _ = configured(path, load_catalog())
    return path, settings


@contextmanager
def plain_errors() -> Iterator[None]:
    """End a command with an error's message and exit code 1, without a trace."""
    try:
        yield
    except TidegateError as error:
        raise click.ClickException(error.message) from None
