import pytest

from tidegate.model.errors import RateLimited
from tidegate.services.replays import SECOND_US, WINDOW_US, Question, Replays

ASKED: Question = ("k1", "s1", "e1")


def test_a_question_that_fails_again_and_again_has_to_wait() -> None:  # trap K8
    replays = Replays(max_failures=3)
    for failures in range(3):
        decisions = replays.check(ASKED, failures * SECOND_US)
        assert [one.inputs["failures"] for one in decisions] == ([failures] if failures else [])
        replays.ended(ASKED, failures * SECOND_US, failed=True)
    with pytest.raises(RateLimited) as caught:
        replays.check(ASKED, 3 * SECOND_US)
    assert (caught.value.retry_after_s, caught.value.retryable) == (57, True)
    assert replays.check(ASKED, WINDOW_US) == ()


@pytest.mark.parametrize("other", [("k2", "s1", "e1"), ("k1", "s2", "e1"), ("k1", "s1", "e2")])
def test_another_key_session_or_question_is_no_replay(other: Question) -> None:
    replays = Replays(max_failures=1)
    replays.ended(ASKED, 0, failed=True)
    assert replays.check(other, 1) == ()


def test_what_was_answered_is_no_replay_however_often_it_is_asked() -> None:
    replays = Replays(max_failures=1)
    for now_us in range(100):
        assert replays.check(ASKED, now_us) == ()
        replays.ended(ASKED, now_us, failed=False)
    assert len(replays) == 0


def test_an_answer_forgets_the_failures_before_it() -> None:
    replays = Replays(max_failures=2)
    replays.ended(ASKED, 0, failed=True)
    replays.ended(ASKED, 1, failed=False)
    replays.ended(ASKED, 2, failed=True)
    assert [one.inputs for one in replays.check(ASKED, 3)] == [{"failures": 1}]


def test_a_new_minute_counts_anew() -> None:
    replays = Replays(max_failures=2)
    replays.ended(ASKED, 0, failed=True)
    replays.ended(ASKED, WINDOW_US, failed=True)
    assert [one.inputs for one in replays.check(ASKED, WINDOW_US + 1)] == [{"failures": 1}]


def test_the_table_is_bounded() -> None:  # trap V4
    replays = Replays(max_questions=10)
    for n in range(100):
        replays.ended(("k1", "", str(n)), n, failed=True)
    assert len(replays) == 10


def test_a_clock_that_goes_back_keeps_nobody_out() -> None:
    replays = Replays(max_failures=1)
    replays.ended(ASKED, WINDOW_US, failed=True)
    assert replays.check(ASKED, 5) == ()
