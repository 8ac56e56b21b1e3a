import pytest

from tidegate.policy.outcome import is_done, is_unhelpful, is_waiting


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n",
        "[]",
        "null",
        "error: no such table",
        "traceback (most recent call last)",
        "keine tabelle: fehler",
    ],
)
def test_a_result_that_brings_nothing(text: str) -> None:
    assert is_unhelpful(text)


@pytest.mark.parametrize("text", ["3 rows", "def main(): ...", "the contract ends in may", "x" * 900])
def test_a_result_that_brings_something(text: str) -> None:
    assert not is_unhelpful(text)


def test_of_a_long_result_the_ends_are_judged() -> None:
    assert is_unhelpful("ok\n" * 500 + "error: it broke")
    assert not is_unhelpful("ok\n" * 500 + "an error" + "ok\n" * 500)


@pytest.mark.parametrize("text", ["status: pending", "http 503", "too many requests", "job is still running"])
def test_what_says_that_one_has_to_wait(text: str) -> None:
    assert is_waiting(text)
    assert not is_waiting(text + " " * 500)


def test_a_word_that_something_was_done() -> None:
    assert is_done("file written successfully")
    assert is_done(" ok ")
    assert not is_done("three rooms are free")
    assert not is_done("done " * 100)
