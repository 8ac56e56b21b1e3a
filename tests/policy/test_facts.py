import pytest

from tidegate.policy.facts_dates import dates
from tidegate.policy.facts_links import links, marks
from tidegate.policy.facts_names import language_of, names
from tidegate.policy.facts_numbers import _WORDS, numbers


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1,234.5", {"1234.5"}),
        ("1.234,5", {"1234.5"}),
        ("1.234", {"1234", "1.234"}),
        ("1,000", {"1000"}),
        ("1.234.567", {"1234567"}),
        ("12 500", {"12500"}),
        ("1'234", {"1234"}),
        ("0.300", {"0.3"}),
        ("007", {"7"}),
        ("6\u00bd", {"6.5"}),
        ("\u00bd", {"0.5"}),
        ("5.3%", {"5.3"}),
        ("$3bn", {"3000000000"}),
        ("3.5 million", {"3500000"}),
        ("2 Mio.", {"2000000"}),
        ("1 Billion", {"1000000000", "1000000000000"}),
        ("3 mil", {"3000"}),
        ("1990s", {"1990"}),
        ("siglo XIX", {"19"}),
        ("Henry VIII", {"8"}),
        ("twenty-one", {"21"}),
        ("Twenty one", {"21"}),
        ("ninety-nine", {"99"}),
        ("one hundred", {"100"}),
        ("three hundred", {"300"}),
        ("four million", {"4000000"}),
        ("six-pack", {"6"}),
        ("einundzwanzig", {"21"}),
        ("siebenundneunzig", {"97"}),
        ("hundert", {"100"}),
        ("zw\u00f6lf Mio", {"12000000"}),
        ("veintid\u00f3s", {"22"}),
        ("treinta y uno", {"31"}),
        ("noventa y nueve", {"99"}),
        ("cien", {"100"}),
        ("fifth", {"5th"}),
        ("twenty-first", {"21th"}),
        ("dritten", {"3th"}),
        ("zwanzigste", {"20th"}),
        ("tercera", {"3th"}),
        ("\u4e8e1756\u5e74", {"1756"}),
        ("1.2.3", {"1.2.3"}),
    ],
)
def test_a_number_is_read_as_what_it_means(text: str, values: set[str]) -> None:
    assert [set(one.values) for one in numbers(text)] == [values]


def test_words_up_to_a_hundred_are_known_in_three_languages() -> None:
    for language in ("en", "de", "es"):
        known = {value for one in range(101) for value in _spelled(one, language)}
        assert known >= {str(value) for value in range(2, 101)}, language


def _spelled(value: int, language: str) -> set[str]:
    """What the language's own words for a number are read as."""
    return {
        read
        for word, worth in _WORDS[language].items()
        if worth == str(value)
        for one in numbers(word, (language,))
        for read in one.values
        if (one.start, one.end) == (0, len(word))
    }


def test_a_range_is_scaled_as_a_whole() -> None:
    first, last = numbers("2 to 3 million")
    assert "2000000" in first.parts
    assert (set(last.values), set(last.parts)) == ({"3000000"}, {"3"})


def test_words_of_other_languages_are_left_alone() -> None:
    assert numbers("only once", ("en",)) == []
    assert [one.values for one in numbers("once", ("es",))] == [{"11"}]


@pytest.mark.parametrize("text", ["A4", "PDP11", "x9y", "I am", "CV", "MIX"])
def test_no_number_is_read_into_other_things(text: str) -> None:
    assert numbers(text, ()) == []


@pytest.mark.parametrize(
    ("text", "readings"),
    [
        ("May 18, 1756", {(1756, 5, 18)}),
        ("18 May 1756", {(1756, 5, 18)}),
        ("18th of May, 1756", {(1756, 5, 18)}),
        ("18. Mai 1756", {(1756, 5, 18)}),
        ("18 de mayo de 1756", {(1756, 5, 18)}),
        ("1er janvier 2020", {(2020, 1, 1)}),
        ("1756-05-18", {(1756, 5, 18)}),
        ("18.05.1756", {(1756, 5, 18)}),
        ("5/18/1756", {(1756, 5, 18)}),
        ("3/4/1999", {(1999, 3, 4), (1999, 4, 3)}),
        ("3.4.99", {(1999, 3, 4), (1999, 4, 3)}),
        ("April 1917", {(1917, 4, None)}),
        ("febrero de 2015", {(2015, 2, None)}),
        ("March 3", {(None, 3, 3)}),
        ("im Oktober", {(None, 10, None)}),
        ("in May", {(None, 5, None)}),
    ],
)
def test_a_date_is_read_as_far_as_it_is_given(
    text: str, readings: set[tuple[int | None, int, int | None]]
) -> None:
    assert [set(one.readings()) for one in dates(text)] == [readings]


@pytest.mark.parametrize("text", ["we may go", "march on", "35.13.1999", "1.2.3.4", "Decoder 4", "May I"])
def test_no_date_is_read_into_other_things(text: str) -> None:
    assert dates(text) == []


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "According to the text, Kawann Short led the NFL.", ["Kawann Short", "NFL"]),
        ("en", "The Rhine flows. However, it is long.", ["Rhine"]),
        ("en", "Wagner was there with Dr. Smith and J. Brahms.", ["Wagner", "Smith", "Brahms"]),
        ("en", "Thomas Davis", ["Thomas Davis"]),
        ("en", "The answer: Beyonc\u00e9.", ["Beyonc\u00e9"]),
        ("en", "Sure! Yes. Erosion takes time on Monday in May.", []),
        ("es", "Seg\u00fan el texto, fue Mart\u00edn Lutero.", ["Mart\u00edn Lutero"]),
        ("de", "Laut dem Text war es Luther.", ["Luther"]),
        ("de", "Die Antwort auf die Frage steht in der Verfassung.", []),
        ("de", "Das war die NASA, und die Broncos waren auch da.", ["NASA", "Broncos"]),
        ("de", "Er lebte mit Thomas Davis in der alten Stadt.", ["Thomas Davis"]),
        ("de", "Weitere Angaben fehlen im kleinen Anhang.", []),
        ("de", "Kleine Lichter waren da. Anna Seghers auch.", ["Anna Seghers"]),
        (
            "ru",
            "\u0412 1756 \u0433\u043e\u0434\u0443 \u041f\u0443\u0448\u043a\u0438\u043d",
            ["\u041f\u0443\u0448\u043a\u0438\u043d"],
        ),
        ("zh", "\u5317\u4eac", []),
    ],
)
def test_names_are_told_from_other_capitals(language: str, text: str, expected: list[str]) -> None:
    assert [text[one.start : one.end] for one in names(text, language)] == expected


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("the cat is on the mat", "en"),
        ("die Katze ist auf der Matte", "de"),
        ("el gato est\u00e1 en la casa", "es"),
        ("le chat est dans la maison", "fr"),
        ("4711", ""),
        ("kissa istuu matolla", ""),
    ],
)
def test_a_language_is_told_by_its_small_words(text: str, language: str) -> None:
    assert language_of(text) == language


def test_links_are_written_in_one_way() -> None:
    text = "see https://www.Example.org/a/b/, (http://example.org) or foo.com."
    assert [link for *_, link in links(text)] == ["example.org/a/b", "example.org", "foo.com"]
    assert [text[start:end] for start, end, _ in links(text)][2] == "foo.com"


def test_marks_are_letters_and_digits_together() -> None:
    assert [mark for *_, mark in marks("A4 and CO2, B52-X, not 19th, 1990s, 35-year, x@y2")] == [
        "a4",
        "co2",
        "b52x",
    ]
