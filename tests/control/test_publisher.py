from pathlib import Path

import pytest

from tests.control.test_registry import Memory, asked
from tidegate.config.settings import DeploymentRow, Settings
from tidegate.control.publisher import Publisher
from tidegate.control.registry import Registry
from tidegate.model.errors import ConfigError, Unavailable
from tidegate.providers.catalog import load
from tidegate.services.clock import Clock
from tidegate.stores.snapshot import NAME, read_snapshot

ROW = DeploymentRow(name="d", provider="vllm", model="small", base_url="http://127.0.0.1:1/v1")
SETTINGS = Settings(deployments=(ROW,), aliases={"fast": ("small",)})


def publisher(directory: Path, now_us: int = 10_000_000, settings: Settings = SETTINGS) -> Publisher:
    return Publisher(directory, settings, load(), Clock(wall_us=lambda: now_us))


def registry() -> Registry:
    return Registry(Memory(), b"p" * 32, Clock())


def test_a_snapshot_holds_keys_deployments_and_no_secret(tmp_path: Path) -> None:
    keys = registry()
    made = keys.create_key(asked(), by="me")
    publisher(tmp_path).publish(keys)
    found = read_snapshot(tmp_path)
    assert found is not None
    assert (found.keys, found.aliases) == ((made.key,), {"fast": ("small",)})
    assert [one.name for one in found.deployments] == ["d"]
    assert made.text.encode() not in (tmp_path / NAME).read_bytes()


def test_versions_only_rise_also_across_restarts_and_clocks_that_go_back(tmp_path: Path) -> None:
    versions = [
        publisher(tmp_path, now_us).publish(registry()).version
        for now_us in (10_000_000, 10_000_000, 5_000_000, 90_000_000, 1)
    ]
    assert versions == sorted(set(versions))


def test_a_restored_older_snapshot_does_not_bring_versions_back(tmp_path: Path) -> None:
    first = publisher(tmp_path, 10_000_000).publish(registry())
    backup = (tmp_path / NAME).read_bytes()
    later = publisher(tmp_path, 20_000_000).publish(registry())
    (tmp_path / NAME).write_bytes(backup)
    assert publisher(tmp_path, 21_000_000).publish(registry()).version > later.version > first.version


def test_a_configuration_that_cannot_be_served_is_not_published(tmp_path: Path) -> None:
    broken = Settings(deployments=(DeploymentRow(name="d", provider="nobody", model="m"),))
    with pytest.raises(ConfigError):
        publisher(tmp_path, settings=broken).publish(registry())
    assert read_snapshot(tmp_path) is None


def test_a_snapshot_that_cannot_be_written_is_owed(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    here, keys = publisher(directory), registry()
    with pytest.raises(Unavailable, match="recorded"):
        here.publish_soon(keys)
    assert here.is_behind
    directory.mkdir()
    here.publish_soon(keys)
    assert not here.is_behind
    assert read_snapshot(directory) is not None
