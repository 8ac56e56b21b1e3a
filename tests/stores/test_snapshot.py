from pathlib import Path

import msgspec
import pytest

from tidegate.model.identity import Key
from tidegate.policy.breaker import BreakerPolicy
from tidegate.policy.rate import Limit
from tidegate.policy.spend_breaker import SpendPolicy
from tidegate.stores.snapshot import (
    NAME,
    LastResort,
    Policies,
    Scope,
    Snapshot,
    SnapshotUnreadable,
    SnapshotWatch,
    SpendRule,
    read_snapshot,
    write_snapshot,
)


def snapshot(version: int) -> Snapshot:
    return Snapshot(version=version, made_at_us=1, keys=(Key(id="k", mac="m", tenant="t"),))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert read_snapshot(tmp_path) is None
    write_snapshot(tmp_path, snapshot(1))
    assert read_snapshot(tmp_path) == snapshot(1)
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


def test_what_keeps_calls_up_and_limits_them_is_read_as_it_was_written(tmp_path: Path) -> None:
    full = msgspec.structs.replace(
        snapshot(1),
        policies=Policies(breaker=BreakerPolicy(enabled=False, probes=4), balance="weight"),
        limits={"team": Scope({"red": (Limit("requests", 7),)}, (Limit("concurrent", 1),))},
        spend_limits={"*": SpendRule(SpendPolicy(max_nano=10**60, cooldown_us=None), "EUR")},
        last_resort={"fast": LastResort(model="spare", message="Später.")},
        keep_alive_us=2_500_000,
    )
    write_snapshot(tmp_path, full)
    assert read_snapshot(tmp_path) == full


def test_a_look_tells_of_a_replacement_once(tmp_path: Path) -> None:
    watch = SnapshotWatch(tmp_path)
    assert watch.look() is None
    write_snapshot(tmp_path, snapshot(1))
    assert watch.look() == snapshot(1)
    assert watch.look() is None
    write_snapshot(tmp_path, snapshot(2))
    assert watch.look() == snapshot(2)


def test_an_older_snapshot_is_refused(tmp_path: Path) -> None:
    watch = SnapshotWatch(tmp_path)
    write_snapshot(tmp_path, snapshot(5))
    assert watch.look() == snapshot(5)
    write_snapshot(tmp_path, snapshot(4))
    assert watch.look() is None
    next_process = SnapshotWatch(tmp_path)
    assert next_process.look() is None
    write_snapshot(tmp_path, snapshot(6))
    assert next_process.look() == snapshot(6)


def test_fields_of_a_newer_writer_are_ignored_but_a_newer_format_is_not(tmp_path: Path) -> None:
    values = msgspec.to_builtins(snapshot(1))
    (tmp_path / NAME).write_bytes(msgspec.json.encode({**values, "of_a_newer_one": [1]}))
    assert read_snapshot(tmp_path) == snapshot(1)
    policies = {**values["policies"], "hedge": {"after_us": 1}, "retries": {"burst": 5}}
    (tmp_path / NAME).write_bytes(msgspec.json.encode({**values, "policies": policies}))
    assert read_snapshot(tmp_path) == snapshot(1)
    (tmp_path / NAME).write_bytes(msgspec.json.encode({**values, "format": 2}))
    with pytest.raises(SnapshotUnreadable):
        read_snapshot(tmp_path)


def test_garbage_is_told_once(tmp_path: Path) -> None:
    watch = SnapshotWatch(tmp_path)
    (tmp_path / NAME).write_bytes(b"{")
    with pytest.raises(SnapshotUnreadable):
        watch.look()
    assert watch.look() is None


def test_an_older_snapshot_means_the_defaults_of_what_it_does_not_have(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b'{"version": 1, "made_at_us": 1, "format": 1}')
    assert read_snapshot(tmp_path) == Snapshot(version=1, made_at_us=1)
