import pytest

from tidegate.policy.guard_fold import HIDDEN_RUN, fold


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        ("plain", "plain"),
        ("Gr\u00f6\u00dfe \u6771\u4eac", "Gr\u00f6\u00dfe \u6771\u4eac"),
        ("\uff4d\uff41\uff58\uff20\uff22.de", "max@B.de"),
        ("\U0001d42c\U0001d424-\u2460", "sk-1"),
        ("1\u00a0234\u202f567", "1 234 567"),
        ("0171\u20131234", "0171-1234"),
        ("\u0661\u0662\u0967", "121"),
        ("\u0440\u0430\u0443\u0440\u0430l", "paypal"),
        ("a\u200bb\u00adc\u202ed", "abcd"),
        (r"a\nb\"c\u00e9d", "a  b  c      d"),
        (r"C:\Windows \q", r"C:\Windows \q"),
        (r"\\n", "  n"),
    ],
)  # case 29
def test_a_text_is_read_in_its_plain_form(raw: str, read: str) -> None:
    assert fold(raw).text == read


def test_places_lead_back_to_the_text_as_it_came() -> None:
    raw = "\u200bse\u200dcret\u200b!"
    view = fold(raw)
    assert view.text == "secret!"
    assert raw[view.start(0) : view.end(6)] == "se\u200dcret"
    assert view.start(7) == len(raw)


def test_a_long_run_of_hidden_characters_is_a_gap() -> None:
    assert fold("a" + "\u200b" * HIDDEN_RUN + "b").text == "ab"
    assert fold("a" + "\u200b" * (HIDDEN_RUN + 1) + "b").text == "a" + " " * (HIDDEN_RUN + 1) + "b"
    assert fold("\u200bb", in_gap=True).text == " b"


@pytest.mark.parametrize(
    ("raw", "read"), [("a\\", 1), ("a\\u00", 1), ("a\\\\", 3), ("a\u200b", 1), ("a\\q", 3)]
)
def test_what_may_go_on_is_left_for_later(raw: str, read: int) -> None:
    assert fold(raw, final=False).read == read
    assert fold(raw).read == len(raw)


def test_lower_case_keeps_every_place() -> None:
    letters = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x11000)]))
    read = fold(letters.replace("\\", "")).text
    assert len(read.lower()) == len(read)
