from tidegate.services.features import MAX_PER_KEY, OTHER, Features


def test_a_fingerprint_names_its_feature() -> None:
    assert Features().automatic("k", "1a2b3c4d" * 4) == "auto-1a2b3c"


def test_new_fingerprints_of_a_key_are_capped() -> None:  # case 40
    features = Features()
    first = [features.automatic("k", f"{number:032x}"[::-1]) for number in range(MAX_PER_KEY)]
    assert OTHER not in first
    assert features.automatic("k", "f" * 32) == OTHER
    assert features.automatic("k", f"{0:032x}") == first[0]
    assert features.automatic("another", "f" * 32) == "auto-ffffff"
