from hypothesis import given
from hypothesis import strategies as st

from tidegate.model.usage import INPUT_BUCKETS, OUTPUT_BUCKETS, TOKEN_BUCKETS, Usage

COUNTS = st.dictionaries(st.sampled_from(TOKEN_BUCKETS), st.none() | st.integers(0, 10**9))


@given(COUNTS)
def test_a_total_is_the_sum_of_what_was_said_and_nothing_where_nothing_was(
    counts: dict[str, int | None],
) -> None:
    usage = Usage(**counts)
    for buckets, total in ((INPUT_BUCKETS, usage.input_total), (OUTPUT_BUCKETS, usage.output_total)):
        said = [count for name in buckets if (count := counts.get(name)) is not None]
        assert total == (sum(said) if said else None)
