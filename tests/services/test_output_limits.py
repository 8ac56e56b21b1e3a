from hypothesis import given
from hypothesis import strategies as st

from tidegate.services.output_limits import ENOUGH, LEAST_TOKENS, MAX_FEATURES, REMEMBERED, OutputLimits


def limits(*sizes: int) -> OutputLimits:
    made = OutputLimits()
    for tokens in sizes:
        made.learn("acme", "chat", "m", tokens)
    return made


def test_nothing_is_learned_from_few_answers() -> None:
    assert limits(*[100] * (ENOUGH - 1)).of("acme", "chat", "m") is None
    assert limits(*[100] * ENOUGH).of("acme", "chat", "m") == LEAST_TOKENS
    assert limits(*[100] * ENOUGH).of("acme", "chat", "other") is None
    assert limits(*[100] * ENOUGH).of("globex", "chat", "m") is None


@given(st.lists(st.integers(0, 100_000), min_size=ENOUGH, max_size=2 * REMEMBERED))
def test_at_most_one_in_a_hundred_of_the_latest_would_have_been_cut(sizes: list[int]) -> None:
    limit = limits(*sizes).of("acme", "chat", "m")
    latest = sizes[-REMEMBERED:]
    assert limit is not None
    assert sum(size > limit for size in latest) * 100 <= len(latest)


def test_an_answer_that_was_cut_raises_the_next_limit() -> None:
    made = limits(*[1000] * ENOUGH)
    assert made.of("acme", "chat", "m") == 1500
    made.learn("acme", "chat", "m", 1500, cut_at=1500)
    assert made.of("acme", "chat", "m") == 3000


def test_memory_is_bounded() -> None:  # trap V4
    made = OutputLimits()
    for n in range(MAX_FEATURES + 10):
        made.learn("acme", f"feature-{n}", "m", 1)
    for _ in range(2 * REMEMBERED):
        made.learn("acme", "chat", "m", 1)
    assert len(made) == MAX_FEATURES
    (answers,) = [one for place, one in made._answers.items() if place[1] == "chat"]
    assert len(answers.by_age) == len(answers.by_size) == REMEMBERED
