import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from tests.policy.test_guard_work import calls
from tidegate.policy.grounding import MOST_FINDINGS, given, grounding_guard, ungrounded
from tidegate.policy.guard import GuardContext, Severity

KEY = b"k" * 32
CONTEXT = (
    "On May 18, 1756 the British, led by Thomas Davis of the United Nations, lost 12,500 men (5.3%) and four"
    " ships near the Rheintal. Fran\u00e7ois O'Hara came third with order INV-4712X. See"
    " https://example.org/a/b?c. 3 to 5 million people, 1,234 of them in Munich."
)


def missing(answer: str, context: str = CONTEXT) -> list[tuple[str, str]]:
    return [
        (one.rule.removeprefix("ungrounded/"), answer[one.start : one.end])
        for one in ungrounded(answer, context, digest_key=KEY)
    ]


@pytest.mark.parametrize(
    "answer",
    [
        "In 1756, 12.500 men and 4 ships were lost, that is 5,3 %.",
        "Was it so? No: four ships. The third one.",
        "It was on 18 May 1756.",
        "18.5.1756 or 1756-05-18, in May 1756.",
        "3 million to 5,000,000 people; 1.234 in Munich.",
        "The UN and Davis's men.",
        "THOMAS DAVIS and Francois O\u2019Hara.",
        "He went along the Rheintals with Davis.",
        "Look at http://www.example.org/a/b?c or example.org.",
        "Order inv-4712x, says Thomas.",
        "One of them, first of all, is in Munich.",
        "The list is 4,18,1756,3.",
    ],
)
def test_what_the_context_holds_is_grounded(answer: str) -> None:
    assert missing(answer) == []


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("In 1757 it was.", [("number", "1757")]),
        ("12,501 men", [("number", "12,501")]),
        ("six ships", [("number", "six")]),
        ("7 million people", [("number", "7 million")]),
        ("1.234 million people", [("number", "1.234 million")]),
        ("the list 4,18,1757", [("number", "4,18,1757")]),
        ("the fourth one", []),
        ("the ninth one", [("number", "ninth")]),
        ("on 19 May 1756", [("date", "19 May 1756")]),
        ("on 18 May 1757", [("date", "18 May 1757")]),
        ("in June 1756", [("date", "June 1756")]),
        ("It was John Davis.", [("name", "John")]),
        ("It was Karl Marx, of NATO.", [("name", "Karl Marx"), ("name", "NATO")]),
        ("see example.com/a", [("link", "example.com/a")]),
        ("see example.org/other", [("link", "example.org/other")]),
        ("order INV4713X", [("mark", "INV4713X")]),
    ],
)
def test_what_stands_nowhere_in_it_is_named(answer: str, expected: list[tuple[str, str]]) -> None:
    assert missing(answer) == expected


@pytest.mark.parametrize(
    ("answer", "context", "expected"),
    [
        ("Das war Martin Luther im Jahr 1517.", "Luther, Martin: die Thesen von 1517 und das Wort.", []),
        ("Es waren zw\u00f6lf Schiffe.", "Es gab 12 Schiffe und das war es.", []),
        ("Es waren dreizehn Schiffe.", "Es gab 12 Schiffe und das war es.", [("number", "dreizehn")]),
        ("Am 3. M\u00e4rz 1999 war es Einstein.", "Das war der 3.3.1999 mit Bohr.", [("name", "Einstein")]),
        (
            "Fue el siglo XVII, con Cort\u00e9s.",
            "En el siglo XVI, con Hern\u00e1n Cort\u00e9s y la tropa.",
            [("number", "XVII")],
        ),
        ("Das war die NASA-Gruppe.", "Das ist die NASA und nicht das Amt.", []),
        ("Fueron veintid\u00f3s.", "En total fueron 22 en la casa.", []),
    ],
)
def test_german_and_spanish_are_read_too(answer: str, context: str, expected: list[tuple[str, str]]) -> None:
    assert missing(answer, context) == expected


def test_a_doubtful_name_counts_less() -> None:
    sure, doubtful = (
        ungrounded(answer, CONTEXT, digest_key=KEY)[0] for answer in ("It was Marx.", "Marx was there.")
    )
    assert (sure.severity, doubtful.severity) == (Severity.MEDIUM, Severity.LOW)


def test_an_answer_out_of_its_own_context_is_grounded() -> None:
    assert missing(CONTEXT) == []


@for_all(st.text(max_size=200))
def test_any_text_is_grounded_in_itself(text: str) -> None:
    assert missing(text, text) == []


def test_the_evidence_is_not_the_text() -> None:
    (one,) = ungrounded("It was Marx.", given(CONTEXT), digest_key=KEY)
    assert (one.kind, one.rule, one.start, one.end) == ("ungrounded", "ungrounded/name", 7, 11)
    assert one.counts == (("characters", 4), ("missing", 1))
    assert "marx" not in repr(one).lower()


def test_without_a_context_the_guard_says_nothing() -> None:
    assert grounding_guard("It was Marx.", GuardContext(KEY)) == ()
    assert len(grounding_guard("It was Marx.", GuardContext(KEY, given=CONTEXT))) == 1


def test_findings_end_somewhere() -> None:
    answer = " ".join(str(number) for number in range(10_000, 11_000))
    assert len(ungrounded(answer.replace(" ", ";"), "nothing", digest_key=KEY)) == MOST_FINDINGS


@pytest.mark.parametrize(
    "part",
    [
        *(
            "1.",
            "1,234,",
            "1 234 ",
            "1/1/",
            "May 1 ",
            "Aa ",
            "A.A.",
            "A-",
            "AB ",
            "A4 ",
            "http://a",
            "a.com/",
        ),
        *("one ", "twenty-", "XIV ", "2 to 3 million ", "\u00bd", ": Aa ", "Aa de ", "abcd", "\u00e9"),
    ],
)
def test_twice_the_text_is_twice_the_work(part: str) -> None:  # case 28
    def check(size: int) -> None:
        text = part * (size // len(part))
        ungrounded(text, given(text), digest_key=KEY)

    one, two = (calls(lambda: check(size)) for size in (6_000, 12_000))  # noqa: B023
    assert two <= 2.2 * one + 500
