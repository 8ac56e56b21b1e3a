"""What holds for every test: the suites with real clients, servers and kills are not part of `make unit`."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes to make or to run says something of the machine, not of the code.
settings.register_profile("tidegate", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tidegate")

SUITES = {"acceptance", "faults", "money"}
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what a folder makes slow."""
    for item in items:
        if item.path.relative_to(HERE).parts[0] in SUITES:
            item.add_marker(pytest.mark.slow)
