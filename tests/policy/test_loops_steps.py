import pytest

from tidegate.model.message import Image, Message, Part, Role, Text, ToolResult, ToolUse
from tidegate.policy.steps import EMPTY, KEPT, READ_IN_FULL, Step, Tail, extended

KEY = b"k" * 32


def said(role: Role, *parts: Part) -> Message:
    return Message(role=role, parts=parts)


def use(id_: str, name: str = "run", arguments: str = "{}") -> ToolUse:
    return ToolUse(id=id_, name=name, arguments=arguments)


def result(id_: str, text: str = "done", *, is_error: bool = False) -> ToolResult:
    return ToolResult(id=id_, parts=(Text(text=text),), is_error=is_error)


def grown(*messages: Message) -> Tail:
    return extended(EMPTY, messages, KEY)


def steps(*messages: Message) -> tuple[Step, ...]:
    return grown(*messages).steps


ASKED = said("user", Text(text="Tidy up."))


def test_a_call_and_its_result_are_one_step() -> None:
    (step,) = steps(ASKED, said("assistant", Text(text="I run it."), use("a")), said("user", result("a")))
    assert step.call
    assert step.result
    assert (step.number, step.message, step.is_text) == (0, 1, False)


def test_results_find_their_calls_in_any_order() -> None:
    together = said("assistant", use("a", arguments="1"), use("b", arguments="2"))
    one = steps(together, said("user", result("a", "x"), result("b", "y")))
    other = steps(together, said("user", result("b", "y")), said("user", result("a", "x")))
    assert [step.result for step in one] == [step.result for step in other]


def test_a_result_that_comes_later_finds_its_call_in_an_older_tail() -> None:
    before = grown(said("assistant", use("a"), use("b")), said("user", result("a")))
    assert before.steps[1].result == 0
    after = extended(before, [said("user", result("b"))], KEY)
    assert after.steps[0].result == after.steps[1].result
    assert after.open == ()


def test_results_whose_calls_were_never_seen_are_steps_of_different_calls() -> None:  # trap K10
    one, other = steps(said("user", result("a"), result("b")))
    assert one.result == other.result
    assert one.call != other.call
    assert (one.number, other.number) == (0, 1)


def test_a_result_of_a_step_that_is_kept_no_more_is_left_out() -> None:
    many = [said("assistant", use(f"c{n}", arguments=str(n))) for n in range(KEPT + 5)]
    tail = grown(*many)
    assert (len(tail.steps), tail.dropped, tail.calls) == (KEPT, 5, KEPT + 5)
    assert extended(tail, [said("user", result("c0"))], KEY).steps == tail.steps


def test_words_with_a_reply_are_a_step_and_words_beside_calls_are_none() -> None:
    (step,) = steps(
        ASKED,
        said("assistant", Text(text="Shall I?")),
        said("user", Text(text="Tell me more first, please.")),
    )
    assert step.is_text
    assert step.result
    assert not step.unhelpful
    (only,) = steps(said("assistant", Text(text="I look.")), said("assistant", use("a")))  # as in Responses
    assert not only.is_text


@pytest.mark.parametrize(
    ("reply", "brings_nothing"),
    [
        ("ok", True),
        ("Go on.", True),
        ("yes, please do", True),
        ("Ja, bitte weiter!", True),
        ("", True),
        ("Berlin", False),
        ("order 4711", False),
        ("ok " * 50, False),
    ],
)
def test_a_reply_that_only_says_to_go_on_brings_nothing(reply: str, brings_nothing: bool) -> None:
    (step,) = steps(said("assistant", Text(text="Shall I?")), said("user", Text(text=reply)))
    assert step.unhelpful == brings_nothing


def test_an_error_by_its_flag_brings_nothing() -> None:
    (step,) = steps(said("assistant", use("a")), said("user", result("a", "all good", is_error=True)))
    assert step.unhelpful


def test_the_calls_of_a_turn_are_counted() -> None:
    turn = said("assistant", use("a"), use("b"), use("c"))
    assert grown(turn).turn_calls == 3
    assert grown(*[said("assistant", use(id_)) for id_ in "ab"]).turn_calls == 2  # as in Responses
    assert grown(turn, said("user", result("a")), said("assistant", use("d"))).turn_calls == 1


def test_many_results_at_once_are_equal_to_those_read_one_by_one() -> None:
    pairs = [
        message
        for n in range(3 * READ_IN_FULL)
        for message in (
            said("assistant", use(f"c{n}", arguments=str(n % 5))),
            said("user", result(f"c{n}", f"attempt {n}: {'failed' if n % 5 else 'error'} at 12:00:{n:02}")),
        )
    ]
    tail = EMPTY
    for message in pairs:
        tail = extended(tail, [message], KEY)
    assert grown(*pairs).steps == tail.steps


def test_lines_that_all_were_there_are_known() -> None:
    book = "\n".join(f"row {n} of the book" for n in range(40))
    part = "\n".join(f"row {n} of the book" for n in range(7, 13))
    other = f"{part}\na row that is new"
    found = steps(
        *(
            message
            for n, text in enumerate((book, part, other))
            for message in (
                said("assistant", use(str(n), arguments=str(n))),
                said("user", result(str(n), text)),
            )
        )
    )
    assert [step.known_lines for step in found] == [False, True, False]


def test_an_image_is_compared_by_its_data() -> None:
    pictures = [
        ToolResult(id="a", parts=(Image(data=data, media_type="image/png"),)) for data in ("AAAA", "AAAB")
    ]
    one, other = (steps(said("assistant", use("a")), said("user", picture))[0] for picture in pictures)
    assert one.answer.exact != other.answer.exact


def test_the_same_under_another_key_has_other_prints() -> None:
    messages = [said("assistant", use("a")), said("user", result("a"))]
    (one,), (other,) = (extended(EMPTY, messages, key).steps for key in (b"a" * 32, b"b" * 32))
    assert one.call != other.call
    assert one.result != other.result


def test_no_text_is_kept() -> None:
    secret = "a very secret word indeed"
    tail = grown(
        said("assistant", Text(text=secret)),
        said("user", Text(text=secret)),
        said("assistant", use("a", secret, secret)),
        said("user", result("a", secret)),
    )
    assert "secret" not in repr(tail)
