import msgspec
import pytest
from cryptography.exceptions import InvalidTag

from tidegate.model.message import Opaque, RedactedThinking, Thinking
from tidegate.services.kept import MAX_PART_BYTES, KeptParts

THOUGHT = Thinking(text="the patient is called Smith", signature="c2ln")
PARTS = (THOUGHT, RedactedThinking(data="x"))


def test_what_was_kept_comes_back_by_tenant_and_call() -> None:  # trap S11
    kept = KeptParts()
    kept.put("acme", {"call_1": PARTS, "call_2": (THOUGHT,)})
    assert kept.get("acme", "call_1") == PARTS
    assert dict(kept.of("acme")) == {"call_1": PARTS, "call_2": (THOUGHT,)}


def test_no_tenant_gets_what_is_anothers() -> None:
    kept = KeptParts()
    kept.put("acme", {"call_1": PARTS})
    assert kept.get("globex", "call_1") is None
    with pytest.raises(KeyError):
        kept.of("globex")["call_1"]
    assert len(kept.of("globex")) == 0


def test_nothing_readable_stands_in_memory() -> None:
    kept = KeptParts()
    kept.put("acme", {"call_1": PARTS})
    assert all(b"Smith" not in sealed for sealed in kept._store._sealed.values())


def test_a_sealed_part_opens_in_its_own_place_alone() -> None:
    kept = KeptParts()
    kept.put("acme", {"call_1": PARTS})
    kept._store._sealed["globex", "call_1"] = kept._store._sealed["acme", "call_1"]
    with pytest.raises(InvalidTag):
        kept.get("globex", "call_1")


def test_the_least_recently_used_goes_first() -> None:  # trap V4
    kept = KeptParts(max_calls=2)
    kept.put("acme", {"a": PARTS, "b": PARTS})
    kept.get("acme", "a")
    kept.put("acme", {"c": PARTS})
    assert sorted(kept.of("acme")) == ["a", "c"]


def test_bytes_are_bounded_and_counted() -> None:  # trap V4
    kept = KeptParts(max_bytes=1_000)
    for n in range(100):
        kept.put("acme", {f"call_{n}": PARTS})
        assert kept.size_bytes <= 1_000
    assert kept.size_bytes == sum(map(len, kept._store._sealed.values()))
    kept.put("acme", {"huge": (Thinking(text="a" * MAX_PART_BYTES),)})
    assert kept.get("acme", "huge") is None


def test_a_later_part_replaces_an_earlier_one() -> None:
    kept = KeptParts()
    kept.put("acme", {"a": PARTS})
    kept.put("acme", {"a": (Opaque(name="extra_content", raw=msgspec.Raw(b'{"google":{}}')),)})
    (only,) = kept.get("acme", "a") or ()
    assert isinstance(only, Opaque)
    assert (only.name, bytes(only.raw), len(kept)) == ("extra_content", b'{"google":{}}', 1)
