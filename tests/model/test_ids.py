import uuid

from hypothesis import given
from hypothesis import strategies as st

from tidegate.model.ids import uuid7


@given(st.integers(0, 2**48 * 1000 - 1), st.integers(0, 2**74 - 1))
def test_ids_are_version_seven_and_hold_their_millisecond(at_us: int, random: int) -> None:
    made = uuid.UUID(uuid7(at_us, random))
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert made.int >> 80 == at_us // 1000


@given(st.integers(0, 2**47), st.integers(0, 2**62 - 1), st.integers(0, 2**62 - 1))
def test_ids_sort_by_microsecond(at_us: int, one: int, other: int) -> None:
    assert uuid7(at_us, one) < uuid7(at_us + 1, other)


def test_an_id_is_spelled_as_ever() -> None:
    assert uuid7(1_780_000_000_123_456, 0x2ABC_DEF0_1234_5678) == "019e7044-887b-774b-aabc-def012345678"
