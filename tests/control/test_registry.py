from pathlib import Path
from typing import Any

import pytest

from tidegate.control.registry import KeyRequest, Registry, decisions
from tidegate.model.errors import BadRequest, NotFound, Unavailable
from tidegate.model.record import decode_control
from tidegate.services.clock import Clock
from tidegate.services.keys import Keyring
from tidegate.stores.journal.control import ControlJournal

PEPPER = b"p" * 32


class Memory:
    def __init__(self) -> None:
        self.raw: list[bytes] = []
        self.broken = False

    def append(self, payload: bytes) -> None:
        if self.broken:
            raise Unavailable("the disk fails")
        self.raw.append(payload)


class Stage:
    def __init__(self) -> None:
        self.now_us = 1_000_000
        self.journal = Memory()
        self.registry = self.made()

    def made(self) -> Registry:
        return Registry(self.journal, PEPPER, Clock(wall_us=lambda: self.now_us))

    def works(self, text: str) -> bool:
        try:
            return bool(Keyring(self.registry.keys, PEPPER).verify(text, self.now_us))
        except Exception:  # noqa: BLE001 - any refusal is the same here
            return False


def asked(**facts: Any) -> KeyRequest:
    return KeyRequest(**{"tenant": "acme", **facts})


def test_a_key_works_once_it_is_in_the_journal() -> None:
    stage = Stage()
    made = stage.registry.create_key(asked(models=("small",), pinned={"feature": "x"}), by="me")
    assert stage.works(made.text)
    assert made.text not in repr(stage.journal.raw)
    stage.journal.broken = True
    with pytest.raises(Unavailable):
        stage.registry.create_key(asked(), by="me")
    assert len(stage.registry.keys) == 1


def test_a_revoked_key_stops_and_stays_stopped() -> None:
    stage = Stage()
    made = stage.registry.create_key(asked(), by="me")
    stage.registry.revoke_key(made.key.id, by="me")
    assert not stage.works(made.text)
    stage.registry.revoke_key(made.key.id, by="me", after_us=10**9)
    assert not stage.works(made.text)


def test_a_rotation_overlaps_as_long_as_it_says() -> None:
    stage = Stage()
    old = stage.registry.create_key(asked(team="web", defaults={"feature": "f"}), by="me")
    new = stage.registry.rotate_key(old.key.id, by="me", overlap_us=5_000_000)
    assert (new.key.team, new.key.defaults) == ("web", {"feature": "f"})
    assert stage.works(old.text)
    assert stage.works(new.text)
    stage.now_us += 5_000_000
    assert not stage.works(old.text)
    assert stage.works(new.text)
    with pytest.raises(BadRequest):
        stage.registry.rotate_key(old.key.id, by="me")


def test_the_same_records_make_the_same_registry() -> None:
    stage = Stage()
    first = stage.registry.create_key(asked(), by="me")
    second = stage.registry.create_key(asked(tenant="rival", expires_at_us=9), by="me")
    stage.registry.rotate_key(first.key.id, by="me", overlap_us=7)
    stage.registry.revoke_key(second.key.id, by="me", reason="leaked")
    stage.registry.name_feature("acme", "auto-1a2b3c", "summaries", by="me")
    again = stage.made()
    again.replay(decode_control(raw) for raw in stage.journal.raw)
    assert again.keys == stage.registry.keys


@pytest.mark.parametrize(
    ("facts", "param"),
    [
        ({"tenant": ""}, "tenant"),
        ({"tenant": "a\x1b[31m"}, "tenant"),
        ({"name": "x" * 129}, "name"),
        ({"pinned": {"colour": "red"}}, "pinned.colour"),
        ({"defaults": {"feature": ""}}, "defaults.feature"),
        ({"defaults": {"feature": " padded "}}, "defaults.feature"),
    ],
)
def test_what_no_key_can_have_is_refused_by_name(facts: dict[str, Any], param: str) -> None:
    stage = Stage()
    with pytest.raises(BadRequest) as caught:
        stage.registry.create_key(asked(**facts), by="me")
    assert caught.value.param == param
    assert not stage.journal.raw


def test_a_feature_of_nobody_in_particular_belongs_to_the_only_tenant() -> None:
    stage = Stage()
    with pytest.raises(BadRequest, match="none yet"):
        stage.registry.name_feature("", "auto-1", "x", by="me")
    stage.registry.create_key(asked(), by="me")
    stage.registry.name_feature("", "auto-1", "x", by="me")
    stage.registry.create_key(asked(tenant="rival"), by="me")
    with pytest.raises(BadRequest, match="acme, rival"):
        stage.registry.name_feature("", "auto-1", "x", by="me")


def test_an_unknown_key_is_named_as_such() -> None:
    with pytest.raises(NotFound, match="keys list"):
        Stage().registry.revoke_key("nobody", by="me")


def test_decisions_of_earlier_processes_are_read_in_order(tmp_path: Path) -> None:
    for boot in ("b1", "b2"):
        with ControlJournal.open(tmp_path, boot=boot) as journal:
            registry = Registry(journal, PEPPER, Clock())
            registry.replay(decisions(tmp_path))
            registry.create_key(asked(name=boot), by="me")
    registry = Registry(Memory(), PEPPER, Clock())
    registry.replay(decisions(tmp_path))
    assert [key.name for key in registry.keys] == ["b1", "b2"]
