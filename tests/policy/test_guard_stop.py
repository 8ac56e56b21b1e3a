import pytest

from tidegate.model.errors import ConfigError
from tidegate.policy.guard import GuardContext
from tidegate.policy.guard_stop import FEW_WORDS, stop_guard, stop_list
from tidegate.policy.guard_stream import scan

KEY = b"k" * 32
ENTRIES = [
    "Acme Corp",
    "secret",
    "Stra\u00dfe",
    "\u6771\u4eac",
    "new york city",
    "New York",
    "na\u00efve",
    "caf\u00e9",
    "\u043c\u0438\u0440",
]
FILLERS = [f"word{number}" for number in range(FEW_WORDS)]


def found(text: str, entries: list[str] = ENTRIES) -> list[tuple[str, str]]:
    return [(one.rule, text[one.start : one.end]) for one in scan(text, stop_list(entries), digest_key=KEY)]


@pytest.mark.parametrize("entries", [ENTRIES, ENTRIES + FILLERS], ids=["few", "many"])
@pytest.mark.parametrize(
    ("text", "rule", "value"),
    [
        ("the ACME  corp.", "stop/1", "ACME  corp"),
        ("Acme-Corp", "stop/1", "Acme-Corp"),
        ("Secret!", "stop/2", "Secret"),
        ("s\u200bec\u00adret", "stop/2", "s\u200bec\u00adret"),
        ("s\u0435cr\u0435t", "stop/2", "s\u0435cr\u0435t"),
        ("\uff33\uff25\uff23\uff32\uff25\uff34", "stop/2", "\uff33\uff25\uff23\uff32\uff25\uff34"),
        ("\u202esecret\u202c", "stop/2", "secret"),
        ("STRASSE", "stop/3", "STRASSE"),
        ("\u5728\u6771\u4eac\u5e02", "stop/4", "\u6771\u4eac"),
        ("New\nYork City", "stop/5", "New\nYork City"),
        ("New York cityscape", "stop/6", "New York"),
        ("nai\u0308ve", "stop/7", "nai\u0308ve"),
        ("CAFE\u0301", "stop/8", "CAFE\u0301"),
        ("\u041c\u0418\u0420", "stop/9", "\u041c\u0418\u0420"),
        ("my_secret_word", "stop/2", "secret"),
    ],
)  # case 29
def test_is_found_however_it_is_spelled(text: str, rule: str, value: str, entries: list[str]) -> None:
    assert found(text, entries) == [(rule, value)]


@pytest.mark.parametrize(
    "text", ["secretly", "secrets", "cafe", "naive", "Acme and Corp", "new york" + " " * 9 + "city!"]
)
def test_another_word_is_passed_over(text: str) -> None:
    assert [
        rule for rule, _ in found(text, ["secret", "caf\u00e9", "na\u00efve", "acme corp", "new york city"])
    ] == []


@pytest.mark.parametrize("entry", ["", " - ", "x" * 201])
def test_an_entry_that_says_nothing_or_too_much_is_refused(entry: str) -> None:
    with pytest.raises(ConfigError, match="entry 2 of the stop list"):
        stop_list(["fine", entry])


def test_it_is_a_guard_too() -> None:
    assert [one.rule for one in stop_guard(["secret"])("a Secret", GuardContext(KEY))] == ["stop/1"]
