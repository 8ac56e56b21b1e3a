import pytest

from tidegate.policy.keyformat import KEY_LENGTH, assemble, key_id_of

KEY = assemble("abcdefghijkl", "a2" * 16)


def test_a_key_names_its_id() -> None:
    assert len(KEY) == KEY_LENGTH
    assert key_id_of(KEY) == "abcdefghijkl"


@pytest.mark.parametrize("position", range(KEY_LENGTH))
def test_one_wrong_letter_is_noticed_before_any_look_up(position: int) -> None:  # case 2
    wrong = "b" if KEY[position] != "b" else "c"
    assert key_id_of(KEY[:position] + wrong + KEY[position + 1 :]) is None


@pytest.mark.parametrize(
    "text", ["", "' OR 1=1--", "tg_", KEY + "a", KEY[:-1], KEY.upper(), " " + KEY[1:], "tg_" * 400_000]
)
def test_what_is_no_key_has_no_id(text: str) -> None:
    assert key_id_of(text) is None
