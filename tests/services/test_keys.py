from typing import Any

import pytest

from tidegate.model.errors import Unauthenticated
from tidegate.model.identity import Key
from tidegate.policy.keyformat import assemble, key_id_of
from tidegate.services.keys import Keyring, mac_of, mint

PEPPER = b"p" * 32
KEY_ID = "abcdefghijkl"
TEXT = assemble(KEY_ID, "c" * 32)


def ring(**facts: Any) -> Keyring:
    return Keyring([Key(id=KEY_ID, mac=mac_of(TEXT, PEPPER), tenant="acme", **facts)], PEPPER)


def refusal(keyring: Keyring, text: str, now_us: int = 1000) -> str:
    with pytest.raises(Unauthenticated) as caught:
        keyring.verify(text, now_us)
    assert text not in caught.value.message or not text
    return caught.value.code


def test_a_key_is_recognised() -> None:
    assert ring().verify(TEXT, 0).tenant == "acme"


def test_a_minted_key_is_well_formed_and_no_other_is_like_it() -> None:
    key_id, text = mint()
    assert key_id_of(text) == key_id
    assert mint()[1] != text


def test_the_key_itself_is_not_stored() -> None:
    assert TEXT not in repr(vars(ring()))


def test_a_key_that_was_verified_before_is_still_asked_for_its_end() -> None:  # case 6
    keyring = ring(revoked_at_us=1000)
    assert keyring.verify(TEXT, 999).id == KEY_ID
    assert refusal(keyring, TEXT, 1000) == "revoked_api_key"


def test_only_verified_keys_are_remembered() -> None:
    keyring = ring()
    for wrong in (assemble(KEY_ID, "b" * 32), assemble("a" * 12, "b" * 32), "nonsense"):
        refusal(keyring, wrong)
    assert keyring._verified == {}


@pytest.mark.parametrize("text", ["", "' OR 1=1--", assemble("a" * 12, "b" * 32), assemble(KEY_ID, "b" * 32)])
def test_anything_else_is_invalid(text: str) -> None:  # cases 1, 2, 5
    assert refusal(ring(), text) == "invalid_api_key"


@pytest.mark.parametrize(("now_us", "refused"), [(999, False), (1000, True), (1001, True)])
def test_revocation_and_expiry_hold_from_their_instant(now_us: int, *, refused: bool) -> None:  # case 6
    for field, code in (("revoked_at_us", "revoked_api_key"), ("expires_at_us", "expired_api_key")):
        keyring = ring(**{field: 1000})
        if refused:
            assert refusal(keyring, TEXT, now_us) == code
        else:
            assert keyring.verify(TEXT, now_us).id == KEY_ID


def test_another_pepper_knows_nobody() -> None:
    other = Keyring([Key(id=KEY_ID, mac=mac_of(TEXT, PEPPER), tenant="acme")], b"q" * 32)
    assert refusal(other, TEXT) == "invalid_api_key"
