import pytest

from tidegate.gateway.auth import (
    MAX_ADDRESSES,
    Authenticator,
    LoginGuard,
    credentials,
    query_credentials,
    tidegate_key,
)
from tidegate.model.errors import BadRequest, RateLimited, Unauthenticated
from tidegate.model.identity import Key
from tidegate.policy.keyformat import assemble
from tidegate.services.keys import Keyring, mac_of

PEPPER = b"p" * 32
KEY_ID = "abcdefghijkl"
KEY, OTHER = assemble(KEY_ID, "k" * 32), assemble("mnopqrstuvwx", "o" * 32)
RING = Keyring([Key(id=KEY_ID, mac=mac_of(KEY, PEPPER), tenant="acme")], PEPPER)
MINUTE = 60_000_000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("authorization", f"Bearer {KEY}"),
        ("authorization", f"bearer {KEY}"),
        ("x-api-key", KEY),
        ("api-key", KEY),
        ("x-goog-api-key", KEY),
    ],
)
def test_the_key_is_found_wherever_an_sdk_puts_it(name: str, value: str) -> None:  # trap K2
    assert tidegate_key(credentials([(name.encode(), value.encode())])) == KEY


def test_the_query_key_is_read_only_where_the_path_allows_it() -> None:  # trap K2
    query = f"alt=sse&key={KEY}".encode()
    assert tidegate_key(query_credentials(query)) == KEY
    with pytest.raises(Unauthenticated):
        tidegate_key(credentials([]))


def test_a_foreign_credential_beside_ours_is_ignored() -> None:  # trap K2
    both = [(b"authorization", b"Bearer ya29.foreign"), (b"x-goog-api-key", KEY.encode())]
    assert tidegate_key(credentials(both)) == KEY


def test_two_different_keys_are_refused_and_one_twice_is_not() -> None:  # case 4
    def sent(one: str, other: str) -> list[str]:
        return credentials([(b"authorization", f"Bearer {one}".encode()), (b"x-api-key", other.encode())])

    assert tidegate_key(sent(KEY, KEY)) == KEY
    with pytest.raises(BadRequest):
        tidegate_key(sent(KEY, OTHER))


@pytest.mark.parametrize("found", [[], ["sk-foreign"], ["' OR 1=1--"]])
def test_without_our_key_nobody_is_let_in(found: list[str]) -> None:  # cases 1, 2
    with pytest.raises(Unauthenticated) as caught:
        tidegate_key(found)
    assert not found or found[0] not in caught.value.message


def test_a_megabyte_of_credential_is_cut() -> None:  # case 3
    assert len(credentials([(b"authorization", b"Bearer " + b"x" * 1_000_000)])[0]) < 5000


def attempt(authenticator: Authenticator, found: list[str], now_us: int, address: str = "10.0.0.1") -> str:
    try:
        return authenticator.key_of(RING, found, address, now_us).id
    except (Unauthenticated, RateLimited) as error:
        return error.code


def test_guessing_is_slowed_after_twenty_failures_in_a_minute() -> None:  # case 5
    authenticator = Authenticator(LoginGuard())
    codes = [attempt(authenticator, [OTHER], MINUTE) for _ in range(22)]
    assert codes == ["invalid_api_key"] * 20 + ["rate_limit_exceeded"] * 2
    assert attempt(authenticator, [OTHER], MINUTE, "10.0.0.2") == "invalid_api_key"
    assert attempt(authenticator, [OTHER], 2 * MINUTE) == "invalid_api_key"


def test_a_valid_key_is_served_from_a_slowed_address() -> None:
    authenticator = Authenticator(LoginGuard())
    for _ in range(30):
        attempt(authenticator, ["x"], MINUTE)
    assert attempt(authenticator, [KEY], MINUTE) == KEY_ID


def test_the_table_of_addresses_is_bounded() -> None:
    guard = LoginGuard()
    for number in range(MAX_ADDRESSES + 10):
        guard.failed(str(number), MINUTE)
    assert len(guard._failures) == MAX_ADDRESSES
