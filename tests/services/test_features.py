from tidegate.policy.fingerprint import fingerprint
from tidegate.services.features import MAX_PER_KEY, MAX_REMEMBERED, OTHER, Features, Fingerprints


def test_a_fingerprint_names_its_feature() -> None:
    assert Features().automatic("k", "1a2b3c4d" * 4) == "auto-1a2b3c"


def test_new_fingerprints_of_a_key_are_capped() -> None:  # case 40
    features = Features()
    first = [features.automatic("k", f"{number:032x}"[::-1]) for number in range(MAX_PER_KEY)]
    assert OTHER not in first
    assert features.automatic("k", "f" * 32) == OTHER
    assert features.automatic("k", f"{0:032x}") == first[0]
    assert features.automatic("another", "f" * 32) == "auto-ffffff"


def test_a_remembered_fingerprint_is_the_one_that_would_be_made() -> None:
    known, key = Fingerprints(), b"k" * 32
    for text in ("You label tickets.", "You write poems.", "You label tickets."):
        assert known.of(key, text, b"", hashed="same") == fingerprint(key, text, b"")
    assert known.of(b"j" * 32, "You write poems.", b"", hashed="same") == fingerprint(
        b"j" * 32, "You write poems.", b""
    )


def test_what_is_remembered_is_bounded() -> None:
    known = Fingerprints()
    for number in range(MAX_REMEMBERED + 10):
        known.of(b"k" * 32, str(number), b"", hashed="same")
    assert len(known._known) <= MAX_REMEMBERED
