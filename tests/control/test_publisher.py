from pathlib import Path

import pytest

from tests.control.test_registry import Memory, asked
from tidegate.config.settings import (
    Breaker,
    DeploymentRow,
    LastResort,
    LimitRow,
    Policy,
    Resilience,
    Settings,
    SpendLimitRow,
)
from tidegate.control.publisher import Publisher
from tidegate.control.registry import Registry
from tidegate.model.errors import ConfigError, Unavailable
from tidegate.providers.catalog import load
from tidegate.services.clock import Clock
from tidegate.stores.snapshot import NAME, read_snapshot
from tidegate.stores.snapshot import LastResort as Resort

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


def test_a_snapshot_holds_all_that_a_reload_brings_into_force(tmp_path: Path) -> None:
    here = publisher(tmp_path)
    here.configure(
        Settings(
            deployments=(ROW,),
            last_resort={"fast": LastResort(model="small", message="Later.")},
            resilience=Resilience(attempts=7, balance="latency"),
            breaker=Breaker(enabled=False),
            limits=(LimitRow(scope="team", name="red", requests_per_minute=3),),
            spend_limits=(SpendLimitRow(key="*", amount_per_minute="0.5", currency="EUR"),),
            policy=Policy(keep_alive_s=1.5),
        )
    )
    here.publish(registry())
    found = read_snapshot(tmp_path)
    assert found is not None
    assert found.last_resort == {"fast": Resort(model="small", message="Later.")}
    assert (found.policies.resilience.max_total, found.policies.balance) == (7, "latency")
    assert not found.policies.breaker.enabled
    assert [limit.amount for limit in found.limits["team"].named["red"]] == [3]
    assert (found.spend_limits["*"].policy.max_nano, found.spend_limits["*"].currency) == (500_000_000, "EUR")
    assert found.keep_alive_us == 1_500_000


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
