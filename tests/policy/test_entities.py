import pytest

from tidegate.policy.entities import entities


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Summarise invoice 4711", "Summarise invoice 4712"),
        ("Transfer 100 EUR", "Transfer 1000 EUR"),
        ("What did Anna say?", "What did Maria say?"),
        ("Is it safe?", "Is it not safe?"),
        ("Meet on 3 May 2024", "Meet on 4 May 2024"),
        ("Read https://a.de/x", "Read https://a.de/y"),
        ("Part A4", "Part A5"),
        ("the fifth one", "five of them"),
        ("send two, then two", "send two"),
    ],
)  # case 37, trap C4
def test_near_duplicates_with_another_fact_differ(one: str, other: str) -> None:
    assert entities(one) != entities(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Transfer 1,000.00 EUR to Anna", "Transfer 1000 EUR, please, to ANNA"),
        ("the four ships, is that right", "the 4 ships, is this right"),
        ("on 3 May 2024 in the city", "on May 3, 2024 in the city"),
        ("What is the capital of France?", "what is FRANCE's capital?"),
        ("see http://www.a.de/x/", "look at https://A.de/x"),
    ],
)
def test_other_spellings_of_the_same_do_not(one: str, other: str) -> None:
    assert entities(one) == entities(other)


def test_each_is_written_in_one_way() -> None:
    text = "Was ist mit Rechnung 4711 von M\u00fcller vom 3.4.2024? Nicht A4, siehe https://a.de/x/"
    assert entities(text) == (
        "date:2024-3-4/2024-4-3",
        "id:a4",
        "link:a.de/x",
        "name:muller",
        "name:rechnung",
        "not",
        "number:4711",
    )
