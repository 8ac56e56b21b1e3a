from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.wire.openai_counts import MAX_COUNT, read_counts, read_odd_counts

DETAILS = (
    "cached_tokens",
    "cache_read_input_tokens",
    "cache_write_tokens",
    "cache_creation_input_tokens",
    "audio_tokens",
    "image_tokens",
    "reasoning_tokens",
    "text_tokens",
)
TOTALS = (
    "prompt_tokens",
    "input_tokens",
    "completion_tokens",
    "output_tokens",
    "total_tokens",
    "prompt_cache_hit_tokens",
    "cached_tokens",
    "num_cached_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "reasoning_tokens",
    "num_search_queries",
    "queue_time",
)
OBJECTS = (
    "prompt_tokens_details",
    "input_tokens_details",
    "completion_tokens_details",
    "output_tokens_details",
)
COUNTS = st.none() | st.integers(0, 9) | st.sampled_from([MAX_COUNT])
ODD = st.sampled_from([-1, MAX_COUNT + 1, 10**30, 5.0, 1.5, True, "5", [], {}])


def usages(counts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Usage objects under every name we read, whose values are `counts` or objects of them."""

    def one_of(*names: str) -> st.SearchStrategy[dict[str, Any]]:
        return st.dictionaries(st.sampled_from(names), counts)

    details = st.tuples(one_of(*DETAILS), st.none() | one_of("audio_tokens")).map(
        lambda said: said[0] | {"cached_tokens_details": said[1]}
    )
    objects = st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(OBJECTS, st.none() | details)
        | {
            "cache_creation": one_of("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"),
            "server_tool_use": one_of("web_search_requests"),
            "server_tool_use_details": one_of("web_search_requests"),
        },
    )
    return st.tuples(one_of(*TOTALS), objects).map(lambda said: said[0] | said[1])


@given(usages(COUNTS) | usages(COUNTS | ODD))
def test_the_short_way_and_the_long_way_read_the_same(fields: dict[str, Any]) -> None:
    assert read_counts(fields) == read_odd_counts(fields)


def test_the_first_field_that_says_a_count_is_taken() -> None:
    said = {"prompt_tokens": None, "input_tokens": 3, "prompt_tokens_details": None}
    counts = read_counts(
        said | {"input_tokens_details": {"cached_tokens": 1}, "cached_tokens": 2, "output_tokens": 4}
    )
    assert (counts.prompt, counts.cached, counts.completion, counts.total) == (3, 1, 4, None)


@pytest.mark.parametrize(
    ("fields", "odd"),
    [
        ({"total_tokens": -1, "prompt_tokens": "5"}, (("negative", "not-a-count"), (), (), ())),
        ({"prompt_tokens": 5, "input_tokens": -1}, ((), (), (), ())),
        ({"prompt_tokens_details": {"cached_tokens": 10**12}}, ((), ("absurd",), (), ())),
        ({"completion_tokens_details": {"reasoning_tokens": 0.5}}, ((), (), ("not-a-count",), ())),
        ({"server_tool_use": {"web_search_requests": True}}, ((), (), (), ("not-a-count",))),
    ],
)
def test_what_is_odd_is_named_with_its_group(
    fields: dict[str, Any], odd: tuple[tuple[str, ...], ...]
) -> None:  # case F9
    counts = read_counts(fields)
    assert (counts.odd_totals, counts.odd_input, counts.odd_output, counts.odd_searches) == odd
